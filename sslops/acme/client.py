"""One ACME server with one account: orders, authorisations, certificates and renewal windows as plain values.

Nothing is polled here and nothing sleeps: each method is one request, and the stage decides when to look again.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sslops.acme.account import load_key, thumbprint
from sslops.acme.http import AcmeHttp, problem_text
from sslops.errors import AcmeError
from sslops.model.acme import (
    Account,
    AuthorizationSeen,
    ChallengeSeen,
    ChallengeType,
    Directory,
    OrderSeen,
    Proof,
    RenewalWindow,
)
from sslops.model.names import is_address
from sslops.system.effects import NO_EFFECTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from josepy import jwk

    from sslops.acme.http import Answer
    from sslops.model.acme import ExternalAccount, OrderWish
    from sslops.system.effects import Effects


class AcmeClient:
    """Speaks to the CA *name* at *directory_url*; nothing is asked before the first use."""

    def __init__(
        self,
        name: str,
        directory_url: str,
        *,
        now: Callable[[], datetime],
        ca_bundle: str | None = None,
        effects: Effects = NO_EFFECTS,
    ) -> None:
        """Trust *ca_bundle* (a file) instead of the system's certificates, when it is given."""
        self.name = name
        self._directory_url = directory_url
        self._wanted = (ca_bundle, now, effects)
        self._account: Account | None = None

    # What needs no account.

    @cached_property
    def directory(self) -> Directory:
        """What the server offers; AcmeError when it cannot be asked."""
        meta = self._urls.get("meta")
        meta = meta if isinstance(meta, dict) else {}
        profiles = meta.get("profiles")
        found = {str(name): str(text) for name, text in profiles.items()} if isinstance(profiles, dict) else {}
        return Directory(found, has_renewal_info=isinstance(self._urls.get("renewalInfo"), str))

    def renewal_window(self, cert: bytes) -> RenewalWindow | None:
        """Return when the server wants the certificate (PEM) renewed; null when it gives no usable answer."""
        url = self._urls.get("renewalInfo")
        if not isinstance(url, str):
            return None
        answer = self._http.get(f"{url.rstrip('/')}/{certificate_id(cert)}")
        said = answer.json()
        window = said.get("suggestedWindow")
        if not isinstance(window, dict):
            return None
        start, end = _moment(window.get("start")), _moment(window.get("end"))
        if start is None or end is None or end <= start:
            return None  # RFC 9773 section 4.2: as if there were no answer
        return RenewalWindow(start, end, _web_address(said.get("explanationURL")), answer.retry_after_seconds)

    # The account.

    def use(self, account: Account) -> None:
        """Sign with *account* from now on."""
        self._account = account
        self.__dict__.pop("_key", None)

    def register(self, contact: str | None, external: ExternalAccount | None) -> Account:
        """Return the account with its URL: a new one, or the one that the server already has for this key."""
        payload: dict[str, Any] = {"termsOfServiceAgreed": True}
        if contact is not None:
            payload["contact"] = [f"mailto:{contact}"]
        if external is not None:
            payload["externalAccountBinding"] = self._binding(external)
        url = self._endpoint("newAccount")
        answer = self._http.post(url, payload, self._key, None, effect="acme account")
        account = Account(self._used.key, _location(answer))
        self.use(account)
        return account

    # Orders.

    def order(self, wish: OrderWish) -> OrderSeen:
        """Order a certificate; where the server says that *replaces* was replaced already, once more without it."""
        identifiers = [{"type": "ip" if is_address(name) else "dns", "value": name} for name in wish.names]
        payload: dict[str, Any] = {"identifiers": identifiers}
        if wish.profile is not None:
            payload["profile"] = wish.profile
        if wish.replaces is not None and self.directory.has_renewal_info:
            try:
                return self._new_order(payload | {"replaces": certificate_id(wish.replaces)})
            except AcmeError as error:
                # Some servers answer 409 without the kind, some refuse the field itself; the order is what counts.
                if error.problem not in {"alreadyReplaced", "malformed"} and error.status != 409:  # noqa: PLR2004
                    raise
        return self._new_order(payload)

    def look(self, url: str) -> OrderSeen:
        """Return the order at *url* as it is now."""
        return _order(url, self._post(url, None))

    def authorization(self, url: str) -> AuthorizationSeen:
        """Return one authorisation as it is now."""
        return _authorization(url, self._post(url, None).json())

    def answer(self, challenge: ChallengeSeen) -> None:
        """Tell the server that the proof is there; it may look at once. Fine too if another run told it before."""
        try:
            self._post(challenge.url, {}, effect="acme answer").json()
        except AcmeError as error:
            if error.problem != "malformed" or self._challenge_status(challenge) == "pending":
                raise

    def finalize(self, order: OrderSeen, csr: bytes) -> OrderSeen:
        """Hand in the CSR (PEM) of an order that is ready, or was until another run did."""
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import Encoding

        der = x509.load_pem_x509_csr(csr).public_bytes(Encoding.DER)
        try:
            return _order(order.url, self._post(order.finalize, {"csr": _base64(der)}, effect="acme finalize"))
        except AcmeError as error:
            now = self.look(order.url) if error.problem == "orderNotReady" else order
            if now.status == order.status:
                raise
            return now

    def chains(self, order: OrderSeen, *, alternates: bool = False) -> tuple[bytes, ...]:
        """Return the certificate with its default chain (PEM), and with *alternates* those that the server also has."""
        answer = self._post(order.certificate or "", None)
        others = answer.links.get("alternate", ()) if alternates else ()
        return (answer.body, *(self._post(url, None).body for url in others))

    def proof(self, group: str, authorization: AuthorizationSeen, challenge: ChallengeSeen) -> Proof:
        """Return what has to be shown for *challenge*, for a service of *group*; AcmeError for one that cannot be."""
        text = f"{challenge.token}.{self._thumbprint}"
        kind = ChallengeType(challenge.type)
        value = text if kind is ChallengeType.HTTP_01 else _base64(hashlib.sha256(text.encode()).digest())
        proof = Proof(kind, group, authorization.identifier, challenge.token, value)
        if proof.fault is not None:
            raise AcmeError(f"'{self.name}' asked for a challenge that cannot be: {proof.fault} (RFC 8555 section 8)")
        return proof

    # How.

    def _challenge_status(self, challenge: ChallengeSeen) -> str:
        return _challenge(self._post(challenge.url, None).json()).status

    def _new_order(self, payload: dict[str, Any]) -> OrderSeen:
        answer = self._post(self._endpoint("newOrder"), payload, effect="acme order")
        return _order(_location(answer), answer)

    def _post(self, url: str, payload: object, *, effect: str | None = None) -> Answer:
        return self._http.post(url, payload, self._key, self._used.url, effect=effect)

    def _binding(self, external: ExternalAccount) -> dict[str, Any]:
        from acme.messages import ExternalAccountBinding

        hmac_key = external.hmac_key.reveal().decode().strip()
        urls: Any = {"newAccount": self._endpoint("newAccount")}
        return ExternalAccountBinding.from_data(self._key.public_key(), external.kid, hmac_key, urls)

    def _endpoint(self, name: str) -> str:
        url = self._urls.get(name)
        if not isinstance(url, str):
            raise AcmeError(f"'{self._directory_url}' is no ACME directory: it has no '{name}'")
        return url

    @property
    def _used(self) -> Account:
        if self._account is None:
            message = "no account is in use"
            raise RuntimeError(message)
        return self._account

    @cached_property
    def _key(self) -> jwk.JWK:
        return load_key(self._used)

    @cached_property
    def _thumbprint(self) -> str:
        return thumbprint(self._key)

    @cached_property
    def _http(self) -> AcmeHttp:
        ca_bundle, now, effects = self._wanted
        return AcmeHttp(self.name, ca_bundle, now, effects)

    @cached_property
    def _urls(self) -> dict[str, Any]:
        urls = self._http.get(self._directory_url).json()
        if isinstance(urls.get("newNonce"), str):
            self._http.new_nonce_url = urls["newNonce"]
        return urls


def certificate_id(cert: bytes) -> str:
    """Return how renewal information names a certificate (PEM): authority key identifier and serial (RFC 9773 4.1)."""
    from cryptography import x509

    found = x509.load_pem_x509_certificate(cert)
    identifier = found.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    serial = found.serial_number
    # The content of a DER INTEGER: one byte more where the first bit would make it negative.
    encoded = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    return f"{_base64(identifier or b'')}.{_base64(encoded)}"


def _order(url: str, answer: Answer) -> OrderSeen:
    said = answer.json()
    error = said.get("error")
    authorizations = said.get("authorizations")
    return OrderSeen(
        url=url,
        status=str(said.get("status")),
        finalize=_text(said.get("finalize")),
        authorizations=tuple(map(str, authorizations)) if isinstance(authorizations, list) else (),
        expires=_moment(said.get("expires")),
        certificate=_text(said.get("certificate")) or None,
        error=problem_text(error) if isinstance(error, dict) else None,
        retry_after_seconds=answer.retry_after_seconds,
    )


def _authorization(url: str, said: Mapping[str, Any]) -> AuthorizationSeen:
    identifier, challenges = said.get("identifier"), said.get("challenges")
    name = identifier.get("value") if isinstance(identifier, dict) else None
    return AuthorizationSeen(
        url=url,
        identifier=_text(name).lower(),
        status=str(said.get("status")),
        expires=_moment(said.get("expires")),
        challenges=tuple(_challenge(each) for each in challenges if isinstance(each, dict))
        if isinstance(challenges, list)
        else (),
    )


def _challenge(said: Mapping[str, Any]) -> ChallengeSeen:
    error = said.get("error")
    return ChallengeSeen(
        type=_text(said.get("type")),
        url=_text(said.get("url")),
        status=_text(said.get("status")),
        token=_text(said.get("token")),
        error=problem_text(error) if isinstance(error, dict) else None,
    )


def _location(answer: Answer) -> str:
    url = answer.headers.get("Location")
    if not url:
        raise AcmeError("the server's answer names no address")
    return url


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _moment(value: object) -> datetime | None:
    """Read RFC 3339; null for what is none. Fractions of a second are cut: state keeps whole seconds."""
    try:
        moment = datetime.fromisoformat(_text(value))
    except ValueError:
        return None
    return moment.astimezone(UTC).replace(microsecond=0) if moment.tzinfo else None


def _web_address(value: object) -> str | None:
    text = _text(value)
    return text if text.startswith(("https://", "http://")) and text.isprintable() and " " not in text else None


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
