"""What /proc shows of our processes, and of all that they start: no token, no identity, no key."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from tests.world.ops import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world.site import Site

VERBS = ("doctor", "renew --apply", "publish --apply", "run --apply", "status --live")


class Watch:
    """Reads environment and arguments of every process, again and again, for *secrets* by name."""

    def __init__(self, secrets: dict[str, str]) -> None:
        """Begin."""
        self.seen: dict[int, set[str]] = {}
        """Process to what was seen of it, and was not seen any more later on only if it is among *cleaned*."""
        self.cleaned: set[int] = set()
        self.looks = 0
        # Of an ssh key a line from its middle: the first ones are the same in all.
        self._needles = {name: (value.splitlines()[3:4] or [value])[0].encode() for name, value in secrets.items()}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def end(self) -> None:
        """Stop looking."""
        self._is_over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._is_over.is_set():
            for folder in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    self._read(int(folder.name), (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes())
            self.looks += 1

    def _read(self, process: int, content: bytes) -> None:
        found = {name for name, needle in self._needles.items() if needle in content}
        if found:
            self.seen.setdefault(process, set()).update(found)
            self.cleaned.discard(process)
        elif process in self.seen:
            self.cleaned.add(process)


def test_proc_shows_no_secret_of_any_process(start_site: Callable[..., Site]) -> None:
    """A program has its environment from its start; ours takes the secrets out first thing, and no child has them."""
    site = start_site()
    keys = [
        file.read_text() for file in sorted((Path(site.ops.environment["XDG_CONFIG_HOME"]) / "sslops").glob("*.key"))
    ]
    # Unlike any that another run of this test on the same machine has: every process is looked at.
    one = uuid.uuid4().hex
    secrets = {
        "SSLOPS_FORGE_TOKEN": f"forge-token-{one}",
        "SSLOPS_DNS_TOKEN": f"dns-token-{one}",
        "GITHUB_TOKEN": f"job-token-{one}",
        "SOPS_AGE_KEY": " ".join(line for key in keys for line in key.splitlines() if line.startswith("AGE-")),
        "SSLOPS_SSH_KEY": site.login.key.read_text(),
        "SSLOPS_SIGNING_KEY": site.login.key.read_text(),
    }
    for file in (Path(site.ops.environment["XDG_CONFIG_HOME"]) / "sslops").glob("*.key"):
        file.unlink()
    words = [sys.executable, "-m", "sslops", "-C", str(site.ops.folder)]
    watch = Watch(secrets)
    codes: dict[str, int] = {}
    ours: set[int] = set()
    try:
        for verb in VERBS:
            environment = site.ops.environment | {"PYTHONPATH": str(PROJECT)} | secrets
            process = subprocess.Popen([*words, *verb.split()], env=environment, stdout=-3, stderr=-3)
            ours.add(process.pid)
            codes[verb] = process.wait(300)
    finally:
        watch.end()

    assert {"renew --apply": 0, "run --apply": 0} == {verb: codes[verb] for verb in ("renew --apply", "run --apply")}
    assert {} == {process: names for process, names in watch.seen.items() if process not in ours}
    assert set() == watch.seen.keys() - watch.cleaned
    assert watch.looks > len(VERBS)
