"""The CI files: those at the top of this project, sound by the forges' own schemas, and without a finding of zizmor."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sslops.ci.secrets import ROWS
from sslops.ci.shipped import PROGRAM, files
from sslops.model.forges import Forge
from tests.world.ops import PROJECT

VENV = Path(sys.executable).parent
OWN = {
    ".ci/own.gitlab-ci.yml",
    ".ci/requirements.txt",
    ".ci/run",
    ".forgejo/workflows/test.yml",
    ".github/workflows/audit.yml",
    ".github/workflows/release.yml",
    ".github/workflows/test.yml",
    ".github/workflows/verb.yml",
}
"""This project's own, beside what it ships."""
WORKFLOWS = sorted(
    str(path.relative_to(PROJECT)) for path in PROJECT.glob(".*/workflows/*.yml") if path.is_relative_to(PROJECT)
)
ENGINE = ("renew", "publish", "roll", "deploy")
ACTIONS = tuple(forge for forge in Forge if forge is not Forge.GITLAB)


def check(*words: str | Path, text: str | None = None) -> str:
    """Run a linter and return what it said; AssertionError when it complains."""
    done = subprocess.run(words, cwd=PROJECT, input=text, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stdout + done.stderr

    return done.stdout


def job(workflow: str) -> dict[str, object]:
    """Return the only job of a workflow that holds secrets."""
    (found,) = yaml.safe_load((PROJECT / workflow).read_text())["jobs"].values()
    assert isinstance(found, dict)
    return found


def test_what_init_ships_is_what_this_project_has_at_its_top() -> None:
    """Byte for byte, and there is nothing else beside the project's own."""
    shipped = {name: content for forge in Forge for name, content in files(forge).items()}
    folders = (".ci", *(f".{forge}" for forge in ACTIONS))
    top = {
        str(path.relative_to(PROJECT))
        for folder in folders
        for path in (PROJECT / folder).rglob("*")
        if path.is_file() and "venv" not in path.parts
    }

    assert shipped.keys() | OWN == top | {".gitlab-ci.yml"}
    assert shipped == {name: (PROJECT / name).read_bytes() for name in shipped}


def test_the_program_can_be_run() -> None:
    """Every job calls it."""
    assert (PROJECT / PROGRAM).stat().st_mode & 0o111 == 0o111


def test_zizmor_finds_nothing() -> None:
    """The strictest persona: no injection, no standing credentials, no action without a hash, no secret in the open."""
    check(VENV / "zizmor", "--offline", "--persona=auditor", "--no-progress", *WORKFLOWS)


def test_the_workflows_fit_the_schema() -> None:
    """GitHub's, which the others follow."""
    check(VENV / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)


COMPONENTS = ("templates/check.yml", "templates/verb.yml")


@pytest.mark.parametrize("name", [".gitlab-ci.yml", ".ci/own.gitlab-ci.yml", *COMPONENTS])
def test_the_gitlab_files_fit_the_schema(name: str, tmp_path: Path) -> None:
    """GitLab's; the header with the form's inputs is a document of its own."""
    for number, document in enumerate((PROJECT / name).read_text().split("\n---\n")):
        (tmp_path / f"{number}.yml").write_text(document)
        check(VENV / "check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", tmp_path / f"{number}.yml")


@pytest.mark.parametrize("forge", ACTIONS)
@pytest.mark.parametrize("verb", ENGINE)
def test_a_job_holds_the_secrets_of_its_row_and_no_others(forge: Forge, verb: str) -> None:
    """What the table says, the workflow has; and no step sees any but the verb's own, and that of prune after roll."""
    steps = job(f".{forge}/workflows/sslops-{verb}.yml")["steps"]
    assert isinstance(steps, list)
    own = [step for step in steps if "env" in step]
    held = [{name: value for name, value in step["env"].items() if "secrets." in value} for step in own]
    wanted = {row.name: f"${{{{ secrets.{row.name_on(forge, verb)} }}}}" for row in ROWS[verb]}
    verbs = (verb, "prune") if verb == "roll" else (verb,)

    assert [wanted] * len(verbs) == held
    assert [f".ci/sslops {each} --apply" for each in verbs] == [step["run"].partition(" --json")[0] for step in own]


@pytest.mark.parametrize("forge", ACTIONS)
def test_what_a_merge_request_starts_holds_at_most_a_token_that_reads(forge: Forge) -> None:
    """check has nothing, plan the job's own token, to comment, and what reads a private DNS repository."""
    jobs = yaml.safe_load((PROJECT / f".{forge}/workflows/sslops-check.yml").read_text())["jobs"]
    (row,) = ROWS["plan"]

    assert "secrets." not in json.dumps(jobs["check"])
    assert {
        "GITHUB_TOKEN": "${{ github.token }}",
        row.name: f"${{{{ secrets.{row.name_on(forge, 'plan')} }}}}",
    } == jobs["plan"]["steps"][-1]["env"]
    assert {"contents": "read", "pull-requests": "write"} == jobs["plan"]["permissions"]


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_workflow_is_short_and_careful(workflow: str) -> None:
    """No right but to read (in plan to comment, in pages to publish), a time limit, one at a time, a command a step."""
    text = (PROJECT / workflow).read_text()
    document = yaml.safe_load(text)

    assert len(text.splitlines()) <= 50
    assert {} == document["permissions"]
    assert document["concurrency"]["group"]
    for name, each in document["jobs"].items():
        assert each["timeout-minutes"] <= 60
        further = {
            "plan": {"pull-requests"},
            "pages": {"pages", "id-token"},
            "release": {"id-token", "attestations"},
        }.get(name, set())
        contents = {"contents": "write" if name == "release" else "read"}
        assert contents == {key: value for key, value in each["permissions"].items() if key not in further}
        assert all(
            "\n" not in step.get("run", "").strip() and "${{" not in step.get("run", "") for step in each["steps"]
        )
    for schedule in (document.get(True) or {}).get("schedule", ()):  # YAML 1.1 takes `on` for a boolean
        assert schedule["cron"].split()[0] not in {"0", "*", "00"}


def test_the_fleet_of_the_docs_is_as_sound(tmp_path: Path) -> None:
    """What docs/ci-github.md and docs/ci-gitlab.md show for many hosts passes what the shipped files pass."""
    for forge, schema in (("github", "vendor.github-workflows"), ("gitlab", "vendor.gitlab-ci")):
        (shown,) = re.findall(
            r"^```yaml\n(.*?)^```$", (PROJECT / f"docs/ci-{forge}.md").read_text(), re.DOTALL | re.MULTILINE
        )
        (tmp_path / f"{forge}.yml").write_text(shown)
        check(VENV / "check-jsonschema", "--builtin-schema", schema, tmp_path / f"{forge}.yml")
    check(VENV / "zizmor", "--offline", "--persona=auditor", "--no-progress", tmp_path / "github.yml")
