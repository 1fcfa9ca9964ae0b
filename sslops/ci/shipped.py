"""The CI files that `sslops init --forge` writes: the very files that this project has at its own top.

>>> from sslops.model.forges import Forge
>>> sorted(files(Forge.GITLAB))
['.ci/sslops', '.gitlab-ci.yml']
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sslops.model.forges import Forge


PROGRAM = ".ci/sslops"
"""What every job calls; the one file among them that is run and not read."""
REQUIREMENTS = ".ci/requirements.txt"
"""Which release the jobs run; a repository's own, so not among the shipped files."""

_FOLDER = Path(__file__).with_name("files")
_COMMON = "common"


def files(forge: Forge) -> Mapping[str, bytes]:
    """Return every CI file for *forge* by its name relative to the root of an ops repository."""
    tops = [_FOLDER / _COMMON, _FOLDER / forge]
    found = ((top, path) for top in tops for path in sorted(top.rglob("*")) if path.is_file())
    return {path.relative_to(top).as_posix(): path.read_bytes() for top, path in found}
