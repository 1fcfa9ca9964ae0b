"""Age identities: made by pyrage, or by `age-keygen` where pyrage is not installed; found where sops looks.

An identity opens what was encrypted to its recipient, so it is a `Secret`; the recipient is public.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from sslops.errors import SopsError
from sslops.model.secret import Secret
from sslops.system.peer_words import peer_words
from sslops.system.processes import without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping


IDENTITY_FILES = ("renew.key", "deploy.key")
"""What `sslops init` makes: one identity for accounts and CA keys, one for service keys."""


def identity_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of the identities, outside of every repository: `$XDG_CONFIG_HOME/sslops`."""
    configured = environ.get("XDG_CONFIG_HOME")
    return (Path(configured) if configured else Path(environ.get("HOME") or Path.home()) / ".config") / "sslops"


def identity_files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return those of the identity files that exist."""
    folder = identity_folder(environ)
    return tuple(path for name in IDENTITY_FILES if (path := folder / name).is_file())


def make_identity() -> tuple[Secret, str]:
    """Make an identity; return the content of its file, in the form of `age-keygen`, and its recipient."""
    try:
        import pyrage
    except ImportError:
        return _by_age_keygen()
    identity = pyrage.x25519.Identity.generate()
    recipient = str(identity.to_public())
    return Secret(f"# public key: {recipient}\n{identity}\n".encode(), "age identity"), recipient


def recipient_of(identity: Secret) -> str:
    """Return the recipient that an identity file names in its comment; SopsError when it names none."""
    found = re.search(rb"^# public key: (age1[0-9a-z]+)\s*$", identity.reveal(), re.MULTILINE)
    if found is None:
        message = "the identity file does not name its recipient"
        raise SopsError(message, hint="put the output of `age-keygen -y FILE` into a line '# public key: ...'")
    return found[1].decode()


def _by_age_keygen() -> tuple[Secret, str]:
    program = shutil.which("age-keygen")
    if program is None:
        message = "an age identity cannot be made: neither 'pyrage' nor 'age-keygen' is here"
        raise SopsError(message, hint="pip install 'sslops[sops]'")
    done = subprocess.run([program], env=without_secrets(os.environ), capture_output=True, timeout=30, check=False)
    if done.returncode != 0:
        message = f"'age-keygen' failed with exit code {done.returncode}: {peer_words(done.stderr)}"
        raise SopsError(message)
    identity = Secret(done.stdout, "age identity")
    return identity, recipient_of(identity)
