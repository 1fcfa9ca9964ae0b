"""What belongs to one server and one account stays there: a CA that moves, forgets, closes, or refuses."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import yaml

from sslops.acme.account import load_key, new_account, read_account, write_account
from sslops.acme.client import AcmeClient
from sslops.secrets.sops import Sops
from tests.system.acme import NET, SERVICES, WEB, assert_clean, slots, staged, statuses
from tests.system.launching import Launched
from tests.system.test_acme_bad_luck import NO_PATIENCE
from tests.world.acme_faults import problem
from tests.world.pebble import Pebble, Policy
from tests.world.thief import Thief

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sslops.model.acme import Account
    from tests.world.acme_site import AcmeSite

CAS, NEW_ACCOUNT = "inventory/cas.yaml", "sslops renew --new-account le-dns --apply"


@pytest.fixture
def second(acme_site: AcmeSite, world_folder: Path) -> Iterator[Pebble]:
    """Yield another CA, which the same bundle trusts."""
    pebble = Pebble(world_folder / "second", acme_site.resolver.endpoint, endpoint_ca=acme_site.pebble.endpoint_ca)
    yield pebble
    pebble.stop()


def move(site: AcmeSite, directory: str) -> None:
    """Let the entries of `cas.yaml` name another server."""
    before = yaml.safe_load(site.ops.show("main", CAS))["le-dns"]["directory"]
    site.ops.edit({CAS: site.ops.show("main", CAS).replace(before, directory) + "\n"}, "another directory")


def account(site: AcmeSite) -> Account:
    """Return the account on next, as the renew job opens it."""
    path = "state/accounts/le-dns.json.sops"
    environ = {"SOPS_AGE_KEY_FILE": str(site.ops.identities.path("renew"))}
    document = site.ops.show("next", path).encode() + b"\n"
    return read_account(Sops(site.ops.identities.sops_yaml(), environ=environ).decrypt(path, document), path)


def deactivate(site: AcmeSite, used: Account) -> None:
    """Close the account at the CA, as whoever holds its key can (RFC 8555 section 7.3.6)."""
    client = AcmeClient("le-dns", site.ca.directory, now=lambda: datetime.now(UTC), ca_bundle=str(site.ca.ca_bundle))
    client.use(used)
    assert client.directory.has_renewal_info
    client._http.post(used.url or "", {"status": "deactivated"}, load_key(used), used.url)


def test_a_ca_that_is_another_server_now_gets_an_account_of_its_own(acme_site: AcmeSite, second: Pebble) -> None:
    """From a staging server to a real one: plan says what follows, and one run has certificates of the new one."""
    site = acme_site
    site.sslops("run", "--apply").succeeded()
    first = account(site)
    move(site, second.directory)
    planned = site.sslops("plan").succeeded().stdout
    done = site.sslops("renew", "--apply").succeeded()
    moved = account(site)

    assert f"'le-dns' is the server at {second.directory} now" in " ".join(planned.split())
    assert "from a new account" in planned
    assert "a new account is made there" in done.stderr
    assert [second.directory] * 3 == [staged(site, service)["directory"] for service in SERVICES]
    assert dict.fromkeys(SERVICES, "issued") == statuses(site)
    assert (first.directory, second.directory) == (site.ca.directory, moved.directory)
    assert first.key.reveal() != moved.key.reveal()
    assert "nothing to do" in site.sslops("renew", "--apply").succeeded().stdout


def test_an_open_order_is_not_asked_for_at_another_server(acme_site: AcmeSite, second: Pebble) -> None:
    """What the first server holds is left there, with its challenges; the staged key is used at the second."""
    site = acme_site
    site.dns.lag()
    with Launched(site.ops, "renew", "--apply", "example.net", options=["--patch", NO_PATIENCE]) as launched:
        launched.finish().succeeded()
    generation = slots(site, NET)["next"]
    site.dns.catch_up()
    move(site, second.directory)
    site.sslops("renew", "--apply", "example.net").succeeded()

    assert (generation, "issued") == (slots(site, NET)["next"], staged(site, NET)["status"])
    assert second.directory == staged(site, NET)["directory"]
    assert_clean(site)


def test_an_account_that_was_closed_is_told_and_left_on_demand(acme_site: AcmeSite) -> None:
    """Deactivated at the CA: run, status and doctor name the command that makes a new one, and it does."""
    site = acme_site
    site.pebble.need_modern()
    site.sslops("run", "--apply").succeeded()
    site.sslops("renew", "--apply").succeeded()
    used = account(site)
    deactivate(site, used)
    failed = site.sslops("renew", "--apply", "--force", "example.com:web-ec")
    status, doctor = site.sslops("status"), site.sslops("doctor", "renew")
    again = site.sslops("renew", "--apply", "example.com:web-ec")

    assert (1, 1, 1) == (failed.exit_code, doctor.exit_code, again.exit_code)
    assert "account blocked" in again.stdout
    for text in (failed.stderr, status.stdout, doctor.stdout):
        assert "deactivated" in text, text
        assert NEW_ACCOUNT in " ".join(text.split())

    mended = site.sslops(*NEW_ACCOUNT.split()[1:]).succeeded()

    assert "issued" == staged(site, WEB)["status"]
    assert used.url != account(site).url
    assert "once more without saying which certificate it replaces" in mended.stderr  # another account's, says pebble
    assert 0 == site.sslops("doctor", "renew").stdout.count("deactivated")


def test_an_account_of_somebody_who_may_push_to_next_is_not_used(acme_site: AcmeSite) -> None:
    """Anybody can encrypt for us: with an account of his a thief would finish the orders that we prove names for."""
    site, path = acme_site, "state/accounts/le-dns.json.sops"
    site.sslops("run", "--apply").succeeded()
    ours, his = account(site), new_account(site.ca.directory)
    assert site.ops.remote is not None
    thief = Thief(site.ops.remote, site.ops.folder.parent / "thief")
    commit = thief.push({path: Sops(site.ops.identities.sops_yaml()).encrypt(path, write_account(his)).decode()})
    words = ("renew", "--apply", "--force", "example.com:web-ec")
    refused = site.sslops(*words)

    assert 1 == refused.exit_code
    assert f"is another account than main's, which did not sign for it: commit {commit[:10]}" in refused.stderr
    assert ours.url is not None

    believes = ["--patch", "sslops.acme.account:is_successor=lambda *_: True"]
    with Launched(site.ops, *words, options=believes) as launched:
        launched.finish().succeeded()

    assert his.key.reveal() == account(site).key.reveal()
    assert account(site).url not in {None, ours.url}

    site.sslops(*NEW_ACCOUNT.split()[1:]).succeeded()
    site.sslops(*words).succeeded()

    assert account(site).key.reveal() not in {ours.key.reveal(), his.key.reveal()}


def test_an_account_can_be_left_when_nothing_is_due(acme_site: AcmeSite) -> None:
    """It leaked, say: the new one is there before the next order needs it."""
    site = acme_site
    site.sslops("run", "--apply").succeeded()
    site.sslops("renew", "--apply").succeeded()
    before = account(site)
    planned = site.sslops("renew", "--new-account", "le-dns").succeeded()
    site.sslops("renew", "--new-account", "le-dns", "--apply").succeeded()
    refused = site.sslops("renew", "--new-account", "nobody")

    assert "a new account at 'le-dns'" in planned.stderr
    assert None not in {before.url, account(site).url}
    assert before.url != account(site).url
    assert (2, True) == (refused.exit_code, "'nobody' is no ACME CA of the inventory" in refused.stderr)


def test_an_order_that_the_ca_forgot_is_placed_again_at_once(acme_site: AcmeSite) -> None:
    """The CA started anew while an order was open: account and order are made again in one run."""
    site = acme_site
    site.dns.lag()
    with Launched(site.ops, "renew", "--apply", "example.net", options=["--patch", NO_PATIENCE]) as launched:
        launched.finish().succeeded()
    site.pebble.restart()
    site.dns.catch_up()
    site.sslops("renew", "--apply", "example.net").succeeded()

    assert "issued" == staged(site, NET)["status"]
    assert "0" == slots(site, NET)["failures"]
    assert {""} == set(site.challenge_files().values())


@pytest.mark.parametrize(
    ("kind", "status"),
    [("unauthorized", 403), ("malformed", 404), ("conflict", 409), ("serverInternal", 500)],
)
def test_whatever_is_against_the_certificate_replaced_it_is_ordered_without(
    start_acme_site: Callable[..., AcmeSite], kind: str, status: int
) -> None:
    """The order counts, not the courtesy of saying what it replaces."""
    site = start_acme_site(policy=Policy(nonce_rejection_percent=0))
    site.pebble.need_modern()
    site.sslops("renew", "--apply", "example.com:web-ec").succeeded()
    site.ca.plan("newOrder", problem(kind, status), times=None, matches=lambda it: "replaces" in (it.payload or {}))
    done = site.sslops("renew", "--apply", "--force", "example.com:web-ec").succeeded()

    assert "without saying which certificate it replaces" in done.stderr
    assert "issued" == staged(site, WEB)["status"]
