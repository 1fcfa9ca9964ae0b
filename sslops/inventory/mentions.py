"""Hosts as the server classes mention them, and their facts put together: a host may stand in several classes.

What one mention says explicitly counts for all of them; two mentions that say different things are a fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sslops.inventory.complaint import Complaint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sslops.inventory.document import Path, Plain

LOCAL = "local"
DEFAULT_PORT = 22
FACTS = ("address", "port", "user", "prod_cert_dir", "files")


@dataclass(frozen=True, slots=True)
class Mention:
    """One entry of a class's `hosts`: what it says about the host, explicitly; `files` and `user` also by its class."""

    class_name: str
    path: Path
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
        place = (address, port, said.get("prod_cert_dir", prod_cert_dir))
        owner = owners.setdefault(place, mention.host)
        if owner != mention.host:
            what = f"hosts '{owner}' and '{mention.host}' are the same folder '{place[2]}' of the same machine"
            yield Complaint(file, mention.path, what, "give each its own 'prod_cert_dir', or name it once")


def _said(table: Plain, keys: tuple[str, ...]) -> Plain:
    return {key: table[key] for key in keys if table.get(key) is not None}
