"""A token for git over https, handed over in a pipe: not in argv, the environment, a URL, a configuration or on disk.

git asks a credential helper when the server wants a password; ours reads the answer from a file descriptor that git
inherits. It counts for one server only, and helpers of the user's, which might store what they are told, are left out.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sslops.model.secret import Secret


@dataclass(frozen=True, slots=True)
class GitCredential:
    """What git shows the server at *address* (scheme, host and port of a URL): *user* and *secret*."""

    address: str
    user: str
    secret: Secret

    def covers(self, url: str) -> bool:
        """Whether *url* is on this server."""
        return _server(url) == _server(self.address)

    @property
    def scope(self) -> str:
        """The server as git's configuration names it."""
        scheme, host = _server(self.address)
        return f"{scheme}://{host}"


@dataclass(frozen=True, slots=True)
class Lent:
    """What one git process is started with: *options* before its verb, and *descriptors* that it inherits."""

    options: tuple[str, ...] = ()
    descriptors: tuple[int, ...] = ()


@contextmanager
def lend(credentials: Sequence[GitCredential]) -> Iterator[Lent]:
    """Lend *credentials* to one git process; each can be read once, and not at all after the block."""
    descriptors: list[int] = []
    options: list[str] = []
    try:
        for credential in credentials:
            descriptors.append(_filled_pipe(credential))
            options += _options(credential.scope, descriptors[-1])
        yield Lent(tuple(options), tuple(descriptors))
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def without_user(url: str) -> str:
    """Return an http(s) *url* without user and password; any other as it is.

    >>> without_user("https://gitlab-ci-token:secret@git.example.com:8443/infra/certs.git")
    'https://git.example.com:8443/infra/certs.git'
    >>> without_user("git@git.example.com:infra/certs.git")
    'git@git.example.com:infra/certs.git'
    """
    split = urlsplit(url)
    if split.scheme not in {"http", "https"}:
        return url
    return urlunsplit(split._replace(netloc=split.netloc.rpartition("@")[2]))


def _filled_pipe(credential: GitCredential) -> int:
    """Return the reading end of a pipe that holds the answer and has ended; a token is far smaller than a pipe."""
    reading, writing = os.pipe()
    try:
        os.write(writing, b"username=%b\npassword=%b\n" % (credential.user.encode(), credential.secret.reveal()))
    finally:
        os.close(writing)
    return reading


def _options(scope: str, descriptor: int) -> list[str]:
    """Return the configuration for one server: only our helper, and none of the headers that a CI's checkout left.

    An empty value takes back the ones before it. `/dev/fd` because sh may know no descriptor above 9.
    """
    helper = f'!f() {{ test "$1" = get && cat /dev/fd/{descriptor}; }}; f'
    settings = ("credential.helper=", f"credential.{scope}.helper=", f"credential.{scope}.helper={helper}")
    return [word for setting in (*settings, f"http.{scope}/.extraHeader=") for word in ("-c", setting)]


def _server(url: str) -> tuple[str, str]:
    split = urlsplit(url)
    return split.scheme.lower(), split.netloc.rpartition("@")[2].lower()
