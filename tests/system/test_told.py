"""What people are told on each forge beside merge requests: the dashboard, and the plan of a request."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.unit.report.markdown import html
from tests.world.forge import Forge, Project, Rights
from tests.world.ops import OpsRepository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest import FixtureRequest  # noqa: PT013  (a type only)

NAME = "infra/certs"
JOB = {
    "gitlab": {"GITLAB_CI": "true", "CI_PROJECT_PATH": NAME, "CI_MERGE_REQUEST_IID": "1"},
    "github": {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": NAME, "GITHUB_REF": "refs/pull/1/merge"},
    "forgejo": {"FORGEJO_ACTIONS": "true", "GITHUB_REPOSITORY": NAME, "GITHUB_REF": "refs/pull/1/head"},
}
WEB = "inventory/example.com/web-ec.yaml"


def files(dialect: str) -> dict[str, str]:
    """Return a small inventory without DNS and hosts, whose project is on a forge."""
    return {
        "inventory/sslops.yaml": (
            f"repo: {{forge: {dialect}, project: {NAME}}}\n"
            "groups:\n  - {domain: example.com, active: true, services: ALL}\n"
            "  - {domain: ca, active: true, services: ALL}\n"
        ),
        "inventory/cas.yaml": "my-root: {ca_type: self}\n",
        "inventory/ca/my-root.yaml": "signing_ca: self\nx509: {CN: Root}\nca: {sign_end_days: 90}\n",
        WEB: "signing_ca: my-root\nx509: {CN: www.example.com, sans: [www.example.com]}\n",
    }


@dataclass(frozen=True)
class Told:
    """A clone, its project with one open request from `topic`, and what a job of that request finds around it."""

    ops: OpsRepository
    forge: Forge
    project: Project
    job: dict[str, str]

    @property
    def comments(self) -> list[str]:
        """What stands below the request."""
        return [comment.text for comment in self.project.request(1).comments if not comment.is_system]


EACH = pytest.mark.parametrize("told", ["gitlab", "github", "forgejo"], indirect=True)
ONE = pytest.mark.parametrize("told", ["github"], indirect=True)


@pytest.fixture
def told(request: FixtureRequest, world_folder: Path) -> Iterator[Told]:
    """Yield a repository and its project on each kind of forge."""
    dialect = str(request.param)
    ops = OpsRepository(world_folder, files(dialect))
    with Forge(world_folder / "forge", dialect) as forge:
        project = forge.project(NAME)
        ops.git("checkout", "--quiet", "-b", "topic")
        ops.git("push", "--quiet", str(project.path), "main", "topic")
        project.open(forge.user("somebody"), "topic", "main", "More names", "")
        server = {"CI_SERVER_URL" if dialect == "gitlab" else "GITHUB_SERVER_URL": forge.url}
        token = {"SSLOPS_FORGE_TOKEN": forge.token("sslops", Rights.ALL)}
        yield Told(ops, forge, project, JOB[dialect] | server | token)


@EACH
def test_a_request_is_told_what_its_inventory_changes(told: Told) -> None:
    """One comment, left alone when the plan is the same."""
    (told.ops.folder / WEB).write_text("signing_ca: my-root\nx509: {CN: a.example.com, sans: [a.example.com]}\n")
    for _ in range(2):
        told.ops.sslops("plan", "--comment", environment=told.job).succeeded()

    assert ["**This merge request changes 1 service"] == [text.partition(";")[0] for text in told.comments]
    assert "names come: <code>a.example.com</code>" in html(told.comments[0])
    assert 1 == len(told.project.writes)


@ONE
def test_a_request_is_told_what_is_wrong_with_its_inventory(told: Told) -> None:
    """Every fault with its place; the job fails."""
    (told.ops.folder / WEB).write_text("signing_ca: nobody\n")
    done = told.ops.sslops("plan", "--comment", environment=told.job)

    assert 1 == done.exit_code
    assert f"<code>{WEB}:1:" in html(told.comments[0])


@ONE
def test_a_job_without_a_token_shows_the_plan_alone(told: Told) -> None:
    """A fork's request is given none, and its job is not to fail for that."""
    without = {name: value for name, value in told.job.items() if name != "SSLOPS_FORGE_TOKEN"}
    done = told.ops.sslops("plan", "--comment", environment=without).succeeded()

    assert "there is no certificate yet" in done.stdout
    assert "SSLOPS_FORGE_TOKEN is not set, so the plan was not written as a comment" in done.stderr
    assert [] == told.comments


@ONE
def test_a_fork_whose_job_may_only_read_is_shown_the_plan_alone(told: Told) -> None:
    """The forge gives its job a token all the same, which would be refused."""
    event = {"pull_request": {"number": 1, "head": {"repo": None}, "base": {"repo": {"full_name": NAME}}}}
    (told.ops.folder.parent / "event.json").write_text(json.dumps(event))
    job = {name: value for name, value in told.job.items() if name != "SSLOPS_FORGE_TOKEN"}
    job |= {"GITHUB_TOKEN": told.job["SSLOPS_FORGE_TOKEN"], "GITHUB_EVENT_PATH": f"{told.ops.folder.parent}/event.json"}
    done = told.ops.sslops("plan", "--comment", environment=job).succeeded()

    assert "a job of a request from a fork may only read, so the plan was not written" in done.stderr
    assert [] == told.comments


@ONE
def test_a_change_of_main_is_not_told_as_one_of_the_request(told: Told) -> None:
    """What the branch lacks of main is no difference that it makes."""
    told.ops.git("checkout", "--quiet", "main")
    told.ops.edit({"inventory/example.com/new.yaml": (told.ops.folder / WEB).read_text()})
    told.ops.git("checkout", "--quiet", "topic")
    told.ops.sslops("plan", "--comment", environment=told.job).succeeded()

    assert "**Nothing changes for certificates, DNS or hosts.**" == told.comments[0].partition("\n")[0]


@EACH
def test_a_roll_keeps_one_dashboard(told: Told) -> None:
    """It links the request that waits for a person; a second run has nothing to write."""
    told.ops.git("checkout", "--quiet", "main")
    told.ops.git("remote", "set-url", "origin", str(told.project.path))
    told.ops.sslops("renew", "--apply", environment=told.job).succeeded()
    for _ in range(2):
        told.ops.sslops("roll", "--apply", environment=told.job).succeeded()
    (issue,) = told.project.issues.values()
    request = told.project.requests()[0]

    assert "Certificates: where everything stands" == issue.title
    assert "<li>To be merged or closed: <a href=" in html(issue.body)
    assert "<code>example.com/web-ec</code></td>\n<td>proposed" in html(issue.body)
    assert "<strong>Make 2 certificates live.</strong>" in html(request.body)
    assert 2 == len(told.project.writes), told.project.writes


@ONE
def test_a_token_that_has_expired_fails_no_roll(told: Told) -> None:
    """The dashboard is said to be missing, and nothing else."""
    told.ops.git("checkout", "--quiet", "main")
    expired = told.forge.token("sslops", Rights.ALL, is_expired=True)
    done = told.ops.sslops("roll", "--apply", environment=told.job | {"SSLOPS_FORGE_TOKEN": expired}).succeeded()

    assert "the dashboard was not written" in done.stderr
    assert [] == told.project.writes


@ONE
def test_outside_a_job_somebody_says_which_request(told: Told) -> None:
    """Without a number it is a usage error with the way out."""
    done = told.ops.sslops("plan", "--comment", environment={"SSLOPS_FORGE_TOKEN": "x"})

    assert 2 == done.exit_code
    assert "hint: sslops plan --comment --request NUMBER" in done.stderr


@ONE
def test_status_fetches_with_the_token_that_the_job_was_given(told: Told) -> None:
    """As every other verb does: over https nothing else opens the repository."""
    told.ops.git("checkout", "--quiet", "main")
    told.ops.git("remote", "set-url", "origin", told.project.http_url)
    nobody = told.ops.sslops("status", "--fetch")

    assert 1 == nobody.exit_code
    assert "example.com" in told.ops.sslops("status", "--fetch", environment=told.job).succeeded().stdout
