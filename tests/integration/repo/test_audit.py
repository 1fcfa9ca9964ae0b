"""History that was broken once stays told: each test breaks one rule in one commit, and undoes it where it can."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from sslops.app.audit import Audit
from sslops.app.session import Session
from sslops.model.change import Note
from sslops.model.ledger import ApexEntry, Evidence, Ledger
from sslops.model.tlsa import TlsaParams, TlsaRecord
from sslops.pki.history_check import Rule
from tests.unit.repo.yard import BOT, Yard, generation, renewed, revert, rolled, yard_with_remote
from tests.world.peers import need
from tests.world.remotes import git, git_environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sslops.pki.history_check import AuditResult

FOLDER = f"state/example.com/mail-ec/{generation(1).id}"
NOTE = Note("publish", "example.com", "The records were seen.")
IN_OUR_WORDS = (
    "renew(example.com/mail-ec): x\n\n"
    "Sslops-Action: {action}\nSslops-Service: example.com/mail-ec\nSslops-Run: local#1\n"
)
OWNER = "_25._tcp.example.com."


def soon() -> datetime:
    """Return a moment after every commit that a test has made so far."""
    return datetime.now(UTC) + timedelta(minutes=5)


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """Return a site on whose main generation 1 is live, and 2 is staged."""
    yard = yard_with_remote(tmp_path, "none")
    yard.roll_to(1)
    snapshot = yard.ops.refresh()
    yard.ops.write_next(snapshot, [renewed(snapshot, generation(2))])
    return yard


def audited(yard: Yard, since: datetime | None = None) -> AuditResult:
    """Replay what the remote has."""
    yard.ops.git.fetch()
    return Audit(Session(yard.clone, soon()), yard.ops, since).result()


def broken(yard: Yard, rule: Rule) -> list[tuple[str, str]]:
    """Return commit and reason of each breach of *rule*."""
    return [(breach.commit, breach.what) for breach in audited(yard).breaches if breach.rule is rule]


def in_the_bot_s_name(yard: Yard, files: dict[str, str], *, action: str = "renew", run: bool = True) -> str:
    """Push a commit to next that says it is the bot's."""
    clone = yard.someone.clone
    git(clone, "fetch", "--quiet", "origin")
    git(clone, "checkout", "--quiet", "--detach", "origin/next")
    for path, text in files.items():
        (clone / path).write_text(text)
    git(clone, "add", "--all")
    names = {f"GIT_{who}_NAME": "sslops" for who in ("AUTHOR", "COMMITTER")}
    names |= {f"GIT_{who}_EMAIL": BOT for who in ("AUTHOR", "COMMITTER")}
    message = IN_OUR_WORDS.format(action=action).replace("" if run else "Sslops-Run: local#1\n", "")
    command = ["git", "commit", "--quiet", "-m", message]
    subprocess.run(command, cwd=clone, env=git_environment() | names, timeout=60, check=True)
    git(clone, "push", "--quiet", "origin", "HEAD:refs/heads/next")
    return git(clone, "rev-parse", "HEAD")


def without_a_run(yard: Yard) -> str:
    """Leave out which run it was."""
    return in_the_bot_s_name(yard, {"state/example.com/mail-ec/slots.yaml": "curr: null\nnext: null\n"}, run=False)


def by_hand(yard: Yard) -> str:
    """Edit state on main, as a reviewed change even."""
    return yard.someone.push({"state/example.com/mail-ec/slots.yaml": 'curr: null\nfailures: "1"\n'}, "by hand")


def another_certificate(yard: Yard) -> str:
    """Put another certificate into what was issued, and put it back."""
    forged = in_the_bot_s_name(yard, {f"{FOLDER}/cert.pem": "another\n"})
    in_the_bot_s_name(yard, {f"{FOLDER}/cert.pem": "cert\n"})
    return forged


def another_key(yard: Yard) -> str:
    """Put another encrypted key into what was issued, without a rekey."""
    return in_the_bot_s_name(yard, {f"{FOLDER}/privkey.pem.sops": '{"x": 1}\n'})


def by_no_roll(yard: Yard) -> str:
    """Move curr by what calls itself a renewal."""
    path = "state/example.com/mail-ec/slots.yaml"
    text = git(yard.clone, "show", f"origin/next:{path}").replace(generation(1).id, generation(2).id)
    return in_the_bot_s_name(yard, {path: text + "\n"})


def a_key_in_clear(yard: Yard) -> str:
    """Commit a key for a moment, far from state/."""
    pem = f"-----BEGIN {'PRIVATE'} KEY-----\nMC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAA\n-----END\n"
    leaked = yard.someone.push({"notes/old.txt": pem}, "notes")
    yard.someone.push({"notes/old.txt": None}, "away with it")
    return leaked


@pytest.mark.key_in_clear
@pytest.mark.parametrize(
    ("attack", "rule"),
    [
        (without_a_run, Rule.TRAILERS),
        (by_hand, Rule.AUTHORS),
        (another_certificate, Rule.GENERATIONS),
        (another_key, Rule.GENERATIONS),
        (by_no_roll, Rule.SLOTS),
        (a_key_in_clear, Rule.KEYS),
    ],
)
def test_the_commit_that_breaks_a_rule_is_named(yard: Yard, attack: Callable[[Yard], str], rule: Rule) -> None:
    """Before it nothing breaks that rule; after it the audit names it first, also where it was undone."""
    before = broken(yard, rule)
    commit = attack(yard)

    assert [] == before
    assert commit == broken(yard, rule)[0][0]


@pytest.mark.key_in_clear
def test_an_unsigned_commit_is_named_from_the_day_on_that_main_asked(yard: Yard, tmp_path: Path) -> None:
    """What is older is not judged, and without the file the audit says that nothing was proved."""
    key = tmp_path / "signing"
    command = [str(need("ssh-keygen")), "-q", "-t", "ed25519", "-N", "", "-C", "x", "-f", str(key)]
    subprocess.run(command, timeout=30, check=True)

    assert Rule.SIGNATURES in dict(audited(yard).unjudged)
    later = {"GIT_COMMITTER_DATE": (datetime.now(UTC) + timedelta(seconds=1)).isoformat()}
    git(yard.someone.clone, "fetch", "--quiet", "origin")
    git(yard.someone.clone, "checkout", "--quiet", "-B", "main", "origin/main")
    (yard.someone.clone / "allowed_signers").write_text(f"{BOT} {key.with_suffix('.pub').read_text()}")
    git(yard.someone.clone, "add", "--all")
    command = ["git", "commit", "--quiet", "-m", "signers"]
    subprocess.run(command, cwd=yard.someone.clone, env=git_environment() | later, timeout=60, check=True)
    git(yard.someone.clone, "push", "--quiet", "origin", "HEAD:refs/heads/main")
    assert [] == broken(yard, Rule.SIGNATURES)
    git(yard.someone.clone, "push", "--quiet", "--force", "origin", "HEAD:refs/heads/next")
    forged = in_the_bot_s_name(yard, {f"{FOLDER}/cert.pem": "another\n"})
    assert [(forged, "it is not signed")] == broken(yard, Rule.SIGNATURES)


def test_a_key_for_others_than_sops_yaml_named_then_is_told(yard: Yard) -> None:
    """The rules count as the commit itself had them."""
    yard.someone.push({".sops.yaml": "creation_rules: [{path_regex: ^state/, age: age1us}]\n"}, "recipients", "next")
    ours, theirs = (_document(name) for name in ("age1us", "age1them"))
    folder = "state/accounts"
    (yard.someone.clone / folder).mkdir(parents=True)
    good = in_the_bot_s_name(yard, {f"{folder}/one.json.sops": ours}, action="account")
    bad = in_the_bot_s_name(yard, {f"{folder}/two.json.sops": theirs}, action="account")
    found = dict(broken(yard, Rule.RECIPIENTS))

    assert good not in found
    assert "encrypted to age:age1them" in found[bad]


def _document(recipient: str) -> str:
    return json.dumps({"data": "ENC[AES256_GCM,data:x]", "sops": {"mac": "x", "age": [{"recipient": recipient}]}})


@pytest.mark.parametrize(
    ("hours", "reason"), [(None, "without any evidence"), (-1, "until then caches may lack"), (-3, None)]
)
def test_a_roll_is_compared_with_the_ledger_of_its_time(yard: Yard, hours: int | None, reason: str | None) -> None:
    """2 x TTL of one hour: no evidence, evidence of an hour ago, and of three hours ago."""
    now = datetime.now(UTC).replace(microsecond=0)
    records = {1: now - timedelta(days=9)} | ({} if hours is None else {2: now + timedelta(hours=hours)})
    params = TlsaParams(3, 1, 1)
    evidence = {
        TlsaRecord(OWNER, params, generation(number).spki_sha256): Evidence(since, "0" * 40, 3600)
        for number, since in records.items()
    }
    snapshot = yard.ops.refresh()
    snapshot = yard.ops.write_ledger(snapshot, Ledger(apexes={"example.com": ApexEntry(records=evidence)}), NOTE)
    change = rolled(snapshot)
    snapshot = yard.ops.write_roll(snapshot, [replace(change, slots=replace(change.slots, rolled_at=now))])
    found = broken(yard, Rule.SLOTS)

    assert [snapshot.next_commit] * (reason is not None) == [commit for commit, _ in found]
    assert all(str(reason) in what for _, what in found)


def test_certificates_are_listed_with_their_way_to_main(yard: Yard) -> None:
    """Who, when, why, which run; a staged one never went live. `since` leaves out what is older."""
    first, second = audited(yard).certificates

    assert (generation(1).id, "due", "test#1", f"sslops <{BOT}>") == (
        first.generation,
        first.reason,
        first.run,
        first.author,
    )
    assert first.live_commit is not None
    assert second.live_commit is None
    assert () == audited(yard, soon()).certificates
    assert 0 == audited(yard, soon()).counts["state"]


@pytest.mark.parametrize("way", ["merge", "squash", "rebase"])
def test_no_way_to_merge_or_to_go_back_breaks_a_rule(tmp_path: Path, way: str) -> None:
    """Another hand made the commit on main, and every byte below state/ in it is the bot's."""
    yard = yard_with_remote(tmp_path)
    yard.roll_and_merge(1, way)
    yard.roll_and_merge(2, way)
    revert(yard.someone.clone)
    snapshot = yard.ops.refresh()
    yard.ops.write_next(snapshot, [renewed(snapshot, generation(3))])

    assert [] == [breach for breach in audited(yard).breaches if breach.rule is not Rule.RECIPIENTS]
    assert {generation(1).id, generation(2).id} == {
        each.generation for each in audited(yard).certificates if each.live_commit
    }
