"""Faults of services that an ACME server signs: proofs that cannot be given, and rules that cannot both be kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.inventory.complaint import Complaint
from sslops.inventory.found import CAS_FILE, SETTINGS_FILE
from sslops.model.addresses import is_address
from sslops.model.inventory import DEFAULT_PROFILE, LETS_ENCRYPT, LETS_ENCRYPT_STAGING
from sslops.model.names import CA_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sslops.inventory.document import Document, Plain
    from sslops.inventory.found import Found

ACME_TYPES = frozenset({"acme", "certbot", "letsencrypt"})
DNS_01, HTTP_01 = "dns-01", "http-01"
HASTY_PROFILES = frozenset({"tlsserver", "shortlived"})
"""Profiles of Let's Encrypt whose pending authorisations live for one hour; those of `classic` live for seven days."""
PROFILE_WITH_ADDRESSES = "shortlived"
"""The one profile in which Let's Encrypt certifies IP addresses."""


def acme_complaints(found: Found, cas: Plain) -> Iterator[Complaint]:
    """Yield what is wrong between ACME servers, the services they sign, and how their proofs would be given."""
    users: dict[str, list[Document]] = {}
    for service, document in found.services.items():
        signer = document.plain["signing_ca"]
        if service.group != CA_GROUP and cas.get(signer, {}).get("ca_type") in ACME_TYPES:
            users.setdefault(signer, []).append(document)
    settings = found.settings.plain if found.settings is not None else None
    for name, entry in cas.items():
        if entry["ca_type"] not in ACME_TYPES:
            yield from _own_ca_entry(name, entry)
            continue
        if settings is not None and name in users:
            yield from _proof(name, entry, settings)
        for document in users.get(name, ()):
            yield from _names(name, entry, document)


def _own_ca_entry(name: str, entry: Plain) -> Iterator[Complaint]:
    for key in ("directory", "staging", "ca_bundle", "eab"):
        if entry.get(key) is not None:
            yield Complaint(CAS_FILE, (name, key), f"'{key}' is for ACME servers only", at_key=True)


def _proof(name: str, entry: Plain, settings: Plain) -> Iterator[Complaint]:
    """Say why nobody could give the proofs that this CA asks for."""
    dns = settings.get("dns") or {}
    if _validation(entry) == HTTP_01:
        if not any(table.get("server_dir") for table in settings.get("servers", {}).values()):
            hint = f"give the web servers a 'server_dir' in {SETTINGS_FILE}, or use ca_validation: dns-01"
            yield Complaint(CAS_FILE, (name,), "http-01, and no server class has a 'server_dir'", hint, at_key=True)
    elif dns.get("acme_dir") is None:
        hint = f"add 'dns' with 'repo' and 'acme_dir' to {SETTINGS_FILE}"
        what = f"nobody would show the challenges of '{name}': there is no 'dns.acme_dir'"
        yield Complaint(CAS_FILE, (name,), what, hint, at_key=True)
    elif _is_reviewed(dns) and _is_hasty(entry):
        what = f"profile '{_profile(entry)}' leaves one hour for a challenge, and 'dns.merge.acme' waits for a person"
        hint = "one of: ca_preferred_acme_profile: classic (seven days); dns.merge.acme: auto; ca_validation: http-01"
        yield Complaint(CAS_FILE, (name,), what, hint, at_key=True)


def _is_reviewed(dns: Plain) -> bool:
    """Whether a person merges challenges: where there is a forge and nobody says otherwise, one does."""
    has_forge = dns["repo"].get("forge", "none") != "none"
    return ((dns.get("merge") or {}).get("acme") or ("review" if has_forge else "auto")) == "review"


def _names(name: str, entry: Plain, document: Document) -> Iterator[Complaint]:
    validation = _validation(entry)
    for place, san in enumerate(document.plain.get("x509", {}).get("sans", ())):
        path = ("x509", "sans", place)
        if san.startswith("*.") and validation == HTTP_01:
            hint = "a wildcard needs dns-01: name a CA with ca_validation: dns-01"
            yield Complaint(document.file, path, f"'{name}' proves names by http-01, which no wildcard can", hint)
        if not is_address(san):
            continue
        if validation == DNS_01:
            hint = "an IP address needs http-01: name a CA with ca_validation: http-01"
            yield Complaint(document.file, path, f"'{name}' proves names by dns-01, which no IP address can", hint)
        elif _is_lets_encrypt(entry) and _profile(entry) != PROFILE_WITH_ADDRESSES:
            hint = f"ca_preferred_acme_profile: {PROFILE_WITH_ADDRESSES}"
            what = f"Let's Encrypt has no IP addresses in profile '{_profile(entry)}'"
            yield Complaint(document.file, path, what, hint)


def _validation(entry: Plain) -> str:
    return str(entry.get("ca_validation") or DNS_01)


def _profile(entry: Plain) -> str:
    return str(entry.get("ca_preferred_acme_profile") or DEFAULT_PROFILE)


def _is_hasty(entry: Plain) -> bool:
    asked = entry.get("ca_preferred_acme_profile")
    return asked in HASTY_PROFILES or (asked is None and _is_lets_encrypt(entry))


def _is_lets_encrypt(entry: Plain) -> bool:
    return (entry.get("directory") or LETS_ENCRYPT) in {LETS_ENCRYPT, LETS_ENCRYPT_STAGING}
