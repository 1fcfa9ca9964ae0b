"""The effects of issuing from ACME servers, for many services at once: order, challenges, finalize, certificate."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sslops.acme.order_rules import (
    SHORTEST_LIFE,
    Failed,
    Show,
    as_slot,
    ask_again_at,
    chosen_time,
    deadline,
    is_transient,
    longest_life,
    next_step,
    profile_for,
    proofs_of,
    retry_at,
)
from sslops.errors import AcmeError, Bug, NoIdentity, SslopsError, StateError, Unprovable, bugs_of
from sslops.issue.rules import blocked_since, is_alarming, newest, renewal_time
from sslops.issue.steps import Drafter, Failure, IssueOutcome, looked_at
from sslops.model.acme import ChallengeType, OrderStatus, OrderWish, closed_account
from sslops.model.cause import Cause
from sslops.model.change import Change, GenerationFiles
from sslops.model.names import ACCOUNTS, ServiceId, is_address
from sslops.model.plan import Obstacle, Verb, Wait
from sslops.model.state import Order, Status
from sslops.model.waiting import rising_pauses
from sslops.pki.certificate import names_ca, split_chain
from sslops.pki.request import request_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from sslops.errors import SopsError
    from sslops.issue.own_cas import Draft
    from sslops.issue.ports import Accounts, AcmeServer, Appointments, Clock, Journal, Solver, Workshop
    from sslops.model.acme import Account, AuthorizationSeen, ChallengeSeen, OrderSeen, Proof, RenewalWindow
    from sslops.model.change import AccountChange
    from sslops.model.inventory import CertificateAuthority, Inventory, Service
    from sslops.model.plan import Action, Hazard
    from sslops.model.state import Generation, Issued, Slots, State
    from sslops.system.progress import Talk


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
    begun_at: datetime | None = None
    """Since when it could be issued if nothing blocked it; null: not known here."""
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
    hazards: tuple[Hazard, ...] = ()
    """What a person has to consent to first; the order stands as it is."""
    is_counted: bool = True
    """False after a failure that says nothing about the order: it is reported and not written down."""
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
        return self.cert is not None or self.failure is not None or self.wait is not None or bool(self.hazards)

    @property
    def is_news(self) -> bool:
        """Whether the branch does not say yet where it stands."""
        if not self.is_stored:
            return self.document is not None and self.wait is None
        return self.is_counted and self.written != (self.generation, replace(self.slots, next=self.generation.id))

    def ordered(
        self, order: OrderSeen, authorizations: Iterable[AuthorizationSeen], now: datetime, account: str | None = None
    ) -> None:
        """Note what the CA shows of the order, and the *account* (its URL) that it belongs to."""
        self.order, self.authorizations = order, tuple(authorizations)
        end = deadline(order, self.authorizations, now)
        known = Order(order.url, end, self._challenges(), account)
        self.generation = replace(self.generation, status=Status.ORDERED, order=known, failure=None)

    def needs(self, proofs: Iterable[Proof]) -> None:
        """Note what has to be shown for it."""
        self.proofs = frozenset(proofs)
        self.shown |= self.proofs
        if self.generation.order is not None:
            order = replace(self.generation.order, challenges=self._challenges())
            self.generation = replace(self.generation, order=order)

    def waits(self, what: str, why: str, cause: Cause) -> None:
        """Leave it as it is for a later run, which has until the order's end; it is a failure where time is short.

        Only what the CA does by itself has the order's end as its date: nobody else has promised to be done by then.
        """
        order = self.generation.order
        until = order.expires if order is not None and cause is Cause.ORDER_PENDING else None
        key = self.service.id
        self.wait = Wait(Verb.RENEW, key.group, key.name, what, until, why, cause, self.is_alarming, self.begun_at)

    def fail(self, error: SslopsError, now: datetime) -> None:
        """Count a failure: an order that failed is forgotten, one that a weak server holds is kept."""
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
        return tuple(sorted(str(proof) for proof in self.shown))

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


WORKERS = 8
POLL_SECONDS = 180
"""How long one run looks at orders that the CA works on; a later run goes on."""
_FIRST_POLL, _LONGEST_POLL, _POLL_BACKOFF = 0.05, 5.0, 1.6
_SILENCES = 2
LEAST_IN_CHAIN, MOST_IN_CHAIN = 2, 10
"""Certificates that a CA gives: the leaf, its issuer, and what stands above."""


@dataclass(slots=True)
class Orders:
    """The orders of one run at all its CAs; *sleep* takes seconds."""

    servers: Mapping[str, AcmeServer]
    inventory: Inventory
    clock: Clock
    sleep: Callable[[float], None]
    talk: Talk
    _challenges: dict[Proof, ChallengeSeen] = field(default_factory=dict)
    _silent: Counter[str] = field(default_factory=Counter)

    def begin(self, jobs: Sequence[Job], replaced: Mapping[ServiceId, bytes]) -> None:
        """Place the order of each job, or look at the one it has; *replaced* is the present certificate by service."""
        placed: dict[ServiceId, OrderSeen] = {}

        def place(job: Job) -> None:
            placed[job.service.id] = self._place(job, replaced.get(job.service.id))

        # All orders first: pebble 2.10 may lock up for good when it reads an authorization while it makes an order.
        self._each_told("orders placed", jobs, place)
        ordered = [job for job in jobs if job.service.id in placed]
        self._each_told("orders read", ordered, lambda job: self._read(job, placed[job.service.id]))

    def answer(self, jobs: Sequence[Job]) -> None:
        """Tell the CA that every proof of these jobs is there."""
        self._each_told("challenges answered", jobs, self._answer)

    def finish(self, jobs: Sequence[Job]) -> None:
        """Bring each job to its certificate or its failure, as far as the CA gets in a bounded time."""
        active = [job for job in jobs if not job.is_over]

        def asked_seconds() -> float:
            return min((job.order.retry_after_seconds or 0.0 if job.order else 0.0 for job in active), default=0.0)

        pauses = rising_pauses(
            _FIRST_POLL, _POLL_BACKOFF, _LONGEST_POLL, total_seconds=POLL_SECONDS, asked_seconds=asked_seconds
        )
        with self.talk.progress("certificates issued", len(active)) as advance:
            while active:
                self._each(active, self._advance)
                still = [job for job in active if not job.is_over]
                advance(len(active) - len(still))
                active = still
                pause = next(pauses, None) if active else None
                if pause is None:
                    break
                self.sleep(pause)
        for job in active:
            job.waits("order", f"'{job.ca.name}' is still processing the order", Cause.ORDER_PENDING)

    def _each_told(self, description: str, jobs: Sequence[Job], act: Callable[[Job], None]) -> None:
        """Do the same for each of *jobs*, and show how far that is as *description*."""

        def act_and_tell(job: Job) -> None:
            with task.item(str(job.service.id), f"waits for '{job.ca.name}'"):
                act(job)

        with self.talk.progress(description, len(jobs)) as task:
            self._each(jobs, act_and_tell)

    def _each(self, jobs: Sequence[Job], act: Callable[[Job], None]) -> None:
        def attempt(job: Job) -> None:
            if job.is_over:
                return
            try:
                with bugs_of(str(job.service.id)):
                    self._require_voice(job.ca.name)
                    act(job)
            except Bug as error:
                job.stumble(error)
            except SslopsError as error:
                if isinstance(error, AcmeError) and error.problem == "timeout":
                    self._silent[job.ca.name] += 1
                job.fail(error, self.clock.now())

        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(attempt, jobs))

    def _require_voice(self, ca: str) -> None:
        if self._silent[ca] >= _SILENCES:
            message = f"'{ca}' gives no answers"
            raise AcmeError(message, hint="the next run tries again", problem="timeout")

    def _place(self, job: Job, replaced: bytes | None) -> OrderSeen:
        server = self.servers[job.ca.name]
        known = self._known(job, server)
        if known is not None:
            return known
        profile, _ = profile_for(job.ca, server.directory)
        job.generation = replace(job.generation, status=Status.KEYED, profile=profile, order=None)
        return server.order(OrderWish(job.service.sans, profile, replaced))

    def _known(self, job: Job, server: AcmeServer) -> OrderSeen | None:
        """Return the order that an earlier run placed; null where there is none, or none of this account any more."""
        known = job.generation.order
        if known is None or known.account not in {None, server.account_url}:
            return None
        try:
            return server.look(known.url)
        except AcmeError as error:
            if is_transient(error) or error.problem == "accountDoesNotExist":
                raise
            self.talk.say(f"{job.service.id}: the order of an earlier run is gone ({error.what}); a new one is placed")
            return None

    def _read(self, job: Job, order: OrderSeen) -> None:
        server = self.servers[job.ca.name]
        if len(order.authorizations) > len(job.service.sans):
            message = f"'{job.ca.name}' wants {len(order.authorizations)} proofs for {len(job.service.sans)} names"
            raise StateError(message)
        authorizations = tuple(server.authorization(url) for url in self._worth_a_look(order))
        foreign = {each.identifier for each in authorizations} - {_bare(name) for name in job.service.sans}
        if foreign:
            message = f"'{job.ca.name}' wants a proof for '{min(foreign)}', which was not ordered"
            raise StateError(message)
        step = next_step(order, authorizations, _kind(job))
        if isinstance(step, Failed):
            raise AcmeError(f"order at '{job.ca.name}' failed: {step.why}")
        job.ordered(order, authorizations, self.clock.now(), server.account_url)
        if isinstance(step, Show):
            shown = {server.proof(job.service.id.group, *each): each[1] for each in step.challenges}
            self._challenges.update(shown)
            job.needs(shown)

    def _worth_a_look(self, order: OrderSeen) -> tuple[str, ...]:
        return order.authorizations if order.status in {OrderStatus.PENDING, OrderStatus.INVALID} else ()

    def _answer(self, job: Job) -> None:
        for proof in sorted(job.proofs):
            self.servers[job.ca.name].answer(self._challenges[proof])

    def _advance(self, job: Job) -> None:
        """Take the order as far as it goes now."""
        if job.order is None:
            return
        server = self.servers[job.ca.name]
        order = server.look(job.order.url)
        if order.status == OrderStatus.READY:
            order = server.finalize(order, job.draft.csr or b"")
        job.order = order
        if order.status == OrderStatus.INVALID:
            authorizations = [server.authorization(url) for url in order.authorizations]
            step = next_step(order, authorizations, ChallengeType(job.ca.validation or ChallengeType.DNS_01))
            why = step.why if isinstance(step, Failed) else order.status
            raise AcmeError(f"order at '{job.ca.name}' failed: {why}")
        if order.status == OrderStatus.VALID and order.certificate:
            self._fetch(job, order, server)

    def _fetch(self, job: Job, order: OrderSeen, server: AcmeServer) -> None:
        chosen = self._chain(job, server.chains(order, alternates=job.ca.preferred_chain is not None))
        certs = split_chain(chosen)
        if not LEAST_IN_CHAIN <= len(certs) <= MOST_IN_CHAIN:
            message = f"'{job.ca.name}' gave no chain for '{job.service.id}', but {len(certs)} certificates"
            raise StateError(message)
        cert, chain = certs[0], b"".join(certs[1:])
        now = self.clock.now()
        request = request_in(self.inventory, job.service)
        # Whether clients trust the CA is theirs to say; that the chain it gave holds together is looked at here.
        lives = SHORTEST_LIFE, longest_life(job.generation.profile)
        issued = looked_at(cert, b"".join(certs[1:-1]), certs[-1], job.generation, request, now, lives=lives)
        job.window = self._window(server, cert)
        job.cert, job.chain = cert, chain
        job.succeed(issued, self.inventory)

    def _chain(self, job: Job, chains: Sequence[bytes]) -> bytes:
        wanted = job.ca.preferred_chain
        if wanted is None:
            return chains[0]
        for chain in chains:
            if names_ca(chain, wanted):
                return chain
        self.talk.say(f"'{job.ca.name}' offers {len(chains)} chains, none with '{wanted}'; its default is used")
        return chains[0]

    def _window(self, server: AcmeServer, cert: bytes) -> RenewalWindow | None:
        """Return the suggested window; the certificate counts without one, whatever became of the question."""
        try:
            with bugs_of("renewal window"):
                return server.renewal_window(cert)
        except SslopsError:
            return None


def _bare(name: str) -> str:
    return name.removeprefix("*.")


PROOF_SECONDS = 300
"""How long a run waits until every name server shows every challenge; a later run looks again."""
_FIRST_PAUSE, _LONGEST_PAUSE, _SLOWER = 0.05, 2.0, 1.5
_SAY_SECONDS = 60
_SILENT_SECONDS = 15
"""How long a server of `dns_xtra_ns` is asked that gives no answer, while all others agree."""


@dataclass(frozen=True, slots=True)
class Outside:
    """With whom a batch works; *servers* by CA, *sleep* takes seconds.

    *solver* gives the one for a challenge type, always the same; null when no solver is configured for that type.
    """

    workshop: Workshop
    accounts: Accounts
    appointments: Appointments
    servers: Mapping[str, AcmeServer]
    solver: Callable[[ChallengeType], Solver | None]
    journal: Journal
    clock: Clock
    sleep: Callable[[float], None]
    talk: Talk


@dataclass(slots=True)
class Batch:
    """The ACME services of one run; *state* is that of the branch it writes."""

    outside: Outside
    inventory: Inventory
    state: State
    digest: str | None = None
    is_rehearsal: bool = False
    said: str = ""
    """Why a person asked for it."""
    new_accounts: frozenset[str] = frozenset()
    """CAs whose account is left, for a new one, because a person asked for that."""
    _failures: list[Failure] = field(default_factory=list)

    def run(self, actions: Sequence[Action], others: Sequence[Change] = ()) -> IssueOutcome:
        """Carry out *actions*; *others* are changes that travel with the first push."""
        jobs = self._provable(self._drafted(actions))
        with ThreadPoolExecutor(1) as beside:
            keys = [(job.draft.key_path, job.draft.key) for job in jobs if job.draft.key is not None]
            documents = beside.submit(self.outside.workshop.vault.encrypt_many, keys)
            changes = self._open_accounts(jobs, lambda: self._with_documents(jobs, documents.result()), others)
            orders, again = self._begun(jobs)
            changes += again
            self._with_documents(jobs, documents.result())
        self._write([*changes, *(job.change() for job in jobs if job.is_news)])
        pending = [job for job in jobs if not job.is_over]
        self._prove(orders, pending)
        orders.finish(pending)
        self._clean(jobs)
        self._write([job.change() for job in pending if job.is_news])
        self._appoint(pending)
        return self._outcome(jobs)

    # Keys and CSRs.

    def _drafted(self, actions: Sequence[Action]) -> list[Job]:
        out = self.outside
        drafter = Drafter(self.inventory, self.state, out.clock.now(), out.workshop, self.said)
        jobs = []
        for action in actions:
            service = ServiceId(action.group, action.service)
            ca = self.inventory.acme_ca(self.inventory.services[service])
            try:
                with bugs_of(str(service)):
                    draft = drafter.keyed(action)
            except SslopsError as error:
                self._failures.append(Failure(service, error))
                continue
            if ca is not None:
                jobs.append(self._job(draft, ca))
        return jobs

    def _job(self, draft: Draft, ca: CertificateAuthority) -> Job:
        found = self.state[draft.service.id]
        known, is_stored = found.generations.get(draft.generation.id), draft.key is None and draft.document is None
        written = None if known is None else (known, found.slots)
        return Job(
            draft=draft,
            ca=ca,
            generation=draft.generation,
            slots=found.slots,
            digest=self.digest,
            document=draft.document,
            is_stored=is_stored,
            is_alarming=not self.is_rehearsal
            and is_alarming(self.inventory, draft.service, found, self.outside.clock.now()),
            begun_at=blocked_since(self.inventory, draft.service, found, self.outside.clock.now())
            or (None if known is None else known.created_at),
            shown=frozenset(proof for one in (known, found.next) if one is not None for proof in proofs_of(one.order)),
            written=written,
        )

    def _with_documents(self, jobs: Sequence[Job], documents: Sequence[bytes | SopsError]) -> None:
        """Give each new key its document; a service whose key cannot be encrypted is left out, as if nothing was."""
        made = [job for job in jobs if job.draft.key is not None]
        for job, document in zip(made, documents, strict=True):
            if isinstance(document, bytes):
                job.document = None if job.is_stored else document
            elif job.failure is not document:
                job.stumble(document)

    def _provable(self, jobs: Sequence[Job]) -> list[Job]:
        """Return *jobs* without those that need an order and have a name that cannot be proved: those fail, unordered.

        Nothing of them is written down, so each run says it again until it is mended.
        """
        names: dict[ChallengeType, set[str]] = {}
        for job in jobs:
            if job.generation.order is None:
                names.setdefault(_kind(job), set()).update(_names(job))
        impossible = {(kind, name): why for kind in names for name, why in self._impossible(kind, names[kind]).items()}
        kept = []
        for job in jobs:
            why = sorted({impossible[_kind(job), name] for name in _names(job) if (_kind(job), name) in impossible})
            if why and job.generation.order is None:
                self._failures.append(Failure(job.service.id, Unprovable("; ".join(why), hint="nothing was ordered")))
            else:
                kept.append(job)
        return kept

    def _impossible(self, kind: ChallengeType, names: set[str]) -> Mapping[str, str]:
        try:
            return self._solver(kind).impossible(names)
        except SslopsError:
            return {}  # who cannot tell now is asked again when a challenge has to be shown

    # Accounts and orders.

    def _open_accounts(
        self, jobs: Sequence[Job], encrypted: Callable[[], None], others: Sequence[Change]
    ) -> list[Change | AccountChange]:
        """Let each server use its account; a new one is pushed, with all keys, before the CA hears of it.

        Returns what the next push has to carry.
        """
        accounts: dict[str, Account] = {}
        waiting: list[Change | AccountChange] = list(others)
        made: list[AccountChange] = []
        for ca in sorted({job.ca.name for job in jobs} | self.new_accounts):
            try:
                with bugs_of(ca):
                    accounts[ca], change = self._account(ca)
                made += [change] if change is not None else []
            except NoIdentity as error:
                for job in _at(ca, jobs):
                    job.waits("account", error.in_a_sentence, Cause.KEY_NOT_HERE)
            except SslopsError as error:
                self._stumble_at(ca, jobs, error)
        if made:
            encrypted()
            self._write([*waiting, *made, *(job.change() for job in jobs if job.is_news)])
            waiting = []
        return waiting + [change for ca, account in accounts.items() for change in self._used(ca, account, jobs)]

    def _account(self, ca: str) -> tuple[Account, AccountChange | None]:
        """Return the account at *ca*, and the change that stores it where it is new."""
        accounts, directory = self.outside.accounts, self.inventory.cas[ca].directory
        if ca in self.new_accounts:
            return accounts.new(ca, f"A new account at {ca} was asked for.")
        known = accounts.load(ca)
        if known is None:
            return accounts.new(ca, f"The first order from {ca} needs an account.")
        if known.belongs_to(directory):
            return known, None
        before = f"{known.directory or known.url} before"
        self.outside.talk.say(f"'{ca}' is the server at '{directory}' now: a new account is made there")
        return accounts.new(ca, f"{ca} is the server at {directory} now, it was {before}, and accounts belong to one.")

    def _used(self, ca: str, account: Account, jobs: Sequence[Job]) -> list[AccountChange]:
        """Use *account* from now on, registered first where the CA does not know it; the change that keeps its URL."""
        server, users = self.outside.servers[ca], _at(ca, jobs)
        server.use(account)
        if not users and ca not in self.new_accounts:
            return []
        try:
            with bugs_of(ca):
                profile = profile_for(self.inventory.cas[ca], server.directory)[1]
                if profile is not None and users:
                    self.outside.talk.say(profile)
                return [] if account.url is not None else [self._registered(ca)]
        except AcmeError as error:
            for job in users:
                job.fail(error, self.outside.clock.now())
            if not users:
                self._stumble_at(ca, users, error)
        except SslopsError as error:
            self._stumble_at(ca, users, error)
        return []

    def _registered(self, ca: str) -> AccountChange:
        """Register the account in use; a CA that has it already gives the same one again."""
        external = self.outside.accounts.external(ca)
        mails = (one.subject.email for one in self.inventory.active() if one.signing_ca == ca and one.subject.email)
        return self.outside.accounts.change(ca, self.outside.servers[ca].register(min(mails, default=None), external))

    def _begun(self, jobs: Sequence[Job]) -> tuple[Orders, list[AccountChange]]:
        """Begin every order; where the CA forgot the account, register its key once more and begin again.

        An account that is closed stays closed (RFC 8555 section 7.3.6): a message says how to leave it.
        """
        out = self.outside
        orders = Orders(out.servers, self.inventory, out.clock, out.sleep, out.talk)
        replaced = {} if self.is_rehearsal else self._replaced(jobs)
        before = {job.service.id: (job.generation, job.slots) for job in jobs}
        orders.begin(jobs, replaced)
        lost = [job for job in jobs if _lacks_account(job)]
        changes: list[AccountChange] = []
        for ca in sorted({job.ca.name for job in lost}):
            users = [job for job in lost if job.ca.name == ca]
            try:
                with bugs_of(ca):
                    changes.append(self._registered(ca))
            except SslopsError:
                continue  # the failure that the jobs have says more
            for job in users:
                job.failure, (job.generation, job.slots) = None, before[job.service.id]
            orders.begin(users, replaced)
        for ca in sorted({job.ca.name for job in jobs if _is_denied(job)}):
            closed = self._closed(ca)
            if closed is None:
                continue
            for job in (job for job in jobs if job.ca.name == ca and _is_denied(job)):
                job.generation, job.slots = before[job.service.id]
                job.fail(closed, out.clock.now())
        return orders, changes

    def _closed(self, ca: str) -> AcmeError | None:
        """Return the failure of all that a closed account orders; null where the account is good, or nobody tells."""
        try:
            with bugs_of(ca):
                status = self.outside.servers[ca].account_status()
        except SslopsError:
            return None
        if not status.is_closed:
            return None
        hint = f"sslops renew --new-account {ca} --apply"
        return AcmeError(closed_account(ca, status), hint=hint, problem="unauthorized")

    def _replaced(self, jobs: Sequence[Job]) -> dict[ServiceId, bytes]:
        """Return the certificate that each new order replaces: the newest of the same CA, if a name stays."""
        found = {}
        for job in jobs:
            present = newest(self.state[job.service.id])
            if present is None or present.issued is None or not present.comes_from(job.ca):
                continue
            if not set(present.issued.sans).isdisjoint(job.service.sans):
                cert = self.outside.workshop.files.read(job.service.id, present.id, "cert.pem")
                found.update({job.service.id: cert} if cert is not None else {})
        return found

    # Challenges.

    def _prove(self, orders: Orders, jobs: Sequence[Job]) -> None:
        """Show every challenge, wait until all can be seen, and answer."""
        for kind in _kinds(jobs):
            mine = [job for job in jobs if any(proof.type == kind for proof in job.proofs)]
            try:
                with bugs_of(str(kind)):
                    solver = self._solver(kind)
                    self._show(solver, mine)
                    self._wait(solver, [job for job in mine if not job.is_over])
            except SslopsError as error:
                self._stumble([job for job in mine if not job.is_over], error)
        orders.answer([job for job in jobs if job.proofs])

    def _solver(self, kind: ChallengeType) -> Solver:
        solver = self.outside.solver(kind)
        if solver is None:
            message = f"no {kind} solver is configured"
            raise SslopsError(message, hint="sslops check")
        return solver

    def _show(self, solver: Solver, jobs: Sequence[Job]) -> None:
        impossible = solver.publish(_proofs(jobs))
        for job in jobs:
            why = [impossible[proof] for proof in sorted(job.proofs) if proof in impossible]
            if why:
                job.fail(SslopsError("; ".join(why)), self.outside.clock.now())

    def _wait(self, solver: Solver, jobs: Sequence[Job]) -> None:
        """Wait for the proof that every name server shows every value; what lacks then is for a later run."""
        out, patience = self.outside, 0 if solver.obstacle else PROOF_SECONDS
        out.sleep(self.inventory.settings.dns_check_delay_seconds if patience else 0)
        proofs = _proofs(jobs)
        missing, waited = solver.missing(proofs), 0.0
        with out.talk.progress("challenges visible on every name server", len(proofs)) as advance:
            advance(len(proofs) - len(missing))
            for pause in rising_pauses(_FIRST_PAUSE, _SLOWER, _LONGEST_PAUSE, total_seconds=patience):
                if not missing or (solver.hazards and waited >= _SILENT_SECONDS):
                    break
                out.sleep(pause)
                said, waited = waited // _SAY_SECONDS, waited + pause
                still = solver.missing(frozenset(missing))
                advance(len(missing) - len(still))
                missing = still
                if missing and waited // _SAY_SECONDS > said:
                    out.talk.say(
                        f"{len(proofs) - len(missing)} of {len(proofs)} challenges are shown; {_first(missing)}"
                    )
        for job in jobs:
            lacking = {proof: missing[proof] for proof in job.proofs if proof in missing}
            if lacking and solver.hazards:
                key = job.service.id
                job.hazards = tuple(replace(each, group=key.group, service=key.name) for each in solver.hazards)
            elif lacking:
                why = f"{_first(lacking)}; the next run looks again"
                obstacle = solver.obstacle or Obstacle("challenge", why, Cause.CHALLENGE_NOT_SHOWN)
                job.waits(obstacle.what, obstacle.why, obstacle.cause)

    def _clean(self, jobs: Sequence[Job]) -> None:
        """Take away what nobody looks at any more; what a later run still needs stays."""
        over = [job for job in jobs if job.generation.order is None]
        shown = frozenset(proof for job in over for proof in job.shown)
        for kind in sorted({proof.type for proof in shown}):
            try:
                with bugs_of(str(kind)):
                    self._solver(kind).clean(frozenset(proof for proof in shown if proof.type == kind))
            except SslopsError as error:
                self._failures.append(Failure(over[0].service.id, error))

    # The end.

    def _write(self, changes: Sequence[Change | AccountChange]) -> None:
        if changes:
            self.outside.journal.write(changes)

    def _appoint(self, jobs: Sequence[Job]) -> None:
        """Note when the CA wants to be asked about the windows of new certificates again."""
        for job in () if self.is_rehearsal else jobs:
            moment = ask_again_at(self.outside.clock.now(), job.window.retry_after_seconds if job.window else None)
            if moment is not None:
                self.outside.appointments.make(job.service.id, job.generation.id, moment)

    def _stumble_at(self, ca: str, jobs: Sequence[Job], error: SslopsError) -> None:
        """Tell what went wrong with the account at *ca*, of those who need it or else by itself."""
        users = _at(ca, jobs)
        self._stumble(users, error)
        if not users:
            self._failures.append(Failure(ServiceId(ACCOUNTS, ca), error))

    def _stumble(self, jobs: Sequence[Job], error: SslopsError) -> None:
        for job in jobs:
            job.stumble(error)

    def _outcome(self, jobs: Sequence[Job]) -> IssueOutcome:
        done = tuple(job.last_change for job in jobs if job.cert is not None and job.last_change is not None)
        failures = [Failure(job.service.id, job.failure) for job in jobs if job.failure is not None]
        waits = tuple(job.wait for job in jobs if job.wait is not None)
        hazards = tuple(hazard for job in jobs for hazard in job.hazards)
        failed = tuple(sorted(self._failures + failures, key=lambda one: one.service))
        return IssueOutcome(done, waits, failed, hazards)


def _lacks_account(job: Job) -> bool:
    return isinstance(job.failure, AcmeError) and job.failure.problem == "accountDoesNotExist"


def _is_denied(job: Job) -> bool:
    """Whether the CA had something against the account, or against this use of it."""
    return isinstance(job.failure, AcmeError) and (
        job.failure.problem in {"unauthorized", "accountDoesNotExist"} or job.failure.status in {401, 403}
    )


def _at(ca: str, jobs: Sequence[Job]) -> list[Job]:
    return [job for job in jobs if job.ca.name == ca and not job.is_over]


def _proofs(jobs: Sequence[Job]) -> frozenset[Proof]:
    return frozenset(proof for job in jobs for proof in job.proofs)


def _kind(job: Job) -> ChallengeType:
    return ChallengeType(job.ca.validation or ChallengeType.DNS_01)


def _names(job: Job) -> list[str]:
    return [_bare(name) for name in job.service.sans if not is_address(name)]


def _kinds(jobs: Sequence[Job]) -> list[ChallengeType]:
    return sorted({proof.type for proof in _proofs(jobs)})


def _first(missing: Mapping[Proof, str]) -> str:
    """Say of one proof where it lacks, and how many more do."""
    proof = min(missing)
    more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
    return f"{missing[proof]}{more}"
