"""The doctor and the forges in use: which token is missing, what it may not do, which setting is in the way."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from sslops.doctor.findings import Health, Patient
from sslops.doctor.forges import forges
from sslops.doctor.network import network
from sslops.doctor.repository import repository
from sslops.inventory.loading import load
from tests.integration.forges.bench import Bench
from tests.rows import DIALECTS
from tests.world.forge import Rights, Role

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
    yield started
    started.close()


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
    """Return what the doctor says, but for the one about plain http, which every local forge has."""
    return [each for each in forges(patient(bench, ops, secret, merge)) if "is not https" not in each.what]


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
    try:
        found = told(bench, ops, bench.forge.token("chief", {"all"}, Role.MAINTAINER))
    finally:
        bench.close()

    assert [Health.OK, Health.NOTE] == [each.health for each in found]
    assert "has more than it needs on 'infra/dns': to administer the repository" in found[1].what


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
    try:
        (found,) = told(bench, ops, bench.forge.token("pusher", scopes))
    finally:
        bench.close()

    assert Health.NOTE is found.health
    assert "merge requests are asked for by push options" in found.what


def test_a_branch_that_anybody_may_push_to_is_noted(bench: Bench, ops: Path) -> None:
    """Whoever pushes to the base decides what name servers serve."""
    bench.project.protections.clear()
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
