"""How the demo speaks: headings, commands with their output, and claims that are checked as they are made."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass
class Telling:
    """What was written so far; *show* takes a line, *is_coloured* says whether it may carry colours."""

    show: Callable[[str], None]
    is_coloured: bool = False
    failed: list[str] = field(default_factory=list)

    def chapter(self, title: str) -> None:
        """Begin a new part."""
        self.show(f"\n{self._styled(title, bold=True, underline=True)}\n")

    def say(self, text: str) -> None:
        """Say something to the person who watches."""
        self.show(f"{text}\n")

    def command(self, words: Sequence[str], output: str) -> None:
        """Show a command as it could be typed, and what came of it."""
        self.show(self._styled(f"$ {shlex.join(words)}", bold=True))
        self.show("".join(f"    {line}\n" if line else "\n" for line in output.rstrip().splitlines()))

    def claim(self, sentence: str, *, holds: bool) -> None:
        """State a fact and whether it holds; one that does not makes the demo fail."""
        self.show(self._styled(f"{'ok    ' if holds else 'BROKEN'}  {sentence}", fg="green" if holds else "red") + "\n")
        if not holds:
            self.failed.append(sentence)

    def _styled(self, text: str, **style: bool | str) -> str:
        return click.style(text, **style) if self.is_coloured else text  # type: ignore[arg-type]
