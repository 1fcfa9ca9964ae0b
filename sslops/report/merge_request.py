"""The bodies of merge requests: records, challenges or certificates, and the facts behind them.

All of it is recorded, nothing depends on when it is read. `sslops.report.proposed` builds the views.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.model.proposal import TLSA_TITLE, Kind, mark
from sslops.report.text import (
    Part,
    Table,
    as_code,
    bullets,
    count,
    fitted,
    listed,
    on_one_line,
    on_one_row,
    span,
    stamp,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime, timedelta

    from sslops.model.names import ServiceId
    from sslops.model.tlsa import TlsaRecord
    from sslops.report.plan import HazardRow
    from sslops.report.text import Written


BODY_LIMIT = 60_000
"""Below the shortest limit of a forge (GitHub: 65,536 characters), with room for what it adds."""

_NAMES_IN_TITLE = 3


@dataclass(frozen=True, slots=True)
class Deadline:
    """By when a request has to be merged, and what happens then, in words."""

    at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class RecordRow:
    """One TLSA record that appears or goes.

    *of* is `group/service generation` (empty: unmanaged), *role* what that generation is for, *hosts* those that may
    serve it, or shall (*is_served* false).
    """

    appears: bool
    record: TlsaRecord
    of: str
    role: str
    hosts: tuple[str, ...] = ()
    is_served: bool = False


@dataclass(frozen=True, slots=True)
class ShownRow:
    """One record that is in DNS today at a name that changes: since when every server shows it (null: it does not)."""

    record: TlsaRecord
    of: str
    since: datetime | None
    ready_at: datetime | None


@dataclass(frozen=True, slots=True)
class TlsaView:
    """A change of TLSA include files; *why* is Markdown, one sentence for each cause."""

    apexes: tuple[str, ...]
    rows: tuple[RecordRow, ...]
    ttls: tuple[tuple[str, int, int], ...]
    """Owner, TTL in seconds before and after."""
    missing: tuple[str, ...]
    """Include files that do not exist yet."""
    why: tuple[str, ...]
    shown: tuple[ShownRow, ...]
    servers: tuple[str, ...]
    hazards: tuple[HazardRow, ...]
    accepted: tuple[str, ...]
    deadline: Deadline | None
    caches: timedelta
    """How long after the records are on every server a cache may still lack them: 2 x TTL."""
    digest: str
    limit: int = BODY_LIMIT

    @property
    def title(self) -> str:
        """The title of the request: how many records come and go, and where."""
        added = sum(row.appears for row in self.rows)
        words = [f"add {added}"] if added else []
        words += [f"withdraw {len(self.rows) - added}"] if added < len(self.rows) else []
        return f"{TLSA_TITLE}{_names(self.apexes)}: {', '.join(words) or 'include files'}"


@dataclass(frozen=True, slots=True)
class RollRow:
    """One service whose `next` becomes `curr`; *names* are SANs that come (`+`) and go (`-`)."""

    service: ServiceId
    curr: str
    generation: str
    curr_ends: datetime | None
    not_before: datetime
    not_after: datetime
    key: str
    issuer: str
    names: tuple[str, ...] = ()
    is_back: bool = False
    """Whether *generation* was live before, and the roll to *curr* is taken back."""


@dataclass(frozen=True, slots=True)
class HostRow:
    """One host that changes: which services it gets, what it runs afterwards, how it is asked what it serves."""

    host: str
    services: tuple[str, ...]
    restarts: tuple[str, ...]
    proof: str


@dataclass(frozen=True, slots=True)
class RollView:
    """Which certificates become live; *lacking* are names without evidence for one of them, where deploy will wait.

    *why* is Markdown, one sentence for each cause.
    """

    rows: tuple[RollRow, ...]
    why: tuple[str, ...]
    hosts: tuple[HostRow, ...]
    shown: tuple[ShownRow, ...]
    lacking: tuple[str, ...]
    deadline: Deadline | None
    digest: str
    limit: int = BODY_LIMIT

    @property
    def safe_since(self) -> datetime | None:
        """From when on no cache could lack a record of what becomes live; null where nothing had to be waited for."""
        return max((row.ready_at for row in self.shown if row.ready_at is not None), default=None)

    @property
    def title(self) -> str:
        """The title of the request: what becomes live, and which rolls are taken back."""
        rolled = tuple(str(row.service) for row in self.rows if not row.is_back)
        back = tuple(str(row.service) for row in self.rows if row.is_back)
        parts = [f"roll {_names(rolled)}"] if rolled else []
        parts += [f"take back the roll of {_names(back)}"] if back else []
        title = "; ".join(parts)
        return f"{title[:1].upper()}{title[1:]}"


@dataclass(frozen=True, slots=True)
class ChallengeRow:
    """One TXT record at *owner* that proves *name* to a CA; *of* is `group/service generation` (empty: unmanaged)."""

    appears: bool
    owner: str
    value: str
    name: str
    of: str
    ca: str


@dataclass(frozen=True, slots=True)
class AcmeView:
    """A change of the challenge include files."""

    rows: tuple[ChallengeRow, ...]
    services: tuple[ServiceId, ...]
    """Those whose orders need what appears."""
    deadline: Deadline | None
    digest: str
    limit: int = BODY_LIMIT
    carried: tuple[str, ...] = ()
    """Records that come beside the challenges, since a wildcard no longer gives them then; as the files have them."""

    @property
    def title(self) -> str:
        """The title of the request: for which certificates, or that it only tidies up."""
        if not self.services:
            return "ACME challenges: withdraw what no order needs any more"
        return f"ACME challenges for {_names(tuple(map(str, self.services)))}"


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(on_one_line(name) for name in names[:_NAMES_IN_TITLE])
    return shown if len(names) <= _NAMES_IN_TITLE else f"{shown} and {len(names) - _NAMES_IN_TITLE} more"


_HEX_SHOWN = 16
_TARGETS_SHOWN = 4
_TARGET = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")
_WHY_SHOWN = 10

_ROLL_CHECKS = (
    "The hosts may restart their services now. They do so at the next `deploy`, not at the merge.",
    "Issuer, validity and names are what you expect; every certificate is in this branch below `state/`.",
    "Only files below `state/` change; `sslops check` fails otherwise.",
)
_ROLL_NEXT = (
    "`deploy` asks every name server once more; each host gets its certificate, restarts what uses it and is verified.",
    "A host where that goes wrong goes back to what it served, and a later run tries again.",
    "`publish` takes the previous records out of DNS only when every host was verified to serve the new certificate.",
)
_ROLL_UNDO = (
    "After the merge: `sslops roll --back {targets} --apply` proposes the rollback by a request like this one. Or "
    "revert the merge, as long as the forge can: once `main` went on, it conflicts in `slots.yaml`. `deploy` takes the "
    "hosts back, and what was taken back is not rolled again without `sslops roll --force`. The previous records are "
    "still in DNS as long as any host may need them."
)
_TLSA_UNDO = (
    "As long as no host serves the new certificate, revert the merge in this repository: hosts then keep what they "
    "serve. Once one does, revert the roll in the ops repository instead, and leave the records to `publish`."
)
_ACME_NEXT = (
    "The next `renew` asks every name server, lets the CA look, and stores the certificate on the branch `next`.",
    "Then it proposes to withdraw the records again.",
)
_ACME_EVIDENCE = "The orders are under way; the `generation.yaml` of each names the values."
_ACME_UNDO = "Revert the merge: an order that the CA cannot prove fails, and `renew` starts another one later."
_DECLINE = "Close this request to decline it: it is not opened again for the same change, and every run says so."


def artifact(kind: Kind) -> str:
    """Name the file that has the whole of a body that was cut.

    >>> artifact(Kind.TLSA)
    'sslops-tlsa.md'
    """
    return f"sslops-{kind}.md"


def tlsa_body(view: TlsaView) -> Written:
    """Return the body of the request that changes TLSA records."""
    changes: list[str | Table] = [_decision(_tlsa_decision(view), view.deadline)]
    if view.rows:
        changes.append(Table(("record", "name", "of, on"), tuple(map(_record_cells, view.rows))))
    changes += [f"{as_code(owner)}: TTL {before} s becomes {after} s." for owner, before, after in view.ttls]
    changes += [f"{as_code(path)} does not exist yet, and the zone includes it." for path in view.missing]
    parts = [Part("", tuple(changes)), _why(view.why), Part("Please check", (bullets(_tlsa_checks(view)),))]
    parts += [
        Part("Hazards", (_hazards(view.hazards, view.accepted),)),
        Part("Evidence", tuple(_tlsa_evidence(view))),
        Part("After the merge", (bullets(_tlsa_next(view)),)),
        Part("Undo", (_undo(_TLSA_UNDO),)),
    ]
    return fitted(tuple(parts), mark(view.digest), view.limit, artifact(Kind.TLSA))


def roll_body(view: RollView) -> Written:
    """Return the body of the request that makes certificates live."""
    hosts = f" on {count(len(view.hosts), 'host')}" if view.hosts else ""
    decision = f"Make {count(len(view.rows), 'certificate')} live{hosts}."
    rolls = Table(("becomes live", "service", "certificate"), tuple(map(_roll_cells, view.rows)))
    names = [f"{as_code(str(row.service))} names change: {listed(row.names)}." for row in view.rows if row.names]
    heads = ("host", "gets", "then")
    table = Table(heads, tuple(map(_host_cells, view.hosts)))
    nobody = "No host gets any of them: nothing is restarted."
    parts = (
        Part("", (_decision(decision, view.deadline, view.safe_since), rolls, *([bullets(names)] if names else []))),
        _why(view.why),
        Part("Hosts", (table if view.hosts else nobody,)),
        Part("Please check", (bullets(_ROLL_CHECKS),)),
        Part("Hazards", (_lacking(view.lacking),)),
        Part("Evidence", tuple(_roll_evidence(view))),
        Part("After the merge", (bullets(_ROLL_NEXT),)),
        Part("Undo", (_undo(_ROLL_UNDO.format(targets=_targets(view.rows))),)),
    )
    return fitted(parts, mark(view.digest), view.limit, artifact(Kind.ROLL))


def acme_body(view: AcmeView) -> Written:
    """Return the body of the request that shows challenges to a CA, or takes them away."""
    appearing = [row for row in view.rows if row.appears]
    heads = ("TXT", "name", "proves")
    parts = [
        Part(
            "", (_decision(_acme_decision(view), view.deadline), Table(heads, tuple(map(_challenge_cells, view.rows))))
        )
    ]
    if appearing:
        cas = sorted({row.ca for row in appearing})
        parts.append(_why([f"{listed(cas)} asks for a proof that these names are yours (RFC 8555 section 8.4)."]))
    parts += [
        Part("Please check", (bullets(_acme_checks(appearing, view.carried)),)),
        Part("Hazards", (_CARRIED_ALONG if view.carried else _NO_CLIENT,)),
        Part("Evidence", (_ACME_EVIDENCE if appearing else "No order under way needs any of them.",)),
        Part("After the merge", (bullets(_ACME_NEXT if appearing else ["Nothing: nobody looks at them any more."]),)),
        Part("Undo", (_undo(_ACME_UNDO),)),
    ]
    return fitted(tuple(parts), mark(view.digest), view.limit, artifact(Kind.ACME))


# The decision.


def _decision(what: str, deadline: Deadline | None, safe_since: datetime | None = None) -> str:
    """Say first what is asked, and the two moments that count: from when it is safe, by when it must be."""
    safe = "Safe to merge now or later." if safe_since is None else f"Safe to merge from {stamp(safe_since)} on."
    by = "No hurry." if deadline is None else f"Merge before **{stamp(deadline.at)}**: {deadline.why}."
    return f"**{what}** {safe} {by}"


def _tlsa_decision(view: TlsaView) -> str:
    added = sum(row.appears for row in view.rows)
    words = [f"Add {count(added, 'TLSA record')}"] if added else []
    gone = len(view.rows) - added
    words += [f"{'withdraw' if words else 'Withdraw'} {gone if words else count(gone, 'TLSA record')}"] if gone else []
    return f"{' and '.join(words) or 'Write the TLSA include files'} in {listed(view.apexes)}."


def _acme_decision(view: AcmeView) -> str:
    added = sum(row.appears for row in view.rows)
    if not added:
        return f"Withdraw {count(len(view.rows), 'ACME challenge')} that no order needs any more."
    return f"Show {count(added, 'ACME challenge')} for {count(len(view.services), 'certificate')}."


def _why(sentences: Sequence[str]) -> Part:
    return Part("Why now", (bullets(sentences),))


# What the reviewer looks at.


def _tlsa_checks(view: TlsaView) -> Iterator[str]:
    if any(row.appears for row in view.rows):
        yield (
            "A record that appears is the hash of a key or certificate in the ops repository: `spki_sha256` or "
            "`cert_sha256` in `state/<group>/<service>/<generation>/generation.yaml`."
        )
    if any(not row.appears for row in view.rows):
        yield "No host is left that serves what a record that goes belongs to (last column: on none)."
    yield f"Nothing but {listed([f'tlsa.{apex}' for apex in view.apexes])} changes."


_NO_CLIENT = "None: no client looks at these records, and what is served does not change."
_CARRIED_ALONG = (
    "None: a challenge makes the names above it exist, where a wildcard answers no more (RFC 4592). What it gave them "
    "stands beside the challenge and goes with it, so what clients are answered does not change."
)


def _acme_checks(appearing: Sequence[ChallengeRow], carried: Sequence[str]) -> Iterator[str]:
    if appearing:
        yield "The names are yours, and a certificate for them is wanted: who can show these records gets one."
    if carried:
        more = f" and {len(carried) - _WHY_SHOWN} more" if len(carried) > _WHY_SHOWN else ""
        lines = ", ".join(as_code(line) for line in carried[:_WHY_SHOWN])
        yield f"What a wildcard gives these names is what the zone means them to have: {lines}{more}."
    yield "Nothing but files `acme-challenge.<apex>` changes."


def _hazards(rows: Sequence[HazardRow], accepted: Sequence[str]) -> str:
    lines = [
        f"{as_code(row.name)} at {as_code(row.subject)}: {on_one_row(row.why)}. The name is left as it is; to accept: "
        f"{as_code(row.consent)}"
        for row in rows[:_WHY_SHOWN]
    ]
    lines += [f"and {len(rows) - _WHY_SHOWN} more: `sslops plan`"] if len(rows) > _WHY_SHOWN else []
    lines += [f"Accepted: {listed(accepted)}"] if accepted else []
    return bullets(lines) if lines else "None."


def _lacking(owners: Sequence[str]) -> str:
    if not owners:
        return "None."
    return f"No evidence at {listed(owners)}: `deploy` waits there until `publish` has repaired DNS."


# Evidence, what follows, and the rollback target.


def _tlsa_evidence(view: TlsaView) -> Iterator[str | Table]:
    asked = f"Asked by address: {listed(view.servers, 8)}." if view.servers else "No name server was asked."
    if not view.shown:
        yield f"{asked} These names had no records there."
        return
    yield f"{asked} At the names above they show today:"
    yield _shown_table(view.shown)


def _roll_evidence(view: RollView) -> Iterator[str | Table]:
    if not view.shown:
        yield "No name has TLSA records for these certificates, so no cache has to be waited for."
        return
    yield "Every name server shows the record of what becomes live, for longer than a cache may lack it:"
    yield _shown_table(view.shown)


def _shown_table(rows: Sequence[ShownRow]) -> Table:
    return Table(("record", "since", "name, of"), tuple(map(_shown_cells, rows)))


def _tlsa_next(view: TlsaView) -> Iterator[str]:
    if any(row.appears for row in view.rows):
        wait = f", and another {span(view.caches)} (2 x TTL) has passed" if view.caches else ""
        yield f"When every name server shows the records{wait}, no cache lacks them, and hosts may change."
    if any(not row.appears for row in view.rows):
        yield "Who still has the previous records in a cache has one for what is served among them."
    yield "Until the merge no host changes to a certificate that this request would leave without its record."


def _targets(rows: Sequence[RollRow]) -> str:
    """Return the services as a command line takes them; a name that is none (nobody reviewed it yet) is left out."""
    named = [str(row.service) for row in rows if _TARGET.fullmatch(str(row.service))]
    return " ".join(named) if 0 < len(named) <= _TARGETS_SHOWN else "GROUP/SERVICE"


def _undo(how: str) -> str:
    return bullets((_DECLINE, how))


# Rows. A phone shows the first column and a half: what counts stands there, and no table has more than three.


def _record_cells(row: RecordRow) -> tuple[str, ...]:
    who = " ".join(as_code(word) for word in row.of.split()) or "nobody"
    role = f", {row.role}" if row.role else ""
    hosts = f"{'on' if row.is_served else 'to be on'} {listed(row.hosts)}" if row.hosts else "on none"
    return f"{_sign(row.appears)} {_short(row.record)}", as_code(row.record.owner), f"{who}{role}<br>{hosts}"


def _shown_cells(row: ShownRow) -> tuple[str, ...]:
    since = "not seen everywhere" if row.since is None else f"{stamp(row.since)} on every server"
    ready = "" if row.ready_at is None else f"<br>{stamp(row.ready_at)} in every cache"
    who = as_code(row.of) or "nobody"
    return _short(row.record), f"{since}{ready}", f"{as_code(row.record.owner)}<br>{who}"


def _roll_cells(row: RollRow) -> tuple[str, ...]:
    was = f"was {as_code(row.curr)}{_end(row)}" if row.curr else "was nothing"
    valid = f"valid {row.not_before:%Y-%m-%d} to {row.not_after:%Y-%m-%d}"
    facts = (valid, f"key: {row.key}", f"by {on_one_row(row.issuer, 80)}")
    return as_code(row.generation), f"{as_code(str(row.service))}<br>{was}", "<br>".join(facts)


def _host_cells(row: HostRow) -> tuple[str, ...]:
    runs = f"runs {listed(row.restarts)}" if row.restarts else "runs nothing"
    return as_code(row.host), "<br>".join(map(as_code, row.services)), f"{runs}<br>{row.proof}"


def _challenge_cells(row: ChallengeRow) -> tuple[str, ...]:
    order = f"<br>order of {as_code(row.of)} at {as_code(row.ca)}" if row.of else ""
    proves = f"{as_code(row.name)}{order}" if row.name else "nothing any more"
    return f"{_sign(row.appears)} {as_code(row.value)}", as_code(row.owner), proves


def _sign(appears: bool) -> str:  # noqa: FBT001  (a field of the row)
    return "**add**" if appears else "**withdraw**"


def _short(record: TlsaRecord) -> str:
    more = "…" if len(record.data) > _HEX_SHOWN else ""
    return as_code(f"{record.params} {record.data[:_HEX_SHOWN]}{more}")


def _end(row: RollRow) -> str:
    return "" if row.curr_ends is None else f", until {row.curr_ends:%Y-%m-%d}"
