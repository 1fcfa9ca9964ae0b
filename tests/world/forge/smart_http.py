"""Git over HTTP: `git http-backend` as a web server would run it, behind the forge's own check of the credentials."""

from __future__ import annotations

import base64
import binascii
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tests.world.forge.calls import Reply
from tests.world.forge.manners import Dialect
from tests.world.forge.people import Role
from tests.world.peers import need
from tests.world.remotes import git_environment

if TYPE_CHECKING:
    from email.message import Message

    from tests.world.forge.forge import Forge
    from tests.world.forge.people import Token

_GIT_PATH = re.compile(
    r"/(?P<project>.+?)(\.git)?/(?P<rest>info/refs|git-upload-pack|git-receive-pack|HEAD|objects/.*)"
)

READS = {
    Dialect.GITLAB: {"api", "read_api", "read_repository", "write_repository", "job"},
    Dialect.GITHUB: {"repo", "contents:read", "contents:write"},
    Dialect.FORGEJO: {"all", "read:repository", "write:repository"},
    Dialect.GITEA: {"all", "read:repository", "write:repository"},
}
WRITES = {
    Dialect.GITLAB: {"api", "write_repository"},
    Dialect.GITHUB: {"repo", "contents:write"},
    Dialect.FORGEJO: {"all", "write:repository"},
    Dialect.GITEA: {"all", "write:repository"},
}
"""Scopes one of which lets git read, or write."""


def is_git(path: str) -> bool:
    """Whether *path* is one that git asks for."""
    return not path.startswith("/api/") and _GIT_PATH.fullmatch(path) is not None


def answer_git(forge: Forge, method: str, path: str, query: str, headers: Message, body: bytes) -> Reply:
    """Answer one of git's requests."""
    match = _GIT_PATH.fullmatch(path)
    assert match is not None
    token = forge.people.holder(_password(headers.get("Authorization", "")))
    if token is None or token.is_expired:
        return Reply(
            401, _denied(forge.dialect), {"WWW-Authenticate": f'Basic realm="{forge.dialect.capitalize()}"'} | _TEXT
        )
    if not forge.has_project(match["project"]):
        return Reply(404, b"The project you were looking for could not be found.\n", _TEXT)
    project = forge.project(match["project"])
    is_write = "git-receive-pack" in (match["rest"], query.removeprefix("service="))
    if is_write and (not token.scopes & WRITES[forge.dialect] or token.user.role < Role.DEVELOPER):
        return Reply(403, _no_push(forge.dialect, project.name, token.user.name), _TEXT)
    if not token.scopes & READS[forge.dialect]:
        return Reply(403, _denied(forge.dialect), _TEXT)
    return _run_backend(project.path, method, match["rest"], query, headers, body, token)


_TEXT = {"Content-Type": "text/plain"}


def _password(authorization: str) -> str:
    kind, _, value = authorization.partition(" ")
    if kind.lower() != "basic":
        return value
    try:
        return base64.b64decode(value).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _denied(dialect: Dialect) -> bytes:
    if dialect is Dialect.GITLAB:
        return (
            b"HTTP Basic: Access denied. The provided password or token is incorrect or your account has 2FA enabled.\n"
        )
    if dialect is Dialect.GITHUB:
        return b"Invalid username or token. Password authentication is not supported for Git operations.\n"
    return b"Unauthorized\n"


def _no_push(dialect: Dialect, project: str, user: str) -> bytes:
    if dialect is Dialect.GITLAB:
        return b"You are not allowed to push code to this project.\n"
    if dialect is Dialect.GITHUB:
        return f"Permission to {project}.git denied to {user}.\n".encode()
    return b"User permission denied for writing.\n"


@cache
def _backend() -> Path:
    folder = subprocess.run(
        [need("git"), "--exec-path"], check=True, capture_output=True, timeout=60, text=True
    ).stdout.strip()
    return Path(folder) / "git-http-backend"


def _run_backend(
    repository: Path, method: str, rest: str, query: str, headers: Message, body: bytes, token: Token
) -> Reply:
    environment = git_environment() | {
        "GIT_PROJECT_ROOT": str(repository),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_PROTOCOL": headers.get("Git-Protocol", ""),
        "PATH_INFO": f"/{rest}",
        "QUERY_STRING": query,
        "REQUEST_METHOD": method,
        "CONTENT_TYPE": headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": headers.get("Content-Encoding", ""),
        "REMOTE_USER": token.user.name,
        "FORGE_USER": token.user.name,
    }
    done = subprocess.run([str(_backend())], env=environment, input=body, check=False, capture_output=True, timeout=120)
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    said = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
    status = int(said.pop("Status", "200").split()[0]) if head else 500
    return Reply(status, content, said)
