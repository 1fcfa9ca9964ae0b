"""What a merge request is about, as its body reads it: records, certificates or challenges, and the facts behind them.

All of it is recorded, nothing depends on when it is looked at. `proposed_records` and `proposed_rolls` build the views.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.report.escape import on_one_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from sslops.model.names import ServiceId
    from sslops.model.tlsa import TlsaRecord
    from sslops.report.plan_view import HazardRow

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

    *of* is `group/service generation` (empty: nobody's), *role* what that generation is for, *hosts* those that may
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
        words += [f"take away {len(self.rows) - added}"] if added < len(self.rows) else []
        return f"TLSA of {_names(self.apexes)}: {', '.join(words) or 'include files'}"


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
    """One TXT record at *owner* that proves *name* to a CA; *of* is `group/service generation` (empty: nobody's)."""

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

    @property
    def title(self) -> str:
        """The title of the request: for which certificates, or that it only tidies up."""
        if not self.services:
            return "ACME challenges: take away what nobody needs any more"
        return f"ACME challenges for {_names(tuple(map(str, self.services)))}"


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(on_one_line(name) for name in names[:_NAMES_IN_TITLE])
    return shown if len(names) <= _NAMES_IN_TITLE else f"{shown} and {len(names) - _NAMES_IN_TITLE} more"
