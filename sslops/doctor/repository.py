"""The ops repository: is its inventory sound, who commits, are commits signed, and does the remote answer?"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sslops.doctor.findings import ALL, Finding, Health
from sslops.doctor.forges import credentials
from sslops.errors import GitError, SslopsError
from sslops.proposals.forges.tokens import Role
from sslops.repo.git import Git
from sslops.repo.git_process import GitProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sslops.doctor.findings import Patient


_CHANGING = ("renew", "publish", "roll", "deploy", "run")
_CLOCK_SKEW = timedelta(minutes=5)


def repository(patient: Patient) -> Iterator[Finding]:
    """Look at the repository from the outside in."""
    if patient.folder is None:
        fix = "sslops init DIR, or sslops -C DIR doctor"
        yield Finding("repository", Health.NOTE, "no ops repository here: only the machine was examined", fix=fix)
        return
    if patient.complaint is not None:
        what = f"the inventory is not sound: {patient.complaint.what}"
        yield Finding("inventory", Health.MISSING, what, ALL, "sslops check")
    else:
        yield Finding("inventory", Health.OK, "the inventory is sound", ALL)
    try:
        git = Git.discover(patient.folder, environ=patient.environ)
    except SslopsError as error:
        yield Finding("repository", Health.MISSING, error.what, ALL, "git init, or clone it")
        return
    yield _author(git)
    yield _signing(patient.folder, git, patient)
    yield _remote(git, patient)
    yield _clock(patient.folder, patient)


def _author(git: Git) -> Finding:
    name, email = git.config("user.name"), git.config("user.email")
    if name and email:
        return Finding("author", Health.OK, f"a person here is {name} <{email}>; the bot commits", _CHANGING)
    return Finding("author", Health.OK, "git knows no person here: the bot is author too", _CHANGING)


def _signing(folder: Path, git: Git, patient: Patient) -> Finding:
    """Sign an object for real, in a place that is thrown away."""
    if not (git.config("user.signingkey") or git.config("commit.gpgsign")):
        return Finding("signing", Health.OK, "commits are not signed", _CHANGING)
    process = GitProcess(folder, patient.environ)
    try:
        objects = process.read("rev-parse", "--path-format=absolute", "--git-path", "objects").text
        with tempfile.TemporaryDirectory(prefix="sslops-") as draft:
            extra = {"GIT_OBJECT_DIRECTORY": draft, "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects}
            extra |= {f"GIT_{who}_{what}": "sslops" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
            tree = process.write("write-tree", extra=extra | {"GIT_INDEX_FILE": f"{draft}/index"}).text
            process.write("commit-tree", "-S", "-m", "signed for the doctor", tree, extra=extra)
    except GitError as error:
        what = f"commits cannot be signed: {error.what}"
        return Finding("signing", Health.MISSING, what, _CHANGING, "git config user.signingkey, and load the key")
    return Finding("signing", Health.OK, "commits are signed, and the key works", _CHANGING)


def _remote(git: Git, patient: Patient) -> Finding:
    if git.remote is None:
        return Finding("remote", Health.OK, "no remote: the local branches are the truth", _CHANGING)
    try:
        git.showing(*credentials(Role.OPS, patient)).remote_heads([])
    except GitError as error:
        return Finding("remote", Health.MISSING, error.what, _CHANGING, f"git ls-remote {git.remote}")
    return Finding("remote", Health.OK, f"'{git.remote}' answers", _CHANGING)


def _clock(folder: Path, patient: Patient) -> Finding:
    """Compare the clock with the newest commit: nobody else here tells the time."""
    newest = ("for-each-ref", "--count=1", "--sort=-committerdate", "--format=%(committerdate:unix)")
    found = GitProcess(folder, patient.environ).read(*newest).text
    committed_at = datetime.fromtimestamp(int(found), UTC) if found.isdigit() else patient.now
    if committed_at - patient.now > _CLOCK_SKEW:
        what = f"the newest commit is from {committed_at:%Y-%m-%d %H:%M} UTC, later than this machine's clock"
        return Finding("clock", Health.MISSING, what, _CHANGING, "timedatectl set-ntp true")
    return Finding("clock", Health.OK, f"{patient.now:%Y-%m-%d %H:%M} UTC, not before any commit", _CHANGING)
