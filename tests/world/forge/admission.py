"""Who may push what: the pre-receive and post-receive hooks, decided in the forge's process.

The hooks are a short script that sends what git told it to the forge and does as it is answered.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.world.forge.manners import Dialect
from tests.world.forge.people import Role
from tests.world.forge.push_options import PushOptions
from tests.world.forge.refused_pushes import Why, words
from tests.world.forge.repository import NOTHING
from tests.world.peers import need
from tests.world.remotes import git_environment, install_hook

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.world.forge.forge import Forge
    from tests.world.forge.people import User
    from tests.world.forge.project import Project
    from tests.world.forge.workings import Workings

BYSTANDER = "operator"
"""Whose a push over the file system is, a maintainer; another name may stand in the environment, as FORGE_USER."""

QUARANTINE = ("GIT_OBJECT", "GIT_ALTERNATE", "GIT_QUARANTINE")

HOOK = """\
#!{python} -IS
import json, os, socket, sys
told = {{
    "hook": {hook!r}, "secret": {secret!r}, "project": {project!r}, "changes": sys.stdin.read(),
    "environment": {{name: value for name, value in os.environ.items() if name.startswith(("GIT_", "FORGE_"))}},
}}
body = json.dumps(told).encode()
with socket.create_connection(("127.0.0.1", {port})) as line:
    line.sendall(b"POST /-/hook HTTP/1.0\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
    answer = b"".join(iter(lambda: line.recv(65536), b"")).partition(b"\\r\\n\\r\\n")[2]
said = json.loads(answer)
sys.stderr.write(said["text"])
sys.exit(0 if said["accepted"] else 1)
"""


class Admission:
    """The gate of every repository of *forge*."""

    def __init__(self, forge: Forge) -> None:
        """Guard *forge*; each project's hooks are put in place by `guard`."""
        self._forge = forge

    def guard(self, project: Project) -> None:
        """Put the hooks into a repository."""
        for hook in ("pre-receive", "post-receive"):
            told = {"hook": hook, "secret": self._forge.hook_secret, "project": project.name, "port": self._forge.port}
            script = HOOK.format(python=sys.executable, **told)
            install_hook(project.path, hook, script)

    def answer(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a hook."""
        forge = self._forge
        if told["secret"] != forge.hook_secret:
            return {"accepted": False, "text": "who are you?\n"}
        project, environment = forge.project(told["project"]), told["environment"]
        changes = [_change(line) for line in told["changes"].splitlines()]
        user = forge.user(environment.get("FORGE_USER", BYSTANDER))
        if told["hook"] == "pre-receive":
            if forge.before_push:
                forge.before_push.pop(0)()
            complaints = [self._complaint(project, user, change, environment) for change in changes]
            return {"accepted": not any(complaints), "text": "".join(complaints)}
        return {"accepted": True, "text": self._received(project, user, changes, environment)}

    def _complaint(
        self, project: Project, user: User, change: tuple[str, str, str], environment: Mapping[str, str]
    ) -> str:
        why = self._why_not(project, user, change, environment)
        branch = change[0].removeprefix("refs/heads/")
        return "" if why is None else f"{words(project.manners.dialect, why, branch)}\n"

    def _why_not(
        self, project: Project, user: User, change: tuple[str, str, str], environment: Mapping[str, str]
    ) -> Why | None:
        ref, old, new = change
        rules = project.rules_of(ref.removeprefix("refs/heads/"))
        if user.role < Role.DEVELOPER or ref.startswith(("refs/pull/", "refs/merge-requests/")):
            return Why.ROLE
        if rules is None or old == NOTHING:
            return None  # the first push makes the protected branch
        if not rules.lets_push(user.name, user.role):
            return Why.PROTECTED
        may_force = rules.may_force and project.manners.rules_may_allow_force
        if new == NOTHING or not (may_force or self._is_forward(project, old, new, environment)):
            return Why.FORCED
        is_bad = rules.signed_commits and not self.are_signed(project, f"{old}..{new}", environment)
        return Why.UNSIGNED if is_bad else None

    def _is_forward(self, project: Project, old: str, new: str, environment: Mapping[str, str]) -> bool:
        return self._git(project, environment, "merge-base", "--is-ancestor", old, new).returncode == 0

    def are_signed(self, project: Workings, commits: str, environment: Mapping[str, str] | None = None) -> bool:
        """Whether every commit of a range has a good signature of one of the repository's `allowed_signers`."""
        told = environment or {}
        listed = self._git(project, told, "rev-list", commits).stdout.split()
        signers = project.path / "allowed_signers"
        words = ("-c", f"gpg.ssh.allowedSignersFile={signers}", "verify-commit")
        return all(self._git(project, told, *words, sha).returncode == 0 for sha in listed)

    def _git(self, project: Workings, environment: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
        # What is pushed lies in quarantine until the hook says yes (git-receive-pack(1), "Quarantine environment").
        kept = {name: value for name, value in environment.items() if name.startswith(QUARANTINE)}
        return subprocess.run(
            [need("git"), "-C", project.path, *words],
            env=git_environment() | {name: _absolute(project, value) for name, value in kept.items()},
            check=False,
            capture_output=True,
            timeout=60,
            text=True,
        )

    def _received(
        self, project: Project, user: User, changes: list[tuple[str, str, str]], environment: Mapping[str, str]
    ) -> str:
        changed = self._forge.bend(project, changes)
        with self._forge.lock:
            project.pushes += [(user.name, *change) for change in changed]
            project.refs_changed(changed, user)
            if project.manners.dialect is not Dialect.GITLAB:
                return ""
            return PushOptions.read(environment).carry_out(project, user, changed)


def _change(line: str) -> tuple[str, str, str]:
    old, new, ref = line.split(" ", 2)
    return ref, old, new


def _absolute(project: Workings, value: str) -> str:
    return os.pathsep.join(str(project.path / part) for part in value.split(os.pathsep))
