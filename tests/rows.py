"""Which rows of a table of tests belong to every run of the suite; the others are for `make soak`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Collection

    from _pytest.mark import ParameterSet

DIALECTS = ("gitlab", "github", "forgejo", "gitea")


def rows(names: Collection[str], always: Collection[str]) -> list[ParameterSet]:
    """Return *names* as parameters, all but *always* marked `soak`."""
    assert set(always) <= set(names), f"{always} are not all among {names}"
    return [pytest.param(name, marks=() if name in always else pytest.mark.soak) for name in names]
