"""The time ahead, played: the scheduled jobs of a world, one after the other, and what each of them changes.

Where nothing changes, time goes on to the next moment at which something is due, a day at most.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from sslops.model.outlook import Assumptions, Event, Forecast
from sslops.model.plan import Plan, Verb
from sslops.simulate.lifetimes import acme_cas, in_words
from sslops.simulate.renewal import renew
from sslops.simulate.stages import Machine
from sslops.simulate.waits import Waits, patience
from sslops.simulate.world import PromiseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from sslops.model.state import State
    from sslops.model.tlsa import TlsaRecord
    from sslops.simulate.scheduler import Run
    from sslops.simulate.world import World


LONGEST_PAUSE = timedelta(days=1)
BROKEN = "the promise breaks"


def forecast(world: World, assumptions: Assumptions) -> Forecast:
    """Play *world* until the end of *assumptions*; a step that would break the promise ends it, and is flagged."""
    return _Player(world, assumptions).play()


@dataclass(slots=True)
class _Player:
    """The jobs, and what they did so far."""

    world: World
    given: Assumptions
    events: list[Event] = field(default_factory=list)
    flags: list[Event] = field(default_factory=list)
    merge_at: datetime | None = None
    said: dict[Verb, Plan] = field(default_factory=dict)
    """What each verb said in the present run, the last word of each."""
    waits: Waits = field(init=False)

    def __post_init__(self) -> None:
        """Know how long something may wait before it is reported."""
        self.waits = Waits(self.world.ops.inventory, patience(self.world.ops.inventory, self.given))

    def play(self) -> Forecast:
        begins = self.world.now
        try:
            while self.world.now <= self.given.until:
                changed = self._jobs_run()
                self._flag_expired()
                self.world.wait(self.given.every if changed else self._idle())
            self.waits.flag_endless(self.given.until)
        except PromiseError as error:
            self.flags.append(Event(self.world.now, "deploy", BROKEN, error.what))
        flags = tuple(sorted([*self.flags, *self.waits.flags], key=lambda flag: flag.at))
        cas = acme_cas(self.world.ops.inventory) if self.given.lifetime is None else ()
        lifetimes = tuple(in_words(ca, begins, self.given.until) for ca in cas)
        events, waits = tuple(self.events), self.waits.long()
        return Forecast(begins, self.given, events, waits, flags, self.waits.longest, lifetimes)

    def _jobs_run(self) -> bool:
        """Run every verb once, in the order of `run`; return whether something happened."""
        before = len(self.events)
        self.said[Verb.RENEW] = renew(self.world, self.given.lifetime)
        for action in self.said[Verb.RENEW].actions:
            self._tell("renew", f"{action.group}/{action.service}", f"{action.what}: {action.why or action.reason}")
        for job in (self._publish, self._roll, self._deploy, self._publish):
            job()
        self.waits.hear(self.said.values(), self.world.now)
        return len(self.events) > before

    def _publish(self) -> None:
        before = self._records()
        self._play(Verb.PUBLISH, Machine.publish)
        self.world.dns.load_all()
        self._people_merge()
        self.world.witness()
        after = self._records()
        for sign, records in (("+", after - before), ("-", before - after)):
            for record in sorted(records):
                self._tell("publish", record.owner, f"{sign} {record.params} {record.data[:16]}")

    def _play(self, verb: Verb, stage: Callable[[Machine], Run]) -> None:
        """Let one stage run to its end, and hear what it says."""
        machine = Machine(self.world, restart=self.world.dns.load_all)
        stage(machine).finish()
        self.said[verb] = machine.told

    def _roll(self) -> None:
        before = self.world.ops.main
        self._play(Verb.ROLL, Machine.roll)
        self._tell_rolls(before)
        self._people_merge()

    def _tell_rolls(self, before: State) -> None:
        for service, state in sorted(self.world.ops.main.services.items()):
            if state.slots.curr is not None and state.slots.curr != before[service].slots.curr:
                self._tell("roll", str(service), f"{state.slots.curr} is live")

    def _deploy(self) -> None:
        before = {name: dict(host.serving) for name, host in self.world.hosts.items()}
        self._play(Verb.DEPLOY, Machine.deploy)
        for name, host in sorted(self.world.hosts.items()):
            for service, generation in sorted(host.serving.items()):
                if before[name].get(service) != generation:
                    self._tell("deploy", str(service), f"{name} serves {generation}")

    def _people_merge(self) -> None:
        """Merge what is open, once it has been open for as long as people take."""
        forges = [forge for forge in (self.world.dns_forge, self.world.ops_forge) if forge is not None]
        if not any(forge.open_request for forge in forges):
            self.merge_at = None
        elif self.merge_at is None:
            self.merge_at = self.world.now + self.given.merge_delay
        elif self.merge_at <= self.world.now:
            before = self.world.ops.main
            for forge in forges:
                forge.people_merge()
            self.world.dns.load_all()
            self._tell_rolls(before)
            self.merge_at = None

    def _flag_expired(self) -> None:
        for name, host in sorted(self.world.hosts.items()):
            for service, generation in sorted(host.serving.items()):
                facts = self.world.facts(service, generation)
                if facts is not None and facts.issued is not None and facts.issued.not_after <= self.world.now:
                    what = f"{name} serves {generation}, which has expired"
                    self._flag(Event(self.world.now, "deploy", str(service), what))

    def _flag(self, event: Event) -> None:
        """Remember what cannot work, once."""
        if (event.subject, event.what) not in {(flag.subject, flag.what) for flag in self.flags}:
            self.flags.append(event)

    def _idle(self) -> timedelta:
        """Return how long nothing can happen, in whole job intervals."""
        span = min((moment - self.world.now for moment in self._moments()), default=LONGEST_PAUSE)
        steps = max(1, -(-min(span, LONGEST_PAUSE) // self.given.every))
        return steps * self.given.every

    def _moments(self) -> Iterator[datetime]:
        found = [state.slots.renew_at for state in self.world.ops.next.services.values()]
        found += [name.empty_since for entry in self.world.ops.ledger.apexes.values() for name in entry.names.values()]
        found += [self.merge_at, *self.waits.untils()]
        for entry in self.world.ops.ledger.apexes.values():
            found += [proof.since + 2 * timedelta(seconds=proof.max_ttl_seconds) for proof in entry.records.values()]
        for state in self.world.ops.next.services.values():
            if state.next is not None and state.next.issued is not None:
                yield self.world.now + self.given.every
        yield from (moment for moment in found if moment is not None and moment > self.world.now)

    def _records(self) -> set[TlsaRecord]:
        views = (view for line in self.world.dns.lines.values() for view in line.views)
        return {record for view in views for rrset in view.values() for record in rrset.records}

    def _tell(self, verb: str, subject: str, what: str) -> None:
        self.events.append(Event(self.world.now, verb, subject, what))
