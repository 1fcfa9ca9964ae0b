"""Whatever bytes come from outside: every parser returns a value, or raises one of the project's own errors.

Inputs are sound samples, broken the way that finds most: bytes turned over, parts doubled, cut, exchanged, or replaced
by what parsers stumble over. `make test` tries a thousand for each parser, `make soak` a million.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import gzip
import json
import shutil
import tempfile
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sslops.deploy.receiver import GREETING, hear
from sslops.errors import SslopsError
from sslops.inventory.loading import load
from sslops.model.ledger import ApexEntry, Evidence, HostEntry, NameEntry, Pending, Served
from sslops.model.names import ServiceId
from sslops.model.tlsa import TlsaParams
from sslops.repo.ledger_files import read_ledger, write_apex, write_host
from sslops.repo.state_files import read_generation, read_slots, write_generation, write_slots
from tests.unit.dane.builders import OWNER, START, gen, generation, record, slots, zone
from tests.unit.migrate import test_acme_clients as other_clients
from tests.unit.migrate import test_ssl_mgr as ssl_mgr
from tests.world.ssl_mgr_tree import SslMgrTree

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

BATCH = 50
"""So many inputs are made from one drawn number: drawing takes longer than most parsers."""

TRAPS = (
    b"\x00", b"\xff\xfe", b"\xc2\xb2", "\u2028\u202e".encode(), b"9" * 5000, b"-1", b"1e999", b"[" * 3000, b"{" * 3000,
    b'"' + b"a" * 70 + b'."', b"0001-01-01T00:00:00Z", b"9999-12-31T23:59:59+00:01", b"&a [*a]", b"<<: *x",
    b"!!python/object:os.x", b"../../etc/passwd", b"$INCLUDE x\n", b"(\n", b"null", b"true", b"\r", b"\\", b"%00", b"",
)  # fmt: skip

TOP = Path(__file__).parents[2]
NOW = datetime(2026, 12, 1, tzinfo=UTC)


def broken(sample: bytes, random: Random) -> bytes:
    """Return *sample* with one to four faults."""
    found = bytearray(sample)
    for _ in range(random.randint(1, 4)):
        place, length = random.randint(0, len(found)), random.choice((1, 1, 2, 8, 64))
        match random.randrange(5):
            case 0 if found:
                found[min(place, len(found) - 1)] ^= 1 << random.randrange(8)
            case 1:
                found[place:place] = found[place : place + length]
            case 2:
                del found[place : place + length]
            case 3:
                found[place : place + length] = random.choice(TRAPS)
            case _:
                found[place : place + length] = random.randbytes(length)
    return bytes(found)


def _inventory(raw: bytes, file: str) -> object:
    return load({**_INVENTORY, file: raw})


def _issuers(raw: bytes) -> None:
    from sslops.pki.certificate import csr_spki, faults, leaf_faults, read_certificate, split_chain
    from sslops.pki.dane_verification import Client, match_chain
    from sslops.pki.inspection import certificates_in, inspect, public_key_in

    inspect(raw)
    public_key_in(raw)
    with contextlib.suppress(SslopsError):
        records = [record(1, params=TlsaParams(*each)) for each in ((3, 1, 1), (2, 1, 0), (2, 0, 0), (1, 0, 1))]
        match_chain([each.cert for each in certificates_in(raw)], records, Client(("a.example",), NOW))
    split_chain(raw)
    faults(raw, raw, raw, spki_sha256="00", sans=("a.example",), now=NOW)
    with contextlib.suppress(SslopsError):
        leaf_faults(raw, ("serverAuth",))
    for read in (read_certificate, csr_spki):
        with contextlib.suppress(SslopsError):
            read(raw)


def _der(raw: bytes) -> None:
    """Read what begins as a certificate does, however its inside is broken."""
    from sslops.pki.certificate import pem_of

    _issuers(pem_of(raw))


def _zone(raw: bytes) -> None:
    from sslops.dane.zonefile import render
    from sslops.proposals.include_file import parse

    render(parse(raw.decode("utf-8", "replace"), "tlsa.example.com"), lambda _: "x")


def _dns(raw: bytes) -> None:
    """Read an answer as `ask` does, and everything that is looked at in it."""
    import dns.exception
    import dns.message

    from sslops.probe import dns_question as question

    try:
        message = dns.message.from_wire(raw)
    except (dns.exception.DNSException, EOFError, ValueError):
        return
    question.is_alias(message)
    question.is_authoritative(message)
    question.is_recursive(message)
    for rdtype in ("TLSA", "MX", "NS", "A"):
        found = question.records_of(message, "_25._tcp.mail.example.com.", rdtype)
        _ = [each.to_text() for each in found or ()]
    question.zone_cut(message, "example.com.", "_25._tcp.mail.example.com.")


def _acme(raw: bytes) -> None:
    from sslops.acme.http import Answer, problem_text, safe_host

    text = raw.decode("latin-1")
    safe_host(text)
    problem_text(Answer(raw, {}, None, {}).json())


def _acme_objects(raw: bytes) -> None:
    """Read an order, an authorization, a directory or a problem: whatever the CA was asked for."""
    from sslops.acme import client, http

    answer = http.Answer(raw, {}, None, {})
    said = answer.json()
    client._order("https://acme.example/order/1", answer)
    client._authorization("https://acme.example/authz/1", said)
    http._problem("le", http._Response(400, {}, raw), None)
    client._web_address(said.get("explanationURL"))


def _acme_headers(raw: bytes) -> None:
    """Read the headers of an answer, each of them the same nonsense."""
    from sslops.acme import client, http
    from sslops.system.retry_after import retry_after_seconds

    text = raw.decode("latin-1")
    retry_after_seconds(text, NOW)
    answer = http.Answer(b"", {"Location": text}, None, http._links(text))
    with contextlib.suppress(SslopsError):
        client._location(answer)


def _commits(raw: bytes) -> None:
    """Read what git says of commits, whoever wrote them."""
    from sslops.repo.signatures import signed_parts

    signed_parts(raw)


# What other tools left behind: one file is broken, the rest of the tree is sound.


@cache
def _trees() -> Path:
    """Make a tree of each tool once, in a folder that goes with the process."""
    folder = Path(tempfile.mkdtemp(prefix="sslops-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = other_clients.version(folder)
    other_clients.certbot_tree(folder / "certbot")
    for source, target in (("fullchain", "crt"), ("chain", "issuer.crt"), ("privkey", "key")):
        other_clients.copy(made.folder / f"{source}.pem", folder / f"lego/certificates/example.com.{target}")
    for source, target in (("cert", "www.example.com.cer"), ("privkey", "www.example.com.key"), ("chain", "ca.cer")):
        other_clients.copy(made.folder / f"{source}.pem", folder / "acme_sh/www.example.com_ecc" / target)
    SslMgrTree(folder / "ssl_mgr", ssl_mgr.FILES)
    return folder


def _importer(tool: str, file: str) -> Callable[[bytes], object]:
    from sslops.migrate import acme_clients
    from sslops.migrate import ssl_mgr as old

    def read(raw: bytes) -> None:
        path = _trees() / file
        sound = path.read_bytes() if path.exists() else None
        path.write_bytes(raw)
        try:
            top = _trees() / file.split("/", maxsplit=1)[0]
            if tool == "ssl_mgr":
                draft = old.read(top / "conf.d", None)
            else:
                draft = acme_clients.read(tool, top / "letsencrypt" if tool == "certbot" else top)
            load(draft.inventory_files())
        finally:
            if sound is not None:
                path.write_bytes(sound)

    return read


LEGO = {"domain": "example.com", "certUrl": "https://acme-v02.api.letsencrypt.org/acme/cert/1"}
ACME_SH = f"""Le_Domain='www.example.com'
Le_Alt='example.com'
Le_Webroot='dns_cf'
Le_ReloadCmd='__ACME_BASE64__START_eA=='
Le_API='{other_clients.LETS_ENCRYPT}'
Le_NextRenewTime='1'
"""
CERTBOT = other_clients.RENEWAL.format(authenticator="dns-cloudflare", server=other_clients.LETS_ENCRYPT)


def _retry_after(raw: bytes) -> None:
    from sslops.system.retry_after import retry_after_seconds

    retry_after_seconds(raw.decode("latin-1"), NOW)


def _forge(raw: bytes) -> None:
    from sslops.proposals.forges import answer
    from sslops.proposals.forges.merging import moment

    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return
    for each in answer.listed(found if isinstance(found, list) else [found]):
        answer.number(each, "number")
        answer.required(each, "head", "sha")
        answer.flag(each, "draft")
        moment(answer.text(each, "created_at"))
        answer.prose(each, "body")


def _mail_policy(raw: bytes) -> None:
    from sslops.model.mail_policy import StsPolicy, differences, names_mx, parse_policy, report_addresses, sts_id

    text = raw.decode("utf-8", "replace")
    for read in (sts_id, report_addresses):
        with contextlib.suppress(ValueError):
            read(text.splitlines())
    with contextlib.suppress(ValueError):
        policy = parse_policy(text)
        list(differences(policy, StsPolicy("enforce", ("mail.example.com",)), [text, "mail.example.com."]))
        names_mx(text, text)


def _tls_report(raw: bytes) -> None:
    from sslops.probe.tls_reports import read_reports

    read_reports(raw)


def _sops_rules(raw: bytes) -> None:
    from sslops.secrets.recipients import read_rules, recipients_of, rule_for

    with contextlib.suppress(SslopsError):
        recipients_of(raw, "x.sops")
    rule_for(read_rules(raw.decode("utf-8", "replace")), "state/example.com/web/x/privkey.pem.sops")


TLS_REPORT = json.dumps(
    {
        "organization-name": "Company-X",
        "date-range": {"start-datetime": "2026-11-30T00:00:00Z", "end-datetime": "2026-11-30T23:59:59Z"},
        "contact-info": "sts-reporting@company-x.example",
        "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
        "policies": [
            {
                "policy": {
                    "policy-type": "tlsa",
                    "policy-string": [f"3 1 1 {'9b' * 32}", "2 1 1 00"],
                    "policy-domain": "example.com",
                    "mx-host": ["mail.example.com"],
                },
                "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
                "failure-details": [
                    {
                        "result-type": "validation-failure",
                        "sending-mta-ip": "2001:db8:abcd:0012::1",
                        "receiving-ip": "203.0.113.56",
                        "receiving-mx-hostname": "mail.example.com",
                        "failed-session-count": 303,
                        "failure-reason-code": "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED",
                    }
                ],
            }
        ],
    }
).encode()
"""After the example of RFC 8460 appendix B."""


def tls_report_mail(report: bytes = TLS_REPORT) -> bytes:
    """Return *report* as a mail brings it (RFC 8460 section 5.3)."""
    from email.message import EmailMessage

    mail = EmailMessage()
    mail["Subject"] = "Report Domain: example.com Submitter: company-x.example"
    mail.set_content("This is an aggregate TLS report.\n")
    mail.add_attachment(
        gzip.compress(report, mtime=0),
        maintype="application",
        subtype="tlsrpt+gzip",
        filename="x!example.com!0!1.json.gz",
    )
    return mail.as_bytes()


SERVICE = "inventory/example.com/mail-ec.yaml"
_INVENTORY = {
    "inventory/sslops.yaml": b"""globals: {clean_keep: 5, min_roll_mins: 90}
groups: [{domain: example.com, active: true, services: [mail-ec]}]
dns_primary: [{domain: default, server: 10.1.2.3, port: 11153}]
dns: {repo: {url: "git@x.example:dns.git", branch: main}, acme_dir: acme, tlsa_dirs: [zones]}
servers:
  smtp: {hosts: [smtp1.example.com], restart_cmd: /bin/true, verify: {port: 25, starttls: smtp},
         svc_depends: [[example.com, [mail-ec]]]}
accept: [{hazard: ns-unreachable, subject: 192.0.2.9, until: "2026-12-01", reason: "x"}]
""",
    "inventory/cas.yaml": b"le: {ca_desc: x, ca_type: acme, ca_validation: dns-01}\n",
    SERVICE: b"""signing_ca: le
dane_tls: [[25, tcp, 3, 1, 1, MX]]
key_opts: {ktype: ec, ec_algo: secp384r1}
x509: {CN: example.com, sans: [example.com, mail.example.com]}
""",
}


def _samples() -> dict[str, tuple[Callable[[bytes], object], bytes]]:
    from sslops.dane.zonefile import render

    service = ServiceId("example.com", "mail-ec")
    entry = ApexEntry(
        Pending("run", "c1", "c2", frozenset({record(1)})),
        {OWNER: NameEntry(300, "c1", START)},
        {record(1): Evidence(START, "c1", 300)},
        START,
    )
    host = HostEntry(
        41,
        {service: Served((gen(1), None), START, "port", 1, START)},
        {"example.com": "00" * 32},
        {"example.com": ("ffdhe2048",)},
    )
    cert = next(TOP.glob("state/example.com/mail-ec/*/cert.pem")).read_bytes()
    csr = next(TOP.glob("state/example.com/mail-ec/*/csr.pem")).read_bytes()
    answered = (
        b"\x00\x01\x84\x00\x00\x01\x00\x01\x00\x00\x00\x00\x03_25\x04_tcp\x04mail\x07example\x03com\x00\x00\x34\x00\x01"
    )
    answered += b"\xc0\x0c\x00\x34\x00\x01\x00\x00\x01\x2c\x00\x23\x03\x01\x01" + bytes(32)
    said = b"\n".join([
        GREETING.encode(), b"seq 41", b"clock 1796126400",
        b"file example.com/mail-ec/curr/cert.pem " + b"0" * 64, b"dhparm example.com", b"done", b"",
    ])  # fmt: skip
    request = [
        {"number": 1, "draft": False, "head": {"sha": "0" * 40}, "created_at": "2026-12-01T00:00:00Z", "body": "x\r\n"}
    ]
    problem = {
        "type": "urn:ietf:params:acme:error:malformed",
        "detail": "x",
        "subproblems": [{"identifier": {"value": "a"}}],
    }
    rules = b"creation_rules:\n  - {path_regex: '^state/(accounts|ca)/.*\\.sops$', age: age1x}\n"
    rules += b"  - {path_regex: '^state/.*$', age: [a, b]}\n"
    return {
        "inventory": (partial(_inventory, file="inventory/sslops.yaml"), _INVENTORY["inventory/sslops.yaml"]),
        "cas": (partial(_inventory, file="inventory/cas.yaml"), _INVENTORY["inventory/cas.yaml"]),
        "service": (
            partial(_inventory, file="inventory/example.com/mail-ec.yaml"),
            _INVENTORY["inventory/example.com/mail-ec.yaml"],
        ),
        "slots": (lambda raw: read_slots(raw, "slots.yaml"), write_slots(slots(1, 2))),
        "generation": (
            lambda raw: read_generation(raw, "generation.yaml", gen(1)),
            write_generation(generation(1)),
        ),
        "ledger, hosts": (lambda raw: read_ledger({"hosts/smtp1.yaml": raw}), write_host(host)),
        "ledger, tlsa": (lambda raw: read_ledger({"tlsa/example.com.yaml": raw}), write_apex(entry)),
        "receiver": (hear, said),
        "zone": (_zone, render(zone(1, 2), lambda _: "example.com/mail-ec curr").encode()),
        "DNS": (_dns, answered),
        "X.509": (_issuers, cert),
        "X.509, DER": (_der, base64.b64decode(b"".join(cert.splitlines()[1:-1]))),
        "CSR": (_issuers, csr),
        "ACME": (_acme, json.dumps(problem).encode()),
        "ACME, objects": (
            _acme_objects,
            json.dumps(
                {
                    "status": "pending",
                    "expires": "2026-12-01T00:00:00Z",
                    "finalize": "https://acme.example/f/1",
                    "identifier": {"type": "dns", "value": "example.com"},
                    "error": problem,
                    **problem,
                    "authorizations": ["https://acme.example/authz/1"],
                    "certificate": "https://acme.example/c/1",
                    "challenges": [{"type": "dns-01", "url": "https://acme.example/ch/1", "token": "a" * 43}],
                    "explanationURL": "https://acme.example/why",
                }
            ).encode(),
        ),
        "ACME, headers": (_acme_headers, b'<https://acme.example/c/1/1>;rel="alternate", <a>; rel="up"'),
        "signed commits": (_commits, b"tree 00\nparent 11\ngpgsig -----BEGIN\n B\nauthor x\n\nsubject\n"),
        "ssl-mgr": (_importer("ssl_mgr", "ssl_mgr/conf.d/ssl-mgr.conf"), ssl_mgr.CONF.encode()),
        "ssl-mgr, CAs": (_importer("ssl_mgr", "ssl_mgr/conf.d/ca-info.conf"), ssl_mgr.CA_INFO.encode()),
        "certbot": (_importer("certbot", "certbot/letsencrypt/renewal/site.conf"), CERTBOT.encode()),
        "lego": (_importer("lego", "lego/certificates/example.com.json"), json.dumps(LEGO).encode()),
        "acme.sh": (_importer("acme_sh", "acme_sh/www.example.com_ecc/www.example.com.conf"), ACME_SH.encode()),
        "Retry-After": (_retry_after, b"Tue, 01 Dec 2026 00:00:00 GMT"),
        "forge": (_forge, json.dumps(request).encode()),
        ".sops.yaml": (_sops_rules, rules),
        "MTA-STS": (_mail_policy, b"version: STSv1\r\nmode: enforce\r\nmx: *.example.com\r\nmax_age: 86400\r\n"),
        "TXT": (_mail_policy, b"v=STSv1; id=20261201;\nv=TLSRPTv1; rua=mailto:a@example.com,https://b.example\n"),
        "TLS report": (_tls_report, TLS_REPORT),
        "TLS report, gzip": (_tls_report, gzip.compress(TLS_REPORT, mtime=0)),
        "TLS report, mail": (_tls_report, tls_report_mail()),
    }


SAMPLES = _samples()


def try_one(read: Callable[[bytes], object], raw: bytes) -> None:
    """Let *read* read; an exception that is none of ours fails the test with the input that raised it."""
    try:
        read(raw)
    except SslopsError:
        return
    except Exception as error:
        raise AssertionError(f"{type(error).__name__} for {raw!r}") from error


def hold(parser: str, batches: int) -> None:
    """Hold *parser* against so many batches of inputs."""
    read, sample = SAMPLES[parser]

    @settings(
        max_examples=batches, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(st.integers(0, 2**63))
    def batch(seed: int) -> None:
        random = Random(seed)  # noqa: S311  (repeatable faults, no secrets)
        for _ in range(BATCH):
            try_one(read, broken(sample, random))

    batch()


@pytest.mark.parametrize("parser", SAMPLES)
def test_a_sound_sample_is_read(parser: str) -> None:
    """Or its faults would all be stopped at the door."""
    read, sample = SAMPLES[parser]
    read(sample)


@pytest.mark.parametrize("parser", SAMPLES)
def test_a_thousand_broken_inputs_raise_no_error_but_our_own(parser: str) -> None:
    """The first thousand of the million."""
    hold(parser, 1000 // BATCH)


@pytest.mark.soak
@pytest.mark.parametrize("parser", SAMPLES)
def test_a_million_broken_inputs_raise_no_error_but_our_own(parser: str) -> None:
    """As long as it takes."""
    hold(parser, 1_000_000 // BATCH)
