"""How rekey does it: open and encrypt in memory, then one commit on next with all that could be opened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from sslops.errors import SopsError
from sslops.model.change import BulkChange
from sslops.model.plan import Plan, digest, require
from sslops.rekey import rewraps
from sslops.repo.state_files import STATE
from sslops.secrets.recipients import read_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sslops.model.secret import Secret
    from sslops.rekey.rewraps import Rewrap
    from sslops.repo.snapshot import Snapshot


class Ops(Protocol):
    """The ops repository."""

    def tree(self, commit: str) -> Mapping[str, str]:
        """Return path to blob hash of what *commit* has below `state/`."""
        ...

    def write_next(self, snapshot: Snapshot, changes: Sequence[BulkChange]) -> Snapshot:
        """Commit *changes* on `next`; must raise Moved when next is not what *snapshot* has."""
        ...


class Vault(Protocol):
    """Who opens and encrypts documents, in memory only."""

    def decrypt_many(self, items: Iterable[tuple[str, bytes]]) -> tuple[Secret | SopsError, ...]:
        """Open each (path, document), in order; one that fails must give its error and stop no other."""
        ...

    def encrypt_many(self, items: Iterable[tuple[str, Secret]]) -> tuple[bytes | SopsError, ...]:
        """Encrypt each (path, secret) to whom `.sops.yaml` asks for, likewise."""
        ...


@dataclass(slots=True)
class Rekeyer:
    """Wraps documents anew; *config* is the text of `.sops.yaml` on main, *blobs* returns contents by hash."""

    ops: Ops
    vault: Vault
    config: str
    blobs: Callable[[Iterable[str]], Mapping[str, bytes]]
    tell: Callable[[str], None] = lambda _: None
    failures: list[SopsError] = field(default_factory=list)

    def plan(self, snapshot: Snapshot) -> Plan:
        """Return what rekey would do; says what who leaves can still read."""
        found = rewraps.rewraps(self._documents(snapshot), read_rules(self.config))
        self._tell(found, snapshot)
        return rewraps.plan(found)

    def rekey(self, snapshot: Snapshot, expected_digest: str | None = None) -> Plan:
        """Rekey what opens here; `failures` has the rest. Moved when another run was faster."""
        documents = self._documents(snapshot)
        found = rewraps.rewraps(documents, read_rules(self.config))
        plan = rewraps.plan(found)
        require(plan, expected_digest)
        self._tell(found, snapshot)
        self.failures.clear()
        written = self._rewrapped({each.path: documents[each.path] for each in found})
        if written:
            self.ops.write_next(snapshot, [_commit(found, written, digest(plan))])
        return rewraps.plan(each for each in found if each.path in written)

    def _rewrapped(self, documents: Mapping[str, bytes]) -> dict[str, bytes]:
        opened = dict(zip(documents, self.vault.decrypt_many(documents.items()), strict=True))
        self.failures += [each for each in opened.values() if isinstance(each, SopsError)]
        secrets = {path: each for path, each in opened.items() if not isinstance(each, SopsError)}
        if not secrets:
            return {}
        wrapped = dict(zip(secrets, self.vault.encrypt_many(secrets.items()), strict=True))
        self.failures += [each for each in wrapped.values() if isinstance(each, SopsError)]
        return {path: each for path, each in wrapped.items() if not isinstance(each, SopsError)}

    def _documents(self, snapshot: Snapshot) -> dict[str, bytes]:
        tree = self.ops.tree(snapshot.next_commit or snapshot.main_commit)
        hashes = {path: sha for path, sha in tree.items() if path.startswith(f"{STATE}/") and path.endswith(".sops")}
        contents = self.blobs(sorted(set(hashes.values())))
        return {path: contents[sha] for path, sha in hashes.items()}

    def _tell(self, found: Sequence[Rewrap], snapshot: Snapshot) -> None:
        for line in rewraps.still_readable(found, snapshot.branches):
            self.tell(line)


def _commit(found: Sequence[Rewrap], written: Mapping[str, bytes], plan: str) -> BulkChange:
    done = [each for each in found if each.path in written]
    joining = ", ".join(sorted({who for each in done for who in each.joining}))
    leaving = ", ".join(sorted({who for each in done for who in each.leaving}))
    parts = [f"{word}: {who}" for word, who in (("joined", joining), ("left", leaving)) if who]
    why = f"'.sops.yaml' asks for other recipients ({'; '.join(parts)}). The keys are the same."
    title = f"{len(done)} document{'' if len(done) == 1 else 's'} for the recipients of .sops.yaml"
    return BulkChange("rekey", title, why, documents=written, plan=plan)
