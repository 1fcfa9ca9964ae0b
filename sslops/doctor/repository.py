"""The ops repository: is its inventory sound, who commits, are commits signed, and does the remote answer?"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sslops.doctor.findings import ALL, Finding, Health
from sslops.doctor.forges import credentials
from sslops.doctor.pushes import may_push
from sslops.errors import GitError, SslopsError
from sslops.proposals.forges.tokens import Role
from sslops.repo.git import Git
from sslops.repo.git_process import GitProcess
from sslops.repo.signatures import ALLOWED_SIGNERS, Signers
from sslops.repo.snapshot import LEDGER_BRANCH

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
    answer = _remote(git, patient)
    yield answer
    if git.remote_url is not None and answer.health is Health.OK:
        yield from may_push(
            (git.remote_url, LEDGER_BRANCH, "the remote"), credentials(Role.OPS, patient), patient, _CHANGING
        )
    yield _clock(patient.folder, patient)


def _author(git: Git) -> Finding:
    name, email = git.config("user.name"), git.config("user.email")
    if name and email:
        return Finding("author", Health.OK, f"a person here is {name} <{email}>; the bot commits", _CHANGING)
    return Finding("author", Health.OK, "git knows no person here: the bot is author too", _CHANGING)


def _signing(folder: Path, git: Git, patient: Patient) -> Finding:
    """Sign an object for real, in a place that is thrown away, and ask whether main lets that signature count."""
    main = None if patient.inventory is None else git.branch(patient.inventory.repo.branch)
    bot = "" if patient.inventory is None else patient.inventory.repo.bot_email
    content = git.objects([f"{main or 'HEAD'}:{ALLOWED_SIGNERS}"])[0]
    signers = None if content is None else Signers(content, bot)
    if not git.signs:
        return _unsigned(is_asked=signers is not None, has_remote=git.remote is not None)
    process = GitProcess(folder, patient.environ)
    fault = None
    try:
        objects = process.read("rev-parse", "--path-format=absolute", "--git-path", "objects").text
        with tempfile.TemporaryDirectory(prefix="sslops-") as draft:
            extra = {"GIT_OBJECT_DIRECTORY": draft, "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects}
            extra |= {f"GIT_{who}_{what}": "sslops" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
            tree = process.write("write-tree", extra=extra | {"GIT_INDEX_FILE": f"{draft}/index"}).text
            made = process.write("commit-tree", "-S", "-m", "signed for the doctor", tree, extra=extra).text
            if signers is not None:
                fault = signers.fault_of(process.write("cat-file", "commit", made, extra=extra).stdout)
    except GitError as error:
        what = f"commits cannot be signed: {error.what}"
        return Finding("signing", Health.MISSING, what, _CHANGING, "git config user.signingkey, and load the key")
    if fault is not None:
        what = f"commits are signed, and main does not let this key count, so every run would be refused: {fault}"
        return Finding("signing", Health.MISSING, what, _CHANGING, f"a line for '{bot}' in '{ALLOWED_SIGNERS}' on main")
    if signers is None and git.remote is None:
        return Finding("signing", Health.OK, "commits are signed, and the key works", _CHANGING)
    if signers is None:
        what = f"commits are signed, and nobody verifies it: main has no '{ALLOWED_SIGNERS}'. {_OPEN}"
        return Finding("signing", Health.NOTE, what, _CHANGING, _SIGNED)
    return Finding("signing", Health.OK, f"commits are signed, and the key counts by '{ALLOWED_SIGNERS}'", _CHANGING)


_OPEN = (
    "Whoever may push to 'next', 'ledger' or 'sslops/*' can act as the bot; only the forge's rules for these branches "
    "keep anybody out"
)
_SIGNED = "docs/forges.md, Signatures"


def _unsigned(*, is_asked: bool, has_remote: bool) -> Finding:
    if is_asked:
        what = f"main asks for signed commits ('{ALLOWED_SIGNERS}'), and this clone has no key to sign with"
        return Finding(
            "signing", Health.MISSING, what, _CHANGING, "SSLOPS_SIGNING_KEY in a job, else git config user.signingkey"
        )
    if not has_remote:
        return Finding("signing", Health.OK, "commits are not signed, and nobody else pushes here", _CHANGING)
    return Finding("signing", Health.NOTE, f"commits are not signed. {_OPEN}", _CHANGING, _SIGNED)


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
