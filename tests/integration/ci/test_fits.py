"""What other people's tools take from this project: a hook, components, a workflow to call, an image, a release."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sslops.ci.secrets import ROWS
from tests.world.ops import PROJECT

VENV = Path(sys.executable).parent
HOOK = yaml.safe_load((PROJECT / ".pre-commit-hooks.yaml").read_text())[0]


def run(*words: str | Path, cwd: Path, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program and return what came of it."""
    environment = os.environ | (environ or {})
    return subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture
def ops(tmp_path: Path) -> Path:
    """Return a new ops repository."""
    made = run(VENV / "sslops", "init", "ops", cwd=tmp_path, environ={"XDG_CONFIG_HOME": str(tmp_path)})
    assert 0 == made.returncode, made.stderr
    return tmp_path / "ops"


def test_the_hook_runs_where_something_that_is_checked_changes(ops: Path) -> None:
    """And what it runs is a verb that says what is wrong."""
    tracked = run("git", "ls-files", cwd=ops).stdout.split()
    _, *words = HOOK["entry"].split()
    sound = run(VENV / "sslops", *words, cwd=ops)
    (ops / "inventory/cas.yaml").write_text("le: {ca_type: nonsense}\n")
    broken = run(VENV / "sslops", *words, cwd=ops)

    assert {path for path in tracked if path.startswith(("inventory/", "state/")) or path == ".sops.yaml"} == {
        path for path in tracked if re.search(HOOK["files"], path)
    }
    assert (0, 1) == (sound.returncode, broken.returncode)
    assert "inventory/cas.yaml:1:" in broken.stderr


@pytest.mark.soak
def test_pre_commit_itself_installs_the_hook_and_stops_a_broken_inventory(ops: Path, tmp_path: Path) -> None:
    """The real program, from PyPI, with this very project as the repository of the hook."""
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", venv, cwd=tmp_path)
    run(venv / "bin/pip", "install", "-q", "pre-commit", cwd=tmp_path)
    words = (venv / "bin/pre-commit", "try-repo", str(PROJECT), HOOK["id"], "--all-files")
    home = {"PRE_COMMIT_HOME": str(tmp_path / "cache")}
    sound = run(*words, cwd=ops, environ=home)
    (ops / "inventory/cas.yaml").write_text("le: {ca_type: nonsense}\n")
    broken = run(*words, cwd=ops, environ=home)

    assert 0 == sound.returncode, sound.stdout + sound.stderr
    assert 1 == broken.returncode, broken.stdout + broken.stderr
    assert "inventory/cas.yaml:1:" in broken.stdout


def test_the_workflow_to_call_takes_what_a_verb_may_need() -> None:
    """Every secret of every verb that changes something, and no other."""
    document = yaml.safe_load((PROJECT / ".github/workflows/verb.yml").read_text())
    call = document[True]["workflow_call"]  # YAML 1.1 takes `on` for a boolean
    wanted = {row.name for verb in ("renew", "publish", "roll", "deploy") for row in ROWS[verb]}

    assert wanted == set(call["secrets"])
    assert wanted == set(document["jobs"]["verb"]["steps"][-1]["env"]) - {"VERB"}


@pytest.mark.parametrize("name", ["check", "verb"])
def test_a_component_uses_each_of_its_inputs_and_no_other(name: str) -> None:
    """An input without a description is a riddle."""
    header, body = (PROJECT / f"templates/{name}.yml").read_text().split("\n---\n")
    inputs = yaml.safe_load(header)["spec"]["inputs"]

    assert set(inputs) == set(re.findall(r"\$\[\[ inputs\.(\w+) \]\]", body))
    assert all(each["description"] for each in inputs.values())


BUILDERS = [found for name in ("buildah", "podman", "docker") if (found := shutil.which(name))]


@pytest.mark.soak
@pytest.mark.skipif(not BUILDERS, reason="no buildah, podman or docker here")
def test_the_image_is_built() -> None:
    """By whatever builder is there."""
    done = run(BUILDERS[0], "build", "--file", "Containerfile", ".", cwd=PROJECT)

    assert 0 == done.returncode, done.stderr


def test_the_image_has_instructions_that_builders_know_and_no_rights() -> None:
    """It runs as a user of its own, on a base whose version is named."""
    text = re.sub(r"\\\n\s*", " ", (PROJECT / "Containerfile").read_text())
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]

    assert {word for word, _ in lines} <= {"FROM", "RUN", "COPY", "USER", "WORKDIR", "ENTRYPOINT", "CMD"}
    assert "sslops" == next(rest for word, rest in reversed(lines) if word == "USER")
    assert all(":" in rest.split()[0] for word, rest in lines if word == "FROM")


@pytest.mark.soak
def test_a_release_has_a_lock_that_installs_and_a_bill_of_materials(tmp_path: Path) -> None:
    """Made as the workflow makes it: every distribution of a job has a hash, and stands in the bill."""
    shutil.copytree(
        PROJECT, tmp_path / "clone", ignore=shutil.ignore_patterns(".git", ".venv", "*cache*", "dist"), symlinks=True
    )
    done = run(sys.executable, "tools/release.py", "https://example.com/v1", cwd=tmp_path / "clone")
    dist = tmp_path / "clone/dist"

    assert 0 == done.returncode, done.stdout + done.stderr
    lock = (dist / "requirements-jobs.txt").read_text()
    locked = set(re.findall(r"^([a-z0-9][\w.-]*)(?:==| @ )", lock, re.MULTILINE | re.IGNORECASE))
    bill = json.loads((dist / "sbom.cdx.json").read_text())
    listed = {each["name"].lower().replace("_", "-") for each in bill["components"]} | {"sslops"}
    assert "sslops @ https://example.com/v1/sslops-" in lock
    assert lock.count("--hash=sha256:") >= len(locked)
    assert {name.lower() for name in locked} <= listed | {"colorama"}
    assert "CycloneDX" == bill["bomFormat"]
