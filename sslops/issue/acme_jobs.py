"""One service on its way through ACME, in memory, and the changes that write it down."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sslops.errors import AcmeError
from sslops.issue.acme_rules import as_slot, chosen_time, deadline, is_transient, retry_at, write_proof
from sslops.issue.rules import renewal_time
from sslops.model.change import Change, GenerationFiles
from sslops.model.plan import Verb, Wait
from sslops.model.state import Order, Status

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sslops.errors import SslopsError
    from sslops.issue.drafts import Draft
    from sslops.model.acme import AuthorizationSeen, OrderSeen, Proof, RenewalWindow
    from sslops.model.inventory import CertificateAuthority, Inventory, Service
    from sslops.model.state import Generation, Issued, Slots


@dataclass(slots=True)
class Job:
    """One service and what the CA showed of its order so far. It ends with `cert`, `failure` or `wait` set."""

    draft: Draft
    ca: CertificateAuthority
    generation: Generation
    slots: Slots
    digest: str | None
    document: bytes | None = None
    """The encrypted key, while it has to be written."""
    is_stored: bool = False
    is_alarming: bool = False
    """Whether the certificate in use ends so soon that a renewal which waits for somebody has failed."""
    order: OrderSeen | None = None
    authorizations: tuple[AuthorizationSeen, ...] = ()
    proofs: frozenset[Proof] = frozenset()
    """What this run has to show."""
    shown: frozenset[Proof] = frozenset()
    """What is, or may be, shown for its order, by an earlier run or by this one."""
    cert: bytes | None = None
    chain: bytes | None = None
    window: RenewalWindow | None = None
    failure: SslopsError | None = None
    wait: Wait | None = None
    is_counted: bool = True
    """False after a failure that says nothing about the order: it is told and not written down."""
    written: tuple[Generation, Slots] | None = None
    """What the branch says of it."""
    last_change: Change | None = None

    @property
    def service(self) -> Service:
        """The service."""
        return self.draft.service

    @property
    def is_over(self) -> bool:
        """Whether nothing more is done for it in this run."""
        return self.cert is not None or self.failure is not None or self.wait is not None

    @property
    def is_news(self) -> bool:
        """Whether the branch does not say yet where it stands."""
        if not self.is_stored:
            return self.document is not None and self.wait is None
        return self.is_counted and self.written != (self.generation, replace(self.slots, next=self.generation.id))

    def ordered(self, order: OrderSeen, authorizations: Iterable[AuthorizationSeen], now: datetime) -> None:
        """Note what the CA shows of the order."""
        self.order, self.authorizations = order, tuple(authorizations)
        end = deadline(order, self.authorizations, now)
        self.generation = replace(
            self.generation, status=Status.ORDERED, order=Order(order.url, end, self._challenges()), failure=None
        )

    def needs(self, proofs: Iterable[Proof]) -> None:
        """Note what has to be shown for it."""
        self.proofs = frozenset(proofs)
        self.shown |= self.proofs
        if self.generation.order is not None:
            order = replace(self.generation.order, challenges=self._challenges())
            self.generation = replace(self.generation, order=order)

    def waits(self, what: str, why: str) -> None:
        """Leave it as it is for a later run, which has until the order's end; it is a failure where time is short."""
        until = self.generation.order.expires if self.generation.order is not None else None
        key = self.service.id
        self.wait = Wait(Verb.RENEW, key.group, key.name, what, until, why, fatal=self.is_alarming)

    def fail(self, error: SslopsError, now: datetime) -> None:
        """Count a failure: an order that came to nothing is forgotten, one that a weak server holds is kept."""
        self.failure = error
        kept = isinstance(error, AcmeError) and is_transient(error) and self.generation.order is not None
        if not kept:
            self.generation = replace(self.generation, status=Status.KEYED, order=None)
        self.generation = replace(self.generation, failure=error.what)
        failures = self.slots.failures + 1
        asked = error.retry_after_seconds if isinstance(error, AcmeError) else None
        self.slots = replace(self.slots, failures=failures, retry_at=retry_at(now, failures, asked))

    def stumble(self, error: SslopsError) -> None:
        """Tell a failure that is neither the order's nor the CA's; the next run goes on where this one stands."""
        self.failure, self.is_counted = error, False

    def succeed(self, issued: Issued, inventory: Inventory) -> None:
        """Note the certificate's facts: the generation is final, and when it is renewed is chosen."""
        generation = replace(self.generation, status=Status.ISSUED, issued=issued, order=None, failure=None)
        self.generation = generation
        window, service = self.window, self.service
        renew_at = (
            renewal_time(inventory, service, generation)
            if window is None
            else chosen_time(window, service.id, generation.id, issued)
        )
        ari = None if window is None else as_slot(window)
        self.slots = replace(self.slots, renew_at=renew_at, ari=ari, retry_at=None, failures=0)

    def change(self) -> Change:
        """Return the commit that writes down where it stands; after it its key and CSR are stored."""
        files = GenerationFiles(
            self.generation, None if self.is_stored else self.draft.csr, self.cert, self.chain, self.document
        )
        self.slots = replace(self.slots, next=self.generation.id)
        self.document, self.is_stored, self.written = None, True, (self.generation, self.slots)
        self.last_change = Change(
            action="renew",
            service=self.service.id,
            title=f"{self.generation.id}, {self._title()}",
            why=f"{self._why()}.",
            slots=self.slots,
            generation=self.generation.id,
            put=(files,),
            plan=self.digest,
        )
        return self.last_change

    def _challenges(self) -> tuple[str, ...]:
        """Return all that is, or may be, shown: a later run takes it away, though nobody has to see it any more."""
        return tuple(sorted(write_proof(proof) for proof in self.shown))

    def _title(self) -> str:
        generation = self.generation
        if generation.issued is not None:
            return f"until {generation.issued.not_after:%Y-%m-%d}"
        if self.failure is not None:
            return f"failed {self.slots.failures} times"
        return "ordered" if generation.order is not None else "key and CSR"

    def _why(self) -> str:
        why = f"{self.draft.action.why[:1].upper()}{self.draft.action.why[1:]}"
        if self.failure is not None:
            return f"{why}. It failed: {self.failure.what}"
        if self.generation.issued is not None:
            return f"{why}: issued by {self.generation.issued.issuer}"
        return f"{why}: ordered from {self.ca.name}" if self.generation.order is not None else why
