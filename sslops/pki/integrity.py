"""Is what lies in `state/` what it claims to be? Asked before anything rests on it (design section 9).

Facts are computed from the certificate and the CSR beside them, a key belongs to one service, and a certificate is
judged again before it is rolled or sent: whoever may push to `next` could have written any of it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sslops.errors import Location, SslopsError, StateError, bugs_of
from sslops.model.names import CA_GROUP, GenerationId, ServiceId
from sslops.pki import certificate
from sslops.pki.request import request_in
from sslops.repo.state_files import CERT, CSR, FACTS, generation_path, slots_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from sslops.model.inventory import Inventory, Service
    from sslops.model.state import Generation, State
    from sslops.repo.snapshot import Snapshot
    from sslops.repo.state_trees import GenerationDocuments
    from sslops.repo.store import OpsRepo

    Version = tuple[ServiceId, GenerationId]


CACHE = "facts"
"""The file in our private folder of the git directory that remembers which facts were found right."""


def contradictions(generation: Generation, csr: bytes | None, cert: bytes | None) -> Iterator[tuple[str, str]]:
    """Yield each file of a generation that contradicts its facts, and how; null: there is no such file."""
    if not generation.id.endswith(f"-{generation.spki_sha256[:4]}"):
        yield FACTS, f"'{generation.id}' is not named after its key's hash"
    if csr is not None:
        yield from ((CSR, words) for words in _csr_contradictions(generation, csr))
    if cert is not None:
        yield from ((CERT, words) for words in _cert_contradictions(generation, cert))


def _csr_contradictions(generation: Generation, csr: bytes) -> Iterator[str]:
    try:
        facts = certificate.read_csr(csr)
    except StateError as fault:
        yield fault.what
        return
    if facts.spki_sha256 != generation.spki_sha256:
        yield f"the CSR of '{generation.id}' is for another key than '{FACTS}' says"
    elif (facts.key_type, facts.key_size) != (generation.key_type, generation.key_size):
        kind, told = f"{facts.key_type} {facts.key_size}", f"{generation.key_type} {generation.key_size}"
        yield f"the key of '{generation.id}' is '{kind.strip()}', and '{FACTS}' says '{told.strip()}'"


def _cert_contradictions(generation: Generation, cert: bytes) -> Iterator[str]:
    try:
        facts = certificate.read_certificate(cert)
    except StateError as fault:
        yield fault.what
        return
    if facts.spki_sha256 != generation.spki_sha256:
        yield f"the certificate of '{generation.id}' is for another key than '{FACTS}' says"
    issued = generation.issued
    if issued is None:
        yield f"'{generation.id}' has a certificate and is not issued"
        return
    names = ("serial", "issuer", "not_before", "not_after", "cert_sha256")
    shown = {name: (getattr(facts, name), getattr(issued, name)) for name in names}
    shown["sans"] = (sorted(facts.sans), sorted(issued.sans))
    for name, (is_so, told) in shown.items():
        if is_so != told:
            yield f"'{name}' of the certificate is '{is_so}', and '{FACTS}' says '{told}'"


# Every generation of both branches.


def faults(ops: OpsRepo, snapshot: Snapshot, *, remembers: bool) -> tuple[StateError, ...]:
    """Return what contradicts itself in `state/` of main and next, each with file and commit.

    What was found right is known by the hashes of its files; with *remembers* the next run knows it too.
    """
    return (
        *_missing(ops, snapshot),
        *_wrong_facts(ops, snapshot, remembers=remembers),
        *_shared_keys(ops, snapshot),
    )


def _missing(ops: OpsRepo, snapshot: Snapshot) -> Iterator[StateError]:
    """Yield a fault for each slot with a generation that neither branch has: a revert brought back only its name."""
    main, following = snapshot.branches.main, snapshot.branches.next
    for commit, state in ((snapshot.main_commit, main), (snapshot.next_commit, following)):
        if commit is None or (state is following and snapshot.next_commit == snapshot.main_commit):
            continue
        for service, entry in state.services.items():
            for slot, key in (("curr", entry.slots.curr), ("next", entry.slots.next)):
                if key is not None and main[service].at(key) is None and following[service].at(key) is None:
                    words = f"slot '{slot}' of '{service}' names '{key}', which does not exist"
                    yield _fault(ops, commit, slots_path(service), words)


@dataclass(frozen=True, slots=True)
class _Claim:
    """One generation as one branch has it, and the hashes of its files (null: there is none)."""

    commit: str
    service: ServiceId
    generation: Generation
    facts: str | None
    csr: str | None
    cert: str | None

    @property
    def name(self) -> str:
        """The same for equal files, so that they need to be looked at only once."""
        words = (str(self.service), self.generation.id, self.facts, self.csr, self.cert)
        return hashlib.sha256(" ".join(map(str, words)).encode()).hexdigest()


def _claims(ops: OpsRepo, snapshot: Snapshot) -> Iterator[_Claim]:
    branches, seen = snapshot.branches, set[int]()
    for commit, state in ((snapshot.main_commit, branches.main), (snapshot.next_commit, branches.next)):
        tree = ops.tree(commit) if commit is not None else {}
        for service, entry in state.services.items():
            for key, generation in entry.generations.items():
                path = generation_path(service, key, FACTS)
                if commit is None or path not in tree or id(generation) in seen:
                    continue
                seen.add(id(generation))
                csr, cert = (tree.get(generation_path(service, key, name)) for name in (CSR, CERT))
                yield _Claim(commit, service, generation, tree[path], csr, cert)


def _wrong_facts(ops: OpsRepo, snapshot: Snapshot, *, remembers: bool) -> Iterator[StateError]:
    cache = ops.git.private_dir / CACHE
    known = _remembered(cache)
    claims = {claim.name: claim for claim in _claims(ops, snapshot)}
    fresh = [claim for name, claim in claims.items() if name not in known]
    contents = ops.git.blobs(sha for claim in fresh for sha in (claim.csr, claim.cert) if sha is not None)
    wrong = set()
    for claim in fresh:
        csr, cert = (None if sha is None else contents[sha] for sha in (claim.csr, claim.cert))
        for name, words in contradictions(claim.generation, csr, cert):
            wrong.add(claim.name)
            yield _fault(ops, claim.commit, generation_path(claim.service, claim.generation.id, name), words)
    if remembers and fresh and not wrong:
        _remember(cache, claims)


def _remembered(cache: Path) -> frozenset[str]:
    return frozenset(cache.read_text(encoding="ascii").split()) if cache.exists() else frozenset()


def _remember(cache: Path, names: Iterable[str]) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    draft = cache.with_suffix(".new")
    draft.write_text("".join(f"{name}\n" for name in names), encoding="ascii")
    draft.replace(cache)


def _shared_keys(ops: OpsRepo, snapshot: Snapshot) -> Iterator[StateError]:
    """Yield a fault for each generation whose key is another service's: its document was copied, to be sent elsewhere.

    Whose it is tells main, else the first commit that had it.
    """
    owners: dict[str, set[ServiceId]] = {}
    for state in (snapshot.branches.main, snapshot.branches.next):
        for service, entry in state.services.items():
            for generation in entry.generations.values():
                owners.setdefault(generation.spki_sha256, set()).add(service)
    for spki, services in owners.items():
        if len(services) > 1:
            owner = _first_owner(ops, snapshot, spki, services)
            yield from _copies(ops, snapshot, spki, owner, services - {owner})


def _copies(
    ops: OpsRepo, snapshot: Snapshot, spki: str, owner: ServiceId, others: Iterable[ServiceId]
) -> Iterator[StateError]:
    for service in sorted(others):
        for key in sorted(_with_key(snapshot.branches.next, service, spki)):
            commit = snapshot.next_commit or snapshot.main_commit
            words = f"generation '{key}' of '{service}' has a key of '{owner}', and a key belongs to one service"
            yield _fault(ops, commit, generation_path(service, key, CSR), words)


def _with_key(state: State, service: ServiceId, spki: str) -> list[GenerationId]:
    return [key for key, each in state[service].generations.items() if each.spki_sha256 == spki]


def _first_owner(ops: OpsRepo, snapshot: Snapshot, spki: str, services: set[ServiceId]) -> ServiceId:
    on_main = [service for service in services if _with_key(snapshot.branches.main, service, spki)]
    if len(on_main) == 1:
        return on_main[0]
    commit = snapshot.main_commit if on_main else snapshot.next_commit or snapshot.main_commit
    paths = {
        generation_path(service, key, CSR): service
        for service in services
        for key in _with_key(snapshot.branches.next, service, spki)
    }
    changes = ops.git.changes(commit, list(paths))
    return next((paths[each.path] for each in changes if each.blob is not None), min(services))


def _fault(ops: OpsRepo, commit: str, path: str, words: str) -> StateError:
    wrote = ops.git.last_change(commit, path)
    what = f"{words}: commit {wrote[:10]} wrote '{path}'"
    return StateError(what, where=Location(path, 1, 1), hint=f"git show {wrote[:10]} -- {path}, and restore the file")


# One certificate, before it is rolled or sent.


@dataclass(frozen=True)
class CertificateJudge:
    """Says whether a certificate is one that renew would have stored: by *snapshot*, under main's *inventory*, *now*.

    *former_inventories* gives the inventories that main had since a moment, newest first: what a certificate names may
    have been asked for when it was issued, and not any more.
    """

    ops: OpsRepo
    snapshot: Snapshot
    inventory: Inventory
    now: datetime
    former_inventories: Callable[[datetime], Iterable[Inventory]]
    _documents: dict[Version, GenerationDocuments] = field(default_factory=dict, repr=False)

    def unfit(self, candidates: Iterable[tuple[ServiceId, Generation]]) -> Mapping[Version, str]:
        """Return why some of *candidates* must be neither rolled nor sent; the others are left out.

        All are read at once, and their signers with them.
        """
        wanted = {(service, generation.id): generation for service, generation in candidates}
        documents = self.ops.documents(self.snapshot, [*wanted, *self._signers(wanted.values())])
        self._documents.update(documents)
        found = {}
        for version, generation in wanted.items():
            try:
                with bugs_of(f"the certificate of {version[0]}"):
                    words = "; ".join(self._faults(version[0], generation, documents[version]))
            except SslopsError as error:
                words = error.what
            if words:
                found[version] = words
        return found

    def _signers(self, generations: Iterable[Generation]) -> set[Version]:
        return {
            (ServiceId(CA_GROUP, each.ca), GenerationId(each.issued.signer))
            for each in generations
            if each.issued is not None and each.issued.signer is not None
        }

    def _faults(self, service: ServiceId, generation: Generation, found: GenerationDocuments) -> Iterator[str]:
        if found.csr is None or found.cert is None or found.chain is None or generation.issued is None:
            yield "it lacks a file"
            return
        yield from (words for _, words in contradictions(generation, found.csr, found.cert))
        yield from certificate.chain_faults(found.cert, found.chain)
        facts, asked = certificate.read_certificate(found.cert), certificate.read_csr(found.csr)
        path, anchor = self._path(service, generation, found.cert, found.chain)
        yield from certificate.faults(
            found.cert, path, anchor, spki_sha256=asked.spki_sha256, sans=asked.sans, now=self.now
        )
        wish = self._wish(service, facts.sans, generation)
        if wish is None:
            names = ", ".join(f"'{name}'" for name in sorted(facts.sans)) or "nothing"
            yield f"the inventory never asked '{generation.ca}' for a certificate of '{service}' that names {names}"
        elif not wish.is_ca:
            yield from certificate.leaf_faults(found.cert, wish.eku)
        elif not facts.is_ca:
            yield f"'{service}' is a CA, and its certificate is not"

    def _wish(self, service: ServiceId, sans: Iterable[str], generation: Generation) -> Service | None:
        """Return the service as the inventory asked for it of that CA, now or since the generation was made."""

        def asked_for(inventory: Inventory) -> Service | None:
            known = inventory.services.get(service)
            if known is None or known.signing_ca != generation.ca:
                return None
            return known if certificate.same_names(sans, request_in(inventory, known).sans) else None

        present = asked_for(self.inventory)
        if present is not None:
            return present
        former = (asked_for(each) for each in self.former_inventories(generation.created_at))
        return next((each for each in former if each is not None), None)

    def _path(self, service: ServiceId, generation: Generation, cert: bytes, chain: bytes) -> tuple[bytes, bytes]:
        """Return what leads from the certificate to its anchor, and the anchor: the root of ours, or what ACME gave."""
        certs = certificate.split_chain(chain)
        signer = generation.issued.signer if generation.issued else None
        if signer is None:
            is_root = service.group == CA_GROUP and not certs
            if not is_root and not certs:
                message = "it has no chain"
                raise StateError(message)
            return (b"", cert) if is_root else (b"".join(certs[:-1]), certs[-1])
        own = self._signer(ServiceId(CA_GROUP, generation.ca), GenerationId(signer))
        if certs and certificate.certificate_der(certs[0]) != certificate.certificate_der(own):
            message = f"its chain does not begin with '{CA_GROUP}/{generation.ca}' {signer}, which is to have signed it"
            raise StateError(message)
        return chain, self._root(ServiceId(CA_GROUP, generation.ca), GenerationId(signer))

    def _root(self, ca: ServiceId, key: GenerationId) -> bytes:
        above, seen = self._facts(ca, key), {(ca, key)}
        while above.issued is not None and above.issued.signer is not None:
            ca, key = ServiceId(CA_GROUP, above.ca), GenerationId(above.issued.signer)
            if (ca, key) in seen:
                break
            seen.add((ca, key))
            above = self._facts(ca, key)
        return self._signer(ca, key)

    def _facts(self, ca: ServiceId, key: GenerationId) -> Generation:
        branches = self.snapshot.branches
        found = branches.main[ca].at(key) or branches.next[ca].at(key)
        if found is None:
            message = f"'{ca}' {key}, which is to have signed it, is not there"
            raise StateError(message)
        return found

    def _signer(self, ca: ServiceId, key: GenerationId) -> bytes:
        self._facts(ca, key)
        if (ca, key) not in self._documents:
            self._documents.update(self.ops.documents(self.snapshot, [(ca, key)]))
        cert = self._documents[ca, key].cert
        if cert is None:
            message = f"'{ca}' {key}, which is to have signed it, has no certificate"
            raise StateError(message)
        return cert
