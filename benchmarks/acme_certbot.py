"""certbot on the same servers: manual dns-01, with hooks that push to the same DNS repository.

The hooks are kinder to certbot than its manual is: one commit shows the four challenges of a certificate, one takes
them away, and the wait ends as soon as both name servers show the last value.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.acme_world import CHALLENGES, names_of
from tests.world.dns import PRIMARY, SECONDARY
from tests.world.peers import need
from tests.world.remotes import git, git_environment

if TYPE_CHECKING:
    from benchmarks.acme_world import AcmeWorld

VERSION = "5.8.0"
VENV = Path(sys.prefix) / "certbot"
"""Below the project's own virtual environment, so that it is made once and goes with it."""

_SHOW = """\
#!/bin/sh
set -eu
cd "{clone}"
echo "_acme-challenge.$CERTBOT_DOMAIN. 1 IN TXT \\"$CERTBOT_VALIDATION\\"" >>"{file}"
[ "$CERTBOT_REMAINING_CHALLENGES" -eq 0 ] || exit 0
git commit --quiet -a -m "show the challenges"
git push --quiet origin HEAD:main
for socket in {sockets}; do
    until "{knotc}" -s "$socket" zone-read "{apex}" "_acme-challenge.$CERTBOT_DOMAIN." TXT 2>/dev/null |
        grep -q -e "$CERTBOT_VALIDATION"; do sleep 0.01; done
done
"""
_TAKE_AWAY = """\
#!/bin/sh
set -eu
[ "$CERTBOT_REMAINING_CHALLENGES" -eq 0 ] || exit 0
cd "{clone}"
: >"{file}"
git commit --quiet -a -m "take the challenges away"
git push --quiet origin HEAD:main
"""


class Certbot:
    """An installed certbot with an account at the pebble of a world."""

    def __init__(self, folder: Path, world: AcmeWorld) -> None:
        """Install it, write the hooks, and make the account."""
        self._program = _installed()
        self.folder = folder
        folder.mkdir(parents=True)
        self._world = world
        self._clone = folder / "dns"
        self._hooks = {name: self._write(name, text) for name, text in (("show", _SHOW), ("away", _TAKE_AWAY))}
        self.environment = git_environment() | {"REQUESTS_CA_BUNDLE": str(world.pebble.ca_bundle)}
        self._run([*self._words("register"), "--agree-tos", "--register-unsafely-without-email"])

    def take_clone(self) -> None:
        """Bring the clone of the DNS repository to the tip of main."""
        if not self._clone.exists():
            git(self.folder, "clone", "--quiet", str(self._world.dns.repo), str(self._clone))
        git(self._clone, "fetch", "--quiet", "origin")
        git(self._clone, "reset", "--quiet", "--hard", "origin/main")

    def words(self, service: str) -> list[str]:
        """Return the command line that gets the certificate of *service*, an EC key as everywhere here."""
        names = [word for name in names_of(service) for word in ("-d", name)]
        manual = ["--manual", "--preferred-challenges", "dns", "--manual-auth-hook", str(self._hooks["show"])]
        manual += ["--manual-cleanup-hook", str(self._hooks["away"])]
        return [*self._words("certonly"), *manual, "--key-type", "ecdsa", "--cert-name", service, *names]

    def sequence(self, services: int) -> list[str]:
        """Return a command line that gets *services* certificates one after another and stops at a failure."""
        script = self.folder / f"sequence-{services}.sh"
        lines = (" ".join(self.words(f"s{number:03}")) for number in range(services))
        script.write_text("set -eu\n" + "\n".join(lines) + "\n")
        return ["sh", str(script)]

    def forget(self, services: int) -> None:
        """Remove the certificates, so that the next run orders them again."""
        for number in range(services):
            for part in ("live", "archive"):
                shutil.rmtree(self.folder / "config" / part / f"s{number:03}", ignore_errors=True)
            (self.folder / "config" / "renewal" / f"s{number:03}.conf").unlink(missing_ok=True)

    def _words(self, verb: str) -> list[str]:
        folders = [word for name in ("config", "work", "logs") for word in (f"--{name}-dir", str(self.folder / name))]
        return [
            str(self._program),
            verb,
            "--quiet",
            "--non-interactive",
            "--server",
            self._world.pebble.directory,
            *folders,
        ]

    def _write(self, name: str, text: str) -> Path:
        hook = self.folder / name
        sockets = " ".join(f'"{self._world.dns.folder / server}/knot.sock"' for server in (PRIMARY, SECONDARY))
        (apex,) = self._world.dns.apexes
        hook.write_text(
            text.format(clone=self._clone, file=CHALLENGES, sockets=sockets, knotc=need("knotc"), apex=apex)
        )
        hook.chmod(0o755)
        return hook

    def _run(self, words: list[str]) -> None:
        subprocess.run(words, env=self.environment, check=True, timeout=120, stdin=subprocess.DEVNULL)


def _installed() -> Path:
    program = VENV / "bin/certbot"
    if not program.exists():
        venv.create(VENV, with_pip=True)
        words = [str(VENV / "bin/pip"), "install", "-q", f"certbot=={VERSION}"]
        subprocess.run(words, env=dict(os.environ), check=True, timeout=600)
    return program
