"""What `renew` decides, case by case."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sslops.issue.rules import SCHEDULED, RenewOptions, RenewReason, What, plan, renewal_time
from sslops.model.inventory import CaType, CertificateAuthority, Hold, KeySpec, Subject
from sslops.model.plan import Plan
from sslops.model.state import Branches, State
from tests.unit.issue.site import MAIL, NOW, SUB, WEB, Site, ca, inventory_of

if TYPE_CHECKING:
    from sslops.model.names import ServiceId
    from sslops.model.plan import Action

FORCED = RenewOptions(force=True)


def steps(planned: Plan) -> dict[str, tuple[str, str]]:
    """Return what is done for each service and why."""
    return {action.service: (action.what, action.reason) for action in planned.actions}


def step(site: Site, service: ServiceId, options: RenewOptions = SCHEDULED) -> Action | None:
    """Return what is done for *service*."""
    actions = plan(site.inventory, site.branches, site.now, options).actions
    return next((action for action in actions if action.service == service.name), None)


def waits(site: Site, options: RenewOptions = SCHEDULED) -> dict[str, tuple[str, str, bool]]:
    """Return what each service waits for, why, and whether it fails by that."""
    return {
        wait.service: (wait.what, wait.why, wait.fatal)
        for wait in plan(site.inventory, site.branches, site.now, options).waits
    }


@pytest.fixture
def live() -> Site:
    """Return a site where every certificate is live and the prepublished key is made."""
    return Site().live()


def test_an_empty_repository_gets_everything_in_one_run() -> None:
    """Root, intermediate and leaves, because nothing is there yet."""
    site = Site()
    first = ("issue", "first")

    assert {"my-root": first, "my-sub": first, "mail-ec": first, "web-ec": first} == steps(
        plan(site.inventory, site.branches, site.now)
    )


def test_a_site_that_is_live_has_nothing_to_do(live: Site) -> None:
    """A service that is not due neither acts nor waits: `plan` is empty, and `--detailed-exitcode` gives 0."""
    assert Plan() == plan(live.inventory, live.branches, live.now)


def test_what_is_on_deck_is_not_renewed_again_before_it_is_due_itself() -> None:
    """Due is asked of the newest certificate: a roll that waits for weeks costs nothing (W4 of ssl-mgr)."""
    site = Site()
    site.renew()

    assert {} == steps(plan(site.inventory, site.branches, site.now + timedelta(days=200)))


def test_a_leaf_is_due_by_the_lifetime_rule(live: Site) -> None:
    """A certificate of 365 days is renewed when 73 are left."""
    live.later(291)
    assert step(live, WEB) is None

    live.later(1.5)

    assert ("issue", "due", None) == attributes(step(live, WEB))


def attributes(action: Action | None) -> tuple[str, str, str | None]:
    """Return what, why, and with whose key."""
    assert action is not None
    return action.what, action.reason, action.generation


def test_a_ca_is_due_when_less_than_it_signs_for_is_left(live: Site) -> None:
    """The intermediate signs for 365 days and lasts 3650."""
    live.later(3284)
    assert step(live, SUB) is None

    live.later(2)

    assert ("issue", "due", None) == attributes(step(live, SUB))


def test_the_moment_that_was_chosen_counts_and_an_earlier_wish_too(live: Site) -> None:
    """`renew_at` does not move by itself; who asks for more days in the inventory gets them at once."""
    service = live.inventory.services[WEB]
    state = live.branches.next[WEB]
    generation = state.curr
    assert generation is not None
    chosen = state.slots.renew_at
    more = replace(service, renew_expire_days=100)
    fewer = replace(service, renew_expire_days=10)

    assert chosen == renewal_time(live.inventory, fewer, generation, state.slots)
    assert generation.issued is not None
    assert generation.issued.not_after - timedelta(days=100) == renewal_time(
        live.inventory, more, generation, state.slots
    )


def test_a_standing_key_is_made_once_the_roll_is_live() -> None:
    """Not before `main` has the roll, for a service with `prepublish` and no other."""
    site = Site()
    site.renew()
    site.roll(merged=False)
    assert step(site, MAIL) is None
    assert "is not on the main branch yet" in waits(site)["mail-ec"][1]

    site.branches = Branches(site.branches.next, site.branches.next)

    assert ("key", "standing-key", None) == attributes(step(site, MAIL))
    assert step(site, WEB) is None


def test_a_renewal_uses_the_standing_key(live: Site) -> None:
    """Its records have been in DNS for a long time: nothing has to wait."""
    standing = live.branches.next[MAIL].slots.next

    assert ("issue", "due", standing) == attributes(step(live.later(300), MAIL))
    assert ("issue", "forced", standing) == attributes(step(live, MAIL, FORCED))


def test_a_standing_key_that_leaked_is_discarded(live: Site) -> None:
    """`--new-key` replaces it, and with `--force` the certificate comes at once."""
    assert ("replace-key", "new-key", None) == attributes(step(live, MAIL, RenewOptions(new_key=True)))
    assert ("issue", "forced", None) == attributes(step(live, MAIL, RenewOptions(force=True, new_key=True)))


def test_new_key_alone_touches_only_what_is_staged(live: Site) -> None:
    """A live certificate is replaced with `--force`, or when it is due."""
    assert step(live, WEB, RenewOptions(new_key=True)) is None


def test_what_is_on_deck_and_forced_keeps_its_own_key() -> None:
    """Its records may be in DNS already; a new key would start the wait again."""
    site = Site()
    site.renew()
    staged = site.branches.next[WEB].slots.next

    assert ("reissue", "forced", staged) == attributes(step(site, WEB, FORCED))
    assert ("issue", "new-key", None) == attributes(step(site, WEB, RenewOptions(new_key=True)))


def test_reuse_key_takes_the_key_that_is_live(live: Site) -> None:
    """Even where a prepublished key is staged."""
    curr = live.branches.next[MAIL].slots.curr

    assert ("reissue", "forced", curr) == attributes(step(live, MAIL, RenewOptions(force=True, reuse_key=True)))


def test_a_live_key_whose_csr_says_something_else_cannot_be_reused(live: Site) -> None:
    """The renew job cannot open it to sign another CSR; that is a failure, since a person asked for it."""
    change(live, MAIL, sans=("mail.example.com", "example.com", "new.example.com"))

    what, why, fatal = waits(live, RenewOptions(reuse_key=True))["mail-ec"]

    assert ("reuse-key", True) == (what, fatal)
    assert "its CSR does not say what the inventory says" in why


def change(site: Site, edited: ServiceId, **fields: object) -> None:
    """Let a person edit one service of the inventory."""
    service = replace(site.inventory.services[edited], **fields)  # type: ignore[arg-type]
    site.inventory = replace(site.inventory, services={**site.inventory.services, edited: service})


@pytest.mark.parametrize(
    "fields",
    [
        {"sans": ("www.example.com", "new.example.com")},
        {"subject": Subject(organization="Another Company")},
        {"key": KeySpec("rsa", rsa_bits=2048)},
        {"eku": ("serverAuth", "clientAuth")},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_changed_inventory_makes_a_certificate_due_with_a_new_key(live: Site, fields: dict[str, object]) -> None:
    """The CSR of the old key says something else, and nobody in this job can sign a new one with it."""
    change(live, WEB, **fields)
    change(live, MAIL, **fields)

    assert ("issue", "inventory-changed", None) == attributes(step(live, WEB))
    assert ("issue", "inventory-changed", None) == attributes(step(live, MAIL))


def test_the_order_of_names_is_no_change(live: Site) -> None:
    """A set of names has no order."""
    change(live, WEB, sans=tuple(reversed(live.inventory.services[WEB].sans)))

    assert step(live, WEB) is None


def test_another_signer_makes_a_certificate_due_with_the_key_it_has(live: Site) -> None:
    """The CSR does not name a CA, so the prepublished key stays good."""
    other = ca("other", "my-root", 90)
    live.inventory = inventory_of(*live.inventory.services.values(), other)
    change(live, MAIL, signing_ca="other")

    assert ("issue", "ca-changed", live.branches.next[MAIL].slots.next) == attributes(step(live, MAIL))


def test_a_standing_key_whose_csr_is_stale_is_replaced(live: Site) -> None:
    """It would be of no use at the renewal."""
    state = live.branches.next[MAIL]
    standing = state.next
    assert standing is not None
    stale = {**state.generations, standing.id: replace(standing, csr_sha256="0" * 64)}
    services = {**live.branches.next.services, MAIL: replace(state, generations=stale)}
    live.branches = Branches(live.branches.main, State(services))

    assert ("replace-key", "csr-changed", None) == attributes(step(live, MAIL))


def test_a_deeper_hierarchy_makes_the_intermediate_due(live: Site) -> None:
    """Its path length allows no CA below it, and now there is one; the root sets no limit and stays."""
    live.inventory = inventory_of(*live.inventory.services.values(), ca("lower", "my-sub", 30))

    assert {"my-sub": ("issue", "inventory-changed"), "lower": ("issue", "first")} == steps(
        plan(live.inventory, live.branches, live.now)
    )


def test_what_was_taken_back_stays_away_until_the_old_certificate_is_due(live: Site) -> None:
    """A person reverted the roll: the staged generation is not replaced behind their back, but nothing expires."""
    live.later(300).renew()
    state = live.branches.next[WEB]
    refused = replace(state, slots=replace(state.slots, refused=state.slots.next))
    live.branches = Branches(live.branches.main, State({**live.branches.next.services, WEB: refused}))
    assert ("reissue", "due", state.slots.next) == attributes(step(live, WEB))

    live.later(-200)

    assert step(live, WEB) is None


@pytest.mark.parametrize("until", [None, NOW + timedelta(days=3)], ids=["open", "until a date"])
def test_a_hold_stops_the_bot_visibly(until: object) -> None:
    """It says so, with the person's reason, and is over when its date is."""
    site = Site()
    change(site, WEB, hold=Hold(until, "the vendor moves house"))  # type: ignore[arg-type]

    assert ("hold", "on hold: the vendor moves house", False) == waits(site)["web-ec"]
    assert (until is None) == (step(site.later(4), WEB) is None)


def test_a_hold_that_outlives_the_certificate_is_a_failure(live: Site) -> None:
    """A wait that would let a certificate expire is no longer a wait."""
    change(live, WEB, hold=Hold(NOW + timedelta(days=400), "forgotten"))

    assert waits(live)["web-ec"][2]


@pytest.mark.parametrize(("days", "fatal"), [(316, False), (352, True)])
def test_a_wait_without_an_end_is_a_failure_in_the_last_third(live: Site, days: int, *, fatal: bool) -> None:
    """Due from 50 days before the end: nobody can tell when a hold without a date ends, and time must be left then."""
    change(live, WEB, hold=Hold(None, "the vendor moves house"))
    live.later(days)

    assert fatal is waits(live)["web-ec"][2]
    assert fatal is any(wait.fatal for wait in plan(live.inventory, live.branches, live.now).waits)


def test_an_inactive_group_is_frozen() -> None:
    """Left out by default; named, it says why nothing happens."""
    site = Site()
    groups = {key: replace(group, active=group.domain == "ca") for key, group in site.inventory.groups.items()}
    site.inventory = replace(site.inventory, groups=groups)

    assert {"my-root", "my-sub"} == set(steps(plan(site.inventory, site.branches, site.now)))
    assert "inactive" == waits(site, RenewOptions(targets=frozenset({WEB})))["web-ec"][0]


def test_after_a_failure_the_next_try_is_waited_for(live: Site) -> None:
    """Until the moment that was chosen, unless forced."""
    live.later(300)
    state = live.branches.next[WEB]
    failed = replace(state, slots=replace(state.slots, retry_at=live.now + timedelta(minutes=10), failures=2))
    live.branches = Branches(live.branches.main, State({**live.branches.next.services, WEB: failed}))

    assert ("retry", "failed 2 times", False) == waits(live)["web-ec"]
    assert step(live, WEB, FORCED) is not None


def test_what_an_acme_server_signs_needs_no_signer_of_ours() -> None:
    """It is due at once, and its plan says what it costs against the CA's published limits."""
    site = Site()
    cas = {**site.inventory.cas, "le": CertificateAuthority("le", CaType.ACME)}
    site.inventory = replace(site.inventory, cas=cas)
    change(site, WEB, signing_ca="le")

    found = step(site, WEB)

    assert found is not None
    assert (What.ISSUE, RenewReason.FIRST) == (found.what, found.reason)
    assert "1 of 5 certificates for the same names" in found.why


def test_a_leaf_alone_waits_for_its_signer() -> None:
    """TARGET leaves the CAs out, so they have to come first."""
    site = Site()

    assert ("signer", "its signer 'ca/my-sub' has no certificate yet", False) == waits(
        site, RenewOptions(targets=frozenset({WEB}))
    )["web-ec"]


def test_a_signer_on_hold_does_not_hold_what_it_signs(live: Site) -> None:
    """Its certificate is there; only its own renewal is held."""
    change(live, SUB, hold=Hold(None, "ceremony"))

    assert step(live.later(300), WEB) is not None


def test_an_expired_signer_signs_nothing(live: Site) -> None:
    """The wait is a failure: nothing valid is left."""
    change(live, SUB, hold=Hold(None, "ceremony"))
    live.later(3651)

    what, why, fatal = waits(live)["web-ec"]

    assert ("signer", True) == (what, fatal)
    assert "the certificate of its signer 'ca/my-sub' has expired on" in why


def test_a_signer_that_ends_first_is_not_asked_again_and_again() -> None:
    """While the intermediate cannot be renewed, another leaf of it would last no longer than the present one."""
    site = Site().live()
    change(site, SUB, hold=Hold(None, "ceremony"))
    site.later(3300)
    site.renew()
    site.roll()
    site.later(330)

    assert "ends no later" in waits(site)["web-ec"][1]
