"""`sslops revoke`: the CA learns that a certificate counts no more, and its replacement starts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from sslops.cli import options, stage
from sslops.errors import UsageError
from sslops.inventory.targets import parse_targets
from sslops.model.names import GenerationId
from sslops.repo.state_files import is_generation_id
from sslops.revoke.rules import RevokeOptions, RevokeReason

if TYPE_CHECKING:
    from sslops.app.site import Site
    from sslops.errors import ExitCode
    from sslops.model.names import ServiceId

_EXAMPLE = "sslops revoke example.com/mail-ec@20261124T143000Z-9b1c --reason superseded"


@click.command(
    name="revoke",
    epilog=options.examples(
        "sslops revoke example.com/mail-ec --reason key-compromise --apply",
        "sslops revoke example.com:web@20261124T143000Z-9b1c --reason superseded --by key --apply",
    ),
)
@click.argument("targets", nargs=-1, required=True, metavar="TARGET[@GENERATION]...")
@click.option(
    "--reason",
    "reason",
    required=True,
    type=click.Choice([str(each) for each in RevokeReason]),
    help="Why, in the CA's words. A key that leaked: key-compromise.",
)
@click.option(
    "--by",
    "way",
    type=click.Choice(["account", "key"]),
    default="account",
    help="Sign with the ACME account, or with the key of the certificate.",
)
@click.option("--note", default="", metavar="TEXT", callback=options.one_line, help="A sentence for the commit.")
@stage.asked()
def command(asked: stage.Asked, *, reason: str, way: str, note: str) -> ExitCode:
    """Tell the CA that a certificate counts no more, and start its replacement.

    Without @GENERATION it is the one that is live. With key-compromise it is every certificate with the same key. It is
    marked on next first: the next renew replaces it with another key, roll does not wait for min_roll_mins then, and
    never makes a revoked generation live again. Hosts go on serving it until DANE lets the replacement take its place.

    An own CA publishes no list of what it revoked: there the mark and the replacement are all.
    """
    words = [word.partition("@")[::2] for word in asked.request.targets]
    request = replace(asked.request, targets=tuple(dict.fromkeys(target for target, _ in words)))

    def wanted(site: Site) -> RevokeOptions:
        found = {service: None for target, _ in words for service in parse_targets([target], site.inventory) or ()}
        named = {_only(target, site): _generation(version) for target, version in words if version}
        return RevokeOptions({**found, **named}, RevokeReason(reason))

    return stage.conduct(
        replace(asked, request=request),
        lambda site: site.plan_revoke(wanted(site)),
        lambda site: site.revoke(wanted(site), asked.plan_digest, said=note, by_key=way == "key"),
    )


def _only(target: str, site: Site) -> ServiceId:
    found = parse_targets([target], site.inventory) or frozenset()
    if len(found) != 1:
        message = f"'{target}' is {len(found)} services, and a generation belongs to one"
        raise UsageError(message, hint=_EXAMPLE)
    return next(iter(found))


def _generation(text: str) -> GenerationId:
    if not is_generation_id(text):
        message = f"'{text}' is no generation like 20261124T143000Z-9b1c"
        raise UsageError(message, hint="sslops status --verbose")
    return GenerationId(text)
