"""The effects of `sslops deploy`, in order: look, compare the clocks, write the intention, switch, verify, conclude.

The age of a record rests on the clock, and a clock that is fast by twice the TTL takes away the whole wait. Which of
two is right cannot be decided here: that they disagree is a hazard, and the host gets nothing new until they agree.

>>> str(words(timedelta(hours=-3, seconds=40)))
'179 min behind'
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from sslops.dane.may_serve import Gate
from sslops.dane.records import Keys
from sslops.dane.rrset_inputs import as_expected
from sslops.deploy import host_plan as rules
from sslops.deploy import ledger_entries as entries
from sslops.deploy import session_plan as session
from sslops.deploy.at_once import in_threads
from sslops.deploy.host_plan import Decision, DeployOptions, Work, World, include_sha256
from sslops.deploy.host_session import PATIENCE_SECONDS, Ended, HostSession, Prepared, Prover
from sslops.deploy.unassigned_services import UnassignedServices
from sslops.errors import Bug, SshError, SslopsError, bugs_of
from sslops.model.change import Note
from sslops.model.names import CA_GROUP
from sslops.model.plan import Hazard, HazardName, Verb, require
from sslops.model.secret import Secret
from sslops.model.shipment import Answer, Include, Outcome, Parcel, ServiceFiles
from sslops.probe.host_ports import briefly
from sslops.repo.retrying import retrying
from sslops.system.progress import NOBODY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sslops.dane.may_serve import Verdict
    from sslops.dane.records import Material
    from sslops.deploy.host_plan import Verdicts
    from sslops.deploy.ports import AtOnce, Clock, Commands, Includes, Ops, Ports, Receiver, Vault
    from sslops.deploy.session_plan import Question
    from sslops.inventory.reach import Delivery
    from sslops.model.inventory import Host, Inventory
    from sslops.model.ledger import HostEntry, Ledger
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.observations import PortSeen
    from sslops.model.plan import Consents, Plan
    from sslops.probe.survey import Observer
    from sslops.repo.snapshot import Snapshot
    from sslops.system.progress import Talk, Task

    Version = tuple[ServiceId, GenerationId]

TOLERANCE = timedelta(minutes=1)


def clock_hazards(
    works: Iterable[Work], looked: Mapping[str, Answer], world: World, consents: Consents
) -> list[Hazard]:
    """Return one for each host that is to serve something new while its clock, as it *looked*, is not ours.

    On a site that has no records, and never had, nothing rests on the time.
    """
    if not (world.ledger.apexes or any(service.dane for service in world.inventory.services.values())):
        return []
    drifts = {work.host.name: looked[work.host.name].drift for work in works if _is_news(work, looked, world)}
    off = {name: why for name, drift in sorted(drifts.items()) if (why := _complaint(name, drift))}
    found = [Hazard(HazardName.CLOCK, name, why, Verb.DEPLOY) for name, why in off.items()]
    return [hazard for hazard in found if not consents.cover(hazard)]


def words(drift: timedelta) -> str:
    """Return how far a clock is off, to the minute."""
    return f"{round(abs(drift) / timedelta(minutes=1))} min {'ahead of' if drift > timedelta() else 'behind'}"


def _is_news(work: Work, looked: Mapping[str, Answer], world: World) -> bool:
    """Whether the host would serve something that it neither is settled on nor has loaded already."""
    answer, entry = looked[work.host.name], world.ledger.host(work.host.name)
    loaded = {s for s, key in work.due.items() if answer.holds(s).generation == key and s not in answer.unfinished}
    settled = {service for service, generation in work.due.items() if entry.serves(service).settled == generation}
    return bool((work.due.keys() & work.delivery.serving) - loaded - settled)


def _is_clock_confirmed(works: Iterable[Work], looked: Mapping[str, Answer]) -> bool:
    """Whether some host of *works* has the time that this machine has."""
    drifts = (looked[work.host.name].drift for work in works)
    return any(drift is not None and abs(drift) <= TOLERANCE for drift in drifts)


def _complaint(host: str, drift: timedelta | None) -> str:
    if drift is None:
        return f"'{host}' does not tell its time, so nobody knows whether a record is as old as it seems"
    if abs(drift) <= TOLERANCE:
        return ""
    return f"the clock of '{host}' is {words(drift)} this machine's, so nobody knows how old a record is"


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Deployed:
    """The plan that was carried out, what failed, which hosts were copied to, and what failed at each host."""

    plan: Plan
    failures: tuple[SslopsError, ...] = ()
    copied: tuple[str, ...] = ()
    troubles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deployer:
    """Deploys; *sleep* takes seconds, *random* returns 0 to 1. *includes* is null without a DNS repository."""

    inventory: Inventory
    ops: Ops
    observer: Observer
    clock: Clock
    receiver: Receiver
    ports: Ports
    vault: Vault
    commands: Commands
    sleep: Callable[[float], None]
    random: Callable[[], float]
    options: DeployOptions = field(default_factory=DeployOptions)
    includes: Includes | None = None
    material: Mapping[Version, Material] | None = None
    patience_seconds: tuple[float, ...] = PATIENCE_SECONDS
    at_once: AtOnce = in_threads
    talk: Talk = NOBODY
    """Tells a person what it is waiting for."""

    def plan(self, snapshot: Snapshot) -> Plan:
        """Return what could be done now; looks at DNS when a service with DANE is concerned, and changes nothing."""
        decision, _ = self._decide(self._world(snapshot), snapshot)
        return rules.plan_of(decision, snapshot.branches)

    def deploy(self, snapshot: Snapshot, expected_digest: str | None = None) -> Deployed:
        """Make hosts serve `main`'s curr; Moved when another run was faster, to be tried again from the start.

        *snapshot* must be fresh, and the DNS repository just fetched. Once the intent is pushed Moved is not raised
        any more; an outcome that cannot be pushed raises Busy, and the next run asks the hosts again.
        """
        world = self._world(snapshot)
        if expected_digest is None:
            # Whoever names a plan wants that one; no more is asked then than made it.
            world = replace(world, ledger=rules.doubted(world.ledger, self._contradicted(world)))
        decision, ledger = self._decide(world, snapshot)
        plan = rules.plan_of(decision, snapshot.branches)
        require(plan, expected_digest)
        looked = self._look(decision.works)
        silent = tuple(answer.trouble for answer in looked.values() if answer.trouble is not None)
        works = self._worth_while(world, decision.works, looked)
        hazards = clock_hazards(works, looked, world, self.options.consents)
        if hazards:
            decision = decision.without(hazards)
            works = [work for work in works if work.host.name not in {each.subject for each in hazards}]
            plan = rules.plan_of(decision, snapshot.branches)
        if not _is_clock_confirmed(works, looked):
            # What the look taught is dated by a clock that no host confirms: were it behind, a record would seem older
            # than it is. Publish and roll look as well.
            ledger = as_expected(snapshot.ledger, self.inventory)
        snapshot = self._intend(snapshot, _ended_entries(ledger, decision), works, looked)
        if not works:
            return Deployed(plan, silent, troubles=_troubles(looked, ()))
        allowed = self._look_again(world, snapshot, works)
        prepared, unready = self._prepare(world, snapshot, works, allowed, looked)
        ended = self._sessions(prepared)
        self._conclude(snapshot, ended)
        copied = tuple(each.host for each in ended if each.was_copied)
        failures = (*silent, *unready, *(t for each in ended for t in each.troubles), *self._after_copy(copied))
        return Deployed(plan, failures, copied, _troubles(looked, ended))

    def _world(self, snapshot: Snapshot) -> World:
        active = [domain for domain, group in self.inventory.groups.items() if group.active and domain != CA_GROUP]
        hashes: dict[str, str | None] = {}
        if self.includes is not None:
            hashes = {apex: include_sha256(self.includes.include(apex)) for apex in sorted(active)}
        ledger = as_expected(snapshot.ledger, self.inventory)
        return World(self.inventory, snapshot.branches, ledger, hashes, self.clock.now())

    def _contradicted(self, world: World) -> list[tuple[str, ServiceId]]:
        """Return the hosts, each with a service, that the ledger has as done and that show something else now.

        An entry may make a host be asked more often, never less: a port is asked once before its host is skipped, and
        a host without one what files it holds. One that gives no answer tells nothing.
        """
        asked: list[tuple[Host, Question]] = []
        silent: dict[str, tuple[Host, list[ServiceId]]] = {}
        for delivery, service in rules.believed(world, self.options):
            questions = self._questions_to_be_sure(world, delivery, service)
            asked += [(delivery.host, question) for question in questions]
            if not questions and not delivery.verifies(service):
                silent.setdefault(delivery.host.name, (delivery.host, []))[1].append(service)
        with self.talk.progress("ports asked for what they serve", len(asked)) as task:
            shown = self.at_once(lambda one: self._show_once(task, *one), asked)
        by_port = [
            (host.name, question.service)
            for (host, question), seen in zip(asked, shown, strict=True)
            if seen.error is None and not (seen.certificates and seen.certificates <= {question.own, *question.others})
        ]
        return by_port + self._contradicted_by_files(world, silent.values())

    def _contradicted_by_files(
        self, world: World, silent: Iterable[tuple[Host, Sequence[ServiceId]]]
    ) -> list[tuple[str, ServiceId]]:
        rows = list(silent)
        if not rows:
            return []
        with self.talk.progress("hosts asked for what they hold", len(rows)) as task:
            answers = self.at_once(lambda row: self._look_at(task, row[0]), rows)
        return [
            (host.name, service)
            for (host, services), answer in zip(rows, answers, strict=True)
            for service in services
            if answer.trouble is None
            and (
                answer.holds(service).generation != world.branches.main[service].slots.curr
                or service in answer.unfinished
            )
        ]

    def _questions_to_be_sure(self, world: World, delivery: Delivery, service: ServiceId) -> list[Question]:
        entry, curr = world.ledger.host(delivery.host.name), world.branches.main[service].slots.curr
        ask = self._asker(world, delivery, entry)
        return [each for each in (ask(service, curr, {}) if curr else ()) if each.former is None]

    def _show_once(self, task: Task, host: Host, question: Question) -> PortSeen:
        where = f"{host.name}:{question.verify.port}"
        with task.item(where, f"is asked for the {question.key_type or 'usual'} certificate of {question.server_name}"):
            return self.ports.show(
                host,
                briefly(question.verify),
                question.server_name,
                connections=1,
                over_seconds=0.0,
                key_types=(question.key_type,),
            )

    def _decide(self, world: World, snapshot: Snapshot) -> tuple[Decision, Ledger]:
        """Return the decision, and the ledger as it stands after the look it rests on."""
        verdicts, ledger = self._verdicts(world, snapshot)
        return rules.decide(world, verdicts, self.options), ledger

    def _verdicts(self, world: World, snapshot: Snapshot) -> tuple[Verdicts, Ledger]:
        keys, ledger = Keys.of(snapshot.branches, self.material), as_expected(snapshot.ledger, self.inventory)
        concerned = rules.candidates(world, self.options)
        # A service without DANE may have had it a moment ago; only DNS and its history tell.
        has_dane = any(self.inventory.services[service].dane for service in concerned)
        if has_dane or (concerned and self.inventory.dns is not None):
            look = self.observer.look(snapshot.ledger)
            ledger = look.advanced(ledger)
            gate = look.gate(self.inventory, ledger, keys, self.clock.now())
        else:
            gate = Gate(ledger, {}, keys, (), world.now)
        return _by_gate(gate), ledger

    def _look(self, works: Iterable[Work]) -> dict[str, Answer]:
        """Ask every host what it holds, all at once; this also opens the connection that the session uses."""
        hosts = [work.host for work in works]
        with self.talk.progress("hosts asked for what they hold", len(hosts)) as task:
            answers = self.at_once(lambda host: self._look_at(task, host), hosts)
        return dict(zip((host.name for host in hosts), answers, strict=True))

    def _look_at(self, task: Task, host: Host) -> Answer:
        """Ask one host what it holds; an answer that nobody foresaw is that host's own trouble."""
        try:
            with task.item(host.name, "is asked by ssh"), bugs_of(f"'{host.name}'"):
                return self.receiver.look(host)
        except Bug as bug:
            return Answer(Outcome.REFUSED, trouble=bug)

    def _worth_while(self, world: World, works: Iterable[Work], looked: Mapping[str, Answer]) -> list[Work]:
        """Return the works of hosts that answered; what they get no more, or not yet, counts if it seems to be away."""
        former = UnassignedServices(world.branches, self.ports, self.at_once)
        answered = [work for work in works if looked[work.host.name].trouble is None]
        entries_of = {work.host.name: world.ledger.host(work.host.name) for work in answered}
        left = [
            replace(
                work,
                former=former.gone(work, entries_of[work.host.name], looked[work.host.name]),
                vacant=former.vacant(work, entries_of[work.host.name], looked[work.host.name]),
            )
            for work in answered
        ]
        return [work for work in left if not work.is_empty]

    def _intend(
        self, snapshot: Snapshot, ledger: Ledger, works: Sequence[Work], looked: Mapping[str, Answer]
    ) -> Snapshot:
        """Push "may serve either" for every host that answered, each with a number above all it has seen."""
        hosts, now = dict(ledger.hosts), self.clock.now()
        for work in works:
            entry = ledger.host(work.host.name)
            seq = max(entry.seq, looked[work.host.name].seq) + 1
            copies = work.due.keys() - work.delivery.serving
            hosts[work.host.name] = entries.intend(entry, seq, work.due, at=now, copies=copies)
        names = ", ".join(work.host.name for work in works)
        why = "Until the outcome is known each of them may serve either."
        if not any(work.due for work in works):
            why = "Include files change, or daemons restart; what is served stays the same."
        note = Note("deploy", f"intent for {names}", why)
        if not works:
            note = Note("observe", "what is known", "Entries that ended.")
        return self.ops.write_ledger(snapshot, replace(ledger, hosts=hosts), note)

    def _look_again(self, world: World, snapshot: Snapshot, works: Sequence[Work]) -> Mapping[str, Work]:
        """Judge once more, after the intent: what may not go now is dropped. The entries are those of before."""
        if self.includes is not None:
            self.includes.refresh()
        verdicts, _ = self._verdicts(world, snapshot)
        fresh = {work.host.name: work for work in rules.decide(world, verdicts, self.options).works}
        return {work.host.name: _narrowed(work, fresh.get(work.host.name)) for work in works}

    def _prepare(
        self,
        world: World,
        snapshot: Snapshot,
        works: Sequence[Work],
        allowed: Mapping[str, Work],
        looked: Mapping[str, Answer],
    ) -> tuple[list[Prepared], list[SslopsError]]:
        due = sorted({version for work in allowed.values() for version in work.due.items()})
        files, troubles = _sound(self.vault.files(snapshot, due), ServiceFiles)
        hashes = {version: hashlib.sha256(found.cert).hexdigest() for version, found in files.items()}
        ready = {name: replace(work, due=_with_files(work, files)) for name, work in allowed.items()}
        wanted = sorted(
            {
                (service, ready[name].due[service])
                for name in ready
                for service in session.to_send(ready[name], looked[name], _of(ready[name], hashes))
            }
        )
        keys, unread = _sound(self.vault.keys(snapshot, wanted), Secret)
        contents, former = (
            self._include_contents(ready.values()),
            UnassignedServices(world.branches, self.ports, self.at_once),
        )
        prepared = []
        for intended in works:
            name = intended.host.name
            work = ready[name]
            prepared.append(
                Prepared(
                    work=replace(work, unproven=work.unproven & work.due.keys()),
                    seq=snapshot.ledger.host(name).seq,
                    before=world.ledger.host(name),
                    looked=looked[name],
                    parcels=self._parcels(world, work, files, keys),
                    cert_sha256=_of(work, hashes),
                    includes=tuple(Include(apex, contents[apex]) for apex in sorted(work.includes)),
                    dropped=frozenset(intended.due.keys() - work.due.keys()),
                    ask=self._asker(world, work.delivery, world.ledger.host(name)),
                    gone=partial(former.gone, work, world.ledger.host(name)),
                    vacant=partial(former.vacant, work, world.ledger.host(name)),
                )
            )
        return prepared, [*troubles, *unread]

    def _include_contents(self, works: Iterable[Work]) -> dict[str, bytes]:
        apexes = {apex for work in works for apex in work.includes}
        return {apex: (self.includes.include(apex) if self.includes else None) or b"" for apex in sorted(apexes)}

    def _parcels(
        self,
        world: World,
        work: Work,
        files: Mapping[Version, ServiceFiles],
        keys: Mapping[Version, Secret],
    ) -> dict[ServiceId, Parcel]:
        found = {}
        for service, generation in work.due.items():
            state, key = world.branches.main[service], keys.get((service, generation))
            facts = state.at(generation)
            if key is not None and facts is not None and facts.issued is not None:
                found[service] = Parcel(
                    service,
                    generation,
                    files[service, generation],
                    key,
                    facts.issued.serial,
                    facts.issued.not_after,
                    state.slots.rolled_at,
                    facts.issued.issued_at,
                    work.delivery.files,
                )
        return found

    def _asker(
        self, world: World, delivery: Delivery, before: HostEntry
    ) -> Callable[[ServiceId, GenerationId, Mapping[ServiceId, GenerationId]], tuple[Question, ...]]:
        """Return how questions about one host are made, from what its services should show."""
        settled = {service: key for service in delivery.services if (key := before.serves(service).settled)}

        def ask(
            service: ServiceId, generation: GenerationId, showing: Mapping[ServiceId, GenerationId]
        ) -> tuple[Question, ...]:
            right = {}
            for other, key in {**settled, **showing}.items():
                facts = world.branches.main[other].at(key)
                if facts is not None and facts.issued is not None:
                    right[other] = facts
            state = world.branches.main[service]
            return session.questions(delivery, self.inventory.services[service], state, generation, right)

        return ask

    def _sessions(self, prepared: Sequence[Prepared]) -> list[Ended]:
        """Run all sessions at once. A bug in one is that host's trouble, and loses nothing that others found out."""
        prover = Prover(self.ports, self.sleep, self.patience_seconds, self.at_once, self.talk.say)

        def run(given: Prepared) -> Ended:
            host = given.work.host.name
            try:
                with task.item(host, "begins") as at, bugs_of(f"'{host}'"):
                    return HostSession(given, self.receiver, prover, at).run()
            except SslopsError as error:
                return Ended(host, given.seq, given.before, troubles=(error,))

        with self.talk.progress("hosts switched and verified", len(prepared)) as task:
            return self.at_once(run, prepared)

    def _conclude(self, snapshot: Snapshot, ended: Sequence[Ended]) -> None:
        """Push what is known now, one commit for all hosts, against the ledger as it is by then."""
        now = self.clock.now()
        latest = [snapshot]

        def attempt() -> Snapshot:
            current = latest.pop() if latest else self.ops.refresh()
            hosts = dict(current.ledger.hosts)
            for each in ended:
                if each.host in hosts:
                    hosts[each.host] = each.applied(hosts[each.host], now)
            return self.ops.write_ledger(current, replace(current.ledger, hosts=hosts), _outcome(ended))

        retrying(attempt, sleep=self.sleep, random=self.random)

    def _after_copy(self, copied: Sequence[str]) -> list[SslopsError]:
        """Run `post_copy_cmd` for hosts that were copied to; a failure is reported, and stops nothing."""
        failures: list[SslopsError] = []
        due = [(host, words) for host, words in self.inventory.settings.post_copy_cmd if host in copied]
        with self.talk.progress("post_copy_cmd run", len(due)) as task:
            for host, words in due:
                with task.item(host, f"runs {words[0]}"):
                    why = self.commands.run([*words, host])
                if why is not None:
                    failures.append(SshError(f"post_copy_cmd for '{host}': {why}"))
        return failures


def _by_gate(gate: Gate) -> Verdicts:
    def verdict(service: ServiceId, generation: GenerationId, host: Host) -> Verdict:
        return gate.may_serve(service, generation, host.name)

    return verdict


def _narrowed(work: Work, fresh: Work | None) -> Work:
    """Return what of *work* is still right."""
    if fresh is None:
        return Work(work.delivery)
    due = {service: generation for service, generation in work.due.items() if fresh.due.get(service) == generation}
    includes = {apex: digest for apex, digest in work.includes.items() if fresh.includes.get(apex) == digest}
    former, vacant = work.former & fresh.former, work.vacant & fresh.vacant
    dhparm = {group: names for group, names in work.dhparm.items() if fresh.dhparm.get(group) == names}
    restart = work.restart & fresh.restart
    return replace(work, due=due, includes=includes, restart=restart, former=former, vacant=vacant, dhparm=dhparm)


def _ended_entries(ledger: Ledger, decision: Decision) -> Ledger:
    hosts = {name: entry for name, entry in ledger.hosts.items() if name not in decision.forgotten}
    for name, services in decision.closed.items():
        if name in hosts:
            hosts[name] = entries.close(hosts[name], services)
    return replace(ledger, hosts=hosts)


def _sound(found: Mapping[Version, T | SslopsError], kind: type[T]) -> tuple[dict[Version, T], list[SslopsError]]:
    good = {version: each for version, each in found.items() if isinstance(each, kind)}
    return good, [each for each in found.values() if isinstance(each, SslopsError)]


def _with_files(work: Work, files: Mapping[Version, ServiceFiles]) -> dict[ServiceId, GenerationId]:
    return {service: generation for service, generation in work.due.items() if (service, generation) in files}


def _of(work: Work, hashes: Mapping[Version, str]) -> dict[ServiceId, str]:
    return {service: hashes[service, generation] for service, generation in work.due.items()}


def _troubles(looked: Mapping[str, Answer], ended: Iterable[Ended]) -> dict[str, str]:
    """Return by host what went wrong there: it gave no answer, or its session failed."""
    silent = {host: answer.trouble.what for host, answer in looked.items() if answer.trouble is not None}
    return silent | {each.host: "; ".join(one.what for one in each.troubles) for each in ended if each.troubles}


def _outcome(ended: Sequence[Ended]) -> Note:
    well = [each.host for each in ended if not each.troubles]
    badly = [each.host for each in ended if each.troubles]
    parts = [f"{', '.join(names)} {word}" for names, word in ((well, "verified"), (badly, "not verified")) if names]
    troubles = "; ".join(trouble.what for each in ended for trouble in each.troubles)
    return Note("deploy", "; ".join(parts), troubles or "Each host was asked after the switch.")
