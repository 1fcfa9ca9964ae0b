"""A new ops repository: its files, and the one commit on `main` that holds them.

It is built beside its place and moved there with `.git` last, so that a folder is a repository only when it is whole.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from sslops import __version__
from sslops.ci import shipped
from sslops.errors import UsageError
from sslops.init.origin import installed_from, requirement
from sslops.inventory.files import read_folder
from sslops.inventory.loading import load
from sslops.repo.git import BOT
from sslops.repo.git_process import GitProcess
from sslops.repo.signatures import ALLOWED_SIGNERS
from sslops.system.files import writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from importlib.resources.abc import Traversable

    from sslops.init.signing import SigningKey
    from sslops.model.forges import Forge


BRANCH = "main"
_SUBJECT = "Start an ops repository for sslops"
_BODY = "An example inventory, and who can open what; `sslops check` accepts it as it is."
_IMPORTED = "An inventory imported from another tool, and who can open what; the comments in it say what was decided."
# File of the package data -> its name in the repository.
_FILES = {
    "sops.yaml": ".sops.yaml",
    "gitattributes": ".gitattributes",
    "gitignore": ".gitignore",
    "CODEOWNERS": "CODEOWNERS",
    "README.md": "README.md",
    "known_hosts": "inventory/known_hosts",
}
_WITH_RECIPIENTS = "sops.yaml"
_SETTINGS = "inventory/sslops.yaml"
# How the example names each repository's forge, and what stands there instead when there is one.
_FORGES = (
    (
        "forge: none        # none: the engine merges. With a forge a person reviews",
        "infra/certs",
    ),
    ("forge: none}", "infra/dns"),
)

NOT_PINNED = """\
# This sslops was installed from a folder, which no job can reach. Put one line here, say:
# sslops[all] @ git+https://git.example.com/tools/sslops@0123456789012345678901234567890123456789"""
"""What stands in `.ci/requirements.txt` where nobody knows a place that a job could get sslops from."""


def require_empty(folder: Path) -> None:
    """Do nothing when *folder* is not there or is an empty folder; UsageError otherwise."""
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        message = f"'{folder}' is not empty"
        raise UsageError(message, hint="name a folder that does not exist yet")


def make_repository(
    folder: Path,
    recipients: Mapping[str, str],
    environ: Mapping[str, str] | None = None,
    forge: Forge | None = None,
    signing: SigningKey | None = None,
    *,
    inventory: Mapping[str, bytes] | None = None,
    then: Callable[[Path], object] | None = None,
) -> None:
    """Make the repository at *folder*; *recipients* are those of the jobs `renew` and `deploy`.

    With a *forge* it has that forge's CI files, and an inventory whose merge requests are opened there. With *signing*
    only what that key signed counts on the engine's branches, and runs in this clone sign with it. An *inventory*
    (path to content) takes the place of the example, and *then* adds commits before anybody sees the repository.

    Raises UsageError when the folder holds anything or cannot be made, GitError when git does not commit; nothing is
    left then.
    """
    require_empty(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        made = tempfile.TemporaryDirectory(dir=folder.parent, prefix=".sslops-init-")
    with made as draft:
        _write(Path(draft), recipients, inventory)
        if forge is not None:
            _write_jobs(Path(draft), forge)
        if signing is not None:
            (Path(draft) / ALLOWED_SIGNERS).write_text(signing.allowed_signers(_bot(Path(draft))), encoding="utf-8")
        _commit(GitProcess(Path(draft), environ), signing, _BODY if inventory is None else _IMPORTED)
        if then is not None:
            then(Path(draft))
        for entry in sorted(Path(draft).iterdir(), key=lambda each: (each.name == ".git", each.name)):
            shutil.move(entry, folder / entry.name)


def sops_config(recipients: Mapping[str, str]) -> str:
    """Return the `.sops.yaml` of a new repository for the *recipients* of the jobs `renew` and `deploy`."""
    text = resources.files("sslops.init").joinpath(f"files/{_WITH_RECIPIENTS}").read_text(encoding="utf-8")
    return Template(text).substitute(recipients)


def _write(draft: Path, recipients: Mapping[str, str], inventory: Mapping[str, bytes] | None) -> None:
    example = resources.files("sslops.inventory").joinpath("example")
    if inventory is None:
        _copy(example, draft / "inventory")
    else:
        _copy(example.joinpath(".schema"), draft / "inventory/.schema")
    for path, given in (inventory or {}).items():
        (draft / path).parent.mkdir(parents=True, exist_ok=True)
        (draft / path).write_bytes(given)
    files = resources.files("sslops.init").joinpath("files")
    for name, path in _FILES.items():
        text = files.joinpath(name).read_text(encoding="utf-8")
        if not (draft / path).exists():
            (draft / path).parent.mkdir(exist_ok=True)
            content = sops_config(recipients) if name == _WITH_RECIPIENTS else text
            (draft / path).write_text(content, encoding="utf-8")


def _write_jobs(draft: Path, forge: Forge) -> None:
    for name, content in shipped.files(forge).items():
        (draft / name).parent.mkdir(parents=True, exist_ok=True)
        (draft / name).write_bytes(content)
    (draft / shipped.PROGRAM).chmod(0o755)
    pinned = resources.files("sslops.init").joinpath("files/requirements.txt").read_text(encoding="utf-8")
    line = requirement(installed_from(), __version__) or NOT_PINNED
    (draft / shipped.REQUIREMENTS).write_text(f"{pinned}{line}\n", encoding="utf-8")
    text = (draft / _SETTINGS).read_text(encoding="utf-8")
    for none, project in _FORGES:
        end = "}" if none.endswith("}") else ""
        text = text.replace(
            none, f"forge: {forge}, project: {project}{end}" if end else f"forge: {forge}\n  project: {project}"
        )
    # The jobs hold tokens, which speak https; a key for git over ssh is in no row.
    text = text.replace("git@git.example.com:infra/dns.git", "https://git.example.com/infra/dns.git")
    (draft / _SETTINGS).write_text(text, encoding="utf-8")


def _copy(source: Traversable, target: Path) -> None:
    for path, content in _walk(source, target):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _walk(source: Traversable, target: Path) -> Iterator[tuple[Path, bytes]]:
    for entry in source.iterdir():
        if entry.is_dir():
            yield from _walk(entry, target / entry.name)
        elif not entry.name.endswith((".py", ".pyc")):
            yield target / entry.name, entry.read_bytes()


def _bot(draft: Path) -> str:
    """Return the address of the bot by the inventory that was just written."""
    return load(read_folder(draft)).repo.bot_email


def _commit(git: GitProcess, signing: SigningKey | None, body: str) -> None:
    git.write("init", "--quiet", f"--initial-branch={BRANCH}")
    if signing is not None:
        git.write("config", "--local", "gpg.format", "ssh")
        git.write("config", "--local", "user.signingkey", os.fspath(signing.path))
    git.write("add", "--all")
    git.write(*_identity(git), "commit", "--quiet", "--message", _SUBJECT, "--message", body)


def _identity(git: GitProcess) -> tuple[str, ...]:
    """Return what makes the bot the committer where git does not know who a person is."""
    known = os.environ.get("GIT_COMMITTER_EMAIL") or git.read("config", "--get", "user.email", allowed=(0, 1)).text
    return () if known else ("-c", f"user.name={BOT.name}", "-c", f"user.email={BOT.email}")
