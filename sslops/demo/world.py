"""The folder in which the demo happens: repositories, keys, and three small servers on loopback.

ops/      the ops repository, made by `sslops init`       config/   age identities, as $XDG_CONFIG_HOME
dns.git   the DNS repository; its hook fills zones/       zones/    what the name server serves
mail/     the mail server: certs/ and its listener        web/      the web server, likewise
"""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from sslops.errors import PeerError
from sslops.system.own_environment import set_aside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from importlib.resources.abc import Traversable

    CommandLine = Callable[[Sequence[str]], int]


TTL_SECONDS = 2
"""Short, so that the waits of the demo are; everything scales with it."""

_GIT_TIMEOUT_SECONDS = 30
_START_TRIES = 250
_PAUSE_SECONDS = 0.02
_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TERM", "VIRTUAL_ENV", "PYTHONPATH", "SSL_CERT_FILE", "TMPDIR")
_HOOK = """#!/bin/sh
# What a name server's operator installs: check out the base branch, then tell the server.
set -eu
git --work-tree="$zones" checkout --quiet --force main
: > "$stamp"
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the three servers listen, all on 127.0.0.1."""

    dns: int
    smtp: int
    web: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that ran to its end: its result on stdout, and what it said about it on stderr."""

    code: int
    result: str
    talk: str

    @property
    def output(self) -> str:
        """Both, the result first."""
        return self.result + self.talk


@dataclass(frozen=True, slots=True)
class World:
    """A running demo world at *folder*."""

    folder: Path
    ports: Ports
    environ: Mapping[str, str]
    command_line: CommandLine
    """Runs one command line of sslops in this process and returns its exit code."""

    @property
    def ops(self) -> Path:
        """The ops repository."""
        return self.folder / "ops"

    @property
    def dns(self) -> Path:
        """The DNS repository, bare."""
        return self.folder / "dns.git"

    def sslops(self, *arguments: str, folder: Path | None = None) -> Ended:
        """Run a command line on the ops repository (or in *folder*), with everything that belongs to it.

        It runs in this process, since starting Python anew for each of them would take half the time of the demo.
        """
        result, talk = io.StringIO(), io.StringIO()
        with _only(self.environ), redirect_stdout(result), redirect_stderr(talk):
            code = self.command_line(["-C", str(folder or self.ops), *arguments])
        return Ended(code, result.getvalue(), talk.getvalue())

    def git(self, repository: Path, *arguments: str) -> str:
        """Run git in *repository* and return what it said; PeerError when it failed."""
        ended = self.run(["git", "-C", str(repository), *arguments], _GIT_TIMEOUT_SECONDS)
        if ended.code != 0:
            message = f"'git {arguments[0]}' failed in '{repository}': {ended.output.strip()[-400:]}"
            raise PeerError(message)
        return ended.output

    def run(self, command: Sequence[str], timeout_seconds: float) -> Ended:
        """Run *command* in the demo's own environment; PeerError when the program is not there."""
        try:
            done = subprocess.run(
                command,
                env=dict(self.environ),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout_seconds,
                check=False,
            )
        except FileNotFoundError as error:
            message = f"'{command[0]}' is not on this machine"
            raise PeerError(message, hint="sslops doctor") from error
        return Ended(done.returncode, done.stdout, done.stderr)


@contextmanager
def world(folder: Path, command_line: CommandLine) -> Iterator[World]:
    """Make the world in *folder*, which is empty, run its servers, and stop them at the end; the folder stays."""
    ports = Ports(*_free_ports(3))
    made = World(folder, ports, _environment(folder), command_line)
    _configure_git(folder)
    _make_dns_repository(made)
    with ExitStack() as servers:
        _start(servers, made, "nameserver", str(ports.dns), str(folder / "zones"), str(folder / "zones.stamp"))
        mail, web = folder / "mail", folder / "web"
        certs = {
            "mail.example.com": mail / "certs/example.com/mail-ec/curr",
            "www.example.com": web / "certs/example.com/web-ec/curr",
            "www.example.net": web / "certs/example.net/web-ec/curr",
        }
        pairs = [f"{name}={path}" for name, path in certs.items()]
        for place, port, protocol, served in (
            (mail, ports.smtp, "smtp", pairs[:1]),
            (web, ports.web, "tls", pairs[1:]),
        ):
            (place / "certs").mkdir(parents=True)
            _start(servers, made, "listener", str(port), protocol, str(place / "listener.pid"), *served)
        _wait_for(ports)
        yield made


@contextmanager
def _only(environ: Mapping[str, str]) -> Iterator[None]:
    """Let this process have *environ* and nothing else for a while."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environ)
    try:
        with set_aside():
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def write_inventory(made: World) -> None:
    """Put the demo's inventory in place of the example that `sslops init` wrote, and commit it as a person would."""
    inventory = made.ops / "inventory"
    for path in sorted(inventory.rglob("*.yaml")):
        path.unlink()
    words = {
        "folder": str(made.folder),
        "python": sys.executable,
        "dns_repository": str(made.dns),
        "dns_port": str(made.ports.dns),
        "smtp_port": str(made.ports.smtp),
        "web_port": str(made.ports.web),
        "ttl_seconds": str(TTL_SECONDS),
    }
    for path, text in _texts(resources.files("sslops.demo").joinpath("ops"), Path()):
        target = inventory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(Template(text).substitute(words), encoding="utf-8")
    made.git(made.ops, "add", "--all")
    made.git(made.ops, "commit", "--quiet", "--message", "The inventory of the demo")


def _texts(folder: Traversable, path: Path) -> Iterator[tuple[Path, str]]:
    """Return every file below *folder* with its path."""
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        if entry.is_dir():
            yield from _texts(entry, path / entry.name)
        else:
            yield path / entry.name, entry.read_text(encoding="utf-8")


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment of the demo's own: no git settings, keys or tokens of a person reach it."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return kept | {
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "GIT_CONFIG_GLOBAL": str(folder / "config/gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "NO_COLOR": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _configure_git(folder: Path) -> None:
    path = folder / "config/gitconfig"
    path.parent.mkdir(parents=True)
    path.write_text(
        "[user]\n\tname = Operator\n\temail = operator@example.com\n"
        "[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n[gc]\n\tauto = 0\n"
    )


def _make_dns_repository(made: World) -> None:
    """Make the DNS repository with its zones, and the hook that checks out what the name server serves."""
    zones, stamp = made.folder / "zones", made.folder / "zones.stamp"
    zones.mkdir()
    made.run(["git", "init", "--quiet", "--bare", "--initial-branch", "main", str(made.dns)], _GIT_TIMEOUT_SECONDS)
    hook = made.dns / "hooks/post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(Template(_HOOK).substitute(zones=zones, stamp=stamp))
    hook.chmod(0o755)
    clone = made.folder / "dns"
    made.run(["git", "init", "--quiet", "--initial-branch", "main", str(clone)], _GIT_TIMEOUT_SECONDS)
    for path, text in _texts(resources.files("sslops.demo").joinpath("dns"), Path()):
        (clone / path).write_text(text, encoding="utf-8")
        include = clone / "include" / f"tlsa.{path.stem}"
        include.parent.mkdir(exist_ok=True)
        include.touch()
    made.git(clone, "add", "--all")
    made.git(clone, "commit", "--quiet", "--message", "Zones of the demo")
    made.git(clone, "push", "--quiet", str(made.dns), "main")


def _start(servers: ExitStack, made: World, module: str, *arguments: str) -> None:
    """Start one of the demo's servers; it ends when its standard input does."""
    log = servers.enter_context((made.folder / f"{module}.log").open("ab"))
    process = subprocess.Popen(
        [sys.executable, "-m", f"sslops.demo.{module}", *arguments],
        env=dict(made.environ),
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
    )
    servers.callback(_stop, process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=5)


def _free_ports(amount: int) -> list[int]:
    """Return ports that nobody listens on, TCP and (for the name server) UDP being asked for later."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(amount)]
        return [each.getsockname()[1] for each in sockets]


def _wait_for(ports: Ports) -> None:
    for port in (ports.dns, ports.smtp, ports.web):
        if not any(_answers(port) for _ in range(_START_TRIES)):
            message = f"a server of the demo did not start on port {port}"
            raise PeerError(message, hint="look at the *.log files in the folder of the demo")


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        time.sleep(_PAUSE_SECONDS)
        return False
    return True
