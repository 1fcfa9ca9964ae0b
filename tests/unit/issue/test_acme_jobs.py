"""What the branch remembers of an order that is under way."""

from __future__ import annotations

from datetime import timedelta

from sslops.acme.order_rules import proofs_of
from sslops.issue.acme_steps import Job
from sslops.issue.own_cas import Draft
from sslops.model.acme import ChallengeType, OrderSeen, OrderStatus, Proof
from sslops.model.inventory import CaType, CertificateAuthority
from sslops.model.names import generation_id
from sslops.model.plan import Action, Verb
from sslops.model.state import Generation, Slots, Status
from tests.unit.issue.site import NOW, WEB, leaf

SERVICE = leaf(WEB, "www.example.com", signing_ca="le")
PROOF = Proof(ChallengeType.DNS_01, "example.com", "www.example.com", "token-of-16-chars", "v" * 43)
READY = OrderSeen("https://ca.example.net/order/1", OrderStatus.READY, "https://ca.example.net/finalize/1")


def test_an_order_that_needs_no_proof_any_more_still_remembers_what_an_earlier_run_shows() -> None:
    """A run that is killed right after it wrote that the order is ready leaves the taking away to the next one."""
    key = "00" * 32
    generation = Generation(
        generation_id(NOW, key), Status.KEYED, NOW, "le", None, "due", None, "ec", "secp256r1", key, "x"
    )
    draft = Draft(Action(Verb.RENEW, WEB.group, WEB.name, "issue", "due"), SERVICE, generation)
    ca = CertificateAuthority("le", CaType.ACME)
    job = Job(draft, ca, generation, Slots(), None, is_stored=True, shown=frozenset({PROOF}))
    job.ordered(READY, (), NOW + timedelta(hours=1))

    assert frozenset({PROOF}) == proofs_of(job.generation.order)
