"""Who may push to the engine's branches, and holds no key: each attack works without `allowed_signers`, not with it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sslops.errors import Refused
from sslops.model.change import Note
from sslops.model.ledger import HostEntry, Ledger
from sslops.proposals.branch import ProposalBranch
from sslops.repo.engine_refs import PREFIX, read_heartbeats, write_heartbeat
from sslops.repo.git import Git, NewCommit, Person, RefUpdate
from sslops.repo.signatures import Signers
from tests.unit.repo.yard import BOT, WEB, Yard, generation, open_ops, renewed, yard_with_remote
from tests.world.peers import need
from tests.world.remotes import bare_repository, git, git_environment

if TYPE_CHECKING:
    from collections.abc import Callable

NOTE = Note("deploy", "smtp1", "The host was asked.", {"Sslops-Service": "example.com/mail-ec"})
SLOTS = "state/example.com/mail-ec/slots.yaml"
IN_OUR_WORDS = "roll(example.com/mail-ec): back\n\nSslops-Action: roll\nSslops-Service: example.com/mail-ec\n"

pytestmark = pytest.mark.key_in_clear


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yard:
    """Return a site on a forge whose engine signs; nothing asks for signatures yet."""
    key = make_key(tmp_path / "signing")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "2")
    for number, (name, value) in enumerate({"gpg.format": "ssh", "user.signingkey": str(key)}.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", name)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
    yard = yard_with_remote(tmp_path)
    yard.ops = open_ops(yard.clone, "gitlab")
    yard.roll_to(1)
    snapshot = yard.ops.refresh()
    yard.ops.write_ledger(snapshot, Ledger(hosts={"smtp1": HostEntry(1)}), NOTE)
    return yard


def make_key(path: Path) -> Path:
    """Make an ssh key without passphrase."""
    command = [str(need("ssh-keygen")), "-q", "-t", "ed25519", "-N", "", "-C", "x", "-f", str(path)]
    subprocess.run(command, timeout=30, check=True)
    return path


def ask_for_signatures(yard: Yard, tmp_path: Path) -> None:
    """Let a person put the bot's public key on main."""
    public = (tmp_path / "signing.pub").read_text()
    yard.someone.push({"allowed_signers": f'{BOT} namespaces="git" {public}'}, "whose signatures count")


def commit(yard: Yard, branch: str, text: str = "curr: null\n", *words: str, message: str = IN_OUR_WORDS) -> str:
    """Push a commit in the bot's name to *branch*, as whoever may push there can; return its hash."""
    clone = yard.someone.clone
    git(clone, "fetch", "--quiet", "origin")
    git(clone, "checkout", "--quiet", "--detach", f"origin/{branch}")
    path = clone / ("hosts/smtp1.yaml" if branch == "ledger" else SLOTS)
    path.write_text(text)
    git(clone, "add", "--all")
    as_bot(clone, "commit", "--quiet", "-m", message, *words)
    git(clone, "push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{branch}")
    return git(clone, "rev-parse", "HEAD")


def as_bot(clone: Path, *words: str) -> None:
    """Run git with the bot's name, which nobody needs a right for."""
    names = {f"GIT_{who}_{part}": value for who in ("AUTHOR", "COMMITTER") for part, value in _BOT.items()}
    subprocess.run(["git", *words], cwd=clone, env=git_environment() | names, timeout=60, check=True)


_BOT = {"NAME": "sslops", "EMAIL": BOT}


def on_next(yard: Yard, _: Path) -> str:
    """Take a service back to nothing, in the bot's name and with its trailers."""
    return commit(yard, "next")


def on_ledger(yard: Yard, _: Path) -> str:
    """Claim that a host was seen to serve nothing."""
    return commit(yard, "ledger", 'seq: "7"\nservices: {}\n')


def on_roll(yard: Yard, _: Path) -> str:
    """Put something else into what people are asked to merge."""
    return commit(yard, "sslops/roll")


def with_another_key(yard: Yard, tmp_path: Path) -> str:
    """Sign it too, with a key that anybody can make."""
    key = make_key(tmp_path / "another")
    settings = {"gpg.format": "ssh", "user.signingkey": str(key)}
    for name, value in settings.items():
        git(yard.someone.clone, "config", name, value)
    return commit(yard, "next", "curr: null\n", "-S")


def by_a_merge(yard: Yard, _: Path) -> str:
    """Hide it in a merge of main, which is harmless only with the tree that the engine computes."""
    yard.someone.push({"inventory/sslops.yaml": "globals: {clean_keep: 3}\n"}, "edit")
    clone = yard.someone.clone
    git(clone, "fetch", "--quiet", "origin")
    git(clone, "checkout", "--quiet", "--detach", "origin/next")
    git(clone, "merge", "--quiet", "--no-ff", "--no-commit", "origin/main")
    (clone / SLOTS).write_text("curr: null\n")
    git(clone, "add", "--all")
    as_bot(clone, "commit", "--quiet", "-m", "Merge branch 'main' into next")
    git(clone, "push", "--quiet", "origin", "HEAD:refs/heads/next")
    return git(clone, "rev-parse", "HEAD")


@pytest.mark.parametrize("attack", [on_next, on_ledger, on_roll, with_another_key, by_a_merge])
def test_a_commit_in_the_bot_s_name_stops_the_run_where_signatures_count(
    yard: Yard, tmp_path: Path, attack: Callable[[Yard, Path], str]
) -> None:
    """Without `allowed_signers` the engine goes on with it; with it the run ends before anything else, and names it."""
    forged = attack(yard, tmp_path)
    snapshot = yard.ops.refresh()

    assert forged in {snapshot.next_commit, snapshot.ledger_commit, snapshot.roll_commit}
    yard.ops.write_ledger(snapshot, Ledger(hosts={"smtp2": HostEntry(1)}), NOTE)
    git(yard.remote or yard.clone, "update-ref", "refs/heads/ledger", snapshot.ledger_commit or "")
    ask_for_signatures(yard, tmp_path)
    with pytest.raises(Refused, match=forged[:10]):
        yard.ops.refresh()


def test_a_signed_commit_of_another_branch_does_not_count(yard: Yard, tmp_path: Path) -> None:
    """The bot signed it, for the ledger."""
    ask_for_signatures(yard, tmp_path)
    snapshot = yard.ops.refresh()
    git(yard.remote or yard.clone, "update-ref", "refs/heads/next", snapshot.ledger_commit or "")

    with pytest.raises(Refused, match="no commit in common with main"):
        yard.ops.refresh()
    git(yard.remote or yard.clone, "update-ref", "refs/heads/next", snapshot.next_commit or "")
    git(yard.remote or yard.clone, "update-ref", "refs/heads/ledger", snapshot.next_commit or "")
    with pytest.raises(Refused, match="commit of another branch"):
        yard.ops.refresh()


def test_buttons_of_a_forge_still_do_no_harm(yard: Yard, tmp_path: Path) -> None:
    """A merge of main and a rebase of our commits have no signature of ours, and bring nothing that we did not sign."""
    ask_for_signatures(yard, tmp_path)
    clone = yard.someone.clone
    git(clone, "fetch", "--quiet")
    git(clone, "checkout", "--quiet", "-B", "next", "origin/next")
    git(clone, "merge", "--quiet", "--no-edit", "origin/main")
    git(clone, "push", "--quiet", "origin", "next")
    git(clone, "checkout", "--quiet", "-B", "roll", "origin/sslops/roll")
    git(clone, "rebase", "--quiet", "origin/main")
    git(clone, "push", "--quiet", "--force", "origin", "roll:sslops/roll")
    snapshot = yard.ops.refresh()
    yard.ops.write_next(snapshot, [renewed(snapshot, generation(2, service=WEB), WEB)])

    assert generation(2, service=WEB).id == yard.slots(service=WEB).next


def test_a_run_that_cannot_sign_pushes_nothing(yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else every later run would stop at what it wrote."""
    ask_for_signatures(yard, tmp_path)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "0")
    ops, before = open_ops(yard.clone, "gitlab"), yard.heads()
    snapshot = ops.refresh()

    with pytest.raises(Refused, match="cannot make one: it is not signed"):
        ops.write_next(snapshot, [renewed(snapshot, generation(2))])
    assert before == yard.heads()


def test_what_was_verified_once_is_not_asked_again(yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process for a commit that this clone knows to be good; another `allowed_signers` forgets all of them."""
    ask_for_signatures(yard, tmp_path)
    yard.ops.refresh()
    monkeypatch.setattr("sslops.repo.signatures._SECONDS", 0)  # whoever is asked now answers too late

    assert yard.ops.refresh().next_commit is not None
    monkeypatch.undo()
    yard.someone.push({"allowed_signers": f"{BOT} {make_key(tmp_path / 'new').with_suffix('.pub').read_text()}"}, "new")
    with pytest.raises(Refused, match="is not one of"):
        open_ops(yard.clone, "gitlab").refresh()


def test_a_proposal_that_only_carries_our_trailers_is_refused(tmp_path: Path) -> None:
    """In the DNS repository too: what a rebase makes of our commit could be anybody's, where signatures count."""
    key = make_key(tmp_path / "signing")
    remote = bare_repository(tmp_path / "dns.git")
    signing = {"gpg.format": "ssh", "user.signingkey": str(key)}
    bot = Git.clone_bare(str(remote), tmp_path / "bot", signing=signing).acting_as(Person("sslops", BOT))
    other = Git.clone_bare(str(remote), tmp_path / "other").acting_as(Person("web", "web@example.com"))
    base = bot.commit_all(None, [NewCommit("zones", {"zone": b""})])
    bot.push([RefUpdate("main", base, None)])
    other.fetch()
    forged = other.commit_all(base, [NewCommit("publish: TLSA\n\nSslops-Action: publish\n", {"tlsa": b"x"})])
    other.push([RefUpdate("sslops/tlsa", forged, None)])
    bot.fetch()
    signers = Signers(f"{BOT} {key.with_suffix('.pub').read_text()}".encode(), BOT)

    ProposalBranch(bot, "sslops/tlsa", "main").require_own_hands()
    with pytest.raises(Refused, match=forged[:10]):
        ProposalBranch(bot.asking(signers), "sslops/tlsa", "main").require_own_hands()
    ours = bot.asking(signers).commit_all(base, [NewCommit("publish: TLSA\n", {"tlsa": b"y"})])
    bot.push([RefUpdate("sslops/tlsa", ours, forged, may_rewrite=True)])
    ProposalBranch(bot.asking(signers), "sslops/tlsa", "main").require_own_hands()


def test_a_heartbeat_counts_for_its_own_verb_and_only_signed(yard: Yard, tmp_path: Path) -> None:
    """Whoever may push to `refs/sslops/` could keep the watchdog quiet while nothing runs any more."""
    ask_for_signatures(yard, tmp_path)
    git_of_bot = yard.ops.git
    signers = yard.ops.signers(yard.ops.refresh())
    write_heartbeat(git_of_bot, "renew", "run 1")
    clone, remote = yard.someone.clone, str(yard.remote)
    made = git(clone, "commit-tree", "-m", "good(publish)", git(clone, "rev-parse", "origin/main^{tree}"))
    signed = git(Path(remote), "rev-parse", f"{PREFIX}renew")
    git(clone, "push", "--quiet", "origin", f"{made}:{PREFIX}publish")
    git(Path(remote), "update-ref", f"{PREFIX}deploy", signed)

    assert {"renew", "publish"} == {each.verb for each in read_heartbeats(git_of_bot)}
    assert ["renew"] == [each.verb for each in read_heartbeats(git_of_bot, signers)]
