"""dns-01 (RFC 8555 section 8.4): TXT records that travel through the DNS repository as include files.

What other orders under way still need is rendered too, so a run for some services takes nothing from the others. A
challenge makes the names above it exist, and a wildcard answers for them no more (RFC 4592): what it gave them stands
beside the challenge for as long. With
a forge they travel by a merge request, which a person may have to merge first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from sslops.acme.order_rules import challenge_request
from sslops.errors import DnsError, Moved, Unprovable
from sslops.model.plan import Obstacle, digest
from sslops.model.proposal import Kind, Proposal
from sslops.proposals.engine import sync
from sslops.repo.retrying import comes_true
from sslops.system.progress import NOBODY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from sslops.model.acme import Proof
    from sslops.model.names import ServiceId
    from sslops.model.observations import WildcardAnswer
    from sslops.model.plan import Hazard
    from sslops.model.proposal import Text
    from sslops.model.state import Generation
    from sslops.proposals.ports import Requests
    from sslops.system.progress import Talk


TTL_SECONDS = 60
TRIES = 5
"""How often a race for the DNS base may be lost: all that is rendered is the challenges, so nothing is planned anew."""

MERGE_SECONDS = 120
"""How long a forge is waited for that was asked to merge."""

CARRIED = " ; instead of the wildcard "
"""What stands behind a line that gives a name what a wildcard gave it before the challenge below made it exist."""

Record = tuple[str, str]
_CARRIABLE = re.compile(
    r"(?:\*\.)?(?:[a-z0-9_-]{1,63}\.)+ [0-9]{1,10} IN "
    r"(?:A|AAAA|CNAME|MX|TXT|CAA|HTTPS|SVCB|SSHFP|NAPTR|URI|SRV|TLSA)"
    r'(?: (?:[A-Za-z0-9_.:=,+/*-]+|[a-z0-9-]*=?"(?:[ !#-\[\]-~]|\\[ -~])*"))+'
)
_RENDERED = re.compile(r'(?=\S{1,254} )(?:[a-z0-9_-]{1,63}\.)+ [0-9]{1,10} IN TXT "[A-Za-z0-9_-]{43}"')
_LINE = re.compile(r'(?P<owner>\S+) \d+ IN TXT "(?P<value>[^"]*)"')


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


class Proposals(Protocol):
    """The branch that the files are proposed on."""

    @property
    def head(self) -> str | None:
        """The commit of the proposal branch as last fetched."""
        ...

    def require_own_hands(self) -> None:
        """Raise Refused when somebody else committed to the proposal branch."""
        ...

    def brings(self, files: Mapping[str, bytes]) -> bool:
        """Whether merging the proposal brings exactly *files*."""
        ...

    def is_open(self, apexes: Iterable[str]) -> bool:
        """Whether merging the proposal would change a file of *apexes*."""
        ...

    def propose(self, files: Mapping[str, bytes], what: str) -> None:
        """Let the proposal bring exactly *files*; Moved when another run was faster."""
        ...

    def empty(self) -> None:
        """Let the proposal bring nothing; Moved when another run was faster."""
        ...


class Look(Protocol):
    """The name servers, asked for challenge records (owner and value)."""

    @property
    def hazards(self) -> tuple[Hazard, ...]:
        """What alone made the last look at what is missing fail."""
        ...

    def zone_of(self, owner: str) -> str | None:
        """Return the apex of ours that *owner* lies in."""
        ...

    def targets(self, owners: Iterable[str]) -> Mapping[str, str | DnsError]:
        """Return where the records of each owner belong."""
        ...

    def ending(self, owners: Iterable[str]) -> Mapping[str, tuple[WildcardAnswer, ...] | DnsError]:
        """Return what a wildcard answers at and around each owner that ends with a record there."""
        ...

    def missing(self, records: Iterable[Record]) -> Mapping[Record, str]:
        """Return the records that some server does not show, and which."""
        ...


class Describe(Protocol):
    """Writes what people read on the forge."""

    def __call__(
        self, shown: Mapping[Proof, str], present: frozenset[Record], carried: frozenset[str], digest: str, limit: int
    ) -> Text:
        """Return title and body of the request that shows proofs, each at its owner, where *present* is in base.

        *carried* are the records that come with them in place of a wildcard's.
        """
        ...


@dataclass(frozen=True, slots=True)
class ByRequest:
    """How the files get into the base where there is a forge; *sleep* takes seconds."""

    branch: Proposals
    requests: Requests
    describe: Describe
    orders: Callable[[], Mapping[Proof, tuple[ServiceId, Generation]]]
    """Tells for which order each proof is, by what is stored."""
    sleep: Callable[[float], None]
    talk: Talk = NOBODY


@dataclass(slots=True)
class Dns01:
    """Shows proofs in DNS. *apexes* are those that have an include file; *shown* what orders under way need shown."""

    files: Files
    look: Look
    apexes: tuple[str, ...]
    shown: frozenset[Proof]
    reload: Callable[[], None]
    """Runs `dns.restart_cmd`, for name servers that the runner has to notify."""
    way: ByRequest | None = None
    """Null: the engine merges by itself."""
    obstacle: Obstacle | None = None
    """Why what was published last is not in the base, for a person to do something about."""
    _places: dict[Proof, str | DnsError] = field(default_factory=dict)
    _ending: dict[str, tuple[WildcardAnswer, ...]] = field(default_factory=dict)

    def impossible(self, names: Iterable[str]) -> dict[str, str]:
        """Return those of *names* for which no record of ours would be seen, and why; one that nobody tells is none."""
        owners = {name: _challenge_owner(name) for name in names}
        places = self.look.targets(owners.values())
        return {name: place.what for name, owner in owners.items() if isinstance(place := places[owner], Unprovable)}

    @property
    def hazards(self) -> tuple[Hazard, ...]:
        """The servers of `dns_xtra_ns` that gave no answer in the last look, where nothing else was lacking."""
        return self.look.hazards

    def publish(self, proofs: frozenset[Proof]) -> dict[Proof, str]:
        """Show *proofs* by one commit; return those whose name is in no zone that sslops manages."""
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

    def records(self) -> dict[Proof, Record]:
        """Return the record of each proof that is to be shown, where its name lies in a zone that sslops manages."""
        return {proof: record for proof in self.shown if (record := self._record(proof)) is not None}

    def _record(self, proof: Proof) -> Record | None:
        place = self._places.get(proof)
        return (place, proof.value) if isinstance(place, str) else None

    def _render(self, what: str) -> None:
        """Bring every include file to what has to be shown now; nothing is pushed when it says so already."""
        for attempt in range(TRIES):
            if attempt:
                self.files.refresh()
            present = self.files.read(self._apexes())
            wanted = self._files(present)
            changed = {apex: content for apex, content in wanted.items() if content != present[apex]}
            try:
                if self.way is not None:
                    self._propose(self.way, changed, present, what)
                elif changed:
                    self.files.write(changed, _subject(what, changed))
                    self.reload()
            except Moved:
                continue
            return
        message = "the DNS repository moved each time the challenges were pushed"
        raise DnsError(message, hint="the next run tries again")

    def _propose(self, way: ByRequest, changed: dict[str, bytes], present: Mapping[str, bytes], what: str) -> None:
        """Let one request ask for *changed*, or take it back where nothing changes any more or nobody wants it."""
        way.branch.require_own_hands()
        self.obstacle = None
        if not changed:
            _ProposedFiles(self, way, changed, present, what).take_back(way.requests.withdraw)
            return
        change = _ProposedFiles(self, way, changed, present, what)
        done = sync(way.requests, change, change.digest)
        if done.is_merged:
            self.reload()
        else:
            self.obstacle = Obstacle("challenge", done.why("renew"), done.stated.cause)

    def _apexes(self) -> frozenset[str]:
        found = {self.look.zone_of(record[0]) for proof in self.shown if (record := self._record(proof)) is not None}
        return frozenset({*self.apexes, *(apex for apex in found if apex is not None)})

    def _files(self, present: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return what each file has to say: the challenges, and what of a wildcard would end with them.

        That is asked for while a challenge is not there yet; from then on it is what the file says, until the challenge
        goes and the wildcard answers again.
        """
        there = {owner for owner, _ in _records(present)}
        self._find_ending(there)
        records = {record for proof in self.shown if (record := self._record(proof)) is not None}
        lines: dict[str, set[str]] = {apex: set() for apex in present}
        for owner, value in records:
            apex = self.look.zone_of(owner) or ""
            lines[apex].add(_line((owner, value)))
            lines[apex] |= _carried(present[apex], owner)
            if owner not in there:
                lines[apex] |= {
                    _carried_line(line, answer) for answer in self._ending[owner] for line in answer.lines()
                }
        return {apex: "".join(sorted(found)).encode() for apex, found in lines.items()}

    def _find_ending(self, there: Collection[str]) -> None:
        """Look around each owner that has no challenge yet; where nobody tells what would end there, none comes."""
        owners = {place for proof in self.shown if isinstance(place := self._places.get(proof), str)}
        found = self.look.ending(owners - set(there) - self._ending.keys())
        self._ending |= {owner: near for owner, near in found.items() if not isinstance(near, DnsError)}
        for proof in self.shown:
            near = found.get(str(self._places.get(proof)))
            if isinstance(near, DnsError):
                self._places[proof] = near


def _line(record: Record) -> str:
    """Write one record; DnsError when owner or value could leave its field, whatever checked them before."""
    line = f'{record[0]} {TTL_SECONDS} IN TXT "{record[1]}"'
    if _RENDERED.fullmatch(line) is None:
        message = f"a challenge record for {record[0]!r} cannot be written to a zone"
        raise DnsError(message, hint="_acme-challenge may lead to host names of letters, digits, '-' and '_' only")
    return f"{line}\n"


@dataclass(frozen=True, slots=True)
class _ProposedFiles:
    """The include files that change, as `sslops.proposals.engine.sync` knows a change."""

    solver: Dns01
    way: ByRequest
    changed: dict[str, bytes]
    present: Mapping[str, bytes]
    what: str

    @property
    def digest(self) -> str:
        """What a person declines: these generations; where only something goes, that."""
        orders, shown = self.way.orders(), self.solver.shown
        found = {(service, made.id) for proof in shown if proof in orders for service, made in [orders[proof]]}
        return digest(challenge_request(found, _records(self.present)))

    def brings(self) -> bool:
        """Whether merging the branch brings exactly what changes."""
        return self.way.branch.brings(self.changed)

    def push(self, *, anew: bool) -> None:
        """Let the branch bring that."""
        if anew or not self.brings():
            self.way.branch.propose(self.changed, _subject(self.what, self.changed))

    def take_back(self, withdraw: Callable[[], None]) -> None:
        """Let the branch bring nothing."""
        if self.way.branch.is_open(self.solver.apexes):
            # The request first: some forges close one whose branch brings nothing, as if a person had declined it.
            withdraw()
            self.way.branch.empty()

    def proposal(self, limit: int) -> Proposal:
        """Return what to ask for."""
        places = {proof: record[0] for proof, record in self.solver.records().items()}
        carried = _newly_carried(self.changed, self.present)
        text = self.way.describe(places, _records(self.present), carried, self.digest, limit)
        head = self.way.branch.head or ""
        return Proposal(Kind.ACME, self.way.requests.target, head, self.digest, text.title, text.body)

    def is_merged(self) -> bool:
        """Whether the base has it, within a bounded time; nobody waits for what is only taken away."""

        def look() -> bool:
            self.solver.files.refresh()
            return self.solver.files.read(self.changed) == self.changed

        seconds = MERGE_SECONDS if self.solver.shown else 1
        with self.way.talk.progress(f"waiting until the forge has merged '{Kind.ACME.branch}'"):
            return comes_true(look, sleep=self.way.sleep, seconds=seconds)


def _owner(proof: Proof) -> str:
    return _challenge_owner(proof.name)


def _challenge_owner(name: str) -> str:
    return f"_acme-challenge.{name}."


def _carried_line(line: str, answer: WildcardAnswer) -> str:
    """Write one record that takes the place of a wildcard's; DnsError when it could leave its line."""
    if _CARRIABLE.fullmatch(line) is None:
        message = f"what the wildcard {answer.wildcard} gives {answer.name} cannot be written to a zone: {line!a}"
        raise DnsError(message, hint=f"add records of its own at {answer.name.removeprefix('*.')} to the zone")
    return f"{line}{CARRIED}{answer.wildcard}\n"


def _carried(content: bytes, owner: str) -> frozenset[str]:
    """Return the lines of an include file that give names above *owner*, and below those, what a wildcard gave them."""
    found = (line for line in content.decode("utf-8", "replace").splitlines() if CARRIED in line)
    return frozenset(f"{line}\n" for line in found if f".{owner}".endswith(f".{line.split()[0].removeprefix('*.')}"))


def _subject(what: str, changed: Iterable[str]) -> str:
    return f"{what} for {', '.join(sorted(changed))}"


def _newly_carried(changed: Mapping[str, bytes], present: Mapping[str, bytes]) -> frozenset[str]:
    """Return the records, without what is said behind them, that *changed* has in place of a wildcard's."""

    def carried(content: bytes) -> frozenset[str]:
        lines = content.decode("utf-8", "replace").splitlines()
        return frozenset(line.partition(CARRIED)[0] for line in lines if CARRIED in line)

    found = (carried(content) - carried(present[apex]) for apex, content in changed.items())
    return frozenset[str]().union(*found)


def _records(files: Mapping[str, bytes]) -> frozenset[Record]:
    lines = [line for content in files.values() for line in content.decode("utf-8", "replace").splitlines()]
    found = [_LINE.match(line) for line in lines if CARRIED not in line]
    return frozenset((each["owner"], each["value"]) for each in found if each is not None)
