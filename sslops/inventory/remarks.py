"""What is sound and may all the same be a slip: told by `check` at its line, and no fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.inventory.document import Complaint
from sslops.inventory.files import find
from sslops.inventory.names import is_below
from sslops.model.names import CA_GROUP, is_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sslops.errors import InventoryError
    from sslops.inventory.files import Found
    from sslops.model.inventory import Inventory


def remarks(inventory: Inventory, files: Mapping[str, bytes]) -> tuple[InventoryError, ...]:
    """Return what is worth a look in *inventory*, which was read from *files* and is sound; each with its place."""
    services = (service for service in inventory.services.values() if not service.is_ca)
    if all(is_address(san) or is_below(san, [one.id.group]) for one in services for san in one.sans):
        return ()  # nearly always; the files are read once more only for places
    found = find(files)
    documents = found.documents()
    return tuple(complaint.located(documents) for complaint in _outside_names(found))


def _outside_names(found: Found) -> Iterator[Complaint]:
    """Yield the names that are not below the group of their service.

    That is fine as long as somebody can prove them. It also is what a name copied from elsewhere looks like.
    """
    groups = {service.group for service in found.services if service.group != CA_GROUP}
    for service, document in sorted(found.services.items(), key=lambda pair: pair[0]):
        for place, san in enumerate(document.plain.get("x509", {}).get("sans") or ()):
            if is_address(san) or is_below(san, [service.group]):
                continue
            where = "another group has it" if is_below(san, groups) else "no group has it"
            what = f"'{san}' is not below '{service.group}', the group of '{service}'; {where}"
            yield Complaint(document.file, ("x509", "sans", place), what)
