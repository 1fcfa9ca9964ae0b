"""The doctor and the forges in use: which token is missing, what it may not do, which setting is in the way."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from sslops.doctor.findings import Health, Patient
from sslops.doctor.forges import forges
from sslops.doctor.network import network
from sslops.doctor.repository import repository
from sslops.inventory.loading import load
from tests.integration.forges.bench import Bench
from tests.rows import DIALECTS
from tests.world.forge import Rights, Role
from tests.world.forge.protection import Protection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sslops.doctor.findings import Finding

INVENTORY = """\
groups: []
dns:
  repo: {{url: "{url}", branch: main, forge: {kind}, project: infra/dns}}
  tlsa_dirs: [include]
  merge: {{tlsa: {merge}}}
"""


@pytest.fixture(params=DIALECTS)
def bench(world_folder: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Yield a forge of each kind in turn."""
    started = Bench(world_folder / "forge", request.param)
    started.secret = started.forge.token("sslops-bot", role=Role.DEVELOPER)
    for branch in ("sslops/tlsa", "sslops/acme"):
        guard(started, branch)
    yield started
    started.close()


def guard(bench: Bench, branch: str, *, is_forward: bool = False) -> None:
    """Protect a branch of the engine's as the guide of the forge says; nothing where Forgejo's rule would stop it."""
    rules = Protection(may_push=None, may_force=not is_forward, pushers={"sslops-bot"}, is_ruleset=True)
    if is_forward or bench.kind != "forgejo":
        bench.project.protections[branch] = rules


@pytest.fixture
def ops(tmp_path: Path) -> Path:
    """Return a repository without a remote."""
    subprocess.run(["git", "init", "-q", str(tmp_path / "ops")], timeout=30, check=True)
    return tmp_path / "ops"


def patient(bench: Bench, ops: Path, secret: str | None, merge: str = "review") -> Patient:
    """Return a machine whose DNS repository is on the forge; *secret* is its token there."""
    text = INVENTORY.format(url=bench.project.http_url, kind=bench.kind, merge=merge)
    environ = dict(os.environ) | ({"SSLOPS_DNS_TOKEN": secret} if secret else {})
    return Patient(environ, datetime.now(UTC), ops, load({"inventory/sslops.yaml": text.encode()}))


def told(bench: Bench, ops: Path, secret: str | None, merge: str = "review") -> list[Finding]:
    """Return what the doctor says, but for what is so on every local forge: plain http, rules that are not shown."""
    found = forges(patient(bench, ops, secret, merge))
    usual = ("is not https", "administrators see only", "no rule of Forgejo")
    return [each for each in found if not any(words in each.what for words in usual)]


def test_a_good_token_is_well(bench: Bench, ops: Path) -> None:
    """The project is protected, the token may propose."""
    assert [(Health.OK, "'infra/dns' can be reached with SSLOPS_DNS_TOKEN")] == [
        (each.health, each.what) for each in told(bench, ops, bench.secret)
    ]


LACKING = {
    "write:issue": ("forgejo", {"write:repository", "read:user"}, "comment and keep the dashboard"),
    "write:repository": ("gitea", {"read:repository", "write:issue", "read:user"}, "open and edit pull requests"),
    "read:user": ("gitea", {"write:repository", "write:issue"}, "tell its own comments from others'"),
    "Contents: write": ("github", {"contents:read", "pull_requests:write", "metadata:read"}, "push and merge"),
    "Pull requests: write": (
        "github",
        {"contents:write", "pull_requests:read", "metadata:read"},
        "open and edit pull requests",
    ),
}


@pytest.mark.parametrize("right", LACKING)
def test_a_right_that_is_lacking_is_named_by_trying_it(world_folder: Path, ops: Path, right: str) -> None:
    """By a call that is refused without it; nothing on the forge changes."""
    kind, scopes, work = LACKING[right]
    bench = Bench(world_folder / "forge", kind)
    try:
        found = told(bench, ops, bench.forge.token("bot", scopes, Role.DEVELOPER))
        statuses = [call.status for call in bench.project.calls if call.is_write]
    finally:
        bench.close()

    lacking = [each.what for each in found if each.health is Health.MISSING]
    assert [True] == [right in each and work in each for each in lacking], lacking
    assert set(statuses) <= {403, 404, 422}


def test_more_than_is_needed_is_noted(world_folder: Path, ops: Path) -> None:
    """An administrator's token on Forgejo."""
    bench = Bench(world_folder / "forge", "forgejo")
    bench.project.protection().may_push = None
    try:
        found = told(bench, ops, bench.forge.token("chief", {"all"}, Role.MAINTAINER))
    finally:
        bench.close()

    assert [Health.OK, Health.NOTE] == [each.health for each in found]
    assert "has more than it needs on 'infra/dns': to administer the repository" in found[1].what


def test_what_a_fine_grained_token_may_look_at_for_no_use_is_noted(world_folder: Path, ops: Path) -> None:
    """GitHub tells its permissions to nobody, so lists that only they show are asked for; and the day it ends."""
    bench = Bench(world_folder / "forge", "github")
    guard(bench, "sslops/*")
    scopes = {"contents:write", "pull_requests:write", "metadata:read", "statuses:read", "secrets:read"}
    try:
        seen = patient(bench, ops, bench.forge.token("sslops-bot", scopes, Role.DEVELOPER))
        found = list(forges(replace(seen, now=datetime(2035, 12, 25, tzinfo=UTC))))
    finally:
        bench.close()

    notes = [each.what for each in found if each.health is Health.NOTE and "is not https" not in each.what]
    assert [
        "the token in SSLOPS_DNS_TOKEN has more than it needs on 'infra/dns': 'Secrets'",
        "the token in SSLOPS_DNS_TOKEN expires on 2036-01-01",
    ] == notes


@pytest.mark.parametrize(("kind", "is_stopped"), [("forgejo", True), ("gitea", False)])
def test_a_rule_that_stops_the_engine_is_named(world_folder: Path, ops: Path, kind: str, is_stopped: bool) -> None:
    """Forgejo cannot allow force pushes in a rule; Gitea can."""
    bench = Bench(world_folder / "forge", kind)
    bench.project.protection("sslops/tlsa").may_push = Role.DEVELOPER
    try:
        found = told(bench, ops, bench.forge.token("sslops-bot", role=Role.DEVELOPER))
    finally:
        bench.close()

    stopped = [each.what for each in found if each.health is Health.MISSING]
    assert is_stopped == bool(stopped)
    assert all("'sslops/tlsa' of 'infra/dns' has a rule that forbids force pushes" in each for each in stopped)


SAFE = Protection(may_push=None, required_approvals=1, required_checks=("sslops check",), is_ruleset=True)
"""What the guides ask of main."""


def of_ops(bench: Bench, ops: Path, role: Role = Role.MAINTAINER) -> list[tuple[Health, str]]:
    """Return what the doctor says of the rules of the ops project, `infra/dns` here, to a token of the bot's."""
    inventory = f"groups: []\nrepo: {{forge: {bench.kind}, project: infra/dns, forge_url: '{bench.forge.url}'}}\n"
    environ = dict(os.environ) | {"SSLOPS_FORGE_TOKEN": bench.forge.token("sslops-bot", role=role)}
    seen = Patient(environ, datetime.now(UTC), ops, load({"inventory/sslops.yaml": inventory.encode()}))
    begins = ("'main'", "'next'", "'ledger'", "'sslops/roll'", "no rule of", "'infra/dns' shows")
    return [(each.health, each.what) for each in forges(seen) if each.what.startswith(begins)]


@pytest.fixture
def guarded(bench: Bench) -> Bench:
    """Return a forge whose ops project has the rules that the guide asks for."""
    for branch in ("next", "ledger", "sslops/roll"):
        bench.commit(branch, "state")
    bench.project.ci_config_path = ".gitlab-ci.yml@infra/dns:main"
    bench.project.protections = {"main": replace(SAFE)}
    guard(bench, "next")
    guard(bench, "ledger", is_forward=True)
    guard(bench, "sslops/*")
    return bench


def test_the_rules_of_the_guide_are_enough(guarded: Bench, ops: Path) -> None:
    """Nothing is missing and nothing is noted, but on Forgejo who else is let in, where no rule can be had."""
    guarded.forge.user("colleague", Role.DEVELOPER)
    found = of_ops(guarded, ops)

    if guarded.kind == "forgejo":
        assert [Health.NOTE] == [health for health, _ in found]
        assert "no rule of Forgejo keeps others from the bot's branches of 'infra/dns'; let in are also:" in found[0][1]
        assert "colleague" in found[0][1]
    else:
        assert [] == found


def test_a_ci_file_that_the_bots_branches_choose_is_noted(guarded: Bench, ops: Path) -> None:
    """GitLab shows protected variables to the pipelines of every protected branch; the others have no such thing."""
    guarded.project.ci_config_path = None
    said = [what for _, what in of_ops(guarded, ops) if "shows protected variables" in what]

    assert int(guarded.kind == "gitlab") == len(said)


@pytest.mark.parametrize("branch", ["next", "ledger", "sslops/*"])
def test_a_branch_of_the_engine_without_a_rule_is_noted(guarded: Bench, ops: Path, branch: str) -> None:
    """Whoever may write to the project would push there; a token that may not see the rules learns that too."""
    guarded.project.protections.pop(branch, None)
    name = branch.replace("*", "roll")

    for role in (Role.MAINTAINER, Role.DEVELOPER):
        said = [what for health, what in of_ops(guarded, ops, role) if health is Health.NOTE]
        lets_in = [what for what in said if what.startswith(f"'{name}'") and "has no rule" in what]
        assert (guarded.kind != "forgejo" or branch == "ledger") == bool(lets_in), said


def test_a_rule_that_lets_others_push_is_noted(guarded: Bench, ops: Path) -> None:
    """Named, where the forge names them to an administrator; GitHub does not say who may bypass."""
    rules = guarded.project.protections["ledger"]
    rules.pushers.add(guarded.forge.user("colleague", Role.DEVELOPER).name)
    said = [what for _, what in of_ops(guarded, ops) if what.startswith("'ledger'")]

    who = "'ledger' of 'infra/dns' has a rule that lets others push: colleague"
    assert ([] if guarded.kind == "github" else [who]) == said


def test_a_ledger_that_may_be_rewritten_is_noted(guarded: Bench, ops: Path) -> None:
    """It only ever goes forward; what goes back is somebody's attempt to have something forgotten."""
    guarded.project.protections["ledger"].may_force = True
    said = [what for _, what in of_ops(guarded, ops) if what.startswith("'ledger'")]

    # Forgejo's rules never allow it.
    assert (guarded.kind != "forgejo") == any("has a rule that allows force pushes" in what for what in said)


@pytest.mark.parametrize(
    ("loose", "words"),
    [
        ({"may_push": Role.DEVELOPER, "required_approvals": 0}, "can be pushed to without a merge request"),
        ({"required_checks": ()}, "does not require the check of 'sslops check'"),
        ({"required_approvals": 0}, "requires no approval"),
    ],
    ids=["pushes", "checks", "approvals"],
)
def test_what_the_rule_of_main_lacks_is_noted(guarded: Bench, ops: Path, loose: dict[str, Any], words: str) -> None:
    """Whoever gets to main past a review decides what is served."""
    guarded.project.protections["main"] = replace(SAFE, **loose)
    said = [what for _, what in of_ops(guarded, ops) if what.startswith("'main'")]

    assert any(words in what for what in said), said


def test_next_can_be_protected_on_forgejo_where_nobody_rebases(world_folder: Path, ops: Path) -> None:
    """The engine rewrites it after a rebased merge only, so a rule that forbids force pushes is in nobody's way."""
    bench = Bench(world_folder / "forge", "forgejo")
    bench.commit("next", "state")
    bench.project.protections["next"] = Protection(may_push=None, pushers={"sslops-bot"})
    try:
        before = [each for each in of_ops(bench, ops) if each[1].startswith("'next'")]
        bench.project.merge_methods -= {"rebase", "rebase-merge"}
        after = [each for each in of_ops(bench, ops) if each[1].startswith("'next'")]
    finally:
        bench.close()

    assert [Health.MISSING] == [health for health, _ in before]
    assert [] == after


@pytest.mark.parametrize(("rights", "may"), [(Rights.ALL, True), (Rights.READ, False)])
def test_whether_git_may_push_is_tried(bench: Bench, ops: Path, rights: Rights, may: bool) -> None:
    """By a dry run, which sends nothing; a token that only reads is told so for the verbs that push."""
    who = ("-c", "user.name=p", "-c", "user.email=p@example.com")
    subprocess.run(["git", "-C", ops, *who, "commit", "-q", "--allow-empty", "-m", "x"], timeout=30, check=True)
    seen = patient(bench, ops, bench.forge.token("sslops-bot", rights, Role.DEVELOPER))
    heads = bench.project.repository.branches()
    (found,) = [each for each in network(seen) if each.name == "push"]

    assert (Health.OK if may else Health.MISSING) is found.health, found.what
    assert heads == bench.project.repository.branches()


def test_no_token_is_missing_for_the_verbs_that_propose(bench: Bench, ops: Path) -> None:
    """Named, with the variable; other verbs do without."""
    found = told(bench, ops, None)

    assert [(Health.MISSING, ("publish", "run"))] == [(each.health, each.verbs) for each in found]
    assert "SSLOPS_DNS_TOKEN is not set" in found[0].what


def test_a_token_that_may_not_propose_is_missing_too(bench: Bench, ops: Path) -> None:
    """A reader's: by its scopes on GitLab, by the account's rights elsewhere."""
    secret = bench.forge.token("reader", Rights.READ, Role.REPORTER)
    found = told(bench, ops, secret)

    assert Health.MISSING is found[0].health
    assert "may not propose changes to 'infra/dns'" in found[0].what


@pytest.mark.parametrize("scopes", [("write_repository",), ("read_api", "write_repository")])
def test_a_token_of_gitlab_that_may_only_push_is_noted(world_folder: Path, ops: Path, scopes: tuple[str, ...]) -> None:
    """Merge requests are asked for by the push then, so nothing is missing."""
    bench = Bench(world_folder / "forge", "gitlab")
    guard(bench, "sslops/*")
    bench.project.protection().may_push = None
    try:
        (found,) = told(bench, ops, bench.forge.token("sslops-bot", scopes))
    finally:
        bench.close()

    assert Health.NOTE is found.health
    assert "merge requests are asked for by push options" in found.what


def test_a_branch_that_anybody_may_push_to_is_noted(bench: Bench, ops: Path) -> None:
    """Whoever pushes to the base decides what name servers serve."""
    bench.project.protections.pop("main")
    notes = [each.what for each in told(bench, ops, bench.secret) if each.health is Health.NOTE]

    assert ["'main' of 'infra/dns' is not protected: whoever may push decides what is served"] == notes


def test_ways_to_merge_that_lose_signatures_are_noted(bench: Bench, ops: Path) -> None:
    """Only where commits are signed."""
    bench.project.fast_forwards = True
    assert [] == [each for each in told(bench, ops, bench.secret) if "signed" in each.what]
    subprocess.run(["git", "-C", str(ops), "config", "user.signingkey", "~/key"], timeout=30, check=True)

    notes = [each.what for each in told(bench, ops, bench.secret) if each.health is Health.NOTE]
    assert 1 == len(notes)
    assert "makes new ones without our signature" in notes[0]


def test_a_forge_that_is_elsewhere_is_told(bench: Bench, ops: Path) -> None:
    """Nobody answers: an error with the project's name, and the doctor goes on."""
    bench.project.forge.faults.bad_gateway(99)
    seen = patient(bench, ops, bench.secret)
    bench.close()
    found = list(_without_waiting(seen))

    assert [Health.MISSING] == [each.health for each in found]
    assert "'infra/dns' on" in found[0].what


def test_git_reaches_the_dns_repository_with_the_same_token(bench: Bench, ops: Path) -> None:
    """What publish will push with is what the doctor tries."""
    found = [each for each in network(patient(bench, ops, bench.secret)) if each.name == "dns repository"]

    assert [(Health.OK, "its branch 'main' can be read")] == [(each.health, each.what) for each in found]


def test_without_a_forge_nothing_is_asked(ops: Path) -> None:
    """The engine merges by itself."""
    inventory = load({"inventory/sslops.yaml": b"groups: []\n"})

    assert [] == list(forges(Patient({}, datetime.now(UTC), ops, inventory)))
    assert [] != list(repository(Patient(dict(os.environ), datetime.now(UTC), ops, inventory)))


def _without_waiting(seen: Patient) -> Iterator[Finding]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sslops.doctor.forges.time.sleep", lambda _: None)
        yield from forges(seen)
