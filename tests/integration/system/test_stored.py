"""Keys and certificates as the ops repository stores them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, cast

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sslops.model.names import ServiceId, parse_time
from sslops.model.secret import Secret
from sslops.model.state import Branches, Generation, ServiceState, State, Status
from sslops.pki.stored import StoredVault
from sslops.repo.state_trees import GenerationDocuments
from tests.integration.secrets.test_sops import World

if TYPE_CHECKING:
    from pathlib import Path

    from sslops.model.names import GenerationId

MAIL, WEB, LOST = (ServiceId("example.com", name) for name in ("mail", "web", "lost"))
ID = cast("GenerationId", "20261124T143000Z-9b1c")


class Stored:
    """A snapshot, and an ops repository that has documents in memory."""

    def __init__(self, spki_sha256: str, documents: dict[ServiceId, bytes]) -> None:
        """Let main say of every service that its key hashes to *spki_sha256*."""
        made = parse_time("2026-11-24T14:30:00Z")
        facts = Generation(ID, Status.KEYED, made, "my-sub", None, "due", None, "ec", "secp256r1", spki_sha256, "00")
        main = State(dict.fromkeys((MAIL, WEB, LOST), ServiceState(generations={ID: facts})))
        self.branches, self._documents = Branches(main, main), documents

    def documents(self, _: object, wanted: list[tuple[ServiceId, GenerationId]]) -> dict[Any, GenerationDocuments]:
        """Return what is stored of *wanted*."""
        return {each: GenerationDocuments(None, None, None, self._documents.get(each[0])) for each in wanted}


def test_a_key_is_given_out_only_as_that_of_its_certificate(tmp_path: Path) -> None:
    """One that belongs to another certificate, or is no key at all, is an error, and stops no other."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    sops = World(tmp_path).sops("deploy")
    kept = {
        service: sops.encrypt(f"state/{service}/{ID}/privkey.pem.sops", Secret(content))
        for service, content in ((MAIL, pem), (WEB, b"no key at all"))
    }
    ops = cast("Any", Stored(hashlib.sha256(public).hexdigest(), kept))
    found = StoredVault(ops, sops, lambda *_: b"").keys(ops, [(MAIL, ID), (WEB, ID), (LOST, ID)])

    mail, web, lost = (found[service, ID] for service in (MAIL, WEB, LOST))
    assert isinstance(mail, Secret)
    assert pem == mail.reveal()
    assert "does not belong to its certificate" in str(web)
    assert "lacks a file" in str(lost)
