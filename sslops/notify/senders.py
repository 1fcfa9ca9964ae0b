"""Where news go: a webhook, a command, a mail. Addresses and tokens come by environment, and never reach argv."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import smtplib
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from sslops.errors import NotifyError, UsageError
from sslops.notify.bodies import Form, body, mail
from sslops.system.processes import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from sslops.notify.news import News

TIMEOUT_SECONDS = 30.0
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_NOT_HERE = "docs/monitoring.md has the variables"


@dataclass(frozen=True, slots=True)
class Destinations:
    """Where to send, as the environment says."""

    url: str | None
    form: Form
    token: str | None
    command: tuple[str, ...]
    recipients: tuple[str, ...]
    sender: str
    smtp: str | None

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Destinations:
        """Read the variables; UsageError where one says what cannot be."""
        form = environ.get("SSLOPS_NOTIFY_FORM") or "json"
        if form not in set(Form):
            message = f"SSLOPS_NOTIFY_FORM is '{form}'; forms are {', '.join(Form)}"
            raise UsageError(message, hint=_NOT_HERE)
        url = environ.get("SSLOPS_NOTIFY_URL") or None
        if url is not None and not _is_safe(url):
            message = "SSLOPS_NOTIFY_URL is no https address (http only to this machine)"
            raise UsageError(message, hint=_NOT_HERE)
        return cls(
            url,
            Form(form),
            environ.get("SSLOPS_NOTIFY_TOKEN") or None,
            tuple(shlex.split(environ.get("SSLOPS_NOTIFY_COMMAND") or "")),
            tuple(each.strip() for each in (environ.get("SSLOPS_NOTIFY_MAIL") or "").split(",") if each.strip()),
            environ.get("SSLOPS_NOTIFY_FROM") or "sslops@localhost",
            environ.get("SSLOPS_NOTIFY_SMTP") or None,
        )

    @property
    def are_any(self) -> bool:
        """Whether there is one."""
        return bool(self.url or self.command or self.recipients)

    def send(self, news: News, site: str, now: datetime) -> Iterator[NotifyError]:
        """Send to each; yield what did not work, with nothing secret in it."""
        if self.url is not None:
            yield from _attempt("the webhook", lambda: self._post(self.url or "", body(self.form, news, site)))
        if self.command:
            yield from _attempt(f"'{self.command[0]}'", lambda: self._run(body(Form.JSON, news, site)))
        if self.recipients:
            yield from _attempt("the mail", lambda: self._mail(news, site, now))

    def _post(self, url: str, content: bytes) -> None:
        import requests

        headers = {"Content-Type": "application/json", "User-Agent": "sslops"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        method = "POST"
        if self.form is Form.MATRIX:
            # Client-Server API, "PUT .../send/m.room.message/{txnId}": one id for one content sends it once.
            method, url = "PUT", f"{url.rstrip('/')}/{quote(hashlib.sha256(content).hexdigest()[:32])}"
        with requests.Session() as session:
            session.trust_env = "://localhost" not in url and "://127." not in url
            answer = session.request(
                method, url, data=content, headers=headers, timeout=TIMEOUT_SECONDS, allow_redirects=False
            )
        if answer.status_code // 100 != 2:  # noqa: PLR2004  (HTTP: success)
            message = f"it answered {answer.status_code}"
            raise OSError(message)

    def _run(self, content: bytes) -> None:
        environ = without_secrets(os.environ)
        done = subprocess.run(
            self.command, input=content, env=environ, capture_output=True, timeout=TIMEOUT_SECONDS, check=False
        )
        if done.returncode:
            message = f"exit code {done.returncode}"
            raise OSError(message)

    def _mail(self, news: News, site: str, now: datetime) -> None:
        message = mail(news, site, self.sender, self.recipients, now)
        program = None if self.smtp else shutil.which("sendmail", path=f"{os.defpath}:/usr/sbin:/usr/lib")
        if program is not None:
            words = [program, "-i", "-f", self.sender, "--", *self.recipients]
            done = subprocess.run(
                words, input=message.as_bytes(), env=without_secrets(os.environ), timeout=TIMEOUT_SECONDS, check=False
            )
            if done.returncode:
                message_text = f"sendmail ended with exit code {done.returncode}"
                raise OSError(message_text)
            return
        host, _, port = (self.smtp or "localhost:25").rpartition(":")
        with smtplib.SMTP(host, int(port), timeout=TIMEOUT_SECONDS) as server:
            server.send_message(message, self.sender, list(self.recipients))


def _attempt(what: str, send: object) -> Iterator[NotifyError]:
    try:
        send()  # type: ignore[operator]
    except Exception as error:  # noqa: BLE001  (several libraries; their texts quote addresses with tokens in them)
        detail = str(error) if type(error) is OSError else type(error).__name__
        yield NotifyError(f"{what} did not take the news: {detail}", hint="the next run tells it again")


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
