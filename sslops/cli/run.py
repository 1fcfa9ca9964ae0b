"""`sslops run`: renew, publish, roll, deploy, prune, publish: the one scheduled job of a small site."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from sslops.app.blocked import remembered, seen
from sslops.app.dashboard import with_dashboard
from sslops.app.entry import Request, carry_out
from sslops.app.heartbeats import note_heartbeat
from sslops.app.outcome import Outcome
from sslops.cli import options
from sslops.cli.options import current
from sslops.cli.output import Form, finish
from sslops.errors import SslopsError, bugs_of
from sslops.model.plan import Plan, Verb

if TYPE_CHECKING:
    from collections.abc import Callable

    from sslops.app.session import Session
    from sslops.app.site import Site
    from sslops.errors import ExitCode
    from sslops.model.inventory import Consent


@click.command(name="run", epilog=options.examples("sslops run", "sslops run --apply"))
@options.targets()
@options.apply()
@options.accept()
@options.fetch()
@options.json()
@options.detailed_exitcode()
def command(
    *,
    targets: tuple[str, ...],
    apply: bool,
    accept: tuple[Consent, ...],
    fetch: bool,
    as_json: bool,
    detailed_exitcode: bool,
) -> ExitCode:
    """Renew, publish, roll, deploy, prune, publish. A stage that fails does not stop the ones after it."""
    session = current()
    request = Request(apply, fetch, accept, targets, is_partial=bool(targets))
    if not apply:
        outcome = carry_out(session, request, lambda site: seen(site, site.plan() + Outcome(_plan_prune(site))))
    else:
        # Outside of a repository no stage has anything to say.
        _ = session.folder
        outcome = Outcome(is_applied=True)
        for name, stage in STAGES.items():
            with session.section(name):
                outcome += _attempt(session, request, name, stage)
        with session.section("publish-again"):
            outcome = _last(session, request, outcome)
        note_heartbeat(session, "run", request, outcome)
    return finish(session, outcome, Form(as_json=as_json, detailed=detailed_exitcode))


def _last(session: Session, request: Request, before: Outcome) -> Outcome:
    """Publish once more, and let the ledger remember what is blocked after all stages."""

    def act(site: Site) -> Outcome:
        return remembered(site, before + site.publish(), tuple(Verb), is_partial=request.is_partial)

    try:
        with bugs_of("publish"):
            return carry_out(session, request, with_dashboard(act))
    except SslopsError as error:
        return before + Outcome(is_applied=True, failures=(error,))


def _attempt(session: Session, request: Request, name: str, stage: Callable[[Site], Outcome]) -> Outcome:
    """Return what a stage did; what nobody foresaw is its failure, and the stages after it go on."""
    try:
        with bugs_of(name):
            return carry_out(session, request, stage)
    except SslopsError as error:
        return Outcome(is_applied=True, failures=(error,))


def _renew(site: Site) -> Outcome:
    return site.renew(site.renew_options())


def _publish_early(site: Site) -> Outcome:
    """Publish before the roll; what still waits then is judged again at the end."""
    outcome = site.publish()
    return replace(outcome, plan=Plan(outcome.plan.actions))


def _roll(site: Site) -> Outcome:
    return site.roll(site.roll_options())


def _deploy(site: Site) -> Outcome:
    return site.deploy(site.deploy_options())


def _prune(site: Site) -> Outcome:
    """Prune as the inventory's `clean_keep` says; what of it has to wait is left to a later run."""
    outcome = site.prune(site.prune_options())
    return replace(outcome, plan=Plan(outcome.plan.actions))


def _plan_prune(site: Site) -> Plan:
    return Plan(site.plan_prune(site.prune_options()).actions)


STAGES = {
    "renew": _renew,
    "publish": _publish_early,
    "roll": _roll,
    "deploy": _deploy,
    "prune": _prune,
}
"""The steps of a run in their order but for the last, by the name that the log of a job folds them under."""
