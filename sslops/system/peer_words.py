r"""What a peer said, as it may be shown: bounded, on one line, with nothing in it that moves a cursor.

>>> peer_words("Welcome!\n\x1b[2Jbye")
'Welcome! \\x1b[2Jbye'
"""

from __future__ import annotations

import re

LONGEST = 300
_SPACES = re.compile(r"[ \t\r\n]+")


def peer_words(text: str | bytes, longest: int = LONGEST) -> str:
    """Return *text* on one line, its unprintable characters escaped, shortened in its middle to about *longest*."""
    read = text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else text
    line = _SPACES.sub(" ", read).strip()
    # Nothing far from both ends is looked at: a peer may send megabytes.
    if len(line) > longest:
        line = f"{line[: longest * 2 // 3]} ... {line[-longest // 3 :]}"
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode() for char in line
    )
