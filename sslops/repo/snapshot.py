"""One look at all the branches: what every decision of a run is made from, and what its pushes are compared with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sslops.errors import GitError, Location, StateError
from sslops.model.state import Branches
from sslops.repo.ledger_files import read_ledger
from sslops.repo.state_files import CSR, FACTS, PRIVKEY, STATE, generation_path, parse_path, read_slots, slots_path
from sslops.repo.take_in import CurrHistory, applied, differing, pinned, rolls, take_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sslops.model.change import Change
    from sslops.model.inventory import RepoSettings
    from sslops.model.ledger import Ledger
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.state import State
    from sslops.repo.git import Git
    from sslops.repo.git_history import PathChange
    from sslops.repo.state_trees import StateReader
    from sslops.repo.take_in import TakeIn


ROLL_BRANCH = "sslops/roll"
LEDGER_BRANCH = "ledger"
INVENTORY = "inventory/"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The branches as last fetched: their commits (null: no such branch) and what they say.

    `branches.next` has main already taken in, whether or not that is committed yet. It is a value: whoever has one
    reaches no repository by it.
    """

    main_commit: str
    next_commit: str | None
    roll_commit: str | None
    ledger_commit: str | None
    """Null: everything about hosts and DNS is unknown."""
    branches: Branches = field(repr=False)
    take_in: TakeIn = field(repr=False)
    ledger: Ledger = field(repr=False)
    proposed: Mapping[ServiceId, GenerationId] = field(default_factory=dict, repr=False)
    """What the roll branch would make curr on main."""
    faults: tuple[StateError, ...] = field(default=(), repr=False)
    """Why nobody may write now: what next has otherwise than main although it must not."""


def disagreements(main: Mapping[str, str], following: Mapping[str, str], on_main: State) -> tuple[str, ...]:
    """Return the files in which *following* differs from *main* and must not; both are path to blob hash.

    A generation that main has issued is what main has, but for a key that was wrapped anew; before that its CSR is
    fixed, as its name tells. A generation may go as a whole (prune).
    """
    found = []
    for path, sha in main.items():
        if following.get(path) == sha or path.endswith(PRIVKEY):
            continue
        parts = parse_path(path)
        if parts is None or parts.generation is None:
            continue
        known = on_main[parts.service].at(parts.generation)
        is_fixed = known is not None and (known.issued is not None or parts.name == CSR)
        if is_fixed and generation_path(parts.service, parts.generation, FACTS) in following:
            found.append(path)
    return tuple(sorted(found))


@dataclass(frozen=True, slots=True)
class Moves:
    """What a roll moves beside `next`: main, when it *merges*; the roll branch, to *proposes* (null: it stays)."""

    merges: bool
    proposes: Mapping[ServiceId, GenerationId] | None


def moves(snapshot: Snapshot, changes: Sequence[Change], *, has_forge: bool, is_declined: bool = False) -> Moves | None:
    """Return what *changes*, and the rolls that main lacks anyway, move; null when nothing is to be written at all.

    *is_declined*: nobody wants these rolls, and the roll branch brings nothing.
    """
    rolled = rolls(snapshot.branches.main, applied(snapshot.branches.next, changes))
    wanted = {} if is_declined else rolled
    merges = bool(rolled) and not has_forge
    proposes = wanted if wanted != snapshot.proposed else None
    if not (changes or snapshot.take_in.changed or merges or proposes is not None):
        return None
    return Moves(merges, proposes)


@dataclass(frozen=True, slots=True)
class Looker:
    """Reads *git*'s branches; what was read once is remembered, so that a second look reads what changed only."""

    git: Git
    settings: RepoSettings
    reader: StateReader
    _trees: dict[str, Mapping[str, str]] = field(default_factory=dict, repr=False)

    def snapshot(self) -> Snapshot:
        """Look at the branches; GitError without a main branch, StateError where a file says what cannot be."""
        heads = self._heads()
        for gone in self._trees.keys() - heads.values():
            # A run that writes many times would keep the paths of every state that it went through.
            del self._trees[gone]
        main, following = heads.get(self.settings.branch), heads.get(self.settings.next_branch)
        ledger = heads.get(LEDGER_BRANCH)
        if main is None:
            message = f"there is no branch '{self.settings.branch}' in '{self.git.path}'"
            raise GitError(message, hint="git fetch, or see repo.branch in inventory/sslops.yaml")
        on_main, written = self.reader.read(self.tree(main), self.tree(following or main))
        on_next = pinned(on_main, written)
        histories = self._histories(main, following, differing(on_main, on_next)) if following else {}
        taken = take_in(on_main, on_next, histories)
        return Snapshot(
            main_commit=main,
            next_commit=following,
            roll_commit=heads.get(ROLL_BRANCH),
            ledger_commit=ledger,
            branches=Branches(on_main, taken.state),
            take_in=taken,
            ledger=read_ledger(self.git.files(ledger) if ledger else {}),
            proposed=self._proposed(heads.get(ROLL_BRANCH), main, following, on_main),
            faults=() if following is None else tuple(self._faults(main, following, on_main)),
        )

    def _faults(self, main: str, following: str, on_main: State) -> Iterator[StateError]:
        """Yield a fault for each file in which next contradicts main, with the commit of next that wrote it."""
        for path in disagreements(self.tree(main), self.tree(following), on_main):
            commit = self.git.last_change(following, path)
            branch = self.settings.next_branch
            what = (
                f"'{path}' is not what '{self.settings.branch}' has, and an issued generation never changes: "
                f"commit {commit[:10]} on '{branch}' wrote it"
            )
            hint = f"git log {branch} -- {path}, and take that commit off '{branch}'"
            yield StateError(what, where=Location(path, 1, 1), hint=hint)

    def _proposed(
        self, roll: str | None, main: str, following: str | None, on_main: State
    ) -> Mapping[ServiceId, GenerationId]:
        if roll is None or roll == main or not self._is_of_next(roll, main, following):
            return {}
        try:
            return rolls(on_main, self.state(roll))
        except StateError:
            # Somebody else wrote there, which stops whoever wants to write, and nobody who only looks.
            return {}

    def _is_of_next(self, roll: str, main: str, following: str | None) -> bool:
        """Whether merging *roll* brings what stood on next and nothing else, also where a forge rebased or updated it.

        Whoever may push there could put something beside it in the bot's name, and a forge would merge it for us.
        """
        if following is None or self.git.is_ancestor(roll, following):
            return True
        if self.git.merge_base(main, roll) is None:
            return False
        if not all(path.startswith(f"{STATE}/") for path in self.git.touched(main, roll)):
            return False
        stood = {self.git.subtree(one.sha, STATE) for one in self.git.log(following, since=[main])}
        return self.git.subtree(roll, STATE) in stood

    def state(self, commit: str) -> State:
        """Return the state as *commit* has it."""
        return self.reader.read(self.tree(commit))[0]

    def tree(self, commit: str) -> Mapping[str, str]:
        """Return path to blob hash of what *commit* has below `state/`."""
        if commit not in self._trees:
            self._trees[commit] = self.git.tree(commit, f"{STATE}/")
        return self._trees[commit]

    def _heads(self) -> dict[str, str]:
        prefix = self.git.branch_ref("")
        return {name.removeprefix(prefix): sha for name, sha in self.git.refs(prefix).items()}

    def _histories(self, main: str, following: str, services: Sequence[ServiceId]) -> Mapping[ServiceId, CurrHistory]:
        """Return what was curr on main of *services*, where commits that next does not have yet changed it."""
        if not services:
            return {}
        fresh = set(self.git.first_parents(main, since=following, paths=[STATE]))
        if not fresh:
            return {}
        paths = {slots_path(service): service for service in services}
        changes: dict[ServiceId, list[PathChange]] = {}
        for change in self.git.first_parent_changes(main, list(paths)):
            changes.setdefault(paths[change.path], []).append(change)
        contents = self.git.blobs({one.blob for found in changes.values() for one in found if one.blob})
        histories = {service: _history(rows, fresh, contents) for service, rows in changes.items()}
        return {**histories, **self._ahead(main, following, histories)}

    def _ahead(
        self, main: str, following: str, histories: Mapping[ServiceId, CurrHistory]
    ) -> Mapping[ServiceId, CurrHistory]:
        """Return those of *histories* whose curr on main never stood on next, marked so."""
        own = {slots_path(service): service for service, history in histories.items() if not history.taken_back()}
        if not own or self.git.is_ancestor(main, following):
            return {}
        stood = self.git.changes(following, list(own))
        contents = self.git.blobs({one.blob for one in stood if one.blob})
        known = {(own[one.path], _curr(one, contents)) for one in stood}
        return {
            service: replace(histories[service], is_ahead=True)
            for service in own.values()
            if (service, histories[service].currs[-1]) not in known
        }


def _history(changes: Sequence[PathChange], fresh: set[str], contents: Mapping[str, bytes]) -> CurrHistory:
    since = next((place for place, change in enumerate(changes) if change.commit in fresh), len(changes))
    return CurrHistory(tuple(_curr(change, contents) for change in changes), since)


def _curr(change: PathChange, contents: Mapping[str, bytes]) -> GenerationId | None:
    if change.blob is None:
        return None
    try:
        return read_slots(contents[change.blob], change.path).curr
    except StateError:
        # A broken file of the past names nothing; today's files are read strictly elsewhere.
        return None
