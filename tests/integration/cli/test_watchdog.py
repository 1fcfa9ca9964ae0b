"""`sslops watchdog`: good runs are seen from anywhere that can read the repository, and their absence is loud."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from sslops.model.heartbeat import STAGES, Heartbeat, judge
from tests.world.ops import OpsRepository
from tests.world.remotes import BRANCHES_ONLY, install_hook

if TYPE_CHECKING:
    from pathlib import Path

INVENTORY = {
    "inventory/sslops.yaml": "groups: [{domain: ca, active: true, services: [root]}]\n",
    "inventory/cas.yaml": "root: {ca_type: self}\n",
    "inventory/ca/root.yaml": "name: Root\nsigning_ca: self\nca: {sign_end_days: 90}\nx509: {CN: Root}\n",
}
JOB = {"GITLAB_CI": "true", "CI_PIPELINE_SOURCE": "schedule", "CI_JOB_URL": "https://gitlab.example.com/x/-/jobs/7"}
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_only_a_good_whole_run_of_a_job_counts(world_folder: Path) -> None:
    """Not a dry-run, not a person's, not one of a part; then it is seen from another clone, with the job's page."""
    ops = OpsRepository(world_folder, INVENTORY)
    for words, environment in (
        (("run",), JOB),
        (("run", "--apply"), {}),
        (("run", "ca:root", "--apply"), JOB),
        (("deploy", "--apply"), {}),
    ):
        ops.sslops(*words, environment=environment).succeeded()

    assert "" == ops.git_remote("for-each-ref", "refs/sslops")

    never = ops.sslops("watchdog")

    assert (1, "late: renew: no heartbeat was ever seen") == (never.exit_code, never.stderr.splitlines()[0])

    refs = ops.refs()
    ops.sslops("run", "--apply", environment=JOB).succeeded()

    assert refs == ops.refs()

    seen = ops.clone(world_folder / "elsewhere").sslops("watchdog", "--json").succeeded()

    assert [("renew", JOB["CI_JOB_URL"], False), ("roll", JOB["CI_JOB_URL"], False)] == [
        (each["stage"], each["run"], each["late"]) for each in json.loads(seen.stdout)["stages"]
    ]


def test_a_remote_that_refuses_the_ref_is_told_and_fails_nothing(world_folder: Path) -> None:
    """The work is done; the watchdog will be loud."""
    ops = OpsRepository(world_folder, INVENTORY)
    ops.sslops("run", "--apply").succeeded()
    assert ops.remote is not None
    install_hook(ops.remote, "update", BRANCHES_ONLY)

    assert "could not be written, so the watchdog" in ops.sslops("run", "--apply", environment=JOB).succeeded().stderr


@given(st.lists(st.tuples(st.sampled_from([*STAGES, "run"]), st.integers(-60, 4000))), st.integers(1, 2000))
def test_a_stage_is_late_unless_a_run_of_it_is_young(ages: list[tuple[str, int]], most: int) -> None:
    """The newest counts; one from the future is no proof of anything."""
    runs = [Heartbeat(verb, NOW - timedelta(minutes=minutes)) for verb, minutes in ages]
    late = {each.stage for each in judge(runs, STAGES, NOW, timedelta(minutes=most)) if each.is_late}
    newest = {stage: min((age for verb, age in ages if verb in {stage, "run"}), default=None) for stage in STAGES}

    assert late == {stage for stage, age in newest.items() if age is None or age > most or age < -10}
