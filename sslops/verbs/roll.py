"""`sslops roll`: a ready `next` becomes `curr`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sslops.verbs import options
from sslops.verbs.outcome import Form, Outcome, finish
from sslops.verbs.session import current
from sslops.wiring import Request, carry_out

if TYPE_CHECKING:
    from sslops.errors import ExitCode
    from sslops.model.inventory import Consent
    from sslops.wiring import Site


@click.command(name="roll")
@options.targets()
@options.apply()
@click.option("--force", is_flag=True, help="Skip min_roll_mins and a refusal; never the rules that keep DANE whole.")
@click.option("--min-roll-mins", type=click.IntRange(min=0), help="Age of next in minutes, instead of the inventory's.")
@options.plan_digest()
@options.accept()
@options.fetch()
@options.json()
@options.detailed_exitcode()
def command(
    *,
    targets: tuple[str, ...],
    apply: bool,
    force: bool,
    min_roll_mins: int | None,
    plan_digest: str | None,
    accept: tuple[Consent, ...],
    fetch: bool,
    as_json: bool,
    detailed_exitcode: bool,
) -> ExitCode:
    """Make next curr, for every service (or TARGET) whose DNS has shown both for long enough."""
    session = current()
    request = Request(apply, fetch, accept, targets)

    def act(site: Site) -> Outcome:
        options_ = site.roll_options(force=force, min_roll_minutes=min_roll_mins)
        return site.roll(options_, plan_digest) if apply else Outcome(site.plan_roll(options_))

    return finish(session, carry_out(session, request, act), Form(as_json=as_json, detailed=detailed_exitcode))
