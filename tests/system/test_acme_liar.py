"""A CA that lies harms what it signs itself and nothing else: its orders fail, with a message, and no other's do."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.system.acme import NET, WEB, staged, statuses
from tests.world.acme_faults import Front, altered, problem
from tests.world.acme_relay import Reply

if TYPE_CHECKING:
    from tests.world.acme_faults import Ask, Fault
    from tests.world.acme_site import AcmeSite

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SERVICE = "inventory/example.net/web-ec.yaml"


def test_a_ca_that_lies_fails_alone(acme_site: AcmeSite) -> None:
    """The honest CA's certificates come in the same run; each lie is told in one line, and none is a bug of ours."""
    site = acme_site
    liar = Front(site.pebble.address, site.pebble.endpoint_ca)
    cas = site.ops.show("main", "inventory/cas.yaml")
    entry = cas[cas.index("le-dns:") : cas.index("le-http:")].replace("le-dns:", "liar:")
    entry = entry.replace(site.ca.directory, liar.directory)
    site.ops.edit(
        {
            "inventory/cas.yaml": f"{cas}\n{entry}",
            SERVICE: site.ops.show("main", SERVICE).replace("signing_ca: le-dns", "signing_ca: liar") + "\n",
        }
    )
    told: dict[str, str] = {}
    for name, (kind, fault) in lies(liar).items():
        liar.heal()
        liar.plan(kind, fault, times=None)
        done = site.sslops("renew", "--apply", *([] if not told else ["--force", "example.net"]))
        if "it cannot be reached" in done.stderr:  # a connection was lost, which is no lie: the next run tries again
            done = site.sslops("renew", "--apply", "--force", "example.net")
        told[name] = done.stderr

        assert 1 == done.exit_code, name
        assert "Traceback" not in done.stderr, name
        assert {WEB: "issued", NET: "issued"} != {key: statuses(site)[key] for key in (WEB, NET)}, name
        assert "issued" == staged(site, WEB)["status"], name

    assert [] == [name for name, text in told.items() if LIES[name] not in text]

    liar.heal()
    liar.plan("certificate", certified(liar, has_issuer=False), times=None)
    site.sslops("renew", "--apply", "--force", "example.net").succeeded()
    liar.stop()

    assert "issued" == staged(site, NET)["status"]


LIES = {
    "gzip": "its answer cannot be unpacked",
    "retry": "rateLimited",
    "year": "not asked",
    "label": "gave no answer",
    "proofs": "wants 40 proofs",
    "ca": "is a CA's",
    "purpose": "not for servers (serverAuth)",
    "short": "valid for 0.5 hours",
    "long": "valid for 3650 days",
    "twice": "cannot be read",
}
"""What a person is told of each."""


def lies(liar: Front) -> dict[str, tuple[str, Fault]]:
    """Return name of a lie to the request that it answers, and how."""

    def year(order: dict[str, Any]) -> None:
        order["expires"], order["finalize"] = "0001-01-01T00:00:00+14:00", "http://192.0.2.1/finalize"

    def label(order: dict[str, Any]) -> None:
        order["authorizations"] = [f"https://{'x' * 70}.example.org/authz"]

    def proofs(order: dict[str, Any]) -> None:
        order["authorizations"] = order["authorizations"] * 20

    return {
        "gzip": ("newOrder", lambda _: Reply(201, {"Content-Encoding": "gzip", "Location": "x"}, b"no gzip")),
        "retry": ("newOrder", problem("rateLimited", 429, retry_after="\u00b2")),
        "label": ("newOrder", altered(label)),
        "proofs": ("newOrder", altered(proofs)),
        "year": ("order", altered(year)),
        "ca": ("certificate", certified(liar, is_ca=True)),
        "purpose": ("certificate", certified(liar, purpose=ExtendedKeyUsageOID.CLIENT_AUTH)),
        "short": ("certificate", certified(liar, life=HOUR / 2)),
        "long": ("certificate", certified(liar, life=3650 * DAY)),
        "twice": ("certificate", twice(liar)),
    }


def certified(
    liar: Front,
    *,
    is_ca: bool = False,
    purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    life: timedelta = 60 * DAY,
    has_issuer: bool = True,
) -> Fault:
    """Give a certificate for the key and the names of the last CSR, as no honest CA would."""

    def fault(ask: Ask) -> Reply:
        reply = ask()
        return Reply(reply.status, reply.headers, chain()) if reply.status == 200 else reply

    def chain() -> bytes:
        csr, key, now = last_csr(liar), ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Liar")])
        root = x509.CertificateBuilder(issuer, issuer, key.public_key(), 7, now - DAY, now + 9999 * DAY)
        root = root.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        leaf = x509.CertificateBuilder(issuer, csr.subject, csr.public_key(), 8, now, now + life - timedelta(seconds=1))
        leaf = leaf.add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        leaf = leaf.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        leaf = leaf.add_extension(names, critical=False)
        if has_issuer:
            identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
            leaf = leaf.add_extension(identifier, critical=False)
        return b"".join(each.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM) for each in (leaf, root))

    return fault


def twice(liar: Front) -> Fault:
    """Give a certificate that has an extension twice, which no builder makes."""
    honest = certified(liar)

    def fault(ask: Ask) -> Reply | None:
        reply = honest(ask)
        if reply is None or reply.status != 200:
            return reply
        leaf, root = x509.load_pem_x509_certificates(reply.body)
        # The OID of the extended key usage becomes that of the alternative names: 2.5.29.37 and 2.5.29.17.
        der = leaf.public_bytes(Encoding.DER).replace(b"\x55\x1d\x25", b"\x55\x1d\x11")
        text = base64.encodebytes(der)
        broken = b"-----BEGIN CERTIFICATE-----\n" + text + b"-----END CERTIFICATE-----\n"
        return Reply(reply.status, reply.headers, broken + root.public_bytes(Encoding.PEM))

    return fault


def last_csr(liar: Front) -> x509.CertificateSigningRequest:
    """Return the CSR that was handed in last."""
    payloads = [each.payload for each in liar.exchanges if each.kind == "finalize" and each.payload]
    text = payloads[-1]["csr"]
    return x509.load_der_x509_csr(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
