"""A search for key material where none may be: what programs printed, and every object of every git repository."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from tests.world.peers import need

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_KEY_MATERIAL = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----|AGE-SECRET-KEY-1[0-9A-Z]{20}")


def holds_key(content: bytes) -> bool:
    """Whether a private key (PEM, or an age identity) stands in *content* in clear."""
    return _KEY_MATERIAL.search(content) is not None


def repositories_below(folder: Path) -> Iterator[Path]:
    """Yield the git folder of every repository below *folder*, bare ones too."""
    for head in folder.rglob("HEAD"):
        if head.is_file() and (head.parent / "objects").is_dir():
            yield head.parent


def repository_leaks(git_folder: Path) -> bool:
    """Whether any object, reachable or not, holds a key."""
    words: list[str | Path] = [
        need("git"),
        f"--git-dir={git_folder}",
        "cat-file",
        "--batch-all-objects",
        "--batch",
        "--buffer",
    ]
    done = subprocess.run(words, capture_output=True, check=False, timeout=120, stdin=subprocess.DEVNULL)
    return holds_key(done.stdout)


def assert_no_key_below(folder: Path) -> None:
    """Fail when a repository below *folder* holds a private key in clear."""
    leaking = [str(found) for found in repositories_below(folder) if repository_leaks(found)]

    assert [] == leaking, "a private key in clear was committed"
