r"""Whose signatures count: `allowed_signers` on main, and which commits the bot signed by it.

A signature is over the whole commit object without its `gpgsig` header, as git makes it; `ssh-keygen` judges it, for
the bot's address and the namespace `git` only, whatever a clone's own settings say.

>>> payload, signature = signed_parts(b"tree 00\ngpgsig A\n B\nauthor x\n\ngpgsig C\n")
>>> payload, signature
(b'tree 00\nauthor x\n\ngpgsig C\n', b'A\nB\n')
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sslops.errors import GitError, Refused
from sslops.system.own_environment import environment
from sslops.system.peer_words import peer_words
from sslops.system.processes import without_secrets

if TYPE_CHECKING:
    from collections.abc import Sequence


ALLOWED_SIGNERS = "allowed_signers"
"""The file in the root of main (`ssh-keygen(1)`, ALLOWED SIGNERS)."""
_SSH_SIGNATURE = b"-----BEGIN SSH SIGNATURE-----\n"
_COMMITTED_AT = re.compile(rb"^committer .*> ([0-9]{1,11}) [+-][0-9]{4}$", re.MULTILINE)
_SECONDS = 20
_AT_ONCE = 4
_REMEMBERED = 20_000
"""Lines of the file of good commits; it begins anew when there are more."""


class Repository(Protocol):
    """A git repository, as far as signatures need it."""

    def objects(self, names: Sequence[str]) -> list[bytes | None]:
        """Return the content that each of *names* stands for; null where there is none."""

    @property
    def private_dir(self) -> Path:
        """The folder inside the git directory that is ours."""


@dataclass(frozen=True)
class Signers:
    """The *content* of `allowed_signers`, asked for one *address*: the bot's.

    *memory* is a file of commits that were found good; it belongs to this clone alone. Null: nothing is remembered.
    """

    content: bytes = field(repr=False)
    address: str
    memory: Path | None = None

    @classmethod
    def of(cls, git: Repository, commit: str, address: str) -> Signers | None:
        """Return who signs by the file at *commit*; null when there is no such file."""
        content = git.objects([f"{commit}:{ALLOWED_SIGNERS}"])[0]
        return None if content is None else cls(content, address, git.private_dir / "good-signatures")

    def faults(self, git: Repository, commits: Sequence[str]) -> dict[str, str]:
        """Return why the signature of each of *commits* does not count; those that the bot signed are not in it."""
        known = self._known()
        asked = [commit for commit in dict.fromkeys(commits) if commit not in known]
        if not asked:
            return {}
        with tempfile.TemporaryDirectory(prefix="sslops-") as folder:
            keys = Path(folder, ALLOWED_SIGNERS)
            keys.write_bytes(self.content)
            rows = list(zip(asked, git.objects(asked), strict=True))
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                found = zip(asked, pool.map(lambda row: self._fault(keys, *row), rows), strict=True)
                faults = {commit: fault for commit, fault in found if fault is not None}
        self._remember([commit for commit in asked if commit not in faults], known)
        return faults

    def fault_of(self, content: bytes) -> str | None:
        """Return why the signature of a commit, given as git stores it, does not count; null when the bot made it."""
        with tempfile.TemporaryDirectory(prefix="sslops-") as folder:
            keys = Path(folder, ALLOWED_SIGNERS)
            keys.write_bytes(self.content)
            return self._fault(keys, "commit", content)

    def _fault(self, keys: Path, commit: str, content: bytes | None) -> str | None:
        """Return why one commit's signature does not count, null when the bot made it."""
        if content is None:
            return "the clone lacks it"
        payload, signature = signed_parts(content)
        if signature is None:
            return "it is not signed"
        if not signature.startswith(_SSH_SIGNATURE):
            return "it is not signed by an ssh key"
        made = _COMMITTED_AT.search(payload.partition(b"\n\n")[0])
        if made is None:
            return "it has no date"
        file = keys.with_name(commit)
        file.write_bytes(signature)
        when = f"-Overify-time={_utc(int(made[1]))}"
        asked = ["-f", str(keys), "-I", self.address, "-n", "git", "-s", str(file), when]
        try:
            done = subprocess.run(
                ["ssh-keygen", "-Y", "verify", *asked],
                input=payload,
                env=without_secrets(environment()) | {"LC_ALL": "C"},
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except FileNotFoundError as error:
            message = "signatures cannot be verified: no program 'ssh-keygen'"
            raise GitError(message, hint="apt-get install openssh-client") from error
        except subprocess.TimeoutExpired as error:
            message = f"'ssh-keygen' gave no answer within {_SECONDS} s"
            raise GitError(message) from error
        if done.returncode == 0:
            return None
        said = peer_words((done.stderr + done.stdout).decode("utf-8", "replace"))
        return f"its signature is not one of '{self.address}' by '{ALLOWED_SIGNERS}' ({said})"

    @property
    def _mark(self) -> str:
        """What a remembered commit is good by: another file or address forgets all of them."""
        return hashlib.sha256(self.address.encode() + b"\0" + self.content).hexdigest()[:32]

    def _known(self) -> frozenset[str]:
        try:
            lines = self.memory.read_text(encoding="ascii").splitlines() if self.memory else []
        except (OSError, UnicodeDecodeError):
            return frozenset()
        mark = f"{self._mark} "
        return frozenset(line.removeprefix(mark) for line in lines if line.startswith(mark))

    def _remember(self, good: Sequence[str], known: frozenset[str]) -> None:
        if self.memory is None or not good:
            return
        anew = len(known) + len(good) > _REMEMBERED
        text = "".join(f"{self._mark} {commit}\n" for commit in good)
        try:
            self.memory.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if anew else os.O_APPEND)
            with os.fdopen(os.open(self.memory, flags, 0o600), "w", encoding="ascii") as file:
                file.write(text)
        except OSError:
            return  # a read-only clone verifies again


def require_signed(git: Repository, signers: Signers | None, commit: str) -> None:
    """Raise Refused when *commit*, which we just made, is not signed as main asks: the next run would stop at it."""
    fault = signers.faults(git, [commit]).get(commit) if signers is not None else None
    if fault is not None:
        message = f"main asks for signed commits ('{ALLOWED_SIGNERS}'), and this run cannot make one: {fault}"
        hint = "SSLOPS_SIGNING_KEY in a job, git config user.signingkey in a clone; sslops doctor"
        raise Refused(message, hint=hint)


def signed_parts(content: bytes) -> tuple[bytes, bytes | None]:
    """Take a commit object apart: what was signed, and the signature (null: none, or more than one)."""
    head, gap, message = content.partition(b"\n\n")
    kept: list[bytes] = []
    signatures: list[list[bytes]] = []
    ours = False
    for line in head.split(b"\n"):
        if line.startswith(b" "):
            if ours:
                signatures[-1].append(line[1:])
            else:
                kept.append(line)
            continue
        ours = line.startswith(b"gpgsig ")
        if ours:
            signatures.append([line.removeprefix(b"gpgsig ")])
        else:
            kept.append(line)
    signature = b"\n".join([*signatures[0], b""]) if len(signatures) == 1 else None
    return b"\n".join(kept) + gap + message, signature


def _utc(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%d%H%M%SZ}"
