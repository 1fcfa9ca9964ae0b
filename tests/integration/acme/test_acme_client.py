"""One account at a real CA: what happens when another run was faster with the same order."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sslops.acme.account import new_account
from sslops.acme.client import AcmeClient
from sslops.errors import AcmeError
from sslops.model.acme import OrderStatus, OrderWish
from tests.world import acme_faults
from tests.world.acme_client import include_file
from tests.world.dns_files import ACME_DIR
from tests.world.pebble import Policy
from tests.world.programs import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from sslops.model.acme import AuthorizationSeen, ChallengeSeen
    from tests.world.dns import DnsWorld
    from tests.world.pebble import Pebble

NAME = "example.com"


def test_what_another_run_told_the_ca_before_is_no_failure(pebble: Pebble, dns_world: DnsWorld) -> None:
    """A challenge that is answered twice, and an order that is finalized twice, go on as if it had been once."""
    client = AcmeClient("le-dns", pebble.directory, now=lambda: datetime.now(UTC), ca_bundle=str(pebble.ca_bundle))
    client.use(new_account(pebble.directory))
    client.register(None, None)
    order = client.order(OrderWish((NAME,), None, None))
    authorization = client.authorization(order.authorizations[0])
    challenge = dns_challenge(authorization)
    value = client.proof(NAME, authorization, challenge).value
    dns_world.edit(
        {f"{ACME_DIR}/acme-challenge.{NAME}": include_file({f"_acme-challenge.{NAME}.": frozenset({value})})}
    )
    dns_world.settle()
    client.answer(challenge)
    wait_until(lambda: client.look(order.url).status == OrderStatus.READY, lambda: str(client.look(order.url)))
    client.answer(challenge)
    ready = client.look(order.url)
    states = [client.finalize(ready, csr()).status for _ in range(2)]

    assert set(states) <= {OrderStatus.PROCESSING, OrderStatus.VALID}


def test_what_nobody_told_the_ca_is_a_failure(start_pebble: Callable[..., Pebble]) -> None:
    """The challenge is still open, the order still where it was: then a refusal is one."""
    ca = start_pebble(Policy(nonce_rejection_percent=0))
    front = acme_faults.Front(ca.address, ca.endpoint_ca)
    client = AcmeClient("le-dns", front.directory, now=lambda: datetime.now(UTC), ca_bundle=str(front.ca_bundle))
    client.use(new_account(front.directory))
    client.register(None, None)
    order = client.order(OrderWish((NAME,), None, None))
    challenge = dns_challenge(client.authorization(order.authorizations[0]))
    front.plan("answer", acme_faults.problem("malformed"))
    with pytest.raises(AcmeError, match="malformed"):
        client.answer(challenge)
    with pytest.raises(AcmeError, match="orderNotReady"):
        client.finalize(order, csr())
    front.stop()


def dns_challenge(authorization: AuthorizationSeen) -> ChallengeSeen:
    """Return the challenge of dns-01."""
    return next(each for each in authorization.challenges if each.type == "dns-01")


def csr() -> bytes:
    """Return a CSR for NAME, PEM."""
    names = x509.SubjectAlternativeName([x509.DNSName(NAME)])
    builder = x509.CertificateSigningRequestBuilder(x509.Name([])).add_extension(names, critical=False)
    request = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)
