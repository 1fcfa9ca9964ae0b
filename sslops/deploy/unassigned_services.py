"""Does a host serve a service that it gets no more, or must not show yet? By files and ports, for EC and for RSA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.deploy.at_once import in_threads
from sslops.deploy.host_plan import is_gone, not_seen
from sslops.deploy.session_plan import DANE_CONNECTIONS, DANE_SECONDS, host_names

if TYPE_CHECKING:
    from sslops.deploy.host_plan import Work
    from sslops.deploy.ports import AtOnce, Ports
    from sslops.model.ledger import HostEntry
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.observations import PortSeen
    from sslops.model.shipment import Answer
    from sslops.model.state import Branches, Generation


BOTH_KEY_TYPES = ("ec", "rsa")


@dataclass(frozen=True, slots=True)
class UnassignedServices:
    """Finds out which services a host serves no more; *branches* know their certificates."""

    branches: Branches
    ports: Ports
    at_once: AtOnce = in_threads

    def gone(self, work: Work, entry: HostEntry, answer: Answer) -> frozenset[ServiceId]:
        """Return those of `work.former` that the host, whose entry is *entry*, certainly does not serve.

        *answer* says which files it holds. Without a `verify` in any of its classes only they can tell.
        """
        if not work.former:
            return frozenset()
        judged = self.at_once(lambda service: self._is_gone(service, work, entry, answer), sorted(work.former))
        return frozenset(service for service, is_gone in zip(sorted(work.former), judged, strict=True) if is_gone)

    def vacant(self, work: Work, entry: HostEntry, answer: Answer) -> frozenset[ServiceId]:
        """Return those of `work.vacant` that the host has nothing of: no files, and its ports show others alone.

        Nobody knows what a host shows that was never asked, so other than of what it once got files do not suffice.
        """
        return frozenset(service for service in work.vacant if self._is_vacant(service, work, entry, answer))

    def _is_vacant(self, service: ServiceId, work: Work, entry: HostEntry, answer: Answer) -> bool:
        if answer.holds(service).files or service in answer.unfinished:
            return False
        return not_seen(
            entry.serves(service), self._certificates(service), self._shown(service, work), self._right(work, entry)
        )

    def _is_gone(self, service: ServiceId, work: Work, entry: HostEntry, answer: Answer) -> bool:
        known, right = self._certificates(service), self._right(work, entry)
        return is_gone(service, entry.serves(service), answer, known, lambda: self._shown(service, work), right)

    def _right(self, work: Work, entry: HostEntry) -> frozenset[str]:
        """Return the certificates that the host is settled on."""
        return frozenset(
            self._certificates(other).get(settled, "")
            for other in work.delivery.services
            if (settled := entry.serves(other).settled) is not None
        )

    def _shown(self, service: ServiceId, work: Work) -> list[PortSeen]:
        verifies = {
            part.verify
            for part in work.delivery.parts
            if part.verify is not None and (part.serves or service in part.services)
        }
        names = {name for facts in self._generations(service).values() for name in _names(facts)[:1]}
        return [
            self.ports.show(
                work.host,
                verify,
                name,
                connections=DANE_CONNECTIONS,
                over_seconds=DANE_SECONDS,
                key_types=BOTH_KEY_TYPES,
            )
            for verify in verifies
            for name in sorted(names or {service.group})
        ]

    def _certificates(self, service: ServiceId) -> dict[GenerationId, str]:
        found = self._generations(service)
        return {key: facts.issued.cert_sha256 for key, facts in found.items() if facts.issued is not None}

    def _generations(self, service: ServiceId) -> dict[GenerationId, Generation]:
        return {**self.branches.next[service].generations, **self.branches.main[service].generations}


def _names(facts: Generation) -> tuple[str, ...]:
    return () if facts.issued is None else host_names(facts.issued.sans)
