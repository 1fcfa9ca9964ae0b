"""Bad luck with git: branches that move, vanish, are rewritten, refused, or must be signed. Nothing is lost."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.rows import rows
from tests.system.story import LONG_TTL, Story, another_clone, ready_to_roll, revert_the_roll, rolled
from tests.world.peers import need
from tests.world.remotes import REFUSE_UNSIGNED, git, install_hook, refuse_ref, remove_hook
from tests.world.site import HOSTS, OWNER
from tests.world.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.world.remotes import Person
    from tests.world.site import Site

WEB = "inventory/example.net/web-ec.yaml"


@pytest.fixture
def long_ttl(start_site: Callable[..., Site]) -> Site:
    """Return a site whose records live for an hour in caches."""
    return start_site(files=LONG_TTL)


def test_a_roll_is_planned_again_when_main_moved_before_its_push(site: Site) -> None:
    """The push expects the main that was planned on; both the edit and the roll are there in the end."""
    story = Story(site)
    story.run("renew", "--apply").succeeded()
    with story.launch("roll", "--apply", options=["--stop-before", "push * main"]) as roll:
        roll.wait_until_held()
        edit = site.ops.edit({WEB: site.ops.show("main", WEB) + "\n# a remark\n"})
        roll.wake()
        roll.finish().succeeded()

    assert story.slot("curr")
    assert site.ops.show("main", WEB).endswith("# a remark")
    assert edit in git(remote(site), "rev-list", "main", "next").split()
    site.sslops("check").succeeded()


def test_deploy_refuses_a_reverted_roll_until_publish_has_brought_the_record_back(long_ttl: Site) -> None:
    """First a hazard that names the record, then a wait with a date, then it goes on by itself."""
    story = rolled(long_ttl)
    old, new = story.slot("prev"), story.slot("curr")
    story.run("publish", "--apply").succeeded()
    story.pass_time()
    revert_the_roll(story)

    assert old == story.slot("curr")

    refused = story.run("deploy", "--apply")

    assert 3 == refused.exit_code
    assert "tlsa-missing" in refused.stdout
    assert dict.fromkeys(HOSTS, new) == story.served()

    story.run("publish", "--apply").succeeded()

    assert ({old, new},) * 2 == story.records()

    waiting = story.run("deploy", "--apply", "--detailed-exitcode")

    assert 4 == waiting.exit_code
    assert "visible on all name servers only since" in waiting.stdout
    assert dict.fromkeys(HOSTS, new) == story.served()

    story.pass_time()
    story.run("deploy", "--apply").succeeded()

    assert dict.fromkeys(HOSTS, old) == story.served()
    assert [] == story.broken()
    assert "was taken back" in story.run("roll", "--apply").succeeded().stdout


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("merge", "--squash"), id="squashed"),
        pytest.param(("cherry-pick",), id="rebased", marks=pytest.mark.soak),
    ],
)
def test_a_roll_that_main_has_in_other_commits_is_the_same_roll(long_ttl: Site, words: tuple[str, ...]) -> None:
    """Whatever a person or a forge made of the commits, the loop goes on and nothing is rolled twice."""
    story = ready_to_roll(long_ttl)
    before = long_ttl.ops.refs()["main"]
    story.run("roll", "--apply").succeeded()
    new = story.slot("curr")
    person = long_ttl.ops._person
    assert person is not None
    rewrite_main(person, before, words)

    assert new == story.slot("curr")

    story.come_to_rest(new)

    assert new == story.slot("curr")
    long_ttl.sslops("check").succeeded()


def test_a_deleted_next_costs_what_was_on_deck_and_nothing_else(long_ttl: Site) -> None:
    """The branch begins again on main; what hosts serve stays, and no record is withdrawn that one may need."""
    story = ready_to_roll(long_ttl)
    curr = story.slot("curr")
    git(remote(long_ttl), "update-ref", "-d", "refs/heads/next")
    for _ in range(2):
        story.run("run", "--apply").succeeded()
        story.pass_time()

        assert [] == story.broken()

    assert curr == story.slot("curr")
    assert dict.fromkeys(HOSTS, curr) == story.served()
    assert curr in story.records()[0] & story.records()[1]
    long_ttl.sslops("check").succeeded()


def test_a_deleted_ledger_is_rebuilt_from_the_hosts_before_anything_is_withdrawn(long_ttl: Site) -> None:
    """Everything is unknown at first; each host is asked with a number above all it has seen."""
    story = rolled(long_ttl)
    old, new = story.slot("prev"), story.slot("curr")
    seen = {name: sequence(long_ttl, name) for name in HOSTS}
    restarts = {name: len(listener.restarts) for name, listener in long_ttl.mail.items()}
    git(remote(long_ttl), "update-ref", "-d", "refs/heads/ledger")
    published = story.run("publish", "--apply").succeeded()

    assert ({old, new},) * 2 == story.records()
    assert f"nothing is withdrawn while {HOSTS[0]} is not verified" in published.stdout

    story.pass_time()
    story.run("deploy", "--apply").succeeded()

    assert dict.fromkeys(HOSTS, new) == story.served()
    assert all(sequence(long_ttl, name) > seen[name] for name in HOSTS)
    assert restarts == {name: len(listener.restarts) for name, listener in long_ttl.mail.items()}

    story.run("publish", "--apply").succeeded()

    assert ({new},) * 2 == story.records()
    assert [] == story.broken()


def test_two_whole_runs_at_once_end_as_one(site: Site) -> None:
    """Two clones, the same moment, everything due: git is the lock, and whoever is slower plans again."""
    story = Story(site)
    beside = another_clone(story)
    with Watch(site.dns, OWNER, list(site.mail.values())):
        for _ in range(2):
            with story.launch("run", "--apply") as one, story.launch("run", "--apply", ops=beside) as other:
                codes = {one.finish().exit_code, other.finish().exit_code}

            assert codes <= {0, 5}

        story.run("run", "--apply").succeeded()
    curr = story.slot("curr")

    assert dict.fromkeys(HOSTS, curr) == story.served()
    assert curr in story.records()[0] & story.records()[1]
    site.sslops("check").succeeded()


@pytest.mark.parametrize("branch", rows(("main", "ledger"), ("main",)))
def test_a_protected_branch_is_named_and_nothing_else_moved(site: Site, branch: str) -> None:
    """The remote refuses one branch of a push; the others stay where they were, and the next run does it all."""
    story = Story(site)
    story.run("renew", "--apply").succeeded()
    verbs = ("roll", "--apply") if branch == "main" else ("run", "--apply")
    install_hook(remote(site), "pre-receive", refuse_ref(f"refs/heads/{branch}"))
    before = site.ops.refs()
    refused = story.run(*verbs)

    assert 1 == refused.exit_code
    assert f"not allowed to push to protected branch refs/heads/{branch}" in refused.stderr
    assert before.get(branch) == site.ops.refs().get(branch)
    assert {None} == set(site.served().values())
    if branch == "main":
        assert before == site.ops.refs()

    remove_hook(remote(site), "pre-receive")
    story.run("run", "--apply").succeeded()

    assert dict.fromkeys(HOSTS, story.slot("curr")) == story.served()


def test_a_refused_dns_push_leaves_an_intent_that_the_next_publish_finishes(site: Site) -> None:
    """The name server's branch is protected for a while; `pending` stays, and is taken over."""
    story = Story(site)
    for verb in ("renew", "roll", "deploy"):
        story.run(verb, "--apply").succeeded()
    install_hook(site.dns.repo, "pre-receive", refuse_ref("refs/heads/main"))
    refused = story.run("publish", "--apply")

    assert 1 == refused.exit_code
    assert "the remote refused branch" in refused.stderr
    assert (frozenset(),) * 2 == story.records()

    remove_hook(site.dns.repo, "pre-receive")
    story.run("publish", "--apply").succeeded()

    assert ({story.slot("curr")},) * 2 == story.records()
    assert "pending: null" in site.ops.show("ledger", "tlsa/example.com.yaml")


def test_every_commit_on_every_branch_is_signed_where_the_remotes_ask_for_it(site: Site) -> None:
    """Two remotes refuse what is not signed: main, next, ledger, sslops/roll and the DNS repository's sslops/tlsa."""
    story = Story(site)
    begun = {repository: git(repository, "rev-parse", "main") for repository in (remote(site), site.dns.repo)}
    public = signing_key(site)
    for repository in begun:
        (repository / "allowed_signers").write_text(f'* namespaces="git" {public}')
        install_hook(repository, "pre-receive", REFUSE_UNSIGNED)
    unsigned = story.run("renew", "--apply")

    assert 1 == unsigned.exit_code
    assert "has no good signature" in unsigned.stderr

    let_git_sign(site)
    for _ in range(2):
        story.run("run", "--apply").succeeded()

    assert {"main", "next", "ledger", "sslops/roll"} <= site.ops.refs().keys()
    assert story.slot("curr") in story.records()[0] & story.records()[1]
    for repository, start in begun.items():
        assert {"G"} == set(git(repository, *signatures(repository), f"^{start}").split())


def remote(site: Site) -> Path:
    """Return the bare ops repository."""
    assert site.ops.remote is not None
    return site.ops.remote


def rewrite_main(person: Person, before: str, words: tuple[str, ...]) -> None:
    """Put an edit on *before*, bring what next has over it in another way than by a merge, and force main there."""
    git(person.clone, "fetch", "--quiet", "origin")
    git(person.clone, "checkout", "--quiet", "--force", "-B", "main", before)
    (person.clone / "remark").write_text("by hand\n")
    git(person.clone, "add", "remark")
    git(person.clone, "commit", "--quiet", "-m", "an edit")
    git(person.clone, *words, f"{before}..origin/next" if words[0] == "cherry-pick" else "origin/next")
    if words[0] == "merge":
        git(person.clone, "commit", "--quiet", "-m", "roll, squashed")
    git(person.clone, "push", "--quiet", "--force", "origin", "main")


def sequence(site: Site, host: str) -> int:
    """Return the highest number that a host has seen."""
    return int((site.hosts[host].prod_cert_dir / ".sslops-seq").read_text())


def signing_key(site: Site) -> str:
    """Make a key to sign with, and return its public half."""
    path = site.folder / "signing"
    words = [str(need("ssh-keygen")), "-q", "-t", "ed25519", "-N", "", "-C", "sslops", "-f", str(path)]
    subprocess.run(words, check=True, timeout=30, stdin=subprocess.DEVNULL)
    return path.with_suffix(".pub").read_text()


def let_git_sign(site: Site) -> None:
    """Configure git as an operator would whose remotes ask for signatures."""
    config = site.folder / "home/.gitconfig"
    lines = f"[gpg]\n    format = ssh\n[user]\n    signingkey = {site.folder}/signing\n[commit]\n    gpgsign = true\n"
    config.write_text(config.read_text() + lines)


def signatures(repository: Path) -> tuple[str, ...]:
    """Return the words that print a letter about the signature of each commit of every branch."""
    return "-c", f"gpg.ssh.allowedSignersFile={repository}/allowed_signers", "log", "--format=%G?", "--branches"
