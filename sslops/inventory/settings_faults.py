"""Faults of `sslops.yaml` beyond its shape: hosts and settings.

A host may stand in several classes. What one mention says explicitly counts for all of them; two mentions that say
different things are a fault.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sslops.inventory import names
from sslops.inventory.document import Complaint, unreadable
from sslops.inventory.service_faults import hold_complaints
from sslops.model.inventory import Host
from sslops.model.names import is_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sslops.inventory.document import Document, KeyPath, Plain


LOCAL = "local"
DEFAULT_PORT = 22
FACTS = ("address", "port", "user", "prod_cert_dir", "files")


@dataclass(frozen=True, slots=True)
class Mention:
    """One entry of a class's `hosts`: what it says about the host, explicitly; `files` and `user` also by its class."""

    class_name: str
    path: KeyPath
    host: str
    facts: Plain
    verify: Plain | None


def mentions(servers: Plain) -> Iterator[Mention]:
    """Yield every mention of a host, in the order of the file."""
    for class_name, table in servers.items():
        for place, entry in enumerate(table["hosts"]):
            own = entry if isinstance(entry, dict) else {"host": entry}
            said = {**_said(table, ("user", "files")), **_said(own, FACTS)}
            path = ("servers", class_name, "hosts", place)
            yield Mention(class_name, path, own["host"], said, own.get("verify") or table.get("verify"))


def facts(servers: Plain) -> dict[str, Plain]:
    """Return what is said about each host, by name; the first mention wins where they contradict."""
    known: dict[str, Plain] = {}
    for mention in mentions(servers):
        known[mention.host] = {**mention.facts, **known.get(mention.host, {})}
    return known


def host_complaints(file: str, servers: Plain, prod_cert_dir: str) -> Iterator[Complaint]:
    """Yield hosts named twice in a class, mentions that contradict each other, and hosts that would share a folder."""
    first: dict[tuple[str, str], tuple[Any, str]] = {}
    seen: set[tuple[str, str]] = set()
    for mention in mentions(servers):
        if (mention.class_name, mention.host) in seen:
            yield Complaint(file, mention.path, f"host '{mention.host}' is there twice")
        seen.add((mention.class_name, mention.host))
        for fact, value in mention.facts.items():
            before, where = first.setdefault((mention.host, fact), (value, mention.class_name))
            if before != value:
                what = f"host '{mention.host}' has another '{fact}' here than in class '{where}'"
                yield Complaint(file, mention.path, what, "one host has one of each; say it once")
    yield from _shared_folders(file, servers, prod_cert_dir)


def _shared_folders(file: str, servers: Plain, prod_cert_dir: str) -> Iterator[Complaint]:
    known = facts(servers)
    owners: dict[tuple[str, int, str], str] = {}
    for mention in mentions(servers):
        said = known[mention.host]
        address = said.get("address", mention.host)
        port = 0 if address == LOCAL else said.get("port", DEFAULT_PORT)
        place = (_same_for_all(address), port, said.get("prod_cert_dir", prod_cert_dir))
        owner = owners.setdefault(place, mention.host)
        if owner != mention.host:
            what = f"hosts '{owner}' and '{mention.host}' are the same folder '{place[2]}' of the same machine"
            yield Complaint(file, mention.path, what, "give each its own 'prod_cert_dir', or name it once")


def _same_for_all(address: str) -> str:
    """Return a host name in lower case, and an IP address in its usual form: both may be written in several ways."""
    return str(ipaddress.ip_address(address)) if is_address(address) else address.lower()


def _said(table: Plain, keys: tuple[str, ...]) -> Plain:
    return {key: table[key] for key in keys if table.get(key) is not None}


ANY = frozenset({"any", "all", "*", "ANY", "ALL"})
"""How `svc_depends` may write that a pair is about every group."""
TAKEN_GROUPS = frozenset({"any", "all", "default", "accounts"})
"""Words with a meaning of their own in the inventory, on the command line, or as a folder of `state/`."""
_PASSWORD = re.compile(r"://[^/]*:[^/]*@")
_OUR_BRANCHES = "sslops/"
_LEDGER = "ledger"


def settings_complaints(document: Document) -> Iterator[Complaint]:
    """Yield what is wrong in `sslops.yaml`, which has the shape of its schema."""
    file, plain = document.file, document.plain
    yield from _globals(file, plain.get("globals", {}))
    yield from _groups(file, plain)
    yield from _branches(file, plain.get("repo", {}))
    yield from _merge(file, plain.get("repo", {}), plain.get("repo", {}), ("repo",))
    yield from _name_servers(file, plain)
    yield from _dns(file, plain.get("dns") or {})
    yield from _servers(file, plain)
    for place, consent in enumerate(plain.get("accept", ())):
        yield from unreadable(file, ("accept", place, "until"), consent.get("until"), names.moment)


def _globals(file: str, table: Plain) -> Iterator[Complaint]:
    yield from hold_complaints(file, ("globals", "hold"), table.get("hold"))
    yield from unreadable(file, ("globals", "prod_cert_dir"), table.get("prod_cert_dir"), _inside)
    for place, server in enumerate(table.get("dns_xtra_ns", ())):
        yield from unreadable(file, ("globals", "dns_xtra_ns", place), server, names.machine)
    for place, (_, command) in enumerate(table.get("post_copy_cmd", ())):
        yield from unreadable(file, ("globals", "post_copy_cmd", place, 1), command, names.words)


def _groups(file: str, plain: Plain) -> Iterator[Complaint]:
    seen: set[str] = set()
    for place, group in enumerate(plain["groups"]):
        path, domain = ("groups", place), group["domain"]
        if domain in seen:
            yield Complaint(file, (*path, "domain"), f"two groups are '{domain}'", "put their services into one list")
        seen.add(domain)
        if domain in TAKEN_GROUPS:
            yield Complaint(file, (*path, "domain"), f"'{domain}' cannot be a group: it has a meaning of its own")
        yield from hold_complaints(file, (*path, "hold"), group.get("hold"))
        if isinstance(group["services"], list):
            yield from _twice(file, (*path, "services"), group["services"])


def _twice(file: str, path: KeyPath, listed: list[str]) -> Iterator[Complaint]:
    for place, name in enumerate(listed):
        if name in listed[:place]:
            yield Complaint(file, (*path, place), f"'{name}' is there twice")


def _branches(file: str, repo: Plain) -> Iterator[Complaint]:
    main, upcoming = repo.get("branch", "main"), repo.get("next_branch", "next")
    if main == upcoming:
        yield Complaint(file, ("repo", "next_branch"), "'branch' and 'next_branch' are the same")
    for key, name in (("branch", main), ("next_branch", upcoming)):
        if name == _LEDGER or name.startswith(_OUR_BRANCHES):
            yield Complaint(file, ("repo", key), f"'{name}' is a branch of the engine's own")
        yield from unreadable(file, ("repo", key), name, _branch)


def _merge(file: str, table: Plain, repo: Plain, path: KeyPath) -> Iterator[Complaint]:
    if repo.get("forge", "none") != "none" and not repo.get("project"):
        place = ("repo", "forge") if path == ("repo",) else (*path, "repo", "forge")
        yield Complaint(file, place, "there is a forge, and no 'project' on it", "project: group/name")
    for what, policy in (table.get("merge") or {}).items():
        if policy == "review" and repo.get("forge", "none") == "none":
            hint = "name the forge, or leave the merging to the engine: auto"
            yield Complaint(file, (*path, "merge", what), "nobody could review: there is no forge", hint)


def _name_servers(file: str, plain: Plain) -> Iterator[Complaint]:
    for key in ("dns_primary", "dns_servers"):
        seen: set[str] = set()
        for place, entry in enumerate(plain.get(key, ())):
            if entry["domain"] in seen:
                yield Complaint(file, (key, place, "domain"), f"'{entry['domain']}' is there twice")
            seen.add(entry["domain"])
    for place, entry in enumerate(plain.get("dns_primary", ())):
        yield from unreadable(file, ("dns_primary", place, "server"), entry["server"], names.machine)
    for place, entry in enumerate(plain.get("dns_servers", ())):
        for number, server in enumerate(entry["servers"]):
            yield from unreadable(file, ("dns_servers", place, "servers", number), server, names.endpoint)


def _dns(file: str, dns: Plain) -> Iterator[Complaint]:
    if not dns:
        return
    repo, path = dns["repo"], ("dns", "repo")
    yield from _merge(file, dns, repo, ("dns",))
    yield from unreadable(file, (*path, "branch"), repo.get("branch"), _branch)
    if repo.get("branch", "main").startswith(_OUR_BRANCHES):
        yield Complaint(file, (*path, "branch"), f"'{repo['branch']}' is a branch of the engine's own")
    if _PASSWORD.search(repo["url"]):
        hint = "give it to git's credential helper, or to the job"
        yield Complaint(file, (*path, "url"), "a password in a URL", hint)
    yield from unreadable(file, ("dns", "acme_dir"), dns.get("acme_dir"), names.folder)
    yield from unreadable(file, ("dns", "validator"), dns.get("validator"), names.endpoint)
    yield from _twice(file, ("dns", "tlsa_dirs"), dns["tlsa_dirs"])
    for place, folder in enumerate(dns["tlsa_dirs"]):
        yield from unreadable(file, ("dns", "tlsa_dirs", place), folder, names.folder)
    yield from unreadable(file, ("dns", "restart_cmd"), dns.get("restart_cmd"), names.commands)


def _servers(file: str, plain: Plain) -> Iterator[Complaint]:
    servers = plain.get("servers", {})
    default_folder = plain.get("globals", {}).get("prod_cert_dir", Host("", "").prod_cert_dir)
    yield from host_complaints(file, servers, default_folder)
    for mention in mentions(servers):
        address = mention.facts.get("address", mention.host)
        yield from unreadable(file, (*mention.path, "address"), address, names.machine)
        yield from unreadable(file, (*mention.path, "prod_cert_dir"), mention.facts.get("prod_cert_dir"), _inside)
    for name, table in servers.items():
        path = ("servers", name)
        yield from unreadable(file, (*path, "server_dir"), table.get("server_dir"), _inside)
        commands = table.get("restart_cmd") or []
        for place, command in enumerate([commands] if isinstance(commands, str) else commands):
            inner = () if isinstance(commands, str) else (place,)
            yield from unreadable(file, (*path, "restart_cmd", *inner), command, names.commands)


def _inside(folder: str) -> str:
    """Return *folder* when no part of it leads elsewhere; ValueError otherwise."""
    if any(part in {".", "..", ".git"} for part in folder.split("/")):
        message = "a part of it is '.', '..' or '.git'"
        raise ValueError(message)
    return folder


def _branch(name: str) -> str:
    """Return *name* when git would have such a branch; ValueError otherwise (git-check-ref-format)."""
    bad_parts = [part for part in name.split("/") if part.startswith(".") or part.endswith((".", ".lock"))]
    if ".." in name or bad_parts:
        message = "git has no such branch"
        raise ValueError(message)
    return name
