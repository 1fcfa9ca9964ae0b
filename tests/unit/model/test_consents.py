"""No consent is offered that no test takes at its word: the code's places against the table of the system tests."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import sslops
from sslops.model.plan import Hazard, HazardName
from tests.system.test_consents import TRIED

if TYPE_CHECKING:
    from collections.abc import Iterator

ASKED_ONLY = {
    "dane.rrset_plan:_with_forgotten name-unproven",
    "probe.survey:_is_accepted ns-unreachable",
    "probe.survey:_unsigned dnssec-bogus",
    "report.live:_unexplained tlsa-foreign",
}
"""Places that make a hazard only to ask whether it was consented to, and print none."""

PRINTED = re.compile(r"--accept ([a-z-]+)=")
PACKAGE = Path(sslops.__file__).parent


def places() -> Iterator[tuple[str, str]]:
    """Yield place (module and function) and hazard of everything that makes a hazard, or spells out a consent."""
    for path in sorted(PACKAGE.rglob("*.py")):
        tree, module = ast.parse(path.read_text()), ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        makers = {each.name: list(_made(each)) for each in _functions(tree) if _is_maker(each)}
        inside = {id(node): each.name for each in _functions(tree) for node in ast.walk(each)}
        for node in ast.walk(tree):
            function = inside.get(id(node), "")
            for hazard in _offered(node, makers):
                if function not in makers:
                    yield f"{module}:{function}", hazard


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def _is_maker(function: ast.FunctionDef) -> bool:
    """Whether it only makes hazards for others, so that those who call it are the places."""
    return isinstance(function.returns, ast.Name) and function.returns.id == "Hazard"


def _made(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Hazard":
            name = node.args[0]

            assert isinstance(name, ast.Attribute), ast.unparse(node)

            yield str(HazardName[name.attr])


def _offered(node: ast.AST, makers: dict[str, list[str]]) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from PRINTED.findall(node.value)
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        yield from makers.get(called, ())
        if called == "Hazard":
            yield from _made(ast.Expr(ast.Call(node.func, node.args, [])))


def test_every_consent_that_the_code_offers_is_tried() -> None:
    """A new one fails here until the table has a row for it; a row whose place is gone fails too."""
    offers = {f"{place} {name}" for place, name in places() if Hazard(HazardName(name), "x", "").consent}

    assert offers >= ASKED_ONLY
    assert sorted(TRIED) == sorted(offers - ASKED_ONLY)
    assert all(test.__name__.startswith("test_") for test in TRIED.values())


def test_every_hazard_is_offered_somewhere_or_can_be_accepted_by_nobody() -> None:
    """A name that `--accept` takes and nothing ever asks for would be a dead end."""
    tried = {row.rpartition(" ")[2] for row in TRIED}

    assert {str(name) for name in HazardName if Hazard(name, "x", "").consent} == tried
