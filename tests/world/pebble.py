"""A real ACME server (pebble) on a loopback address of its own, which asks the test world's name servers.

Its HTTPS end point belongs to `EndpointCa`; the CA that issues is new at each start, and so is everything else that
pebble knows: it keeps accounts, orders and certificates in memory only.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import ssl
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.world.acme_tls import EndpointCa
from tests.world.loopback import ACME_CONTROL_PORT, ACME_PORT, HTTP_PORT, fresh_address
from tests.world.peers import missing, need
from tests.world.programs import Program

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from sslops.model.inventory import Endpoint

DAY_SECONDS = 86400
PROFILES = {"classic": 90 * DAY_SECONDS, "tlsserver": 45 * DAY_SECONDS, "shortlived": 160 * 3600}
"""Profile to the lifetime of its certificates in seconds, as Let's Encrypt has them."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How the CA behaves; times in seconds, shares in per cent.

    `external_accounts` maps a key id to its base64url MAC key and, unless empty, makes an external account binding
    compulsory. `blocked_names` are refused when they are ordered (and pebble hangs up on an order for a name with fewer
    labels: `Front` refuses any name). `validation_seconds` is the longest time that a
    validation waits, by chance, before it begins.
    """

    profiles: Mapping[str, int] = field(default_factory=PROFILES.copy)
    nonce_rejection_percent: int = 5
    authorization_reuse_percent: int = 0
    alternate_roots: int = 0
    chain_length: int = 1
    retry_after_seconds: int = 0
    validation_seconds: int = 0
    external_accounts: Mapping[str, str] = field(default_factory=dict)
    blocked_names: tuple[str, ...] = ()


def external_account() -> tuple[str, str]:
    """Return a new key id and its MAC key (base64url), as a CA hands them to a customer."""
    return f"kid-{secrets.token_hex(4)}", base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


class Pebble:
    """A running pebble; `directory` is the URL that a client starts from, `ca_bundle` what it has to trust."""

    def __init__(
        self,
        folder: Path,
        name_server: Endpoint,
        policy: Policy | None = None,
        *,
        address: str | None = None,
        endpoint_ca: EndpointCa | None = None,
    ) -> None:
        """Start it; it asks *name_server* for TXT, A, AAAA and follows http-01 to port `HTTP_PORT`."""
        self.policy = policy or Policy()
        self.address = address or fresh_address()
        self.endpoint_ca = endpoint_ca or EndpointCa(folder / "endpoints")
        folder.mkdir(parents=True, exist_ok=True)
        self._files = self.endpoint_ca.write_leaf(self.address)
        self._config = folder / "pebble.json"
        words: list[str | Path] = [
            program(),
            "-config",
            self._config,
            "-dnsserver",
            f"{name_server.address}:{name_server.port}",
        ]
        self._config.write_text(json.dumps(self._configuration()))
        self._words, self._log = words, folder / "pebble.log"
        self._program = Program(words, self._log, self._environment())
        self._wait()

    @property
    def directory(self) -> str:
        """The directory URL."""
        return f"https://{self.address}:{ACME_PORT}/dir"

    @property
    def ca_bundle(self) -> Path:
        """The PEM file with the CA of the HTTPS end point."""
        return self.endpoint_ca.bundle

    def need_modern(self) -> None:
        """End the test, failed in CI and skipped elsewhere, when this is an old pebble without ARI and profiles."""
        if "renewalInfo" not in json.loads(self._get(self.directory)):
            missing("this pebble is older than 2.10 and has neither ARI nor profiles: tools/install-pebble builds it")

    def roots(self) -> tuple[str, ...]:
        """Return the PEM of every issuing root, the default chain's first."""
        return tuple(self._get(f"{self._control}/roots/{n}").decode() for n in range(self.policy.alternate_roots + 1))

    def status(self, serial: int) -> str:
        """Return `Valid` or `Revoked`; KeyError for a certificate that this CA did not issue since its start."""
        # pebble writes whole bytes.
        digits = f"{serial:x}"
        digits = digits.zfill(len(digits) + len(digits) % 2)
        try:
            answer = json.loads(self._get(f"{self._control}/cert-status-by-serial/{digits}"))
        except urllib.error.HTTPError as error:
            raise KeyError(serial) from error
        return str(answer["Status"])

    def set_renewal_info(
        self, certificate: str, start: dt.datetime, end: dt.datetime, explanation_url: str | None = None
    ) -> None:
        """Suggest a window (aware times) for renewing *certificate* (PEM), from now on."""
        window = {"start": start.isoformat(), "end": end.isoformat()}
        explanation = {} if explanation_url is None else {"explanationURL": explanation_url}
        self.set_renewal_text(certificate, json.dumps({"suggestedWindow": window} | explanation))

    def set_renewal_text(self, certificate: str, text: str) -> None:
        """Answer *text*, which may be nonsense, when asked for the renewal information of *certificate* (PEM)."""
        body = json.dumps({"Certificate": certificate, "ARIResponse": text}).encode()
        self._get(f"{self._control}/set-renewal-info/", body)

    def stop(self) -> None:
        """End it: connections are refused, and all it knew is gone."""
        self._program.stop()

    def start(self, policy: Policy | None = None) -> None:
        """Start it again where it was, with a new issuing CA and, if given, another policy."""
        self.policy = policy or self.policy
        self._config.write_text(json.dumps(self._configuration()))
        self._program = Program(self._words, self._log, self._environment())
        self._wait()

    def restart(self, policy: Policy | None = None) -> None:
        """Let it forget everything."""
        self.stop()
        self.start(policy)

    @property
    def _control(self) -> str:
        return f"https://{self.address}:{ACME_CONTROL_PORT}"

    def _wait(self) -> None:
        self._program.wait_until(lambda: self._answers(self.directory) and self._answers(f"{self._control}/roots/0"))

    def _answers(self, url: str) -> bool:
        try:
            self._get(url)
        except urllib.error.URLError:
            return False
        return True

    def _get(self, url: str, body: bytes | None = None) -> bytes:
        context = ssl.create_default_context(cafile=str(self.ca_bundle))
        with urllib.request.urlopen(url, body, timeout=10, context=context) as answer:  # noqa: S310  (always https)
            return bytes(answer.read())

    def _configuration(self) -> dict[str, object]:
        certificate, key = self._files
        policy = self.policy
        profiles = {
            name: {
                "description": f"the profile {name}",
                "validityPeriod": seconds,
                "promoteCommonName": name == "classic",
            }
            for name, seconds in policy.profiles.items()
        }
        settings = {
            "listenAddress": f"{self.address}:{ACME_PORT}",
            "managementListenAddress": f"{self.address}:{ACME_CONTROL_PORT}",
            "certificate": str(certificate),
            "privateKey": str(key),
            "httpPort": HTTP_PORT,
            "tlsPort": HTTP_PORT,
            "externalAccountBindingRequired": bool(policy.external_accounts),
            "externalAccountMACKeys": dict(policy.external_accounts),
            "domainBlocklist": list(policy.blocked_names),
            "retryAfter": {"authz": policy.retry_after_seconds, "order": policy.retry_after_seconds},
            "keyAlgorithm": "ecdsa",
            "profiles": profiles,
            "certificateValidityPeriod": next(iter(policy.profiles.values()), 90 * DAY_SECONDS),
        }
        return {"pebble": settings}

    def _environment(self) -> dict[str, str]:
        policy = self.policy
        sleep = {"PEBBLE_VA_SLEEPTIME": str(policy.validation_seconds)} if policy.validation_seconds else {}
        return {
            "PATH": os.environ["PATH"],
            "PEBBLE_WFE_NONCEREJECT": str(policy.nonce_rejection_percent),
            "PEBBLE_AUTHZREUSE": str(policy.authorization_reuse_percent),
            "PEBBLE_ALTERNATE_ROOTS": str(policy.alternate_roots),
            "PEBBLE_CHAIN_LENGTH": str(policy.chain_length),
        } | (sleep or {"PEBBLE_VA_NOSLEEP": "1"})


def program() -> Path:
    """Return where pebble is; without it the test ends as `need` says."""
    built = Path(sys.executable).parent / "pebble"
    return built if built.exists() else need("pebble")
