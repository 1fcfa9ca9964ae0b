"""Does what a port presents match its TLSA records, as a DANE client judges it? RFC 7671 section 5, RFC 7672 3.2.

With DANE-EE(3) the record is all that counts: neither dates nor names nor the chain are looked at. With DANE-TA(2) the
chain has to lead to the CA of the record, within its dates, and the certificate has to be for the host.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from cryptography.x509.oid import NameOID

from sslops.dane.records import CERT, DANE_TA, FULL, PKIX_TA, SPKI, Der, hashed
from sslops.dane.sender_rules import DANE_EE
from sslops.pki.certificate import extension
from sslops.pki.verification import ca_fault, dates, is_signed, path_to_root, purpose

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sslops.model.tlsa import TlsaRecord

_BROKEN = (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion)
_SAID = 200


@dataclass(frozen=True, slots=True)
class Match:
    """The record that matches (null: none does), and why not, or what else a person should know."""

    record: TlsaRecord | None
    cause: str


@dataclass(frozen=True, slots=True)
class Client:
    """What a client knows besides DNS: the names it looks for in a certificate, the moment, the roots it trusts.

    Roots (PEM) matter with PKIX usages only, where the record comes on top of the usual validation.
    """

    names: Sequence[str]
    now: datetime
    roots: Sequence[x509.Certificate] = ()


def match_chain(presented: Sequence[bytes], records: Sequence[TlsaRecord], client: Client) -> Match:
    """Return which of *records* the *presented* certificates (DER, the leaf first) match, or why none does."""
    try:
        leaf, *others = [x509.load_der_x509_certificate(der) for der in presented]
        return _match(leaf, others, records, client)
    except _BROKEN as error:
        return Match(None, f"a certificate cannot be read: {' '.join(str(error).split())[:_SAID]}")


def _match(
    leaf: x509.Certificate, others: list[x509.Certificate], records: Sequence[TlsaRecord], client: Client
) -> Match:
    causes = []
    own = [record for record in records if record.params.usage == DANE_EE]
    for about_leaf in own:
        if _is_about(about_leaf, leaf):
            return Match(about_leaf, _told(leaf, client.now))
    if own:
        kinds = ", ".join(sorted({str(record.params) for record in own}))
        causes.append(f"no {kinds} record matches the certificate")
    anchors = [record for record in records if record.params.usage == DANE_TA]
    if anchors:
        record, cause = _anchored(leaf, others, anchors, client)
        if record is not None:
            return Match(record, "")
        causes.append(cause)
    pkix = [record for record in records if record.params.usage not in (DANE_EE, DANE_TA)]
    if pkix:
        record, cause = _beside_pkix(leaf, others, pkix, client)
        if record is not None:
            return Match(record, "")
        causes.append(cause)
    return Match(None, "; ".join(causes) or "there is no usable record")


def _told(leaf: x509.Certificate, now: datetime) -> str:
    """Say what a client with DANE-EE does not mind, and other clients do."""
    check = dates(leaf, now)
    return "" if check.is_good else f"{check.cause}, which DANE-EE(3) does not mind"


def _anchored(
    leaf: x509.Certificate, others: list[x509.Certificate], records: Sequence[TlsaRecord], client: Client
) -> tuple[TlsaRecord | None, str]:
    """Return the record of the CA that the chain leads to, or why there is none (RFC 7671 section 5.2)."""
    whole = [
        _certificate(record) for record in records if (record.params.selector, record.params.match) == (CERT, FULL)
    ]
    left = sorted([*others, *(each for each in whole if each)], key=lambda each: not _matching(records, each))
    path = [leaf]
    while True:
        found = _matching(records, path[-1]) if len(path) > 1 else None
        found = found or next((record for record in records if _signed_by_key_of(record, path[-1])), None)
        if found is not None:
            break
        signer = next((each for each in left if is_signed(path[-1], each)), None)
        if signer is None:
            kinds = ", ".join(sorted({str(record.params) for record in records}))
            return None, f"no {kinds} record matches a CA of the chain that is presented"
        fault = ca_fault(signer, below=len(path) - 1, now=client.now)
        if fault is not None:
            return None, fault
        path.append(signer)
        left = [each for each in left if each != signer]
    fault = _leaf_fault(leaf, client)
    return (found, "") if fault is None else (None, fault)


def _beside_pkix(
    leaf: x509.Certificate, others: list[x509.Certificate], records: Sequence[TlsaRecord], client: Client
) -> tuple[TlsaRecord | None, str]:
    """Return the record with a PKIX usage that a certificate of a valid path matches (RFC 6698 section 2.1.1)."""
    path, why = path_to_root(leaf, others, client.roots, client.now)
    fault = why if path is None else _leaf_fault(leaf, client)
    if path is None or fault is not None:
        return None, f"PKIX usages need a chain to a public root: {fault}"
    for record in records:
        candidates = path[1:] if record.params.usage == PKIX_TA else path[:1]
        if any(_is_about(record, each) for each in candidates):
            return record, ""
    return None, "no record with a PKIX usage matches"


def _leaf_fault(leaf: x509.Certificate, client: Client) -> str | None:
    for check in (dates(leaf, client.now), purpose(leaf)):
        if not check.is_good:
            return check.cause
    names = presented_names(leaf)
    wanted = [name.rstrip(".").lower() for name in client.names]
    if any(name in names or f"*.{name.partition('.')[2]}" in names for name in wanted):
        return None
    return f"the certificate is for {', '.join(sorted(names)) or 'no host'}, not for {' or '.join(wanted)}"


def presented_names(leaf: x509.Certificate) -> frozenset[str]:
    """Return the DNS names of a certificate, lower case; its common name where it has none (RFC 7672 section 3.2.2)."""
    sans = extension(leaf, x509.SubjectAlternativeName)
    names = [] if sans is None else sans.get_values_for_type(x509.DNSName)
    if not names:
        names = [str(each.value) for each in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return frozenset(name.lower() for name in names)


def der_of(cert: x509.Certificate) -> Der:
    """Return what records can be about."""
    spki = cert.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Der(cert.public_bytes(Encoding.DER), spki)


def _is_about(record: TlsaRecord, cert: x509.Certificate) -> bool:
    if record.params.selector == CERT:
        return hashed(cert.public_bytes(Encoding.DER), record.params.match) == record.data
    return der_of(cert).data(record.params) == record.data


def _matching(records: Sequence[TlsaRecord], cert: x509.Certificate) -> TlsaRecord | None:
    return next((record for record in records if _is_about(record, cert)), None)


def _certificate(record: TlsaRecord) -> x509.Certificate | None:
    """Return the CA certificate that a record holds whole; it need not be presented (RFC 7671 section 5.2.2)."""
    try:
        return x509.load_der_x509_certificate(bytes.fromhex(record.data))
    except _BROKEN:
        return None


def _signed_by_key_of(record: TlsaRecord, cert: x509.Certificate) -> bool:
    """Whether the CA key that a record holds whole signed *cert*; no certificate of it need be presented."""
    if (record.params.selector, record.params.match) != (SPKI, FULL):
        return False
    try:
        key, algorithm = load_der_public_key(bytes.fromhex(record.data)), cert.signature_hash_algorithm
        if isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
            key.verify(cert.signature, cert.tbs_certificate_bytes, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
            key.verify(cert.signature, cert.tbs_certificate_bytes, ec.ECDSA(algorithm))
        else:
            return False
    except (InvalidSignature, *_BROKEN):
        return False
    return True
