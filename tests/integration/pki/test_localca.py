"""Certificates of own CAs as strangers see them: OpenSSL, the verifier of `cryptography`, and pkilint."""

from __future__ import annotations

import ipaddress
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store

from sslops.errors import SslopsError, StateError
from sslops.model.inventory import CaSpec, KeySpec, Service, Subject
from sslops.model.secret import Secret
from sslops.pki.certificate import split_chain
from sslops.pki.lifetime import validity
from sslops.pki.local_ca import LocalCa
from sslops.pki.request import request_of
from tests.unit.issue.site import EC, NOW, ROOT, SUB, WEB, Site, ca, inventory_of, leaf, usual
from tests.world.peers import need

CHAINS = [
    ("ec256", KeySpec("ec", "secp256r1"), "sha256"),
    ("ec384", KeySpec("ec", "secp384r1"), "sha384"),
    ("ec521", KeySpec("ec", "secp521r1"), "sha512"),
    ("rsa2048", KeySpec("rsa", rsa_bits=2048), "sha256"),
]
ED25519 = ("ed25519", KeySpec("ed25519"), "sha256")
LINTED = [CHAINS[0], CHAINS[3], ED25519]
"""One of each kind of key: what pkilint looks at does not depend on the size."""


class Chain:
    """The newest root, intermediate and leaf of a site, as files."""

    def __init__(self, site: Site, folder: Path) -> None:
        """Write the certificates, and the chain that the web server sends."""
        self.site, self.folder = site, folder
        self.pem = {service.name: site.newest(service, "cert.pem") for service in site.inventory.services}
        self.pem["chain"] = site.newest(WEB, "chain.pem")
        for name, content in self.pem.items():
            (folder / f"{name}.pem").write_bytes(content)

    def cert(self, name: str) -> x509.Certificate:
        """Return one of them, read."""
        return x509.load_pem_x509_certificate(self.pem[name])

    def path(self, name: str) -> str:
        """Return the file of one of them."""
        return str(self.folder / f"{name}.pem")


@pytest.fixture(scope="module", params=[*CHAINS, ED25519], ids=lambda chain: chain[0])
def chain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Return a chain of one kind of key, made by the stage itself."""
    _, key, digest = request.param
    site = Site(usual(key, digest))
    outcome = site.renew()
    assert () == outcome.failures
    return Chain(site, tmp_path_factory.mktemp("chain"))


def test_openssl_accepts_the_chain(chain: Chain) -> None:
    """A server sends leaf and chain, a client has the root: strict checks, for a TLS server, by name."""
    done = subprocess.run(
        [
            need("openssl"), "verify", "-x509_strict", "-check_ss_sig", "-purpose", "sslserver", "-verify_hostname",
            "www.example.com", "-attime", str(int(NOW.timestamp())), "-CAfile", chain.path("my-root"),
            "-untrusted", chain.path("chain"), chain.path("web-ec"),
        ],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip

    assert (0, f"{chain.path('web-ec')}: OK\n") == (done.returncode, done.stdout), done.stderr


@pytest.mark.parametrize("chain", CHAINS, indirect=True, ids=lambda chain: chain[0])
@pytest.mark.parametrize("name", ["www.example.com", "other.example.com", "192.0.2.7", "2001:db8::7"])
def test_the_verifier_of_cryptography_accepts_the_chain(chain: Chain, name: str) -> None:
    """The rules of the Web PKI, for host names, a wildcard and addresses; Ed25519 is outside of those rules."""
    try:
        subject: x509.IPAddress | x509.DNSName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        subject = x509.DNSName(name)
    store = Store([chain.cert("my-root")])
    verifier = PolicyBuilder().store(store).time(NOW.replace(tzinfo=None)).build_server_verifier(subject)

    found = verifier.verify(chain.cert("web-ec"), [chain.cert("my-sub")])

    assert [chain.cert(one) for one in ("web-ec", "my-sub", "my-root")] == found


@pytest.mark.parametrize("chain", LINTED, indirect=True, ids=lambda chain: chain[0])
@pytest.mark.parametrize("name", ["my-root", "my-sub", "mail-ec"])
def test_pkilint_finds_no_error_in_a_certificate(chain: Chain, name: str) -> None:
    """RFC 5280, clause by clause; the leaf is one without a wildcard, which only later documents brought."""
    assert (0, "") == lint("lint_pkix_cert", chain.path(name))


@pytest.mark.parametrize("chain", LINTED, indirect=True, ids=lambda chain: chain[0])
@pytest.mark.parametrize(("signer", "signee"), [("my-root", "my-sub"), ("my-sub", "mail-ec")])
def test_pkilint_finds_no_error_between_signer_and_signee(chain: Chain, signer: str, signee: str) -> None:
    """Names, key identifiers and times fit."""
    assert (0, "") == lint("lint_pkix_signer_signee_cert_chain", chain.path(signer), chain.path(signee))


def lint(program: str, *files: str) -> tuple[int, str]:
    """Run one of pkilint's programs for findings that are errors."""
    command = [str(Path(sys.executable).parent / program), "lint", "-s", "ERROR", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, (done.stdout + done.stderr).strip()


def test_identifiers_link_leaf_to_intermediate_to_root(chain: Chain) -> None:
    """The authority key identifier is the issuer's subject key identifier."""

    def subject(name: str) -> bytes:
        return chain.cert(name).extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest

    def authority(name: str) -> bytes | None:
        return chain.cert(name).extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier

    assert [subject("my-root"), subject("my-root"), subject("my-sub")] == list(map(authority, chain_names()))


def chain_names() -> tuple[str, ...]:
    """Return the names of the three certificates, root first."""
    return "my-root", "my-sub", "web-ec"


def test_constraints_and_usage_are_critical_and_right(chain: Chain) -> None:
    """A root sets no path length, an intermediate what the inventory needs; only RSA leaves transport keys."""
    found = []
    for name in chain_names():
        constraints = chain.cert(name).extensions.get_extension_for_class(x509.BasicConstraints)
        usage = chain.cert(name).extensions.get_extension_for_class(x509.KeyUsage)
        assert constraints.critical
        assert usage.critical
        bits = [bit for bit in BITS if getattr(usage.value, bit)]
        found.append((constraints.value.ca, constraints.value.path_length, bits))
    is_rsa = "rsa" in chain.cert("web-ec").public_key().__class__.__name__.lower()
    leaf_bits = ["digital_signature", "key_encipherment"] if is_rsa else ["digital_signature"]

    assert [
        (True, None, ["key_cert_sign", "crl_sign"]),
        (True, 0, ["key_cert_sign", "crl_sign"]),
        (False, None, leaf_bits),
    ] == found


BITS = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign")  # fmt: skip


def test_a_leaf_is_for_servers_only_and_names_what_the_inventory_names(chain: Chain) -> None:
    """One purpose, and the names as DNS and IP names in their order."""
    extensions = chain.cert("web-ec").extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert [ExtendedKeyUsageOID.SERVER_AUTH] == list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    assert ["www.example.com", "*.example.com"] == names.get_values_for_type(x509.DNSName)
    assert ["192.0.2.7", "2001:db8::7"] == list(map(str, names.get_values_for_type(x509.IPAddress)))


def test_times_are_back_dated_a_little_and_never_past_the_issuer(chain: Chain) -> None:
    """The intermediate lasts as long as the root signs for, the leaf as long as the intermediate does."""
    found = [(chain.cert(name).not_valid_before_utc, chain.cert(name).not_valid_after_utc) for name in chain_names()]
    start = NOW - timedelta(hours=1)

    assert [(start, start + timedelta(days=days, seconds=-1)) for days in (7300, 3650, 365)] == found


def test_the_chain_of_a_leaf_is_the_intermediate_without_the_root(chain: Chain) -> None:
    """Whoever trusts the root has it; a root's own chain is empty, the intermediate's is the root that signed it."""
    assert (chain.pem["my-sub"],) == split_chain(chain.pem["chain"])
    assert b"" == chain.site.newest(ROOT, "chain.pem")
    assert chain.pem["my-root"] == chain.site.newest(SUB, "chain.pem")


def test_a_leaf_of_the_root_itself_is_sent_with_the_root() -> None:
    """There is nobody else above it."""
    site = Site(inventory_of(ca("my-root", "self", 365), leaf(WEB, "www.example.com", signing_ca="my-root")))
    site.renew()

    assert site.newest(ROOT, "cert.pem") == site.newest(WEB, "chain.pem")


def test_two_levels_of_intermediates_get_their_path_lengths(tmp_path: Path) -> None:
    """The upper one allows one CA below it, the lower one none, and OpenSSL accepts all of it."""
    site = Site(
        inventory_of(
            ca("my-root", "self", 7300),
            ca("upper", "my-root", 3650),
            ca("my-sub", "upper", 365),
            leaf(WEB, "www.example.com"),
        )
    )
    site.renew()
    chain = Chain(site, tmp_path)

    done = subprocess.run(
        [need("openssl"), "verify", "-x509_strict", "-attime", str(int(NOW.timestamp())), "-CAfile",
         chain.path("my-root"), "-untrusted", chain.path("chain"), chain.path("web-ec")],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip

    assert 0 == done.returncode, done.stderr
    assert 2 == len(split_chain(chain.pem["chain"]))


def test_a_leaf_never_outlives_its_issuer() -> None:
    """An intermediate that has 100 days left signs for 100 days, whatever `sign_end_days` says."""
    site = Site(inventory_of(ca("my-root", "self", 300), ca("my-sub", "my-root", 1000), leaf(WEB, "www.example.com")))
    site.renew()

    leaf_end, sub_end = (
        x509.load_pem_x509_certificate(site.newest(service, "cert.pem")).not_valid_after_utc for service in (WEB, SUB)
    )

    assert sub_end == leaf_end


def test_serial_numbers_are_large_and_never_the_same(chain: Chain) -> None:
    """159 random bits (the first of 160 is clear, so that the number is positive)."""
    serials = [chain.cert(name).serial_number for name in chain_names()]

    assert 3 == len(set(serials))
    assert all(0 < serial < 2**159 for serial in serials)
    assert max(serials) > 2**128


def test_empty_fields_stay_out_of_the_subject() -> None:
    """An empty attribute is not a missing one (X.520 forbids it)."""
    service = replace(leaf(WEB, "www.example.com"), subject=Subject("www.example.com", "", None, "", "", "US", "a@b.c"))

    assert "CN=www.example.com,C=US" == issued(service).subject.rfc4514_string()


def test_a_common_name_that_is_no_san_or_too_long_is_left_out() -> None:
    """The names count; the common name is a copy of one of them, up to 64 characters."""
    long = ".".join(["a" * 60, "b" * 10, "example.com"])
    found = [
        issued(replace(leaf(WEB, "www.example.com", long), subject=Subject(name))).subject.rfc4514_string()
        for name in (long, "other.example.com", "WWW.example.com")
    ]

    assert ["", "", "CN=WWW.example.com"] == found


def test_international_names_are_written_as_a_labels() -> None:
    """A certificate holds ASCII only (RFC 5280 section 4.2.1.6); the inventory has brought them into that form."""
    cert = issued(leaf(WEB, "xn--mller-kva.example.com"))
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert ["xn--mller-kva.example.com"] == names.get_values_for_type(x509.DNSName)


def test_without_a_subject_the_names_are_critical() -> None:
    """RFC 5280 section 4.2.1.6."""
    cert = issued(replace(leaf(WEB, "www.example.com"), subject=Subject()))

    assert cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical


def test_other_purposes_are_there_only_when_asked_for() -> None:
    """By their names, or by number."""
    cert = issued(replace(leaf(WEB, "www.example.com"), eku=("clientAuth", "serverAuth", "1.3.6.1.5.5.7.3.17")))
    found = cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value

    assert ["1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.17"] == [
        purpose.dotted_string for purpose in found
    ]


def issued(service: Service) -> x509.Certificate:
    """Return the certificate that a site issues for *service*."""
    site = Site(inventory_of(ca("my-root", "self", 3650), ca("my-sub", "my-root", 365), service))
    outcome = site.renew()
    assert () == outcome.failures
    return x509.load_pem_x509_certificate(site.newest(WEB, "cert.pem"))


@pytest.mark.parametrize(
    "spec", [KeySpec("ec", "secp192r1"), KeySpec("rsa", rsa_bits=1024), KeySpec("dsa"), KeySpec("rsa", rsa_bits=9000)]
)
def test_a_weak_or_unknown_kind_of_key_is_refused(spec: KeySpec) -> None:
    """The message names what there is."""
    with pytest.raises(SslopsError, match="is not supported"):
        LocalCa().make_key(spec)


def test_a_key_of_another_certificate_does_not_sign() -> None:
    """A mixed-up key is found before it makes certificates that nobody can verify."""
    site = Site()
    site.renew()

    with pytest.raises(StateError, match="does not belong to its certificate"):
        LocalCa().open(site.newest(ROOT, "cert.pem"), LocalCa().make_key(EC).private, "sha256")


def test_a_leaf_does_not_sign() -> None:
    """Its certificate says that it is no CA."""
    site = Site()
    site.renew()

    with pytest.raises(StateError, match="is not the certificate of a CA"):
        LocalCa().open(site.newest(WEB, "cert.pem"), Secret(site.newest(WEB, "privkey.pem.sops")), "sha256")


def test_a_ca_signs_neither_beyond_its_time_nor_its_path_length() -> None:
    """No verifier would accept the result."""
    site = Site()
    site.renew()
    maker = LocalCa()
    signer = maker.open(site.newest(SUB, "cert.pem"), Secret(site.newest(SUB, "privkey.pem.sops")), "sha256")
    key = maker.make_key(EC).private
    below = request_of(replace(leaf(SUB, "x.example.com"), ca=CaSpec(1)), 0)

    with pytest.raises(SslopsError, match="does not sign beyond its own certificate"):
        signer.sign(request_of(leaf(WEB, "x.example.com")), site.newest(WEB, "csr.pem"), validity(NOW, 36500))
    with pytest.raises(SslopsError, match="allows 0 CAs below it"):
        signer.sign(below, maker.make_csr(below, key), validity(NOW, 1))


def test_a_csr_without_proof_of_its_key_is_refused() -> None:
    """Somebody who asks for a certificate holds the key."""
    site = Site()
    site.renew()
    csr = x509.load_pem_x509_csr(site.newest(WEB, "csr.pem")).public_bytes(Encoding.DER)
    other = csr[:-4] + bytes(byte ^ 1 for byte in csr[-4:])
    broken = x509.load_der_x509_csr(other).public_bytes(Encoding.PEM)
    signer = LocalCa().open(site.newest(SUB, "cert.pem"), Secret(site.newest(SUB, "privkey.pem.sops")), "sha256")

    with pytest.raises(StateError, match="not signed with the key it names"):
        signer.sign(request_of(leaf(WEB, "www.example.com")), broken, validity(NOW, 1))


def test_a_key_that_cannot_be_read_is_not_quoted() -> None:
    """What was meant as a key may be one."""
    with pytest.raises(StateError, match="the private key cannot be read") as caught:
        LocalCa().make_csr(request_of(leaf(WEB, "www.example.com")), Secret(b"-----BEGIN SECRET"))

    assert "SECRET" not in caught.value.render()
