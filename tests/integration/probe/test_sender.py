"""`tlsa --check` beside a real sender: knot, unbound and postfix, and `posttls-finger` says what a sender does."""

from __future__ import annotations

import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sslops.cli.main import run
from sslops.dane.records import Der, hashed
from sslops.dane.sender_rules import SenderVerdict
from sslops.model.tlsa import TlsaParams
from tests.world.dns_files import ZONES
from tests.world.judge import Judge, Verdict, Way
from tests.world.loopback import SMTP_PORT
from tests.world.validating_resolver import ValidatingResolver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.world.dns import DnsWorld
    from tests.world.postfix import Postfix

INCLUDE = "external/zones/include-tlsa/tlsa.{}"
OTHER = b"somebody else's"
FILES = {
    "inventory/sslops.yaml": """\
groups: [{{domain: example.com, active: true, services: [mail]}}]
dns: {{repo: {{url: /srv/dns.git}}, tlsa_dirs: [zones], acme_dir: zones, validator: "{resolver}"}}
""",
    "inventory/cas.yaml": "le: {{ca_desc: x, ca_type: acme, ca_validation: dns-01}}\n",
    "inventory/example.com/mail.yaml": """\
signing_ca: le
dane_tls: [[{port}, tcp, 3, 1, 1, MX]]
x509: {{CN: mail.example.com, sans: [mail.example.com]}}
""",
}
SAME = {
    Verdict.VERIFIED: SenderVerdict.VERIFIED,
    Verdict.BROKEN: SenderVerdict.FAILED,
    Verdict.NO_RECORDS: SenderVerdict.NO_DANE,
}


def write_chain(folder: Path, names: list[str], *, is_expired: bool = False) -> tuple[Der, Der]:
    """Write `fullchain.pem` (a leaf and its root) and `privkey.pem`; return both certificates."""
    now = dt.datetime.now(tz=dt.UTC)
    end = now + dt.timedelta(days=-1 if is_expired else 30)
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("root", "leaf")}
    certs = []
    for name in ("leaf", "root"):
        subject, issuer = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, each)]) for each in (name, "root"))
        builder = (
            x509.CertificateBuilder(issuer, subject, keys[name].public_key(), x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=60))
            .not_valid_after(now + dt.timedelta(days=30) if name == "root" else end)
            .add_extension(x509.BasicConstraints(ca=name == "root", path_length=None), critical=True)
        )
        if name == "leaf":
            sans = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
            builder = builder.add_extension(sans, critical=False)
        certs.append(builder.sign(keys["root"], hashes.SHA256()))
    folder.mkdir()
    pem = serialization.Encoding.PEM
    (folder / "fullchain.pem").write_bytes(b"".join(cert.public_bytes(pem) for cert in certs))
    private = serialization.PrivateFormat.PKCS8
    (folder / "privkey.pem").write_bytes(keys["leaf"].private_bytes(pem, private, serialization.NoEncryption()))
    leaf, root = (_der(cert) for cert in certs)
    return leaf, root


def _der(cert: x509.Certificate) -> Der:
    der, info = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return Der(cert.public_bytes(der), cert.public_key().public_bytes(der, info))


def record(usage: int, selector: int, match: int, about: Der | bytes) -> str:
    """Write record data about a certificate, or about OTHER."""
    params = TlsaParams(usage, selector, match)
    return f"{params} {about.data(params) if isinstance(about, Der) else hashed(about, match)}"


class Mail:
    """Two postfixes (one with a certificate that has expired), many host names for them, and a resolver."""

    def __init__(self, folder: Path, world: DnsWorld, postfix: Callable[[Path], Postfix]) -> None:
        """Publish everything with one push; a name for each case, so that no cache matters."""
        folder.chmod(0o755)
        self._folder = folder
        named = ["ta.example.com", "ta-key.example.com", "old-ta.example.com", "example.com"]
        leaf, root = write_chain(folder / "good", named)
        old_leaf, old_root = write_chain(folder / "old", named, is_expired=True)
        self.postfix, old = postfix(folder / "good"), postfix(folder / "old")
        addresses = {"": self.postfix.address, "old": old.address}
        right, wrong = record(3, 1, 1, leaf), record(3, 1, 1, OTHER)
        self.cases: dict[str, tuple[str, list[str]]] = {
            "ee": ("", [right]),
            "ee-both": ("", [right, wrong]),
            "ee-cert": ("", [record(3, 0, 2, leaf)]),
            "ee-wrong": ("", [wrong]),
            "ta": ("", [record(2, 1, 1, root)]),
            "ta-key": ("", [record(2, 1, 0, root)]),
            "ta-name": ("mx", [record(2, 0, 1, root)]),
            "ta-wrong": ("", [record(2, 1, 1, OTHER)]),
            "ta-or-ee": ("", [record(2, 1, 1, OTHER), right]),
            "weak-right": ("", [record(3, 1, 2, OTHER), right]),
            "weak-wrong": ("", [record(3, 1, 2, leaf), wrong]),
            "pkix": ("", [record(1, 1, 1, leaf)]),
            "none": ("", []),
            "old": ("old", [record(3, 1, 1, old_leaf)]),
            "old-ta": ("old", [record(2, 1, 1, old_root)]),
        }
        lines = [f"{name} A {addresses.get(kind, self.postfix.address)}" for name, (kind, _) in self.cases.items()]
        lines += ["to-ee CNAME ee", "to-none CNAME none", "to-unsigned CNAME plain.example.net."]
        self.names = [*(f"{name}.example.com" for name in self.cases)]
        self.names += ["to-ee.example.com", "to-none.example.com", "to-unsigned.example.com", "plain.example.net"]
        tlsa = {name: records for name, (_, records) in self.cases.items()}
        tlsa |= {"to-none": [right], "to-unsigned": [right]}
        owners = {f"_{SMTP_PORT}._tcp.{name}.example.com.": records for name, records in tlsa.items()}
        include = "".join(f"{owner} 1 IN TLSA {each}\n" for owner, records in owners.items() for each in records)
        com, net = f"{ZONES}/example.com.zone", f"{ZONES}/example.net.zone"
        world.edit(
            {
                com: world.read(com).replace("@ MX 10 mail", "@ MX 10 ee\n@ MX 20 ta") + "\n".join(["", *lines, ""]),
                net: world.read(net) + f"\nplain A {self.postfix.address}\n",
                INCLUDE.format("example.com"): include,
                INCLUDE.format("example.net"): f"_{SMTP_PORT}._tcp.plain.example.net. 1 IN TLSA {right}\n",
            }
        )
        world.settle()
        self.resolver = ValidatingResolver(folder / "sender", world, untrusted=["example.net"])

    def repository(self) -> Path:
        """Write an inventory that has a mail service with DANE, and the resolver as the one to believe."""
        folder = self._folder / "ops"
        for path, text in FILES.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text.format(resolver=self.resolver.endpoint, port=SMTP_PORT))
        return folder

    def check(self, *words: str) -> list[str]:
        """Return the command line that judges *words* by the resolver."""
        return ["tlsa", "--check", *words, "--starttls", "smtp", "--resolver", str(self.resolver.endpoint)]


@pytest.fixture
def mail(world_folder: Path, dns_world: DnsWorld, postfix: Callable[[Path], Postfix]) -> Iterator[Mail]:
    """Yield the mail hosts."""
    started = Mail(world_folder, dns_world, postfix)
    yield started
    started.resolver.stop()


@pytest.mark.key_in_clear
def test_a_destination_is_judged_as_a_real_sender_does(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """Usages, digests, aliases, zones without signatures, dates and names: one verdict each, postfix's own."""
    judge = Judge(mail.postfix.config, [mail.resolver], [])
    with ThreadPoolExecutor(4) as pool:
        looks = pool.map(lambda name: judge.look(0, Way(name, SMTP_PORT, "ipv4")), mail.names)
        theirs = {name: SAME[look.verdict] for name, look in zip(mail.names, looks, strict=True)}
    run([*mail.check(*(f"[{name}]:{SMTP_PORT}" for name in mail.names)), "--json"])
    destinations = json.loads(capsys.readouterr().out)["destinations"]
    ours = {each["hosts"][0]["host"].rstrip("."): SenderVerdict(each["hosts"][0]["verdict"]) for each in destinations}

    assert theirs == ours
    assert set(SAME.values()) == set(ours.values())

    code = run(mail.check(f"example.com:{SMTP_PORT}"))
    shown = capsys.readouterr().out

    assert 0 == code
    assert ["ee.example.com", "ta.example.com"] == [line.split()[1] for line in shown.splitlines()[2:]]

    ops = mail.repository()
    assert 0 == run(["-C", str(ops), "tlsa", "--check", "example.com:mail", "--json"])
    (checked,) = json.loads(capsys.readouterr().out)["destinations"]
    assert (True, f"example.com:{SMTP_PORT}") == (checked["mx_signed"], checked["name"])
    assert ["verified", "verified"] == [each["verdict"] for each in checked["hosts"]]

    assert 1 == run(mail.check(f"[ee-wrong.example.com]:{SMTP_PORT}"))
    assert 1 == run(mail.check(f"example.net:{SMTP_PORT}"))
    assert "the MX records of 'example.net.' are not signed" in capsys.readouterr().out
