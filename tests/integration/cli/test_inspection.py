"""`info`, `verify`, `dhparm` and `trust`, with openssl as the judge."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sslops.cli.main import run
from sslops.pki.dh_groups import GROUPS
from tests.world.leaks import holds_key
from tests.world.loopback import fresh_port
from tests.world.peers import need
from tests.world.programs import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = dt.datetime.now(tz=dt.UTC).replace(microsecond=0)
DAY = dt.timedelta(days=1)
PEM = serialization.Encoding.PEM
Key = ec.EllipticCurvePrivateKey


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Pki:
    """A root, an intermediate and whatever leaf a test asks for, as files in *folder*."""

    def __init__(self, folder: Path, crl: str | None = None) -> None:
        self.folder, self.crl = folder, crl
        self.root_key, self.sub_key, self.key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        self.root = self.sign("Root", self.root_key, "Root", self.root_key, is_ca=True)
        self.sub = self.sign("Sub", self.sub_key, "Root", self.root_key, is_ca=True)
        self.write("root.pem", self.root)
        self.write("sub.pem", self.sub)
        self.leaf()

    def leaf(self, *, name: str = "mail.example.com", days: int = 30, issuer: str = "Sub", chain: bool = True) -> None:
        """Write `leaf.pem` with its chain, and its key."""
        signer = self.sub_key if issuer == "Sub" else self.root_key
        self.cert = self.sign(name, self.key, issuer, signer, days=days)
        self.write("leaf.pem", self.cert, *([self.sub] if chain else []))
        form = serialization.PrivateFormat.PKCS8
        (self.folder / "key.pem").write_bytes(self.key.private_bytes(PEM, form, serialization.NoEncryption()))

    def sign(
        self, name: str, key: Key, issuer: str, signer: Key, *, is_ca: bool = False, days: int = 30
    ) -> x509.Certificate:
        """Return a certificate."""
        subject, signer_name = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, issuer))
        begin = NOW - 60 * DAY
        builder = (
            x509.CertificateBuilder(signer_name, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(NOW + days * DAY)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        )
        if not is_ca:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        if not is_ca and self.crl is not None:
            full = [x509.UniformResourceIdentifier(self.crl)]
            points = x509.CRLDistributionPoints([x509.DistributionPoint(full, None, None, None)])
            builder = builder.add_extension(points, critical=False)
        return builder.sign(signer, hashes.SHA256())

    def revoke(self, *, is_revoked: bool) -> None:
        """Write the intermediate's CRL as `sub.crl`."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Sub")])
        builder = x509.CertificateRevocationListBuilder(name, NOW - DAY, NOW + DAY)
        if is_revoked:
            gone = x509.RevokedCertificateBuilder(self.cert.serial_number, NOW - DAY).build()
            builder = builder.add_revoked_certificate(gone)
        (self.folder / "sub.crl").write_bytes(
            builder.sign(self.sub_key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
        )

    def write(self, name: str, *certs: x509.Certificate) -> None:
        """Write a file of certificates."""
        (self.folder / name).write_bytes(b"".join(cert.public_bytes(PEM) for cert in certs))

    def openssl_takes_it(self, *words: str) -> bool:
        """Whether `openssl verify` accepts the leaf."""
        command = [str(need("openssl")), "verify", "-CAfile", "root.pem", "-purpose", "sslserver", *words]
        command += ["-untrusted", "leaf.pem", "leaf.pem"]
        return subprocess.run(command, cwd=self.folder, capture_output=True, timeout=30, check=False).returncode == 0


def verify(pki: Pki, *words: str) -> tuple[int, list[str]]:
    """Return the exit code of `verify --root root.pem`, and the checks that failed."""
    out = pki.folder / "out"
    code = _run(
        out, "-C", str(pki.folder), "verify", "leaf.pem", "--root", str(pki.folder / "root.pem"), "--json", *words
    )
    (subject,) = json.loads(out.read_text())["subjects"]
    return code, [check["name"] for check in subject["checks"] if check["state"] == "failed"]


def _run(out: Path, *words: str) -> int:
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()) as shown:
        code = run(list(words))
    out.write_text(shown.getvalue())
    return code


def test_a_good_certificate_is_good(tmp_path: Path) -> None:
    """Its chain leads to the root, its key and its name are its own."""
    pki = Pki(tmp_path)

    assert pki.openssl_takes_it("-verify_hostname", "mail.example.com")
    assert (0, []) == verify(pki, "--name", "mail.example.com", "--key", str(tmp_path / "key.pem"))


@pytest.mark.parametrize(
    ("leaf", "words", "openssl", "failed"),
    [
        ({"days": -1}, (), (), "dates"),
        ({"chain": False}, (), (), "chain"),
        ({}, ("--name", "other.example.com"), ("-verify_hostname", "other.example.com"), "name other.example.com"),
        (
            {"name": "*.example.com"},
            ("--name", "a.b.example.com"),
            ("-verify_hostname", "a.b.example.com"),
            "name a.b.example.com",
        ),
    ],
)
def test_what_openssl_refuses_is_refused_with_its_cause(
    tmp_path: Path, leaf: dict[str, int | str | bool], words: tuple[str, ...], openssl: tuple[str, ...], failed: str
) -> None:
    """Each by the one check that it fails, and by the exit code."""
    pki = Pki(tmp_path)
    pki.leaf(**leaf)  # type: ignore[arg-type]

    assert not pki.openssl_takes_it(*openssl)
    assert (1, [failed]) == verify(pki, *words)


def test_a_root_of_somebody_else_and_a_key_of_somebody_else_are_told(tmp_path: Path) -> None:
    """Both at once."""
    pki, other = Pki(tmp_path), tmp_path / "other"
    other.mkdir()
    stranger = Pki(other)
    pki.write("root.pem", stranger.root)

    assert not pki.openssl_takes_it()
    assert (1, ["chain", "key"]) == verify(pki, "--key", str(other / "key.pem"))


@pytest.fixture
def crl(tmp_path: Path) -> Iterator[str]:
    """Serve *tmp_path* and return where its CRL is."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/sub.crl"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("is_revoked", [True, False])
def test_the_list_of_the_ca_says_what_is_revoked(tmp_path: Path, crl: str, *, is_revoked: bool) -> None:
    """It is fetched where the certificate says, unless nobody wants that."""
    pki = Pki(tmp_path, crl)
    pki.revoke(is_revoked=is_revoked)

    assert (1, ["revocation"]) if is_revoked else (0, []) == verify(pki)
    assert (0, []) == verify(pki, "--offline")


def test_a_port_is_looked_at_as_it_shows_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`info` and `verify` of HOST:PORT take the whole chain that openssl serves."""
    Pki(tmp_path)
    port = fresh_port()
    command = [
        str(need("openssl")),
        "s_server",
        "-accept",
        f"127.0.0.1:{port}",
        "-cert",
        "leaf.pem",
        "-cert_chain",
        "sub.pem",
    ]
    with subprocess.Popen([*command, "-key", "key.pem", "-quiet"], cwd=tmp_path, stdin=subprocess.PIPE) as server:
        try:
            asked = ["-C", str(tmp_path), "info", f"127.0.0.1:{port}", "--name", "mail.example.com", "--json"]
            wait_until(lambda: run(asked) == 0, lambda: capsys.readouterr().err)
            capsys.readouterr()
            run(asked)
            kinds = [item["kind"] for item in json.loads(capsys.readouterr().out)["subjects"][0]["items"]]
            root = str(tmp_path / "root.pem")
            good = run(
                ["-C", str(tmp_path), "verify", f"127.0.0.1:{port}", "--root", root, "--name", "mail.example.com"]
            )
            bad = run(["-C", str(tmp_path), "verify", f"127.0.0.1:{port}", "--root", root, "--name", "x.example.com"])
        finally:
            server.kill()

    assert ["certificate", "certificate"] == kinds
    assert (0, 1) == (good, bad)


def test_info_shows_facts_of_everything_and_no_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bundle is a key and its chain; the hash tells that they belong together."""
    pki = Pki(tmp_path)
    (tmp_path / "bundle.pem").write_bytes((tmp_path / "key.pem").read_bytes() + (tmp_path / "leaf.pem").read_bytes())
    run(["-C", str(tmp_path), "info", "bundle.pem", "--json"])
    shown = capsys.readouterr().out
    key, leaf, sub = json.loads(shown)["subjects"][0]["items"]

    assert not holds_key(shown.encode())
    assert ("private key", "certificate", True) == (key["kind"], leaf["kind"], sub["ca"])
    assert key["spki_sha256"] == leaf["spki_sha256"]
    assert f"{pki.cert.serial_number:x}" == leaf["serial"]


@pytest.mark.parametrize(
    "content", [b"", b"x", b"\x30\x00", b"-----BEGIN CERTIFICATE-----\nMAMCAQA=\n-----END CERTIFICATE-----\n"]
)
def test_info_of_what_is_none_fails_and_says_so(tmp_path: Path, content: bytes) -> None:
    """And ends in no traceback."""
    (tmp_path / "file").write_bytes(content)

    assert 1 == run(["-C", str(tmp_path), "info", "file"])


def test_the_groups_are_those_of_rfc_7919(tmp_path: Path) -> None:
    """openssl knows each by its name; the link is to the first, and what is there stays."""
    words = [word for group in GROUPS for word in ("-k", group)]

    assert 0 == run(["-C", str(tmp_path), "dhparm", "dh", *words])

    for group in GROUPS:
        command = [str(need("openssl")), "dhparam", "-in", str(tmp_path / f"dh/dh-{group}.pem"), "-text", "-noout"]
        assert (
            f"GROUP: {group}" in subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
        )
    assert "dh-ffdhe2048.pem" == str((tmp_path / "dh/dhparam.pem").readlink())

    (tmp_path / "dh/dh-ffdhe2048.pem").write_text("mine\n")
    run(["-C", str(tmp_path), "dhparm", "dh", *words])

    assert "mine\n" == (tmp_path / "dh/dh-ffdhe2048.pem").read_text()
