"""One session at one host: send, switch, restart, verify its ports, roll back where that fails.

With DANE nothing but the right certificate may be seen on any of the connections; a reload may take a while, so the
question is put again a few times.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import Timer
from typing import TYPE_CHECKING

from sslops.deploy import ledger_entries as entries
from sslops.deploy import session_plan as session
from sslops.deploy.at_once import in_threads
from sslops.deploy.ledger_entries import Proven
from sslops.deploy.session_plan import Shown, start_hint
from sslops.errors import SshError, SslopsError
from sslops.model.ledger import COPY
from sslops.model.shipment import Answer, DhFiles, Outcome, Shipment
from sslops.pki.dh_groups import parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from sslops.deploy.host_plan import Work
    from sslops.deploy.ports import AtOnce, Ports, Receiver
    from sslops.deploy.session_plan import Question
    from sslops.model.inventory import Host
    from sslops.model.ledger import HostEntry
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.observations import PortSeen
    from sslops.model.shipment import Include, Parcel

    Ask = Callable[[ServiceId, GenerationId, Mapping[ServiceId, GenerationId]], tuple[Question, ...]]

SILENT_SECONDS = 3.0
"""After so long without an answer a message says what is awaited."""
PATIENCE_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Pauses between one look at a port and the next."""


def to_nobody(_text: str) -> None:
    """Nobody is there to be told."""


@dataclass(frozen=True, slots=True)
class Prover:
    """Asks ports; *sleep* takes seconds."""

    ports: Ports
    sleep: Callable[[float], None]
    patience_seconds: tuple[float, ...] = PATIENCE_SECONDS
    at_once: AtOnce = in_threads
    say: Callable[[str], None] = to_nobody
    """Tells a person what it is waiting for, once for each port and reason."""
    silent_seconds: float = SILENT_SECONDS
    told: set[str] = field(default_factory=set)

    def prove(
        self, host: Host, asked: Mapping[ServiceId, tuple[Question, ...]], *, is_patient: bool = True
    ) -> Mapping[ServiceId, Shown]:
        """Put all questions, several at a time, and again until patience ends unless *is_patient* is false.

        A service without a question is proven by its files.
        """
        pauses = self.patience_seconds if is_patient else ()
        every = [question for questions in asked.values() for question in questions]
        answers = dict(zip(every, self.at_once(lambda question: self._ask(host, question, pauses), every), strict=True))
        return {service: _joined(answers[question] for question in questions) for service, questions in asked.items()}

    def _ask(self, host: Host, question: Question, pauses: tuple[float, ...]) -> Shown:
        shown = self._timed(host, question)
        for number, pause in enumerate(pauses):
            if shown.proof is not None or shown.hint is not None:
                break
            if number:
                self._tell(f"waiting for {sum(pauses[number:]):.0f} s more: {shown.why}")
            self.sleep(pause)
            shown = self._timed(host, question)
        return shown

    def _timed(self, host: Host, question: Question) -> Shown:
        """Ask once, and say so when there is no answer for some seconds."""
        verify = question.verify
        awaited = f"its greeting, as 'starttls: {verify.starttls}' says" if verify.starttls else "an answer by TLS"
        text = f"port {verify.port} of '{host.name}' does not answer: waiting for {awaited}"
        timer = Timer(self.silent_seconds + question.over_seconds, self._tell, [text])
        timer.start()
        try:
            return self._once(host, question)
        finally:
            timer.cancel()

    def _tell(self, text: str) -> None:
        kind = text.partition(":")[2]
        if kind not in self.told:
            self.told.add(kind)
            self.say(text)

    def _once(self, host: Host, question: Question) -> Shown:
        seen = self.ports.show(
            host,
            question.verify,
            question.server_name,
            connections=question.connections,
            over_seconds=question.over_seconds,
            key_types=(question.key_type,),
        )
        return _judge(host, question, seen)


def _judge(host: Host, question: Question, seen: PortSeen) -> Shown:
    where = f"port {question.verify.port} of '{host.name}'"
    if question.former is not None:
        return _judge_further(question, seen, where)
    if seen.error is not None:
        return Shown(None, f"{where} could not be asked: {seen.error}", seen.hint)
    if seen.shows_only(question.own):
        return Shown("port")
    if seen.certificates and seen.certificates <= {question.own, *question.others}:
        # The class reloaded, and the port shows another of its services, which nothing we can ask tells apart.
        return Shown("files")
    shown = ", ".join(sorted(digest[:16] for digest in seen.certificates))
    return Shown(None, f"{where} shows {shown or 'no certificate'}, not {question.own[:16]}")


def _judge_further(question: Question, seen: PortSeen, where: str) -> Shown:
    """Judge what is shown under a further name: it proves nothing, a former certificate there the contrary."""
    shown = ", ".join(sorted(digest[:16] for digest in seen.certificates & (question.former or frozenset())))
    if not shown:
        return Shown("files")
    return Shown(None, f"{where} shows {shown} for {question.server_name}, not {question.own[:16]}")


def _joined(shown: Iterable[Shown]) -> Shown:
    """Return what all questions about one service say together: every one must be answered well, and one by a port."""
    found = list(shown)
    failed = [each for each in found if each.proof is None]
    if failed:
        return failed[0]
    return Shown("port") if any(each.proof == "port" for each in found) else Shown("files")


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything a session needs. *before* is the host's entry as it was before the intent numbered *seq*.

    *looked* is what the host showed without a number; *parcels* are ready for the services that this suggests to send,
    *cert_sha256* hashes each due `cert.pem`. *dropped* were part of the intent and must not go after all. *ask*
    returns the questions about a service and a generation, given what every service of the host should show.
    """

    work: Work
    seq: int
    before: HostEntry
    looked: Answer
    parcels: Mapping[ServiceId, Parcel]
    cert_sha256: Mapping[ServiceId, str]
    includes: tuple[Include, ...]
    dropped: frozenset[ServiceId]
    ask: Ask
    gone: Callable[[Answer], frozenset[ServiceId]] = lambda _: frozenset()
    """Which of the services that the host gets no more it does not serve, by its answer and its ports."""
    vacant: Callable[[Answer], frozenset[ServiceId]] = lambda _: frozenset()
    """Of which of the services that have to wait there it has nothing, by its answer and its ports."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How one host's session ended, for the ledger and for people."""

    host: str
    seq: int
    before: HostEntry
    proven: Mapping[ServiceId, Proven] = field(default_factory=dict)
    failed: frozenset[ServiceId] = frozenset()
    """Services whose restart or verification failed: they wait longer before the next try."""
    restored: frozenset[ServiceId] = frozenset()
    """Services of the intent of which certainly nothing was sent."""
    includes: Mapping[str, str] = field(default_factory=dict)
    dhparm: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    well: frozenset[ServiceId] = frozenset()
    """Services whose daemons were restarted well."""
    was_copied: bool = False
    troubles: tuple[SslopsError, ...] = ()
    closed: frozenset[ServiceId] = frozenset()
    """Services that it was seen not to serve any more."""
    doubted: frozenset[ServiceId] = frozenset()
    """Services of which the host holds what the intent did not name."""
    vacant: frozenset[ServiceId] = frozenset()
    """Services that it is to show and was seen to have nothing of."""

    def applied(self, entry: HostEntry, at: datetime) -> HostEntry:
        """Return the host's entry after this session; unchanged when another run was there since."""
        entry = entries.restore(entry, self.seq, self.before, self.restored)
        entry = entries.forgive(entry, self.seq, self.well - self.failed)
        entry = entries.hold_includes(entry, self.seq, self.includes)
        entry = entries.hold_dhparm(entry, self.seq, self.dhparm)
        entry = entries.doubt(entry, self.seq, self.doubted)
        entry = entries.close(entry, self.closed) if entry.seq == self.seq else entry
        entry = entries.vacate(entry, self.seq, self.vacant, at=at)
        return entries.went_back(entry, self.seq, self.proven, self.failed, at=at)


class HostSession:
    """The session of one host."""

    def __init__(
        self, prepared: Prepared, receiver: Receiver, prover: Prover, at: Callable[[str], None] = to_nobody
    ) -> None:
        """Begin with nothing known but what was prepared; *at* gets what the host is doing."""
        self._given, self._receiver, self._prover, self._at = prepared, receiver, prover, at
        self._work, self._host = prepared.work, prepared.work.host
        self._answer = prepared.looked
        self._restored = set(prepared.dropped)
        self._troubles: list[SslopsError] = []
        self._closed: frozenset[ServiceId] = frozenset()
        self._doubted: frozenset[ServiceId] = frozenset()
        self._vacant: frozenset[ServiceId] = frozenset()
        self._dhparm: Mapping[str, tuple[str, ...]] = {}

    def run(self) -> Ended:
        """Do all of it; a host that does not play along ends in an outcome too."""
        if self._must_be_asked() and not self._ask():
            return self._ended()
        self._closed = self._given.gone(self._answer) & self._work.former
        self._vacant = self._given.vacant(self._answer) & self._work.vacant
        wanted = session.to_send(self._work, self._answer, self._given.cert_sha256)
        send = wanted & self._given.parcels.keys()
        self._give_up(wanted - send)
        there = frozenset(self._work.due) - wanted
        proven, stale = self._sort(there)
        shipment = self._shipment(send, stale)
        if not (shipment.parcels or shipment.includes or shipment.restarts or shipment.dhparm or stale):
            return self._ended(proven=proven)
        other = session.stranger(self._work, self._given.before, self._answer, shipment.restarts)
        if other is not None:
            return self._refuse(send, other, proven)
        again = stale | (there & session.reached(self._work.delivery, shipment.restarts))
        return self._put(shipment, {s: fact for s, fact in proven.items() if s not in again}, again)

    def _must_be_asked(self) -> bool:
        """Whether what the host holds will count as a proof: what it showed without a number is none."""
        sent = session.to_send(self._work, self._answer, self._given.cert_sha256)
        work = self._work
        return bool(work.unproven or work.former or work.vacant or work.due.keys() - sent)

    def _ask(self) -> bool:
        """Raise the fence and look again: only now is certain that what the host says stays true."""
        self._at("is asked by ssh once more")
        self._answer = self._receiver.ask(self._host, self._given.seq)
        if self._answer.trouble is not None:
            self._troubles.append(self._answer.trouble)
            # Nothing of ours was sent, and an older run's receiver is nothing our intent added.
            self._restored |= self._work.due.keys()
        return self._answer.trouble is None

    def _give_up(self, services: Iterable[ServiceId]) -> None:
        """Leave out what should go but is not at hand: its key cannot be read, or the host changed since the look."""
        self._restored |= set(services)

    def _sort(self, there: frozenset[ServiceId]) -> tuple[dict[ServiceId, Proven], frozenset[ServiceId]]:
        """Return which services, whose files are *there*, are served as well, and which need a restart first."""
        shown = self._prove(self._questions(there), is_patient=False)
        proven = self._proven(shown)
        return proven, there - proven.keys()

    def _proven(self, shown: Mapping[ServiceId, Shown]) -> dict[ServiceId, Proven]:
        """Return what *shown* proves of due services, whose files are there as they should be."""
        files = self._work.delivery.files
        return {s: Proven(self._work.due[s], each.proof, files) for s, each in shown.items() if each.proof is not None}

    def _shipment(self, send: frozenset[ServiceId], stale: frozenset[ServiceId]) -> Shipment:
        includes = tuple(include for include in self._given.includes if include.apex in self._work.includes)
        more = session.classes_of(self._work.delivery, stale)
        restarts = session.restarts(self._work, send, [include.apex for include in includes], more)
        dhparm = tuple(
            DhFiles(group, {name: parameters(name) for name in names})
            for group, names in sorted(self._work.dhparm.items())
        )
        return Shipment(tuple(self._parcel(service) for service in sorted(send)), includes, restarts, dhparm)

    def _parcel(self, service: ServiceId) -> Parcel:
        """Return what is sent, with where the host may go back to: what the ledger named for it before the intent.

        The records of anything else may be gone. Where something unknown is served, what lies there may go on being
        served; where that is this very generation, an older one that the host has kept may not.
        """
        named = frozenset(self._given.before.serves(service).may_serve or (None,))
        known = frozenset(key for key in named if key is not None)
        held, generation = self._answer.holds(service), self._work.due[service]
        is_there = held.is_exactly(generation, self._given.cert_sha256[service])
        is_settled = held.generation == generation and service not in self._answer.unfinished
        return replace(
            self._given.parcels[service],
            returns_to=None if None in named and not is_settled else known,
            returns_to_same=is_there and service not in self._answer.unfinished,
        )

    def _refuse(self, send: frozenset[ServiceId], other: ServiceId, proven: Mapping[ServiceId, Proven]) -> Ended:
        what = f"'{self._host.name}': the restart would reach '{other}', which is not verified there"
        self._troubles.append(SshError(what, hint="sslops deploy, without a TARGET, shows what that one waits for"))
        self._restored |= send
        return self._ended(proven=proven)

    def _put(self, shipment: Shipment, proven: dict[ServiceId, Proven], restarted: frozenset[ServiceId]) -> Ended:
        """Send, and judge what came of it; *restarted* are due services that are only restarted."""
        sent = frozenset(parcel.service for parcel in shipment.parcels)
        self._at(_sending(shipment))
        try:
            answer = self._receiver.put(self._host, self._given.seq, shipment)
        except SslopsError as error:
            self._troubles.append(error)
            self._restored |= sent
            return self._ended(proven=proven)
        if answer.trouble is not None:
            self._troubles.append(answer.trouble)
        self._note_dhparm(shipment, answer)
        match answer.outcome:
            case Outcome.DONE:
                return self._verify(shipment, answer, proven, restarted)
            case Outcome.WENT_BACK | Outcome.NOT_SWITCHED:
                return self._returned(shipment, proven, sent | restarted)
            case Outcome.STUCK | Outcome.STAYED:
                return self._ended(proven=proven, failed=self._blamed(shipment, sent | restarted))
            case outcome if outcome.is_untouched:
                self._restored |= sent
        return self._ended(proven=proven)

    def _note_dhparm(self, shipment: Shipment, answer: Answer) -> None:
        """Note what is there, whatever became of the rest: those files stay. An older receiver does not know them."""
        asked = frozenset(each.group for each in shipment.dhparm)
        self._dhparm = {group: self._work.dhparm[group] for group in asked & answer.dhparm}
        if answer.outcome is Outcome.DONE and asked - answer.dhparm:
            what = f"'{self._host.name}': its receiver does not know Diffie-Hellman parameters"
            self._troubles.append(SshError(what, hint="sslops deploy --print-receiver, and install that there"))

    def _verify(
        self, shipment: Shipment, answer: Answer, proven: dict[ServiceId, Proven], restarted: frozenset[ServiceId]
    ) -> Ended:
        sent = {parcel.service for parcel in shipment.parcels}
        broken = {service for service in sent if not answer.holds(service).intact}
        shown = self._prove(self._questions((sent | restarted) - broken))
        good = self._proven(shown)
        bad = (sent | restarted) - good.keys()
        if not bad:
            well = session.reached(self._work.delivery, shipment.restarts) | sent
            return self._ended(proven={**proven, **good}, well=well, includes=self._work.includes, was_copied=True)
        reasons = [shown[service].why if service in shown else "a file is not what was sent" for service in sorted(bad)]
        first = answer.first | {service for service in restarted if self._was_never_verified(service)}
        hints = [shown[service].hint for service in sorted(bad) if service in shown and shown[service].hint]
        hint = hints[0] if hints else start_hint(self._host, bad) if bad <= first else None
        self._troubles.append(SshError(f"'{self._host.name}': {'; '.join(dict.fromkeys(reasons))}", hint=hint))
        if not sent or bad <= first:
            # Nothing could refer to what came for the first time, so the rest of the session is not to blame for it.
            well = (session.reached(self._work.delivery, shipment.restarts) | sent) - bad
            return self._ended(
                proven={**proven, **good},
                failed=frozenset(bad),
                includes=self._work.includes,
                well=frozenset(well) if sent else frozenset(),
                was_copied=bool(sent),
            )
        self._at("goes back to what it served, and restarts")
        returned = self._receiver.back(self._host, self._given.seq, shipment)
        if returned.trouble is not None:
            self._troubles.append(returned.trouble)
            return self._ended(proven=proven, failed=frozenset(sent | bad), was_copied=True)
        return self._returned(shipment, proven, frozenset(sent | bad), was_copied=True)

    def _was_never_verified(self, service: ServiceId) -> bool:
        """Whether the ledger knows of nothing but the due generation, and not that it was ever served here."""
        served = self._given.before.serves(service)
        return served.settled is None and set(served.may_serve) <= {None, self._work.due[service]}

    def _returned(
        self,
        shipment: Shipment,
        proven: dict[ServiceId, Proven],
        failed: frozenset[ServiceId],
        *,
        was_copied: bool = False,
    ) -> Ended:
        """Prove what was served before, where that was certain and the host has it again; the rest may serve either."""
        sent = frozenset(parcel.service for parcel in shipment.parcels)
        settled = {s: key for s in sent - self._work.unproven if (key := self._given.before.serves(s).settled)}
        old = {service: settled[service] for service in self._there_again(sent) & settled.keys()}
        showing = {**self._work.due, **old}
        questions = {service: self._given.ask(service, key, showing) for service, key in old.items()}
        shown = self._prove(questions)
        again = {s: Proven(old[s], each.proof) for s, each in shown.items() if each.proof is not None}
        blamed = self._blamed(shipment, failed)
        return self._ended(proven={**proven, **again}, failed=blamed, was_copied=was_copied)

    def _there_again(self, sent: frozenset[ServiceId]) -> frozenset[ServiceId]:
        """Ask the host; return which of the services *sent* it has whole, loaded, and as they were settled before."""
        self._at("is asked what it went back to")
        answer = self._receiver.ask(self._host, self._given.seq)
        if answer.trouble is not None:
            self._troubles.append(answer.trouble)
            return frozenset()
        before = self._given.before
        held = {service: answer.holds(service) for service in sent}
        whole = {service: each.generation for service, each in held.items() if each.intact}
        named = {s for s, key in whole.items() if key in {*before.serves(s).may_serve, self._work.due[s]}}
        self._doubted = sent - named
        return frozenset(s for s in named - answer.unfinished if whole[s] == before.serves(s).settled)

    def _blamed(self, shipment: Shipment, failed: frozenset[ServiceId]) -> frozenset[ServiceId]:
        """Return whose next try waits: the services concerned, or all of the classes when only include files came."""
        return failed or session.reached(self._work.delivery, shipment.restarts)

    def _prove(
        self, questions: Mapping[ServiceId, tuple[Question, ...]], *, is_patient: bool = True
    ) -> Mapping[ServiceId, Shown]:
        ports = sorted({question.verify.port for each in questions.values() for question in each})
        if ports:
            self._at(f"verifies port {', '.join(map(str, ports))}")
        return self._prover.prove(self._host, questions, is_patient=is_patient)

    def _questions(self, services: Iterable[ServiceId]) -> dict[ServiceId, tuple[Question, ...]]:
        return {
            service: self._given.ask(service, self._work.due[service], self._work.due) for service in sorted(services)
        }

    def _ended(
        self,
        *,
        proven: Mapping[ServiceId, Proven] | None = None,
        failed: frozenset[ServiceId] = frozenset(),
        includes: Mapping[str, str] | None = None,
        well: frozenset[ServiceId] = frozenset(),
        was_copied: bool = False,
    ) -> Ended:
        return Ended(
            host=self._host.name,
            seq=self._given.seq,
            before=self._given.before,
            proven={service: self._as_copy(service, fact) for service, fact in (proven or {}).items()},
            failed=failed,
            restored=frozenset(self._restored),
            includes=includes or {},
            well=well,
            was_copied=was_copied,
            troubles=tuple(self._troubles),
            closed=self._closed,
            doubted=self._doubted,
            vacant=self._vacant,
            dhparm=self._dhparm,
        )

    def _as_copy(self, service: ServiceId, fact: Proven) -> Proven:
        """Return what is proven of a service; of one whose copies it keeps, that it holds them and shows nothing."""
        return fact if service in self._work.delivery.serving else replace(fact, proof=COPY)


def _sending(shipment: Shipment) -> str:
    """Say what a host is at while its shipment is on the way."""
    services = [str(parcel.service) for parcel in shipment.parcels]
    parts = [f"is sent {', '.join(services)}"] if services else []
    commands = [command[0].rpartition("/")[2] for restart in shipment.restarts for command in restart.commands]
    parts += [f"restarts ({', '.join(commands)})"] if commands else []
    return " and ".join(parts) or "is sent include files"
