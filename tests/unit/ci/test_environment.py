"""What a job of each forge knows of itself, and that nothing unsound is believed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sslops.ci.environment import Environment, Event, current, environment
from sslops.model.forges import Forge

if TYPE_CHECKING:
    from pathlib import Path

GITLAB = {
    "GITLAB_CI": "true",
    "CI_SERVER_URL": "https://gitlab.example.com",
    "CI_PROJECT_PATH": "infra/certs",
    "CI_PIPELINE_SOURCE": "merge_request_event",
    "CI_MERGE_REQUEST_IID": "12",
    "CI_JOB_URL": "https://gitlab.example.com/infra/certs/-/jobs/4711",
}
GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "example/certs",
    "GITHUB_RUN_ID": "998877",
    "GITHUB_RUN_NUMBER": "7",
    "GITHUB_EVENT_NAME": "pull_request",
    "GITHUB_REF": "refs/pull/12/merge",
}


def test_gitlab_tells_its_job() -> None:
    """The page of the job, the project, and the merge request it was started for."""
    job = environment(GITLAB)

    assert (Forge.GITLAB, Event.MERGE_REQUEST, 12) == (job.forge, job.event, job.merge_request)
    assert ("https://gitlab.example.com", "infra/certs") == (job.server, job.project)
    assert "https://gitlab.example.com/infra/certs/-/jobs/4711" == job.url == job.run


def test_github_is_found_by_the_id_of_the_run() -> None:
    """The page of the run, put together from what GitHub says."""
    job = environment(GITHUB)

    assert (Forge.GITHUB, Event.MERGE_REQUEST, 12) == (job.forge, job.event, job.merge_request)
    assert "https://github.com/example/certs/actions/runs/998877" == job.url == job.run


def test_forgejo_counts_the_runs_of_a_repository() -> None:
    """It sets GitHub's variables too, but its pages have the number of the run."""
    job = environment(GITHUB | {"FORGEJO_ACTIONS": "true", "GITHUB_SERVER_URL": "https://forgejo.example.com"})

    assert Forge.FORGEJO == job.forge
    assert "https://forgejo.example.com/example/certs/actions/runs/7" == job.url


@pytest.mark.parametrize(
    ("said", "event"),
    [
        ({"GITLAB_CI": "true", "CI_PIPELINE_SOURCE": "schedule"}, Event.SCHEDULE),
        ({"GITLAB_CI": "true", "CI_PIPELINE_SOURCE": "web"}, Event.DISPATCH),
        ({"GITLAB_CI": "true", "CI_PIPELINE_SOURCE": "push"}, Event.PUSH),
        ({"GITLAB_CI": "true", "CI_PIPELINE_SOURCE": "chat"}, Event.OTHER),
        ({"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "schedule"}, Event.SCHEDULE),
        ({"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "workflow_dispatch"}, Event.DISPATCH),
        ({"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push"}, Event.PUSH),
        ({}, None),
    ],
)
def test_why_a_job_runs(said: dict[str, str], event: Event | None) -> None:
    """Schedules, forms, pushes and merge requests are told apart; a laptop is none of them."""
    assert event == environment(said).event


def test_the_event_document_names_the_request(tmp_path: Path) -> None:
    """A job that runs on the base branch learns the number from the event alone."""
    (tmp_path / "event.json").write_text(json.dumps({"pull_request": {"number": 31}}))
    said = GITHUB | {"GITHUB_REF": "refs/heads/main", "GITHUB_EVENT_PATH": str(tmp_path / "event.json")}

    assert 31 == current(said).merge_request


@pytest.mark.parametrize(
    ("event", "is_from_fork"),
    [
        ({}, False),
        ({"pull_request": {"head": {"repo": {"full_name": "a/b"}}, "base": {"repo": {"full_name": "a/b"}}}}, False),
        ({"pull_request": {"head": {"repo": {"full_name": "c/b"}}, "base": {"repo": {"full_name": "a/b"}}}}, True),
        ({"pull_request": {"head": {"repo": None}, "base": {"repo": {"full_name": "a/b"}}}}, True),
    ],
)
def test_a_request_from_a_fork_is_known(event: dict[str, object], is_from_fork: bool) -> None:
    """Its branch is in another repository, or in one that was deleted."""
    assert is_from_fork == environment(GITHUB, event).is_from_fork


def test_gitlab_tells_a_fork_by_its_project() -> None:
    """Two numbers that differ."""
    ids = {"CI_MERGE_REQUEST_PROJECT_ID": "7", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "8"}

    assert environment(GITLAB | ids).is_from_fork
    assert not environment(GITLAB).is_from_fork


@pytest.mark.parametrize("content", ["", "[]", "{", '{"pull_request": {"number": "31"}}', '{"pull_request": [1]}'])
def test_an_unsound_event_document_says_nothing(tmp_path: Path, content: str) -> None:
    """It is a file that somebody wrote."""
    (tmp_path / "event.json").write_text(content)
    said = GITHUB | {"GITHUB_REF": "refs/heads/main", "GITHUB_EVENT_PATH": str(tmp_path / "event.json")}

    assert current(said).merge_request is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CI_JOB_URL", "https://gitlab.example.com/1\nSslops-Action: roll"),
        ("CI_JOB_URL", "javascript:alert(1)"),
        ("CI_JOB_URL", "https://" + "a" * 600),
        ("CI_PROJECT_PATH", "infra/certs\n"),
        ("CI_MERGE_REQUEST_IID", "1; rm -rf /"),
    ],
)
def test_what_has_another_form_is_not_believed(name: str, value: str) -> None:
    """A value that could pose as something else counts as not said."""
    sound, spoiled = environment(GITLAB), environment(GITLAB | {name: value})
    lost = {field for field in Environment.__slots__ if getattr(sound, field) != getattr(spoiled, field)}

    assert lost
    assert all(getattr(spoiled, field) is None for field in lost)


def test_a_run_can_be_named_by_hand() -> None:
    """`SSLOPS_RUN` goes before what the forge says."""
    assert "cron on tuesday" == environment(GITLAB | {"SSLOPS_RUN": "cron on tuesday"}).run
    assert "cron on tuesday" == environment({"SSLOPS_RUN": "cron on tuesday"}).run


def test_a_name_that_would_be_more_than_a_trailer_names_no_run() -> None:
    """Whoever starts a pipeline may set the variable; the job's own address stands in its place."""
    assert GITLAB["CI_JOB_URL"] == environment(GITLAB | {"SSLOPS_RUN": "x\nSslops-Action: roll"}).run
