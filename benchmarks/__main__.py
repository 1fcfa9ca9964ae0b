"""`make bench`: time the verbs as whole processes and print one table, with the machine named.

`make bench ARGS=acme` (or `verbs`) prints one part of it; `ARGS=large` how verbs grow, with exit 1 for a missed goal.
The limits are the project's own goals; a figure above its limit is printed as such and fails nothing.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from pathlib import Path

from benchmarks import acme, large
from benchmarks.process import Figure, measure
from benchmarks.sites import BenchSite
from benchmarks.table import row
from tests.world.sshd import Login, SshHost

RUNS = 5
HOSTS = 10
SMALL, LARGE = 100, 500


def main() -> None:
    """Measure every row and print the table."""
    wanted = sys.argv[1:] or list(PARTS)
    if wanted != ["large"] and not PARTS.keys() >= set(wanted):
        sys.exit(f"usage: python -m benchmarks [{'] ['.join(PARTS)}]")
    if wanted == ["large"]:
        with tempfile.TemporaryDirectory(prefix="sslops-bench-") as name:
            print(f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}")
            sys.exit(0 if large.main(Path(name)) else 1)
    print(f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}")
    print(f"medians of {RUNS} runs (fastest to slowest); whole process; MiB: largest single process")
    print()
    with tempfile.TemporaryDirectory(prefix="sslops-bench-") as name:
        for part in wanted:
            PARTS[part](Path(name))


def verbs(folder: Path) -> None:
    """Measure the verbs with an own CA."""
    row("sslops --help", _help(folder), 0.120)
    for verb, size_limit in (("status", None), ("renew", 3.0), ("roll", 1.5)):
        small = _verb(folder / f"{verb}-{SMALL}", verb, SMALL)
        large = _verb(folder / f"{verb}-{LARGE}", verb, LARGE)
        row(f"{verb}, {SMALL} services", small, size_limit)
        row(f"{verb}, {LARGE} services", large, 0.4 if verb == "status" else None)
        print(f"  {verb}: {large.seconds / small.seconds:.2f} x the time for {LARGE // SMALL} x the services")
    small, large = _deploy(folder / "deploy-small", SMALL), _deploy(folder / "deploy-large", LARGE)
    row(f"deploy, {SMALL} services to {HOSTS} sshd", small, 8.0)
    row(f"deploy, {LARGE} services to {HOSTS} sshd", large, None)
    print(f"  deploy: {large.seconds / small.seconds:.2f} x the time for {LARGE // SMALL} x the services")


PARTS = {"verbs": verbs, "acme": acme.main}
"""What can be asked for."""


def _help(folder: Path) -> Figure:
    return measure([sys.executable, "-m", "sslops", "--help"], cwd=folder, environment=os.environ, runs=RUNS * 3)


def _verb(folder: Path, verb: str, services: int) -> Figure:
    """Time one verb with everything left to do; status with everything rolled."""
    site = BenchSite(folder, services)
    if verb != "renew":
        site.ops.sslops("renew", "--apply").succeeded()
    if verb == "status":
        site.ops.sslops("roll", "--apply").succeeded()
    site.keep()
    words = site.words(verb) if verb == "status" else site.words(verb, "--apply")
    return measure(words, cwd=site.ops.folder, environment=site.ops.environment, runs=RUNS, before=site.go_back)


def _deploy(folder: Path, services: int) -> Figure:
    login = Login(folder / "login")
    hosts = tuple(SshHost(folder / f"h{n}", f"h{n}.internal.example.com", login) for n in range(HOSTS))
    try:
        site = BenchSite(folder, services, hosts, login)
        site.ops.sslops("renew", "--apply").succeeded()
        site.ops.sslops("roll", "--apply").succeeded()
        site.keep()
        words = site.words("deploy", "--apply")
        return measure(words, cwd=site.ops.folder, environment=site.ops.environment, runs=3, before=site.go_back)
    finally:
        for host in hosts:
            host.stop()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
