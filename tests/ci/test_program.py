"""`.ci/sslops`, which every job calls: what it installs sees no secret, what it runs does."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from sslops.ci.secrets import ROWS
from sslops.ci.shipped import PROGRAM
from tests.world.ops import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

SECRETS = {row.name for rows in ROWS.values() for row in rows}
PYTHON = """\
#!/bin/sh
# Makes a "virtual environment" whose programs write down what they are told.
mkdir -p "$3/bin"
for name in pip sslops; do
    printf '#!/bin/sh\\nenv >>{folder}/%s.env\\necho "$0 $*"\\n' "$name" >"$3/bin/$name"
    chmod +x "$3/bin/$name"
done
env >{folder}/python.env
"""


def test_what_is_installed_sees_no_secret(tmp_path: Path) -> None:
    """Each secret of each row reaches the verb, and neither Python nor pip before it; it is installed once."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").write_text(PYTHON.format(folder=tmp_path))
    (tmp_path / "bin/python3").chmod(0o755)
    (tmp_path / ".ci").mkdir()
    shutil.copy(PROJECT / PROGRAM, tmp_path / PROGRAM)
    given = dict.fromkeys(SECRETS, "hunter2") | {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    said = [
        subprocess.run([tmp_path / PROGRAM, "status"], env=given, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]

    assert "hunter2" not in (tmp_path / "python.env").read_text() + (tmp_path / "pip.env").read_text()
    assert 2 * len(SECRETS) == (tmp_path / "sslops.env").read_text().count("hunter2")
    assert f"{tmp_path}/.ci/venv/bin/sslops status\n" == said[1]
