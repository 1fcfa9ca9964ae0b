r"""Read what the receiver answered, line by line; whatever does not look right is not believed.

>>> hear(b"motd\nsslops-receiver 1\nseq 41\ndone\n").seq
41
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sslops.model.names import GenerationId, ServiceId
from sslops.model.shipment import Held

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GREETING = "sslops-receiver 1"
FILES = frozenset(
    ("privkey.pem", "csr.pem", "cert.pem", "chain.pem", "fullchain.pem", "bundle.pem", "tlsa.rr", "info"),
)
"""What lies below a `curr` of ours, beside the list of hashes."""

_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}")
_HASHED = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_GENERATION = re.compile(r'generation: "([0-9]{8}T[0-9]{6}Z-[0-9a-f]{4})"')
_SECONDS = re.compile(r"[0-9]{1,11}")
_MOST_COMPLAINTS = 12


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer. *greeted*: the receiver ran at all; *is_complete*: it came to its end."""

    greeted: bool = False
    is_complete: bool = False
    seq: int = 0
    services: Mapping[ServiceId, Held] = field(default_factory=dict)
    includes: Mapping[str, str] = field(default_factory=dict)
    unfinished: frozenset[ServiceId] = frozenset()
    restarted: tuple[str, ...] = ()
    complaints: tuple[str, ...] = ()
    clock: datetime | None = None
    """What time it was there as the receiver began."""


def hear(stdout: bytes) -> Heard:
    """Return what *stdout* says; lines before the greeting are a login shell's."""
    lines = stdout.decode(errors="replace").splitlines()
    if GREETING not in lines:
        return Heard()
    lines = lines[lines.index(GREETING) + 1 :]
    pairs = [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]
    hashes = [match.groups() for word, rest in pairs if word == "file" and (match := _HASHED.fullmatch(rest))]
    texts = [rest.partition(":")[::2] for word, rest in pairs if word == "text"]
    return Heard(
        greeted=True,
        is_complete=bool(lines) and lines[-1] == "done",
        seq=max((int(rest) for word, rest in pairs if word == "seq" and rest.isdecimal()), default=0),
        services=_services(hashes, texts),
        includes={apex: digest for digest, path in hashes if (apex := _apex(path))},
        unfinished=frozenset(name for word, rest in pairs if word == "unfinished" and (name := _service(rest))),
        restarted=tuple(rest for word, rest in pairs if word == "restarted"),
        complaints=_complaints(pairs),
        clock=next((_moment(rest) for word, rest in pairs if word == "clock"), None),
    )


def _moment(seconds: str) -> datetime | None:
    """Read seconds since 1970; null for what is no time."""
    return datetime.fromtimestamp(int(seconds), UTC) if _SECONDS.fullmatch(seconds) else None


def _complaints(pairs: list[tuple[str, str]]) -> tuple[str, ...]:
    kinds = {"refused": "{}", "restart-failed": "restart of {}", "output": "{}"}
    said = [kinds[word].format(re.sub(r"[^\x20-\x7e]", " ", rest)) for word, rest in pairs if word in kinds]
    return tuple(said[:_MOST_COMPLAINTS])


def _services(hashes: Sequence[tuple[str, ...]], texts: Sequence[tuple[str, ...]]) -> dict[ServiceId, Held]:
    found: dict[ServiceId, dict[str, str]] = {}
    listed: dict[ServiceId, dict[str, str]] = {}
    generations: dict[ServiceId, GenerationId] = {}
    for digest, path in hashes:
        service, name = _place(path)
        if service is not None:
            found.setdefault(service, {})[name] = digest
    for path, line in texts:
        service, name = _place(path)
        if service is None:
            continue
        if name == "info" and (match := _GENERATION.fullmatch(line)):
            generations[service] = GenerationId(match[1])
        if name == "sums" and (match := _HASHED.fullmatch(line)):
            listed.setdefault(service, {})[match[2]] = match[1]
    return {
        service: Held(generations.get(service), digests, intact=_is_intact(digests, listed.get(service, {})))
        for service, digests in found.items()
    }


def _is_intact(found: Mapping[str, str], listed: Mapping[str, str]) -> bool:
    return listed.keys() == FILES and all(found.get(name) == digest for name, digest in listed.items())


def _place(path: str) -> tuple[ServiceId | None, str]:
    """Split `group/service/curr/name`; null for any other path."""
    parts = path.split("/")
    if len(parts) != 4 or parts[2] != "curr":  # noqa: PLR2004  (see the docstring)
        return None, ""
    return _service("/".join(parts[:2])), parts[3]


def _service(text: str) -> ServiceId | None:
    group, slash, name = text.partition("/")
    return ServiceId(group, name) if slash and _WORD.fullmatch(group) and _WORD.fullmatch(name) else None


def _apex(path: str) -> str | None:
    """Return the apex of `<apex>/tlsa.<apex>`; null for any other path."""
    group, _, name = path.partition("/")
    return group if name == f"tlsa.{group}" and _WORD.fullmatch(group) else None
