"""The shape of the code, held: who may import whom, what stays pure, what a start loads.

model <- inventory, state, ledger, observe, dane <- rules, plan <- steps <- verbs <- cli
adapters, forge, ci, report -> model and ports
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

STAGES = frozenset({"issue", "propose", "publish", "roll", "deploy"})
VALUES = frozenset({"errors", "model"})
FACTS = VALUES | {"inventory", "state", "ledger", "observe", "dane"}
DECISIONS = FACTS | {"plan", "rules"}
MACHINERY = DECISIONS | {"steps", "ports", "adapters", "forge", "ci", "report"}

MAY_IMPORT: dict[str, frozenset[str]] = {
    "errors": frozenset(),
    "model": VALUES,
    "dane": VALUES,
    "inventory": VALUES,
    "ledger": VALUES | {"state"},  # the canonical YAML of both
    "state": VALUES | {"ledger", "inventory", "observe", "adapters"},  # a state is a git tree of certificates
    "observe": VALUES | {"dane", "inventory"},  # which hosts are to show a service
    "plan": FACTS,
    "rules": DECISIONS,
    "ports": DECISIONS | {"ports"},  # every stage that proposes names the port of `propose`
    "steps": DECISIONS | {"ports"},
    "adapters": VALUES | {"dane", "observe", "state", "ports"},  # `stored` is the repository as the stages see it
    "forge": VALUES | {"ports"},
    "ci": VALUES | {"ports"},
    "simulate": DECISIONS | {"steps", "ports"},  # the sessions of deploy are part of what is played
    "report": DECISIONS | {"doctor"},
    "init": MACHINERY | {"sslops"},  # the release that a new repository pins
    "doctor": MACHINERY,
    "demo": MACHINERY | {"init", "cli"},  # it types commands, as a person would
    "verbs": MACHINERY | {"init", "doctor", "demo", "simulate", "wiring"},
    "wiring": MACHINERY | {"simulate", "verbs"},
    "cli": VALUES | {"verbs", "report", "adapters", "ci", "sslops"},
    "__main__": frozenset({"cli"}),
    "sslops": frozenset(),
}
"""What each kind of module may import beside its own package."""

PURE_LIBRARIES = frozenset(
    {
        "__future__",
        "bisect",
        "collections",
        "dataclasses",
        "datetime",
        "difflib",
        "enum",
        "fractions",
        "functools",
        "hashlib",
    }
    | {"ipaddress", "itertools", "json", "math", "operator", "re", "string", "textwrap", "typing", "unicodedata"}
)
"""What a decision may be made with: nothing that reads, writes, waits or throws dice."""

CLOCKS = frozenset({"now", "utcnow", "today", "time", "time_ns"})
CLOCK_OWNERS = frozenset({"datetime", "date", "time", "dt"})
MAY_READ_THE_CLOCK = frozenset({"cli", "verbs.session", "adapters.clock"})
HEAVY = frozenset({"acme", "requests", "git", "dns", "jinja2"})


@dataclass(frozen=True, slots=True)
class Module:
    """One module: dotted name below `sslops`, its tree, and its imports of sslops (at run time, or for types only)."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def kind(self) -> str:
        """The row of MAY_IMPORT it belongs to; in a stage, what the rules stand on are rules, the rest are steps."""
        first, _, rest = self.name.partition(".")
        if first not in STAGES:
            return first
        if rest in {"rules", "ports", "steps"}:
            return rest
        rules = modules().get(f"{first}.rules")
        return "rules" if rules is not None and self.name in reached(rules.name) else "steps"

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


def is_pure(module: Module) -> bool:
    """Whether it only decides: values and `now` in, values out."""
    return module.kind in {"model", "dane", "plan", "rules", "simulate"}


def test_every_module_has_its_place() -> None:
    """A new package gets a row in MAY_IMPORT, and with it a place in the order."""
    assert set() == {module.kind for module in modules().values()} - MAY_IMPORT.keys()


def test_imports_follow_the_arrows() -> None:
    """No module imports one that stands above it."""
    against = [
        f"{module.name} -> {target.name}"
        for module in modules().values()
        for name in module.imports()
        if (target := own(name)) is not None
        and target.name.partition(".")[0] != module.name.partition(".")[0]
        and target.kind not in MAY_IMPORT[module.kind]
    ]

    assert [] == sorted(set(against))


def test_inside_a_stage_only_steps_know_the_steps() -> None:
    """Decide, then do: what decides, and whom it is done with, never calls what does it."""
    against = [
        f"{module.name} -> {target.name}"
        for module in modules().values()
        for name in module.imports()
        if module.kind in {"rules", "ports"} and (target := own(name)) is not None and target.kind == "steps"
    ]

    assert [] == sorted(set(against))


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
