"""One ACME server with one account: orders, authorisations, certificates and renewal windows as plain values.

Nothing is polled here and nothing sleeps: each method is one request, and the stage decides when to look again. What
the server says is taken over as far as it has the form that RFC 8555 gives it, and no further: texts are one line of
bounded length, moments lie within some two centuries, lists are no longer than an order can need.
"""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sslops.acme.account import key_of_pem, load_key, thumbprint
from sslops.acme.http import LONGEST_URL, AcmeHttp, one_line, problem_text, quoted, safe_host
from sslops.errors import AcmeError, StateError
from sslops.model.acme import (
    Account,
    AccountStatus,
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
    from sslops.model.secret import Secret
    from sslops.system.effects import Effects


_YEARS = range(1970, 2200)
"""Of these years a moment may be; any other is taken for none."""
_MOST_CHAINS = 8
_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NOT_REFUSED = frozenset({"accountDoesNotExist", "badNonce", "rateLimited", "connection", "timeout", "garbled"})
"""Problems of an order that another order, without `replaces`, would have as well."""
_NOT_NOW = frozenset({429, 503})
_CLOSED = frozenset({401, 403})


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
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Trust *ca_bundle* (a file) instead of the system's certificates, when it is given.

        *say* tells a person what the server does that is no failure and worth a line.
        """
        self.name = name
        self._directory_url = directory_url
        self._wanted = (ca_bundle, now, effects)
        self._say = say
        self._account: Account | None = None

    # What needs no account.

    @cached_property
    def directory(self) -> Directory:
        """What the server offers; AcmeError when it cannot be asked."""
        meta = self._urls.get("meta")
        meta = meta if isinstance(meta, dict) else {}
        profiles = meta.get("profiles")
        known = profiles.items() if isinstance(profiles, dict) else ()
        found = {name: one_line(str(text)) for name, text in known if _PROFILE.fullmatch(name)}
        return Directory(found, has_renewal_info=isinstance(self._urls.get("renewalInfo"), str))

    def renewal_window(self, cert: bytes) -> RenewalWindow | None:
        """Return when the server wants the certificate (PEM) renewed; null when it gives no usable answer."""
        url, identifier = self._urls.get("renewalInfo"), certificate_id(cert)
        if not isinstance(url, str) or identifier is None:
            return None
        answer = self._http.get(f"{url.rstrip('/')}/{identifier}")
        said = answer.json()
        window = said.get("suggestedWindow")
        if not isinstance(window, dict):
            return None
        start, end = _moment(window.get("start")), _moment(window.get("end"))
        if start is None or end is None or end <= start:
            return None  # RFC 9773 section 4.2: as if there were no answer
        return RenewalWindow(start, end, _web_address(said.get("explanationURL")), answer.retry_after_seconds)

    # The account.

    @property
    def account_url(self) -> str | None:
        """The address of the account in use; null while there is none."""
        return self._account.url if self._account is not None else None

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
        account = Account(self._used.key, _location(answer), self._directory_url)
        self.use(account)
        return account

    def account_status(self) -> AccountStatus:
        """Ask whether the account in use is still good (RFC 8555 section 7.3.6); AcmeError without an answer."""
        if self._used.url is None:
            return AccountStatus.UNKNOWN
        try:
            said = _text(self._post(self._used.url, None).json().get("status"))
        except AcmeError as error:
            if error.problem == "accountDoesNotExist":
                return AccountStatus.UNKNOWN
            if error.problem != "unauthorized" and error.status not in _CLOSED:
                raise
            # An account that is closed may not even read itself.
            said = "revoked" if "revoked" in error.what else "deactivated"
        return AccountStatus(said) if said in set(AccountStatus) else AccountStatus.UNKNOWN

    # Orders.

    def order(self, wish: OrderWish) -> OrderSeen:
        """Order a certificate; where the server does not take what it *replaces*, once more without it.

        What a CA may have against it is open: replaced already, another account's, forgotten, no such field
        (RFC 9773 section 5). The order is what counts.
        """
        identifiers = [{"type": "ip" if is_address(name) else "dns", "value": name} for name in wish.names]
        payload: dict[str, Any] = {"identifiers": identifiers}
        if wish.profile is not None:
            payload["profile"] = wish.profile
        replaced = certificate_id(wish.replaces) if wish.replaces is not None else None
        if replaced is not None and self.directory.has_renewal_info:
            try:
                return self._new_order(payload | {"replaces": replaced})
            except AcmeError as error:
                if not _is_refusal(error):
                    raise
                self._say(f"{error.what}; the order is placed once more without saying which certificate it replaces")
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
        others = answer.links.get("alternate", ())[:_MOST_CHAINS] if alternates else ()
        return (answer.body, *(self._post(url, None).body for url in others))

    def revoke(self, cert: bytes, reason: int, key: Secret | None) -> None:
        """Tell the server that a certificate (PEM) is revoked, by *key*, its own (PEM), else by the account in use.

        One that is revoked already is as it should be (RFC 8555 section 7.6). StateError for a key that cannot sign.
        """
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import Encoding

        der = x509.load_pem_x509_certificate(cert).public_bytes(Encoding.DER)
        payload, url = {"certificate": _base64(der), "reason": reason}, self._endpoint("revokeCert")
        try:
            if key is None:
                self._post(url, payload, effect="acme revoke")
            else:
                self._endpoint("newNonce")
                self._http.post(url, payload, key_of_pem(key), None, effect="acme revoke")
        except AcmeError as error:
            if error.problem != "alreadyRevoked":
                raise

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
        self._endpoint("newNonce")
        return self._http.post(url, payload, self._key, self._used.url, effect=effect)

    def _binding(self, external: ExternalAccount) -> dict[str, Any]:
        from acme.messages import ExternalAccountBinding

        urls: Any = {"newAccount": self._endpoint("newAccount")}
        try:
            hmac_key = external.hmac_key.reveal().decode().strip()
            return ExternalAccountBinding.from_data(self._key.public_key(), external.kid, hmac_key, urls)
        except Exception:  # noqa: BLE001  (whatever josepy raises could quote the key)
            message = f"the MAC key of '{self.name}' is not base64url, as CAs give it"
            raise StateError(message, hint=f"eab.hmac_key of '{self.name}' in inventory/cas.yaml") from None

    def _endpoint(self, name: str) -> str:
        url = self._urls.get(name)
        if not isinstance(url, str):
            what = f"'{self._directory_url}' is no ACME directory: it has no '{name}'"
            raise AcmeError(what, problem="garbled")
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
        return AcmeHttp(self.name, ca_bundle, now, effects, self._say)

    @cached_property
    def _urls(self) -> dict[str, Any]:
        urls = self._http.get(self._directory_url).json()
        named = (self._directory_url, *(url for url in urls.values() if isinstance(url, str)))
        self._http.known_hosts = {host for host in map(safe_host, named) if host is not None}
        if isinstance(urls.get("newNonce"), str):
            self._http.new_nonce_url = urls["newNonce"]
        return urls


def certificate_id(cert: bytes) -> str | None:
    """Return how renewal information names a certificate (PEM): authority key identifier and serial (RFC 9773 4.1).

    Null for one without such an identifier, or one that cannot be read: its CA cannot be asked about it.
    """
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate(cert)
        identifier = found.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except Exception:  # noqa: BLE001  (a CA wrote it, and the parser has many kinds of errors)
        return None
    if not identifier:
        return None
    serial = found.serial_number
    # The content of a DER INTEGER: one byte more where the first bit would make it negative.
    encoded = serial.to_bytes(serial.bit_length() // 8 + 1, "big", signed=serial < 0)
    return f"{_base64(identifier)}.{_base64(encoded)}"


def _is_refusal(error: AcmeError) -> bool:
    """Whether the server has something against this very order, which it might not have against another.

    That is also an internal error: pebble answers one for a certificate that it does not know.
    """
    return error.status is not None and error.status not in _NOT_NOW and error.problem not in _NOT_REFUSED


def _order(url: str, answer: Answer) -> OrderSeen:
    said = answer.json()
    error = said.get("error")
    authorizations = said.get("authorizations")
    return OrderSeen(
        url=url,
        status=_word(said.get("status")),
        finalize=_text(said.get("finalize")),
        authorizations=tuple(map(_text, authorizations)) if isinstance(authorizations, list) else (),
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
        identifier=one_line(_text(name)).lower(),
        status=_word(said.get("status")),
        expires=_moment(said.get("expires")),
        challenges=tuple(_challenge(each) for each in challenges if isinstance(each, dict))
        if isinstance(challenges, list)
        else (),
    )


def _challenge(said: Mapping[str, Any]) -> ChallengeSeen:
    error = said.get("error")
    return ChallengeSeen(
        type=_word(said.get("type")),
        url=_text(said.get("url")),
        status=_word(said.get("status")),
        token=_text(said.get("token")),
        error=problem_text(error) if isinstance(error, dict) else None,
    )


def _location(answer: Answer) -> str:
    """Return the address of what was made: it is kept in the repository, and asked for by later runs."""
    url = answer.headers.get("Location")
    if not url:
        raise AcmeError("the server's answer names no address", problem="garbled")
    if safe_host(url) is None:
        raise AcmeError(
            f"the server's answer names an address that is no plain https one: {quoted(url)}", problem="garbled"
        )
    return url


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _word(value: object) -> str:
    return one_line(_text(value))


def _moment(value: object) -> datetime | None:
    """Read RFC 3339; null for what is none. Fractions of a second are cut: state keeps whole seconds."""
    try:
        told = datetime.fromisoformat(_text(value))
        moment = told.astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        return None
    return moment if told.tzinfo is not None and moment.year in _YEARS else None


def _web_address(value: object) -> str | None:
    """Return the address of a page for people; null for what no browser should be led to, or no line can hold."""
    text = _text(value)
    is_plain = text.startswith(("https://", "http://")) and text.isprintable() and " " not in text
    return text if is_plain and len(text) <= LONGEST_URL else None


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
