"""The files of generations, many at once: what deploy sends and publish hashes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sslops.model.state import ServiceState, Slots, State
from sslops.repo.state_files import (
    CERT,
    CHAIN,
    CSR,
    FACTS,
    PRIVKEY,
    SLOTS,
    generation_folder,
    generation_path,
    parse_path,
    read_generation,
    read_slots,
    slots_path,
    write_generation,
    write_slots,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sslops.model.change import BulkChange, Change
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.state import Generation


@dataclass(frozen=True, slots=True)
class GenerationDocuments:
    """The files of one generation as they lie in the repository; null: there is none. The key is still encrypted."""

    csr: bytes | None
    cert: bytes | None
    chain: bytes | None
    privkey_sops: bytes | None


def read_documents(
    blobs: Callable[[Iterable[str]], Mapping[str, bytes]],
    main: Mapping[str, str],
    following: Mapping[str, str],
    on_main: State,
    wanted: Iterable[tuple[ServiceId, GenerationId]],
) -> dict[tuple[ServiceId, GenerationId], GenerationDocuments]:
    """Return the files of each of *wanted*; *main* and *following* are path to blob hash.

    What main has issued is main's, but for the key: a rekey is on next first.
    """
    keys = list(dict.fromkeys(wanted))
    hashes = {}
    for service, generation in keys:
        known = on_main[service].at(generation)
        trees = (main, following) if known is not None and known.issued is not None else (following, main)
        found = [_find(trees, service, generation, name) for name in (CSR, CERT, CHAIN)]
        hashes[service, generation] = [*found, _find((following, main), service, generation, PRIVKEY)]
    contents = blobs({sha for found in hashes.values() for sha in found if sha})
    return {
        key: GenerationDocuments(*(contents[sha] if sha else None for sha in found)) for key, found in hashes.items()
    }


def _find(trees: Sequence[Mapping[str, str]], service: ServiceId, generation: GenerationId, name: str) -> str | None:
    path = generation_path(service, generation, name)
    return next((tree[path] for tree in trees if path in tree), None)


@dataclass(frozen=True, slots=True)
class StateReader:
    """Reads `State` from trees; *blobs* returns contents by hash."""

    blobs: Callable[[Iterable[str]], Mapping[str, bytes]]
    _slots: dict[str, Slots] = field(default_factory=dict)
    _generations: dict[tuple[str, GenerationId], Generation] = field(default_factory=dict)

    def read(self, *trees: Mapping[str, str]) -> tuple[State, ...]:
        """Return the state of each of *trees* (path to blob hash); StateError where a file says what cannot be."""
        apart = {id(tree): _taken_apart(tree) for tree in trees}
        hashes = {sha for one in apart.values() for sha in one.wanted()} - self._known()
        contents = self.blobs(sorted(hashes))
        states = {key: self._state(one, contents) for key, one in apart.items()}
        return tuple(states[id(tree)] for tree in trees)

    def _known(self) -> set[str]:
        return set(self._slots) | {sha for sha, _ in self._generations}

    def _state(self, tree: _Tree, contents: Mapping[str, bytes]) -> State:
        generations: dict[ServiceId, dict[GenerationId, Generation]] = {}
        for (service, generation), (path, sha) in tree.facts.items():
            found = self._generation(sha, path, generation, contents)
            generations.setdefault(service, {})[generation] = found
        services = dict.fromkeys([*tree.slots, *generations])
        return State(
            {
                service: ServiceState(
                    self._pointers(*tree.slots[service], contents) if service in tree.slots else Slots(),
                    generations.get(service, {}),
                )
                for service in services
            },
        )

    def _pointers(self, path: str, sha: str, contents: Mapping[str, bytes]) -> Slots:
        if sha not in self._slots:
            self._slots[sha] = read_slots(contents[sha], path)
        return self._slots[sha]

    def _generation(self, sha: str, path: str, generation: GenerationId, contents: Mapping[str, bytes]) -> Generation:
        key = (sha, generation)
        if key not in self._generations:
            content = contents[sha] if sha in contents else self.blobs([sha])[sha]
            self._generations[key] = read_generation(content, path, generation)
        return self._generations[key]


@dataclass(frozen=True, slots=True)
class _Tree:
    """The paths and hashes of a tree that hold state."""

    slots: dict[ServiceId, tuple[str, str]] = field(default_factory=dict)
    facts: dict[tuple[ServiceId, GenerationId], tuple[str, str]] = field(default_factory=dict)

    def wanted(self) -> Iterable[str]:
        """The hashes to be read."""
        yield from (sha for _, sha in self.slots.values())
        yield from (sha for _, sha in self.facts.values())


def _taken_apart(tree: Mapping[str, str]) -> _Tree:
    found = _Tree()
    for path, sha in tree.items():
        if not path.endswith((SLOTS, FACTS)):
            continue
        parts = parse_path(path)
        if parts is None:
            continue
        if parts.generation is None:
            found.slots[parts.service] = (path, sha)
        elif parts.name == FACTS:
            found.facts[parts.service, parts.generation] = (path, sha)
    return found


def edits_of(change: Change) -> dict[str, bytes]:
    """Return path to content of every file that *change* writes."""
    edits = {slots_path(change.service): write_slots(change.slots)}
    for files in change.put:
        generation = files.generation
        contents = {
            FACTS: write_generation(generation),
            CSR: files.csr,
            CERT: files.cert,
            CHAIN: files.chain,
            PRIVKEY: files.privkey_sops,
        }
        for name, content in contents.items():
            if content is not None:
                edits[generation_path(change.service, generation.id, name)] = content
    return edits


def bulk_edits(change: BulkChange) -> dict[str, bytes | None]:
    """Return path to content of every file that *change* writes; null for a folder that it removes."""
    gone = {generation_folder(service, key): None for service, keys in change.dropped.items() for key in keys}
    return {**gone, **change.documents}
