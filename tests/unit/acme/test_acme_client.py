"""What becomes of what a CA says: values of ours or an error of that CA, whatever JSON it is."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from sslops.acme.account import new_account
from sslops.acme.client import AcmeClient, certificate_id
from sslops.acme.http import Answer
from sslops.errors import AcmeError
from sslops.model.acme import Account, OrderWish
from sslops.model.names import format_time, parse_time
from sslops.model.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

URL = "https://ca.example.net/dir"
NOW = datetime(2026, 12, 1, tzinfo=UTC)
KEYS: tuple[str, ...] = (
    "status",
    "expires",
    "finalize",
    "certificate",
    "authorizations",
    "error",
    "identifier",
    "challenges",
    "type",
)
KEYS += ("url", "token", "value", "detail", "subproblems", "newNonce", "newAccount", "newOrder", "renewalInfo", "meta")
KEYS += ("profiles", "suggestedWindow", "start", "end", "explanationURL")
WORDS = ("pending", "valid", "invalid", "dns", "dns-01", "\ud800", "\x1b[2J", "x" * 9999)
MOMENTS = ("2026-12-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00")
URLS = ("https://ca.example.net/a", "http://192.0.2.1/", "https://a:b@ca.example.net/", "")
TEXTS = st.one_of(st.text(max_size=30), st.sampled_from([*WORDS, *MOMENTS, *URLS]))
JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(st.sampled_from(KEYS), TEXTS), inner, max_size=6)
    ),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.sampled_from(KEYS), JSON, max_size=10)


class Echo:
    """A server that answers every request with the same object."""

    def __init__(self, said: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        """Answer *said*."""
        self._answer = Answer(json.dumps(said).encode(), headers, None, {})
        self.new_nonce_url, self.known_hosts = "", set[str]()

    def get(self, _: str) -> Answer:
        """Answer."""
        return self._answer

    def post(self, *_: object, effect: str | None = None) -> Answer:  # noqa: ARG002  (the port's)
        """Answer."""
        return self._answer


@given(OBJECTS, TEXTS)
def test_whatever_json_a_ca_gives_is_a_value_or_an_error_of_that_ca(said: dict[str, Any], location: str) -> None:
    """Nothing else is raised, and what is kept can be written: moments, and texts of one printable line."""
    client = AcmeClient("le", URL, now=lambda: NOW)
    endpoints = {name: f"https://ca.example.net/{name}" for name in ("newNonce", "newAccount", "newOrder")}
    client.__dict__["_http"] = Echo(endpoints | said, {"Location": location})
    client.use(new_account(URL))
    for ask in (
        lambda: client.directory,
        lambda: client.order(OrderWish(("www.example.com",))),
        lambda: client.look("https://ca.example.net/order/1"),
        lambda: client.authorization("https://ca.example.net/authz/1"),
        lambda: client.register(None, None),
        client.account_status,
    ):
        found: Any = None
        with suppress(AcmeError):
            found = ask()
        expires = getattr(found, "expires", None)
        assert expires is None or expires == parse_time(format_time(expires))
        for name in ("status", "identifier", "error"):
            text = getattr(found, name, None)
            assert text is None or (text.isprintable() and len(text) < 1000)


@given(st.binary(max_size=400))
def test_no_bytes_make_the_name_of_a_certificate_fail(noise: bytes) -> None:
    """What is no certificate, or has no issuer's key identifier, has no name, and its CA is not asked about it."""
    pem = b"-----BEGIN CERTIFICATE-----\n" + noise + b"\n-----END CERTIFICATE-----\n"

    assert certificate_id(pem) is None


def test_an_account_of_an_older_release_belongs_to_the_host_that_its_address_is_at() -> None:
    """It says no directory; one without an address has never been anywhere."""
    key = Secret(b"{}", "key")
    old, unused = Account(key, "https://ca.example.net/account/1"), Account(key)

    assert (True, False) == (old.belongs_to(URL), old.belongs_to("https://ca.example.org/dir"))
    assert unused.belongs_to(URL)
    assert not Account(key, old.url, URL).belongs_to("https://ca.example.net/other")
