"""`status --prometheus`: the file, the alert rules and the dashboard, read by Prometheus' own parser (promtool)."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sslops.errors import UsageError
from sslops.model.ledger import HostEntry, Served, Trouble
from sslops.model.state import Branches
from sslops.report.metrics import exposition
from sslops.report.status import Blocked, StatusReport, status_report
from sslops.system.files import write_whole
from tests.unit.report.test_status_view import (
    INVENTORY,
    LIVE,
    MAIL,
    NEW,
    NOW,
    OLD,
    RECEIVERS,
    with_evidence,
)
from tests.world.ops import PROJECT
from tests.world.peers import need

if TYPE_CHECKING:
    from pathlib import Path

RULES = PROJECT / "contrib/prometheus/sslops.rules.yml"
DASHBOARD = PROJECT / "contrib/grafana/sslops.json"


def promtool(*words: object, given: str = "") -> None:
    """Run promtool; what it complains about fails the test."""
    done = subprocess.run(
        [need("promtool"), *map(str, words)], input=given, capture_output=True, text=True, timeout=60, check=False
    )

    assert (0, "") == (done.returncode, done.stderr if done.returncode else ""), done.stdout


def troubled() -> StatusReport:
    """Return a report with one of everything, and a cause with signs that the format gives a meaning."""
    either = {"smtp1": HostEntry(2, {MAIL: Served((OLD, None))})}
    ledger = replace(
        with_evidence(NEW, since=NOW - timedelta(days=5)),
        hosts=either,
        troubles={"smtp1": Trouble(NOW - timedelta(hours=2), "refused")},
    )
    report = status_report(INVENTORY, Branches(LIVE, LIVE), ledger, RECEIVERS, NOW, NOW - timedelta(minutes=5))
    odd = Blocked("publish", "example.com", 'a "b" \\ c\nd', "alias", NOW - timedelta(hours=3))
    return replace(report, blocked=(odd,))


def test_promtool_accepts_the_metrics() -> None:
    """Format and names, of a report with one of everything."""
    promtool("check", "metrics", given=exposition(troubled(), is_live=True))


def test_the_metrics_say_what_the_report_says() -> None:
    """Moments in seconds since 1970, and what --live would have seen only where it looked."""
    lines = exposition(troubled(), is_live=False).splitlines()

    assert 'sslops_service_phase{group="example.com",service="mail-ec",phase="deploying"} 1' in lines
    assert f"sslops_status_timestamp_seconds {int(NOW.timestamp())}" in lines
    assert 'sslops_alarms{kind="mismatch"} 1' in lines
    assert [] == [line for line in lines if "drift" in line and not line.startswith("#")]


def test_the_alerts_fire_on_those_metrics_and_on_their_absence(tmp_path: Path) -> None:
    """promtool plays three hours of them: everything that is wrong fires, and nothing else does."""
    start = NOW.timestamp()
    moved = [
        _since_zero(line, start)
        for line in exposition(troubled(), is_live=True).splitlines()
        if not line.startswith("#")
    ]
    series = [{"series": name, "values": f"{value}+0x180"} for name, value in moved]
    fired = {"SslopsMismatch", "SslopsBlocked", "SslopsDeployFailing"}
    quiet = {"SslopsDrift", "SslopsExpired", "SslopsUnobserved", "SslopsCertificateEnding", "SslopsStatusStale"}
    at = [{"eval_time": "90m", "expr": f'count(ALERTS{{alertname="{name}"}})'} for name in sorted(fired | quiet)]
    tests = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": series,
                "promql_expr_test": [
                    each | {"exp_samples": [{"value": 1}] if each["expr"].split('"')[1] in fired else []} for each in at
                ],
            },
            {
                "interval": "1m",
                "input_series": [],
                "promql_expr_test": [
                    {"eval_time": "20m", "expr": "count(ALERTS{alertstate='firing'})", "exp_samples": [{"value": 1}]}
                ],
            },
        ],
    }
    (tmp_path / "tests.yml").write_text(json.dumps(tests))

    promtool("check", "rules", RULES)
    promtool("test", "rules", tmp_path / "tests.yml")


def _since_zero(line: str, start: float) -> tuple[str, int]:
    """Return name and value of a sample in promtool's time, which begins at 0."""
    name, _, value = line.rpartition(" ")
    return name, int(value) - int(start) if "timestamp" in name else int(value)


def test_promtool_reads_every_question_of_the_dashboard(tmp_path: Path) -> None:
    """And each is about a metric that there is."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    questions = [target["expr"] for panel in panels for target in panel["targets"]]
    rules = [{"record": f"sslops:panel:{place}", "expr": each} for place, each in enumerate(questions)]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))

    promtool("check", "rules", tmp_path / "rules.yml")

    known = {line.split()[2] for line in exposition(troubled(), is_live=True).splitlines() if line.startswith("# TYPE")}
    words = {word for each in questions for word in each.replace("(", " ").replace(")", " ").split()}

    assert set() == {word for word in words if word.startswith("sslops_")} - known


def test_the_file_is_replaced_whole_and_readable(tmp_path: Path) -> None:
    """A collector under another user reads the old or the new, and no draft stays; what is no file is left alone."""
    file = tmp_path / "sslops.prom"
    file.write_text("old")
    with file.open() as before:
        write_whole(file, b"new")

        assert ("old", "new", 0o644) == (before.read(), file.read_text(), file.stat().st_mode & 0o777)
    assert [file] == list(tmp_path.iterdir())
    with pytest.raises(UsageError, match="not a regular file"):
        write_whole(tmp_path, b"")
    with pytest.raises(UsageError, match="cannot be written: No such file"):
        write_whole(tmp_path / "none/sslops.prom", b"")
