"""The faults of a check as a JUnit document, which every forge and most CI tools show beside a merge request.

One test for each file that has faults and one for the whole, so that a sound inventory is a green test and not none.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sslops.errors import SslopsError


_SUITE = "sslops check"


def junit(faults: Sequence[SslopsError]) -> str:
    """Return the document for *faults*, which are sorted by file."""
    cases = [_case(file, list(found)) for file, found in groupby(faults, key=_file)]
    cases = cases or [f"  <testcase classname={quoteattr(_SUITE)} name={quoteattr('inventory and state')}/>"]
    counts = f'tests="{len(cases)}" failures="{len(cases) if faults else 0}" errors="0" skipped="0"'
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<testsuites {counts}>",
        f"<testsuite name={quoteattr(_SUITE)} {counts}>",
        *cases,
        "</testsuite>",
        "</testsuites>",
    ]
    return "\n".join(lines) + "\n"


def _file(fault: SslopsError) -> str:
    return fault.where.file if fault.where is not None else ""


def _case(file: str, faults: Sequence[SslopsError]) -> str:
    name, first = file or "state", faults[0].where
    place = f" file={quoteattr(_clean(file))} line={quoteattr(str(first.line))}" if first is not None else ""
    told = "\n".join(fault.render() for fault in faults)
    return (
        f"  <testcase classname={quoteattr(_SUITE)} name={quoteattr(_clean(name))}{place}>\n"
        f"    <failure message={quoteattr(_clean(faults[0].what))}>{escape(_clean(told))}</failure>\n"
        "  </testcase>"
    )


def _clean(text: str) -> str:
    """Return *text* without the characters that XML cannot hold."""
    return "".join(each if each in "\n\t" or each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
