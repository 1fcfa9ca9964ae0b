"""`.ci/sslops`, which every job calls: what it installs sees no secret and is what was pinned."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from sslops.ci.secrets import ROWS
from sslops.ci.shipped import PROGRAM, REQUIREMENTS
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


@pytest.mark.soak
def test_a_file_with_hashes_installs_what_was_meant_and_nothing_else(tmp_path: Path) -> None:
    """pip itself asks for the hash of everything as soon as one is there; a failed try spoils no later one."""
    wheel = tiny_wheel(tmp_path)
    (tmp_path / ".ci").mkdir()
    shutil.copy(PROJECT / PROGRAM, tmp_path / PROGRAM)
    environment = {"PATH": f"{sys.base_prefix}/bin:/usr/bin:/bin", "HOME": str(tmp_path), "PIP_NO_INDEX": "1"}
    ended = []
    for digest in ("0" * 64, hashlib.sha256(wheel.read_bytes()).hexdigest()):
        (tmp_path / REQUIREMENTS).write_text(f"sslops @ {wheel.as_uri()} --hash=sha256:{digest}\n")
        ended.append(
            subprocess.run([tmp_path / PROGRAM, "status"], env=environment, capture_output=True, text=True, check=False)
        )

    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in ended[0].stderr
    assert ("", 1) == (ended[0].stdout, ended[0].returncode)
    assert ("it is the one\n", 0) == (ended[1].stdout, ended[1].returncode)


def tiny_wheel(folder: Path) -> Path:
    """Return a wheel named sslops whose program says one line, made below *folder*."""
    facts = "sslops-9.9.9.dist-info"
    files = {
        "tiny.py": "def main():\n    print('it is the one')\n",
        f"{facts}/METADATA": "Metadata-Version: 2.1\nName: sslops\nVersion: 9.9.9\n",
        f"{facts}/WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{facts}/entry_points.txt": "[console_scripts]\nsslops = tiny:main\n",
    }
    files[f"{facts}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{facts}/RECORD"])
    made = folder / "sslops-9.9.9-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return made
