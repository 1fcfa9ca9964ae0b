"""What a record says about a key."""

from __future__ import annotations

import hashlib

import pytest

from sslops.dane.records import Der, Index, Keys, Material
from sslops.model.names import ServiceId
from sslops.model.tlsa import TlsaParams
from tests.unit.dane.builders import OWNER, PARAMS, SERVICE, branches, gen, generation, keyed, keys, record, slots

DER = b"0\x03der"


def test_a_key_has_its_record_before_there_is_a_certificate() -> None:
    """3 1 1 is the hash of the public key, which a prepublished key already has."""
    assert record(1) == keys(1).record(OWNER, PARAMS, SERVICE, gen(1))


def known(number: int, *, signer: str | None = None) -> Keys:
    """Return the keys of a generation with its DER forms."""
    made = Material(DER, b"0\x04cert", (Der(b"0\x02ca", b"0\x02key"), Der(b"root", b"root-key")))
    return Keys({(SERVICE, gen(number)): generation(number, signer=signer)}, {(SERVICE, gen(number)): made})


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ((3, 1, 0), DER.hex()),
        ((3, 1, 2), hashlib.sha512(DER).hexdigest()),
        ((1, 1, 2), hashlib.sha512(DER).hexdigest()),
        ((3, 0, 0), b"0\x04cert".hex()),
        ((3, 0, 1), f"{1:064x}"),
        ((2, 0, 0), b"0\x02ca".hex()),
        ((2, 1, 1), hashlib.sha256(b"0\x02key").hexdigest()),
        ((2, 1, 2), hashlib.sha512(b"0\x02key").hexdigest()),
    ],
)
def test_a_record_says_what_its_three_numbers_ask(params: tuple[int, int, int], expected: str) -> None:
    """Key or certificate, the generation's own or its signer's, whole or hashed."""
    made = known(1).record(OWNER, TlsaParams(*params), SERVICE, gen(1))
    assert made is not None
    assert expected == made.data


def test_any_ca_of_the_chain_matches() -> None:
    """A client accepts whichever of them is published."""
    found = known(1).matching(OWNER, TlsaParams(2, 1, 0), SERVICE, gen(1))
    assert {b"0\x02key".hex(), b"root-key".hex()} == {each.data for each in found}


def test_the_record_of_an_own_ca_is_known_from_its_public_facts() -> None:
    """Without any file: the generation says which generation of the CA signed it."""
    ca = ServiceId("ca", "my-sub")
    made = Keys({(SERVICE, gen(1)): generation(1, signer=gen(7)), (ca, gen(7)): generation(7)})
    assert record(7, params=TlsaParams(2, 1, 1)) == made.record(OWNER, TlsaParams(2, 1, 1), SERVICE, gen(1))
    assert record(7, params=TlsaParams(2, 1, 1)) == made.anchor(OWNER, TlsaParams(2, 1, 1), ca, gen(7))


@pytest.mark.parametrize("params", [TlsaParams(3, 0, 0), TlsaParams(2, 1, 1), TlsaParams(3, 1, 2)])
def test_what_cannot_be_told_is_null(params: TlsaParams) -> None:
    """A certificate, an issuer, and a key that are not at hand."""
    assert keys(1).record(OWNER, params, SERVICE, gen(1)) is None


def test_a_key_without_a_certificate_has_no_record_of_one() -> None:
    """3 0 1 and 2 1 1 come after the certificate."""
    waiting = Keys({(SERVICE, gen(1)): keyed(1)})
    assert {None} == {waiting.record(OWNER, TlsaParams(*each, 1), SERVICE, gen(1)) for each in ((3, 0), (2, 1))}


def test_what_cannot_be_served_is_known() -> None:
    """A key without a certificate; one that nothing is known about may well be served."""
    waiting = Keys({(SERVICE, gen(1)): keyed(1), (SERVICE, gen(2)): generation(2)})
    assert [False, True, True] == [waiting.may_be_served(SERVICE, gen(number)) for number in (1, 2, 3)]


def test_the_index_tells_whose_a_record_is() -> None:
    """By what it says, under whatever name; nobody's when no generation matches."""
    ca = ServiceId("ca", "my-sub")
    made = Keys({(SERVICE, gen(1)): generation(1, signer=gen(7)), (ca, gen(7)): generation(7)})
    about_ca = TlsaParams(2, 1, 1)
    index = Index.of(made, frozenset({PARAMS, about_ca}))
    assert {(SERVICE, gen(1))} == index.versions(record(1, "_25._tcp.mx.example.net."))
    assert {(SERVICE, gen(1)), (ca, gen(7))} == index.versions(record(7, params=about_ca))
    assert frozenset() == index.versions(record(9))


def test_a_generation_that_is_gone_has_no_record() -> None:
    """Nothing is known of a generation that neither branch has."""
    assert keys(1).record(OWNER, PARAMS, SERVICE, gen(2)) is None


def test_the_generations_of_both_branches_are_known() -> None:
    """What `main` lost and what only `next` has count alike."""
    assert (gen(1), gen(2)) == Keys.of(branches(slots(1, 2), 1, 2)).ids(SERVICE)
