"""How publish does it: intent on the ledger, proposal and merge in the DNS repository, evidence, outcome.

With `forge: none` the engine merges by the very push that proposes; `proposing` is the way through merge requests.

The intent (`pending`) is pushed before the DNS repository is touched, so that of two runs one always sees the other.
A `pending` that is already there belongs to a run that is gone or asleep: the proposal branch is moved first, so that
its lease fails. A run killed anywhere is finished by the next one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sslops.dane.evidence import servers_agree_with_base
from sslops.dane.first_use import AddressSeen
from sslops.dane.records import Index, Keys
from sslops.dane.rrset_inputs import World, as_expected, ports_of
from sslops.dane.zonefile import LISTED, LOST, render
from sslops.errors import Moved
from sslops.inventory.reach import hosts_serving
from sslops.model.change import Note
from sslops.model.ledger import ApexEntry, Ledger, Pending
from sslops.model.names import CA_GROUP
from sslops.model.plan import Consents, digest, require
from sslops.model.proposal import CARRIED, Kind, Proposal
from sslops.model.tlsa import port_and_host
from sslops.model.waiting import rising_pauses
from sslops.probe.host_ports import briefly, port_address
from sslops.proposals.engine import sync
from sslops.publish.outlook import outlook
from sslops.publish.rules import (
    Publication,
    ZoneChange,
    owners_to_ask,
    owners_to_survey,
    owners_withdrawing,
    publication,
    to_propose,
    waiting,
)
from sslops.repo.retrying import comes_true
from sslops.system.progress import NOBODY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from sslops.dane.records import Material
    from sslops.dane.rrset_plan import Owner
    from sslops.model.inventory import Inventory
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.observations import ApexSeen, DnsRepoSeen, Zone
    from sslops.model.outlook import NameOutlook
    from sslops.model.plan import Plan
    from sslops.model.state import Branches
    from sslops.model.tlsa import TlsaRecord
    from sslops.probe.survey import Look, Observer
    from sslops.proposals.ports import Requests
    from sslops.publish.ports import AskPort, Clock, Describe, DnsRepository, Ops
    from sslops.repo.snapshot import Snapshot
    from sslops.system.progress import Talk


LOOK_SECONDS = 30
"""How long publish looks for its own merge to reach every server, so that evidence begins at once."""

# A secondary usually follows within a second; each look asks every server.
_FIRST_PAUSE, _LONGEST_PAUSE, _SLOWER = 0.2, 1.0, 1.5


@dataclass(frozen=True, slots=True)
class Publisher:
    """Publishes; *sleep* takes seconds. *material* gives keys and certificates where records need more than facts."""

    inventory: Inventory
    ops: Ops
    repository: DnsRepository
    observer: Observer
    ask_port: AskPort
    clock: Clock
    sleep: Callable[[float], None]
    run: str
    consents: Consents = Consents()
    material: Mapping[tuple[ServiceId, GenerationId], Material] | None = None
    restart: Callable[[], None] = lambda: None
    """Runs `dns.restart_cmd`, for name servers that the runner has to notify."""
    way: ByRequest | None = None
    """How the base moves where a forge merges; null: the engine does by itself."""
    patience_seconds: int = LOOK_SECONDS
    """How long name servers are waited for that should show the base, and a forge that was asked to merge."""
    talk: Talk = NOBODY

    def plan(self, snapshot: Snapshot, *, asks_forge: bool = False) -> Plan:
        """Return what publish would do, and what waits; nothing is changed anywhere.

        The forge is asked what became of a proposal only with *asks_forge*.
        """
        world, _ = self._judged(snapshot)
        return self._shown(publication(world), world, asks_forge=asks_forge)

    def foresee(self, snapshot: Snapshot, *, asks_forge: bool = False) -> tuple[Plan, tuple[NameOutlook, ...]]:
        """Return the plan, and what lies before each name, from one look."""
        world, look = self._judged(snapshot)
        gate = look.gate(self.inventory, world.ledger, world.keys, world.now)
        return self._shown(publication(world), world, asks_forge=asks_forge), outlook(world, gate)

    def publish(self, snapshot: Snapshot, expected_digest: str | None = None) -> Plan:
        """Bring every include file up to date; Moved when another run was faster, to be tried again from the start.

        *snapshot* must be fresh, and the DNS repository just fetched.
        """
        self.repository.require_own_hands()
        world, look = self._judged(snapshot)
        found = publication(world)
        require(found.plan, expected_digest)
        if self.way is not None:
            if not _is_agreed(look):
                # Somebody may have merged since the last run, and name servers that the runner tells do not know yet.
                self.restart()
            return Proposing(self, self.way, self.observe(snapshot, look), to_propose(found), world, look).run()
        if not found.plan.actions:
            self.observe(snapshot, look)
            return found.plan
        head = self._fenced(snapshot.ledger)
        snapshot = self.intend(snapshot, look, found, head)
        if found.proposals:
            files = self.files(found.proposals, snapshot.branches, look)
            self.repository.publish(self.repository.base, head, files, self.message(found, look))
            self.repository.refresh()
        self.conclude(snapshot, found.plan)
        return found.plan

    def _judged(self, snapshot: Snapshot) -> tuple[World, Look]:
        look = self.observer.look(snapshot.ledger)
        world = self._world(look, snapshot.branches, self._advanced(snapshot.ledger, look))
        asked = self._of_each(owners_to_ask(world), self._ask)
        world = replace(world, addresses=asked)
        shown = self._of_each(owners_withdrawing(world), lambda each: self._presented(each, asked.get(each.owner)))
        world = replace(world, ports=shown)
        return replace(world, surroundings=self.observer.surroundings(owners_to_survey(world))), look

    def _advanced(self, ledger: Ledger, look: Look) -> Ledger:
        """Return *ledger* as it stands after *look*, by the inventory of today."""
        return look.advanced(as_expected(ledger, self.inventory))

    def _of_each(
        self, owners: Collection[Owner], ask: Callable[[Owner], tuple[AddressSeen, ...]]
    ) -> dict[str, tuple[AddressSeen, ...]]:
        """Return by its name what *ask* finds out about each of *owners*."""
        found = {}
        with self.talk.progress("names whose ports are asked", len(owners)) as task:
            for owner in owners:
                with task.item(owner.owner, "is asked for its certificate"):
                    found[owner.owner] = ask(owner)
        return found

    def _shown(self, found: Publication, world: World, *, asks_forge: bool) -> Plan:
        """Return the plan as a person should see it: what is proposed already waits, and is not done again."""
        if self.way is None or not found.plan.actions:
            return found.plan
        wanted = to_propose(found)
        stated = self.way.requests.look(digest(wanted.plan)) if asks_forge else None
        if stated is not None and (stated.is_declined or self._is_proposed(wanted)):
            return waiting(wanted, world, stated.why, stated.cause)
        if wanted.plan.actions and self._is_proposed(wanted):
            why = f"proposed on '{Kind.TLSA.branch}'; --fetch asks the forge what became of it"
            return waiting(wanted, world, why)
        return found.plan

    def _is_proposed(self, found: Publication) -> bool:
        return self.repository.brings({proposal.apex: proposal.zone for proposal in found.proposals})

    def _world(self, look: Look, branches: Branches, ledger: Ledger) -> World:
        return World(
            inventory=self.inventory,
            branches=branches,
            ledger=ledger,
            owners=look.owners,
            keys=Keys.of(branches, self.material),
            repo=look.repo,
            seen=look.seen,
            now=self.clock.now(),
            consents=self.consents,
            failed=look.failed,
        )

    def _ask(self, owner: Owner) -> tuple[AddressSeen, ...]:
        """Ask every address of the name's host at each port that may be the one."""
        _, host = port_and_host(owner.owner)
        return tuple(
            AddressSeen(address, verify.port, self.ask_port(address, verify, host))
            for address in self.observer.host_addresses(host, owner.apex)
            for verify in ports_of(owner.owner, owner.names, self.inventory)
        )

    def _presented(self, owner: Owner, known: tuple[AddressSeen, ...] | None) -> tuple[AddressSeen, ...]:
        """Ask what is served under a name: by its addresses, unless that is *known*, and by its hosts themselves.

        A host is asked where deploy asks it. Of one that is asked at its own end only what it presents counts: a job
        that publishes need not be able to log in, so that it gave no answer tells nothing.
        """
        hosts = {
            host.name: (host, briefly(host.verify))
            for name in owner.names
            for host in hosts_serving(self.inventory, name.service)
            if host.verify is not None
        }
        own = [
            (host, verify, self.ask_port(port_address(host, verify), verify, owner.names[0].host, host.name))
            for _, (host, verify) in sorted(hosts.items())
        ]
        told = [row for row in own if row[1].asked_from == "runner" or row[2].error is None]
        found = self._ask(owner) if known is None else known
        return (*found, *(AddressSeen(port_address(h, v), v.port, seen, h.name) for h, v, seen in told))

    def _fenced(self, ledger: Ledger) -> str | None:
        """Return the head of the proposal branch, moved first when some run left a `pending` on the ledger."""
        stale = self.stale(ledger)
        if not stale:
            return self.repository.head
        return self.repository.fence(self.repository.head, f"take over from {', '.join(stale)}\n")

    def stale(self, ledger: Ledger) -> list[str]:
        """Return the runs that left a `pending` on the ledger: gone, or asleep."""
        return sorted({entry.pending.run for entry in ledger.apexes.values() if entry.pending})

    def observe(self, snapshot: Snapshot, look: Look) -> Snapshot:
        """Put on the ledger what a look taught."""
        why = "A look at the DNS repository and every name server found something new."
        note = Note("observe", "what DNS shows", why)
        return self.ops.write_ledger(snapshot, self._advanced(snapshot.ledger, look), note)

    def intend(self, snapshot: Snapshot, look: Look, found: Publication, head: str | None) -> Snapshot:
        """Put `pending` on the ledger, before the DNS repository is touched."""
        ledger = _without_pending(self._advanced(snapshot.ledger, look))
        apexes = dict(ledger.apexes)
        for proposal in found.proposals:
            pending = Pending(self.run, self.repository.base, head, proposal.records)
            apexes[proposal.apex] = replace(apexes.get(proposal.apex, ApexEntry()), pending=pending)
        names = ", ".join(proposal.apex for proposal in found.proposals) or "nothing"
        note = Note("publish", f"about to propose {names}", "The DNS repository is touched only after this is pushed.")
        return self.ops.write_ledger(snapshot, replace(ledger, apexes=apexes), note)

    def settle(self, snapshot: Snapshot, look: Look, note: Note) -> Snapshot:
        """Take `pending` off the ledger: the DNS repository has it, or nobody will bring it there any more."""
        return self.ops.write_ledger(snapshot, _without_pending(self._advanced(snapshot.ledger, look)), note)

    def conclude(self, snapshot: Snapshot, plan: Plan) -> Snapshot:
        """Look at what name servers make of the new base, so that evidence begins at once, and take `pending` off."""
        self.restart()
        apexes = ", ".join(sorted({action.group for action in plan.actions}))
        note = Note("publish", f"TLSA of {apexes} is in the DNS repository", "What every name server showed after it.")
        return self.settle(snapshot, self._look_until_agreed(snapshot.ledger), note)

    def files(self, proposals: tuple[ZoneChange, ...], branches: Branches, look: Look) -> dict[str, bytes]:
        """Return the include files of *proposals* by path."""
        records = [record for proposal in proposals for record in proposal.records]
        index = Index.of(Keys.of(branches, self.material), frozenset(record.params for record in records))
        comment = _Commentary(index, branches, self._listed(records), tuple(look.repo.values()))
        return {
            path: render(proposal.zone, comment).encode()
            for proposal in proposals
            for path in self.repository.paths(proposal.apex)
        }

    def _listed(self, records: Iterable[TlsaRecord]) -> dict[TlsaRecord, str]:
        """Return for each record about an issuer that `cas.yaml` lists which CA lists it."""
        said = {
            (each.selector, each.match, each.data): f"{LISTED} {ca.name}"
            for ca in self.inventory.cas.values()
            for each in ca.tlsa_issuers
        }
        keys = {record: (record.params.selector, record.params.match, record.data) for record in records}
        return {record: said[key] for record, key in keys.items() if key in said}

    def message(self, found: Publication, look: Look) -> str:
        """Return what the commit in the DNS repository says: also which records come from a wildcard, and stay its."""
        plan = found.plan
        apexes = sorted({action.group for action in plan.actions})
        changes = [f"    {target}" for action in plan.actions for target in action.targets]
        lines = [f"publish: TLSA of {', '.join(apexes)}", "", *changes, "", "Sslops-Action: publish"]
        carried = [f"{CARRIED}: {each}" for proposal in found.proposals for each in _from_wildcard(proposal, look)]
        return "\n".join([*lines, *carried, f"Sslops-Plan: {digest(plan)}", f"Sslops-Run: {self.run}", ""])

    def _look_until_agreed(self, ledger: Ledger) -> Look:
        """Look until every server shows the base, for a bounded time."""
        look = self.observer.look(ledger)
        with self.talk.progress("waiting until every name server shows the DNS repository's records") as task:
            for pause in rising_pauses(_FIRST_PAUSE, _SLOWER, _LONGEST_PAUSE, total_seconds=self.patience_seconds):
                late = next(_late(look), None)
                if late is None:
                    break
                with task.item(late[0], f"is not the same yet on {', '.join(each.server for each in late[1].servers)}"):
                    self.sleep(pause)
                look = self.observer.look(ledger)
        return look


@dataclass(frozen=True, slots=True)
class _Commentary:
    """Says behind each record whose it is: service, generation and slot; for a CA usage the CA's."""

    index: Index
    branches: Branches
    listed: Mapping[TlsaRecord, str]
    repos: tuple[DnsRepoSeen, ...]

    def __call__(self, record: TlsaRecord) -> str:
        versions = sorted(self.index.versions(record), key=lambda version: (version[0].group != CA_GROUP, version))
        if not versions:
            is_lost = record not in self.listed and any(record in repo.written_by_us for repo in self.repos)
            return LOST if is_lost else self.listed.get(record, "not ours")
        service, generation = versions[0]
        return f"{service} {generation} {self._slot(service, generation)}"

    def _slot(self, service: ServiceId, generation: GenerationId) -> str:
        slots = self.branches.next[service].slots
        named = {"curr": slots.curr, "next": slots.next, "prev": slots.prev}
        return next((slot for slot, held in named.items() if held == generation), "served")


def _from_wildcard(proposal: ZoneChange, look: Look) -> list[TlsaRecord]:
    """Return the records that some server makes of a wildcard today, and that the include file is to have."""
    seen = look.seen.get(proposal.apex)
    if seen is None:
        return []
    answers = [answer for server in seen.servers for answer in server.answers.values() if answer.wildcard is not None]
    made = {record for answer in answers for record in answer.records}
    return sorted(record for record in proposal.records & made if not seen.repo.base.has(record))


def _without_pending(ledger: Ledger) -> Ledger:
    apexes = {apex: replace(entry, pending=None) for apex, entry in ledger.apexes.items()}
    return replace(ledger, apexes=apexes)


def _is_agreed(look: Look) -> bool:
    """Whether every server shows what base has: what came is there, and what went is gone."""
    return not any(True for _ in _late(look))


def _late(look: Look) -> Iterator[tuple[str, ApexSeen]]:
    """Yield each name whose records some server does not show as base has them, with its zone."""
    for seen in look.seen.values():
        for owner in sorted(seen.repo.base.owners().union(*(server.answers for server in seen.servers))):
            if not servers_agree_with_base(owner, seen):
                yield owner, seen


@dataclass(frozen=True, slots=True)
class ByRequest:
    """How the DNS base moves where there is a forge: the *requests*, and who writes what they say."""

    requests: Requests
    describe: Describe


@dataclass(slots=True)
class Proposing:
    """One publish into a DNS repository whose base moves by merge requests only; *found* is what is to be proposed.

    *snapshot* has on its ledger what the look taught, so that evidence does not depend on a forge that answers.
    """

    stage: Publisher
    way: ByRequest
    snapshot: Snapshot
    found: Publication
    world: World
    look: Look

    def run(self) -> Plan:
        """Propose, and return what was done and what waits for whom; Moved when another run was faster."""
        if not self.found.plan.actions:
            # What could not be observed now is no reason to take back what was found out before.
            if not self.stage.repository.is_open(self.look.failed):
                self.take_back(self.way.requests.withdraw)
            return self.found.plan
        done = sync(self.way.requests, self, digest(self.found.plan))
        if done.is_merged:
            if not done.is_pushed and self.stage.stale(self.snapshot.ledger):
                # It was a run that is gone which pushed this; should it only sleep, its lease is still good.
                self._leased()
            self.stage.conclude(self.snapshot, self.found.plan)
            return self.found.plan
        left = waiting(self.found, self.world, done.why("publish"), done.stated.cause)
        return replace(left, actions=self.found.plan.actions) if done.is_pushed else left

    # The proposed change, as `sslops.proposals.engine.sync` knows it.

    def brings(self) -> bool:
        """Whether merging the branch makes the include files what is wanted."""
        return self.stage.repository.brings(self._zones)

    def push(self, *, anew: bool) -> None:
        """Move the branch to what is wanted, announced on the ledger before and taken off it after."""
        if anew or not self.brings():
            self.snapshot = self._push()

    def _push(self) -> Snapshot:
        stage, repository = self.stage, self.stage.repository
        head, base = self._leased(), repository.base
        snapshot = stage.intend(self.snapshot, self.look, self.found, head)
        files = stage.files(self.found.proposals, self.snapshot.branches, self.look)
        repository.propose(base, head, files, stage.message(self.found, self.look))
        repository.refresh()
        if not repository.brings(self._zones):
            # Our files moved in the base between our look and our push: what was decided was about other ones.
            message = f"the DNS base of {', '.join(self._zones)} moved while it was proposed"
            raise Moved(message, hint="run again")
        note = Note("publish", f"TLSA of {', '.join(self._zones)} is proposed", "What becomes of it a request tells.")
        return stage.settle(snapshot, self.look, note)

    def take_back(self, withdraw: Callable[[], None]) -> None:
        """Take back what is proposed: the open request, what the branch would bring, what a run that is gone left."""
        repository, is_stale = self.stage.repository, bool(self.stage.stale(self.snapshot.ledger))
        is_open = repository.is_open()
        if is_open:
            # The request first: some forges close one whose branch brings nothing, as if a person had declined it.
            withdraw()
        if is_stale:
            self._leased()
            self.stage.settle(self.snapshot, self.look, Note("publish", "nothing is proposed", "A run was gone."))
        elif is_open or (repository.head is None and self.world.owners.names):
            # Forges offer to restore a branch that was deleted, with the plan it had; none does where there is one.
            repository.fence(repository.head, self._empty("nothing is left to propose"))

    def _leased(self) -> str:
        """Return the head to lease on, one that no run can know which sleeps (see `proposals/branch.py`)."""
        repository, stale = self.stage.repository, self.stage.stale(self.snapshot.ledger)
        if stale:
            return repository.fence(repository.head, self._empty(f"take over from {', '.join(stale)}"))
        return repository.head or repository.fence(None, self._empty("nothing yet"))

    def _empty(self, what: str) -> str:
        return f"publish: {what}\n\nSslops-Action: publish\nSslops-Run: {self.stage.run}\n"

    @property
    def _zones(self) -> dict[str, Zone]:
        return {proposal.apex: proposal.zone for proposal in self.found.proposals}

    def proposal(self, limit: int) -> Proposal:
        """Return what to ask for."""
        head = self.stage.repository.head
        if head is None:
            message = "the proposal branch was deleted while it was proposed"
            raise Moved(message, hint="run again")
        text, name = self.way.describe(self.found, self.world, limit), digest(self.found.plan)
        return Proposal(Kind.TLSA, self.way.requests.target, head, name, text.title, text.body)

    def is_merged(self) -> bool:
        """Whether the base says what was proposed, within the time in which a forge that merges by itself does."""

        def look() -> bool:
            self.stage.repository.refresh()
            return self.stage.repository.base_says(self._zones)

        with self.stage.talk.progress(f"waiting until the forge has merged '{Kind.TLSA.branch}'"):
            return comes_true(look, sleep=self.stage.sleep, seconds=self.stage.patience_seconds)
