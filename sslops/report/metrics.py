r"""The state of a site as metrics in Prometheus' text format, for node_exporter's textfile collector.

Moments are seconds since 1970, as Prometheus has them, so that a rule compares them with `time()`.

>>> _sample("sslops_x", {"subject": 'a"b'}, 1)
'sslops_x{subject="a\\"b"} 1'
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sslops.report.status import AlarmKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from sslops.report.status import ServiceStatus, StatusReport

    Sample = tuple[Mapping[str, str], int]


def exposition(report: StatusReport, *, is_live: bool) -> str:
    """Return all metrics; *is_live*: name servers and ports were asked too."""
    return "".join(f"{line}\n" for line in _lines(report, is_live=is_live))


def _lines(report: StatusReport, *, is_live: bool) -> Iterator[str]:
    services = report.services
    yield from _family("status_timestamp_seconds", "When this was written.", [({}, _seconds(report.now))])
    if report.fetched_at is not None:
        fetched = _seconds(report.fetched_at)
        yield from _family("fetched_timestamp_seconds", "When the remote was last fetched from.", [({}, fetched)])
    yield from _family(
        "service_phase",
        "1 for the phase that the service is in.",
        ((_of(each) | {"phase": str(each.phase)}, 1) for each in services),
    )
    yield from _family(
        "certificate_not_after_timestamp_seconds",
        "When the certificate that is to be served ends (before the first roll: the staged one).",
        ((_of(each), _seconds(each.not_after)) for each in services if each.not_after),
    )
    yield from _family(
        "service_wait_until_timestamp_seconds",
        "Until when a step waits; 0 where no date is known.",
        (
            (_of(each) | {"step": wait.step}, _seconds(wait.until) if wait.until else 0)
            for each in services
            for wait in each.waits
        ),
    )
    yield from _family("service_hosts", "Hosts that get the service.", ((_of(s), len(s.hosts)) for s in services))
    yield from _family(
        "service_hosts_verified",
        "Hosts that are known to serve exactly what is live.",
        ((_of(each), each.settled) for each in services),
    )
    troubles = {host: trouble.since for each in services for host, trouble in each.troubles.items()}
    yield from _family(
        "deploy_failing_since_timestamp_seconds",
        "Since when deploy to a host has failed.",
        (({"host": host}, _seconds(since)) for host, since in sorted(troubles.items())),
    )
    yield from _family(
        "blocked_since_timestamp_seconds",
        "Since when somebody has to act.",
        (
            ({"verb": b.verb, "subject": b.subject, "what": b.what, "cause": b.cause}, _seconds(b.since))
            for b in report.blocked
        ),
    )
    counted = Counter(each.kind for each in report.alarms)
    asked = [kind for kind in AlarmKind if is_live or kind not in {AlarmKind.DRIFT, AlarmKind.UNOBSERVED}]
    yield from _family(
        "alarms",
        "What makes `sslops status` fail, by kind; drift and unobserved only with --live.",
        (({"kind": str(kind)}, counted[kind]) for kind in asked),
    )


def _family(name: str, meaning: str, samples: Iterable[Sample]) -> Iterator[str]:
    """Yield the lines of one gauge; nothing for one without a sample."""
    lines = dict.fromkeys(_sample(f"sslops_{name}", labels, value) for labels, value in samples)
    if lines:
        yield f"# HELP sslops_{name} {meaning}"
        yield f"# TYPE sslops_{name} gauge"
        yield from lines


def _sample(name: str, labels: Mapping[str, str], value: int) -> str:
    told = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{told}}} {value}" if told else f"{name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _of(each: ServiceStatus) -> dict[str, str]:
    return {"group": each.id.group, "service": each.id.name}


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
