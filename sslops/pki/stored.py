"""Certificates and keys as they are stored in the ops repository, for the stages that issue and deploy."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sslops.errors import SslopsError, StateError
from sslops.model.shipment import ServiceFiles
from sslops.repo.state_files import PRIVKEY, generation_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sslops.dane.records import Material
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.secret import Secret
    from sslops.model.state import Generation
    from sslops.pki.integrity import CertificateJudge
    from sslops.repo.snapshot import Snapshot
    from sslops.repo.state_trees import GenerationDocuments
    from sslops.repo.store import OpsRepo
    from sslops.secrets.sops import Sops


Version = tuple["ServiceId", "GenerationId"]


@dataclass(frozen=True, slots=True)
class StoredFiles:
    """The files of generations as the branch `next` has them, one at a time."""

    ops: OpsRepo
    snapshot: Snapshot

    def read(self, service: ServiceId, generation: GenerationId, name: str) -> bytes | None:
        """Return one file; null when there is none."""
        commit = self.snapshot.next_commit or self.snapshot.main_commit
        return self.ops.read(commit, generation_path(service, generation, name))


@dataclass(frozen=True, slots=True)
class StoredVault:
    """The files and keys of many generations at once; *tlsa_rr* tells the records of one as zone text.

    *judge* looks at each certificate again before it is sent (null: nobody does).
    """

    ops: OpsRepo
    sops: Sops
    tlsa_rr: Callable[[ServiceId, GenerationId], bytes]
    judge: CertificateJudge | None = None

    def files(self, snapshot: Snapshot, wanted: Sequence[Version]) -> Mapping[Version, ServiceFiles | SslopsError]:
        """Return the public files of each of *wanted*; one that lacks a file, or must not be sent, is its error."""
        unfit = self._unfit(snapshot, wanted)
        found: dict[Version, ServiceFiles | SslopsError] = {}
        for version, documents in self.ops.documents(snapshot, wanted).items():
            if documents.csr is None or documents.cert is None or documents.chain is None:
                found[version] = _incomplete(version)
            elif version in unfit:
                found[version] = unfit[version]
            else:
                rr = self.tlsa_rr(*version)
                found[version] = ServiceFiles(documents.csr, documents.cert, documents.chain, rr)
        return found

    def _unfit(self, snapshot: Snapshot, wanted: Iterable[Version]) -> Mapping[Version, StateError]:
        states = snapshot.branches.main
        known = [(service, facts) for service, key in wanted if (facts := states[service].at(key)) is not None]
        found = self.judge.unfit(known) if self.judge is not None and known else {}
        hint = "sslops renew --force, then sslops roll; or sslops roll --back"
        return {
            version: StateError(f"the certificate of '{version[0]}' {version[1]} is sent nowhere: {words}", hint=hint)
            for version, words in found.items()
        }

    def keys(self, snapshot: Snapshot, wanted: Sequence[Version]) -> Mapping[Version, Secret | SslopsError]:
        """Decrypt the keys of *wanted* in parallel; one that cannot be decrypted, or is another's, is its error."""
        from sslops.pki.certificate import matched

        documents = self.ops.documents(snapshot, wanted)
        stored = [(version, found.privkey_sops) for version, found in documents.items() if found.privkey_sops]
        opened = self.sops.decrypt_many([(generation_path(*version, PRIVKEY), content) for version, content in stored])
        found: dict[Version, Secret | SslopsError] = {version: _incomplete(version) for version in wanted}
        for (version, _), key in zip(stored, opened, strict=True):
            service, generation = version
            found[version] = matched(service, generation, snapshot.branches.main[service].at(generation), key)
        return found


@dataclass(frozen=True)
class StoredMaterial(Mapping[Version, "Material"]):
    """Keys and certificates of every generation in DER; nothing is read before the first question.

    A generation whose files do not fit its public facts has no entry, as if it were not there.
    """

    ops: OpsRepo
    snapshot: Snapshot

    def __getitem__(self, version: Version) -> Material:
        """Return one generation's; KeyError when its files cannot be read, or are not about its key."""
        from sslops.pki.certificate import material

        found, facts = self._documents.get(version), self._facts.get(version)
        if found is None or facts is None or found.csr is None:
            raise KeyError(version)
        try:
            made = material(found.csr, found.cert, found.chain)
        except SslopsError as error:
            raise KeyError(version) from error
        issued = None if facts.issued is None else facts.issued.cert_sha256
        is_whole = made.cert is None or hashlib.sha256(made.cert).hexdigest() == issued
        if hashlib.sha256(made.spki).hexdigest() != facts.spki_sha256 or not is_whole:
            raise KeyError(version)
        return made

    def __iter__(self) -> Iterator[Version]:
        """Iterate over all generations that either branch knows."""
        return iter(self._facts)

    def __len__(self) -> int:
        """Count them."""
        return len(self._facts)

    @cached_property
    def _facts(self) -> Mapping[Version, Generation]:
        from sslops.dane.records import Keys

        return Keys.of(self.snapshot.branches).generations

    @cached_property
    def _documents(self) -> Mapping[Version, GenerationDocuments]:
        return self.ops.documents(self.snapshot, self._facts)


def _incomplete(version: Version) -> StateError:
    service, generation = version
    return StateError(f"generation '{generation}' of '{service}' lacks a file", hint="sslops check")
