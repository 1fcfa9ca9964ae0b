"""A search for key material where none may be: what programs printed, and every object of every git repository."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.world.peers import need

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEY_MATERIAL = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----|AGE-SECRET-KEY-1[0-9A-Z]{20}")


def holds_key(content: bytes) -> bool:
    """Whether a private key (PEM, or an age identity) stands in *content* in clear."""
    return _KEY_MATERIAL.search(content) is not None


def repositories_below(folder: Path) -> Iterator[Path]:
    """Yield the git folder of every repository below *folder*, bare ones too."""
    for here, folders, files in os.walk(folder):
        if "HEAD" in files and "objects" in folders:
            folders.remove("objects")
            yield Path(here)


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


def files_leaking(git_folder: Path) -> Iterator[Path]:
    """Yield every file of the work tree, and of the git folder beside its objects, that holds a key."""
    top = git_folder.parent if git_folder.name == ".git" else git_folder
    for here, folders, files in os.walk(top):
        if Path(here) == git_folder:
            folders.remove("objects")
        for path in (Path(here, name) for name in files):
            if path.is_file() and holds_key(path.read_bytes()):
                yield path


def assert_no_key_below(folder: Path) -> None:
    """Fail when a repository below *folder*, or its work tree, holds a private key in clear."""
    found = list(repositories_below(folder))
    committed = [str(repository) for repository in found if repository_leaks(repository)]
    lying = [str(path) for repository in found for path in files_leaking(repository)]

    assert committed == [], "a private key in clear was committed"
    assert lying == [], "a private key in clear lies in a work tree"
