"""The include file, there and back, and what must not be taken for a record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sslops.dane.zonefile import HEADER, render
from sslops.errors import StateError
from sslops.model.tlsa import Rrset, TlsaParams, TlsaRecord, owner_name
from sslops.proposals.include_file import parse
from tests.unit.dane.builders import OWNER, record, zone

DIGEST = "0123456789abcdef" * 4

if TYPE_CHECKING:
    from sslops.model.observations import Zone

labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
owners = st.builds(
    owner_name, st.integers(1, 65535), st.sampled_from(("tcp", "udp")), st.lists(labels, min_size=1).map(".".join)
)
params = st.builds(TlsaParams, st.integers(0, 3), st.integers(0, 1), st.integers(0, 2))
hashes = st.binary(min_size=1, max_size=64).map(bytes.hex)


@st.composite
def zones(draw: st.DrawFn) -> Zone:
    """Draw a zone of a few names with a few records each."""
    found: Zone = {}
    for owner in draw(st.lists(owners, max_size=4, unique=True)):
        records = st.builds(TlsaRecord, st.just(owner), params, hashes)
        found[owner] = Rrset(draw(st.integers(0, 2**31 - 1)), draw(st.frozensets(records, min_size=1, max_size=4)))
    return found


@settings(max_examples=40)
@given(zones(), st.text(max_size=40))
def test_a_zone_comes_back_as_it_was_written(written: Zone, comment: str) -> None:
    """Whatever is said behind a record changes nothing about it."""
    assert written == parse(render(written, lambda _: comment), "tlsa.example.com")


def test_lines_are_sorted_and_say_whose_they_are() -> None:
    """The same records give the same bytes, so that a diff shows what changed."""
    lines = render(zone(2, 1), lambda each: f"of {each.data[:4]}").splitlines()
    assert [HEADER.strip(), f"{OWNER} 100 IN TLSA 3 1 1 {record(1).data} ; of 0001"] == lines[:2]


@pytest.mark.parametrize(
    "line",
    [
        "_25._tcp.mail.example.com. 60 IN TLSA 3 1 1 000",
        "_25._tcp.mail.example.com. 60 IN TLSA 4 1 1 00",
        "_25._tcp.mail.example.com. 60 IN A 192.0.2.1",
        "_25._tcp.mail.example.com. IN TLSA 3 1 1 00",
        "_25._tcp.mail.example.com. ٦٠ IN TLSA 3 1 1 00",
        "_25._tcp.mail.example.com.\u00a060 IN TLSA 3 1 1 00",
        "_25._tcp.mail.example.com. 60 CH TLSA 3 1 1 00",
        "$INCLUDE /etc/passwd",
        "$GENERATE 1-9 mail$ 60 TLSA 3 1 1 00",
        "mail.example.com.\\032 60 IN TLSA 3 1 1 00",
    ],
)
def test_a_line_that_is_no_tlsa_record_is_refused(line: str) -> None:
    """The error says where."""
    with pytest.raises(StateError) as caught:
        parse(f"{HEADER}\n{line}\n", "tlsa.example.com")
    assert "tlsa.example.com:3:1" == str(caught.value.where)


@pytest.mark.parametrize(
    "text",
    [
        f"_25._tcp.mail 60 IN TLSA 3 1 1 {DIGEST}",
        f"_25._tcp.mail.example.com. 60 IN TLSA 3 1 1 {DIGEST[:8]} {DIGEST[8:]}",
        f"_25._tcp.mail.example.com. 1m IN TLSA (3 1 1 ; the key of 2026\n  {DIGEST[:32]}\n  {DIGEST[32:]} )",
        f"$TTL 60\n_25._tcp.mail TLSA 3 1 1 {DIGEST}",
        f"$ORIGIN mail.example.com.\n_25._tcp 60 IN TLSA 3 1 1 {DIGEST}",
        f"_25._TCP.mail IN 60 TYPE52 \\# 35 030101 {DIGEST}",
        f"_25._tcp.mail 60 TLSA 3 1 1 {DIGEST}\r\n",
    ],
)
def test_what_a_name_server_reads_is_read_the_same_way(text: str) -> None:
    """Relative names, data in words, parentheses, `$TTL`, `$ORIGIN`, unknown types (RFC 1035 section 5, RFC 3597)."""
    name = "_25._tcp.mail.example.com."
    expected = {name: Rrset(60, frozenset({TlsaRecord(name, TlsaParams(3, 1, 1), DIGEST)}))}

    assert expected == parse(f"{HEADER}{text}\n", "external/tlsa.example.com")


def test_the_place_of_a_fault_is_its_own_line_among_others() -> None:
    """The second record of a file with directives has no hex in it."""
    with pytest.raises(StateError) as caught:
        parse(f"$TTL 60\n_25._tcp.a TLSA 3 1 1 {DIGEST}\n\n  TLSA 3 1 1 xy\n", "dns/tlsa.example.com")

    assert "dns/tlsa.example.com:4:3" == str(caught.value.where)


@pytest.mark.parametrize("end", ["\u2028", "\x0b", "\x85", "\x1c"])
def test_a_comment_ends_where_a_name_server_ends_it(end: str) -> None:
    """What only Python takes for a line end does not make a record out of a comment."""
    assert {} == parse(f"; note{end}{OWNER} 60 IN TLSA 3 1 1 00\n", "tlsa.example.com")


def test_a_comment_cannot_become_a_record() -> None:
    """A line end in what is said about a record stays in its line."""
    text = render(zone(1), lambda _: f"x\n{OWNER} 60 IN TLSA 3 1 1 00")
    assert zone(1) == parse(text, "tlsa.example.com")


def test_of_several_ttls_the_largest_counts() -> None:
    """A set has one TTL (RFC 2181 section 5.2); the pessimistic one is the largest."""
    text = f"{OWNER} 60 IN TLSA 3 1 1 00\n{OWNER} 900 IN TLSA 3 1 1 01\n"
    assert 900 == parse(text, "tlsa.example.com")[OWNER].ttl_seconds
