"""What lies beyond this machine: the DNS repository, the name servers of groups with DANE, the host keys of servers."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from sslops.dane.names import dane_apexes
from sslops.doctor.findings import Finding, Health
from sslops.doctor.forges import credentials
from sslops.errors import DnsError, GitError
from sslops.model.tlsa import owner_name
from sslops.probe.name_servers import Resolver
from sslops.proposals.forges.tokens import Role
from sslops.repo.git_process import GitProcess
from sslops.system.processes import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sslops.doctor.findings import Patient
    from sslops.model.inventory import DnsSettings, Host, Inventory


KNOWN_HOSTS = "inventory/known_hosts"

_DNS_VERBS = ("plan", "publish", "roll", "deploy", "run")
_TIMEOUT_SECONDS = 10


def network(patient: Patient) -> Iterator[Finding]:
    """Ask everybody once; nothing without a sound inventory."""
    if patient.inventory is None or patient.folder is None:
        return
    if patient.inventory.dns is not None:
        yield _dns_repository(patient.inventory.dns, patient.folder, patient)
    for apex in dane_apexes(patient.inventory):
        yield from _name_servers(apex, patient.inventory)
    yield from _host_keys(patient.inventory, patient.folder, patient)


def _dns_repository(dns: DnsSettings, folder: Path, patient: Patient) -> Finding:
    try:
        ended = GitProcess(folder, patient.environ, credentials(Role.DNS, patient)).ask(
            "ls-remote", "--heads", "--", dns.url, f"refs/heads/{dns.branch}"
        )
    except GitError as error:
        return Finding(
            "dns repository", Health.MISSING, error.what, _DNS_VERBS, "dns.repo.url in inventory/sslops.yaml"
        )
    if not ended.text:
        what = f"the DNS repository has no branch '{dns.branch}'"
        return Finding("dns repository", Health.MISSING, what, _DNS_VERBS, "dns.repo.branch in inventory/sslops.yaml")
    return Finding("dns repository", Health.OK, f"its branch '{dns.branch}' can be read", _DNS_VERBS)


def _name_servers(apex: str, inventory: Inventory) -> Iterator[Finding]:
    notes: list[str] = []
    resolver = Resolver(notes.append)
    primary = inventory.primary_of(apex)
    try:
        servers = resolver.name_servers(apex, primary, inventory.dns_servers.get(apex, ()))
    except DnsError as error:
        yield Finding("name servers", Health.MISSING, error.what, _DNS_VERBS, error.hint)
        return
    for server in resolver.tlsa(servers, (owner_name(25, "tcp", apex),)):
        if server.error is None:
            yield Finding("name servers", Health.OK, f"'{server.server}' answers for '{apex}'", _DNS_VERBS)
        else:
            fix = "let this machine reach it (UDP and TCP port 53), or set dns_servers in inventory/sslops.yaml"
            yield Finding("name servers", Health.MISSING, server.error, _DNS_VERBS, fix)
    yield from (Finding("name servers", Health.NOTE, note) for note in notes)


def _host_keys(inventory: Inventory, folder: Path, patient: Patient) -> Iterator[Finding]:
    hosts = {host.name: host for each in inventory.classes.values() for host in each.hosts if not host.is_local}
    program = shutil.which("ssh-keygen", path=patient.environ.get("PATH"))
    if not hosts or program is None:
        return
    unknown = [name for name in sorted(hosts) if not _is_known(program, hosts[name], folder / KNOWN_HOSTS, patient)]
    if not unknown:
        yield Finding("host keys", Health.OK, f"'{KNOWN_HOSTS}' has a key of every host", ("deploy", "run"))
    for name in unknown:
        fix = f"ssh-keyscan '{name}', compare it with the server's own, and add it to {KNOWN_HOSTS}"
        yield Finding("host keys", Health.MISSING, f"'{KNOWN_HOSTS}' has no key of '{name}'", ("deploy", "run"), fix)


def _is_known(program: str, host: Host, known_hosts: Path, patient: Patient) -> bool:
    """Whether the file names the host, hashed or not."""
    if not known_hosts.is_file():
        return False
    done = subprocess.run(
        [program, "-F", host.name, "-f", str(known_hosts)],
        capture_output=True,
        env=without_secrets(patient.environ),
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )
    return done.returncode == 0
