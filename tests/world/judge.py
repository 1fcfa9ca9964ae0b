"""An independent judge of DANE: `posttls-finger` at level dane-only, the TLS client of a real mail sender (postfix).

It asks a validating resolver, which caches, and says of each connection whether a sender who insists on DANE delivers.
"""

from __future__ import annotations

import itertools
import subprocess
import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.world.ops import bare_environment
from tests.world.peers import missing, need
from tests.world.programs import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.world.validating_resolver import ValidatingResolver

WRAPPER = "libresolv_wrapper.so"
PAUSE_SECONDS = 0.05
TRIES = 5
"""Looks without an answer of DNS or of the port before it is one of the site: a loaded machine stalls."""
PATIENCE_SECONDS = 60.0


class Verdict(StrEnum):
    """What a sender makes of one connection."""

    VERIFIED = "verified"
    NO_RECORDS = "no records"
    BROKEN = "broken"
    DEFERRED = "deferred"


@dataclass(frozen=True, slots=True)
class Way:
    """How a sender gets to a mail host: its name, the port, and the address family (`ipv4` or `ipv6`)."""

    host: str
    port: int
    family: str

    def __str__(self) -> str:
        """Return what a person should read."""
        return f"{self.host}:{self.port} over {self.family}"


@dataclass(frozen=True, slots=True)
class Look:
    """One connection on a *way* by what *resolver* (a number) said; *said* is the judge's own line."""

    resolver: int
    way: Way
    begun: float
    verdict: Verdict
    said: str


class Judge:
    """Goes every way by every resolver while the `with` block runs; leaving it fails when DANE broke.

    `expects_records` says whether a host without TLSA records counts as broken too.
    """

    def __init__(self, config: Path, resolvers: Sequence[ValidatingResolver], ways: Sequence[Way]) -> None:
        """Judge the MX hosts at the end of *ways*; *config* is a folder with a `main.cf`."""
        _wrapper()
        self._finger, self._config = need("posttls-finger"), config
        self._pairs = list(itertools.product(range(len(resolvers)), ways))
        self._resolvers = resolvers
        self.expects_records = False
        self.broken: list[str] = []
        self.looks: list[Look] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self.begin()
        return self

    def __exit__(self, *failure: object) -> None:
        """End; AssertionError when DANE was broken and the block itself did not fail."""
        self.end()
        if failure[0] is None:
            assert self.broken == [], "\n".join(self.broken)

    def begin(self) -> None:
        """Look on from now."""
        self._thread.start()

    def end(self) -> None:
        """Look no more; what was found stays in `broken`."""
        self._is_over.set()
        self._thread.join()

    def all_say(self, verdict: Verdict) -> None:
        """Wait until a look that begins now has *verdict*, on every way and by every resolver."""
        now = time.monotonic()
        wait_until(
            lambda: self.broken != [] or not self._lacking(verdict, now),
            lambda: f"not {verdict}: {self._lacking(verdict, now)}",
            seconds=PATIENCE_SECONDS,
        )
        assert self.broken == [], "\n".join(self.broken)

    def look(self, resolver: int, way: Way) -> Look:
        """Ask once, again while there is no answer at all."""
        for _ in range(TRIES - 1):
            found = self._once(resolver, way)
            if found.verdict is not Verdict.DEFERRED:
                return found
            time.sleep(0.2)
        return self._once(resolver, way)

    def count(self, verdict: Verdict) -> int:
        """Return how many looks had *verdict*."""
        return sum(look.verdict is verdict for look in self.looks)

    def _lacking(self, verdict: Verdict, since: float) -> list[tuple[int, Way]]:
        found = {(look.resolver, look.way) for look in self.looks if look.verdict is verdict and look.begun >= since}
        return [pair for pair in self._pairs if pair not in found]

    def _look_on(self) -> None:
        for pair in itertools.cycle(self._pairs):
            if self._is_over.wait(PAUSE_SECONDS):
                return
            was_expected = self.expects_records
            look = self.look(*pair)
            self.looks.append(look)
            if _is_bad(look.verdict, is_expected=was_expected and self.expects_records):
                self.broken.append(f"{look.way}, by resolver {look.resolver}: {look.verdict}\n{look.said}")

    def _once(self, resolver: int, way: Way) -> Look:
        environment = bare_environment() | {
            "MAIL_CONFIG": str(self._config),
            "LD_PRELOAD": WRAPPER,
            "RESOLV_WRAPPER_CONF": str(self._resolvers[resolver].resolv_conf),
        }
        words: list[str | Path] = [
            self._finger,
            "-c",
            "-l",
            "dane-only",
            "-L",
            "summary",
            "-t",
            "20",
            "-T",
            "20",
            "-o",
            f"inet_protocols={way.family}",
            f"[{way.host}]:{way.port}",
        ]
        begun = time.monotonic()
        done = subprocess.run(
            words, check=False, capture_output=True, text=True, timeout=60, env=environment, stdin=subprocess.DEVNULL
        )
        said = done.stdout + done.stderr
        return Look(resolver, way, begun, verdict_of(said), said)


_UNANSWERED = ("Connection refused", "timed out", "lookup failed", "lookup error", "try again")


def verdict_of(said: str) -> Verdict:
    """Read what posttls-finger printed; whatever is not known to be harmless is broken.

    >>> str(verdict_of("posttls-finger: no TLSA records found, resorting to secure"))
    'no records'
    >>> str(verdict_of("posttls-finger: Untrusted TLS connection established to mx1.example.com"))
    'broken'
    """
    if "Verified TLS connection established" in said:
        return Verdict.VERIFIED
    if "no TLSA records found" in said:
        return Verdict.NO_RECORDS
    return Verdict.DEFERRED if any(words in said for words in _UNANSWERED) else Verdict.BROKEN


def _is_bad(verdict: Verdict, *, is_expected: bool) -> bool:
    return verdict in (Verdict.BROKEN, Verdict.DEFERRED) or (verdict is Verdict.NO_RECORDS and is_expected)


def _wrapper() -> None:
    found = any(Path("/usr/lib").glob(f"*/{WRAPPER}*"))
    if not found:
        missing("'libresolv_wrapper.so' is not installed: apt-get install libresolv-wrapper")
