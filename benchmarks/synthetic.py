"""Synthetic ops repositories of any size and age: as they stand after one cycle, with histories as long as wanted.

    python -m benchmarks.synthetic DIR --services 1000 --hosts 20 --cycles 2

makes `DIR/ops`, a repository in which every verb of sslops runs. Certificates come from an own CA (EC keys). The keys
of leaves are one encrypted document that all of them share, since sops would take minutes for 10,000: everything but
`deploy` and `rekey` runs as it would on keys of their own. `renew --apply` makes real ones.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sslops.inventory.loading import load
from sslops.issue import rules, steps
from sslops.issue.ports import Workshop
from sslops.model.change import Change, Note
from sslops.model.ledger import HostEntry, Ledger, Served
from sslops.model.names import CA_GROUP, ServiceId
from sslops.pki.local_ca import LocalCa
from sslops.pki.stored import StoredFiles
from sslops.repo.git import Git
from sslops.repo.store import OpsRepo
from sslops.roll.rules import rolled_slots
from sslops.secrets.sops import Sops
from tests.world.ops import OpsRepository

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sslops.errors import SopsError
    from sslops.issue.ports import Vault
    from sslops.model.inventory import Inventory
    from sslops.model.secret import Secret
    from sslops.model.state import State
    from sslops.repo.snapshot import Snapshot

SERVICES_PER_GROUP = 100
CYCLE = timedelta(days=45)
FOREVER_DAYS = 36500

CAS = "my-root: {ca_desc: own root, ca_type: self}\nmy-sub: {ca_desc: own intermediate, ca_type: local}\n"
CA = """\
name: {name}
signing_ca: {signer}
key_opts: {{ktype: ec, ec_algo: secp384r1}}
x509: {{CN: {name}, O: Example Company, C: US}}
ca: {{sign_end_days: {days}, digest: sha384}}
"""
_LEAF = """\
name: Service {name}
signing_ca: my-sub
key_opts: {{ktype: ec, ec_algo: secp256r1}}
x509: {{CN: {name}.{group}, O: Example Company, C: US, sans: [{name}.{group}, www.{name}.{group}]}}
"""
_DANE = "dane_tls: [[25, tcp, 3, 1, 1, SANS]]\ndane_tls_ttl: 60\n"


@dataclass(frozen=True)
class Shape:
    """What a synthetic repository is like: sizes, and the number of commits that are about nothing here."""

    services: int
    hosts: int = 0
    has_dane: bool = False
    """Whether each service has one TLSA name."""
    services_per_group: int = SERVICES_PER_GROUP
    cycles: int = 1
    """How often every service was renewed and rolled: 0 leaves everything due."""
    commits: int = 0
    """Unrelated commits on main."""
    days: int = 365
    """How long certificates of leaves last."""

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """The apexes."""
        return tuple(f"d{number:04}.example.com" for number in range(-(-self.services // self.services_per_group)))

    def group_of(self, number: int) -> str:
        """Return the apex of service *number*."""
        return self.groups[number // self.services_per_group]


class SyntheticSite:
    """An ops repository of a given shape below *folder*, without a remote; *dns* is the `dns` part of its inventory."""

    def __init__(self, folder: Path, shape: Shape, dns: str = "", servers: str | None = None) -> None:
        """Build it."""
        self.folder, self.shape = folder, shape
        self._servers = _hosts(shape) if servers is None else servers
        self.world = OpsRepository(folder, dict(self._files(dns)), has_remote=False)
        if shape.commits:
            unrelated(self.world.folder, "main", shape.commits)
            self.world.git("reset", "--quiet", "--hard")
        now = datetime.now(UTC).replace(microsecond=0)
        for cycle in range(shape.cycles):
            self._run_cycle(now - CYCLE * (shape.cycles - 1 - cycle))

    def words(self, *verb: str) -> list[str]:
        """Return the command line that runs a verb here."""
        return [sys.executable, "-m", "sslops", "-C", str(self.world.folder), *verb]

    @cached_property
    def inventory(self) -> Inventory:
        """The inventory on main."""
        return load(self.ops.inventory_files(self.ops.snapshot()))

    @cached_property
    def ops(self) -> OpsRepo:
        """The repository, written as the bot."""
        git = Git.discover(self.world.folder, environ=self.world.environment)
        return OpsRepo(git, load(git.files(git.branch("main") or "", "inventory/")).repo)

    def vault(self, sops: Sops) -> Vault:
        """Return who encrypts keys."""
        return _SharedVault(sops)

    def stage(self, now: datetime) -> Snapshot:
        """Renew every leaf, in one push, onto next."""
        snapshot = self.ops.snapshot()
        leaves = frozenset(service.id for service in self.inventory.active() if not service.is_ca)
        wanted = None if not snapshot.branches.next.services else leaves
        changes = self._renewed(snapshot.branches.next, wanted, now)
        return self.ops.write_next(snapshot, changes)

    def _run_cycle(self, now: datetime) -> None:
        snapshot = self.stage(now)
        rolled = [
            Change("roll", service, str(entry.slots.next), "A synthetic roll.", rolled_slots(entry.slots, now))
            for service, entry in sorted(snapshot.branches.next.services.items())
            if entry.slots.next is not None
        ]
        snapshot = self.ops.write_roll(snapshot, rolled)
        if self.shape.hosts:
            note = Note("deploy", "synthetic hosts", "As if every host served what is live.")
            self.ops.write_ledger(snapshot, self._served(snapshot, now), note)

    def _renewed(self, state: State, wanted: frozenset[ServiceId] | None, now: datetime) -> Sequence[Change]:
        options = rules.RenewOptions(targets=wanted, force=True)
        plan = rules.plan(self.inventory, self.ops.snapshot().branches, now, options)
        config = (self.world.folder / ".sops.yaml").read_text(encoding="utf-8")
        vault = self.vault(Sops(config, environ=self.world.environment))
        workshop = Workshop(LocalCa(), vault, StoredFiles(self.ops, self.ops.snapshot()))
        made = steps.renew(plan, self.inventory, state, now, workshop)
        if made.failures:
            raise made.failures[0].error
        return made.changes

    def _served(self, snapshot: Snapshot, now: datetime) -> Ledger:
        live = {
            service: Served((entry.slots.curr,), now, "files")
            for service, entry in snapshot.branches.main.services.items()
            if service.group != CA_GROUP and entry.slots.curr is not None
        }
        hosts = {
            name: HostEntry(1, {service: live[service] for service in map(self._id, _numbers_of(host, self.shape))})
            for host, name in enumerate(_host_names(self.shape))
        }
        return replace(snapshot.ledger, hosts=hosts)

    def _id(self, number: int) -> ServiceId:
        return ServiceId(self.shape.group_of(number), f"s{number:05}")

    def _files(self, dns: str) -> Iterator[tuple[str, str]]:
        listed = "".join(f"  - {{domain: {group}, active: true, services: ALL}}\n" for group in self.shape.groups)
        yield (
            "inventory/sslops.yaml",
            (
                "globals: {min_roll_mins: 0}\nrepo: {forge: none}\ngroups:\n"
                f"{listed}  - {{domain: ca, active: true, services: ALL}}\n{self._servers}{dns}"
            ),
        )
        yield "inventory/cas.yaml", CAS
        yield "inventory/known_hosts", ""
        yield "inventory/ca/my-root.yaml", CA.format(name="my-root", signer="self", days=FOREVER_DAYS)
        yield "inventory/ca/my-sub.yaml", CA.format(name="my-sub", signer="my-root", days=self.shape.days)
        for number in range(self.shape.services):
            name, group = f"s{number:05}", self.shape.group_of(number)
            text = _LEAF.format(name=name, group=group) + (_DANE if self.shape.has_dane else "")
            yield f"inventory/{group}/{name}.yaml", text


class _SharedVault:
    """Encrypts the keys of CAs for real, and gives all leaves one document."""

    def __init__(self, sops: Sops) -> None:
        self._sops = sops
        self._document: bytes | None = None

    def encrypt_many(self, items: Iterable[tuple[str, Secret]]) -> tuple[bytes | SopsError, ...]:
        """Encrypt each (path, secret)."""
        return tuple(self._encrypted(path, secret) for path, secret in items)

    def _encrypted(self, path: str, secret: Secret) -> bytes:
        if path.startswith(f"state/{CA_GROUP}/"):
            return self._sops.encrypt(path, secret)
        if self._document is None:
            self._document = self._sops.encrypt(path, secret)
        return self._document

    def decrypt(self, path: str, document: bytes) -> Secret:
        """Open a document."""
        return self._sops.decrypt(path, document)


def _host_names(shape: Shape) -> tuple[str, ...]:
    return tuple(f"h{number:04}.internal.example.com" for number in range(shape.hosts))


def _numbers_of(host: int, shape: Shape) -> range:
    """Return the services of one host: the hosts share them out, evenly."""
    return range(host, shape.services, shape.hosts)


def _hosts(shape: Shape) -> str:
    """Write one class for each host, which names its services one by one."""
    if not shape.hosts:
        return ""
    rows = "servers:\n"
    for host, name in enumerate(_host_names(shape)):
        by_group: dict[str, list[str]] = {}
        for number in _numbers_of(host, shape):
            by_group.setdefault(shape.group_of(number), []).append(f"s{number:05}")
        pairs = ", ".join(f"[{group}, [{', '.join(names)}]]" for group, names in by_group.items())
        rows += f"  web{host:04}: {{hosts: [{name}], restart_cmd: /bin/true, svc_depends: [{pairs}]}}\n"
    return rows


def unrelated(repository: Path, branch: str, commits: int) -> None:
    """Put *commits* commits on *branch* that change a file of nobody's, by one fast-import."""
    ref = f"refs/heads/{branch}"
    parts = []
    for number in range(commits):
        content = f"{number}\n"
        parts.append(
            f"commit {ref}\ncommitter someone <someone@example.com> now\ndata 4\nedit\n"
            + (f"from {ref}^0\n" if number == 0 else "")
            + f"M 100644 inline other/file-{number % 50}\ndata {len(content)}\n{content}\n"
        )
    words = ["git", "-C", str(repository), "fast-import", "--quiet", "--date-format=now", "--force"]
    subprocess.run(words, input="".join(parts).encode(), check=True)


def main() -> None:
    """Make one repository from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--hosts", type=int, default=0)
    parser.add_argument("--cycles", type=int, default=1)
    parser.add_argument("--commits", type=int, default=0)
    parser.add_argument("--services-per-group", type=int, default=SERVICES_PER_GROUP)
    given = parser.parse_args()
    shape = Shape(
        given.services,
        hosts=given.hosts,
        services_per_group=given.services_per_group,
        cycles=given.cycles,
        commits=given.commits,
    )
    site = SyntheticSite(given.folder, shape)
    print(f"{site.world.folder}\nexport XDG_CONFIG_HOME={site.world.environment['XDG_CONFIG_HOME']}")


if __name__ == "__main__":
    main()
