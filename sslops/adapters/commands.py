"""Commands that the inventory names and the runner itself runs: without a shell, without secrets, in limited time.

>>> Commands({"PATH": "/usr/bin:/bin"}).run(["false"])
'exit code 1'
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sslops.adapters.environment import without_secrets
from sslops.adapters.piped_process import run_piped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TIMEOUT_SECONDS = 300.0
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")
_LONGEST_TAIL = 300


@dataclass(frozen=True, slots=True)
class Commands:
    """Runs commands here, with *environ* but for what is secret in it."""

    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    timeout_seconds: float = TIMEOUT_SECONDS

    def run(self, words: Sequence[str]) -> str | None:
        """Run *words*; return what went wrong, null when nothing did."""
        environ = without_secrets(self.environ)
        try:
            done = run_piped(words, payload=b"", environ=environ, timeout_seconds=self.timeout_seconds)
        except OSError as error:
            return f"'{words[0]}' cannot be run: {error.strerror}"
        if done.code is None:
            return f"no end after {self.timeout_seconds:.0f} s"
        said = _UNPRINTABLE.sub(" ", done.stderr).strip()[-_LONGEST_TAIL:]
        return None if done.code == 0 else f"exit code {done.code}{': ' if said else ''}{said}"
