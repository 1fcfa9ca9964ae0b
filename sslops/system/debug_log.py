"""The debug log: what sslops does outside of its own memory, step by step, for whoever looks for a fault.

Programs that are run, questions to servers and what came of them in a word, effects. What goes through pipes is not
written, nor are bodies; `log_file.py` masks what would still look like a secret. Nobody listens unless asked to.

>>> with step("git fetch %s", "origin") as made:
...     made.came = "exit code 0"
"""

from __future__ import annotations

import logging
import os
import shlex
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from sslops.system.effects import Effects

LOG = logging.getLogger("sslops")

_LONGEST_COMMAND = 400


class Step:
    """Something that is being done; what *came* of it is written with the time it took."""

    __slots__ = ("came",)

    def __init__(self) -> None:
        self.came = "done"


@contextmanager
def step(what: str, *details: object) -> Iterator[Step]:
    """Write that *what* (with %-style *details*) was done, what came of it, and how long it took."""
    made = Step()
    if not LOG.isEnabledFor(logging.DEBUG):
        yield made
        return
    begun = time.monotonic()
    try:
        yield made
    except BaseException as error:
        made.came = f"{type(error).__name__}: {error}"
        raise
    finally:
        LOG.debug(f"{what}: %s, %.3f s", *details, made.came, time.monotonic() - begun)  # noqa: G004  (what is ours)


def command_line(words: Sequence[str | bytes]) -> str:
    """Return a command as a shell would take it; a long one, such as a script for a host, is cut."""
    text = shlex.join(os.fsdecode(word) for word in words)
    return text if len(text) <= _LONGEST_COMMAND else f"{text[:_LONGEST_COMMAND]}..."


@dataclass(frozen=True, slots=True)
class LoggedEffects:
    """Writes down each effect before *effects* hears of it, and after."""

    effects: Effects

    @contextmanager
    def _written(self, name: str, inner: AbstractContextManager[None]) -> Iterator[None]:
        LOG.debug("effect begins: %s", name)
        with step("effect: %s", name), inner:
            yield

    def effect(self, name: str) -> AbstractContextManager[None]:
        """Wrap the effect *name*."""
        inner = self.effects.effect(name)
        return self._written(name, inner) if LOG.isEnabledFor(logging.DEBUG) else inner
