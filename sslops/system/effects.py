"""Effects: the moments at which sslops changes the world outside its own memory.

Every adapter announces each effect to an observer, so that a test can count them and end the process before or after
any one; in production nobody listens.

>>> with NO_EFFECTS.effect("push next"):
...     pass
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class Effects(Protocol):
    """Who is notified of effects."""

    def effect(self, name: str) -> AbstractContextManager[None]:
        """Wrap the effect *name*; must return at once, must not raise, and must not change what happens inside."""
        ...


class _Nobody:
    """Nobody listens."""

    def effect(self, name: str) -> AbstractContextManager[None]:  # noqa: ARG002  (the protocol's name)
        """Do nothing."""
        return nullcontext()


NO_EFFECTS: Effects = _Nobody()
