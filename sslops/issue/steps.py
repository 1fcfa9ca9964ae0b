"""How one step is carried out: a key and a CSR, or a certificate for them, as a draft in memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from sslops.errors import SslopsError, StateError, bugs_of
from sslops.issue.own_cas import KEY_FILE, Draft, OwnCas, SignedBy
from sslops.issue.rules import (
    ASKED,
    RenewReason,
    What,
    blocked_since,
    ends_no_later,
    is_alarming,
    is_root,
    newest,
    renewal_time,
    signers_above,
    signing_generation,
)
from sslops.model.cause import Cause
from sslops.model.change import Change, GenerationFiles
from sslops.model.names import ServiceId, format_time, generation_id
from sslops.model.plan import Obstacle, Verb, Wait
from sslops.model.state import Generation, Issued, Status
from sslops.pki import certificate
from sslops.pki.lifetime import validity
from sslops.pki.request import key_size, request_in, request_sha256
from sslops.system.progress import NOBODY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sslops.errors import SopsError
    from sslops.issue.own_cas import OpenCa
    from sslops.issue.ports import Workshop
    from sslops.model.certificates import Request
    from sslops.model.inventory import Inventory, Service
    from sslops.model.names import GenerationId
    from sslops.model.plan import Action, Hazard, Plan
    from sslops.model.secret import Secret
    from sslops.model.state import Slots, State
    from sslops.system.progress import Talk, Task


class Drafter:
    """Makes the drafts of one run; it must be given signers before those they sign for."""

    def __init__(self, inventory: Inventory, state: State, now: datetime, workshop: Workshop, said: str = "") -> None:
        """Take what the branch `next` has, and with whom to work; *said* is the reason a person gave for the run."""
        self._inventory, self._state, self._now, self._said = inventory, state, now, said
        self._maker, self._files = workshop.maker, workshop.files
        self._cas = OwnCas(inventory, state, now, workshop)

    def draft(self, action: Action) -> Draft | Obstacle:
        """Return what *action* makes, or what it waits for; SslopsError when it failed."""
        service = self._inventory.services[ServiceId(action.group, action.service)]
        keyed = self.keyed(action)
        if not What(action.what).signs:
            return keyed
        signed = self._self_signed(keyed) if is_root(self._inventory, service) else self._signed(keyed)
        if isinstance(signed, Draft) and service.is_ca:
            self._cas.add(signed)
        return signed

    def keyed(self, action: Action) -> Draft:
        """Return the draft with its key and CSR: new ones, or those of the generation that the action names."""
        service = self._inventory.services[ServiceId(action.group, action.service)]
        if action.generation is None:
            return self._with_new_key(action, service)
        source = self._state[service.id].generations.get(action.generation)
        if source is None:
            message = f"'{service.id}' has no generation '{action.generation}'"
            raise StateError(message, hint="sslops check")
        csr = self._file(service.id, source.id, "csr.pem")
        if action.what in {What.RESUME, What.ISSUE}:
            return Draft(action, service, self._gone_on(action, service, source), csr=csr)
        generation = replace(
            self._new_generation(action, service, source.spki_sha256),
            csr_sha256=source.csr_sha256,
            reused_from=source.id,
        )
        return Draft(action, service, generation, csr=csr, document=self._file(service.id, source.id, KEY_FILE))

    def _gone_on(self, action: Action, service: Service, source: Generation) -> Generation:
        """Return the staged generation as it is gone on with: its order as it is, or before a new one."""
        generation = replace(source, said=self._words(action, source))
        if action.what == What.RESUME:
            return generation
        return replace(
            generation,
            status=Status.KEYED,
            ca=service.signing_ca,
            directory=self._directory(service),
            reason=action.reason,
            order=None,
            failure=None,
        )

    def _directory(self, service: Service) -> str | None:
        """Return the ACME server that signs *service*; null for an own CA."""
        ca = self._inventory.acme_ca(service)
        return None if ca is None else ca.directory

    def _with_new_key(self, action: Action, service: Service) -> Draft:
        made = self._maker.make_key(service.key)
        csr = self._maker.make_csr(request_in(self._inventory, service), made.private)
        return Draft(
            action, service, self._new_generation(action, service, made.spki_sha256), csr=csr, key=made.private
        )

    def _new_generation(self, action: Action, service: Service, spki_sha256: str) -> Generation:
        created_at = _free_moment(self._now, spki_sha256, self._state[service.id].generations)
        return Generation(
            id=generation_id(created_at, spki_sha256),
            status=Status.KEYED,
            created_at=created_at,
            ca=service.signing_ca,
            directory=self._directory(service),
            profile=None,
            reason=action.reason,
            said=self._words(action),
            reused_from=None,
            key_type=service.key.ktype,
            key_size=key_size(service.key),
            spki_sha256=spki_sha256,
            csr_sha256=request_sha256(request_in(self._inventory, service)),
        )

    def _words(self, action: Action, begun: Generation | None = None) -> str | None:
        """Return why a person asked for *action*; who goes on with what was *begun* for that reason keeps the words."""
        if action.reason not in ASKED:
            return None
        kept = begun.said if begun is not None and begun.reason == action.reason else None
        return self._said or kept

    def _signed(self, draft: Draft) -> Draft | Obstacle:
        """Let the signer sign; what it signed is looked at before it counts."""
        signer = self._inventory.signer_of(draft.service)
        if signer is None:
            return Obstacle("signer", f"no own CA '{draft.service.signing_ca}' in the inventory", Cause.SIGNER)
        ca = self._cas.opened(signer)
        if isinstance(ca, Obstacle):
            return ca
        if draft.action.reason == RenewReason.DUE and not self._would_last_longer(draft.service, ca):
            return Obstacle("signer", ends_no_later(ca.service, ca.validity.not_after), Cause.SIGNER)
        request = request_in(self._inventory, draft.service)
        cert = ca.signer.sign(request, _csr(draft), validity(self._now, ca.sign_end_days, ca.validity))
        signed_by = SignedBy(ca.service, ca.generation)
        signed = replace(draft, cert=cert, chain=ca.chain, signed_by=signed_by)
        # Above the signer all was examined when it was opened; only a CA can exceed a path length further up.
        return self._issued(signed, request, *((ca.chain, ca.root) if request.is_ca else (b"", ca.cert)))

    def _would_last_longer(self, service: Service, ca: OpenCa) -> bool:
        present = newest(self._state[service.id])
        return present is None or present.issued is None or present.issued.not_after < ca.validity.not_after

    def _self_signed(self, draft: Draft) -> Draft | Obstacle:
        """Make a root: its chain is empty, and nobody who cannot open the present one's key replaces it."""
        key = self._root_key(draft)
        if isinstance(key, Obstacle):
            return key
        ca, request = draft.service.ca, request_in(self._inventory, draft.service)
        if ca is None:
            message = f"'{draft.service.id}' has no 'ca' section"
            raise StateError(message, hint="sslops check")
        time = validity(self._now, ca.end_days or 2 * ca.sign_end_days)
        cert = self._maker.self_sign(request, key, time, ca.digest)
        return self._issued(replace(draft, cert=cert, chain=b""), request, b"", cert)

    def _root_key(self, draft: Draft) -> Secret | Obstacle:
        present = signing_generation(self._state[draft.service.id])
        source = draft.generation.reused_from or (present.id if present is not None else None)
        opened = self._cas.key(draft.service.id, source) if source is not None else None
        if isinstance(opened, Obstacle):
            return opened
        if draft.key is not None:
            return draft.key
        return opened if opened is not None else self._cas.key(draft.service.id, draft.generation.id)

    def _issued(self, draft: Draft, request: Request, path: bytes, anchor: bytes) -> Draft:
        """Let a certificate count after a look at it, along *path* up to *anchor*."""
        cert, generation = draft.cert or b"", draft.generation
        signer = draft.signed_by.generation if draft.signed_by is not None else None
        issued = looked_at(cert, path, anchor, generation, request, self._now, signer)
        return replace(draft, generation=replace(generation, status=Status.ISSUED, issued=issued))

    def _file(self, service: ServiceId, generation: GenerationId, name: str) -> bytes:
        content = self._files.read(service, generation, name)
        if content is None:
            message = f"'state/{service}/{generation}/{name}' is not there"
            raise StateError(message, hint="sslops check")
        return content


def looked_at(
    cert: bytes,
    path: bytes,
    anchor: bytes,
    generation: Generation,
    request: Request,
    now: datetime,
    signer: GenerationId | None = None,
    *,
    lives: tuple[timedelta, timedelta] | None = None,
) -> Issued:
    """Return the facts of a certificate that *path* leads to *anchor*; StateError when it is not what was asked for.

    *lives* is how long it has to be valid at the least and at the most.
    """
    found = certificate.faults(cert, path, anchor, spki_sha256=generation.spki_sha256, sans=request.sans, now=now)
    if not request.is_ca:
        found += certificate.leaf_faults(cert, request.eku, lives)
    if found:
        message = f"the new certificate '{generation.id}' is not used: {'; '.join(found)}"
        raise StateError(message)
    facts = certificate.read_certificate(cert)
    return Issued(
        issued_at=now,
        serial=facts.serial,
        issuer=facts.issuer,
        not_before=facts.not_before,
        not_after=facts.not_after,
        sans=facts.sans,
        cert_sha256=facts.cert_sha256,
        signer=signer,
    )


def _csr(draft: Draft) -> bytes:
    return draft.csr or b""


def _free_moment(now: datetime, spki_sha256: str, taken: Mapping[GenerationId, Generation]) -> datetime:
    """Return the first moment from *now* on that gives an id of its own: one key may be certified twice in a second."""
    moment = now
    while generation_id(moment, spki_sha256) in taken:
        moment += timedelta(seconds=1)
    return moment


@dataclass(frozen=True, slots=True)
class Failure:
    """A service whose step failed, and how."""

    service: ServiceId
    error: SslopsError


@dataclass(frozen=True, slots=True)
class IssueOutcome:
    """What a run made, in the order in which it is to be committed, what turned out to wait, and what failed."""

    changes: tuple[Change, ...] = ()
    waits: tuple[Wait, ...] = ()
    failures: tuple[Failure, ...] = ()
    hazards: tuple[Hazard, ...] = ()
    unwritten: tuple[Change, ...] = ()
    """Those of *changes* that nobody has put on the branch yet; the others are without their files."""

    def __add__(self, other: IssueOutcome) -> IssueOutcome:
        """Join what two parts of a run made."""
        return IssueOutcome(
            self.changes + other.changes,
            self.waits + other.waits,
            self.failures + other.failures,
            self.hazards + other.hazards,
        )


def renew(
    plan: Plan,
    inventory: Inventory,
    state: State,
    now: datetime,
    workshop: Workshop,
    *,
    digest: str | None = None,
    said: str = "",
    talk: Talk = NOBODY,
) -> IssueOutcome:
    """Carry out the `renew` actions of *plan* on *state*, the branch `next` that it was made for.

    Keys are encrypted while the next ones are made; *digest* names the plan in each commit, *said* is why a
    person asked for it. `workshop.write` gets what is made, `BATCH` services at a time, but for the last part, which
    is `unwritten`: of a run that is killed only the part under way is lost, and memory holds no more than that.
    """
    actions = sorted(plan.of(Verb.RENEW).actions, key=lambda action: _signers_first(inventory, action))
    if not actions:
        return IssueOutcome()
    drafter = Drafter(inventory, state, now, workshop, said)
    made = _Made()
    present = _Present(inventory, state, now)
    done: list[Change] = []
    changes: list[Change] = []
    with talk.progress("keys and certificates made and encrypted", len(actions)) as task:
        for part in _batches(actions):
            if workshop.write is not None and changes:
                workshop.write(changes)
                done += (replace(change, put=()) for change in changes)
                changes = []
            made.drafts.clear()
            documents = workshop.vault.encrypt_many(_keys(_drafts(drafter, part, made, present, task)))
            paths = [draft.key_path for draft in made.drafts if draft.key is not None]
            changes += _stored(made, dict(zip(paths, documents, strict=True)), inventory, state, digest)
    failures = sorted(made.failures, key=lambda found: found.service)
    return IssueOutcome((*done, *changes), tuple(made.waits), tuple(failures), unwritten=tuple(changes))


BATCH = 400
"""So many services are written at a time: some seconds of work, and a push that every forge takes."""


def _batches(actions: Sequence[Action]) -> Iterator[Sequence[Action]]:
    return (actions[start : start + BATCH] for start in range(0, len(actions), BATCH))


@dataclass(slots=True)
class _Made:
    """What a run has come to so far."""

    drafts: list[Draft] = field(default_factory=list)
    """Of the part under way."""
    waits: list[Wait] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    lost: set[SignedBy] = field(default_factory=set)
    """CAs whose new key could not be stored: what they signed is not stored either."""


def _signers_first(inventory: Inventory, action: Action) -> tuple[int, ServiceId]:
    service = inventory.services[_service(action)]
    return signers_above(inventory, service), service.id


@dataclass(frozen=True, slots=True)
class _Present:
    """What is wanted, what there is, and the moment."""

    inventory: Inventory
    state: State
    now: datetime


def _drafts(drafter: Drafter, actions: Iterable[Action], made: _Made, present: _Present, task: Task) -> Iterator[Draft]:
    """Make one draft after the other, and note in *made* what came of each action."""
    for action in actions:
        try:
            with task.item(str(_service(action)), f"is made: {action.what}"), bugs_of(str(_service(action))):
                result = drafter.draft(action)
        except SslopsError as error:
            made.failures.append(Failure(_service(action), error))
            continue
        if isinstance(result, Obstacle):
            made.waits.append(_wait(action, result, present))
        else:
            made.drafts.append(result)
            yield result


def _keys(drafts: Iterable[Draft]) -> Iterator[tuple[str, Secret]]:
    return ((draft.key_path, draft.key) for draft in drafts if draft.key is not None)


def _stored(
    made: _Made,
    documents: Mapping[str, bytes | SopsError],
    inventory: Inventory,
    state: State,
    digest: str | None,
) -> list[Change]:
    """Return the changes; what a CA signed whose key could not be encrypted is not stored either."""
    changes: list[Change] = []
    for draft in made.drafts:
        document = _lost_signer(draft, made.lost) or documents.get(draft.key_path, draft.document)
        if isinstance(document, SslopsError):
            made.lost.add(SignedBy(draft.service.id, draft.generation.id))
            made.failures.append(Failure(draft.service.id, document))
        else:
            changes.append(_change(draft, document, inventory, state[draft.service.id].slots, digest))
    return changes


def _lost_signer(draft: Draft, lost: set[SignedBy]) -> SslopsError | None:
    if draft.signed_by is None or draft.signed_by not in lost:
        return None
    return SslopsError(f"the key of its signer '{draft.signed_by.service}' could not be stored")


def _change(draft: Draft, document: bytes | None, inventory: Inventory, slots: Slots, digest: str | None) -> Change:
    generation = draft.generation
    files = GenerationFiles(generation, draft.csr, draft.cert, draft.chain, document)
    return Change(
        action="renew",
        service=draft.service.id,
        title=_title(draft),
        why=_sentence(draft),
        slots=_slots(draft, inventory, slots),
        generation=generation.id,
        put=(files,),
        plan=digest,
    )


def _slots(draft: Draft, inventory: Inventory, slots: Slots) -> Slots:
    generation = draft.generation
    if generation.issued is None:
        return replace(slots, next=generation.id)
    renew_at = renewal_time(inventory, draft.service, generation)
    return replace(slots, next=generation.id, renew_at=renew_at, ari=None, retry_at=None, failures=0)


def _title(draft: Draft) -> str:
    issued = draft.generation.issued
    return f"{draft.generation.id}, " + ("prepublished key" if issued is None else f"until {issued.not_after:%Y-%m-%d}")


def _sentence(draft: Draft) -> str:
    why = f"{draft.action.why[:1].upper()}{draft.action.why[1:]}"
    if not What(draft.action.what).signs:
        return f"{why}."
    reused = draft.generation.reused_from
    own = "a new key" if draft.key is not None else "the prepublished key"
    key = own if reused is None else f"the key of {reused}"
    signer = f", signed by {draft.signed_by.service} {draft.signed_by.generation}" if draft.signed_by else ""
    return f"{why}: {key}{signer}."


def _wait(action: Action, obstacle: Obstacle, present: _Present) -> Wait:
    """Return the wait that a step ran into; it is a failure when the certificate in use ends soon."""
    service = present.inventory.services[_service(action)]
    state = present.state[service.id]
    known = newest(state)
    ends = None if known is None or known.issued is None else known.issued.not_after
    why = obstacle.why if ends is None else f"{obstacle.why}; the newest certificate ends on {format_time(ends)}"
    fatal = is_alarming(present.inventory, service, state, present.now)
    since = blocked_since(present.inventory, service, state, present.now)
    return Wait(Verb.RENEW, action.group, action.service, obstacle.what, None, why, obstacle.cause, fatal, since)


def _service(action: Action) -> ServiceId:
    return ServiceId(action.group, action.service)
