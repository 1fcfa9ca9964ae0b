"""Somebody who may push to the engine's branches and to nothing else: no right on `main`, no identity, no key."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import subprocess
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.world.peers import need
from tests.world.remotes import git, git_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

BOT = {"NAME": "sslops", "EMAIL": "sslops@example.com"}
"""Whom the repositories of the tests take for the engine."""


class Thief:
    """A clone of *remote*, from which commits are pushed in the bot's name."""

    def __init__(self, remote: Path, clone: Path) -> None:
        """Clone."""
        self.remote, self.clone = remote, clone
        git(remote.parent, "clone", "--quiet", str(remote), str(clone))

    def push(self, changes: Mapping[str, str | None], branch: str = "next") -> str:
        """Write files (null: removed) on top of *branch*, in the bot's name, and return the commit."""
        git(self.clone, "fetch", "--quiet", "origin")
        git(self.clone, "checkout", "--quiet", "--force", "--detach", f"origin/{branch}")
        for path, text in changes.items():
            place = self.clone / path
            if text is None:
                place.unlink()
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text)
        git(self.clone, "add", "--all")
        self._commit("renew(example.com/web): nothing to see")
        git(self.clone, "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        return git(self.clone, "rev-parse", "HEAD")

    def _commit(self, message: str) -> None:
        people = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in BOT.items()}
        subprocess.run(
            [need("git"), "-C", self.clone, "commit", "--quiet", "-m", message],
            env=git_environment() | people,
            check=True,
            capture_output=True,
            timeout=60,
        )

    def edit(self, path: str, change: Callable[[str], str], branch: str = "next") -> str:
        """Change one file of *branch*, and return the commit."""
        return self.push({path: change(git(self.remote, "show", f"{branch}:{path}") + "\n")}, branch)

    def push_back(self, commit: str, branch: str = "next") -> None:
        """Let *branch* be at an older commit again."""
        git(self.clone, "fetch", "--quiet", "origin")
        git(self.clone, "push", "--quiet", "--force", "origin", f"{commit}:refs/heads/{branch}")


def set_value(key: str, value: str | None) -> Callable[[str], str]:
    """Return what changes one line of a machine-written file."""
    return lambda text: re.sub(rf"^{key}: .*$", f"{key}: {json.dumps(value)}", text, flags=re.MULTILINE)


def signed_by_nobody(csr_pem: bytes, issuer: str) -> tuple[str, str, Mapping[str, str]]:
    """Return a certificate for the key and names of a CSR by a CA made here, its chain, and its public facts.

    *issuer* is the name (RFC 4514) that the CA gives itself.
    """
    csr = x509.load_pem_x509_csr(csr_pem)
    key, name = ec.generate_private_key(ec.SECP384R1()), x509.Name.from_rfc4514_string(issuer)
    begin = dt.datetime.now(dt.UTC).replace(microsecond=0) - dt.timedelta(hours=1)
    end = begin + dt.timedelta(days=90)

    def begun(subject: x509.Name) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(name)
        return builder.serial_number(x509.random_serial_number()).not_valid_before(begin).not_valid_after(end)

    authority = begun(name).public_key(key.public_key())
    ca = authority.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(
        key, hashes.SHA384()
    )
    leaf = begun(csr.subject).public_key(csr.public_key())
    for extension in csr.extensions:
        leaf = leaf.add_extension(extension.value, extension.critical)
    cert = leaf.sign(key, hashes.SHA384())
    form = serialization.Encoding.PEM
    facts = {
        "serial": f"{cert.serial_number:x}",
        "not_before": f"{begin:%Y-%m-%dT%H:%M:%SZ}",
        "not_after": f"{end:%Y-%m-%dT%H:%M:%SZ}",
        "cert_sha256": hashlib.sha256(cert.public_bytes(serialization.Encoding.DER)).hexdigest(),
    }
    return cert.public_bytes(form).decode(), ca.public_bytes(form).decode(), facts
