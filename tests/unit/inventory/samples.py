"""A small sound inventory to spoil, and what loading a spoiled one tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.errors import Faults
from sslops.inventory.loading import load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sslops.model.inventory import Inventory

SETTINGS = "inventory/sslops.yaml"
CAS = "inventory/cas.yaml"
ROOT = "inventory/ca/root.yaml"
SUB = "inventory/ca/sub.yaml"
MAIL = "inventory/example.com/mail.yaml"
WEB = "inventory/example.com/web.yaml"

SOUND = {
    SETTINGS: """\
globals: {min_roll_mins: 90}
repo: {branch: main}
groups:
  - {domain: example.com, active: true, services: [mail, web]}
  - {domain: ca, active: true, services: ALL}
dns:
  repo: {url: "file:///srv/dns.git"}
  tlsa_dirs: [zones/include-tlsa]
servers:
  smtp: {hosts: [smtp1, smtp2], user: certs, restart_cmd: postfix reload, svc_depends: [[example.com, [mail]]]}
  web: {hosts: [web1], svc_depends: [[any, [web]]]}
""",
    CAS: "root: {ca_type: self}\nsub: {ca_type: local}\n",
    ROOT: "signing_ca: self\nx509: {CN: Root}\nca: {sign_end_days: 1000}\n",
    SUB: "signing_ca: root\nx509: {CN: Sub}\nca: {sign_end_days: 90}\n",
    MAIL: """\
signing_ca: sub
dane_tls: [[25, tcp, 3, 1, 1, MX]]
x509: {CN: example.com, sans: [example.com, mail.example.com]}
""",
    WEB: "signing_ca: sub\nx509: {sans: [www.example.com]}\n",
}


def sound(changes: Mapping[str, str | None] | None = None) -> dict[str, bytes]:
    """Return the files with *changes*: another content, or null for a file that is not there."""
    files = {**SOUND, **(changes or {})}
    return {file: text.encode() for file, text in files.items() if text is not None}


def edited(file: str, old: str, new: str) -> dict[str, bytes]:
    """Return the files with *old* replaced by *new* in *file*, where it must stand."""
    assert old in SOUND[file], f"{old!r} is not in {file}"
    return sound({file: SOUND[file].replace(old, new)})


def extended(file: str, more: str) -> dict[str, bytes]:
    """Return the files with *more* lines at the end of *file*."""
    return sound({file: SOUND[file] + more})


def faults(files: Mapping[str, bytes]) -> list[str]:
    """Return what is wrong with *files*, one `file:line:col what` for each fault; empty when nothing is."""
    try:
        load(files)
    except Faults as found:
        return [f"{fault.where} {fault.what}" for fault in found.faults]
    return []


def loaded(files: Mapping[str, bytes]) -> Inventory:
    """Load *files*, which must be sound."""
    assert [] == faults(files)
    return load(files)
