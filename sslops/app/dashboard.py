"""What people read on the forge beside merge requests: the dashboard, and the plan of a request for the inventory.

The dashboard is a courtesy: that it could not be written is said, and fails nothing. A comment that the forge does not
take is a failure beside the plan; a job without a token says so and shows the plan alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sslops.app.descriptions import keep_overflow
from sslops.app.forges import Project, ops_project
from sslops.errors import Moved, SslopsError, UsageError
from sslops.inventory.loading import load
from sslops.model.forges import NO_FORGE
from sslops.model.plan import Verb
from sslops.model.proposal import Kind
from sslops.repo.git_history import last_actions
from sslops.repo.snapshot import INVENTORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sslops.app.outcome import Outcome
    from sslops.app.session import Session
    from sslops.app.site import Site
    from sslops.errors import Faults
    from sslops.model.inventory import Inventory
    from sslops.model.proposal import MergeRequest
    from sslops.proposals.ports import ForgeProject
    from sslops.repo.snapshot import Snapshot
    from sslops.report.dashboard import LastRun
    from sslops.report.text import Written


_LAST_COMMITS = 500
"""How far back the newest change by each verb is looked for."""


def with_dashboard(act: Callable[[Site], Outcome]) -> Callable[[Site], Outcome]:
    """Return *act* with the dashboard brought up to date after it, whatever came of it."""

    def acted(site: Site) -> Outcome:
        try:
            outcome = act(site)
        except Moved:
            raise  # it is done again from the start
        except SslopsError:
            tell_dashboard(site)
            raise
        tell_dashboard(site)
        return outcome

    return acted


def tell_dashboard(site: Site) -> None:
    """Bring the dashboard up to date where the ops project is on a forge and its token is at hand."""
    project, _ = site.projects
    if project is None or project.token.secret is None:
        return
    try:
        _tell(site, project.open())
    except SslopsError as error:
        site.session.say(f"the dashboard was not written: {error.what}")


def comment_plan(site: Site, outcome: Outcome, number: int) -> Outcome:
    """Write what the working tree's inventory changes as a comment on request *number*; return the outcome with it."""
    from sslops.report.plan_comment import CommentView, differences, plan_comment

    try:
        base = load(site.ops.git.files(_fork(site), INVENTORY))
        project = _project(base, site)
        if _is_mute(site.session, project):
            return outcome
        forge = project.open()
        before = replace(site, inventory=base).plan().plan
        failures = tuple(error.what for error in outcome.failures)
        view = CommentView(differences(base, site.inventory), before, outcome.plan, failures, forge.body_limit)
        _remark(site.session, forge, number, plan_comment(view))
    except SslopsError as error:
        return replace(outcome, failures=(*outcome.failures, error))
    return outcome


def comment_faults(session: Session, error: Faults, number: int) -> None:
    """Write the faults of the working tree's inventory in place of a plan, in a job that says whose request it is."""
    from sslops.report.plan_comment import faults_comment

    project = _project_of_job(session)
    if project is None or _is_mute(session, project):
        return
    try:
        forge = project.open()
        _remark(session, forge, number, faults_comment(error, forge.body_limit))
    except SslopsError as failure:
        session.say(f"the comment was not written: {failure.what}")


def request_number(session: Session, asked: int | None) -> int:
    """Return the number of the merge request to comment on: *asked*, else that of this job; UsageError without one."""
    number = asked or session.job.merge_request
    if number is None:
        message = "this is no job of a merge request, so nothing says where the comment belongs"
        raise UsageError(message, hint="sslops plan --comment --request NUMBER")
    return number


# The dashboard.


def _tell(site: Site, forge: ForgeProject) -> None:
    from sslops.inventory.reach import deliveries
    from sslops.pki.stored import StoredMaterial
    from sslops.report.dashboard import ARTIFACT, MARKER, TITLE, dashboard, dashboard_view
    from sslops.report.status import receivers, status_report

    snapshot, inventory = site.ops.snapshot(), site.inventory
    reached = receivers(deliveries(inventory))
    asked, now = snapshot.proposed, site.session.now
    material = StoredMaterial(site.ops, snapshot)
    report = status_report(inventory, snapshot.branches, snapshot.ledger, reached, now, None, asked, material)
    requests, runs = tuple(_requests(site, forge)), tuple(_runs(site, snapshot))
    view = dashboard_view(report, snapshot.branches, snapshot.ledger, requests, runs, forge.body_limit)
    written = dashboard(view)
    keep_overflow(written, ARTIFACT)
    forge.put_issue(MARKER, TITLE, written.text)


def _requests(site: Site, forge: ForgeProject) -> Iterator[MergeRequest]:
    """Yield the requests of both projects; those of a DNS project whose token is not at hand are left out."""
    yield from forge.requests(Kind.ROLL, site.inventory.repo.branch)
    _, project = site.projects
    if project is not None and project.token.secret is not None:
        dns = project.open()
        for kind in (Kind.TLSA, Kind.ACME):
            yield from dns.requests(kind, project.target)


def _runs(site: Site, snapshot: Snapshot) -> Iterator[LastRun]:
    from sslops.report.dashboard import LastRun

    heads = [commit for commit in (snapshot.next_commit, snapshot.ledger_commit) if commit]
    for action in last_actions(site.ops.git.process, heads, _LAST_COMMITS):
        if action.verb in set(Verb):
            yield LastRun(action.verb, action.at, action.run.partition("#")[0])


# The comment.


def _fork(site: Site) -> str:
    """Return the commit of main that the working tree's branch left it at, so that only its own changes count."""
    main = site.snapshot.main_commit
    return site.ops.git.process.read("merge-base", "HEAD", main, allowed=(0, 1, 128)).text or main


def _project(base: Inventory, site: Site) -> Project:
    """Return the project with the request: the job's own, else what *base* says; never what the request itself says."""
    git = site.ops.git
    found = _project_of_job(site.session) or ops_project(base.repo, git.config(f"remote.{git.remote}.url"))
    if found is None:
        message = f"repo.forge is '{NO_FORGE}', so there is no merge request to comment on"
        raise UsageError(message, hint="sslops plan --markdown")
    return found


def _project_of_job(session: Session) -> Project | None:
    job = session.job
    if job.forge is None or job.project is None:
        return None
    from sslops.proposals.forges.tokens import Role

    return Project(Role.OPS, job.forge, job.project, "", job.server, {})


def _is_mute(session: Session, project: Project) -> bool:
    """Whether a job has no token that writes, as for a request from a fork; said, since the plan is shown elsewhere."""
    if project.token.is_of_the_job and session.job.is_from_fork:
        why = "a job of a request from a fork may only read"
    elif project.token.secret is None and session.job.is_job:
        why = f"{project.role} is not set"
    else:
        return False
    session.say(f"{why}, so the plan was not written as a comment")
    return True


def _remark(session: Session, forge: ForgeProject, number: int, written: Written) -> None:
    from sslops.report.plan_comment import ARTIFACT, MARKER

    keep_overflow(written, ARTIFACT)
    is_new = forge.put_remark(number, MARKER, written.text)
    session.say(f"the comment on request {number} {'was written' if is_new else 'says so already'}")
