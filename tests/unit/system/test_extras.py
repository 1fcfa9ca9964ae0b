"""What a site does not ask for is not installed, and what it asks for and lacks is named."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime

import pytest

from sslops.doctor.findings import Health, Patient
from sslops.doctor.programs import programs
from sslops.errors import SslopsError
from sslops.inventory.loading import load
from sslops.system import extras
from tests.world.ops import PROJECT

ABSENT = "sslops_absent_module"
FORGE = b"groups: []\nrepo: {forge: gitlab, project: infra/certs}\n"


def names(listed: list[str]) -> set[str]:
    """Return the names of the distributions that are asked for."""
    return {re.split(r"[<>=\\[]", each, maxsplit=1)[0] for each in listed}


def test_each_module_of_an_extra_is_in_that_extra_and_not_in_every_installation() -> None:
    """The table in the code and pyproject.toml say the same."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]

    assert {name: set(modules) for name, modules in extras.EXTRAS.items()} == {
        name: names(optional[name]) for name in extras.EXTRAS
    }
    assert set() == names(project["dependencies"]) & {each for modules in extras.EXTRAS.values() for each in modules}


@pytest.mark.parametrize("extra", extras.EXTRAS)
def test_a_part_that_is_not_installed_says_what_installs_it(monkeypatch: pytest.MonkeyPatch, extra: str) -> None:
    """In one line, with the command."""
    monkeypatch.setitem(extras.EXTRAS, extra, (ABSENT,))
    with pytest.raises(SslopsError) as caught:
        extras.require(extra)

    assert f"'{ABSENT}' is not installed" in caught.value.what
    assert f"pip install 'sslops[{extra}]'" == caught.value.hint


@pytest.mark.parametrize(("inventory", "is_missing"), [(FORGE, True), (b"groups: []\n", False)])
def test_the_doctor_names_what_the_inventory_needs(
    monkeypatch: pytest.MonkeyPatch, inventory: bytes, is_missing: bool
) -> None:
    """And nothing that it does not."""
    monkeypatch.setitem(extras.EXTRAS, "forge", (ABSENT,))
    seen = Patient({}, datetime(2026, 12, 1, tzinfo=UTC), None, load({"inventory/sslops.yaml": inventory}))
    found = [each for each in programs(seen) if each.name == "forge"]

    assert [Health.MISSING] * int(is_missing) == [each.health for each in found]
