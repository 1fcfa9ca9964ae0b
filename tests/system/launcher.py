"""The real command line as a process that a test can watch, hold, kill, or rob of one of its checks.

    python -m tests.system.launcher [OPTION]... -- ARGS

    --count FILE            write a line for each effect as it begins
    --stop-before WHICH     SIGSTOP the process before that effect (and --stop-after, --kill-before, --kill-after)
    --receiver-log FILE     write a line for each step of each receiver: pid, operation, seq, folder, step
    --kill-receiver-at STEP SIGKILL a receiver there (and --stop-receiver-at)
    --later SECONDS         let it be that much later, for the engine and on the hosts
    --patch MODULE:NAME=EXPRESSION    replace a function; the expression sees the module's names and `original`
    --patch-receiver OLD=>NEW         replace a text of the receiver script that stands there exactly once

WHICH is the number of the effect, counted from 1, or a pattern for its name: the first effect that fits. STEP is a
number as well, counted over all receivers of the log, or a pattern of the shell for the step's name: every receiver
that comes there. Options for effects and patches may be given several times. Effects and steps of several hosts at once
are numbered as they begin; `--patch sslops.deploy.steps:HOSTS_AT_ONCE=1` puts the hosts in a row.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SIGNALS = {"stop": signal.SIGSTOP, "kill": signal.SIGKILL}

# Receivers on several hosts share the log here, and each line is unique, so that its number is the step's for good.
# A receiver runs with `set -e` and its own umask; a log that cannot be written must end the test, not pass unnoticed.
STEP = """\
steps_taken=0
step() {{
    steps_taken=$((steps_taken + 1))
    printf '%s\\n' "$$ $operation $number $root $steps_taken $1" >>'{log}'
    case $(grep -nxF -- "$$ $operation $number $root $steps_taken $1" '{log}' | cut -d: -f1):$1 in
    {kill}:* | *:{kill}) kill -KILL $$ ;;
    {stop}:* | *:{stop}) kill -STOP $$ ;;
    esac
}}
"""
NO_STEP = "step() { :; }\n"
NEVER = "0"
LATER = (
    "sslops.system.clock:SystemClock.now=lambda self: original(self) + __import__('datetime').timedelta(seconds={})",
    "sslops.deploy.receiver:_moment=lambda text: original(str(int(text) + {}))",
)
"""The engine's clock, and those of the hosts, as far as it hears of them."""


@dataclass
class Trap:
    """Counts effects and does what was asked for at the right one; an observer as `sslops.system.effects` wants it.

    *wanted* are triples of a moment (`before`, `after`), a signal, and a number or a pattern.
    """

    wanted: list[tuple[str, signal.Signals, str]]
    count_file: Path | None = None
    _number: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def effect(self, name: str) -> Iterator[None]:
        """Wrap the effect *name*."""
        with self._lock:
            self._number += 1
            number = self._number
            due = [each for each in self.wanted if each[2] == str(number) or fnmatchcase(name, each[2])]
            # A pattern means the first effect that fits.
            self.wanted = [each for each in self.wanted if each not in due]
            if self.count_file is not None:
                with self.count_file.open("a") as log:
                    log.write(f"{name}\n")
        _signal("before", due)
        yield
        _signal("after", due)


def _signal(moment: str, due: Sequence[tuple[str, signal.Signals, str]]) -> None:
    for when, number, _ in due:
        if when == moment:
            os.kill(os.getpid(), number)


def patch(wish: str) -> None:
    """Replace the function that *wish* (`module:dotted.name=expression`) names."""
    path, _, expression = wish.partition("=")
    module_name, _, name = path.partition(":")
    module = importlib.import_module(module_name)
    *above, last = name.split(".")
    owner: object = module
    for part in above:
        owner = getattr(owner, part)
    names = {**vars(module), "original": getattr(owner, last)}
    setattr(owner, last, eval(expression, names))  # noqa: S307  (a test's own words)


def watch_receivers(log: Path, kill_at: str, stop_at: str, replaced: Sequence[str]) -> None:
    """Let every receiver write its steps to *log*, die or stop at a number, and speak other words than ours."""
    from sslops.deploy import receiver

    text = receiver.script()
    changes = [wish.partition("=>")[::2] for wish in replaced]
    for old, new in [(NO_STEP, STEP.format(log=log, kill=kill_at, stop=stop_at)), *changes]:
        if text.count(old) != 1:
            message = f"the receiver has {text.count(old)} times {old!r}"
            raise ValueError(message)
        text = text.replace(old, new)
    setattr(receiver, "script", lambda: text)  # noqa: B010  (the cached function has a type of its own)


def main(words: Sequence[str]) -> int:
    """Do what the module's text says; return the exit code of sslops."""
    options = _parser().parse_args(words)
    trap = Trap(
        [
            (moment, number, which)
            for moment in ("before", "after")
            for word, number in SIGNALS.items()
            for which in getattr(options, f"{word}_{moment}")
        ],
        options.count,
    )
    for wish in [*(each.format(options.later) for each in LATER), *options.patch]:
        patch(wish)
    log = options.receiver_log or Path(tempfile.gettempdir()) / f"sslops-steps-{os.getpid()}"
    wants_steps = options.receiver_log or options.kill_receiver_at != NEVER or options.stop_receiver_at != NEVER
    if wants_steps or options.patch_receiver:
        watch_receivers(log, options.kill_receiver_at, options.stop_receiver_at, options.patch_receiver)

    from sslops.cli.main import run

    return run(options.arguments, trap)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--count", type=Path)
    for word in SIGNALS:
        for moment in ("before", "after"):
            parser.add_argument(f"--{word}-{moment}", action="append", default=[], metavar="WHICH")
        parser.add_argument(f"--{word}-receiver-at", default=NEVER, metavar="STEP")
    parser.add_argument("--receiver-log", type=Path)
    parser.add_argument("--later", type=int, default=0)
    parser.add_argument("--patch", action="append", default=[])
    parser.add_argument("--patch-receiver", action="append", default=[])
    parser.add_argument("arguments", nargs="*")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
