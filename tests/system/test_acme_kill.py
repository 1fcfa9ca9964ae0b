"""kill -9 in the middle of a batch, and two batches at once: later runs finish it, and nothing is done twice."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.conftest import COUNTED
from tests.system.acme import NET, SERVICES, assert_clean, statuses
from tests.system.launching import Launched, effects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.world.acme_site import AcmeSite

KILLED = -9
RENEW = ("renew", "--apply")
AGAIN = (*RENEW, "--force", "--new-key", "example.net")
RANDOM_KILLS = 10
"""How many kills belong to every run of the suite; `python -m tests.system.acme_soak 200` is the long row."""
WITHIN_RUNS = 6


@pytest.mark.soak
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_batch_killed_at_any_effect_is_finished_by_plain_runs(
    acme_site: AcmeSite, tmp_path: Path, record_property: Callable[[str, str], None], moment: str
) -> None:
    """One certificate, one account, no proof given twice, no key lost, no challenge left, whichever step it was."""
    names = effects_of_a_batch(acme_site, tmp_path)
    record_property(COUNTED, f"ACME: kill -9 {moment} each of {len(names)} effects: {', '.join(names)}")

    kill_each(acme_site, moment, range(1, len(names) + 1))


def effects_of_a_batch(site: AcmeSite, tmp_path: Path) -> list[str]:
    """Issue for the first time and once more, and return the names of the effects that the second time has."""
    log = tmp_path / "effects"
    site.sslops(*RENEW, "example.net").succeeded()
    with Launched(site.ops, *AGAIN, options=["--count", log]) as launched:
        launched.finish().succeeded()
    assert_clean(site)
    return effects(log)


def kill_each(site: AcmeSite, moment: str, places: Iterable[int]) -> None:
    """Renew with a new key again and again, each time killed at another effect, and let plain runs finish it."""
    for effect in places:
        before = issued(site)
        with Launched(site.ops, *AGAIN, options=[f"--kill-{moment}", str(effect)]) as launched:
            ended = launched.finish()
        assert ended.exit_code in {KILLED, 0}, ended
        keys = keys_of(site)
        finish(site)

        assert keys <= keys_of(site), f"a key was lost {moment} effect {effect}"
        assert len(issued(site) - before) <= 1
        assert_clean(site)


def test_random_kills_in_a_row_end_in_one_certificate_for_each_service(acme_site: AcmeSite) -> None:
    """From the very first run on, killed at random moments, then left in peace."""
    site, dice = acme_site, random.Random(20261124)  # noqa: S311  (a reproducible test)
    kill_at_random(site, dice, RANDOM_KILLS)
    finish(site)

    assert dict.fromkeys(SERVICES, "issued") == statuses(site)
    assert all(len(generations(site, service)) == 1 for service in SERVICES)
    assert_clean(site)


def test_two_runs_at_once_make_one_certificate_for_each_service(acme_site: AcmeSite, tmp_path: Path) -> None:
    """The one that is slower at git finds what the other began, and goes on with it or has nothing to do."""
    site = acme_site
    other = site.ops.clone(tmp_path / "other")
    processes = [ops.popen(*RENEW) for ops in (site.ops, other)]
    ends = [process.communicate(timeout=180) for process in processes]
    assert {0} == {process.returncode for process in processes}, ends
    finish(site)

    assert dict.fromkeys(SERVICES, "issued") == statuses(site)
    assert all(len(generations(site, service)) == 1 for service in SERVICES)
    assert 1 == site.ca.accounts_made()
    assert {"example.com": "", "example.net": ""} == site.challenge_files()


def kill_at_random(site: AcmeSite, dice: random.Random, times: int) -> None:
    """Start a batch and kill it, *times* times."""
    count = site.folder / "effects"
    for _ in range(times):
        with Launched(site.ops, *RENEW, options=("--count", count)) as launched:
            launched.kill_at_work(count, dice.uniform(0, 1))


def finish(site: AcmeSite) -> None:
    """Run until nothing changes any more; a backoff does not count, so there must be none."""
    for _ in range(WITHIN_RUNS):
        before = site.ops.refs(), site.challenge_files()
        site.sslops(*RENEW).succeeded()
        if before == (site.ops.refs(), site.challenge_files()):
            return
    pytest.fail(f"not quiet after {WITHIN_RUNS} runs: {site.sslops('status').stdout}")


def generations(site: AcmeSite, service: str) -> set[str]:
    """Return the generations of *service* on next."""
    paths = site.ops.git_remote("ls-tree", "-r", "--name-only", "next", f"state/{service}/").splitlines()
    return {path.split("/")[3] for path in paths if path.count("/") == 4}


def issued(site: AcmeSite) -> set[str]:
    """Return the certificates of example.net on next."""
    paths = site.ops.git_remote("ls-tree", "-r", "--name-only", "next", f"state/{NET}/").splitlines()
    return {path for path in paths if path.endswith("/cert.pem")}


def keys_of(site: AcmeSite) -> set[str]:
    """Return every encrypted key on next."""
    paths = site.ops.git_remote("ls-tree", "-r", "--name-only", "next").splitlines()
    return {path for path in paths if path.endswith(".sops")}
