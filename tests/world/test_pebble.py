"""The ACME server of the test world: what it promises to the tests that stand on it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest
from acme import errors, messages
from cryptography import x509

from tests.world.acme_client import BareClient, include_file
from tests.world.dns_files import ACME_DIR
from tests.world.pebble import PROFILES, Policy, external_account

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.world.dns import DnsWorld
    from tests.world.pebble import Pebble

NAMES = ("example.com", "*.example.com", "www.example.com", "mail.example.com")
CHALLENGES = f"{ACME_DIR}/acme-challenge.example.com"
STEADY = Policy(nonce_rejection_percent=0)


@pytest.fixture
def steady(start_pebble: Callable[..., Pebble]) -> Pebble:
    """Return a CA that never rejects a nonce, since the library tries again only once."""
    return start_pebble(STEADY)


@pytest.fixture
def bare_client() -> Iterator[Callable[..., BareClient]]:
    """Yield a function that makes a client with an account of its own."""
    made: list[BareClient] = []

    def make(*words: object) -> BareClient:
        made.append(BareClient(*words))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        each.close()


def issue(client: BareClient, world: DnsWorld, names: tuple[str, ...] = NAMES, profile: str | None = None) -> str:
    """Order *names* of example.com through the DNS repository; return certificate and chain, PEM."""
    order = client.order(names, profile)
    world.edit({CHALLENGES: include_file(client.records(order))})
    world.settle()
    client.answer(order)
    return client.finish(order)


def chain(pem: str) -> list[x509.Certificate]:
    """Read certificates in their order."""
    return x509.load_pem_x509_certificates(pem.encode())


def names_of(certificate: x509.Certificate) -> set[str]:
    """Return the DNS names of a certificate."""
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(found.get_values_for_type(x509.DNSName))


def test_an_order_is_validated_by_what_travelled_through_the_dns_repository(
    steady: Pebble, dns_world: DnsWorld, bare_client: Callable[..., BareClient]
) -> None:
    """The TXT records that pebble sees are those of knot; the chain ends at the root it tells."""
    leaf, intermediate = chain(issue(bare_client(steady), dns_world))
    root = x509.load_pem_x509_certificate(steady.roots()[0].encode())

    assert set(NAMES) == names_of(leaf)
    assert root.subject == intermediate.issuer
    assert "Valid" == steady.status(leaf.serial_number)


def test_a_push_that_was_not_loaded_fails_the_order(
    steady: Pebble, dns_world: DnsWorld, bare_client: Callable[..., BareClient]
) -> None:
    """Pebble asks name servers, not the repository."""
    dns_world.hold()
    client = bare_client(steady)
    order = client.order(NAMES)
    dns_world.edit({CHALLENGES: include_file(client.records(order))})
    client.answer(order)
    with pytest.raises(errors.ValidationError):
        client.finish(order)


def test_a_challenge_name_may_be_an_alias_into_the_other_zone(
    steady: Pebble, dns_world: DnsWorld, bare_client: Callable[..., BareClient]
) -> None:
    """A CNAME at _acme-challenge is followed from one zone to the other."""
    client = bare_client(steady)
    order = client.order(["www.example.com"])
    (value,) = client.records(order).values()
    dns_world.edit(
        {
            CHALLENGES: "_acme-challenge.www.example.com. 1 IN CNAME www.example.net.\n",
            f"{ACME_DIR}/acme-challenge.example.net": include_file({"www.example.net.": value}),
        }
    )
    dns_world.settle()
    client.answer(order)
    (leaf, _) = chain(client.finish(order))

    assert {"www.example.com"} == names_of(leaf)


@pytest.mark.parametrize(("profile", "seconds"), PROFILES.items())
def test_a_profile_decides_the_lifetime(
    steady: Pebble, dns_world: DnsWorld, bare_client: Callable[..., BareClient], profile: str, seconds: int
) -> None:
    """The three profiles of Let's Encrypt, with their lifetimes."""
    steady.need_modern()
    leaf = chain(issue(bare_client(steady), dns_world, NAMES[:1], profile))[0]

    assert seconds - 1 == (leaf.not_valid_after_utc - leaf.not_valid_before_utc).total_seconds()


def test_renewal_information_is_what_was_set(
    steady: Pebble, dns_world: DnsWorld, bare_client: Callable[..., BareClient]
) -> None:
    """A window in the past, with its explanation, is answered as it was given."""
    steady.need_modern()
    client = bare_client(steady)
    pem = issue(client, dns_world, NAMES[:1])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    steady.set_renewal_info(pem, start, start + dt.timedelta(days=1), "https://example.com/why")
    answer = client.renewal_info(pem)

    assert {"start": "2020-01-01T00:00:00+00:00", "end": "2020-01-02T00:00:00+00:00"} == answer["suggestedWindow"]
    assert "https://example.com/why" == answer["explanationURL"]


def test_a_revoked_certificate_is_told_as_revoked(
    steady: Pebble, dns_world: DnsWorld, bare_client: Callable[..., BareClient]
) -> None:
    """The control port knows; a certificate of another CA it does not."""
    client = bare_client(steady)
    leaf = chain(issue(client, dns_world, NAMES[:1]))[0]
    client.acme.revoke(leaf, 4)

    assert "Revoked" == steady.status(leaf.serial_number)
    with pytest.raises(KeyError):
        steady.status(1)


def test_a_restart_forgets_accounts_and_roots(steady: Pebble, bare_client: Callable[..., BareClient]) -> None:
    """An account of yesterday does not exist, and the root is another."""
    client = bare_client(steady)
    before = steady.roots()
    steady.restart()
    with pytest.raises(messages.Error, match="accountDoesNotExist"):
        client.order(NAMES)

    assert before != steady.roots()


def test_alternate_roots_are_offered(
    start_pebble: Callable[..., Pebble], dns_world: DnsWorld, bare_client: Callable[..., BareClient]
) -> None:
    """Two more chains for the same certificate, each to a root of its own."""
    ca = start_pebble(Policy(nonce_rejection_percent=0, alternate_roots=2, chain_length=2))
    leaf, *intermediates = chain(issue(bare_client(ca), dns_world, NAMES[:1]))

    assert 3 == len(set(ca.roots()))
    assert 2 == len(intermediates)
    assert leaf.issuer == intermediates[0].subject


def test_an_external_account_is_compulsory_when_there_is_one(
    start_pebble: Callable[..., Pebble], bare_client: Callable[..., BareClient]
) -> None:
    """Without a binding there is no account, with it there is."""
    binding = external_account()
    ca = start_pebble(Policy(nonce_rejection_percent=0, external_accounts=dict([binding])))
    with pytest.raises(messages.Error, match="externalAccountRequired"):
        bare_client(ca)

    assert bare_client(ca, binding).account.uri


def test_a_blocked_name_is_refused_when_it_is_ordered(
    start_pebble: Callable[..., Pebble], bare_client: Callable[..., BareClient]
) -> None:
    """The whole order is, whatever the others are."""
    ca = start_pebble(Policy(nonce_rejection_percent=0, blocked_names=("www.example.com",)))
    with pytest.raises(messages.Error, match="rejectedIdentifier"):
        bare_client(ca).order(["mail.example.com", "www.example.com"])


def test_nonces_are_rejected_as_often_as_wished(start_pebble: Callable[..., Pebble]) -> None:
    """With 100 per cent nobody gets an account."""
    with pytest.raises(messages.Error, match="badNonce"):
        BareClient(start_pebble(Policy(nonce_rejection_percent=100)))
