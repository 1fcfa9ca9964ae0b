"""What lies beyond this machine: the DNS repository, the name servers of groups with DANE, the host keys of servers."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from sslops.dane.names import dane_apexes
from sslops.doctor.findings import Finding, Health
from sslops.doctor.forges import credentials
from sslops.doctor.pushes import may_push
from sslops.errors import DnsError, GitError
from sslops.model.proposal import Kind
from sslops.model.tlsa import owner_name
from sslops.probe.name_servers import Resolver
from sslops.proposals.forges.tokens import Role
from sslops.repo.git_process import GitProcess
from sslops.system.ssh import SSH_PORT, has_key_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sslops.doctor.findings import Patient
    from sslops.model.inventory import DnsSettings, Inventory


KNOWN_HOSTS = "inventory/known_hosts"

_DNS_VERBS = ("plan", "publish", "roll", "deploy", "run")


def network(patient: Patient) -> Iterator[Finding]:
    """Ask everybody once; nothing without a sound inventory."""
    if patient.inventory is None or patient.folder is None:
        return
    if patient.inventory.dns is not None:
        found = _dns_repository(patient.inventory.dns, patient.folder, patient)
        yield found
        if found.health is Health.OK:
            verbs = ("renew", "publish", "run") if patient.inventory.dns.acme_dir else ("publish", "run")
            where = (patient.inventory.dns.url, Kind.TLSA.branch, "the DNS repository")
            yield from may_push(where, credentials(Role.DNS, patient), patient, verbs)
    for apex in dane_apexes(patient.inventory):
        yield from _name_servers(apex, patient.inventory)
    yield from _host_keys(patient.inventory, patient.folder)


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


def _host_keys(inventory: Inventory, folder: Path) -> Iterator[Finding]:
    hosts = {host.name: host for each in inventory.classes.values() for host in each.hosts if not host.is_local}
    if not hosts:
        return
    try:
        text = (folder / KNOWN_HOSTS).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        text = ""
    # Read as deploy reads it, so that this cannot say anything else than what it will find.
    unknown = [host for _, host in sorted(hosts.items()) if not has_key_of(text, host)]
    if not unknown:
        yield Finding("host keys", Health.OK, f"'{KNOWN_HOSTS}' has a key of every host", ("deploy", "run"))
    for host in unknown:
        command = shlex.join(["ssh-keyscan", *(["-p", str(host.port)] if host.port != SSH_PORT else []), host.address])
        fix = f"{command} >>{KNOWN_HOSTS}, after its fingerprint (ssh-keygen -l) was compared on the server's console"
        yield Finding(
            "host keys", Health.MISSING, f"'{KNOWN_HOSTS}' has no key of '{host.name}'", ("deploy", "run"), fix
        )
