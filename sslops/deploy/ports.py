"""With whom `deploy` works: the ledger, the receivers on the hosts, their ports, the repository's files and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from sslops.probe.host_ports import Forwarder
from sslops.probe.survey import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sslops.errors import SslopsError
    from sslops.model.change import Note
    from sslops.model.inventory import Host, Verify
    from sslops.model.ledger import Ledger
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.observations import PortSeen
    from sslops.model.secret import Secret
    from sslops.model.shipment import Answer, ServiceFiles, Shipment
    from sslops.repo.snapshot import Snapshot


__all__ = ["AtOnce", "Clock", "Commands", "Forwarder", "Includes", "Ops", "Ports", "Receiver", "Vault"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class Ops(Protocol):
    """The ops repository; every write is a compare-and-swap against the snapshot and raises Moved when it lost."""

    def refresh(self) -> Snapshot:
        """Fetch, and return what the branches are now."""
        ...

    def write_ledger(self, snapshot: Snapshot, ledger: Ledger, note: Note) -> Snapshot:
        """Push *ledger*; nothing happens when it equals the snapshot's."""
        ...


class Receiver(Protocol):
    """The receiver on a host. A host that does not answer is an answer with `trouble`, not an exception."""

    def look(self, host: Host) -> Answer:
        """Say what the host holds; must change nothing there."""
        ...

    def ask(self, host: Host, seq: int) -> Answer:
        """Say what the host holds; once answered, nothing with a lower number than *seq* can act there."""
        ...

    def put(self, host: Host, seq: int, shipment: Shipment) -> Answer:
        """Switch to *shipment* and restart; must have gone back, once, when it answers that a restart failed.

        A service goes back to what was there, if that is among its parcel's `returns_to`; else it stays with the new.
        """
        ...

    def back(self, host: Host, seq: int, shipment: Shipment) -> Answer:
        """Return to where the put of the same *seq* would have gone back to, and restart."""
        ...


class Ports(Protocol):
    """Asks a host's port what it serves, from where its `verify` says."""

    def show(
        self,
        host: Host,
        verify: Verify,
        server_name: str,
        *,
        connections: int,
        over_seconds: float,
        key_types: tuple[str | None, ...] = (None,),
    ) -> PortSeen:
        """Make *connections* new connections spread over *over_seconds*; a port that cannot be asked is a value.

        Each time it is asked for each of *key_types*: `ec`, `rsa`, or null, as it likes.
        """
        ...


class Vault(Protocol):
    """Certificates and keys in the repository, as of a snapshot."""

    def files(
        self, snapshot: Snapshot, wanted: Sequence[tuple[ServiceId, GenerationId]]
    ) -> Mapping[tuple[ServiceId, GenerationId], ServiceFiles | SslopsError]:
        """Return the public files of many generations at once; one that lacks a file is its error."""
        ...

    def keys(
        self, snapshot: Snapshot, wanted: Sequence[tuple[ServiceId, GenerationId]]
    ) -> Mapping[tuple[ServiceId, GenerationId], Secret | SslopsError]:
        """Decrypt many keys at once; must return a key only as that of the certificate that main tells of.

        One that cannot be decrypted, or belongs to another certificate, is its error, and must not stop the others.
        """
        ...


class Includes(Protocol):
    """The DNS repository, as far as deploy needs it."""

    def refresh(self) -> None:
        """Fetch; GitError when it cannot be reached."""
        ...

    def include(self, apex: str) -> bytes | None:
        """Return the include file of *apex* in base; null when there is none."""
        ...


class Commands(Protocol):
    """Commands on the runner."""

    def run(self, words: Sequence[str]) -> str | None:
        """Run *words* without a shell; return what went wrong, null when nothing did."""
        ...


class AtOnce(Protocol):
    """Does the same to many at once."""

    def __call__(self, act: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return what *act* returns for each of *items*, in their order; must let all of them begin."""
        ...
