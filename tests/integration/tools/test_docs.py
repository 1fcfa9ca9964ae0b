"""The generated parts of the documentation: written from the code, found stale when they are not."""

from __future__ import annotations

import re

import pytest

from sslops.cli.main import VERBS
from sslops.errors import ExitCode
from tests.world.ops import PROJECT
from tools import docs


def part(name: str) -> str:
    """Return an empty part *name* as a document has it."""
    return f"before\n\n<!-- generated: {name} -->\nstale\n<!-- end -->\n\nafter\n"


@pytest.mark.parametrize(
    "name", ["verbs", "help", "exit-codes", "schema service", "phases", "debian-packages", "sample tlsa"]
)
def test_a_part_is_written_once_and_then_stays(name: str) -> None:
    """What stands around it is left alone, and a second run changes nothing."""
    written = docs.regenerated(part(name))

    assert "stale" not in written
    assert written.startswith("before\n") and written.endswith("after\n")  # noqa: PT018  (one fact: both ends)
    assert written == docs.regenerated(written)


def test_an_indented_marker_is_an_example() -> None:
    """A document may show how parts are marked."""
    shown = "".join(f"    {line}\n" for line in part("verbs").splitlines())

    assert shown == docs.regenerated(shown)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_help_text_for_the_documentation(verb: str) -> None:
    """As `sslops VERB --help` prints it."""
    assert f"Usage: sslops {verb}" in docs.help_text(verb)


def test_every_exit_code_has_a_meaning() -> None:
    """The table is complete."""
    assert set(ExitCode) == set(docs.MEANINGS)


@pytest.mark.parametrize("name", ["weather", "help nobody"])
def test_an_unknown_part_is_an_error(name: str) -> None:
    """A typo in a document does not go by in silence."""
    with pytest.raises(SystemExit, match=name.rpartition(" ")[2]):
        docs.regenerated(part(name))


def test_every_package_that_a_test_asks_for_is_installed_by_make() -> None:
    """What `need` wants stands in the list of Debian packages; pebble is built by a tool of its own."""
    from tests.world.peers import PACKAGES

    wanted = {
        PACKAGES[program]
        for path in (PROJECT / "tests").rglob("*.py")
        for program in re.findall(r'need\("([a-z0-9-]+)"\)', path.read_text())
        if not path.name.startswith("peers")
    }

    assert set() == wanted - set((PROJECT / "tools/debian-packages.txt").read_text().split()) - {"pebble"}
