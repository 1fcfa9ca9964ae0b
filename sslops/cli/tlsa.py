"""`sslops tlsa`: TLSA records to publish, and `--check`: does a sender with DANE deliver?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from sslops.cli import options
from sslops.cli.options import current
from sslops.errors import ExitCode

if TYPE_CHECKING:
    from sslops.model.tlsa import TlsaParams

_PARAMS = re.compile(r"([0-3])\s*([01])\s*([0-2])")
_PORT = re.compile(r"([0-9]{1,5})(?:/(tcp|udp|sctp))?")


def _params(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> tuple[TlsaParams, ...]:
    from sslops.model.tlsa import TlsaParams

    found = []
    for word in given:
        match = _PARAMS.fullmatch(word)
        if match is None:
            message = f"'{word}' is not usage, selector and matching type, as 311 or '3 1 1'"
            raise click.BadParameter(message)
        found.append(TlsaParams(int(match[1]), int(match[2]), int(match[3])))
    return tuple(dict.fromkeys(found))


def _ports(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> tuple[tuple[int, str], ...]:
    found = []
    for word in given:
        match = _PORT.fullmatch(word)
        if match is None or not 0 < int(match[1]) < 2**16:
            message = f"'{word}' is no port, as 25 or 443/tcp"
            raise click.BadParameter(message)
        found.append((int(match[1]), match[2] or "tcp"))
    return tuple(found)


@click.command(
    name="tlsa",
    epilog=options.examples(
        "sslops tlsa fullchain.pem --port 25 -p 311 -p 211",
        "sslops tlsa example.com:mail-ec",
        "sslops tlsa --check example.com:25",
    ),
)
@click.argument("subjects", nargs=-1, required=True, metavar="GROUP:SVC|FILE|HOST:PORT|-...")
@click.option("--check", is_flag=True, help="Judge DOMAIN, HOST:PORT, [HOST]:PORT or GROUP:SVC as a sender would.")
@click.option(
    "-p",
    "--params",
    multiple=True,
    callback=_params,
    metavar="USM",
    help="Usage, selector, matching type: 311, 211. By default what the inventory says, else 311.",
)
@click.option("--name", "names", multiple=True, metavar="HOST", help="The host that owns the records.")
@click.option("--port", "ports", multiple=True, callback=_ports, metavar="PORT[/PROTO]", help="By default 25.")
@click.option(
    "--resolver",
    metavar="ADDRESS[:PORT]",
    help="The validating resolver to believe; by default dns.validator, else this machine's.",
)
@options.starttls()
@options.json()
def command(
    *,
    subjects: tuple[str, ...],
    check: bool,
    params: tuple[TlsaParams, ...],
    names: tuple[str, ...],
    ports: tuple[tuple[int, str], ...],
    resolver: str | None,
    starttls: str | None,
    as_json: bool,
) -> ExitCode:
    """Print TLSA records of a certificate, key or CSR, of a port, or of what is live and staged of a service.

    With --check judge a destination as a sender that insists on DANE would (RFC 7672, RFC 7671): MX, addresses and
    records by a validating resolver, every MX host, every address, both types of key. Where SMTP is spoken the MX hosts
    of a domain are looked up, unless it stands in brackets. Exit 1 unless every address is verified; without --check
    when a record that was asked for cannot be made.

    """
    from sslops.app import tlsa
    from sslops.report.tlsa import judgements_as_json, judgements_as_text, listings_as_json, listings_as_text

    session = current()
    if check:
        validator = tlsa.validator_of(session, resolver)
        asked = [each for word in subjects for each in tlsa.destinations(session, word, starttls)]
        judgements = [tlsa.judge(session, each, validator) for each in asked]
        session.show(judgements_as_json(judgements) if as_json else judgements_as_text(judgements))
        return ExitCode.DONE if all(each.is_good for each in judgements) else ExitCode.FAILED
    wanted = tlsa.Wanted(params, names, ports)
    listings = [each for word in subjects for each in tlsa.listings(session, word, wanted, starttls)]
    session.show(listings_as_json(listings) if as_json else listings_as_text(listings))
    is_whole = all(each.records and not each.notes for each in listings)
    return ExitCode.DONE if is_whole else ExitCode.FAILED
