"""A Python that has loaded what sslops may need, and forks for each command line that a test runs.

Half of what a short command takes is the loading of modules, the same ones each time. So there is one such server for
each process of the test run; every command is a process of its own all the same, with its own environment, folder,
streams and end. What its memory began with is all that differs: `/proc/PID/cmdline` and `environ` are the server's.

    python -m tests.world.warm FD     serve the requests that come through the socket FD, until it is closed
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

LIBRARIES = (
    *("acme.jws", "acme.messages", "josepy", "requests", "git", "yaml", "dns.resolver", "dns.query", "dns.dnssec"),
    *("cryptography.x509", "cryptography.hazmat.primitives.asymmetric.ec", "cryptography.hazmat.primitives.ciphers"),
)
"""What sslops loads where it is needed only."""
LARGEST_REQUEST_BYTES = 100_000
PROJECT = Path(__file__).parents[2]


class Process:
    """One module that runs as `python -m MODULE WORDS`; its methods are those of `subprocess.Popen`."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        """Start *words*, module first, in *folder*; its standard input is empty."""
        self.returncode: int | None = None
        self._words = list(words)
        self._streams = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115  (open as long as this lives)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = json.dumps({"words": self._words, "environment": dict(environment), "folder": str(folder)}).encode()
        with theirs, Path(os.devnull).open("rb") as nothing:
            given = [theirs.fileno(), nothing.fileno(), *(stream.fileno() for stream in self._streams)]
            socket.send_fds(_server(), [request], given)
        self.pid = int(self._control.recv(32))

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; null while it runs."""
        if self.returncode is None and select.select([self._control], [], [], 0)[0]:
            self._end()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; subprocess.TimeoutExpired after *timeout* seconds."""
        if self.returncode is None:
            if not select.select([self._control], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self._words, timeout or 0)
            self._end()
        assert self.returncode is not None
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end and return what it wrote to either stream; as often as asked."""
        self.wait(timeout)
        for stream in self._streams:
            stream.seek(0)
        out, err = (stream.read().decode() for stream in self._streams)
        return out, err

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    @property
    def is_held(self) -> bool:
        """Whether a signal stopped it, for the time being."""
        return is_stopped(self.pid)

    def _end(self) -> None:
        said = self._control.recv(32)
        assert said, f"whoever watched {self._words} is gone"
        self.returncode = int(said)
        self._control.close()


def is_stopped(pid: int) -> bool:
    """Whether the process *pid* is held by SIGSTOP."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except FileNotFoundError:
        return False


@cache
def _server() -> socket.socket:
    """Start the server of this process, once; it ends when this process does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    words = [sys.executable, "-m", __name__, str(theirs.fileno())]
    # The streams of a Python are set up as it starts: the same for the server and for every command.
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PYTHONPATH": str(PROJECT)}
    subprocess.Popen(words, env=environment, pass_fds=[theirs.fileno()], start_new_session=True)
    theirs.close()
    return ours


# The server, and what it forks.


def serve(requests: socket.socket) -> list[str]:
    """Fork for every request until the other side is gone; returns in what was forked only: the words to run."""
    # Those that watch need nobody to wait for them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        request, given, _, _ = socket.recv_fds(requests, LARGEST_REQUEST_BYTES, 4)
        if not request:
            sys.exit()
        if os.fork() == 0:
            requests.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return _begin(json.loads(request), given)
        for each in given:
            os.close(each)


def _begin(request: dict[str, Any], given: Sequence[int]) -> list[str]:
    """Fork once more and watch; returns in the one that is watched."""
    control, *streams = given
    pid = os.fork()
    if pid:
        _watch(pid, socket.socket(fileno=control), streams)
    os.close(control)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    return list(request["words"])


def _watch(pid: int, control: socket.socket, streams: Sequence[int]) -> NoReturn:
    """Tell who it is and, in the end, how it ended."""
    for each in streams:
        os.close(each)
    with contextlib.suppress(BrokenPipeError):
        control.send(str(pid).encode())
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        control.send(str(code).encode())
    os._exit(0)


def _modules() -> Iterator[str]:
    import sslops

    for each in pkgutil.walk_packages(sslops.__path__, "sslops."):
        if not each.name.endswith("__main__"):
            yield each.name


def _run(module: str) -> int:
    """Run *module* as a program and return its exit code."""
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  (as a Python does at its end)
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    """Load everything, and serve."""
    listening = socket.socket(fileno=int(sys.argv[1]))
    for name in (*LIBRARIES, *_modules()):
        importlib.import_module(name)
    gc.freeze()
    sys.argv[1:] = serve(listening)
    code = _run(sys.argv.pop(1))
    for thread in set(threading.enumerate()) - {threading.main_thread()}:
        if not thread.daemon:
            thread.join()
    sys.stdout.flush()
    sys.stderr.flush()
    # What is left would take every module apart, one by one.
    os._exit(code)


if __name__ == "__main__":
    main()
