"""Every failure that sslops foresees, and the exit code it ends in.

    SslopsError                  1  failed
    |-- UsageError               2  the command line itself is wrong
    |-- InventoryError           1  one fault of the inventory; `Faults` carries all of them at once
    |-- Faults                   1
    |-- StateError               1  `state/` or the ledger says something that cannot be
    |-- Bug                      1  nobody foresaw it; it ends what is about one service, and its traceback is shown
    |-- PeerError                1  git, sops, ssh, DNS or a server did not do its part
    |   |-- GitError
    |   |-- SopsError
    |   |   `-- NoIdentity       no identity here opens the file; elsewhere one may
    |   |-- SshError
    |   |-- DnsError
    |   |   `-- Unprovable       no record of ours would be seen where a challenge belongs
    |   |-- NotifyError      somebody who is to be told could not be
    |   `-- AcmeError        an ACME server refused, or gave no usable answer
    |-- Refused                  3  a hazard nobody consented to, or a plan other than `--plan DIGEST`
    |-- Moved                    5  another run changed a ref first: plan again, try again
    `-- Busy                     5  another run was faster, five times

Anything else that is raised is a bug and shows its traceback.

>>> print(SslopsError("no service 'mail-rsa'", hint="sslops status").render())
sslops: error: no service 'mail-rsa'
  hint: sslops status
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class ExitCode(IntEnum):
    """What a verb tells the shell; `PENDING` and `WAITING` only with `--detailed-exitcode`."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    WAITING = 4
    BUSY = 5
    PENDING = 6


# Of several outcomes in one run the first of these decides (design section 6).
PRECEDENCE = (
    ExitCode.USAGE,
    ExitCode.FAILED,
    ExitCode.REFUSED,
    ExitCode.BUSY,
    ExitCode.PENDING,
    ExitCode.WAITING,
    ExitCode.DONE,
)


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in a file that a person edits; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        """Return `file:line:col`, the form that editors and forges jump to."""
        return f"{self.file}:{self.line}:{self.column}"


class SslopsError(Exception):
    """A foreseen failure: what happened, where, and the command that helps.

    *what* is lower case, without a final period, and names the thing in quotes.
    """

    exit_code = ExitCode.FAILED

    def __init__(self, what: str, *, where: Location | None = None, hint: str | None = None) -> None:
        """Keep the three parts apart, so that every front end can show them its own way."""
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def render(self) -> str:
        """Return the lines that a person sees on stderr."""
        lines = [f"sslops: error: {self.what}"]
        if self.where is not None:
            lines.append(f"  at {self.where}")
        if self.hint is not None:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class UsageError(SslopsError):
    """The command line itself is wrong."""

    exit_code = ExitCode.USAGE


class InventoryError(SslopsError):
    """One fault of the inventory, at one place."""


class Faults(SslopsError):  # noqa: N818  (all of them, not one error)
    """Several faults found in one pass, sorted by place."""

    def __init__(self, faults: Sequence[SslopsError]) -> None:
        """Keep *faults* sorted by file, line and column, those without a place last."""
        self.faults = tuple(sorted(faults, key=_by_place))
        super().__init__(f"{len(self.faults)} faults")

    def render(self) -> str:
        """Return one block for each fault."""
        return "\n".join(fault.render() for fault in self.faults)


class StateError(SslopsError):
    """The repository's `state/` or the ledger says something that cannot be."""


class Bug(SslopsError):  # noqa: N818  (it is one of sslops itself)
    """An exception that nobody foresaw, in what is about one service or one peer: the others go on."""

    def __init__(self, about: str, error: Exception) -> None:
        """Keep the traceback of *error*; its own text may quote a peer, and is not repeated in `what`."""
        what = f"{about}: unexpected {type(error).__name__}, which is a bug of sslops"
        super().__init__(what, hint="report it with the traceback above")
        self.error = error


@contextmanager
def bugs_of(about: str) -> Iterator[None]:
    """Turn what nobody foresaw into a `Bug`, so that who goes on with others can tell it like any failure."""
    try:
        yield
    except SslopsError:
        raise
    except Exception as error:
        raise Bug(about, error) from error


class PeerError(SslopsError):
    """A program or server that sslops depends on did not do its part."""


class GitError(PeerError):
    """git refused or failed."""


class NotifyError(PeerError):
    """A webhook, a command or a mail server did not take what it was to tell."""


class SopsError(PeerError):
    """sops is missing, refused or failed."""


class NoIdentity(SopsError):  # noqa: N818  (it is an answer, not a malfunction)
    """No identity at hand opens the file: another job or person holds the one that does."""

    @property
    def in_a_sentence(self) -> str:
        """What happened and what helps: the file, and the variable or place where an identity is looked for."""
        return self.what if self.hint is None else f"{self.what}; {self.hint}"


class SshError(PeerError):
    """A server could not be reached over ssh, or its receiver refused."""


class DnsError(PeerError):
    """A name server gave no usable answer."""


class Unprovable(DnsError):  # noqa: N818  (it is an answer, not a malfunction)
    """Control of a name cannot be proved as DNS stands: no record of ours would be seen there."""


class ForgeError(PeerError):
    """A forge refused, or could not be reached."""


class MayNotCall(ForgeError):  # noqa: N818  (it is an answer, not a malfunction)
    """The scopes of the token leave out what was asked of the forge's API; it may be able to push all the same."""


class AcmeError(PeerError):
    """An ACME server refused, or gave no usable answer.

    *problem* is the kind without its prefix (RFC 8555 section 6.7), null when the server told none; *status* that of
    HTTP; *retry_after_seconds* what it asks to wait.
    """

    def __init__(
        self,
        what: str,
        *,
        hint: str | None = None,
        problem: str | None = None,
        status: int | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        """Keep what decides about the next try beside the words for a person."""
        super().__init__(what, hint=hint)
        self.problem = problem
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class Refused(SslopsError):  # noqa: N818  (it is an answer, not a malfunction)
    """A hazard that nobody consented to, or a plan that is not the one asked for."""

    exit_code = ExitCode.REFUSED


class Moved(SslopsError):  # noqa: N818  (it is an answer, not a malfunction)
    """Another run changed a ref between our look and our push: fetch, plan again, try again."""

    exit_code = ExitCode.BUSY


class Busy(SslopsError):  # noqa: N818  (it is an answer, not a malfunction)
    """Another run changed the same refs first, more often than we retry."""

    exit_code = ExitCode.BUSY


def worst(codes: Sequence[ExitCode]) -> ExitCode:
    """Return the exit code that decides when a run had several outcomes; every code has its place.

    >>> worst([ExitCode.DONE, ExitCode.WAITING, ExitCode.FAILED]).name
    'FAILED'
    """
    return min(codes, key=PRECEDENCE.index, default=ExitCode.DONE)


def _by_place(fault: SslopsError) -> tuple[bool, Location, str]:
    return fault.where is None, fault.where or Location("", 0, 0), fault.what
