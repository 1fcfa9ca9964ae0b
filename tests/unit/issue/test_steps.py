"""What `renew` makes: certificates and keys that belong together, signers first, and what happens when one cannot."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sslops.errors import NoIdentity, StateError
from sslops.issue.ports import Workshop
from sslops.issue.rules import RenewOptions, plan
from sslops.issue.steps import renew
from sslops.model.cause import Cause
from sslops.model.names import ServiceId
from sslops.model.state import Branches, State, Status
from sslops.pki.certificate import read_certificate
from sslops.pki.local_ca import LocalCa
from sslops.secrets.identities import make_identity
from sslops.secrets.sops import Sops
from tests.unit.issue.site import MAIL, NOW, ROOT, SUB, WEB, Site, inventory_of, leaf, usual

if TYPE_CHECKING:
    from pathlib import Path

    from sslops.issue.steps import IssueOutcome

NEW_KEY = RenewOptions(force=True, new_key=True)


def told(outcome: IssueOutcome) -> dict[str, str]:
    """Return what each service that did not get anything waits for or failed by."""
    waits = {wait.service: wait.why for wait in outcome.waits}
    return waits | {failure.service.name: failure.error.what for failure in outcome.failures}


def changed(outcome: IssueOutcome) -> list[str]:
    """Return the services that got something, in the order of their commits."""
    return [str(change.service) for change in outcome.changes]


def test_signers_are_committed_before_what_they_signed() -> None:
    """Whoever reads the history finds the issuer first."""
    assert ["ca/my-root", "ca/my-sub", "example.com/mail-ec", "example.com/web-ec"] == changed(Site().renew())


def test_key_csr_and_certificate_are_one_change_and_belong_together() -> None:
    """An own CA needs no write-ahead: one commit has it all."""
    site = Site()
    outcome = site.renew()

    for change in outcome.changes:
        (files,) = change.put
        assert files.privkey_sops is not None
        assert files.cert is not None
        assert files.csr is not None
        public = load_pem_private_key(files.privkey_sops, None).public_key()
        assert public == x509.load_pem_x509_certificate(files.cert).public_key()
        assert public == x509.load_pem_x509_csr(files.csr).public_key()
        assert files.generation.spki_sha256 == read_certificate(files.cert).spki_sha256
        assert change.generation == files.generation.id == change.slots.next
        assert files.generation.id.endswith("-" + files.generation.spki_sha256[:4])


def test_a_change_says_what_it_is() -> None:
    """Subject, sentence and plan of the commit."""
    change = Site().renew().changes[-1]

    assert ("renew", f"{change.generation}, until 2027-11-24", "sha256:0") == (change.action, change.title, change.plan)
    assert change.why.startswith("There is no certificate yet: a new key, signed by ca/my-sub 20261124T143000Z-")


def test_the_facts_of_a_generation_are_those_of_its_certificate() -> None:
    """`generation.yaml` repeats nothing that the certificate does not say."""
    site = Site()
    site.renew()
    generation = site.branches.next[WEB].next
    assert generation is not None
    assert generation.issued is not None
    facts = read_certificate(site.newest(WEB, "cert.pem"))

    assert (facts.serial, facts.issuer, facts.not_before, facts.not_after, facts.sans, facts.cert_sha256) == (
        generation.issued.serial, generation.issued.issuer, generation.issued.not_before, generation.issued.not_after,
        generation.issued.sans, generation.issued.cert_sha256,
    )  # fmt: skip
    assert site.branches.next[SUB].slots.next == generation.issued.signer


def test_a_standing_key_is_issued_as_the_generation_it_is() -> None:
    """Same id, same key, nothing encrypted again."""
    site = Site().live()
    standing = site.branches.next[MAIL].next
    assert standing is not None
    outcome = site.later(300).renew()
    change = next(change for change in outcome.changes if change.service == MAIL)

    assert (Status.KEYED, Status.ISSUED) == (standing.status, change.put[0].generation.status)
    assert (standing.id, standing.spki_sha256) == (change.generation, change.put[0].generation.spki_sha256)
    assert change.put[0].privkey_sops is None


def test_a_reissue_copies_the_encrypted_key() -> None:
    """The renew job cannot open service keys, and need not."""
    site = Site(vault=Site().vault)
    site.renew()
    first = site.branches.next[WEB].next
    assert first is not None
    document = site.newest(WEB, "privkey.pem.sops")
    site.vault.unreadable = {"state/example.com/"}

    outcome = site.renew(RenewOptions(frozenset({WEB}), force=True))

    (change,) = outcome.changes
    made = change.put[0].generation
    assert (first.id, first.spki_sha256, first.csr_sha256) == (made.reused_from, made.spki_sha256, made.csr_sha256)
    assert made.id != first.id
    assert document == change.put[0].privkey_sops


def test_a_forced_run_renews_the_whole_hierarchy_with_new_keys() -> None:
    """The new intermediate signs the new leaves, in one run."""
    site = Site().live().later(1)

    outcome = site.renew(NEW_KEY)

    assert 4 == len(outcome.changes)
    for service, signer in ((SUB, ROOT), (WEB, SUB), (MAIL, SUB)):
        generation = site.branches.next[service].next
        assert generation is not None
        assert generation.issued is not None
        assert site.branches.next[signer].slots.next == generation.issued.signer


def test_a_ca_signs_with_its_next() -> None:
    """What is staged will be live before anything it signed is."""
    site = Site().live().later(1)
    site.renew(RenewOptions(frozenset({SUB}), force=True, new_key=True))
    site.renew(RenewOptions(frozenset({WEB}), force=True))
    generation = site.branches.next[WEB].next
    assert generation is not None
    assert generation.issued is not None

    assert site.branches.next[SUB].slots.next == generation.issued.signer


def test_a_ca_that_was_taken_back_does_not_sign() -> None:
    """A person reverted its roll; its `curr` signs until that is settled."""
    site = Site().live().later(1)
    site.renew(RenewOptions(frozenset({SUB}), force=True, new_key=True))
    state = site.branches.next[SUB]
    refused = replace(state, slots=replace(state.slots, refused=state.slots.next))
    site.branches = Branches(site.branches.main, State({**site.branches.next.services, SUB: refused}))

    site.renew(RenewOptions(frozenset({WEB}), force=True))

    generation = site.branches.next[WEB].next
    assert generation is not None
    assert generation.issued is not None
    assert state.slots.curr == generation.issued.signer


def test_an_offline_root_lets_only_its_intermediate_wait() -> None:
    """Leaves are signed by the intermediate that is there."""
    site = Site().live().later(3300)
    site.vault.unreadable = {"state/ca/my-root/"}

    outcome = site.renew()

    assert ["example.com/mail-ec", "example.com/web-ec"] == changed(outcome)
    assert {"my-sub"} == set(told(outcome))
    assert told(outcome)["my-sub"].startswith("the key of 'ca/my-root' cannot be opened here: ")
    assert [(Cause.KEY_NOT_HERE, True)] == [(wait.cause, wait.is_blocked) for wait in outcome.waits]
    assert [True] == [wait.since is not None for wait in outcome.waits]
    assert () == outcome.failures


def test_nobody_replaces_a_root_whose_key_they_cannot_open() -> None:
    """Encrypting needs no identity, so the renew job could; the person who keeps the root offline does it."""
    site = Site().live().later(1)
    site.vault.unreadable = {"state/ca/my-root/"}

    outcome = site.renew(RenewOptions(frozenset({ROOT}), force=True, new_key=True))

    assert ([], {"my-root"}) == (changed(outcome), set(told(outcome)))


def test_a_wait_for_a_key_is_a_failure_once_nothing_valid_is_left() -> None:
    """Then the wait has outlived the certificate."""
    site = Site().live().later(3700)
    site.vault.unreadable = {"state/ca/"}

    outcome = site.renew()

    assert all(wait.fatal for wait in outcome.waits if wait.service != "my-root")
    assert [] == changed(outcome)


@pytest.mark.parametrize(("days", "expected"), [(316, [False]), (352, [True])])
def test_a_wait_for_a_key_is_a_failure_in_the_last_third(days: int, expected: list[bool]) -> None:
    """Due from 50 days before its end; told as a failure while there is time to find who holds the identity."""
    site = Site().live().later(days)
    site.vault.unreadable = {"state/ca/"}

    outcome = site.renew(RenewOptions(frozenset({WEB})))

    assert expected == [wait.fatal for wait in outcome.waits]


def test_one_failing_service_stops_no_other() -> None:
    """A name that no certificate can hold is that service's own failure."""
    broken = leaf(ServiceId("example.com", "broken"), "www.example.com", "müller.example.com")
    site = Site(inventory_of(*usual().services.values(), broken))

    outcome = site.renew()

    assert 4 == len(outcome.changes)
    assert ["broken"] == list(told(outcome))
    assert "'müller.example.com' cannot be a name in a certificate" in told(outcome)["broken"]


def test_what_an_unstored_ca_signed_is_not_stored_either() -> None:
    """A certificate whose issuer's key is lost could never be renewed."""
    site = Site()
    site.vault.refused = {"state/ca/my-sub/"}

    outcome = site.renew()

    assert ["ca/my-root"] == changed(outcome)
    assert {"my-sub", "mail-ec", "web-ec"} == set(told(outcome))
    assert "the key of its signer 'ca/my-sub' could not be stored" == told(outcome)["web-ec"]


def test_a_certificate_of_a_foreign_ca_does_not_sign() -> None:
    """An intermediate that somebody replaced by one of another root is found before it signs."""
    site, other = Site().live().later(1), Site().live().later(1)
    curr = site.branches.next[SUB].slots.curr
    assert curr is not None
    site.content[SUB, curr, "cert.pem"] = other.newest(SUB, "cert.pem")

    outcome = site.renew(RenewOptions(frozenset({WEB}), force=True))

    assert "the own CA 'ca/my-sub' cannot sign" in told(outcome)["web-ec"]
    assert isinstance(outcome.failures[0].error, StateError)


@pytest.mark.parametrize("name", ["cert.pem", "chain.pem", "privkey.pem.sops"])
def test_a_file_that_is_missing_is_named(name: str) -> None:
    """A broken repository is a failure with a path."""
    site = Site().live().later(1)
    curr = site.branches.next[SUB].slots.curr
    assert curr is not None
    del site.content[SUB, curr, name]

    outcome = site.renew(RenewOptions(frozenset({WEB}), force=True))

    assert f"'state/ca/my-sub/{curr}/{name}' is not there" == told(outcome)["web-ec"]


def test_renewing_twice_in_a_second_gives_two_generations() -> None:
    """Ids name a time and a key; the same key in the same second moves on by one."""
    site = Site()
    site.renew()
    for _ in range(3):
        site.renew(RenewOptions(frozenset({WEB}), force=True))

    assert 4 == len(site.branches.next[WEB].generations)
    assert NOW + timedelta(seconds=3) == max(found.created_at for found in site.branches.next[WEB].generations.values())


def test_with_real_sops_the_renew_job_opens_ca_keys_and_no_service_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole stage with real documents: it signs with a CA key it opened, and cannot open what it issued."""
    (renew_key, renew_to), (deploy_key, deploy_to) = make_identity(), make_identity()
    config = (
        "creation_rules:\n"
        f"  - {{path_regex: '^state/(accounts|ca)/.*\\.sops$', age: {renew_to}}}\n"
        f"  - {{path_regex: '^state/.*\\.sops$', age: {deploy_to}}}\n"
    )
    (tmp_path / "sslops").mkdir()
    (tmp_path / "sslops" / "renew.key").write_bytes(renew_key.reveal())
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    site, sops = Site(), Sops(config)

    for options in (RenewOptions(), RenewOptions(frozenset({MAIL, WEB}), force=True, new_key=True)):
        planned = plan(site.inventory, site.branches, site.now, options)
        outcome = renew(planned, site.inventory, site.branches.next, site.now, Workshop(LocalCa(), sops, site))
        assert ((), ()) == (outcome.waits, outcome.failures)
        site.store(outcome.changes)

    document = site.newest(WEB, "privkey.pem.sops")
    with pytest.raises(NoIdentity):
        sops.decrypt(f"state/{WEB}/x/privkey.pem.sops", document)
    (tmp_path / "sslops" / "deploy.key").write_bytes(deploy_key.reveal())
    opened = Sops(config).decrypt(f"state/{WEB}/x/privkey.pem.sops", document)
    assert (
        load_pem_private_key(opened.reveal(), None).public_key()
        == x509.load_pem_x509_certificate(site.newest(WEB, "cert.pem")).public_key()
    )
