"""Signed requests to one ACME server: nonces, time limits, and problems as errors (RFC 8555 section 6).

`acme` makes the signatures. Its own network class retries a bad nonce once, drops the header Retry-After and hides what
a conflict is about, so the requests themselves are made here.
"""

from __future__ import annotations

import email.utils
import json
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sslops.errors import AcmeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    import requests
    from josepy import jwa, jwk

    from sslops.system.effects import Effects


TIMEOUT_SECONDS = (10, 45)
"""To connect, and between two bytes of an answer."""
ANSWER_SECONDS = 60.0
"""How long one answer may take as a whole, however steadily it trickles."""
LARGEST_ANSWER_BYTES = 1 << 20
NONCE_TRIES = 24
"""At 60 % refused nonces fewer than one in 100,000 requests meets so many in a row."""
_AGENT = "sslops (+https://pypi.org/project/sslops/)"
_JOSE = "application/jose+json"
_PROBLEM = "urn:ietf:params:acme:error:"
_LONGEST_DETAIL = 300
_TIMED_OUT = "timed out"
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
        try:
            found = json.loads(self.body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
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

    def __init__(self, ca: str, ca_bundle: str | None, now: Callable[[], datetime], effects: Effects) -> None:
        """Trust *ca_bundle* (a file) instead of the system's certificates, when it is given."""
        import requests
        from requests.adapters import HTTPAdapter

        self._ca, self._now, self._effects = ca, now, effects
        self._session = requests.Session()
        self._session.trust_env = False if ca_bundle else self._session.trust_env
        self._session.verify = ca_bundle or True
        self._session.headers["User-Agent"] = _AGENT
        self._session.mount("https://", HTTPAdapter(pool_maxsize=32))
        self._nonces: deque[str] = deque(maxlen=64)
        self.new_nonce_url = ""

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
        raise AcmeError(f"'{self._ca}' gives no nonces")

    def _send(self, method: str, url: str, body: bytes | None = None) -> _Response:
        """Send one request; AcmeError when no answer comes. What a server says is bounded."""
        import requests

        headers = {"Content-Type": _JOSE} if body is not None else {}
        try:
            response = self._session.request(
                method, url, data=body, headers=headers, timeout=TIMEOUT_SECONDS, stream=True, allow_redirects=False
            )
            content = _read(response)
        except (requests.RequestException, OSError) as error:
            reason = _reason(error)
            what, hint = f"'{self._ca}' gave no answer: {reason}", "the next run tries again"
            raise AcmeError(what, hint=hint, problem="timeout" if reason == _TIMED_OUT else "connection") from error
        if len(content) > LARGEST_ANSWER_BYTES:
            raise AcmeError(f"'{self._ca}' answered with more than {LARGEST_ANSWER_BYTES} bytes")
        if nonce := response.headers.get("Replay-Nonce"):
            self._nonces.append(nonce)
        return _Response(response.status_code, response.headers, content)

    def _good(self, response: _Response) -> Answer:
        retry_after = self._retry_after(response.headers.get("Retry-After"))
        if response.status // 100 == 2:  # noqa: PLR2004  (HTTP: success)
            return Answer(response.body, response.headers, retry_after, _links(response.headers.get("Link", "")))
        raise _problem(self._ca, response, retry_after)

    def _retry_after(self, text: str | None) -> float | None:
        """Return the seconds that a Retry-After asks for, a number or a date (RFC 9110 section 10.2.3)."""
        if text is None:
            return None
        if text.strip().isdigit():
            return float(text)
        try:
            return max(0.0, (email.utils.parsedate_to_datetime(text) - self._now()).total_seconds())
        except (ValueError, TypeError):
            return None


def _read(response: requests.Response) -> bytes:
    """Return the body, a little more than the largest at most; Timeout when it does not end in time."""
    import requests

    deadline, content = time.monotonic() + ANSWER_SECONDS, b""
    while chunk := response.raw.read1(LARGEST_ANSWER_BYTES + 1 - len(content), decode_content=True):
        content += chunk
        if len(content) > LARGEST_ANSWER_BYTES:
            break
        if time.monotonic() > deadline:
            response.close()
            raise requests.Timeout
    return content


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
    try:
        found = json.loads(response.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _problem(ca: str, response: _Response, retry_after: float | None) -> AcmeError:
    """Return the error that an answer means; one that is no problem document is told by its status alone."""
    said = _said(response)
    kind = str(said.get("type", "")).removeprefix(_PROBLEM)
    problem = kind if kind and ":" not in kind else None
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
    kind = str(said.get("type", "")).removeprefix(_PROBLEM)
    parts = [_plain(f"{kind}: {said.get('detail', '')}")]
    subproblems = said.get("subproblems")
    for inner in subproblems if isinstance(subproblems, list) else ():
        if isinstance(inner, dict):
            identifier = inner.get("identifier")
            name = identifier.get("value", "") if isinstance(identifier, dict) else ""
            parts.append(_plain(f"{name}: {inner.get('detail', '')}"))
    return "; ".join(parts)[: 3 * _LONGEST_DETAIL]


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)[:_LONGEST_DETAIL]


def _links(header: str) -> dict[str, tuple[str, ...]]:
    from requests.utils import parse_header_links

    found: dict[str, list[str]] = {}
    for link in parse_header_links(header) if header else ():
        if "rel" in link and "url" in link:
            found.setdefault(link["rel"], []).append(link["url"])
    return {rel: tuple(urls) for rel, urls in found.items()}


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.Timeout):
        return _TIMED_OUT
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted"
    return "it cannot be reached" if isinstance(error, requests.ConnectionError) else "the connection broke"
