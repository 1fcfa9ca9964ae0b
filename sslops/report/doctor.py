"""The doctor's findings as text for a person and JSON for a program."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sslops.doctor.findings import Health, is_ill
from sslops.report.text import on_one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sslops.doctor.findings import Finding


def as_text(findings: Sequence[Finding]) -> str:
    """Return one line for each finding, and under what is missing for which verb, and the fix."""
    name_width = max((len(finding.name) for finding in findings), default=0)
    lines = [line for finding in findings for line in _lines(finding, name_width)]
    closing = "something is missing" if is_ill(findings) else "nothing is missing"
    return "\n".join([*lines, "", closing])


def as_json(findings: Sequence[Finding]) -> str:
    """Return `{findings: [{name, health, what, verbs, fix}]}`."""
    told = [
        {
            "name": finding.name,
            "health": str(finding.health),
            "what": finding.what,
            "verbs": list(finding.verbs),
            "fix": finding.fix,
        }
        for finding in findings
    ]
    return json.dumps({"findings": told}, indent=2, ensure_ascii=False)


def _lines(finding: Finding, name_width: int) -> list[str]:
    state_width = max(map(len, Health))
    indent = " " * (state_width + name_width + 4)
    lines = [f"{finding.health:{state_width}}  {finding.name:{name_width}}  {on_one_line(finding.what)}"]
    if finding.health is Health.MISSING and finding.verbs:
        lines.append(f"{indent}needed for {', '.join(finding.verbs)}")
    if finding.fix is not None:
        lines.append(f"{indent}fix: {on_one_line(finding.fix)}")
    return lines
