"""One pebble and the name servers that it asks, and ops repositories that get all their certificates from it."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from tests.world.acme_resolver import Resolver
from tests.world.dns import DnsWorld
from tests.world.dns_files import ACME_DIR, TLSA_DIRS
from tests.world.ops import OpsRepository
from tests.world.pebble import Pebble, Policy

if TYPE_CHECKING:
    from pathlib import Path

APEX = "example.com"
CHALLENGES = f"{ACME_DIR}/acme-challenge.{APEX}"
FIRST = "first"
"""The service whose certificate is there before anything is timed, and with it the account."""


def names_of(service: str) -> tuple[str, ...]:
    """Return the four names of a certificate."""
    return tuple(f"{host}{service}.{APEX}" for host in ("", "www.", "mail.", "imap."))


class AcmeWorld:
    """What both programs talk to: `dns` (two knot), and `pebble` without bad nonces, reuse and waits."""

    def __init__(self, folder: Path) -> None:
        """Start it."""
        self.dns = DnsWorld(folder / "dns", apexes=[APEX])
        self.resolver = Resolver(folder / "resolver", self.dns)
        self.pebble = Pebble(folder / "pebble", self.resolver.endpoint, Policy(nonce_rejection_percent=0))

    def dns_commits(self) -> int:
        """Return how many commits showed challenges: those after which the file of challenges is not empty."""
        from tests.world.remotes import git

        commits = git(self.dns.repo, "log", "--format=%H", "main", "--", CHALLENGES).split()
        return sum(git(self.dns.repo, "show", f"{commit}:{CHALLENGES}") != "" for commit in commits)

    def close(self) -> None:
        """End every server."""
        self.pebble.stop()
        self.resolver.stop()
        self.dns.close()


class AcmeBenchSite:
    """An ops repository with a remote where *services* certificates are due and the account exists."""

    def __init__(self, folder: Path, world: AcmeWorld, services: int) -> None:
        """Build it, and order one more certificate."""
        self._folder, self._world = folder, world
        names = [FIRST, *(f"s{number:03}" for number in range(services))]
        files = {f"inventory/{APEX}/{name}.yaml": _service(name) for name in names}
        self.ops = OpsRepository(folder, self._settings() | files)
        self.ops.sslops("renew", f"{APEX}:{FIRST}", "--apply").succeeded()
        for name in ("ops", "ops.git"):
            shutil.copytree(folder / name, self._kept / name, symlinks=True)

    @property
    def words(self) -> list[str]:
        """The command line to time."""
        return [sys.executable, "-m", "sslops", "-C", str(self.ops.folder), "renew", "--apply"]

    def go_back(self) -> None:
        """Make both repositories what they were."""
        for name in ("ops", "ops.git"):
            shutil.rmtree(self._folder / name)
            shutil.copytree(self._kept / name, self._folder / name, symlinks=True)

    def issued(self) -> int:
        """Return how many services have a staged certificate, the first one included."""
        found = self.ops.git_remote("grep", "--name-only", '^status: "issued"', "next", "--", "state/")
        return len(found.splitlines())

    @property
    def _kept(self) -> Path:
        return self._folder / "kept"

    def _settings(self) -> dict[str, str]:
        dns, pebble = self._world.dns, self._world.pebble
        return {
            "inventory/sslops.yaml": SSLOPS_YAML.format(
                apex=APEX,
                primary=dns.primary,
                secondary=dns.secondary,
                address=dns.primary.address,
                port=dns.primary.port,
                url=dns.repo,
                acme_dir=ACME_DIR,
                tlsa_dirs=", ".join(TLSA_DIRS),
            ),
            "inventory/cas.yaml": (
                f"le-dns: {{ca_desc: pebble, ca_type: acme, ca_validation: dns-01, directory: '{pebble.directory}', "
                f"ca_bundle: '{pebble.ca_bundle}'}}\n"
            ),
            "inventory/known_hosts": "",
        }


def _service(name: str) -> str:
    sans = ", ".join(names_of(name))
    return (
        f"name: Service {name}\nsigning_ca: le-dns\nkey_opts: {{ktype: ec, ec_algo: secp256r1}}\n"
        f"x509: {{CN: {name}.{APEX}, sans: [{sans}]}}\n"
    )


SSLOPS_YAML = """\
globals: {{min_roll_mins: 0}}
repo: {{forge: none}}
groups:
  - {{domain: {apex}, active: true, services: ALL}}
dns_primary:
  - {{domain: default, server: {address}, port: {port}}}
dns_servers:
  - {{domain: {apex}, servers: ["{primary}", "{secondary}"]}}
dns:
  repo: {{url: {url}, branch: main, forge: none}}
  acme_dir: {acme_dir}
  tlsa_dirs: [{tlsa_dirs}]
  merge: {{acme: auto, tlsa: auto}}
"""
