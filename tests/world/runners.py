"""The runners of two forges, for real: `act` runs GitHub's workflows, `gitlab-ci-local` runs `.gitlab-ci.yml`.

Each job gets a fresh clone of the remote, a home of its own without any identity, and the secrets it is given: what a
forge gives it. Steps run on this machine, in no container, and find sslops on PATH.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import yaml

from tests.world.leaks import holds_key
from tests.world.ops import bare_environment
from tests.world.peers import missing
from tests.world.remotes import git

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.world.remotes import Person

TIMEOUT_SECONDS = 180
REPOSITORY = "infra/certs"
VENV = Path(sys.executable).parent

_numbers = count()


@dataclass(frozen=True, slots=True)
class Job:
    """How a job, or a pipeline of jobs, ended: whether well, and everything that was said."""

    is_good: bool
    log: str

    def succeeded(self) -> Job:
        """Return itself; AssertionError with the log unless it ended well."""
        assert self.is_good, self.log
        return self


class Runner(Protocol):
    """Runs the jobs of the ops repository behind a remote, as its forge would on an event."""

    def schedule(self, job: str, secrets: Mapping[str, str] | None = None) -> Job:
        """Run *job* as its schedule does."""
        ...

    def dispatch(self, job: str, inputs: Mapping[str, str], secrets: Mapping[str, str] | None = None) -> Job:
        """Run *job* as the form does, with what a person filled in."""
        ...

    def push(self, secrets: Mapping[str, str] | None = None) -> Job:
        """Run what a push to main starts."""
        ...

    def merge_request(self, branch: str, secrets: Mapping[str, str] | None = None, number: int = 7) -> Job:
        """Run what merge request *number* from *branch* starts; *secrets* are those of plan."""
        ...


@dataclass(frozen=True)
class Machine:
    """Where jobs of *remote* run: everything below *folder*; their clones know it as *origin* (null: its path).

    *token* is what the forge itself gives to every job, *server* where it says that it is.
    """

    remote: Path
    folder: Path
    origin: str | None = None
    token: str | None = None
    server: str = "http://127.0.0.1:9"

    def clone(self, branch: str = "main") -> Path:
        """Return a fresh clone with *branch* checked out."""
        folder = self.folder / f"job{next(_numbers)}" / "clone"
        folder.parent.mkdir(parents=True)
        git(self.remote, "clone", "--quiet", "--branch", branch, str(self.remote), str(folder))
        if self.origin is not None:
            git(folder, "remote", "set-url", "origin", self.origin)
        return folder

    def run(self, clone: Path, *words: str | Path) -> Job:
        """Run a runner in *clone*, which is gone afterwards; AssertionError when anybody prints a key."""
        home = clone.parent / "home"
        home.mkdir(exist_ok=True)
        environment = bare_environment() | {
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "PATH": f"{VENV}{os.pathsep}{os.environ['PATH']}",
        }
        done = subprocess.run(
            words,
            cwd=clone,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        assert not holds_key(done.stdout.encode()), "a private key was printed"
        shutil.rmtree(clone.parent)
        return Job(done.returncode == 0, done.stdout)


@dataclass(frozen=True)
class Act:
    """GitHub's workflows in the folder *workflows* of the repository, run by `act`."""

    machine: Machine
    workflows: str = ".github/workflows"
    is_enabled: bool = True
    """Whether the repository has the variable without which nothing starts by itself."""

    def schedule(self, job: str, secrets: Mapping[str, str] | None = None) -> Job:
        """Run the workflow of *job*."""
        return self._run("schedule", f"sslops-{job}.yml", {}, secrets)

    def dispatch(self, job: str, inputs: Mapping[str, str], secrets: Mapping[str, str] | None = None) -> Job:
        """Run the workflow of *job* with inputs; `act` takes those that are not named from the file, as GitHub does."""
        return self._run("workflow_dispatch", f"sslops-{job}.yml", {"inputs": dict(inputs)}, secrets)

    def push(self, secrets: Mapping[str, str] | None = None) -> Job:
        """Run the workflow of deploy."""
        return self._run("push", "sslops-deploy.yml", {"ref": "refs/heads/main"}, secrets)

    def merge_request(self, branch: str, secrets: Mapping[str, str] | None = None, number: int = 7) -> Job:
        """Run the workflow of check and plan."""
        event = {"pull_request": {"number": number, "head": {"ref": branch}, "base": {"ref": "main"}}}
        return self._run("pull_request", "sslops-check.yml", event, secrets, branch)

    def _run(
        self,
        event: str,
        workflow: str,
        document: Mapping[str, object],
        secrets: Mapping[str, str] | None,
        branch: str = "main",
    ) -> Job:
        clone = self.machine.clone(branch)
        given = ({"GITHUB_TOKEN": self.machine.token} if self.machine.token else {}) | dict(secrets or {})
        (clone.parent / "event.json").write_text(json.dumps(document))
        (clone.parent / "secrets").write_text("".join(_dotenv(*each) for each in given.items()))
        return self.machine.run(
            clone,
            VENV / "act",
            event,
            f"--workflows={self.workflows}/{workflow}",
            f"--eventpath={clone.parent}/event.json",
            f"--secret-file={clone.parent}/secrets",
            *(["--var=SSLOPS_ENABLED=true"] if self.is_enabled else []),
            f"--env=GITHUB_REPOSITORY={REPOSITORY}",
            f"--env=GITHUB_SERVER_URL={self.machine.server}",
            "--platform=ubuntu-latest=-self-hosted",
            "--platform=docker=-self-hosted",
            "--no-cache-server",
            "--artifact-server-addr=127.0.0.1",
        )


def _dotenv(name: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("$", "\\$")
    return f'{name}="{escaped}"\n'


@dataclass(frozen=True)
class GitlabCiLocal:
    """The pipelines of `.gitlab-ci.yml`; what a schedule runs is said by its variable."""

    machine: Machine

    def schedule(self, job: str, secrets: Mapping[str, str] | None = None) -> Job:
        """Run the pipeline of a schedule whose SSLOPS_JOB is *job*."""
        return self._run("schedule", {"SSLOPS_JOB": job, "SSLOPS_ENABLED": "true"}, {}, job, secrets)

    def dispatch(self, job: str, inputs: Mapping[str, str], secrets: Mapping[str, str] | None = None) -> Job:
        """Run the pipeline of the form; *job* is the only one that it starts."""
        return self._run("web", {}, inputs, job, secrets)

    def push(self, secrets: Mapping[str, str] | None = None) -> Job:
        """Run the pipeline of a push to main."""
        return self._run("push", {"SSLOPS_ENABLED": "true"}, {}, "deploy", secrets)

    def merge_request(self, branch: str, secrets: Mapping[str, str] | None = None, number: int = 7) -> Job:
        """Run the pipeline of a merge request."""
        told = {"CI_MERGE_REQUEST_IID": str(number), "CI_SERVER_URL": self.machine.server}
        told |= {"CI_PROJECT_PATH": REPOSITORY}
        return self._run("merge_request_event", told, {}, "plan", secrets, branch)

    def jobs(self, source: str, scheduled: str = "", *, enabled: str = "true") -> list[str]:
        """Return the jobs that the rules pick for a pipeline of *source*, of the schedule of *scheduled*."""
        told = {"CI_PIPELINE_SOURCE": source, "SSLOPS_JOB": scheduled, "SSLOPS_ENABLED": enabled}
        listed = self.machine.run(
            self.machine.clone(),
            _gitlab_ci_local(),
            "--list-csv",
            "--no-json-schema-validation",
            f"--ignore-predefined-vars={','.join(told)}",
            *(f"--variable={name}={value}" for name, value in told.items()),
        )
        lines = listed.succeeded().log.splitlines()
        return [
            line.partition(";")[0]
            for line in lines[lines.index("name;stage;when;allowFailure;environment;needs") + 1 :]
        ]

    def _run(
        self,
        source: str,
        variables: Mapping[str, str],
        inputs: Mapping[str, str],
        environment: str,
        secrets: Mapping[str, str] | None,
        branch: str = "main",
    ) -> Job:
        clone = self.machine.clone(branch)
        git(clone, "config", "core.excludesFile", str(clone.parent / "ignored"))
        (clone.parent / "ignored").write_text(".gitlab-ci-local/\n")
        (clone.parent / "inputs.yml").write_text(yaml.safe_dump(dict(inputs)))
        kept = clone.parent / "home/.gitlab-ci-local"
        kept.mkdir(parents=True)
        scoped = {
            name: {"type": "file" if "\n" in value else "variable", "values": {environment: value}}
            for name, value in (secrets or {}).items()
        }
        (kept / "variables.yml").write_text(yaml.safe_dump({"global": scoped}))
        told = {"CI_PIPELINE_SOURCE": source} | dict(variables)
        return self.machine.run(
            clone,
            _gitlab_ci_local(),
            "--force-shell-executor",
            "--shell-isolation",
            "--no-json-schema-validation",
            f"--inputs-file={clone.parent}/inputs.yml",
            f"--ignore-predefined-vars={','.join(told)}",
            *(f"--variable={name}={value}" for name, value in told.items()),
        )


def _gitlab_ci_local() -> Path:
    program = VENV / "gitlab-ci-local"
    return program if program.exists() else missing("gitlab-ci-local is not installed: tools/install-gitlab-ci-local")


def with_jobs(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the shipped CI *files* as text, for an ops repository of the world; `make_runnable` does the rest."""
    return {name: content.decode() for name, content in files.items()}


def make_runnable(person: Person) -> None:
    """Let *person* make `.ci/sslops` on main a program, as `sslops init` commits it."""
    person.push({}, "look at main")
    (person.clone / ".ci/sslops").chmod(0o755)
    git(person.clone, "commit", "--quiet", "--all", "-m", "let the jobs run")
    git(person.clone, "push", "--quiet", "origin", "HEAD:main")
