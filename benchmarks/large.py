"""How the verbs grow: the same rows for 100, 1,000 and 10,000 services on synthetic repositories, and renew's floor.

`python -m benchmarks large` prints the table; exit 1 when a goal is missed.
"""

from __future__ import annotations

import math
import os
import resource
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.synthetic import Shape, SyntheticSite
from sslops.issue.ports import Workshop
from sslops.model.inventory import KeySpec
from sslops.pki.local_ca import LocalCa
from sslops.secrets.sops import Sops

if TYPE_CHECKING:
    from pathlib import Path

    from sslops.model.secret import Secret

SIZES = (100, 1000, 10_000)
LARGEST_EXPONENT = 1.15
GOALS = {
    ("status", 10_000): (2.5, 200),
    ("check", 10_000): (4.0, None),
    ("plan", 10_000): (5.0, None),
    ("roll --apply", 10_000): (10.0, None),
    ("renew --apply", 10_000): (None, 400),
}
"""Verb and number of services to the most CPU seconds and MiB."""
VERBS = ("status", "check", "plan", "roll --apply")
FLOOR_KEYS = 200
FLOOR_SHARE = {100: 1.2, 1000: 1.1, 10_000: 1.1}


@dataclass(frozen=True, slots=True)
class Cost:
    """One run: CPU and wall seconds, children included, and the peak memory of its largest process in MiB."""

    cpu: float
    wall: float
    mebibytes: float


def main(folder: Path, sizes: tuple[int, ...] = SIZES) -> bool:
    """Measure every row and print it; return whether all goals were met."""
    print(f"{'row':34} {'services':>8} {'CPU s':>8} {'wall s':>8} {'MiB':>7} {'.git MiB':>9}")
    is_good = True
    costs: dict[tuple[str, int], Cost] = {}
    for size in sizes:
        site = SyntheticSite(folder / f"live-{size}", Shape(size, hosts=min(100, max(1, size // 10))))
        for verb in VERBS:
            costs[verb, size] = _run(site, verb)
            is_good &= _row(verb, size, costs[verb, size], _git_mebibytes(site))
        due = SyntheticSite(folder / f"due-{size}", Shape(size, cycles=0))
        floor = _floor(due, size)
        costs["renew --apply", size] = _run(due, "renew --apply")
        is_good &= _row("renew --apply", size, costs["renew --apply", size], _git_mebibytes(due))
        share = costs["renew --apply", size].cpu / floor.cpu
        is_missed = share > FLOOR_SHARE.get(size, math.inf)
        print(f"  floor: {floor.cpu:.1f} s CPU, {floor.wall:.1f} s wall; renew takes {share:.2f} x the CPU", end="")
        print(f", goal {FLOOR_SHARE[size]}, MISSED" if is_missed else "", flush=True)
        is_good &= not is_missed
    if len(sizes) > 1:
        for verb in (*VERBS, "renew --apply"):
            is_good &= _growth(verb, costs[verb, sizes[-2]], costs[verb, sizes[-1]], sizes[-1] / sizes[-2])
    return is_good


def _row(verb: str, size: int, cost: Cost, git_mebibytes: float) -> bool:
    seconds, mebibytes = GOALS.get((verb, size), (None, None))
    missed = [f"goal {seconds} s CPU, MISSED"] if seconds is not None and cost.cpu > seconds else []
    missed += [f"goal {mebibytes} MiB, MISSED"] if mebibytes is not None and cost.mebibytes > mebibytes else []
    figures = f"{cost.cpu:8.2f} {cost.wall:8.2f} {cost.mebibytes:7.0f} {git_mebibytes:9.1f}"
    print("  ".join([f"{verb:34} {size:8} {figures}", *missed]), flush=True)
    return not missed


def _growth(verb: str, small: Cost, large: Cost, ratio: float) -> bool:
    exponent = math.log(large.cpu / small.cpu) / math.log(ratio)
    missed = exponent > LARGEST_EXPONENT
    print(f"growth of {verb}: exponent {exponent:.2f}{f', goal {LARGEST_EXPONENT}, MISSED' if missed else ''}")
    return not missed


def _run(site: SyntheticSite, verb: str) -> Cost:
    words = site.words(*verb.split())
    begun = time.perf_counter()
    process = subprocess.Popen(
        words, cwd=site.world.folder, env=site.world.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        message = f"sslops {verb} ended with exit code {process.returncode}"
        raise RuntimeError(message)
    # Of a process that was waited for the system counts the children that it waited for too.
    return Cost(used.ru_utime + used.ru_stime, time.perf_counter() - begun, used.ru_maxrss / 1024)


def _floor(site: SyntheticSite, size: int) -> Cost:
    """Return what key, CSR, signature and one sops process a key cost, as many at a time as there are processors."""
    keys = min(size, FLOOR_KEYS)
    workshop = Workshop(
        LocalCa(), Sops((site.world.folder / ".sops.yaml").read_text(), environ=site.world.environment), _Nothing()
    )
    begun, used = time.perf_counter(), _used()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(lambda number: _one(workshop, number), range(keys)))
    scale = size / keys
    return Cost((_used() - used) * scale, (time.perf_counter() - begun) * scale, 0)


def _one(workshop: Workshop, number: int) -> None:
    made = workshop.maker.make_key(KeySpec("ec", ec_algo="secp256r1"))
    # Two signatures: the CSR's and the certificate's.
    _sign(made.private)
    _sign(made.private)
    workshop.vault.encrypt_many([(f"state/d0000.example.com/s{number:05}/x/privkey.pem.sops", made.private)])


def _sign(key: Secret) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    loaded = load_pem_private_key(key.reveal(), None)
    if isinstance(loaded, ec.EllipticCurvePrivateKey):
        loaded.sign(b"x" * 1000, ec.ECDSA(SHA256()))


class _Nothing:
    def read(self, *_: object) -> bytes | None:
        """Return nothing."""
        return None


def _used() -> float:
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in found)


def _git_mebibytes(site: SyntheticSite) -> float:
    files = (site.world.folder / ".git").rglob("*")
    return sum(file.lstat().st_size for file in files if file.is_file()) / 2**20
