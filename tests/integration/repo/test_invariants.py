"""What `check` finds in `state/`: with a real certificate and a real sops document, one thing wrong at a time."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sslops.model.inventory import Inventory, RepoSettings, Settings
from sslops.model.names import GenerationId, generation_id
from sslops.model.secret import Secret
from sslops.model.state import Generation, Issued, Order, Slots, Status
from sslops.pki.state_check import Review, changed_issued, faults, outside_state, state_faults
from sslops.repo.state_files import generation_path, slots_path, write_generation, write_slots
from sslops.secrets.identities import make_identity
from sslops.secrets.sops import Sops
from tests.unit.repo.yard import MAIL, WEB, yard_with_remote
from tests.world.remotes import git
from tests.world.thief import signed_by_nobody

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NOW = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
INVENTORY = Inventory(Settings(), RepoSettings(), {}, {}, {})
PEM = serialization.Encoding.PEM
DER = serialization.Encoding.DER


def _issue() -> tuple[Generation, bytes, bytes, bytes]:
    """Make a generation; return its facts, CSR, certificate, and the key in clear."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "example.com")])
    sans = x509.SubjectAlternativeName([x509.DNSName("example.com")])
    cert = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=90))
        .add_extension(sans, critical=False)
        .sign(key, hashes.SHA256())
    )
    csr = x509.CertificateSigningRequestBuilder(name).add_extension(sans, critical=False).sign(key, hashes.SHA256())
    spki = key.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    spki_sha256 = hashlib.sha256(spki).hexdigest()
    issued = Issued(
        issued_at=NOW,
        serial=f"{cert.serial_number:x}",
        issuer="CN=example.com",
        not_before=NOW,
        not_after=NOW + timedelta(days=90),
        sans=("example.com",),
        cert_sha256=hashlib.sha256(cert.public_bytes(DER)).hexdigest(),
    )
    facts = Generation(
        id=generation_id(NOW, spki_sha256),
        status=Status.ISSUED,
        created_at=NOW,
        ca="my-sub",
        profile=None,
        reason="first",
        reused_from=None,
        key_type="ec",
        key_size="secp256r1",
        spki_sha256=spki_sha256,
        csr_sha256="",
        issued=issued,
    )
    clear = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return facts, csr.public_bytes(PEM), cert.public_bytes(PEM), clear


FACTS, CSR, CERT, CLEAR = _issue()
OTHER, OTHER_CSR, OTHER_CERT, _ = _issue()
FOLDER = f"state/{MAIL}/{FACTS.id}"
SLOTS = slots_path(MAIL)


@pytest.fixture(scope="module")
def sound() -> Mapping[str, bytes]:
    """Return the files of a repository in which nothing is wrong."""
    _, recipient = make_identity()
    config = f"creation_rules:\n  - path_regex: ^state/.*\\.sops$\n    age: {recipient}\n"
    path = f"{FOLDER}/privkey.pem.sops"
    return {
        ".sops.yaml": config.encode(),
        SLOTS: write_slots(Slots(curr=FACTS.id)),
        f"{FOLDER}/generation.yaml": write_generation(FACTS),
        f"{FOLDER}/csr.pem": CSR,
        f"{FOLDER}/cert.pem": CERT,
        f"{FOLDER}/chain.pem": b"",
        path: Sops(config).encrypt(path, Secret(CLEAR, "key")),
    }


def _found(files: Mapping[str, bytes | None]) -> str:
    there = {path: content for path, content in files.items() if content is not None}
    return "\n".join(f"{fault.where}: {fault.what}" for fault in faults(there, INVENTORY))


def _facts(**changes: object) -> bytes:
    assert FACTS.issued is not None
    return write_generation(replace(FACTS, issued=replace(FACTS.issued, **changes)))  # type: ignore[arg-type]


def test_a_sound_repository_has_no_faults(sound: Mapping[str, bytes]) -> None:
    """The check is green where nothing is wrong, the empty repository included."""
    assert "" == _found(sound)
    assert "" == _found({})


MISSING = GenerationId("20200101T000000Z-0000")
FORGED = Order(
    "https://ca.example.net/order/1",
    NOW,
    ('{"type":"dns-01","group":"example.com","name":"example.com","token":"t","value":"\\n@ MX 0 evil.example."}',),
)
WRONG: dict[str, tuple[dict[str, bytes | None], str]] = {
    "slot without generation": ({SLOTS: write_slots(Slots(curr=MISSING))}, "'curr'.*does not exist"),
    "curr is next": ({SLOTS: write_slots(Slots(curr=FACTS.id, next=FACTS.id))}, "the same"),
    "no slots": ({SLOTS: None}, "no 'slots.yaml'"),
    "broken slots": ({SLOTS: b"curr: 1\n"}, "slots.yaml:1:1.*generation"),
    "no certificate": ({f"{FOLDER}/cert.pem": None}, "not complete: no 'cert.pem'"),
    "no chain": ({f"{FOLDER}/chain.pem": None}, "not complete: no 'chain.pem'"),
    "no key": ({f"{FOLDER}/privkey.pem.sops": None}, "not complete: no 'privkey.pem.sops'"),
    "no facts": ({f"{FOLDER}/generation.yaml": None}, "no 'generation.yaml'"),
    "another certificate": ({f"{FOLDER}/cert.pem": OTHER_CERT}, "cert.pem.*another key"),
    "another CSR": ({f"{FOLDER}/csr.pem": OTHER_CSR}, "csr.pem.*another key"),
    "a broken certificate": ({f"{FOLDER}/cert.pem": b"x"}, "certificate cannot be read"),
    "another serial": ({f"{FOLDER}/generation.yaml": _facts(serial="1")}, "'serial'"),
    "another end": ({f"{FOLDER}/generation.yaml": _facts(not_after=NOW)}, "'not_after'"),
    "other names": ({f"{FOLDER}/generation.yaml": _facts(sans=("example.org",))}, "'sans'"),
    "another key's hash": (
        {f"{FOLDER}/generation.yaml": write_generation(replace(FACTS, spki_sha256=OTHER.spki_sha256))},
        "not named after",
    ),
    "not issued": (
        {f"{FOLDER}/generation.yaml": write_generation(replace(FACTS, status=Status.KEYED, issued=None))},
        "'curr'.*not issued",
    ),
    "a challenge of nobody": (
        {
            f"{FOLDER}/generation.yaml": write_generation(
                replace(FACTS, status=Status.ORDERED, issued=None, order=FORGED)
            )
        },
        "a challenge that no CA can have asked for",
    ),
    "a key in clear": ({f"{FOLDER}/privkey.pem.sops": CLEAR}, "private key in clear"),
    "no document": ({f"{FOLDER}/privkey.pem.sops": b"{}"}, "not a whole sops document"),
    "a stray file": ({f"state/{MAIL}/notes.txt": b"x"}, "belongs to no service"),
    "no rules": ({".sops.yaml": None}, ".sops.yaml"),
    "other recipients": (
        {".sops.yaml": b"creation_rules:\n  - path_regex: ^state/\n    age: age1other\n"},
        "is encrypted to .* asks for age:age1other",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_each_fault_is_found_and_placed(sound: Mapping[str, bytes], case: str) -> None:
    """One thing is wrong, and the fault says what and in which file."""
    changes, expected = WRONG[case]

    assert re.search(expected, _found({**sound, **changes}))


def test_all_faults_come_at_once(sound: Mapping[str, bytes]) -> None:
    """A person sees everything that is wrong in one pass, sorted by file."""
    broken = {**sound, f"{FOLDER}/csr.pem": OTHER_CSR, SLOTS: write_slots(Slots(curr=MISSING))}

    assert 2 == len(_found(broken).splitlines())


def test_an_issued_generation_may_not_change(sound: Mapping[str, bytes]) -> None:
    """Certificate, CSR, chain and facts are for ever; the wrapping of the key may change, the whole may go."""
    changed = {**sound, f"{FOLDER}/cert.pem": OTHER_CERT}
    rewrapped = {**sound, f"{FOLDER}/privkey.pem.sops": b"{}"}
    pruned = {path: content for path, content in sound.items() if not path.startswith(FOLDER)}
    torn = {path: content for path, content in sound.items() if path != f"{FOLDER}/chain.pem"}

    assert () == changed_issued(sound, sound)
    assert [f"{FOLDER}/cert.pem"] == [fault.where.file for fault in changed_issued(sound, changed) if fault.where]
    assert () == changed_issued(sound, rewrapped)
    assert () == changed_issued(sound, pruned)
    assert 1 == len(changed_issued(sound, torn))


def test_a_keyed_generation_may_go_on(sound: Mapping[str, bytes]) -> None:
    """Only what is issued is immutable."""
    keyed = {**sound, f"{FOLDER}/generation.yaml": write_generation(replace(FACTS, status=Status.KEYED, issued=None))}

    assert () == changed_issued(keyed, sound)


def test_a_roll_that_touches_something_else_is_a_fault() -> None:
    """The request of a roll shows state only."""
    paths = [generation_path(WEB, FACTS.id, "cert.pem"), "inventory/sslops.yaml"]

    assert ["inventory/sslops.yaml"] == [fault.where.file for fault in outside_state(paths) if fault.where]


def test_a_checkout_is_checked_against_main_and_as_a_roll(tmp_path: Path) -> None:
    """On the roll branch a changed inventory and a changed certificate are both found."""
    yard = yard_with_remote(tmp_path)
    yard.roll_and_merge(1, "squash")
    made = yard.roll_to(2)
    clone = yard.clone
    git(clone, "fetch", "--quiet")
    git(clone, "checkout", "--quiet", "-B", "sslops/roll", "origin/sslops/roll")
    (clone / "inventory/sslops.yaml").write_text("globals: {clean_keep: 3}\n")
    git(clone, "commit", "--quiet", "-am", "sneaky")
    (first,) = [path for path in (clone / f"state/{MAIL}").glob("*/cert.pem") if made not in str(path)]
    first.write_text("changed\n")
    found = {fault.what for fault in state_faults(clone, INVENTORY, Review("main"))}

    assert any("inventory/sslops.yaml" in what for what in found)
    assert any("never does" in what for what in found)


@pytest.mark.parametrize(
    ("chain", "words"),
    [
        (b"# somebody was here\n", "holds something that is no certificate"),
        (CERT + b"\x00", "holds something that is no certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be read"),
        (signed_by_nobody(CSR, "CN=another")[1].encode(), "does not begin with the issuer"),
    ],
    ids=["text", "a byte behind", "no certificate", "another CA"],
)
def test_a_chain_holds_certificates_and_nothing_else(
    sound: Mapping[str, bytes], chain: bytes, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is sent to hosts as it stands; the fault names the file. A check that does not look lets it through."""
    found = _found({**sound, f"{FOLDER}/chain.pem": chain})

    assert f"{FOLDER}/chain.pem:1:1: " in found
    assert words in found

    monkeypatch.setattr("sslops.pki.certificate.chain_faults", lambda *_: ())
    assert "" == _found({**sound, f"{FOLDER}/chain.pem": chain})
