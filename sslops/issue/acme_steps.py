"""How `renew` gets certificates from ACME servers: all services of all groups as one batch, written ahead.

Key, CSR and order are pushed before a challenge is answered; whatever is killed after that is gone on with by any later
run, from what the branch and the CA say. One commit shows every challenge, one wait covers all, one push ends it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sslops.errors import AcmeError, NoIdentity, SslopsError
from sslops.issue.acme_jobs import Job
from sslops.issue.acme_orders import Orders
from sslops.issue.acme_rules import ask_again_at, profile_for, proofs_of
from sslops.issue.drafting import Drafter
from sslops.issue.rules import is_alarming, newest
from sslops.issue.steps import Failure, Outcome
from sslops.model.names import ServiceId

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sslops.errors import SopsError
    from sslops.issue.drafts import Draft
    from sslops.issue.ports import Accounts, AcmeServer, Appointments, Clock, Journal, Solver, Talk, Workshop
    from sslops.model.acme import Account, ChallengeType, Proof
    from sslops.model.change import AccountChange, Change
    from sslops.model.inventory import CertificateAuthority, Inventory
    from sslops.model.plan import Action
    from sslops.model.state import State

PROOF_SECONDS = 300
"""How long a run waits until every name server shows every challenge; a later run looks again."""
_FIRST_PAUSE, _LONGEST_PAUSE, _SLOWER = 0.05, 2.0, 1.5
_SAY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Outside:
    """With whom a batch works; *servers* by CA, *sleep* takes seconds.

    *solver* gives the one for a challenge type, always the same; null when nobody here shows that type.
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
    _failures: list[Failure] = field(default_factory=list)

    def run(self, actions: Sequence[Action], others: Sequence[Change] = ()) -> Outcome:
        """Carry out *actions*; *others* are changes that travel with the first push."""
        jobs = self._drafted(actions)
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
        for ca in sorted({job.ca.name for job in jobs}):
            try:
                known = self.outside.accounts.load(ca)
                if known is None:
                    known, change = self.outside.accounts.new(ca)
                    made.append(change)
                accounts[ca] = known
            except NoIdentity as error:
                for job in _at(ca, jobs):
                    job.waits("account", error.what)
            except SslopsError as error:
                self._stumble(_at(ca, jobs), error)
        if made:
            encrypted()
            self._write([*waiting, *made, *(job.change() for job in jobs if job.is_news)])
            waiting = []
        return waiting + [change for ca, account in accounts.items() for change in self._used(ca, account, jobs)]

    def _used(self, ca: str, account: Account, jobs: Sequence[Job]) -> list[AccountChange]:
        """Use *account* from now on, registered first where the CA does not know it; the change that keeps its URL."""
        server, users = self.outside.servers[ca], _at(ca, jobs)
        server.use(account)
        if not users:
            return []
        try:
            profile = profile_for(users[0].ca, server.directory)[1]
            if profile is not None:
                self.outside.talk.say(profile)
            return [] if account.url is not None else [self._registered(ca, users)]
        except AcmeError as error:
            for job in users:
                job.fail(error, self.outside.clock.now())
        except SslopsError as error:
            self._stumble(users, error)
        return []

    def _registered(self, ca: str, users: Sequence[Job]) -> AccountChange:
        """Register the account in use; a CA that has it already gives the same one again."""
        external = self.outside.accounts.external(ca)
        contact = min((job.service.subject.email for job in users if job.service.subject.email), default=None)
        return self.outside.accounts.change(ca, self.outside.servers[ca].register(contact, external))

    def _begun(self, jobs: Sequence[Job]) -> tuple[Orders, list[AccountChange]]:
        """Begin every order; where the CA forgot the account, register its key once more and begin again."""
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
                changes.append(self._registered(ca, users))
            except SslopsError:
                continue  # the failure that the jobs have says more
            for job in users:
                job.failure, (job.generation, job.slots) = None, before[job.service.id]
            orders.begin(users, replaced)
        return orders, changes

    def _replaced(self, jobs: Sequence[Job]) -> dict[ServiceId, bytes]:
        """Return the certificate that each new order replaces: the newest of the same CA, if a name stays."""
        found = {}
        for job in jobs:
            present = newest(self.state[job.service.id])
            if job.generation.order is not None or present is None or present.issued is None:
                continue
            if present.ca == job.ca.name and not set(present.issued.sans).isdisjoint(job.service.sans):
                cert = self.outside.workshop.files.read(job.service.id, present.id, "cert.pem")
                found.update({job.service.id: cert} if cert is not None else {})
        return found

    # Challenges.

    def _prove(self, orders: Orders, jobs: Sequence[Job]) -> None:
        """Show every challenge, wait until all can be seen, and answer."""
        for kind in _kinds(jobs):
            mine = [job for job in jobs if any(proof.type == kind for proof in job.proofs)]
            try:
                solver = self._solver(kind)
                self._show(solver, mine)
                self._wait(solver, [job for job in mine if not job.is_over])
            except SslopsError as error:
                self._stumble([job for job in mine if not job.is_over], error)
        orders.answer([job for job in jobs if job.proofs])

    def _solver(self, kind: ChallengeType) -> Solver:
        solver = self.outside.solver(kind)
        if solver is None:
            message = f"nobody here shows proofs by {kind}"
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
        missing, waited, pause = solver.missing(proofs), 0.0, _FIRST_PAUSE
        with out.talk.progress("challenges", len(proofs)) as advance:
            advance(len(proofs) - len(missing))
            while missing and waited < patience:
                out.sleep(pause)
                said, waited = waited // _SAY_SECONDS, waited + pause
                still = solver.missing(frozenset(missing))
                advance(len(missing) - len(still))
                missing, pause = still, min(pause * _SLOWER, _LONGEST_PAUSE)
                if missing and waited // _SAY_SECONDS > said:
                    out.talk.say(
                        f"{len(proofs) - len(missing)} of {len(proofs)} challenges are shown; {_first(missing)}"
                    )
        for job in jobs:
            lacking = {proof: missing[proof] for proof in job.proofs if proof in missing}
            if lacking:
                job.waits("challenge", solver.obstacle or f"{_first(lacking)}; the next run looks again")

    def _clean(self, jobs: Sequence[Job]) -> None:
        """Take away what nobody looks at any more; what a later run still needs stays."""
        over = [job for job in jobs if job.generation.order is None]
        shown = frozenset(proof for job in over for proof in job.shown)
        for kind in sorted({proof.type for proof in shown}):
            try:
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

    def _stumble(self, jobs: Sequence[Job], error: SslopsError) -> None:
        for job in jobs:
            job.stumble(error)

    def _outcome(self, jobs: Sequence[Job]) -> Outcome:
        done = tuple(job.last_change for job in jobs if job.cert is not None and job.last_change is not None)
        failures = [Failure(job.service.id, job.failure) for job in jobs if job.failure is not None]
        waits = tuple(job.wait for job in jobs if job.wait is not None)
        return Outcome(done, waits, tuple(sorted(self._failures + failures, key=lambda one: one.service)))


def _lacks_account(job: Job) -> bool:
    return isinstance(job.failure, AcmeError) and job.failure.problem == "accountDoesNotExist"


def _at(ca: str, jobs: Sequence[Job]) -> list[Job]:
    return [job for job in jobs if job.ca.name == ca and not job.is_over]


def _proofs(jobs: Sequence[Job]) -> frozenset[Proof]:
    return frozenset(proof for job in jobs for proof in job.proofs)


def _kinds(jobs: Sequence[Job]) -> list[ChallengeType]:
    return sorted({proof.type for proof in _proofs(jobs)})


def _first(missing: Mapping[Proof, str]) -> str:
    """Say of one proof where it lacks, and how many more do."""
    proof = min(missing)
    more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
    return f"{missing[proof]}{more}"
