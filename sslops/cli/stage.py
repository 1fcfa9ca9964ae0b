"""What the verbs that change something have in common: their options, and a dry-run beside the real one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from sslops.app.blocked import remembered, seen
from sslops.app.entry import Request, carry_out
from sslops.app.heartbeats import note_heartbeat
from sslops.app.job_secrets import tell_missing_secrets
from sslops.app.outcome import Outcome
from sslops.cli import options
from sslops.cli.options import current
from sslops.cli.output import Form, finish
from sslops.model.plan import Verb

if TYPE_CHECKING:
    from collections.abc import Callable

    from sslops.app.site import Site
    from sslops.cli.options import Decorator
    from sslops.errors import ExitCode
    from sslops.model.inventory import Consent
    from sslops.model.plan import Plan


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks of any stage: on what, whether for real, which plan, and how the result is shown."""

    request: Request
    plan_digest: str | None
    form: Form


def asked() -> Decorator:
    """Take the options that every stage has, and hand them to the verb as one *asked*."""

    def decorate(verb: Callable[..., ExitCode]) -> Callable[..., ExitCode]:
        @wraps(verb)
        def command(
            *,
            apply: bool,
            plan_digest: str | None,
            accept: tuple[Consent, ...],
            fetch: bool,
            as_json: bool,
            detailed_exitcode: bool,
            targets: tuple[str, ...] = (),
            **own: Any,  # noqa: ANN401  (the verb's own options)
        ) -> ExitCode:
            request = Request(
                apply, fetch, accept, targets, is_partial=bool(targets or own.get("hosts") or own.get("staging"))
            )
            form = Form(as_json=as_json, detailed=detailed_exitcode)
            return verb(asked=Asked(request, plan_digest, form), **own)

        shared = (options.apply, options.plan_digest, options.accept, options.fetch, options.json)
        wrapped: Callable[..., ExitCode] = options.detailed_exitcode()(command)
        for option in reversed(shared):
            wrapped = option()(wrapped)
        return wrapped

    return decorate


def conduct(
    asked: Asked, plan: Callable[[Site], Plan], apply: Callable[[Site], Outcome], verb: str | None = None
) -> ExitCode:
    """Show what *plan* says, or with `--apply` what *apply* did; return the exit code.

    *verb* is the stage that is meant, null where that is the verb on the command line.
    """
    session = current()

    verb = verb or click.get_current_context().info_name or ""
    if asked.request.apply:
        tell_missing_secrets(session, verb)

    def act(site: Site) -> Outcome:
        if not asked.request.apply:
            found = plan(site)
            return seen(site, Outcome(found, failures=site.troubles))
        return remembered(site, apply(site), (Verb(verb),), is_partial=asked.request.is_partial)

    outcome = carry_out(session, asked.request, act)
    note_heartbeat(session, verb, asked.request, outcome)
    return finish(session, outcome, asked.form)
