"""The inventory of a working tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sslops.errors import InventoryError
from sslops.inventory.files import read_folder

if TYPE_CHECKING:
    from pathlib import Path


def test_files_are_named_from_the_top(tmp_path: Path) -> None:
    """Hidden ones are left out."""
    (tmp_path / "inventory" / "example.com").mkdir(parents=True)
    (tmp_path / "inventory" / ".schema").mkdir()
    for name in ("sslops.yaml", "example.com/web.yaml", ".schema/cas.json", "example.com/.web.yaml.swp"):
        (tmp_path / "inventory" / name).write_bytes(name.encode())

    assert {
        "inventory/sslops.yaml": b"sslops.yaml",
        "inventory/example.com/web.yaml": b"example.com/web.yaml",
    } == read_folder(tmp_path)


def test_a_folder_without_inventory_is_an_error_with_a_hint(tmp_path: Path) -> None:
    """The hint says how to make one."""
    with pytest.raises(InventoryError) as caught:
        read_folder(tmp_path)

    assert caught.value.hint is not None
    assert "sslops init" in caught.value.hint


@pytest.mark.parametrize("target", ["/etc/hostname", "../secret.yaml", ".", "other.yaml"])
def test_a_link_in_the_inventory_is_refused(tmp_path: Path, target: str) -> None:
    """A commit does not carry what it shows, and a merge request's could show a file of the runner."""
    (tmp_path / "inventory").mkdir()
    (tmp_path / "secret.yaml").write_text("x: 1\n")
    (tmp_path / "inventory" / "sslops.yaml").symlink_to(target)

    with pytest.raises(InventoryError, match=r"^'inventory/sslops.yaml' is a link$"):
        read_folder(tmp_path)


def test_the_inventory_itself_is_no_link(tmp_path: Path) -> None:
    """It would show whole folders of the runner."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "inventory").symlink_to("elsewhere")

    with pytest.raises(InventoryError, match=r"^'inventory' is a link$"):
        read_folder(tmp_path)
