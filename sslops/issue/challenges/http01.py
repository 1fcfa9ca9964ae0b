"""http-01 (RFC 8555 section 8.3): files below the `server_dir` of every web host, over ssh or on the runner itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sslops.model.acme import Proof
    from sslops.model.inventory import Host


class Webroots(Protocol):
    """The web hosts; every method must leave a host alone that cannot be reached, and say so in its answer."""

    def put(self, host: Host, folder: str, proofs: Iterable[Proof]) -> str | None:
        """Write one file for each of *proofs* below *folder* and read them back; null, or why not."""
        ...

    def remove(self, host: Host, folder: str, proofs: Iterable[Proof]) -> str | None:
        """Remove the files of *proofs*; null, or why not. One that is not there is removed."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where one host wants challenges: below its `server_dir`."""

    host: Host
    server_dir: str


@dataclass(slots=True)
class Http01:
    """Shows proofs on the web hosts: on all of them, since nobody knows which one the CA will meet."""

    webroots: Webroots
    places: tuple[Place, ...]
    _broken: str | None = None

    @property
    def obstacle(self) -> str | None:
        """Null: nobody stands between a run and a web host."""
        return None

    def publish(self, proofs: frozenset[Proof]) -> dict[Proof, str]:
        """Write every file to every host; what one of them has not got is told by `missing`."""
        failed = [self.webroots.put(place.host, place.server_dir, sorted(proofs)) for place in self.places]
        self._broken = next((why for why in failed if why is not None), None)
        return {}

    def missing(self, proofs: frozenset[Proof]) -> Mapping[Proof, str]:
        """Return all of *proofs* while some host has not got them; it is tried once more."""
        if self._broken is not None:
            self.publish(proofs)
        return {} if self._broken is None else dict.fromkeys(proofs, self._broken)

    def clean(self, proofs: frozenset[Proof]) -> None:
        """Remove the files; a host that is down keeps one of them, which proves nothing to anybody by then."""
        for place in self.places:
            self.webroots.remove(place.host, place.server_dir, sorted(proofs))
