"""What the kill tests counted, said at the end of the run, wherever a test ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

COUNTED = "counted"


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print each number that a test recorded under `counted`."""
    for report in terminalreporter.stats.get("passed", []):
        for name, said in report.user_properties:
            if name == COUNTED:
                terminalreporter.write_line(str(said))
