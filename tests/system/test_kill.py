"""kill -9 at every effect: what the next plain runs find is always something they can finish.

Each verb of the second cycle is run from the same beginning, killed before and after each of its effects, and plain
runs follow until nothing changes any more; a mail sender with a cache looks all the time. Every run of the suite kills
at a few places of each verb; those marked `soak` are the whole row.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.conftest import COUNTED
from tests.system.kept import Kept
from tests.system.launching import Launched, effects, steps
from tests.system.test_cycle import MAIL, both, certificate, fields, record, roll_when_ready, wait_for_roll
from tests.world.site import HOSTS, OWNER
from tests.world.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.world.site import Site

KILLED = -9
SHARES = 4
"""Into how many tests the steps of a receiver are dealt, so that they run side by side."""
QUIET_WITHIN_RUNS = 8

RENEW: tuple[str, ...] = ("renew", "example.com:mail-ec", "--force", "--new-key", "--apply")
STAGES: dict[str, tuple[str, ...]] = {
    "renew": RENEW,
    "publish": ("publish", "--apply"),
    "roll": ("roll", "--apply"),
    "deploy": ("deploy", "--apply"),
    "withdraw": ("publish", "--apply"),
}
"""The verbs of the second cycle, in order; each begins where those before it ended."""
ALWAYS = ("publish", "deploy")
"""Those that belong to every run of the suite: what other people's machines depend on."""


@pytest.mark.parametrize("stage", ALWAYS)
def test_a_verb_killed_before_its_last_effect_or_earlier_is_finished_by_plain_runs(
    site: Site, stage: str, tmp_path: Path, record_property: Callable[[str, str], None]
) -> None:
    """Section 2 holds all along, no key is lost, and the site reaches its goal."""
    kept, number = beginning_of(site, stage, tmp_path)
    places = spread(number, stage)
    record_property(COUNTED, f"{stage}: kill -9 {', '.join(f'{when} {effect}' for when, effect in places)} of {number}")

    for moment, effect in places:
        kill(site, kept, stage, [f"--kill-{moment}", effect])


@pytest.mark.soak
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_verb_killed_at_any_effect_is_finished_by_plain_runs(
    site: Site, stage: str, moment: str, tmp_path: Path, record_property: Callable[[str, str], None]
) -> None:
    """The same at each effect."""
    kept, number = beginning_of(site, stage, tmp_path)
    record_property(COUNTED, f"{stage}: kill -9 {moment} each of {number} effects")

    for effect in range(1, number + 1):
        kill(site, kept, stage, [f"--kill-{moment}", effect])


@pytest.mark.soak
@pytest.mark.parametrize("share", range(SHARES))
def test_a_receiver_killed_at_any_step_is_finished_by_plain_runs(
    site: Site, share: int, tmp_path: Path, record_property: Callable[[str, str], None]
) -> None:
    """The host has the old files or the new ones, and the next run settles."""
    kept, kinds = receiver_steps(site, tmp_path)
    mine = kinds[share::SHARES]
    record_property(COUNTED, f"receiver: kill -9 at {len(mine)} of {len(kinds)} kinds of step, share {share}")

    assert mine != []
    kill_receivers(site, kept, mine, tmp_path)


def spread(number: int, seed: str) -> list[tuple[str, int]]:
    """Return some of *number* effects, each with its moment: before the last, and after one of those before that.

    Which one is always the same for a *seed*. Before the first nothing has happened, after the last everything.
    """
    chosen = random.Random(seed).randrange(1, number - 1)  # noqa: S311  (the same one each time)
    return [("after", chosen), ("before", number)]


def beginning_of(site: Site, stage: str, tmp_path: Path) -> tuple[Kept, int]:
    """Return the site as it is when *stage* is next, and the number of effects that the stage has."""
    begin(site, stage)
    kept, count = Kept(site, tmp_path / "kept"), tmp_path / "count"
    finish(site, STAGES[stage], ["--count", count])
    number = len(effects(count))

    assert number > 0

    return kept, number


def receiver_steps(site: Site, tmp_path: Path) -> tuple[Kept, list[int]]:
    """Return the site as it is when deploy is next, and the number of the first step of each kind that it takes."""
    begin(site, "deploy")
    kept, log = Kept(site, tmp_path / "kept"), tmp_path / "steps"
    finish(site, STAGES["deploy"], ["--receiver-log", log])
    taken = [(step.operation, step.name) for step in steps(log)]
    return kept, [taken.index(kind) + 1 for kind in dict.fromkeys(taken)]


def kill_receivers(site: Site, kept: Kept, numbers: Sequence[int], tmp_path: Path) -> None:
    """Deploy from the same beginning again and again, each time with the receiver killed at another step."""
    for number in numbers:
        kill(site, kept, "deploy", ["--receiver-log", tmp_path / f"killed-{number}", "--kill-receiver-at", number])


def begin(site: Site, stage: str) -> None:
    """Bring a new site to the point where *stage* is next: one certificate is served and published, a new key comes."""
    for words in (("renew", "--apply"), ("roll", "--apply"), ("deploy", "--apply"), ("publish", "--apply")):
        site.sslops(*words).succeeded()
    site.sslops("run", "--apply").succeeded()
    for name, verb in STAGES.items():
        if name == stage:
            break
        site.sslops(*verb).succeeded()
        if name == "publish":
            wait_for_roll(site)
        if name == "roll":
            roll_when_ready(site)


def finish(site: Site, words: tuple[str, ...], options: list[object]) -> None:
    """Run a verb to its end under the launcher."""
    with Launched(site.ops, *words, options=[str(option) for option in options]) as launched:
        launched.finish().succeeded()


def kill(site: Site, kept: Kept, stage: str, options: list[object]) -> None:
    """Go back to the beginning, run the verb until it is killed, then run plainly until nothing changes."""
    kept.wait_for_receivers()
    kept.restore()
    keys = private_keys(site)
    with Watch(site.dns, OWNER, list(site.mail.values())):
        with Launched(site.ops, *STAGES[stage], options=[str(option) for option in options]) as launched:
            ended = launched.finish()
        if "--kill-receiver-at" not in options:
            assert ended.exit_code == KILLED, f"{options}: {ended}"
        keys |= private_keys(site)
        run_until_quiet(site)

    assert keys <= private_keys(site), f"{options}: a key was lost"
    assert_goal(site)


def run_until_quiet(site: Site) -> None:
    """Run the scheduled job until it changes no branch."""
    for _ in range(QUIET_WITHIN_RUNS):
        before = site.ops.refs()
        site.sslops("run", "--apply").succeeded()
        if before == site.ops.refs():
            return
        time.sleep(2)
    pytest.fail(f"not quiet after {QUIET_WITHIN_RUNS} runs: {site.sslops('status').stdout}")


def assert_goal(site: Site) -> None:
    """Every host serves curr, DNS shows curr and the prepublished key, nothing is pending, and state is sound."""
    slots = fields(site.ops.show("main", f"state/{MAIL}/slots.yaml"))

    assert slots["curr"] == fields(site.ops.show("next", f"state/{MAIL}/slots.yaml"))["curr"]
    assert dict.fromkeys(HOSTS, certificate(site, "curr")) == site.served()
    assert both(record(site, "curr"), record(site, "next")) == site.dns.show(OWNER)
    assert "pending: null" in site.ops.show("ledger", "tlsa/example.com.yaml")
    site.sslops("check").succeeded()


def private_keys(site: Site) -> frozenset[str]:
    """Return the path of every encrypted key that `main` or `next` has."""
    paths = site.ops.git_remote("ls-tree", "-r", "--name-only", "main").splitlines()
    if "next" in site.ops.refs():
        paths += site.ops.git_remote("ls-tree", "-r", "--name-only", "next").splitlines()
    return frozenset(path for path in paths if path.endswith(".sops"))
