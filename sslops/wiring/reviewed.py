"""To whom a token may be shown: the servers that main's inventory names, whatever a working tree says.

A merge request brings an inventory that nobody reviewed yet. Where that one could choose the server, a plan of it would
hand the token of the DNS repository, or of a forge, to whoever wrote it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.errors import Faults, ForgeError
from sslops.inventory import load
from sslops.wiring.forges import dns_project, ops_project

if TYPE_CHECKING:
    from sslops.model.inventory import Inventory
    from sslops.state.snapshot import Snapshot
    from sslops.state.store import OpsRepo
    from sslops.wiring.forges import Project


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The servers that *inventory* names (null: none), for an ops repository whose remote is *ops_remote*."""

    inventory: Inventory | None
    ops_remote: str | None

    @classmethod
    def of_main(cls, ops: OpsRepo, snapshot: Snapshot, ops_remote: str | None) -> Reviewed:
        """Return those of main; a broken inventory there names nobody."""
        try:
            return cls(load(ops.inventory_files(snapshot)), ops_remote)
        except Faults:
            return cls(None, ops_remote)

    @property
    def dns_url(self) -> str | None:
        """The git URL of the DNS repository."""
        return self.inventory.dns.url if self.inventory and self.inventory.dns else None

    def obstacle(self, project: Project) -> str | None:
        """Say why the forge of *project* is not asked; null when it can be."""
        if project.token.secret is None:
            return f"{project.role} is not set, so the forge was not asked about '{project.name}'"
        if not self.has_forge_of(project):
            return f"main names another forge for '{project.name}' than this inventory, so none was asked"
        return None

    def has_forge_of(self, project: Project) -> bool:
        """Whether *project* lies on the forge that is named for projects of its role."""
        try:
            return any(
                each is not None and (each.role, each.address) == (project.role, project.address)
                for each in self._projects()
            )
        except ForgeError:
            return False

    def _projects(self) -> tuple[Project | None, ...]:
        if self.inventory is None:
            return ()
        dns = None if self.inventory.dns is None else dns_project(self.inventory.dns)
        return ops_project(self.inventory.repo, self.ops_remote), dns
