"""A year of renewals, with prune and without: what the repository weighs, and how long verbs take in it.

    python -m benchmarks.year FOLDER [--services 1000] [--cycles 9] [--keep 1]

Certificates last 90 days and are renewed every 45. Each key is a document of its own with random ciphertext, so that
git can compress it no better than a real one; nobody can open it, which no verb measured here wants. A cycle prunes as
the roll job does, by the clock of its time. Prints a table: fresh (one cycle), a year kept, a year pruned.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from benchmarks.synthetic import CYCLE, Shape, SyntheticSite
from sslops.dane.records import Keys
from sslops.model.change import BulkChange
from sslops.model.names import CA_GROUP
from sslops.prune import rules
from sslops.prune.rules import DnsSeen, PruneOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sslops.issue.ports import Vault
    from sslops.model.secret import Secret
    from sslops.secrets.sops import Sops

RUNS = 3
VERBS = (("status",), ("check",), ("plan",), ("roll",), ("prune",))
_CIPHERTEXT = re.compile(r"(?<=data:)[A-Za-z0-9+/=]{16,}")
_STANZA = re.compile(r"(?<=\\n)[A-Za-z0-9+/]{40,}(?=\\n)")


class _RandomVault:
    """Encrypts the keys of CAs for real; every other document is the first one with other ciphertext."""

    def __init__(self, sops: Sops) -> None:
        self._sops = sops
        self._first = ""

    def encrypt_many(self, items: Iterable[tuple[str, Secret]]) -> tuple[bytes, ...]:
        """Encrypt each (path, secret)."""
        return tuple(self._encrypted(path, secret) for path, secret in items)

    def _encrypted(self, path: str, secret: Secret) -> bytes:
        if path.startswith(f"state/{CA_GROUP}/"):
            return self._sops.encrypt(path, secret)
        self._first = self._first or self._sops.encrypt(path, secret).decode()
        return _STANZA.sub(_noise, _CIPHERTEXT.sub(_noise, self._first)).encode()

    def decrypt(self, path: str, document: bytes) -> Secret:
        """Open a document of a CA."""
        return self._sops.decrypt(path, document)


def _noise(found: re.Match[str]) -> str:
    length = len(found[0])
    return base64.b64encode(os.urandom(length)).decode()[:length]


class YearSite(SyntheticSite):
    """A synthetic site that prunes after each cycle; *keep* null: it does not."""

    def __init__(self, folder: Path, shape: Shape, keep: int | None = None) -> None:
        """Build it."""
        self.keep = keep
        super().__init__(folder, shape)

    def vault(self, sops: Sops) -> Vault:
        """Return who encrypts keys."""
        return _RandomVault(sops)

    def _run_cycle(self, now: datetime) -> None:
        super()._run_cycle(now)
        if self.keep is None:
            return
        snapshot = self.ops.snapshot()
        branches = snapshot.branches
        options = PruneOptions(keep=self.keep)
        found = rules.plan(
            self.inventory, branches, snapshot.ledger, DnsSeen(), Keys.of(branches), now + CYCLE / 2, options
        )
        going = rules.dropped(found)
        if going:
            self.ops.write_next(snapshot, [BulkChange("prune", "a synthetic prune", "As in a year.", dropped=going)])


@dataclass(frozen=True, slots=True)
class Column:
    """One repository: MiB of `.git` and of a shallow clone, both packed, generations, and seconds by verb."""

    name: str
    git_mib: float
    shallow_mib: float
    generations: int
    seconds: Sequence[float]


def measured(name: str, site: SyntheticSite) -> Column:
    """Measure *site*."""
    folder = site.world.folder
    _git(folder, "gc", "--quiet")
    shallow = site.folder / "shallow"
    url = f"file://{folder}"
    _git(site.folder, "clone", "--quiet", "--bare", "--depth=1", "--no-single-branch", url, str(shallow))
    state = site.ops.snapshot().branches.next
    return Column(
        name,
        _mib(folder / ".git"),
        _mib(shallow),
        sum(len(each.generations) for each in state.services.values()),
        [_seconds(site, words) for words in VERBS],
    )


def _git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True)


def _mib(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def _seconds(site: SyntheticSite, words: Sequence[str]) -> float:
    """Return the shortest wall time of a verb: what else the machine does only adds to it."""
    times = []
    for _ in range(RUNS):
        begin = monotonic()
        command = [sys.executable, "-m", "sslops", "-C", str(site.world.folder), *words]
        subprocess.run(command, env=site.world.environment, check=False, capture_output=True)
        times.append(monotonic() - begin)
    return min(times)


def main() -> None:
    """Build all three, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--cycles", type=int, default=9)
    parser.add_argument("--keep", type=int, default=1)
    given = parser.parse_args()
    begun = datetime.now(tz=UTC)
    fresh, year = (Shape(given.services, cycles=cycles, days=90) for cycles in (1, given.cycles))
    columns = [
        measured("fresh", YearSite(given.folder / "fresh", fresh)),
        measured(f"year, --keep {given.keep}", YearSite(given.folder / "pruned", year, given.keep)),
        measured("year, kept", YearSite(given.folder / "kept", year)),
    ]
    print(f"| {given.services} services, {given.cycles} cycles | " + " | ".join(each.name for each in columns) + " |")
    print("| --- |" + " --- |" * len(columns))
    for title, cells in (
        (".git, MiB", [f"{each.git_mib:.1f}" for each in columns]),
        ("shallow clone, MiB", [f"{each.shallow_mib:.1f}" for each in columns]),
        ("generations", [str(each.generations) for each in columns]),
        *((f"{' '.join(words)}, s", [f"{each.seconds[n]:.2f}" for each in columns]) for n, words in enumerate(VERBS)),
    ):
        print(f"| {title} | " + " | ".join(cells) + " |")
    print(f"built and measured in {(datetime.now(tz=UTC) - begun).total_seconds():.0f} s")


if __name__ == "__main__":
    main()
