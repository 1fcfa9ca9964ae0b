"""Faults that one service's file shows by itself, beyond its shape: names, DANE parameters, what only own CAs have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.inventory import names
from sslops.inventory.document import Complaint, unreadable
from sslops.model.names import CA_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sslops.inventory.document import Document, KeyPath, Plain
    from sslops.model.names import ServiceId


SELF = "self"
SMTP_PORT = 25
LONGEST_COMMON_NAME = 64
"""RFC 5280 appendix A.1, ub-common-name."""
TAKEN_NAMES = frozenset({"all", "any", "self"})
PKIX_USAGES = (0, 1)


def service_complaints(document: Document, service: ServiceId) -> Iterator[Complaint]:
    """Yield what is wrong in the file of *service*, which has the shape of its schema."""
    plain = document.plain
    yield from _identity(document, service)
    yield from hold_complaints(document.file, ("hold",), plain.get("hold"))
    yield from _dane(document)
    yield from (_own_ca(document) if service.group == CA_GROUP else _leaf(document))


def hold_complaints(file: str, path: KeyPath, hold: Plain | None) -> Iterator[Complaint]:
    """Yield what is wrong with the hold at *path*, if there is one."""
    if hold is not None:
        yield from unreadable(file, (*path, "until"), hold.get("until"), names.moment)


def _identity(document: Document, service: ServiceId) -> Iterator[Complaint]:
    if service.name.casefold() in TAKEN_NAMES:
        what = f"a service cannot be named '{service.name}': on the command line that means every service"
        yield Complaint(document.file, (), what, "rename the file")
    for key, name in (("group", service.group), ("service", service.name)):
        written = document.plain.get(key)
        if written not in (None, name):
            yield Complaint(document.file, (key,), f"'{key}' is '{written}', but the file is that of '{service}'")


def _dane(document: Document) -> Iterator[Complaint]:
    seen = set()
    for place, entry in enumerate(document.plain.get("dane_tls") or ()):
        port, proto, usage, *rest = entry
        if port == SMTP_PORT and usage in PKIX_USAGES:
            what = f"TLSA usage {usage} means nothing to a mail server (RFC 7672 section 3.1.3)"
            yield Complaint(document.file, ("dane_tls", place, 2), what, "use 3 (this key), or 2 (its CA)")
        if (port, proto, usage, *rest[:2]) in seen:
            yield Complaint(document.file, ("dane_tls", place), f"the records of port {port} are there twice")
        seen.add((port, proto, usage, *rest[:2]))


def _leaf(document: Document) -> Iterator[Complaint]:
    plain, x509 = document.plain, document.plain.get("x509", {})
    if "ca" in plain:
        yield Complaint(document.file, ("ca",), f"'ca' is for services in group '{CA_GROUP}' only", at_key=True)
    if plain["signing_ca"] in (SELF, ""):
        hint = "name a CA of inventory/cas.yaml"
        yield Complaint(document.file, ("signing_ca",), "only a root in group 'ca' signs itself", hint)
    if plain.get("key_opts", {}).get("ktype") == "ed25519":
        hint = "use ec or rsa: TLS clients know no Ed25519 certificates"
        yield Complaint(document.file, ("key_opts", "ktype"), "an ed25519 key is for own CAs only", hint)
    if not x509.get("sans"):
        hint = "a certificate without names is good for nothing"
        yield Complaint(document.file, ("x509", "sans"), "no 'sans'", hint)
    yield from _subject_names(document)


def _subject_names(document: Document) -> Iterator[Complaint]:
    x509 = document.plain.get("x509", {})
    seen: set[str | None] = set()
    for place, san in enumerate(x509.get("sans", ())):
        path = ("x509", "sans", place)
        yield from unreadable(document.file, path, san, names.subject_name)
        name = _normal(san)
        if name is not None and name in seen:
            yield Complaint(document.file, path, f"'{san}' is there twice")
        seen.add(name)
    common_name = x509.get("CN")
    if common_name and _normal(common_name) not in seen:
        what = f"'CN' is {common_name!r}, which is not one of the 'sans'"
        yield Complaint(document.file, ("x509", "CN"), what, "add it there")


def _normal(name: str) -> str | None:
    try:
        return names.subject_name(name)
    except ValueError:
        return None


def _own_ca(document: Document) -> Iterator[Complaint]:
    plain, x509 = document.plain, document.plain.get("x509", {})
    authority = plain.get("ca")
    if authority is None:
        hint = "ca: {sign_end_days: 365}"
        yield Complaint(document.file, ("ca",), f"a service in group '{CA_GROUP}' needs 'ca'", hint)
    elif authority.get("end_days") is not None:
        yield from _root_life(document, authority)
    if plain.get("dane_tls"):
        hint = "put usage 2 into the services that it signs"
        yield Complaint(document.file, ("dane_tls",), "an own CA serves no port", hint, at_key=True)
    if x509.get("sans"):
        yield Complaint(document.file, ("x509", "sans"), "an own CA has a 'CN' and no 'sans'", at_key=True)
    if plain.get("key_lifecycle") == "prepublish":
        yield Complaint(document.file, ("key_lifecycle",), "the key of an own CA is made at renewal")
    if not 0 < len(x509.get("CN") or "") <= LONGEST_COMMON_NAME:
        what = f"an own CA needs a 'CN' of {LONGEST_COMMON_NAME} characters at most"
        yield Complaint(document.file, ("x509", "CN"), what)


def _root_life(document: Document, authority: Plain) -> Iterator[Complaint]:
    path = ("ca", "end_days")
    if document.plain["signing_ca"] not in (SELF, ""):
        hint = "its own life is the 'sign_end_days' of its signer"
        yield Complaint(document.file, path, "'end_days' is for a root only", hint, at_key=True)
    elif authority["end_days"] <= authority["sign_end_days"]:
        yield Complaint(document.file, path, "a root lives longer than what it signs", "leave 'end_days' out")
