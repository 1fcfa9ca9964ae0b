"""Certificates from ACME: sslops, all in one run, and certbot, one after another, on the same pebble and knot.

Whole processes, four names each, dns-01 through the DNS repository; both have their account already. Runs are spaced:
knot holds back a second NOTIFY by up to a second.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks.acme_certbot import VERSION, Certbot
from benchmarks.acme_world import AcmeBenchSite, AcmeWorld
from benchmarks.process import Figure, measure
from benchmarks.table import row

if TYPE_CHECKING:
    from pathlib import Path

SPACE_SECONDS = 2.0
GOALS = {1: (7, 1.2, None), 20: (3, 4.0, None), 100: (3, 15.0, 150.0)}
"""Number of certificates to the number of runs, and the goals: seconds, MiB."""
CERTBOT_GOALS = {1: (5, 2), 20: (1, 10)}
"""Number of certificates to certbot's number of runs, and how many times as long it takes by the goals."""


def main(folder: Path) -> None:
    """Measure every row and print it."""
    runs_told = ", ".join(f"{runs} for {certificates}" for certificates, (runs, *_) in GOALS.items())
    print(f"ACME: 4 names each by dns-01, the account is there; runs: {runs_told}; certbot 5 for 1, 1 for 20")
    world = AcmeWorld(folder / "world")
    try:
        certbot = Certbot(folder / "certbot", world)
        for certificates, (runs, seconds, mebibytes) in GOALS.items():
            ours, commits = _sslops(folder / f"acme-{certificates}", world, certificates, runs)
            row(f"renew by ACME, {_certificates(certificates)}", ours, seconds, mebibytes)
            print(f"  one run showed its challenges in {commits} DNS commit{'s' if commits > 1 else ''}")
            if certificates in CERTBOT_GOALS:
                certbot_runs, goal = CERTBOT_GOALS[certificates]
                theirs = _certbot(certbot, certificates, certbot_runs)
                row(f"certbot {VERSION}, {_certificates(certificates)}", theirs)
                share = theirs.seconds / ours.seconds
                missed = "" if share >= goal else ", MISSED"
                print(f"  certbot takes {share:.1f} x as long; goal {goal} x{missed}", flush=True)
    finally:
        world.close()


def _certificates(number: int) -> str:
    return f"{number} certificate{'s' if number > 1 else ''}"


def _sslops(folder: Path, world: AcmeWorld, certificates: int, runs: int) -> tuple[Figure, int]:
    """Time `renew --apply`; return the figure, and the number of DNS commits with challenges in one run."""
    site = AcmeBenchSite(folder, world, certificates)
    before = world.dns_commits()

    def go_back() -> None:
        site.go_back()
        time.sleep(SPACE_SECONDS)

    figure = measure(site.words, cwd=site.ops.folder, environment=site.ops.environment, runs=runs, before=go_back)
    if site.issued() != certificates + 1:
        message = f"{site.issued() - 1} of {certificates} certificates were issued"
        raise RuntimeError(message)
    return figure, (world.dns_commits() - before) // runs


def _certbot(certbot: Certbot, certificates: int, runs: int) -> Figure:
    def go_back() -> None:
        certbot.forget(certificates)
        certbot.take_clone()
        time.sleep(SPACE_SECONDS)

    words = certbot.sequence(certificates) if certificates > 1 else certbot.words("s000")
    return measure(words, cwd=certbot.folder, environment=certbot.environment, runs=runs, before=go_back)
