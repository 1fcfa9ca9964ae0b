"""An ACME client as bare as can be: the `acme` library, one account, dns-01, for tests of the test world itself."""

from __future__ import annotations

import base64
import datetime as dt
import warnings
from typing import TYPE_CHECKING, Any, Protocol

from acme import challenges, client, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from josepy import jwa, jwk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

PATIENCE = dt.timedelta(seconds=60)


class Reachable(Protocol):
    """A CA, or what stands in front of it."""

    @property
    def directory(self) -> str:
        """The directory URL."""

    @property
    def ca_bundle(self) -> Path:
        """The PEM file to trust."""


class BareClient:
    """An account at a CA and the steps of an order, one method each."""

    def __init__(self, ca: Reachable, external_account: tuple[str, str] | None = None) -> None:
        """Make a new account; *external_account* is key id and MAC key."""
        key = jwk.JWKEC(key=ec.generate_private_key(ec.SECP256R1()))
        self._network = client.ClientNetwork(key, alg=jwa.ES256, user_agent="sslops-test-world")
        # `requests` takes a bundle here; the library's own type says it is a boolean.
        self._network.verify_ssl = str(ca.ca_bundle)  # type: ignore[assignment]
        self.acme = client.ClientV2(client.ClientV2.get_directory(ca.directory, self._network), self._network)
        self._key = key
        self.account = self.acme.new_account(self._registration(external_account))

    def order(self, names: Sequence[str], profile: str | None = None) -> messages.OrderResource:
        """Ask for an order for *names* with a new EC key."""
        return self.acme.new_order(_csr(names), profile=profile)

    def records(self, order: messages.OrderResource) -> Mapping[str, frozenset[str]]:
        """Return owner name to the TXT values that it needs."""
        wanted: dict[str, frozenset[str]] = {}
        for authorization, challenge in _pending(order):
            owner = challenge.chall.validation_domain_name(authorization.body.identifier.value) + "."
            value = challenge.chall.validation(self._key)
            wanted[owner] = wanted.get(owner, frozenset()) | {value}
        return wanted

    def answer(self, order: messages.OrderResource) -> None:
        """Tell the CA that every pending challenge is ready."""
        for _, challenge in _pending(order):
            self.acme.answer_challenge(challenge, challenge.chall.response(self._key))

    def finish(self, order: messages.OrderResource) -> str:
        """Wait for the authorizations and return certificate and chain, PEM."""
        # The library compares with local times that carry no zone.
        deadline = dt.datetime.now() + PATIENCE  # noqa: DTZ005
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            done = self.acme.poll_and_finalize(order, deadline)
        return str(done.fullchain_pem)

    def renewal_info(self, certificate: str) -> dict[str, Any]:
        """Return what the CA answers about renewing *certificate* (PEM), as it is (RFC 9773 section 4)."""
        leaf = x509.load_pem_x509_certificate(certificate.encode())
        found = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier or b""
        serial = leaf.serial_number.to_bytes(leaf.serial_number.bit_length() // 8 + 1, "big")
        parts = (base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (found, serial))
        url = f"{self.acme.directory['renewalInfo']}/{'.'.join(parts)}"
        return dict(self._network.get(url).json())

    def close(self) -> None:
        """Close the connections."""
        self._network.session.close()

    def _registration(self, external_account: tuple[str, str] | None) -> messages.NewRegistration:
        if external_account is None:
            return messages.NewRegistration(terms_of_service_agreed=True)
        kid, mac_key = external_account
        binding = messages.ExternalAccountBinding.from_data(self._key.public_key(), kid, mac_key, self.acme.directory)
        return messages.NewRegistration(terms_of_service_agreed=True, external_account_binding=binding)


def include_file(records: Mapping[str, frozenset[str]]) -> str:
    """Write *records* as an include file of a zone."""
    return "".join(f'{owner} 1 IN TXT "{value}"\n' for owner, values in records.items() for value in sorted(values))


def _pending(
    order: messages.OrderResource,
) -> Iterator[tuple[messages.AuthorizationResource, messages.ChallengeBody]]:
    for authorization in order.authorizations:
        if authorization.body.status != messages.STATUS_PENDING:
            continue
        for challenge in authorization.body.challenges:
            if isinstance(challenge.chall, challenges.DNS01):
                yield authorization, challenge


def _csr(names: Sequence[str]) -> bytes:
    alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    builder = x509.CertificateSigningRequestBuilder(x509.Name([])).add_extension(alternatives, critical=False)
    request = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)
