"""`sslops check` and `sslops schema` as a shell runs them."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from sslops.cli.main import run
from sslops.inventory import shipped
from sslops.inventory import validation as schemas
from tests.unit.inventory.samples import SETTINGS, WEB, edited, sound
from tests.world.peers import need

if TYPE_CHECKING:
    from pathlib import Path


def repository(top: Path, files: dict[str, bytes]) -> str:
    """Write *files* below *top*, a git repository, and return it as a word for `-C`."""
    subprocess.run([need("git"), "init", "--quiet", top], check=True, timeout=30)
    for name, content in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(content)
    return str(top)


def test_check_accepts_a_sound_inventory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0, and one line that says what was examined."""
    code = run(["-C", repository(tmp_path, sound()), "check"])

    assert (0, "sound: 4 services in 2 groups, 3 servers\n", "") == (code, *capsys.readouterr())


def test_check_accepts_the_example(tmp_path: Path) -> None:
    """As `sslops init` leaves it."""
    assert 0 == run(["-C", repository(tmp_path, dict(shipped.files())), "check"])


def test_check_tells_every_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1, one block for each fault, nothing on stdout."""
    files = edited(SETTINGS, "branch: main", "brunch: main") | {WEB: b"signing_ca: nobody\nx509: {sans: [a.b]}\n"}

    assert 1 == run(["-C", repository(tmp_path, files), "check"])
    told = [
        f"sslops: error: there is no CA 'nobody'\n  at {WEB}:1:13\n  hint: CAs in inventory/cas.yaml: root, sub\n",
        f"sslops: error: unknown key 'brunch'\n  at {SETTINGS}:2:8\n  hint: did you mean 'branch'?\n",
    ]
    assert ("", "".join(told)) == capsys.readouterr()


def test_check_tells_machines_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` has file, line, column, words and hint of each fault, and the same exit code."""
    files = edited(SETTINGS, "branch: main", "brunch: main")

    assert 1 == run(["-C", repository(tmp_path, files), "check", "--json"])
    assert {
        "faults": [
            {
                "file": SETTINGS,
                "line": 2,
                "column": 8,
                "what": "unknown key 'brunch'",
                "hint": "did you mean 'branch'?",
            }
        ],
        "notes": [],
        "services": None,
    } == json.loads(capsys.readouterr().out)


@pytest.mark.key_in_clear
def test_check_looks_at_state_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A private key in clear below `state/` is a fault with its file."""
    key = "state/example.com/web/20261124T143000Z-9b1c/privkey.pem"
    files = sound() | {key: b"-----BEGIN PRIVATE KEY-----\n"}

    assert 1 == run(["-C", repository(tmp_path, files), "check"])
    assert f"  at {key}:1:1\n" in capsys.readouterr().err


def test_check_mentions_schemas_of_another_release(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are an editor's, so it is no fault."""
    files = sound() | {"inventory/.schema/cas.json": b"{}\n"}

    assert 0 == run(["-C", repository(tmp_path, files), "check"])
    assert "'inventory/.schema/cas.json' is of another release" in capsys.readouterr().err


@pytest.mark.parametrize("name", schemas.NAMES)
def test_schema_prints_one(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The one that is kept, byte for byte."""
    assert 0 == run(["schema", name])
    assert schemas.text(name) == capsys.readouterr().out


def test_schema_prints_all(capsys: pytest.CaptureFixture[str]) -> None:
    """As one JSON object by name."""
    assert 0 == run(["schema"])
    assert {name: schemas.schema(name) for name in schemas.NAMES} == json.loads(capsys.readouterr().out)


def test_schema_writes_all(tmp_path: Path) -> None:
    """Into the folder where an ops repository keeps them; the first line of each file leads there."""
    top = repository(tmp_path, dict(shipped.files()))

    assert 0 == run(["-C", top, "schema", "--write", "inventory/.schema"])
    for file in (tmp_path / "inventory").rglob("*.yaml"):
        reference = file.read_text().splitlines()[0].removeprefix("# yaml-language-server: $schema=")
        assert (file.parent / reference).resolve().is_relative_to(tmp_path / "inventory" / ".schema")
        assert (file.parent / reference).is_file()


def test_schema_does_not_write_one(capsys: pytest.CaptureFixture[str]) -> None:
    """A name and a folder do not go together."""
    assert 2 == run(["schema", "cas", "--write", "x"])
    assert "a name and --write do not go together" in capsys.readouterr().err
