"""dns-01 (RFC 8555 section 8.4): TXT records that travel through the DNS repository as include files.

What other orders under way still need is rendered too, so a run for some services takes nothing from the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from sslops.errors import DnsError, Moved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sslops.model.acme import Proof

TTL_SECONDS = 60
TRIES = 5
"""How often a race for the DNS base may be lost: all that is rendered is the challenges, so nothing is planned anew."""

Record = tuple[str, str]


class Files(Protocol):
    """The include files `acme-challenge.<apex>` in the DNS repository."""

    def refresh(self) -> None:
        """Fetch."""
        ...

    def read(self, apexes: Iterable[str]) -> Mapping[str, bytes]:
        """Return the file of each apex as last fetched."""
        ...

    def write(self, files: Mapping[str, bytes], what: str) -> None:
        """Commit and merge; Moved when another run was faster."""
        ...


class Look(Protocol):
    """The name servers, asked for challenge records (owner and value)."""

    def zone_of(self, owner: str) -> str | None:
        """Return the apex of ours that *owner* lies in."""
        ...

    def targets(self, owners: Iterable[str]) -> Mapping[str, str | DnsError]:
        """Return where the records of each owner belong."""
        ...

    def missing(self, records: Iterable[Record]) -> Mapping[Record, str]:
        """Return the records that some server does not show, and which."""
        ...


@dataclass(slots=True)
class Dns01:
    """Shows proofs in DNS. *apexes* are those that have an include file; *shown* what orders under way need shown."""

    files: Files
    look: Look
    apexes: tuple[str, ...]
    shown: frozenset[Proof]
    reload: Callable[[], None]
    """Runs `dns.restart_cmd`, for name servers that are told by the runner."""
    _places: dict[Proof, str | DnsError] = field(default_factory=dict)

    def publish(self, proofs: frozenset[Proof]) -> dict[Proof, str]:
        """Show *proofs* by one commit; return those whose name is in no zone of ours."""
        self.shown |= proofs
        self._find_places()
        self._render(f"show {len(proofs)} challenges")
        places = {proof: self._places[proof] for proof in proofs}
        return {proof: place.what for proof, place in places.items() if isinstance(place, DnsError)}

    def missing(self, proofs: frozenset[Proof]) -> dict[Proof, str]:
        """Return those of *proofs* that some name server does not show."""
        records = {proof: record for proof in proofs if (record := self._record(proof)) is not None}
        lacking = self.look.missing(records.values())
        return {proof: lacking[record] for proof, record in records.items() if record in lacking}

    def clean(self, proofs: frozenset[Proof]) -> None:
        """Take *proofs* away by one commit."""
        self.shown -= proofs
        self._find_places()
        self._render("take the challenges away")

    def _find_places(self) -> None:
        unknown = [proof for proof in self.shown if proof not in self._places]
        found = self.look.targets({_owner(proof) for proof in unknown}) if unknown else {}
        self._places |= {proof: found[_owner(proof)] for proof in unknown}

    def _record(self, proof: Proof) -> Record | None:
        place = self._places.get(proof)
        return (place, proof.value) if isinstance(place, str) else None

    def _render(self, what: str) -> None:
        """Bring every include file to what has to be shown now; nothing is pushed when it says so already."""
        for attempt in range(TRIES):
            if attempt:
                self.files.refresh()
            wanted = self._files()
            present = self.files.read(wanted)
            changed = {apex: content for apex, content in wanted.items() if content != present[apex]}
            if not changed:
                return
            try:
                self.files.write(changed, f"{what} for {', '.join(sorted(changed))}")
            except Moved:
                continue
            self.reload()
            return
        message = "the DNS repository moved each time the challenges were pushed"
        raise DnsError(message, hint="the next run tries again")

    def _files(self) -> dict[str, bytes]:
        lines: dict[str, set[str]] = {apex: set() for apex in self.apexes}
        for proof in self.shown:
            record = self._record(proof)
            if record is not None and (apex := self.look.zone_of(record[0])) is not None:
                lines.setdefault(apex, set()).add(f'{record[0]} {TTL_SECONDS} IN TXT "{record[1]}"\n')
        return {apex: "".join(sorted(found)).encode() for apex, found in lines.items()}


def _owner(proof: Proof) -> str:
    return f"_acme-challenge.{proof.name}."
