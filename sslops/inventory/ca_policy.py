"""What a CA is known to refuse, told before anything is ordered: names, keys and contents of a CSR.

Let's Encrypt's rules are published (https://letsencrypt.org/docs/profiles and /docs/rate-limits, its CP/CPS) and the
same at its staging server. What other ACME servers take is theirs to say.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from sslops.inventory import names
from sslops.inventory.document import Complaint
from sslops.inventory.service_faults import LONGEST_COMMON_NAME
from sslops.model.names import is_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sslops.inventory.document import Document

MOST_NAMES = {"classic": 100, "tlsserver": 25, "shortlived": 25}
"""Names in one certificate, by profile of Let's Encrypt (2026-07-14)."""
_MOST_LABELS = 10
_RSA_BITS = (2048, 3072, 4096)
_NO_PUBLIC_END = frozenset({"local", "localhost", "internal", "test", "example", "invalid", "onion", "alt"})
"""Ends of names that no public CA may certify (RFC 6761, RFC 6762, RFC 7686, RFC 9476; ICANN's `internal`)."""
_MAIL_ADDRESS = re.compile(r"[A-Za-z0-9.!#$&'*+/=^_`{|}~-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_ACME_HINT = "leave it out; a CA that wants a common name takes one of the 'sans'"


def acme_policy(document: Document) -> Iterator[Complaint]:
    """Yield what no ACME server takes from the service of *document*."""
    x509 = document.plain.get("x509", {})
    common_name, email = x509.get("CN") or "", x509.get("email") or ""
    if len(common_name) > LONGEST_COMMON_NAME:
        what = f"'CN' has {len(common_name)} characters, and a certificate holds {LONGEST_COMMON_NAME} at most"
        yield Complaint(document.file, ("x509", "CN"), what, _ACME_HINT)
    if email and not _MAIL_ADDRESS.fullmatch(email):
        what = f"'email' is {email!r}, which no ACME server takes as a contact"
        yield Complaint(document.file, ("x509", "email"), what, "one address, as hostmaster@example.com, or none")


def lets_encrypt_policy(document: Document, profile: str) -> Iterator[Complaint]:
    """Yield what Let's Encrypt refuses of the service of *document* in *profile*."""
    yield from _names(document, profile)
    yield from _key(document)
    x509 = document.plain.get("x509", {})
    if is_address(x509.get("CN") or ""):
        what = "Let's Encrypt refuses an IP address as 'CN'"
        yield Complaint(document.file, ("x509", "CN"), what, "leave 'CN' out")
    for place, purpose in enumerate(x509.get("eku") or ()):
        if purpose != "serverAuth":
            what = f"Let's Encrypt certifies servers only (serverAuth), not '{purpose}'"
            yield Complaint(document.file, ("x509", "eku", place), what, "take it from an own CA, or leave it out")


def _names(document: Document, profile: str) -> Iterator[Complaint]:
    sans = document.plain.get("x509", {}).get("sans") or ()
    most = MOST_NAMES.get(profile, max(MOST_NAMES.values()))
    if len(sans) > most:
        what = f"{len(sans)} names, and Let's Encrypt puts {most} at most into a certificate of profile '{profile}'"
        hint = (
            "split the service in two" if profile == "classic" else "split it in two, or profile 'classic' (100 names)"
        )
        yield Complaint(document.file, ("x509", "sans", most), what, hint)
    wildcards = {san[2:].lower() for san in sans if san.startswith("*.")}
    for place, san in enumerate(sans):
        why = _why_not(san, wildcards)
        if why is not None:
            yield Complaint(document.file, ("x509", "sans", place), f"Let's Encrypt refuses '{san}': {why}")


def _why_not(san: str, wildcards: set[str]) -> str | None:
    """Return why Let's Encrypt does not certify one name; null when it may, or when the name is none at all."""
    try:
        name = names.subject_name(san)
    except ValueError:
        return None  # told where names are read
    if is_address(name):
        return None if ipaddress.ip_address(name).is_global else "the address is not a public one"
    labels = name.removeprefix("*.").split(".")
    above = name.partition(".")[2]
    reasons = {
        "it has no dot, so it is below no public suffix": len(labels) == 1,
        f"it has more than {_MOST_LABELS} labels": len(name.split(".")) > _MOST_LABELS,
        f"'.{labels[-1]}' is no public suffix; an own CA can sign it": (
            labels[-1] in _NO_PUBLIC_END or labels[-2:] == ["home", "arpa"]
        ),
        f"'*.{above}' has it already; keep one of the two": not name.startswith("*.") and above in wildcards,
    }
    return next((why for why, is_so in reasons.items() if is_so), None)


def _key(document: Document) -> Iterator[Complaint]:
    key = document.plain.get("key_opts", {})
    if key.get("ktype", "ec") == "ec" and key.get("ec_algo") == "secp521r1":
        what = "Let's Encrypt takes no keys of curve secp521r1"
        yield Complaint(document.file, ("key_opts", "ec_algo"), what, "secp384r1 or secp256r1")
    bits = key.get("rsa_bits")
    if key.get("ktype") == "rsa" and bits is not None and bits not in _RSA_BITS:
        what = f"Let's Encrypt takes no RSA keys of {bits} bits"
        yield Complaint(document.file, ("key_opts", "rsa_bits"), what, f"one of {', '.join(map(str, _RSA_BITS))}")
