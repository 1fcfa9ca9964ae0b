"""A real age plugin, speaking age's plugin protocol (C2SP age-plugin.md); it wraps a file key in base64 and no more.

A hardware token's plugin does the same talk with a person's touch in between.
"""

from __future__ import annotations

import sys
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def _bech32(prefix: str) -> str:
    """Return *prefix* with empty data in Bech32 (BIP 173)."""
    values = [*(ord(letter) >> 5 for letter in prefix), 0, *(ord(letter) & 31 for letter in prefix), *[0] * 6]
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> bit & 1 else 0
    return prefix + "1" + "".join(_CHARSET[(check ^ 1) >> 5 * (5 - place) & 31] for place in range(6))


IDENTITY = f"{_bech32('age-plugin-test-').upper()}\n"


def install(folder: Path) -> str:
    """Put `age-plugin-test` into *folder* and return its recipient."""
    folder.mkdir()
    program = folder / "age-plugin-test"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} "$@"\n')
    program.chmod(0o755)
    return _bech32("age1test")


def _send(*words: str, body: str = "") -> None:
    sys.stdout.write(f"-> {' '.join(words)}\n{body}\n")
    sys.stdout.flush()


def _stanzas() -> list[tuple[list[str], str]]:
    """Read stanzas to `done`; a body ends with a line of less than 64 letters."""
    stanzas: list[tuple[list[str], str]] = []
    for head in sys.stdin:
        body = [sys.stdin.readline().rstrip("\n")]
        while len(body[-1]) == 64:
            body.append(sys.stdin.readline().rstrip("\n"))
        if head.split()[1:] == ["done"]:
            break
        stanzas.append((head.split()[1:], "".join(body)))
    return stanzas


def _answer() -> None:
    for _ in ("-> ok", "its empty body"):
        sys.stdin.readline()


def _main() -> None:
    stanzas = _stanzas()
    if "recipient" in sys.argv[1]:
        keys = [body for words, body in stanzas if words[0] == "wrap-file-key"]
        for number, body in enumerate(keys):
            _send("recipient-stanza", str(number), "test", body=body)
            _answer()
    else:
        for words, body in stanzas:
            if words[:1] == ["recipient-stanza"] and words[2] == "test":
                key = b64encode(b64decode(body + "=" * (-len(body) % 4))).decode().rstrip("=")
                _send("file-key", words[1], body=key)
                _answer()
    _send("done")


if __name__ == "__main__":
    _main()
