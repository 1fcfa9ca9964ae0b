"""The programs that sslops runs: sops, git and ssh, and which versions they are."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from sslops.doctor.findings import ALL, Finding, Health
from sslops.errors import SopsError
from sslops.model.forges import NO_FORGE
from sslops.model.inventory import CaType
from sslops.secrets.sops import find_sops
from sslops.system.extras import command, missing
from sslops.system.processes import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sslops.doctor.findings import Patient


OLDEST_GIT = (2, 34)
"""Signs with ssh keys, and is older than what Debian 12 and Ubuntu 24.04 have."""

_TIMEOUT_SECONDS = 10
_VERSION = re.compile(r"\d+(?:\.\d+)+(?:p\d+)?")


def programs(patient: Patient) -> Iterator[Finding]:
    """Look for each program and ask its version."""
    yield _git(patient)
    yield _sops(patient)
    yield _ssh(patient)
    yield from _extras(patient)


def _git(patient: Patient) -> Finding:
    version = _version(["git", "--version"], patient)
    if version is None:
        return Finding("git", Health.MISSING, "git cannot be run", ALL, "apt install git")
    if tuple(map(int, version.split(".")[:2])) < OLDEST_GIT:
        oldest = ".".join(map(str, OLDEST_GIT))
        return Finding("git", Health.MISSING, f"git {version} is older than {oldest}", ALL, "apt install git")
    return Finding("git", Health.OK, f"git {version}", ALL)


def _sops(patient: Patient) -> Finding:
    verbs = ("renew", "deploy", "run")
    try:
        program = find_sops(patient.environ)
    except SopsError as error:
        return Finding("sops", Health.MISSING, error.what, verbs, error.hint)
    version = _version([program, "--disable-version-check", "--version"], patient)
    if version is None:
        return Finding("sops", Health.MISSING, f"'{program}' cannot be run", verbs, "pip install 'sslops[sops]'")
    return Finding("sops", Health.OK, f"sops {version} at '{program}'", verbs)


def _extras(patient: Patient) -> Iterator[Finding]:
    """Say which extras of sslops the inventory needs, and this machine has not."""
    if patient.inventory is None:
        return
    inventory = patient.inventory
    used = {service.signing_ca for service in inventory.active()}
    asks_acme = any(ca.type is CaType.ACME and name in used for name, ca in inventory.cas.items())
    asks_forge = {inventory.repo.forge, inventory.dns.forge if inventory.dns else NO_FORGE} != {NO_FORGE}
    wanted = {"acme": (asks_acme, ("renew", "run")), "forge": (asks_forge, ("renew", "publish", "roll", "run"))}
    for extra, (is_asked, verbs) in wanted.items():
        absent = missing(extra) if is_asked else ()
        if absent:
            names = ", ".join(f"'{each}'" for each in absent)
            yield Finding(extra, Health.MISSING, f"{names} is not installed", verbs, command(extra))


def _ssh(patient: Patient) -> Finding:
    version = _version(["ssh", "-V"], patient)
    if version is not None:
        return Finding("ssh", Health.OK, f"OpenSSH {version}", ("deploy", "run"))
    if patient.inventory and all(host.is_local for each in patient.inventory.classes.values() for host in each.hosts):
        return Finding("ssh", Health.NOTE, "ssh cannot be run, and no host needs it", ("deploy", "run"))
    return Finding("ssh", Health.MISSING, "ssh cannot be run", ("deploy", "run"), "apt install openssh-client")


def _version(words: Sequence[str], patient: Patient) -> str | None:
    """Return the first version that the program says; null when it cannot be run."""
    if shutil.which(words[0], path=patient.environ.get("PATH")) is None:
        return None
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            errors="replace",
            env=without_secrets(patient.environ),
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(done.stdout + done.stderr)
    return found[0] if found and done.returncode == 0 else None
