"""Writing to the ops repository: commits, one push, who was faster, what the remote refuses."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sslops.errors import Busy, GitError, Moved, Refused, StateError
from sslops.model.change import Note
from sslops.model.ledger import HostEntry, Ledger, Served
from sslops.repo.retrying import retrying
from sslops.repo.store import OpsRepo
from tests.unit.repo.yard import (
    BOT,
    MAIL,
    WEB,
    Yard,
    generation,
    merge,
    open_ops,
    renewed,
    rolled,
    yard_alone,
    yard_with_remote,
)
from tests.world.peers import need
from tests.world.remotes import REFUSE_ALL, REFUSE_UNSIGNED, git, install_hook, refuse_ref, remove_hook

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOTE = Note("deploy", "smtp1", "The host was asked.", {"Sslops-Service": "example.com/mail-ec"})


@pytest.fixture(params=["remote", "alone"])
def yard(request: pytest.FixtureRequest, tmp_path: Path) -> Yard:
    """Return a repository where the engine merges: with a remote, and without."""
    return yard_with_remote(tmp_path, "none") if request.param == "remote" else yard_alone(tmp_path)


@pytest.fixture
def forge_yard(tmp_path: Path) -> Yard:
    """Return a repository on a forge."""
    return yard_with_remote(tmp_path)


def test_a_change_is_one_commit_that_says_all(yard: Yard) -> None:
    """Subject, sentence and trailers; the bot is the committer; the files are what the change holds."""
    snapshot = yard.ops.refresh()
    made = generation(1)
    snapshot = yard.ops.write_next(snapshot, [renewed(snapshot, made)])
    assert snapshot.next_commit is not None
    commit = yard.ops.git.log(snapshot.next_commit, limit=1)[0]

    assert f"renew(example.com/mail-ec): {made.id}" == commit.subject
    assert {
        "Sslops-Action": "renew",
        "Sslops-Service": "example.com/mail-ec",
        "Sslops-Generation": made.id,
        "Sslops-Plan": "sha256:00ff",
        "Sslops-Run": "test#1",
    } == dict(commit.trailers)
    assert "\n\nIt is due.\n\n" in commit.message
    assert (BOT, BOT) == (commit.committer.email, commit.author.email)
    assert made == snapshot.branches.next[MAIL].next
    assert b"{}\n" == yard.ops.documents(snapshot, [(MAIL, made.id)])[MAIL, made.id].privkey_sops


def test_many_changes_are_many_commits_and_one_push(forge_yard: Yard) -> None:
    """One commit for each service, and the hook of the remote runs once."""
    assert forge_yard.remote is not None
    install_hook(forge_yard.remote, "pre-receive", "#!/bin/sh\ncat >> pushes\n")
    snapshot = forge_yard.ops.refresh()
    changes = [renewed(snapshot, generation(1)), renewed(snapshot, generation(1, service=WEB), WEB)]
    snapshot = forge_yard.ops.write_next(snapshot, changes)
    pushes = (forge_yard.remote / "pushes").read_text().splitlines()

    assert snapshot.next_commit is not None
    assert 2 == len(forge_yard.ops.git.log(snapshot.next_commit, since=[snapshot.main_commit]))
    assert 1 == len(pushes)


def test_a_roll_is_a_diff_of_one_file(yard: Yard) -> None:
    """The reviewer sees the pointers move and nothing else."""
    yard.roll_to(1)
    yard.roll_to(2)
    truth = yard.remote or yard.clone

    assert "state/example.com/mail-ec/slots.yaml" == git(truth, "show", "--format=", "--name-only", "sslops/roll")
    assert len(git(truth, "show", "--format=", "sslops/roll").splitlines()) < 20


def test_with_forge_none_a_roll_moves_three_branches_at_once(yard: Yard) -> None:
    """Next, the roll branch and main stand on the same commit."""
    yard.roll_to(1)
    heads = yard.heads()

    assert heads["main"] == heads["next"] == heads["sslops/roll"]


def test_a_clean_checkout_follows_main(tmp_path: Path) -> None:
    """Without a remote the files of the work tree are main's after a roll, and git sees nothing to commit."""
    yard = yard_alone(tmp_path)
    yard.roll_to(1)

    assert (yard.clone / "state/example.com/mail-ec/slots.yaml").is_file()
    assert yard.ops.git.is_clean()


def test_a_dirty_checkout_is_refused_with_a_hint(tmp_path: Path) -> None:
    """A changed file, or a new one that would be inventory, must be committed first; other new files do not matter."""
    yard = yard_alone(tmp_path)
    (yard.clone / "notes.txt").write_text("buy milk\n")
    yard.ops.require_clean()
    (yard.clone / "inventory/new.yaml").write_text("x\n")

    with pytest.raises(StateError, match=r"inventory/new\.yaml") as caught:
        yard.ops.require_clean()
    assert caught.value.hint is not None


def test_a_checkout_of_a_killed_run_is_finished_by_the_next(tmp_path: Path) -> None:
    """The branch moved and the files did not, or only some: they follow, and nothing counts as dirty."""
    yard = yard_alone(tmp_path)
    yard.roll_to(1)
    before = yard.heads()["main"]
    yard.roll_to(2)
    after = yard.heads()["main"]
    git(yard.clone, "read-tree", before)
    slots = yard.clone / "state/example.com/mail-ec/slots.yaml"
    slots.write_text(git(yard.clone, "show", f"{before}:state/example.com/mail-ec/slots.yaml") + "\n")
    (yard.clone / ".git/sslops/checkout").write_text(f"{before} {after}\n")
    (yard.clone / ".git/index.lock").touch()

    open_ops(yard.clone).require_clean()

    assert [] == yard.ops.git.changed_paths()
    assert generation(2).id in slots.read_text()


def test_a_file_that_a_person_edited_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    """The unfinished move stops with the name of the file."""
    yard = yard_alone(tmp_path)
    yard.roll_to(1)
    before = yard.heads()["main"]
    yard.roll_to(2)
    slots = yard.clone / "state/example.com/mail-ec/slots.yaml"
    slots.write_text("mine\n")
    (yard.clone / ".git/sslops/checkout").write_text(f"{before} {yard.heads()['main']}\n")

    with pytest.raises(GitError, match=r"slots\.yaml"):
        open_ops(yard.clone).require_clean()
    assert "mine\n" == slots.read_text()


def test_without_a_remote_another_branch_is_mentioned(tmp_path: Path) -> None:
    """`--apply` reads main, whatever is checked out: who tries something on a branch would wait for it for ever."""
    yard = yard_alone(tmp_path)
    snapshot = yard.ops.refresh()

    assert yard.ops.work_tree_note(snapshot) is None

    git(yard.clone, "checkout", "--quiet", "-b", "feature")
    note = open_ops(yard.clone).work_tree_note(snapshot)

    assert "'feature' is checked out, and --apply reads 'main': only what is merged there counts" == note


def test_with_a_remote_a_differing_work_tree_is_only_mentioned(forge_yard: Yard) -> None:
    """The sentence names the file, and nothing is refused."""
    snapshot = forge_yard.ops.refresh()
    assert forge_yard.ops.work_tree_note(snapshot) is None
    (forge_yard.clone / "inventory/sslops.yaml").write_text("globals: {clean_keep: 1}\n")
    forge_yard.ops.require_clean()
    note = forge_yard.ops.work_tree_note(snapshot)

    assert note is not None
    assert "inventory/sslops.yaml" in note


def test_on_a_forge_the_roll_branch_moves_only_with_the_set_of_rolls(forge_yard: Yard) -> None:
    """A renewal, and a roll of nothing new, leave it and so its approval; a further roll moves it; main never moves."""
    forge_yard.roll_to(1)
    first = forge_yard.heads()
    snapshot = forge_yard.ops.refresh()
    snapshot = forge_yard.ops.write_next(snapshot, [renewed(snapshot, generation(2, service=WEB), WEB)])
    snapshot = forge_yard.ops.write_roll(snapshot)
    second = forge_yard.heads()
    forge_yard.ops.write_roll(snapshot, [rolled(snapshot, WEB)])
    third = forge_yard.heads()

    assert first["sslops/roll"] == second["sslops/roll"] != third["sslops/roll"]
    assert first["main"] == third["main"]
    assert third["next"] == third["sslops/roll"]


def test_a_deleted_roll_branch_is_made_again(forge_yard: Yard) -> None:
    """What it proposed is still on next, so the next run proposes it again."""
    forge_yard.roll_to(1)
    git(forge_yard.someone.clone, "push", "--quiet", "origin", ":sslops/roll")
    forge_yard.ops.write_roll(forge_yard.ops.refresh())

    assert forge_yard.heads()["next"] == forge_yard.heads()["sslops/roll"]


def test_the_roll_diff_touches_state_only(forge_yard: Yard) -> None:
    """Although next takes main in, the request shows nothing of what main did meanwhile."""
    forge_yard.roll_to(1)
    forge_yard.someone.push({"inventory/sslops.yaml": "globals: {clean_keep: 3}\n"}, "edit")
    forge_yard.roll_to(2, WEB)
    heads = forge_yard.heads()
    forge_yard.ops.git.fetch()

    touched = forge_yard.ops.git.touched(heads["main"], heads["sslops/roll"])
    assert touched
    assert all(path.startswith("state/") for path in touched)


def test_ten_runs_with_nothing_due_write_nothing(yard: Yard) -> None:
    """Where the engine merges by itself, too."""
    yard.roll_to(1)
    snapshot = yard.ops.write_ledger(yard.ops.refresh(), Ledger(hosts={"smtp1": HostEntry(1)}), NOTE)
    before = yard.heads()
    for _ in range(10):
        snapshot = yard.ops.write_next(yard.ops.refresh())
        snapshot = yard.ops.write_roll(snapshot)
        snapshot = yard.ops.write_ledger(snapshot, snapshot.ledger, NOTE)

    assert before == yard.heads()


def test_the_ledger_is_an_orphan_that_is_written_when_it_differs(yard: Yard) -> None:
    """The first write makes the branch, the same content again makes no commit."""
    snapshot = yard.ops.refresh()
    ledger = Ledger(hosts={"smtp1": HostEntry(1, {MAIL: Served()})})
    assert snapshot.ledger_commit is None
    snapshot = yard.ops.write_ledger(snapshot, ledger, NOTE)
    before = yard.heads()
    yard.ops.write_ledger(yard.ops.refresh(), ledger, NOTE)

    assert ledger == yard.ops.refresh().ledger
    assert before == yard.heads()
    assert snapshot.ledger_commit is not None
    commit = yard.ops.git.log(snapshot.ledger_commit)[-1]
    assert () == commit.parents
    assert ("deploy: smtp1", "deploy") == (commit.subject, dict(commit.trailers)["Sslops-Action"])


def test_an_entry_that_ends_takes_its_file_away(yard: Yard) -> None:
    """The ledger's files are exactly its entries."""
    snapshot = yard.ops.refresh()
    both = Ledger(hosts={"smtp1": HostEntry(1), "smtp2": HostEntry(1)})
    snapshot = yard.ops.write_ledger(snapshot, both, NOTE)
    snapshot = yard.ops.write_ledger(snapshot, Ledger(hosts={"smtp2": HostEntry(2)}), NOTE)

    assert snapshot.ledger_commit is not None
    assert {"hosts/smtp2.yaml"} == set(yard.ops.git.tree(snapshot.ledger_commit))


def test_a_deleted_ledger_is_new(yard: Yard) -> None:
    """Everything about hosts is unknown again, and the next write starts an orphan."""
    yard.ops.write_ledger(yard.ops.refresh(), Ledger(hosts={"smtp1": HostEntry(1)}), NOTE)
    git(yard.remote or yard.clone, "branch", "--quiet", "-D", "ledger")
    snapshot = yard.ops.refresh()

    assert (None, Ledger()) == (snapshot.ledger_commit, snapshot.ledger)
    snapshot = yard.ops.write_ledger(snapshot, Ledger(hosts={"smtp1": HostEntry(7)}), NOTE)
    assert 7 == yard.ops.refresh().ledger.host("smtp1").seq


def test_of_two_clones_one_is_faster(forge_yard: Yard, tmp_path: Path) -> None:
    """The other gets Moved, has changed nothing, and succeeds after looking again."""
    git(tmp_path, "clone", "--quiet", str(forge_yard.remote), str(tmp_path / "second"))
    other = open_ops(tmp_path / "second", "gitlab")
    mine, theirs = forge_yard.ops.refresh(), other.refresh()
    forge_yard.ops.write_next(mine, [renewed(mine, generation(1))])
    before = forge_yard.heads()
    with pytest.raises(Moved):
        other.write_next(theirs, [renewed(theirs, generation(1, service=WEB), WEB)])

    assert before == forge_yard.heads()
    again = other.refresh()
    after = other.write_next(again, [renewed(again, generation(1, service=WEB), WEB)])
    assert {MAIL, WEB} == set(after.branches.next.services)


def test_a_ledger_race_has_one_winner(forge_yard: Yard, tmp_path: Path) -> None:
    """Two first writes of the ledger: the second must look again, so each run sees the other."""
    git(tmp_path, "clone", "--quiet", str(forge_yard.remote), str(tmp_path / "second"))
    other = open_ops(tmp_path / "second", "gitlab")
    mine, theirs = forge_yard.ops.refresh(), other.refresh()
    forge_yard.ops.write_ledger(mine, Ledger(hosts={"smtp1": HostEntry(1)}), NOTE)

    with pytest.raises(Moved):
        other.write_ledger(theirs, Ledger(hosts={"smtp2": HostEntry(1)}), NOTE)
    assert {"smtp1"} == set(other.refresh().ledger.hosts)


def test_main_that_moved_between_plan_and_push_stops_the_roll(tmp_path: Path) -> None:
    """With the engine merging, a person's commit in between means: nothing moves, look again, then it works."""
    yard = yard_with_remote(tmp_path, "none")
    snapshot = yard.ops.refresh()
    snapshot = yard.ops.write_next(snapshot, [renewed(snapshot, generation(1))])
    yard.someone.push({"inventory/sslops.yaml": "globals: {clean_keep: 3}\n"}, "edit")
    before = yard.heads()
    with pytest.raises(Moved):
        yard.ops.write_roll(snapshot, [rolled(snapshot)])
    assert before == yard.heads()

    def attempt() -> None:
        again = yard.ops.refresh()
        yard.ops.write_roll(again, [rolled(again)])

    retrying(attempt, sleep=lambda _: None, random=lambda: 0.5)
    assert generation(1).id == yard.slots("main").curr
    assert b"globals: {clean_keep: 3}\n" == yard.ops.read(yard.heads()["main"], "inventory/sslops.yaml")


def test_without_a_remote_a_moved_branch_is_noticed_too(tmp_path: Path) -> None:
    """The local refs move by compare-and-swap as well."""
    yard = yard_alone(tmp_path)
    stale = yard.ops.refresh()
    yard.ops.write_next(stale, [renewed(stale, generation(1))])

    with pytest.raises(Moved):
        yard.ops.write_next(stale, [renewed(stale, generation(2))])


def test_a_refused_push_is_an_error_with_the_remote_s_words(forge_yard: Yard) -> None:
    """It is not a race: nothing is retried, nothing has moved, and the hook's sentence is shown."""
    assert forge_yard.remote is not None
    install_hook(forge_yard.remote, "pre-receive", REFUSE_ALL)
    snapshot, before = forge_yard.ops.refresh(), forge_yard.heads()

    with pytest.raises(GitError, match="this repository is read-only") as caught:
        forge_yard.ops.write_next(snapshot, [renewed(snapshot, generation(1))])
    assert caught.value.hint is not None
    assert before == forge_yard.heads()
    remove_hook(forge_yard.remote, "pre-receive")
    forge_yard.ops.write_next(forge_yard.ops.refresh(), [renewed(snapshot, generation(1))])
    assert "next" in forge_yard.heads()


def test_a_protected_main_takes_the_whole_roll_down(tmp_path: Path) -> None:
    """All or nothing: next and the roll branch do not move when main may not."""
    yard = yard_with_remote(tmp_path, "none")
    assert yard.remote is not None
    snapshot = yard.ops.refresh()
    snapshot = yard.ops.write_next(snapshot, [renewed(snapshot, generation(1))])
    install_hook(yard.remote, "pre-receive", refuse_ref("refs/heads/main"))
    before = yard.heads()

    with pytest.raises(GitError, match="protected branch"):
        yard.ops.write_roll(snapshot, [rolled(snapshot)])
    assert before == yard.heads()


def test_a_remote_that_stores_something_else_is_found_out(forge_yard: Yard) -> None:
    """The push was accepted, and the ref read back is not ours: an error, not a success."""
    assert forge_yard.remote is not None
    main = forge_yard.heads()["main"]
    script = f"#!/bin/sh\ngit update-ref refs/heads/next {main}\n"
    install_hook(forge_yard.remote, "post-receive", script)
    snapshot = forge_yard.ops.refresh()

    with pytest.raises(GitError, match="holds"):
        forge_yard.ops.write_next(snapshot, [renewed(snapshot, generation(1))])


def test_somebody_who_went_on_at_once_is_no_fault(forge_yard: Yard) -> None:
    """The ref read back is after ours: our push was stored."""
    assert forge_yard.remote is not None
    script = """\
#!/bin/sh
while read -r old new ref; do
    [ "$ref" = refs/heads/next ] || continue
    commit=$(git -c user.name=x -c user.email=sslops@example.com commit-tree -p "$new" -m on "$new^{tree}")
    git update-ref refs/heads/next "$commit"
done
"""
    install_hook(forge_yard.remote, "post-receive", script)
    snapshot = forge_yard.ops.refresh()
    forge_yard.ops.write_next(snapshot, [renewed(snapshot, generation(1))])

    assert generation(1).id == forge_yard.slots().next


@pytest.fixture
def signing_yard(forge_yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yard:
    """Return a repository whose remote takes signed commits only, and an engine told of its key by the environment."""
    key = tmp_path / "signing"
    monkeypatch.setenv("GIT_CONFIG_COUNT", "2")
    for number, (name, value) in enumerate({"gpg.format": "ssh", "user.signingkey": str(key)}.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", name)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
    _make_key(key)
    assert forge_yard.remote is not None
    (forge_yard.remote / "allowed_signers").write_text(f"{BOT} {key.with_suffix('.pub').read_text()}")
    install_hook(forge_yard.remote, "pre-receive", REFUSE_UNSIGNED)
    return Yard(open_ops(forge_yard.clone, "gitlab"), forge_yard.remote, forge_yard.person)


@pytest.mark.key_in_clear
def test_a_hook_that_refuses_unsigned_commits_is_satisfied(signing_yard: Yard) -> None:
    """Renewals, rolls, the take-in and the ledger are all signed, and no file reaches a work tree."""
    git(signing_yard.clone, "update-ref", "refs/sslops/unborn", "origin/main")  # as a killed run leaves it
    signing_yard.roll_to(1)
    assert signing_yard.remote is not None
    remove_hook(signing_yard.remote, "pre-receive")
    signing_yard.someone.push({"inventory/sslops.yaml": "globals: {clean_keep: 3}\n"}, "edit")
    install_hook(signing_yard.remote, "pre-receive", REFUSE_UNSIGNED)
    signing_yard.roll_to(2)
    snapshot = signing_yard.ops.refresh()
    snapshot = signing_yard.ops.write_ledger(snapshot, Ledger(hosts={"smtp1": HostEntry(1)}), NOTE)
    made = signing_yard.ops.git.log(snapshot.next_commit or "", since=[snapshot.main_commit])

    ledger = signing_yard.ops.git.log(snapshot.ledger_commit or "")

    assert 5 == len(made)
    assert [()] == [commit.parents for commit in ledger]
    assert any(len(commit.parents) == 2 for commit in made)
    assert "" == git(signing_yard.clone, "status", "--porcelain")
    assert 1 == len(git(signing_yard.clone, "worktree", "list").splitlines())


@pytest.mark.key_in_clear
def test_unsigned_commits_are_refused_where_signatures_are_asked(
    signing_yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the key the remote refuses, so the test above proves something."""
    monkeypatch.setenv("GIT_CONFIG_COUNT", "0")
    ops = open_ops(signing_yard.clone, "gitlab")
    snapshot = ops.refresh()

    with pytest.raises(GitError, match="no good signature"):
        ops.write_next(snapshot, [renewed(snapshot, generation(1))])


def test_commit_hooks_of_the_clone_apply(forge_yard: Yard) -> None:
    """A commit-msg hook sees every message, and one that refuses stops the run before anything is pushed."""
    clone = forge_yard.clone / ".git"
    install_hook(clone, "commit-msg", '#!/bin/sh\ngrep -q "^Ticket:" "$1" || { echo "no ticket" >&2; exit 1; }\n')
    ops = open_ops(forge_yard.clone, "gitlab")
    snapshot, before = ops.refresh(), forge_yard.heads()

    with pytest.raises(GitError, match="no ticket"):
        ops.write_next(snapshot, [renewed(snapshot, generation(1))])
    assert before == forge_yard.heads()
    change = replace(renewed(snapshot, generation(1)), why="See below.", title="x")
    install_hook(clone, "commit-msg", "#!/bin/sh\nexit 0\n")
    ops.write_next(snapshot, [change])
    assert "next" in forge_yard.heads()


def test_a_hook_that_changes_files_is_an_error(forge_yard: Yard) -> None:
    """What is committed is what was decided, or nothing."""
    install_hook(forge_yard.clone / ".git", "pre-commit", "#!/bin/sh\ngit rm -q --cached inventory/sslops.yaml\n")
    ops = open_ops(forge_yard.clone, "gitlab")
    snapshot = ops.refresh()

    with pytest.raises(GitError, match="hook"):
        ops.write_next(snapshot, [renewed(snapshot, generation(1))])


def test_a_person_at_a_terminal_is_the_author(forge_yard: Yard) -> None:
    """The committer stays the bot."""
    from sslops.repo.git import Person

    ops = OpsRepo(forge_yard.ops.git, forge_yard.ops.settings, Person("Jo <x>\n", "jo@example.com"))
    snapshot = ops.refresh()
    snapshot = ops.write_next(snapshot, [renewed(snapshot, generation(1))])
    commit = ops.git.log(snapshot.next_commit or "", limit=1)[0]

    assert ("Jo x", "jo@example.com", BOT) == (commit.author.name, commit.author.email, commit.committer.email)


def test_another_hand_on_next_stops_the_bot(forge_yard: Yard) -> None:
    """The commit is named, and nothing is pushed until a person has decided."""
    forge_yard.roll_to(1)
    forge_yard.someone.push({"state/example.com/mail-ec/slots.yaml": "curr: null\n"}, "by hand", "next")
    snapshot = forge_yard.ops.refresh()

    with pytest.raises(Refused, match=r"operator@example\.com"):
        forge_yard.ops.write_next(snapshot, [renewed(snapshot, generation(2))])


def test_a_merge_of_main_into_next_by_a_person_is_harmless(forge_yard: Yard) -> None:
    """A forge's update button may do it."""
    forge_yard.roll_to(1)
    forge_yard.someone.push({"inventory/sslops.yaml": "globals: {clean_keep: 3}\n"}, "edit")
    clone = forge_yard.someone.clone
    git(clone, "fetch", "--quiet")
    git(clone, "checkout", "--quiet", "-B", "next", "origin/next")
    git(clone, "merge", "--quiet", "--no-edit", "origin/main")
    git(clone, "push", "--quiet", "origin", "next")
    snapshot = forge_yard.ops.refresh()
    snapshot = forge_yard.ops.write_next(snapshot, [renewed(snapshot, generation(2))])

    assert generation(2).id == snapshot.branches.next[MAIL].slots.next


def test_a_rebase_button_on_the_roll_branch_does_no_harm(forge_yard: Yard) -> None:
    """The forge is then the committer of our commits; the request merges, and the next roll comes out right."""
    forge_yard.roll_to(1)
    forge_yard.someone.push({"inventory/sslops.yaml": "globals: {clean_keep: 3}\n"}, "edit")
    clone = forge_yard.someone.clone
    git(clone, "fetch", "--quiet")
    git(clone, "checkout", "--quiet", "-B", "roll", "origin/sslops/roll")
    git(clone, "rebase", "--quiet", "origin/main")
    git(clone, "push", "--quiet", "--force", "origin", "roll:sslops/roll")
    snapshot = forge_yard.ops.refresh()
    forge_yard.ops.write_next(snapshot, [renewed(snapshot, generation(2, service=WEB), WEB)])
    merge(clone, "forward")
    forge_yard.roll_to(3)
    merge(clone, "forward")

    assert generation(3).id == forge_yard.slots("main").curr
    assert generation(2, service=WEB).id == forge_yard.slots(service=WEB).next


def test_what_is_on_deck_survives_a_rebase_merge(forge_yard: Yard) -> None:
    """Next starts again on main, with the commits that were not in the request, and says what it takes the place of."""
    forge_yard.roll_to(1)
    snapshot = forge_yard.ops.refresh()
    forge_yard.ops.write_next(snapshot, [renewed(snapshot, generation(2, service=WEB), WEB)])
    merge(forge_yard.someone.clone, "forward")
    forge_yard.roll_to(3)
    merge(forge_yard.someone.clone, "rebase")
    snapshot = forge_yard.ops.refresh()
    snapshot = forge_yard.ops.write_next(snapshot, [renewed(snapshot, generation(4))])
    subjects = [one.subject for one in forge_yard.ops.git.log(snapshot.next_commit or "", since=[snapshot.main_commit])]

    assert generation(2, service=WEB).id == snapshot.branches.next[WEB].slots.next
    taken = f"merge(main): take in {snapshot.main_commit[:12]}"
    assert [f"renew(example.com/mail-ec): {generation(4).id}", taken] == subjects


def test_one_run_at_a_time_works_in_a_clone(forge_yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second one waits for a bounded time and then says busy."""
    monkeypatch.setattr("sslops.repo.store.LOCK_WAIT_SECONDS", 0.1)

    with forge_yard.ops.lock(), pytest.raises(Busy, match="another sslops"), open_ops(forge_yard.clone).lock():
        pass
    with open_ops(forge_yard.clone).lock():
        pass


def test_five_lost_races_are_busy() -> None:
    """The attempt is made five times with pauses between, then the answer is busy."""
    pauses: list[float] = []
    tries: list[int] = []

    def attempt() -> None:
        tries.append(1)
        raise Moved("another run moved 'next' first")

    with pytest.raises(Busy, match="'next'"):
        retrying(attempt, sleep=pauses.append, random=lambda: 0.5)
    assert (5, 4) == (len(tries), len(pauses))
    assert sorted(pauses) == pauses


def test_secrets_do_not_reach_git_and_its_hooks(forge_yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit hook sees the environment that git got: no identity, no token."""
    monkeypatch.setenv("SOPS_AGE_KEY", "not-for-git")
    monkeypatch.setenv("FORGE_TOKEN", "not-for-git")
    install_hook(forge_yard.clone / ".git", "post-commit", f"#!/bin/sh\nenv > {forge_yard.clone}/.git/seen\n")
    ops = open_ops(forge_yard.clone, "gitlab")
    snapshot = ops.refresh()
    ops.write_next(snapshot, [renewed(snapshot, generation(1))])
    seen = (forge_yard.clone / ".git/seen").read_text()

    assert "not-for-git" not in seen
    assert os.environ["PATH"] in seen


def test_each_push_and_checkout_is_an_effect(tmp_path: Path) -> None:
    """A roll without a remote is the push of three branches at once, and the checkout that follows."""
    from contextlib import contextmanager

    seen: list[str] = []

    class Listener:
        @contextmanager
        def effect(self, name: str) -> Iterator[None]:
            seen.append(name)
            yield

    yard = yard_alone(tmp_path)
    yard.ops = open_ops(yard.clone, effects=Listener())
    yard.roll_to(1)

    assert ["push next", "push next sslops/roll main", "checkout main"] == seen


def test_a_repository_without_main_says_so(tmp_path: Path) -> None:
    """The branch is named, with what to do."""
    clone = tmp_path / "empty"
    clone.mkdir()
    git(clone, "init", "--quiet", "--initial-branch=trunk")

    with pytest.raises(GitError, match="no branch 'main'"):
        open_ops(clone).snapshot()


def _make_key(path: Path) -> None:
    import subprocess

    words = [str(need("ssh-keygen")), "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(words, check=True, timeout=30)
