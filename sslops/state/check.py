"""The whole check of one checkout: its `state/`, against itself, the inventory and main."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.adapters.git import Git
from sslops.adapters.sops_rules import CONFIG_NAME
from sslops.state.invariants import changed_issued, faults, outside_state
from sslops.state.paths import STATE
from sslops.state.snapshot import ROLL_BRANCH

if TYPE_CHECKING:
    from pathlib import Path

    from sslops.errors import StateError
    from sslops.model.inventory import Inventory


def state_faults(folder: Path, inventory: Inventory) -> tuple[StateError, ...]:
    """Return what is wrong with the checkout at *folder*, the top of an ops repository; nothing is fetched.

    What main has issued must be unchanged, and a checkout of the roll branch may differ from main below `state/` only.
    """
    files = read_state(folder)
    found = faults(files, inventory)
    git = Git.discover(folder)
    main = git.branch(inventory.repo.branch)
    if main is None:
        return found
    found += changed_issued(git.files(main, f"{STATE}/"), files)
    if git.head_branch() == ROLL_BRANCH:
        found += outside_state(git.touched(main, "HEAD"))
    return found


def read_state(folder: Path) -> dict[str, bytes]:
    """Return path to content of all that lies below `state/` in a work tree, and of `.sops.yaml`."""
    top = folder / STATE
    paths = [*([] if top.is_symlink() else sorted(top.rglob("*"))), folder / CONFIG_NAME]
    # A link could lead out of the repository; read as no file, it is missed and so reported.
    plain = [path for path in paths if path.is_file() and not path.is_symlink()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in plain}
