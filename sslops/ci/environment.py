"""Which job of which forge this is, read from the variables that GitLab CI and the Actions of the others set.

Everything here was written by somebody else (a fork's merge request names its own branch), so only what has the
expected form is taken; the rest counts as not said.

>>> job = environment({"GITLAB_CI": "true", "CI_PIPELINE_SOURCE": "schedule", "CI_JOB_URL": "https://git.example.com/-/1"})
>>> job.forge, job.event, job.url
(<Forge.GITLAB: 'gitlab'>, <Event.SCHEDULE: 'schedule'>, 'https://git.example.com/-/1')
>>> environment({}).forge is None
True
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sslops.model.forges import JOBS, Forge

if TYPE_CHECKING:
    from collections.abc import Mapping


RUN_OVERRIDE = "SSLOPS_RUN"
"""Names the run where no forge does, or better than the forge does."""

_MAX_EVENT_BYTES = 4_000_000
_MAX_URL = 500
_URL = re.compile(r"https?://[^\s<>\"'`\\]+")
_LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,500}")
"""What can stand in a trailer without beginning another."""
_PROJECT = re.compile(r"[\w.-]+(?:/[\w.-]+)+")
_BRANCH = re.compile(r"[A-Za-z0-9_][\w./-]{0,200}")
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")
_PULL_REF = re.compile(r"refs/pull/([1-9][0-9]{0,9})/(?:merge|head)")


class Event(StrEnum):
    """Why the job runs."""

    SCHEDULE = "schedule"
    DISPATCH = "dispatch"
    """A person asked for it: a form, or a call of the API."""
    PUSH = "push"
    MERGE_REQUEST = "merge request"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Environment:
    """What a job knows of itself; null is what it was not given, or was given in no sound form.

    *url* is the job's page, *server* and *project* (`owner/name`) where it runs, *merge_request* the number of the
    request it was started for, *source_branch* what that asks to merge, *is_from_fork* whether it comes from another
    project, whose jobs may only read, *default_branch* the one that the forge protects and people review,
    *summary_file* takes Markdown for people, *run* is what stands in `Sslops-Run`.
    """

    forge: Forge | None = None
    event: Event | None = None
    url: str | None = None
    server: str | None = None
    project: str | None = None
    merge_request: int | None = None
    source_branch: str | None = None
    is_from_fork: bool = False
    default_branch: str | None = None
    summary_file: Path | None = None
    run: str | None = None

    @property
    def is_job(self) -> bool:
        """Whether a forge runs this; a laptop and a cron job do not."""
        return self.forge is not None


NO_JOB = Environment()
"""A laptop, or a cron job: no forge runs it."""


def environment(environ: Mapping[str, str], event: Mapping[str, Any] | None = None) -> Environment:
    """Return what *environ* says of this job; *event* is the document that Actions put beside it."""
    told = _matching(_LINE, environ.get(RUN_OVERRIDE))
    forge = next((each for each in JOBS if any(environ.get(name) for name in each.row.job_variables)), None)
    if forge is Forge.GITLAB:
        return _gitlab(environ, told)
    if forge is not None:
        return _actions(environ, event or {}, forge, told)
    return Environment(run=told or _url(environ.get("CI_JOB_URL")))


def event_document(environ: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the event that started a job of Actions; empty when there is none or it cannot be read."""
    path = environ.get("GITHUB_EVENT_PATH")
    if not path:
        return {}
    try:
        with Path(path).open("rb") as file:
            document = json.loads(file.read(_MAX_EVENT_BYTES))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def current(environ: Mapping[str, str]) -> Environment:
    """Return what *environ* and the event document that it names say of this job."""
    return environment(environ, event_document(environ))


def _gitlab(environ: Mapping[str, str], told: str | None) -> Environment:
    url = _url(environ.get("CI_JOB_URL"))
    return Environment(
        forge=Forge.GITLAB,
        event=_GITLAB_EVENTS.get(environ.get("CI_PIPELINE_SOURCE", ""), Event.OTHER),
        url=url,
        server=_url(environ.get("CI_SERVER_URL")),
        project=_matching(_PROJECT, environ.get("CI_PROJECT_PATH")),
        merge_request=_number(environ.get("CI_MERGE_REQUEST_IID")),
        source_branch=_matching(_BRANCH, environ.get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME")),
        is_from_fork=environ.get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID") != environ.get("CI_MERGE_REQUEST_PROJECT_ID"),
        default_branch=_matching(_BRANCH, environ.get("CI_DEFAULT_BRANCH")),
        run=told or url,
    )


def _actions(environ: Mapping[str, str], event: Mapping[str, Any], forge: Forge, told: str | None) -> Environment:
    server = _url(environ.get("GITHUB_SERVER_URL"))
    project = _matching(_PROJECT, environ.get("GITHUB_REPOSITORY"))
    run = _number(environ.get(forge.row.run_variable))
    url = f"{server.rstrip('/')}/{project}/actions/runs/{run}" if server and project and run else None
    summary = environ.get("GITHUB_STEP_SUMMARY") if forge.row.shows_summaries else None
    return Environment(
        forge=forge,
        event=_ACTIONS_EVENTS.get(environ.get("GITHUB_EVENT_NAME", ""), Event.OTHER),
        url=url,
        server=server,
        project=project,
        merge_request=_pull_number(environ, event),
        source_branch=_matching(_BRANCH, environ.get("GITHUB_HEAD_REF")),
        is_from_fork=_is_from_fork(event),
        default_branch=_default_branch(event),
        summary_file=Path(summary) if summary else None,
        run=told or url,
    )


_GITLAB_EVENTS = {
    "schedule": Event.SCHEDULE,
    "web": Event.DISPATCH,
    "api": Event.DISPATCH,
    "trigger": Event.DISPATCH,
    "push": Event.PUSH,
    "merge_request_event": Event.MERGE_REQUEST,
}
_ACTIONS_EVENTS = {
    "schedule": Event.SCHEDULE,
    "workflow_dispatch": Event.DISPATCH,
    "repository_dispatch": Event.DISPATCH,
    "push": Event.PUSH,
    "pull_request": Event.MERGE_REQUEST,
    "pull_request_target": Event.MERGE_REQUEST,
}


def _pull_number(environ: Mapping[str, str], event: Mapping[str, Any]) -> int | None:
    """Return the number from the event, else from the ref that a job of a pull request runs on."""
    request = event.get("pull_request")
    number = request.get("number") if isinstance(request, dict) else None
    if isinstance(number, int) and not isinstance(number, bool) and number > 0:
        return number
    found = _PULL_REF.fullmatch(environ.get("GITHUB_REF", ""))
    return int(found[1]) if found else None


def _is_from_fork(event: Mapping[str, Any]) -> bool:
    """Whether the branch of a pull request is in another repository; a fork that was deleted counts as one."""
    request = event.get("pull_request")
    if not isinstance(request, dict):
        return False
    homes = [_home(request.get(end)) for end in ("head", "base")]
    return homes[0] != homes[1]


def _default_branch(event: Mapping[str, Any]) -> str | None:
    """Return the default branch of the repository that the job runs in."""
    repository = event.get("repository")
    name = repository.get("default_branch") if isinstance(repository, dict) else None
    return _matching(_BRANCH, name) if isinstance(name, str) else None


def _home(end: object) -> object:
    repository = end.get("repo") if isinstance(end, dict) else None
    return repository.get("full_name") if isinstance(repository, dict) else None


def _url(text: str | None) -> str | None:
    found = _matching(_URL, text)
    return found if found is not None and len(found) <= _MAX_URL else None


def _number(text: str | None) -> int | None:
    found = _matching(_NUMBER, text)
    return None if found is None else int(found)


def _matching(pattern: re.Pattern[str], text: str | None) -> str | None:
    return text if text and pattern.fullmatch(text) else None
