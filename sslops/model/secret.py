"""Bytes that must not be seen: they print as a placeholder and are opened on purpose only.

>>> Secret(b"key material", "EC key")
<secret EC key>
"""

from __future__ import annotations


class Secret:
    """Key material in memory. `reveal` is the one way out, so that a search for it finds every use."""

    __slots__ = ("_content", "_kind")

    def __init__(self, content: bytes, kind: str = "bytes") -> None:
        """Wrap *content*; *kind* is what a person may know about it."""
        self._content = content
        self._kind = kind

    def reveal(self) -> bytes:
        """Return the bytes; the caller keeps them in memory or a pipe."""
        return self._content

    def __repr__(self) -> str:
        """Return the placeholder, for logs, tracebacks and debuggers alike."""
        return f"<secret {self._kind}>"

    def __reduce__(self) -> str:
        """Refuse to be pickled."""
        message = "a secret is not serialised"
        raise TypeError(message)
