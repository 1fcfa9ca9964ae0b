"""The ledger as files: what comes back, and the form that outside tools rely on."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sslops.errors import StateError
from sslops.model.inventory import FileModes
from sslops.model.ledger import ApexEntry, Evidence, HostEntry, Ledger, Lowered, NameEntry, Pending, Served
from sslops.model.names import GenerationId, ServiceId
from sslops.model.tlsa import TlsaParams, TlsaRecord
from sslops.repo.ledger_files import read_ledger, write_ledger

LABELS = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
IDS = st.from_regex(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}", fullmatch=True).map(GenerationId)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0)
)
HEX = st.from_regex(r"[0-9a-f]{8}", fullmatch=True)
COUNTS = st.integers(0, 10**6)
RECORDS = st.builds(TlsaRecord, LABELS.map("_25._tcp.{}.example.com.".format), st.just(TlsaParams(3, 1, 1)), HEX)
SERVED = st.builds(
    Served,
    st.lists(st.none() | IDS, max_size=3).map(tuple),
    st.none() | MOMENTS,
    st.sampled_from([None, "port", "files"]),
    COUNTS,
    st.none() | MOMENTS,
    st.sampled_from([FileModes(), FileModes("root", "postfix", "0640"), FileModes(None, "ssl-cert")]),
)
HOSTS = st.builds(
    HostEntry,
    COUNTS,
    st.dictionaries(st.builds(ServiceId, LABELS, LABELS), SERVED, max_size=3),
    st.dictionaries(LABELS, HEX, max_size=2),
)
PARAMS = st.builds(TlsaParams, st.integers(0, 3), st.integers(0, 1), st.integers(0, 2))
NAMES = st.builds(
    NameEntry,
    COUNTS,
    HEX,
    st.none() | MOMENTS,
    st.none() | st.builds(Lowered, COUNTS, MOMENTS),
    st.dictionaries(PARAMS, st.none() | MOMENTS, max_size=2),
)
APEXES = st.builds(
    ApexEntry,
    st.none() | st.builds(Pending, LABELS, HEX, st.none() | HEX, st.frozensets(RECORDS, max_size=3)),
    st.dictionaries(LABELS.map("_25._tcp.{}.".format), NAMES, max_size=3),
    st.dictionaries(RECORDS, st.builds(Evidence, MOMENTS, HEX, COUNTS), max_size=3),
    st.none() | MOMENTS,
)
LEDGERS = st.builds(
    Ledger,
    st.dictionaries(LABELS, HOSTS, max_size=3),
    st.dictionaries(LABELS.map("{}.com".format), APEXES, max_size=2),
    st.dictionaries(LABELS.map("deploy example.com/mail-ec {} not-loaded".format), MOMENTS, max_size=2),
)


@given(LEDGERS)
def test_the_ledger_comes_back(ledger: Ledger) -> None:
    """Every fact survives."""
    assert ledger == read_ledger(write_ledger(ledger))


@given(LEDGERS)
def test_equal_ledgers_are_equal_files(ledger: Ledger) -> None:
    """The order in which entries were made does not show, so nothing new is no commit."""
    turned = Ledger(
        dict(reversed(list(ledger.hosts.items()))), dict(reversed(list(ledger.apexes.items()))), ledger.blocked
    )

    assert write_ledger(ledger) == write_ledger(turned)


def test_the_files_read_as_the_design_says() -> None:
    """One entry per line; keys that say nothing are left out."""
    service = ServiceId("example.com", "mail-ec")
    record = TlsaRecord.parse("_25._tcp.mail.example.com. 3 1 1 9b1c")
    at = datetime(2026, 11, 25, 2, 20, 11, tzinfo=UTC)
    ledger = Ledger(
        {
            "smtp1.example.com": HostEntry(
                41, {service: Served((GenerationId("20261124T143000Z-9b1c"), None), at, "port")}
            )
        },
        {
            "example.com": ApexEntry(
                Pending("run", "00aa", None, frozenset({record})),
                {record.owner: NameEntry(1800, "00aa")},
                {record: Evidence(at, "00aa", 1800)},
            )
        },
    )
    expected = {
        "hosts/smtp1.example.com.yaml": """\
seq: "41"
services:
  example.com/mail-ec: {may_serve: ["20261124T143000Z-9b1c", null], at: "2026-11-25T02:20:11Z", proof: "port", \
failures: "0", retry_at: null}
""",
        "tlsa/example.com.yaml": """\
pending: {run: "run", base: "00aa", head: null, records: ["_25._tcp.mail.example.com. 3 1 1 9b1c"]}
names:
  "_25._tcp.mail.example.com.": {ttl: "1800", empty_since: null, commit: "00aa"}
records:
  "_25._tcp.mail.example.com. 3 1 1 9b1c": {since: "2026-11-25T02:20:11Z", commit: "00aa", max_ttl: "1800"}
""",
    }

    assert expected == {path: content.decode() for path, content in write_ledger(ledger).items()}


@pytest.mark.parametrize(
    ("path", "text", "what"),
    [
        ("hosts/smtp1.yaml", 'seq: "1"\nservices: {}\nfoo: null\n', "foo"),
        ("hosts/smtp1.yaml", "services: {}\n", "seq"),
        ("hosts/smtp1.yaml", 'seq: "1"\nservices:\n  mail: {may_serve: []}\n', "group/service"),
        ("hosts/smtp1.yaml", 'seq: "1"\nservices:\n  a.b/mail: {may_serve: ["x"]}\n', "not a generation"),
        ("hosts/smtp1.yaml", 'seq: "1"\nservices:\n  a.b/mail: {may_serve: null}\n', "may_serve"),
        ("tlsa/example.com.yaml", 'pending: null\nnames: {}\nrecords: {"x": {}}\n', "TLSA"),
        ("tlsa/example.com.yaml", "pending: {run: x}\n", "base"),
    ],
)
def test_a_broken_ledger_is_an_error_with_its_file(path: str, text: str, what: str) -> None:
    """What may be served must never be guessed from a file that cannot be."""
    with pytest.raises(StateError, match=what) as caught:
        read_ledger({path: text.encode()})

    assert caught.value.where is not None
    assert path == caught.value.where.file


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a\nb"])
def test_a_host_that_cannot_name_a_file_is_refused(name: str) -> None:
    """Names come from people; none leads out of its folder."""
    with pytest.raises(StateError):
        write_ledger(Ledger({name: HostEntry()}))
