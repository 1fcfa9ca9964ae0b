"""The two age identities of a new repository: found and reused, or made; never overwritten, never inside it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.errors import SopsError
from sslops.model.secret import Secret
from sslops.secrets.identities import IDENTITY_FILES, identity_folder, make_identity, recipient_of
from sslops.system.files import writing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity file: where it is, its public recipient, and whether it was there before."""

    path: Path
    recipient: str
    is_reused: bool


def identities(environ: Mapping[str, str]) -> tuple[Identity, ...]:
    """Return the identities of the renew and the deploy job, in this order; those that are missing are made.

    UsageError where they cannot be.
    """
    folder = identity_folder(environ)
    with writing(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return tuple(_found_or_made(folder / name) for name in IDENTITY_FILES)


def _found_or_made(path: Path) -> Identity:
    if path.exists():
        return Identity(path, recipient_of(_read(path)), is_reused=True)
    content, recipient = make_identity()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content.reveal())
        file.flush()
        os.fsync(file.fileno())
    return Identity(path, recipient, is_reused=False)


def _read(path: Path) -> Secret:
    try:
        return Secret(path.read_bytes(), "age identity")
    except OSError as error:
        message = f"the age identity '{path}' cannot be read: {error.strerror}"
        raise SopsError(message, hint=f"ls -l {path}") from error
