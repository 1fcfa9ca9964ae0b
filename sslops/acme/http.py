"""Signed requests to one ACME server: nonces, time limits, and problems as errors (RFC 8555 section 6).

`acme` makes the signatures. Its own network class retries a bad nonce once, drops the header Retry-After and hides what
a conflict is about, so the requests themselves are made here.

A CA is a peer that may lie. It chooses every address that is asked and every byte of an answer, so addresses are https
(http on loopback only), nothing but the JWS goes along as a credential, answers are bounded in size and time, headers
included, and whatever a library raises about one becomes an `AcmeError` here and nowhere else.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sslops.errors import AcmeError
from sslops.system.debug_log import step
from sslops.system.retry_after import retry_after_seconds
from sslops.system.time_limit import TimeLimit, limited_adapter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    import requests
    from josepy import jwa, jwk

    from sslops.system.effects import Effects


TIMEOUT_SECONDS = (10, 45)
"""To connect, and between two bytes of an answer."""
ANSWER_SECONDS = 60.0
"""How long one request may take as a whole, from the connection to the last byte, however steadily it trickles."""
LARGEST_ANSWER_BYTES = 1 << 20
LONGEST_URL = 2048
NONCE_TRIES = 24
"""At 60 % refused nonces fewer than one in 100,000 requests meets so many in a row."""
_AGENT = "sslops (+https://pypi.org/project/sslops/)"
_JOSE = "application/jose+json"
_PROBLEM = "urn:ietf:params:acme:error:"
_LONGEST_DETAIL = 300
_LONGEST_LINKS = 16 * LONGEST_URL
_TIMED_OUT = "timed out"
_NONCE = re.compile(r"[A-Za-z0-9_-]{1,512}")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_PORTS = {"https": 443, "http": 80}
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""The variables that name the CAs to trust in place of the built-in ones; requests knows them by these names."""
_HINTS = {
    "accountDoesNotExist": "the CA forgot or closed the account: 'A lost account' in docs/acme.md",
    "externalAccountRequired": "eab of this CA in inventory/cas.yaml",
    "rateLimited": "the next run after that time tries again",
    "caa": "the CAA records of the name do not allow this CA",
    "rejectedIdentifier": "the CA does not certify this name",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One good answer: its body, its headers, and the seconds that the server asks to wait before the next look."""

    body: bytes
    headers: Mapping[str, str]
    retry_after_seconds: float | None
    links: Mapping[str, tuple[str, ...]]

    def json(self) -> dict[str, Any]:
        """Return the body as an object; AcmeError when it is none."""
        found = _read_json(self.body)
        if found is None:
            raise AcmeError("the server's answer is no JSON object", problem="garbled")
        return found


@dataclass(frozen=True, slots=True)
class _Response:
    """What came back, good or not."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class AcmeHttp:
    """Speaks to one server; *now* reads the clock, for a Retry-After that is a date. Safe for several threads."""

    def __init__(
        self,
        ca: str,
        ca_bundle: str | None,
        now: Callable[[], datetime],
        effects: Effects,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Trust *ca_bundle* (a file) instead of the usual certificates, when it is given.

        *say* gets, once each, the hosts that are asked and that `known_hosts` does not have.
        """
        import requests

        self._ca, self._now, self._effects, self._say = ca, now, effects, say
        self._session = requests.Session()
        # The environment's ~/.netrc would go to any host that the CA names; its proxy is asked for below.
        self._session.trust_env = False
        self._session.verify = ca_bundle or next(filter(None, map(os.environ.get, _BUNDLES)), True)
        self._session.headers.update({"User-Agent": _AGENT, "Accept-Encoding": "identity"})
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, limited_adapter(pool_maxsize=32))
        self._nonces: deque[str] = deque(maxlen=64)
        self.new_nonce_url = ""
        self.known_hosts: set[str] = set()
        """Hosts (with their port) that the directory is at, or names."""

    def get(self, url: str) -> Answer:
        """Fetch without a signature: the directory, renewal information."""
        return self._good(self._send("GET", url))

    def post(self, url: str, payload: object, key: jwk.JWK, kid: str | None, *, effect: str | None = None) -> Answer:
        """Post *payload*, signed with *key*; null is a POST-as-GET, `{}` is an empty object.

        *kid* null sends the public key instead, which a new account needs. *effect* names what the request changes.
        Refused nonces are replaced until one is taken.
        """
        body = b"" if payload is None else json.dumps(payload).encode()
        for _ in range(NONCE_TRIES):
            signed = self._signed(body, key, kid, url)
            if effect is None:
                response = self._send("POST", url, signed)
            else:
                with self._effects.effect(f"{effect} {self._ca}"):
                    response = self._send("POST", url, signed)
            if not _is_bad_nonce(response):
                return self._good(response)
        raise AcmeError(f"'{self._ca}' refused {NONCE_TRIES} nonces in a row", problem="badNonce")

    def _signed(self, body: bytes, key: jwk.JWK, kid: str | None, url: str) -> bytes:
        from acme import jws
        from josepy import b64

        nonce = b64.b64decode(self._nonce())
        signed = jws.JWS.sign(body, key=key, alg=algorithm(key), nonce=nonce, url=url, kid=kid)
        return str(signed.json_dumps()).encode()

    def _nonce(self) -> str:
        for _ in range(NONCE_TRIES):
            try:
                return self._nonces.pop()
            except IndexError:  # or another thread took the one that came
                self._good(self._send("HEAD", self.new_nonce_url))
        raise AcmeError(f"'{self._ca}' gives no nonces", problem="garbled")

    def _send(self, method: str, url: str, body: bytes | None = None) -> _Response:
        """Send one request; AcmeError when no usable answer comes. What a server says is bounded."""
        with step("%s %s at '%s'", method, url, self._ca) as came:
            response = self._sent(method, url, body)
            came.came = f"HTTP {response.status}"
        return response

    def _sent(self, method: str, url: str, body: bytes | None) -> _Response:
        self._look_at_host(url)
        headers = {"Content-Type": _JOSE} if body is not None else {}
        with TimeLimit(ANSWER_SECONDS) as limit:
            try:
                response = self._session.request(
                    method,
                    url,
                    data=body,
                    headers=headers,
                    timeout=TIMEOUT_SECONDS,
                    stream=True,
                    allow_redirects=False,
                    proxies=_proxies(url),
                )
                content = _read(response)
            except Exception as error:  # four libraries read what the CA wrote, each with errors of its own
                reason = _TIMED_OUT if limit.is_over else _reason(error)
                raise self._no_answer(reason) from error
        if limit.is_over:
            response.close()
            raise self._no_answer(_TIMED_OUT)
        if len(content) > LARGEST_ANSWER_BYTES:
            response.close()
            raise AcmeError(f"'{self._ca}' answered with more than {LARGEST_ANSWER_BYTES} bytes", problem="garbled")
        nonce = response.headers.get("Replay-Nonce", "")
        if _NONCE.fullmatch(nonce):
            self._nonces.append(nonce)
        return _Response(response.status_code, response.headers, content)

    def _no_answer(self, reason: str) -> AcmeError:
        kind = "timeout" if reason == _TIMED_OUT else "connection"
        return AcmeError(f"'{self._ca}' gave no answer: {reason}", hint="the next run tries again", problem=kind)

    def _look_at_host(self, url: str) -> None:
        """Refuse an address that is unsafe to ask, and tell of a host that the directory does not name."""
        host = safe_host(url)
        if host is None:
            what = f"'{self._ca}' names an address that is not asked, since it is no plain https address: {quoted(url)}"
            raise AcmeError(what, problem="garbled")
        if host not in self.known_hosts and self.known_hosts:
            self.known_hosts.add(host)
            self._say(f"'{self._ca}' sends us to '{host}', which its directory does not name")

    def _good(self, response: _Response) -> Answer:
        retry_after = retry_after_seconds(response.headers.get("Retry-After"), self._now())
        if response.status // 100 == 2:  # noqa: PLR2004  (HTTP: success)
            return Answer(response.body, response.headers, retry_after, _links(response.headers.get("Link", "")))
        raise _problem(self._ca, response, retry_after)


def safe_host(url: str) -> str | None:
    """Return the host (and port, if one is given) of an address that may be asked, null for any other.

    That is https, or http to this machine itself, without user and password, in printable ASCII, and not too long.

    >>> safe_host("https://ca.example.org/new-order"), safe_host("http://[::1]:14000/dir")
    ('ca.example.org', '[::1]:14000')
    >>> safe_host("http://ca.example.org/"), safe_host("https://me:secret@ca.example.org/")
    (None, None)
    """
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host or ""))
    if not host or not is_safe or "@" in parts.netloc:
        return None
    shown = f"[{host}]" if ":" in host else host
    return shown if port in {None, _PORTS[parts.scheme]} else f"{shown}:{port}"


def quoted(text: str) -> str:
    """Return what a peer wrote as one quoted line of bounded length."""
    return f"'{one_line(text)}'"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _proxies(url: str) -> dict[str, str]:
    """Return the proxy that the environment names for *url*; its password, if it has one, goes to the proxy alone."""
    from requests.utils import get_environ_proxies

    if url.startswith("http://"):
        return {}  # this machine itself
    return get_environ_proxies(url)


def _read(response: requests.Response) -> bytes:
    """Return the body, a little more than the largest at most."""
    content = b""
    while chunk := response.raw.read1(LARGEST_ANSWER_BYTES + 1 - len(content), decode_content=True):
        content += chunk
        if len(content) > LARGEST_ANSWER_BYTES:
            break
    return content


def _read_json(body: bytes) -> dict[str, Any] | None:
    """Return a body that is a JSON object; null for any other, too deep a one or one with endless numbers included."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def algorithm(key: jwk.JWK) -> jwa.JWASignature:
    """Return the signature algorithm that goes with *key* (RFC 8555 section 6.2)."""
    from josepy import jwa, jwk

    if isinstance(key, jwk.JWKRSA):
        return jwa.RS256
    size = key.key.key_size
    return {256: jwa.ES256, 384: jwa.ES384}[size]


def _is_bad_nonce(response: _Response) -> bool:
    return response.status == 400 and _said(response).get("type") == f"{_PROBLEM}badNonce"  # noqa: PLR2004


def _said(response: _Response) -> dict[str, Any]:
    return _read_json(response.body) or {}


def _problem(ca: str, response: _Response, retry_after: float | None) -> AcmeError:
    """Return the error that an answer means; one that is no problem document is named by its status alone."""
    said = _said(response)
    kind = str(said.get("type", "")).removeprefix(_PROBLEM)
    problem = kind if _KIND.fullmatch(kind) else None
    detail = problem_text(said) if problem else f"an answer that is no ACME problem, HTTP status {response.status}"
    return AcmeError(
        f"'{ca}' refused: {detail}",
        hint=_HINTS.get(problem or ""),
        problem=problem,
        status=response.status,
        retry_after_seconds=retry_after,
    )


def problem_text(said: Mapping[str, Any]) -> str:
    """Return a problem document (RFC 7807) as one line of text: kind, detail, and what it says of each name."""
    kind = str(said.get("type", ""))[: 2 * _LONGEST_DETAIL].removeprefix(_PROBLEM)
    parts = [one_line(f"{kind}: {said.get('detail', '')}")]
    subproblems = said.get("subproblems")
    for inner in subproblems if isinstance(subproblems, list) else ():
        if isinstance(inner, dict):
            identifier = inner.get("identifier")
            name = identifier.get("value", "") if isinstance(identifier, dict) else ""
            parts.append(one_line(f"{name}: {inner.get('detail', '')}"))
    return "; ".join(parts)[: 3 * _LONGEST_DETAIL]


def one_line(text: str) -> str:
    """Return what a peer wrote as one line of bounded length, without characters that a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:_LONGEST_DETAIL])


def _links(header: str) -> dict[str, tuple[str, ...]]:
    from requests.utils import parse_header_links

    found: dict[str, list[str]] = {}
    for link in parse_header_links(header[:_LONGEST_LINKS]) if header else ():
        if "rel" in link and "url" in link:
            found.setdefault(link["rel"], []).append(link["url"])
    return {rel: tuple(urls) for rel, urls in found.items()}


def _reason(error: Exception) -> str:
    """Say what became of a request; what no library foresaw keeps its kind, so that a report has it."""
    import requests
    from urllib3.exceptions import DecodeError
    from urllib3.exceptions import TimeoutError as Timeout

    if isinstance(error, requests.Timeout | Timeout):
        return _TIMED_OUT
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted"
    if isinstance(error, DecodeError):
        return "its answer cannot be unpacked"
    if isinstance(error, requests.ConnectionError):
        return "it cannot be reached"
    if isinstance(error, requests.RequestException | OSError):
        return "the connection broke"
    return f"its answer cannot be read ({type(error).__name__})"
