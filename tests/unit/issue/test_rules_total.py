"""What holds for every state there can be, also those that no sane run would leave behind."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from sslops.issue.rules import RenewOptions, plan
from sslops.model.inventory import Hold, KeyLifecycle, Service, Settings
from sslops.model.names import GenerationId
from sslops.model.state import Branches, Generation, Issued, ServiceState, Slots, State, Status
from sslops.pki.request import request_in, request_sha256
from tests.unit.issue.site import MAIL, NOW, ROOT, SUB, WEB, Site, ca, inventory_of, leaf, usual

if TYPE_CHECKING:
    from sslops.model.inventory import Inventory

AGES = st.integers(-400, 4000).map(lambda days: NOW + timedelta(days=days))
GENERATIONS = st.sampled_from([GenerationId(f"20261124T14300{digit}Z-9b1c") for digit in range(4)])


@st.composite
def generations(draw: st.DrawFn, key: GenerationId, service: Service, inventory: Inventory) -> Generation:
    """Return any generation, also one that no sane run would leave behind."""
    start = draw(AGES)
    issued = Issued(start, "1", "CN=x", start, start + timedelta(days=draw(st.integers(0, 800))), (), "0" * 64)
    has_certificate = draw(st.booleans())
    fingerprint = request_sha256(request_in(inventory, service))
    return Generation(
        id=key, status=Status.ISSUED if has_certificate else draw(st.sampled_from([Status.KEYED, Status.ORDERED])),
        created_at=start, ca=draw(st.sampled_from([service.signing_ca, "elsewhere"])), profile=None, reason="first",
        reused_from=None, key_type="ec", key_size="secp256r1", spki_sha256="9b1c" + "0" * 60,
        csr_sha256=draw(st.sampled_from([fingerprint, "0" * 64])), issued=issued if has_certificate else None,
    )  # fmt: skip


@st.composite
def states(draw: st.DrawFn, inventory: Inventory) -> State:
    """Return any state of any of the services."""
    services = {}
    for key, service in inventory.services.items():
        if draw(st.booleans()):
            slot = st.none() | GENERATIONS
            known = draw(st.sets(GENERATIONS))
            services[key] = ServiceState(
                Slots(
                    curr=draw(slot), next=draw(slot), prev=draw(slot), renew_at=draw(st.none() | AGES),
                    retry_at=draw(st.none() | AGES), failures=draw(st.integers(0, 9)), refused=draw(slot),
                ),
                {one: draw(generations(one, service, inventory)) for one in known},
            )  # fmt: skip
    return State(services)


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    """Return the usual inventory with holds, inactive groups, other lifecycles, and signers that are not there."""
    inventory = usual()
    hold = st.none() | st.builds(Hold, st.none() | AGES, st.just("because"))
    services = {
        key: replace(
            service,
            hold=draw(hold),
            signing_ca=draw(st.sampled_from([service.signing_ca, "nobody", "my-sub", "self"])),
            key_lifecycle=draw(st.sampled_from(list(KeyLifecycle))),
            renew_expire_days=draw(st.none() | st.integers(0, 500)),
        )
        for key, service in inventory.services.items()
    }
    groups = {key: replace(group, active=draw(st.booleans())) for key, group in inventory.groups.items()}
    spread = Settings(renew_expire_days_spread=draw(st.integers(0, 50)))
    return replace(inventory, services=services, groups=groups, settings=spread)


OPTIONS = st.builds(
    RenewOptions,
    st.none() | st.frozensets(st.sampled_from([ROOT, SUB, MAIL, WEB])),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(st.data(), inventories(), OPTIONS, AGES)
def test_every_state_has_a_plan_and_no_service_two_answers(
    data: st.DataObject, inventory: Inventory, options: RenewOptions, now: object
) -> None:
    """The rules are total: whatever is there, each service that is asked for acts, or waits, or has nothing to do."""
    branches = Branches(data.draw(states(inventory)), data.draw(states(inventory)))

    planned = plan(inventory, branches, now, options)  # type: ignore[arg-type]

    answered = sorted([action.service for action in planned.actions] + [wait.service for wait in planned.waits])
    asked = options.targets if options.targets is not None else {service.id for service in inventory.active()}
    assert sorted(set(answered)) == answered
    assert {service.name for service in asked} >= set(answered)
    assert planned == plan(inventory, branches, now, options)  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["renew", "roll", "wait", "unmerged"]), st.integers(1, 500)), max_size=8))
def test_after_a_renewal_there_is_nothing_to_renew(walk: list[tuple[str, int]]) -> None:
    """Idempotence, from wherever a walk of renewals, rolls and time has led."""
    site = Site()
    for move, days in walk:
        if move == "renew":
            site.renew()
        elif move == "wait":
            site.later(days)
        else:
            site.roll(merged=move == "roll")

    site.renew()

    assert () == plan(site.inventory, site.branches, site.now).actions
    assert ((), ()) == (site.renew().changes, site.renew().failures)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 800), st.integers(1, 800), st.integers(1, 400), st.none() | st.integers(0, 900))
def test_no_lifetimes_make_a_site_that_renews_in_every_run(root: int, sub: int, later: int, days: int | None) -> None:
    """However a person sets root, intermediate and `renew_expire_days`, one run is enough."""
    web = replace(leaf(WEB, "www.example.com"), renew_expire_days=days)
    site = Site(inventory_of(ca("my-root", "self", root), ca("my-sub", "my-root", sub), web))
    site.renew()
    site.roll()
    site.later(later).renew()

    assert () == site.renew().changes
