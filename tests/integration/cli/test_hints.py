"""Every command that a message names exists, with the options it is given: a hint that cannot be typed helps nobody."""

from __future__ import annotations

import ast
import importlib
import re
from typing import TYPE_CHECKING

import click

from sslops.cli.main import VERBS, module_of
from tests.world.ops import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

WORDS = r"(?: --?[a-z][a-z-]*| [^-;,`)\s]+)*"
COMMAND = re.compile(rf"(?:^|`|[;,] |\bor |\bthen |: )sslops ([a-z]+)({WORDS})")
SENTENCES = frozenset({"cannot", "goes", "makes", "shows", "talks", "writes"})
"""Words that follow the name of the program where it is spoken of and not typed."""
OPTION = re.compile(r"(?<!\S)--?[a-z][a-z-]*")


def texts() -> Iterator[tuple[str, str, bool]]:
    """Yield place, text and whether it is a hint, of every string of the package that is no docstring."""
    for path in sorted((PROJECT / "sslops").rglob("*.py")):
        tree = ast.parse(path.read_text())
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        hints = {
            id(part)
            for node in ast.walk(tree)
            if isinstance(node, ast.keyword) and node.arg == "hint"
            for part in ast.walk(node.value)
        }
        inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if id(node) in docs | inner:
                continue
            text = _text(node)
            if text is not None:
                yield f"{path.name}:{getattr(node, 'lineno', 0)}", text, id(node) in hints


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(each.value) if isinstance(each, ast.Constant) else "X" for each in node.values)
    return None


def options_of(verb: str) -> frozenset[str]:
    """Return every option that a verb takes, and those of the program."""
    command: click.Command = importlib.import_module(module_of(verb)).command
    names = {name for each in command.params if isinstance(each, click.Option) for name in each.opts}
    return frozenset({*names, "--help", "-h", "-C", "--version"})


def test_every_command_that_a_message_names_can_be_typed() -> None:
    """The verb is in the table, and each option is one of its own."""
    wrong, seen = [], set()
    for place, text, _ in texts():
        for verb, rest in COMMAND.findall(text):
            if verb in SENTENCES:
                continue
            if verb not in VERBS:
                wrong.append(f"{place}: sslops {verb}")
                continue
            seen.add(verb)
            wrong += [f"{place}: sslops {verb} {each}" for each in OPTION.findall(rest) if each not in options_of(verb)]

    assert [] == wrong
    assert seen >= {"check", "renew", "roll", "publish", "status", "doctor"}


def test_every_hint_that_begins_with_the_program_is_walked() -> None:
    """The walk finds what a person is told to type: none of the hints escapes its pattern."""
    hints = [text for _, text, is_hint in texts() if is_hint and text.startswith("sslops ")]

    assert [] == [text for text in hints if COMMAND.match(text) is None and not text.startswith("sslops -")]
    assert hints
