"""The age identities: are they there, private, and do they open what `.sops.yaml` encrypts?

Each job is tried for real: a word is encrypted for a path of its rule and opened again.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from sslops.doctor.findings import Finding, Health
from sslops.errors import SopsError
from sslops.model.secret import Secret
from sslops.secrets.identities import identity_files
from sslops.secrets.recipients import CONFIG_NAME
from sslops.secrets.sops import Sops

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sslops.doctor.findings import Patient


_WORD = b"sslops doctor"
_TRIES = {
    "renew": ("state/ca/doctor/privkey.pem.sops", "accounts and keys of own CAs"),
    "deploy": ("state/doctor.example/doctor/privkey.pem.sops", "private keys of services"),
}


def keys(patient: Patient) -> Iterator[Finding]:
    """Look at the identity files, then at what can be opened; the latter only in an ops repository."""
    for file in identity_files(patient.environ):
        yield _file(file)
    if patient.folder is None:
        return
    if patient.sops_config is None:
        fix = f"sslops init DIR writes a {CONFIG_NAME} to start from"
        yield Finding("keys", Health.MISSING, f"there is no '{CONFIG_NAME}'", ("renew", "run"), fix)
        return
    sops = Sops(patient.sops_config, environ=patient.environ)
    for job, (path, kind) in _TRIES.items():
        yield _round_trip(sops, job, path, kind)


def _file(path: Path) -> Finding:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return Finding("identity", Health.NOTE, f"'{path}' can be read by others", fix=f"chmod 600 '{path}'")
    return Finding("identity", Health.OK, f"'{path}'")


def _round_trip(sops: Sops, job: str, path: str, kind: str) -> Finding:
    try:
        opened = sops.decrypt(path, sops.encrypt(path, Secret(_WORD)))
    except SopsError as error:
        return Finding("keys", Health.MISSING, f"{kind} cannot be opened: {error.what}", (job, "run"), error.hint)
    if opened.reveal() != _WORD:
        return Finding("keys", Health.MISSING, f"{kind} come back changed", (job, "run"))
    return Finding("keys", Health.OK, f"{kind} can be opened", (job, "run"))
