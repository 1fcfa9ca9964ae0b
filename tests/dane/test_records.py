"""What a record says about a key."""

from __future__ import annotations

import hashlib

import pytest

from sslops.dane.records import Keys, is_supported
from sslops.model.tlsa import TlsaParams
from tests.dane.builders import OWNER, PARAMS, SERVICE, branches, gen, generation, keys, record, slots

DER = b"0\x03der"


def test_a_key_has_its_record_before_there_is_a_certificate() -> None:
    """3 1 1 is the hash of the public key, which a standing key already has."""
    assert record(1) == keys(1).record(OWNER, PARAMS, SERVICE, gen(1))


@pytest.mark.parametrize(("match", "expected"), [(0, DER.hex()), (2, hashlib.sha512(DER).hexdigest())])
def test_other_matching_types_are_made_from_the_public_key(match: int, expected: str) -> None:
    """Full and SHA-512 records need the key itself."""
    known = Keys({(SERVICE, gen(1)): generation(1)}, {(SERVICE, gen(1)): DER})
    made = known.record(OWNER, TlsaParams(3, 1, match), SERVICE, gen(1))
    assert made is not None
    assert expected == made.data


@pytest.mark.parametrize("params", [TlsaParams(3, 0, 1), TlsaParams(2, 1, 1), TlsaParams(3, 1, 2)])
def test_what_cannot_be_told_is_null(params: TlsaParams) -> None:
    """A certificate that is not made yet, an issuer, and a key that is not at hand."""
    assert keys(1).record(OWNER, params, SERVICE, gen(1)) is None


def test_a_generation_that_is_gone_has_no_record() -> None:
    """Nothing is known of a generation that neither branch has."""
    assert keys(1).record(OWNER, PARAMS, SERVICE, gen(2)) is None


def test_only_dane_ee_with_a_public_key_is_supported() -> None:
    """Usage 3, selector 1."""
    supported = [(u, s) for u in range(4) for s in range(2) if is_supported(TlsaParams(u, s, 1))]
    assert [(3, 1)] == supported


def test_the_generations_of_both_branches_are_known() -> None:
    """What `main` lost and what only `next` has count alike."""
    assert (gen(1), gen(2)) == Keys.of(branches(slots(1, 2), 1, 2)).ids(SERVICE)
