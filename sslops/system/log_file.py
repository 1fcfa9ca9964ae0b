"""Where the debug log goes: to a file, to stderr, or both; and what never gets there: secrets.

Whatever looks like a private key, a token or a password, or is a secret of this process's environment, is masked on
the way out, although nothing that writes to the log should know one.

>>> masked("git fetch https://bot:hunter2@git.example.com/certs.git")
'git fetch https://***@git.example.com/certs.git'
>>> masked("AGE-SECRET-KEY-1QQPZ is held")
'*** is held'
"""

from __future__ import annotations

import logging
import os
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sslops.system.debug_log import LOG
from sslops.system.own_environment import environment
from sslops.system.processes import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_LONGEST_LINE = 2000
_SHORTEST_SECRET = 6
_KEYS = re.compile(
    r"(?i:(?<=://)[^/\s@]+(?=@))"
    r"|AGE-(?:SECRET-KEY|PLUGIN)-[0-9A-Za-z-]+"
    r"|-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)"
    r"|(?i:(?<=bearer )|(?<=token )|(?<=basic ))[A-Za-z0-9+/=._-]{8,}"
    r"|\b(?:gh[opsur]_|github_pat_|glpat-|gldt-|glcbt-)[A-Za-z0-9_-]+"
)


def masked(text: str) -> str:
    """Return *text* with `***` for whatever is a secret of the environment, a private key, a token or a password."""
    known = environment()
    for name in known.keys() - without_secrets(known).keys():
        for value in {known[name], *known[name].split()}:
            if len(value) >= _SHORTEST_SECRET:
                text = text.replace(value, "***")
    return _KEYS.sub("***", text)


class _Lines(logging.Formatter):
    """One record is one line in UTC, masked and harmless for a terminal; a traceback has lines of its own."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        stamp = f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%S')}.{int(record.msecs):03}Z"
        text = masked(super().format(record))
        shown = "".join(each if each.isprintable() or each == "\n" else "?" for each in text)
        return f"{stamp} [{record.threadName}] {shown[:_LONGEST_LINE] if record.exc_info is None else shown}"


class _Said(logging.Handler):
    """Gives each line to *say*."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        """Say the line of *record*, unless it was written to stderr anyhow."""
        if not getattr(record, "is_said", False):
            self._say(self.format(record))


@contextmanager
def logging_to(file: Path | None, say: Callable[[str], None] | None) -> Iterator[None]:
    """Write all that happens inside to the end of *file*, for its owner alone, and to *say*; null: not there.

    OSError when the file cannot be opened.
    """
    handlers: list[logging.Handler] = [_Said(say)] if say is not None else []
    if file is not None:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        handlers.append(logging.StreamHandler(open(descriptor, "a", encoding="utf-8", errors="backslashreplace")))  # noqa: SIM115, PTH123  (closed below)
    for handler in handlers:
        handler.setFormatter(_Lines())
        LOG.addHandler(handler)
    before = (LOG.level, LOG.propagate)
    LOG.propagate = False
    if handlers:
        LOG.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        LOG.level, LOG.propagate = before
        for handler in handlers:
            LOG.removeHandler(handler)
            if isinstance(handler, logging.StreamHandler):
                handler.stream.close()
