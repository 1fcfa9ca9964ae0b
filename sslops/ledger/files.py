"""The whole ledger as files and back: `hosts/<host>.yaml` and `tlsa/<apex>.yaml`.

>>> from sslops.model.ledger import HostEntry, Ledger
>>> sorted(write_ledger(Ledger(hosts={"smtp1": HostEntry()})))
['hosts/smtp1.yaml']
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.errors import StateError
from sslops.ledger.apex_file import read_apex, write_apex
from sslops.ledger.hosts_file import read_host, write_host
from sslops.model.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Mapping

HOSTS = "hosts/"
TLSA = "tlsa/"
SUFFIX = ".yaml"


def write_ledger(ledger: Ledger) -> dict[str, bytes]:
    """Return path to content of every file of *ledger*."""
    hosts = {_path(HOSTS, host): write_host(entry) for host, entry in ledger.hosts.items()}
    return hosts | {_path(TLSA, apex): write_apex(entry) for apex, entry in ledger.apexes.items()}


def read_ledger(files: Mapping[str, bytes]) -> Ledger:
    """Read the ledger from its *files*; StateError where one says what cannot be. Other files are not ours."""
    hosts, apexes = {}, {}
    for path, content in sorted(files.items()):
        if not path.endswith(SUFFIX):
            continue
        if path.startswith(HOSTS):
            hosts[path.removeprefix(HOSTS).removesuffix(SUFFIX)] = read_host(content, path)
        elif path.startswith(TLSA):
            apexes[path.removeprefix(TLSA).removesuffix(SUFFIX)] = read_apex(content, path)
    return Ledger(hosts, apexes)


def _path(folder: str, name: str) -> str:
    if not name or "/" in name or name.startswith(".") or not name.isprintable():
        message = f"'{name}' cannot name a file of the ledger"
        raise StateError(message)
    return f"{folder}{name}{SUFFIX}"
