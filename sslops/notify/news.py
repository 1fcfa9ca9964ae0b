"""What somebody should hear of, and which of it is new since the last time. Pure.

>>> from sslops.notify.news import Notice, since
>>> told = {"blocked a": "a waits", "ending b": "b ends"}
>>> found = since([Notice("blocked a", "a waits"), Notice("drift c", "c differs")], told)
>>> [each.text for each in found.new], list(found.over)
(['c differs'], ['b ends'])
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.report.text import on_one_line, stamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import timedelta

    from sslops.errors import SslopsError
    from sslops.model.heartbeat import StageHeartbeat
    from sslops.report.status import StatusReport


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that is wrong: what tells it from every other one, the same in each run, and one line about it."""

    key: str
    text: str


@dataclass(frozen=True, slots=True)
class News:
    """What nobody was notified of yet, and what is over of the rest; *open* is all that is wrong now."""

    new: tuple[Notice, ...]
    over: tuple[str, ...]
    open: Mapping[str, str]

    @property
    def is_any(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.new or self.over)

    @property
    def headline(self) -> str:
        """Return it in a few words."""
        parts = [f"{len(self.new)} new"] if self.new else []
        parts += [f"{len(self.over)} over"] if self.over else []
        return f"sslops: {', '.join(parts)}, {len(self.open)} open"

    def lines(self) -> Iterator[str]:
        """Yield a line for each, the new ones first."""
        yield from (f"new: {each.text}" for each in self.new)
        yield from (f"over: {text}" for text in self.over)


def notices(
    report: StatusReport,
    under: timedelta,
    late: Iterable[StageHeartbeat] = (),
    faults: Iterable[SslopsError] = (),
) -> tuple[Notice, ...]:
    """Return all that is wrong: alarms, certificates with less than *under* left, what is blocked, hosts, jobs."""
    found = [Notice(f"{each.kind} {each.subject}", f"{each.subject}: {each.what}") for each in report.alarms]
    found += [Notice(f"ending {each.subject}", f"{each.subject}: {each.what}") for each in report.ending(under)]
    for each in report.blocked:
        text = f"{each.subject}: {each.verb} is blocked since {stamp(each.since)}: {each.says}"
        found.append(Notice(f"blocked {each.verb} {each.subject} {each.what} {each.cause}", text))
    troubles = {host: trouble for service in report.services for host, trouble in service.troubles.items()}
    for host, trouble in sorted(troubles.items()):
        found.append(Notice(f"trouble {host}", f"host {host}: {trouble.why} (since {stamp(trouble.since)})"))
    for stage in late:
        when = "never" if stage.last is None else f"last {stamp(stage.last.at)}"
        found.append(Notice(f"late {stage.stage}", f"stage {stage.stage} is overdue: its last heartbeat was {when}"))
    found += [Notice(f"fault {each.where} {each.what}", each.what) for each in faults]
    return tuple(Notice(on_one_line(each.key), on_one_line(each.text)) for each in found)


def since(found: Sequence[Notice], told: Mapping[str, str]) -> News:
    """Return what is news after *told*, which has the text of each key that somebody was notified of."""
    now = {each.key: each.text for each in found}
    new = tuple(Notice(key, text) for key, text in now.items() if key not in told)
    return News(new, tuple(text for key, text in told.items() if key not in now), now)
