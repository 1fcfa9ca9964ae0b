"""How orders are placed, answered and finished: many at once, each request in a pool of threads.

One service that fails stops no other. A CA that twice answers nothing in time is left alone for the rest of the run.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sslops.errors import AcmeError, SslopsError, StateError
from sslops.issue.acme_rules import Failed, Show, next_step, profile_for
from sslops.issue.drafting import looked_at
from sslops.issue.request import request_in
from sslops.model.acme import ChallengeType, OrderStatus, OrderWish
from sslops.observe.certificate import names_ca, split_chain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sslops.issue.acme_jobs import Job
    from sslops.issue.ports import AcmeServer, Clock, Talk
    from sslops.model.acme import ChallengeSeen, OrderSeen, Proof, RenewalWindow
    from sslops.model.inventory import Inventory
    from sslops.model.names import ServiceId

WORKERS = 8
POLL_SECONDS = 180
"""How long one run looks at orders that the CA works on; a later run goes on."""
_FIRST_PAUSE, _LONGEST_PAUSE, _SLOWER = 0.05, 5.0, 1.6
_SILENCES = 2


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
        self._each(jobs, place)
        self._each(
            [job for job in jobs if job.service.id in placed], lambda job: self._read(job, placed[job.service.id])
        )

    def answer(self, jobs: Sequence[Job]) -> None:
        """Tell the CA that every proof of these jobs is there."""
        self._each(jobs, self._answer)

    def finish(self, jobs: Sequence[Job]) -> None:
        """Bring each job to its certificate or its failure, as far as the CA gets in a bounded time."""
        pause, waited = _FIRST_PAUSE, 0.0
        active = [job for job in jobs if not job.is_over]
        with self.talk.progress("certificates", len(active)) as advance:
            while active:
                self._each(active, self._advance)
                still = [job for job in active if not job.is_over]
                advance(len(active) - len(still))
                if not still:
                    return
                asked = min(job.order.retry_after_seconds or 0 if job.order else 0 for job in still)
                step = max(pause, min(asked, POLL_SECONDS - waited))
                if waited + step > POLL_SECONDS:
                    break
                self.sleep(step)
                waited, pause, active = waited + step, min(pause * _SLOWER, _LONGEST_PAUSE), still
        for job in (job for job in active if not job.is_over):
            job.waits("order", f"'{job.ca.name}' is still at work on the order")

    def _each(self, jobs: Sequence[Job], act: Callable[[Job], None]) -> None:
        def attempt(job: Job) -> None:
            if job.is_over:
                return
            try:
                self._require_voice(job.ca.name)
                act(job)
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
        server, known = self.servers[job.ca.name], job.generation.order
        if known is not None:
            return server.look(known.url)
        profile, _ = profile_for(job.ca, server.directory)
        job.generation = replace(job.generation, profile=profile)
        return server.order(OrderWish(job.service.sans, profile, replaced))

    def _read(self, job: Job, order: OrderSeen) -> None:
        server = self.servers[job.ca.name]
        authorizations = tuple(server.authorization(url) for url in self._worth_a_look(order))
        foreign = {each.identifier for each in authorizations} - {_bare(name) for name in job.service.sans}
        if foreign:
            message = f"'{job.ca.name}' wants a proof for '{min(foreign)}', which was not ordered"
            raise StateError(message)
        kind = ChallengeType(job.ca.validation or ChallengeType.DNS_01)
        step = next_step(order, authorizations, kind)
        if isinstance(step, Failed):
            raise AcmeError(f"the order at '{job.ca.name}' came to nothing: {step.why}")
        job.ordered(order, authorizations, self.clock.now())
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
            raise AcmeError(f"the order at '{job.ca.name}' came to nothing: {why}")
        if order.status == OrderStatus.VALID and order.certificate:
            self._fetch(job, order, server)

    def _fetch(self, job: Job, order: OrderSeen, server: AcmeServer) -> None:
        chosen = self._chain(job, server.chains(order, alternates=job.ca.preferred_chain is not None))
        certs = split_chain(chosen)
        if len(certs) < 2:  # noqa: PLR2004  (a leaf and its issuer)
            message = f"'{job.ca.name}' gave no chain for '{job.service.id}'"
            raise StateError(message)
        cert, chain = certs[0], b"".join(certs[1:])
        now = self.clock.now()
        request = request_in(self.inventory, job.service)
        # Whether clients trust the CA is theirs to say; that the chain it gave holds together is looked at here.
        issued = looked_at(cert, b"".join(certs[1:-1]), certs[-1], job.generation, request, now)
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
        """Return the suggested window; the certificate counts without one."""
        try:
            return server.renewal_window(cert)
        except AcmeError:
            return None


def _bare(name: str) -> str:
    return name.removeprefix("*.")
