"""Renewal windows of certificates in use (RFC 9773): asked of their CAs, and kept where they changed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sslops.acme.order_rules import as_slot, ask_again_at, chosen_time, is_too_early
from sslops.errors import AcmeError, Bug, bugs_of
from sslops.issue.rules import newest
from sslops.model.change import Change
from sslops.model.names import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sslops.issue.ports import AcmeServer, Appointments, StoredFiles
    from sslops.model.inventory import Inventory, Service
    from sslops.model.state import Generation, State
    from sslops.system.progress import Talk


WORKERS = 8


@dataclass(frozen=True, slots=True)
class Windows:
    """Asks each CA about the certificates that it issued and that the inventory still wants from it."""

    inventory: Inventory
    servers: Mapping[str, AcmeServer]
    files: StoredFiles
    appointments: Appointments
    talk: Talk
    bugs: list[Bug] = field(default_factory=list)
    """What nobody foresaw about a window; its certificate is renewed by the lifetime rule."""

    def changes(self, state: State, services: Iterable[Service], now: datetime) -> tuple[Change, ...]:
        """Return what is new about the windows of *services*; a CA that does not answer is reported once."""
        asked = [(service, present) for service in services if (present := self._in_use(service, state, now))]
        if not asked:
            return ()
        silent: dict[str, str] = {}

        def ask(service: Service, present: Generation) -> Change | None:
            with task.item(str(service.id), f"asks '{service.signing_ca}' for its renewal window"):
                return self._asked(service, present, state, now, silent)

        with self.talk.progress("renewal windows asked", len(asked)) as task, ThreadPoolExecutor(WORKERS) as pool:
            found = list(pool.map(lambda pair: ask(*pair), asked))
        for ca, why in sorted(silent.items()):
            self.talk.say(f"no renewal windows from '{ca}': {why}")
        return tuple(change for change in found if change is not None)

    def _in_use(self, service: Service, state: State, now: datetime) -> Generation | None:
        """Return the newest certificate while its CA may be asked about it: not too early, and not after its end."""
        present, ca = newest(state[service.id]), self.inventory.acme_ca(service)
        if present is None or present.issued is None or ca is None or not present.comes_from(ca):
            return None
        if is_too_early(now, self.appointments.at(service.id, present.id)):
            return None
        return present if now < present.issued.not_after else None

    def _asked(
        self, service: Service, present: Generation, state: State, now: datetime, silent: dict[str, str]
    ) -> Change | None:
        try:
            with bugs_of(str(service.id)):
                return self._change(service, present, state, now, silent)
        except Bug as bug:
            self.bugs.append(bug)
            return None

    def _change(
        self, service: Service, present: Generation, state: State, now: datetime, silent: dict[str, str]
    ) -> Change | None:
        ca, slots, issued = service.signing_ca, state[service.id].slots, present.issued
        if ca in silent or issued is None:
            return None
        try:
            if not self.servers[ca].directory.has_renewal_info:
                return None
            cert = self.files.read(service.id, present.id, "cert.pem")
            window = self.servers[ca].renewal_window(cert) if cert is not None else None
        except AcmeError as error:
            self._appoint(service, present, now, error.retry_after_seconds)
            silent[ca] = error.what
            return None
        self._appoint(service, present, now, window.retry_after_seconds if window is not None else None)
        if window is None or as_slot(window) == slots.ari:
            return None
        moment = chosen_time(window, service.id, present.id, issued)
        explanation = f"; it explains: {window.explanation_url}" if window.explanation_url else ""
        return Change(
            action="observe",
            service=service.id,
            title=f"{present.id}, renewal at {format_time(moment)}",
            why=f"{ca} suggests {format_time(window.start)} to {format_time(window.end)}{explanation}.",
            slots=replace(slots, ari=as_slot(window), renew_at=moment),
            generation=present.id,
        )

    def _appoint(self, service: Service, present: Generation, now: datetime, asked_seconds: float | None) -> None:
        moment = ask_again_at(now, asked_seconds)
        if moment is not None:
            self.appointments.make(service.id, present.id, moment)


def applied(state: State, changes: Iterable[Change]) -> State:
    """Return *state* with the slots of *changes*."""
    slots = {change.service: change.slots for change in changes}
    services = {key: replace(found, slots=slots.get(key, found.slots)) for key, found in state.services.items()}
    return replace(state, services=services)
