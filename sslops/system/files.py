"""Files that other programs read while we write them: whole or not there."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sslops.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system says when *path* cannot be written into a UsageError: the command line names another one."""
    try:
        yield
    except OSError as error:
        message = f"'{path}' cannot be written: {error.strerror}"
        raise UsageError(message, hint="name a place that you may write to") from error


def write_whole(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Give *path* the whole *content* at once: who opens it sees all of the old or all of the new.

    It lies beside the draft for a moment, on the same file system, under a name with a dot in front and `.tmp` behind.
    UsageError where that folder cannot be written, or where something else than a regular file is at *path*.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    if path.exists() and not path.is_file():
        raise UsageError(f"'{path}' is not a regular file, and is left alone")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise UsageError(f"'{path}' cannot be written: {error.strerror}") from error
