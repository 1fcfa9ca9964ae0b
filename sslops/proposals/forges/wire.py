"""The wire to one forge: every request of every client passes here, so that patience and caution are the same.

A request that the forge did not carry out (a rate limit, no connection) is sent again, after the time that the forge
asks for. One that it may have carried out is sent again only if that does no harm; else `Unclear` lets the caller look.
Nothing is sent to another host, redirects are not followed, an answer is bounded and has to be JSON.
"""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from math import inf
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from sslops.errors import ForgeError
from sslops.model.waiting import rising_pauses
from sslops.system.debug_log import step
from sslops.system.retry_after import retry_after_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime


TIMEOUT_SECONDS = (10.0, 60.0)
"""To connect, and between two bytes of an answer."""
LARGEST_ANSWER_BYTES = 16 << 20
TRIES = 5
LONGEST_WAIT_SECONDS = 180.0
"""All waits of one request together; a forge that asks for more is left to the next run."""
AGENT = "sslops"
_LONGEST_WORDS = 300
_PASSING = frozenset({202, 500, 502, 503, 504})
"""No answer yet. 202 to a question is GitHub's way to say so, and PyGithub would ask without an end."""
_HARMLESS_TWICE = frozenset({"GET", "HEAD", "PUT", "PATCH", "DELETE"})


class Refusal(ForgeError):  # noqa: N818  (it is an answer, not a malfunction)
    """The forge said no; *status* is HTTP's, *said* its words, shortened and on one line (hostile)."""

    def __init__(self, status: int, said: str, *, what: str | None = None, hint: str | None = None) -> None:
        """Keep the parts, from which the caller makes a sentence."""
        super().__init__(what or f"the forge refused: {said or 'without a reason'} (HTTP {status})", hint=hint)
        self.status = status
        self.said = said


class Unclear(ForgeError):  # noqa: N818  (as above)
    """No usable answer came: what was asked for may have been done, or not."""


@dataclass(frozen=True, slots=True)
class ForgePatience:
    """How time passes: *now* reads the clock, *sleep* waits that many seconds."""

    now: Callable[[], datetime]
    sleep: Callable[[float], None]


class Wire(HTTPAdapter):
    """Carries the requests to *address* (its scheme, host, port and path), and nothing to anywhere else."""

    def __init__(self, address: str, patience: ForgePatience) -> None:
        """Connect to nothing yet."""
        super().__init__(max_retries=0)
        self._origin = urlsplit(address)[:2]
        self._patience = patience

    def session(self) -> requests.Session:
        """Return a session over this wire that takes no credentials from files of the user's (`.netrc`)."""
        found = requests.Session()
        found.auth = _as_it_is
        found.headers["User-Agent"] = AGENT
        for scheme in ("https://", "http://"):
            found.mount(scheme, self)
        return found

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002, FBT001, FBT002  (as requests calls it)
        timeout: Any = None,  # noqa: ARG002, ANN401
        verify: Any = True,  # noqa: ANN401, FBT002
        cert: Any = None,  # noqa: ANN401
        proxies: Any = None,  # noqa: ANN401
    ) -> requests.Response:
        """Return a good answer; Refusal, or Unclear, when none came after a bounded number of tries."""
        if urlsplit(request.url or "")[:2] != self._origin:
            raise ForgeError("the forge sent us to another host", hint="see 'Addresses' in docs/forges.md")
        waited, attempt = 0.0, 1
        outcome = self._told(request, verify, cert, proxies)
        while isinstance(outcome, _Failure):
            pause = _pause(request, outcome, attempt)
            if pause is None or attempt == TRIES:
                raise outcome.error
            if waited + pause > LONGEST_WAIT_SECONDS:
                raise _too_long(outcome, pause)
            self._patience.sleep(pause)
            waited, attempt = waited + pause, attempt + 1
            outcome = self._told(request, verify, cert, proxies)
        return outcome

    def _told(
        self,
        request: requests.PreparedRequest,
        verify: Any,  # noqa: ANN401
        cert: Any,  # noqa: ANN401
        proxies: Any,  # noqa: ANN401
    ) -> requests.Response | _Failure:
        with step("%s %s", request.method, (request.url or "").partition("?")[0]) as came:
            outcome = self._once(request, verify, cert, proxies)
            came.came = outcome.error.what if isinstance(outcome, _Failure) else f"HTTP {outcome.status_code}"
        return outcome

    def _once(
        self,
        request: requests.PreparedRequest,
        verify: Any,  # noqa: ANN401
        cert: Any,  # noqa: ANN401
        proxies: Any,  # noqa: ANN401
    ) -> requests.Response | _Failure:
        try:
            response = super().send(request, True, TIMEOUT_SECONDS, verify, cert, proxies)
            body = response.raw.read(LARGEST_ANSWER_BYTES + 1, decode_content=True)
        except requests.exceptions.SSLError:
            raise ForgeError("the certificate of the forge is not trusted", hint="REQUESTS_CA_BUNDLE") from None
        except (requests.RequestException, OSError, _urllib3_error()) as error:
            return _no_answer(error)
        response.raw.close()
        if len(body) > LARGEST_ANSWER_BYTES:
            raise ForgeError(f"the forge answered with more than {LARGEST_ANSWER_BYTES} bytes")
        is_not_ready = response.status_code == 202 and request.method == "GET"  # noqa: PLR2004  (HTTP: accepted)
        if response.status_code // 100 != 2 or is_not_ready:  # noqa: PLR2004  (HTTP: success)
            return _refused(response, body, self._patience.now())
        if body:
            _require_json(body)
        response.raw = io.BytesIO(body)
        return response


class CallFate(Enum):
    """What became of a request that brought no good answer."""

    ANSWERED = "answered"
    """With a no; asking again brings the same."""
    NOT_DONE = "not done"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class _Failure:
    """One try that failed; *wait_seconds* is what the forge asks for before the next."""

    error: Refusal | Unclear
    fate: CallFate
    wait_seconds: float | None = None


def without_mark_up(text: str) -> str:
    r"""Return what a forge said as a short line: no control characters, no HTML, no credentials of a URL.

    >>> without_mark_up("<html><h1>502 Bad Gateway</h1></html>")
    ''
    >>> without_mark_up("no\n access to https://bot:hunter2@git.example.com/x")
    'no access to https://***@git.example.com/x'
    """
    if re.match(r"\s*<", text):
        return ""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return re.sub(r"(?i)([a-z][a-z0-9+.-]*://)[^/\s]+@", r"\1***@", line)[:_LONGEST_WORDS]


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _urllib3_error() -> type[Exception]:
    from urllib3.exceptions import HTTPError

    return HTTPError


def _is_harmless_twice(request: requests.PreparedRequest) -> bool:
    """Whether a second time changes nothing that the first did not; a merge is looked at instead."""
    return request.method in _HARMLESS_TWICE and not urlsplit(request.url or "").path.endswith("/merge")


def _pause(request: requests.PreparedRequest, failure: _Failure, attempt: int) -> float | None:
    """Return the seconds until the next try; null when there is none."""
    if failure.fate is CallFate.ANSWERED or (failure.fate is CallFate.UNCLEAR and not _is_harmless_twice(request)):
        return None
    usual = next(islice(rising_pauses(1.0, 2.0, 20.0, total_seconds=inf), attempt - 1, None))
    return max(failure.wait_seconds or 0.0, usual)


def _no_answer(error: Exception) -> _Failure:
    """Say in a word why no answer came; the library's own words name addresses and proxies."""
    from urllib3.exceptions import NewConnectionError

    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError):
        return _Failure(Unclear("the forge cannot be reached", hint="the next run tries again"), CallFate.NOT_DONE)
    words = "did not answer in time" if isinstance(error, requests.Timeout) else "broke off the connection"
    return _Failure(Unclear(f"the forge {words}", hint="the next run tries again"), CallFate.UNCLEAR)


def _refused(response: requests.Response, body: bytes, now: datetime) -> _Failure:
    status, said = response.status_code, _words(body)
    if _is_rate_limit(status, response.headers, said):
        wait = _asked_wait(response.headers, now) or (60.0 if "secondary rate limit" in said.lower() else None)
        return _Failure(Refusal(status, said or "too many requests"), CallFate.NOT_DONE, wait)
    if status in _PASSING:
        error = Unclear(f"the forge is in trouble (HTTP {status})", hint="the next run tries again")
        return _Failure(error, CallFate.UNCLEAR, _asked_wait(response.headers, now))
    if status // 100 == 3:  # noqa: PLR2004  (HTTP: moved)
        hint = "the project was renamed or the address is another: 'Addresses' in docs/forges.md"
        moved = Refusal(status, "it moved to another address", hint=hint)
        return _Failure(moved, CallFate.ANSWERED)
    return _Failure(Refusal(status, said), CallFate.ANSWERED)


def _is_rate_limit(status: int, headers: Mapping[str, str], said: str) -> bool:
    """Whether it is one: 429, or GitHub's 403 with its headers or words."""
    if status == 403:  # noqa: PLR2004
        is_spent = headers.get("X-RateLimit-Remaining") == "0"
        return "Retry-After" in headers or is_spent or "rate limit" in said.lower()
    return status == 429  # noqa: PLR2004


def _asked_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that the forge asks to wait: Retry-After (RFC 9110), else when its rate limit starts anew."""
    retry_after = headers.get("Retry-After")
    if retry_after is not None:
        return retry_after_seconds(retry_after, now)
    if headers.get("X-RateLimit-Remaining") == "0" or headers.get("RateLimit-Remaining") == "0":
        reset = headers.get("X-RateLimit-Reset") or headers.get("RateLimit-Reset") or ""
        return max(0.0, int(reset) - now.timestamp()) + 1 if reset.isdigit() else None
    return None


def _too_long(failure: _Failure, pause: float) -> ForgeError:
    words = f"{failure.error.what}; it asks to wait {pause:.0f} s"
    return ForgeError(words, hint="the next run tries again; fewer runs, or a token of its own, make it rarer")


def _words(body: bytes) -> str:
    """Return the reason out of an error document of any of the three forges."""
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(found, dict):
        return ""
    parts = [found.get(key) for key in ("message", "error", "error_description")]
    details = found.get("errors")
    listed = details if isinstance(details, list) else []
    parts += [detail.get("message") if isinstance(detail, dict) else detail for detail in listed]
    return without_mark_up("; ".join(_flat(part) for part in parts if part))


def _flat(part: object) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, list):
        return ", ".join(_flat(each) for each in part)
    return json.dumps(part) if isinstance(part, dict) else ""


def _require_json(body: bytes) -> None:
    try:
        json.loads(body)
    except ValueError:
        hint = "is this its address? See 'Addresses' in docs/forges.md"
        raise ForgeError("the forge answered with something that is no JSON", hint=hint) from None
