"""Ops repositories of a given size, each at the point where the verb to be timed has everything left to do."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.synthetic import CA, CAS
from tests.world.ops import OpsRepository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.world.sshd import Login, SshHost

SERVICES_PER_GROUP = 10

_LEAF = """\
name: Service {name}
signing_ca: my-sub
key_opts: {{ktype: ec, ec_algo: secp384r1}}
x509: {{CN: {name}.{group}, O: Example Company, C: US, sans: [{name}.{group}, www.{name}.{group}, {group}]}}
"""


@dataclass
class BenchSite:
    """An ops repository with *services* leaves below an own CA, and a copy to go back to."""

    folder: Path
    services: int
    hosts: tuple[SshHost, ...] = ()
    login: Login | None = None
    ops: OpsRepository = field(init=False)

    def __post_init__(self) -> None:
        """Build it."""
        self.ops = OpsRepository(self.folder, dict(self._files()), has_remote=False)
        if self.login is not None:
            self.ops.environment |= self.login.environment

    def words(self, *verb: str) -> list[str]:
        """Return the command line that runs a verb here."""
        return [sys.executable, "-m", "sslops", "-C", str(self.ops.folder), *verb]

    def keep(self) -> None:
        """Remember the repository as it is now."""
        shutil.copytree(self.ops.folder, self._kept, symlinks=True)

    def go_back(self) -> None:
        """Make the repository what it was when it was kept, and the hosts empty."""
        shutil.rmtree(self.ops.folder)
        shutil.copytree(self._kept, self.ops.folder, symlinks=True)
        for host in self.hosts:
            shutil.rmtree(host.prod_cert_dir, ignore_errors=True)
            host.prod_cert_dir.mkdir(parents=True)

    @property
    def _kept(self) -> Path:
        return self.folder / "kept"

    def _files(self) -> Iterator[tuple[str, str]]:
        groups = [f"d{number:03}.example.com" for number in range(-(-self.services // SERVICES_PER_GROUP))]
        listed = "".join(f"  - {{domain: {group}, active: true, services: ALL}}\n" for group in groups)
        yield (
            "inventory/sslops.yaml",
            (
                "globals: {min_roll_mins: 0}\nrepo: {forge: none}\ngroups:\n"
                f"{listed}  - {{domain: ca, active: true, services: ALL}}\n{self._servers()}"
            ),
        )
        yield "inventory/cas.yaml", CAS
        yield "inventory/known_hosts", "".join(host.known_hosts for host in self.hosts)
        yield "inventory/ca/my-root.yaml", CA.format(name="my-root", signer="self", days=3650)
        yield "inventory/ca/my-sub.yaml", CA.format(name="my-sub", signer="my-root", days=365)
        for number in range(self.services):
            group, name = groups[number // SERVICES_PER_GROUP], f"s{number:03}"
            yield f"inventory/{group}/{name}.yaml", _LEAF.format(name=name, group=group)

    def _servers(self) -> str:
        if not self.hosts:
            return ""
        rows = "".join(
            f"      - {{host: {host.name}, address: {host.address}, port: {host.port}, user: {host.user}, "
            f"prod_cert_dir: {host.prod_cert_dir}}}\n"
            for host in self.hosts
        )
        return f"servers:\n  web:\n    hosts:\n{rows}    restart_cmd: /bin/true\n"
