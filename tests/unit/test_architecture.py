"""The shape of the code, held: arrows point downward, there is no circle, decisions stay pure, a start loads little.

cli -> app -> { issue publish roll deploy, report, simulate, doctor, init } -> { dane pki acme probe proposals }
-> { repo secrets inventory } -> { system ci } -> model
"""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.world.ops import PROJECT, OpsRepository, bare_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOURCE = PROJECT / "sslops"

FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"sslops", "errors"}),
    frozenset({"model"}),
    frozenset({"system", "ci"}),
    frozenset({"repo", "secrets", "inventory"}),
    frozenset({"dane", "pki", "acme", "probe", "proposals"}),
    frozenset(
        {
            "issue",
            "publish",
            "roll",
            "deploy",
            "prune",
            "revoke",
            "rekey",
            "notify",
            "report",
            "simulate",
            "migrate",
            "doctor",
            "init",
        }
    ),
    frozenset({"app"}),
    frozenset({"demo"}),
    frozenset({"cli"}),
    frozenset({"__main__"}),
)
"""The rooms, lowest first. A module imports from its own floor or one below, and rooms of one floor form no circle."""

PURE_ROOMS = frozenset({"model", "dane"})
STAGES = frozenset({"issue", "publish", "roll", "deploy", "prune", "revoke"})

PURE_LIBRARIES = frozenset(
    {
        "__future__",
        "bisect",
        "collections",
        "contextlib",
        "dataclasses",
        "datetime",
        "difflib",
        "enum",
        "fractions",
        "functools",
        "hashlib",
    }
    | {
        "ipaddress",
        "itertools",
        "json",
        "math",
        "operator",
        "re",
        "string",
        "textwrap",
        "typing",
        "unicodedata",
        "weakref",
    }
)
"""What a decision may be made with: nothing that reads, writes, waits or throws dice."""

CLOCKS = frozenset({"now", "utcnow", "today", "time", "time_ns"})
CLOCK_OWNERS = frozenset({"datetime", "date", "time", "dt"})
MAY_READ_THE_CLOCK = frozenset({"cli.main", "app.session", "system.clock"})
HEAVY = frozenset({"acme", "requests", "git", "dns", "jinja2"})


@dataclass(frozen=True, slots=True)
class Module:
    """One module: dotted name below `sslops`, its tree, and its imports of sslops (at run time, or for types only)."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def room(self) -> str:
        """The package it belongs to, or its own name at the top."""
        return self.name.partition(".")[0]

    def imports(self, *, at_run_time: bool = False) -> Iterator[str]:
        """Yield the dotted names it imports; *at_run_time* leaves out those below `if TYPE_CHECKING`."""
        skipped = {id(node) for node in _type_checking_nodes(self.tree)} if at_run_time else set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import) and id(node) not in skipped:
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and id(node) not in skipped:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _type_checking_nodes(tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for statement in node.body:
                yield from ast.walk(statement)


@cache
def modules() -> dict[str, Module]:
    """Return every module of the package by its name below `sslops`."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        name = ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix("__init__").rstrip(".")
        found[name or "sslops"] = Module(name or "sslops", path, ast.parse(path.read_text()))
    return found


def own(imported: str) -> Module | None:
    """Return the module of sslops that a dotted import name means; null for other libraries."""
    if imported.partition(".")[0] != "sslops":
        return None
    words = imported.split(".")[1:]
    candidates = (".".join(words[:length]) for length in range(len(words), 0, -1))
    return next((modules()[name] for name in candidates if name in modules()), modules()["sslops"])


@cache
def reached(name: str) -> frozenset[str]:
    """Return every module of sslops that importing the module *name* loads, itself included."""
    seen: set[str] = set()
    waiting = [modules()[name]]
    while waiting:
        here = waiting.pop()
        if here.name not in seen:
            seen.add(here.name)
            waiting += [found for imported in here.imports(at_run_time=True) if (found := own(imported))]
    return frozenset(seen)


def floor(room: str) -> int:
    """Return how high *room* stands; a new package gets a place in FLOORS."""
    return next(height for height, rooms in enumerate(FLOORS) if room in rooms)


def arrows() -> dict[str, set[str]]:
    """Return for each module the modules of sslops that it imports, for types too."""
    found = {
        module.name: {target.name for name in module.imports() if (target := own(name)) is not None}
        for module in modules().values()
    }
    return {name: targets - {name} for name, targets in found.items()}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return every set of nodes that reach each other."""
    reach = {name: _reachable(graph, name) for name in graph}
    found = {frozenset(other for other in reach[name] if name in reach.get(other, set())) for name in graph}
    return sorted(sorted(circle) for circle in found if len(circle) > 1)


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for target in graph.get(waiting.pop(), set()):
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    return seen


def is_pure(module: Module) -> bool:
    """Whether it only decides: values and `now` in, values out."""
    return module.room in PURE_ROOMS or (module.room in STAGES and module.name.endswith(".rules"))


def test_every_room_has_its_floor() -> None:
    """A new package gets a place in FLOORS, and with it in the order."""
    assert set() == {module.room for module in modules().values()} - frozenset().union(*FLOORS)


def test_arrows_point_downward() -> None:
    """No module imports one that stands above it."""
    against = [
        f"{name} -> {target}"
        for name, targets in arrows().items()
        for target in targets
        if floor(target.partition(".")[0]) > floor(name.partition(".")[0])
    ]

    assert [] == sorted(against)


def test_no_modules_stand_in_a_circle() -> None:
    """What a module needs never needs that module."""
    assert [] == circles(arrows())


def test_no_rooms_stand_in_a_circle() -> None:
    """What a package needs never needs that package."""
    rooms: dict[str, set[str]] = {}
    for name, targets in arrows().items():
        room = name.partition(".")[0]
        rooms.setdefault(room, set()).update({target.partition(".")[0] for target in targets} - {room})

    assert [] == circles(rooms)


def test_inside_a_stage_only_steps_know_the_steps() -> None:
    """Decide, then do: what decides, and whom it is done with, never calls what does it."""
    against = [
        f"{name} -> {target}"
        for name, targets in arrows().items()
        for target in targets
        if name.endswith((".rules", ".ports")) and target.endswith("steps")
    ]

    assert [] == sorted(against)


def test_decisions_are_pure() -> None:
    """A pure module loads pure modules and harmless libraries only, however far one follows its imports."""
    impure = [
        f"{module.name} -> {reached_name} -> {library}"
        for module in modules().values()
        if is_pure(module)
        for reached_name in reached(module.name)
        for name in modules()[reached_name].imports(at_run_time=True)
        if (library := name.partition(".")[0]) not in PURE_LIBRARIES | {"sslops"}
    ]

    assert [] == sorted(impure)


def test_the_clock_is_read_in_one_place() -> None:
    """The moment enters at the command line and is handed on."""
    readers = [
        f"{module.name}:{node.lineno}"
        for module in modules().values()
        if module.name not in MAY_READ_THE_CLOCK
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and node.attr in CLOCKS and _ends_in_a_clock(node.value)
    ]

    assert [] == readers


def _ends_in_a_clock(node: ast.expr) -> bool:
    last = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return last in CLOCK_OWNERS


@pytest.fixture
def repository(world_folder: Path) -> OpsRepository:
    """Return an ops repository with the example inventory."""
    example = PROJECT / "inventory"
    files = {str(path.relative_to(PROJECT)): path.read_text() for path in example.rglob("*") if path.is_file()}
    return OpsRepository(world_folder, files, has_remote=False)


@pytest.mark.parametrize("words", [("--help",), ("status",)])
def test_a_quick_verb_loads_nothing_heavy(repository: OpsRepository, words: tuple[str, ...]) -> None:
    """What a person types often, and CI runs often, starts fast."""
    command = [sys.executable, "-X", "importtime", "-m", "sslops", "-C", str(repository.folder), *words]
    environment = repository.environment | bare_environment()
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=60)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}

    assert done.returncode == 0, done.stderr[-2000:]
    assert "sslops" in loaded
    assert set() == loaded & HEAVY
