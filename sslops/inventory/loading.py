r"""All files of `inventory/` to one sound `Inventory`, or every fault in them at once.

>>> load({"inventory/sslops.yaml": b"groups: []\n"}).groups
{}
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.errors import Faults
from sslops.inventory import build
from sslops.inventory import build as build_settings
from sslops.inventory.files import Found, find, is_read
from sslops.inventory.references import reference_complaints
from sslops.inventory.service_faults import service_complaints
from sslops.inventory.settings_faults import settings_complaints
from sslops.model.inventory import Inventory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sslops.inventory.document import Complaint, Plain


def load(files: Mapping[str, bytes]) -> Inventory:
    """Return the inventory that *files* (name relative to the repository's root, content) describe.

    Files that are neither YAML nor hidden are somebody else's and skipped. Raises `Faults` with all of them at once,
    each an `InventoryError` at its file, line and column.
    """
    content = {name: raw for name, raw in files.items() if is_read(name)}
    if _sound and _sound[0][0] == content:
        return _sound[0][1]
    inventory = _loaded(content)
    _sound[:] = [(content, inventory)]
    return inventory


_sound: list[tuple[Mapping[str, bytes], Inventory]] = []
"""The last sound inventory with all it was read from, byte for byte: a verb reads that of the working tree and that of
main, which mostly are the same."""


def _loaded(files: Mapping[str, bytes]) -> Inventory:
    found = find(files)
    documents = found.documents()
    faults = [*found.faults, *(complaint.located(documents) for complaint in _complaints(found))]
    if faults or found.settings is None:
        raise Faults(faults)
    return _inventory(found, found.settings.plain)


def _complaints(found: Found) -> Iterator[Complaint]:
    if found.settings is not None:
        yield from settings_complaints(found.settings)
    for service, document in found.services.items():
        yield from service_complaints(document, service)
    yield from reference_complaints(found)


def _inventory(found: Found, plain: Plain) -> Inventory:
    defaults = plain.get("globals", {})
    known = sorted(found.services)
    groups = sorted(plain["groups"], key=lambda group: str(group["domain"]))
    members = found.members()
    cas = found.cas.plain if found.cas else {}
    return Inventory(
        settings=build_settings.settings(defaults),
        repo=build_settings.repo(plain.get("repo", {})),
        groups={group["domain"]: build_settings.group(group, members.get(group["domain"], set())) for group in groups},
        services={service: build.service(service, found.services[service].plain, defaults) for service in known},
        cas={name: build.authority(name, cas[name]) for name in sorted(cas)},
        classes=build_settings.classes(plain.get("servers", {}), defaults.get("prod_cert_dir"), known),
        dns=build_settings.dns(plain.get("dns")),
        dns_primary=build_settings.dns_primary(plain.get("dns_primary", [])),
        dns_servers=build_settings.dns_servers(plain.get("dns_servers", [])),
        accepts=tuple(build_settings.consent(entry) for entry in plain.get("accept", ())),
    )
