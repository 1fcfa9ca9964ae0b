"""What wildcards, empty non-terminals and zone cuts make of a name, told by a real server: NSEC, NSEC3, unsigned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sslops.acme.dns01 import _carried_line
from sslops.dane.wildcards import lines
from sslops.model.inventory import Endpoint
from sslops.model.tlsa import EMPTY, Rrset, TlsaRecord
from sslops.probe.name_servers import Resolver
from tests.world.knot import Knot
from tests.world.loopback import DNS_PORT, fresh_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sslops.model.observations import Surroundings

OWNER = "_25._tcp.mail.example.com."
OLD = f"3 1 1 {'aa' * 32}"
TTL_SECONDS, NEGATIVE_TTL_SECONDS = 20, 40
KINDS = ("nsec", "nsec3", "unsigned")

CONFIG = """\
server:
    rundir: {folder}
    listen: {address}@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {folder}/db
control:
    listen: {folder}/knot.sock
policy:
  - id: signed
    algorithm: ecdsap256sha256
    single-type-signing: on
    nsec3: {nsec3}
template:
  - id: default
    storage: {folder}
    file: "%s.zone"
    zonefile-load: difference-no-serial
    zonefile-sync: -1
    journal-content: all
    dnssec-policy: signed
    dnssec-signing: {signing}
zone:
  - domain: example.com
  - domain: sub.example.com
"""


class Server:
    """One name server of example.com, and of sub.example.com beside it."""

    def __init__(self, folder: Path, kind: str) -> None:
        """Start it: *kind* is one of KINDS."""
        self.folder, self.kind = folder, kind
        self.endpoint = Endpoint(fresh_address(), DNS_PORT)
        folder.mkdir()
        self._write("")
        signing, nsec3 = ("off" if kind == "unsigned" else "on"), ("on" if kind == "nsec3" else "off")
        config = CONFIG.format(
            folder=folder, address=self.endpoint.address, port=DNS_PORT, nsec3=nsec3, signing=signing
        )
        self.knot = Knot(folder, config)
        self.servers = {"ns1": (self.endpoint,)}

    def zone(self, *records: str) -> None:
        """Serve *records* beside SOA, NS and the address of the name server."""
        self._write("\n".join(records))
        self.knot.control("-b", "zone-reload", "example.com")

    def tlsa(self, owner: str = OWNER) -> Rrset:
        """Return what the survey sees at *owner*."""
        (seen,) = Resolver().tlsa(self.servers, [owner])

        assert seen.error is None

        return seen.answers[owner]

    def around(self, owner: str = OWNER) -> Surroundings:
        """Return what the existence of *owner* decides."""
        return Resolver().surroundings(self.servers, "example.com", [owner])[owner]

    def wildcard(self, name: str) -> str:
        """Return how a wildcard is named: only signatures tell which it is."""
        return "*" if self.kind == "unsigned" else name

    def _write(self, records: str) -> None:
        for apex, text in {"example.com": records, "sub.example.com": ""}.items():
            (self.folder / f"{apex}.zone").write_text(
                f"$ORIGIN {apex}.\n$TTL {TTL_SECONDS}\n@ 60 SOA ns1 h 1 2 1 86400 {NEGATIVE_TTL_SECONDS}\n@ NS ns1\n"
                f"ns1 A 192.0.2.1\n{text}\n"
            )


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a name server of each kind."""
    started = Server(tmp_path_factory.mktemp("surroundings") / "knot", request.param)
    yield started
    started.knot.stop()


def records(*texts: str) -> frozenset[TlsaRecord]:
    """Read records of OWNER."""
    return frozenset(TlsaRecord.parse(f"{OWNER} {text}") for text in texts)


@pytest.mark.parametrize("wildcard", ["*._tcp.mail", "*.mail", "*"])
def test_records_made_of_a_wildcard_are_known_as_such(server: Server, wildcard: str) -> None:
    """Their TTL is the longer of the records' and, where a resolver may make them by itself, that of the denial."""
    server.zone("other.mail A 192.0.2.7" if wildcard != "*" else "other A 192.0.2.7", f"{wildcard} TLSA {OLD}")
    longest = TTL_SECONDS if server.kind == "unsigned" else NEGATIVE_TTL_SECONDS

    assert Rrset(longest, records(OLD), server.wildcard(f"{wildcard}.example.com.")) == server.tlsa()


def test_records_of_its_own_are_no_wildcards(server: Server) -> None:
    """Also where a wildcard stands beside them, with the same data."""
    server.zone(f"*._tcp.mail TLSA {OLD}", f"_25._tcp.mail TLSA {OLD}")

    assert Rrset(TTL_SECONDS, records(OLD)) == server.tlsa()


def test_an_alias_made_of_a_wildcard_leads_to_records_that_end_with_it(server: Server) -> None:
    """`*._tcp.mail CNAME` to one RRset for all ports; an alias of the owner's own stays an error."""
    server.zone("*._tcp.mail CNAME dane", f"dane TLSA {OLD}")

    assert (records(OLD), server.wildcard("*._tcp.mail.example.com.")) == (
        server.tlsa().records,
        server.tlsa().wildcard,
    )

    server.zone("_25._tcp.mail CNAME dane", f"dane TLSA {OLD}")
    (seen,) = Resolver().tlsa(server.servers, [OWNER])

    assert "is an alias" in seen.aliases[OWNER]


def test_an_alias_to_a_name_without_records_is_nothing(server: Server) -> None:
    """`* CNAME www` says nothing about DANE."""
    server.zone("* CNAME www", "www A 192.0.2.7")

    assert EMPTY == server.tlsa()


def test_nothing_ends_where_the_names_above_exist(server: Server) -> None:
    """The wildcard of the apex does not reach below `mail`, which has an address."""
    server.zone("* A 192.0.2.9", "* MX 10 mail", "* TXT all", "mail A 192.0.2.7", f"*._tcp.mail TLSA {OLD}")

    assert () == server.around().ending
    assert () == server.around("_25._tcp.example.com.").ending

    # An empty non-terminal shields its names from the wildcard as well (RFC 4592 section 2.2.2).
    server.zone("* A 192.0.2.9", f"* TLSA {OLD}", "below.mail A 192.0.2.7")

    assert () == tuple(each for each in server.around().ending if each.name == "mail.example.com.")
    assert EMPTY == server.tlsa()


def test_a_host_that_only_a_wildcard_answers_for_is_told(server: Server) -> None:
    """A record at `_25._tcp.mail` takes its addresses and MX from `mail`; what would replace them is told."""
    server.zone("* A 192.0.2.9", "* MX 10 mx", "mx A 192.0.2.7")
    found = lines(server.around().ending)

    assert (
        "*.mail.example.com. 20 IN A 192.0.2.9",
        "*.mail.example.com. 20 IN MX 10 mx.example.com.",
        "mail.example.com. 20 IN A 192.0.2.9",
        "mail.example.com. 20 IN MX 10 mx.example.com.",
    ) == found


def test_an_alias_that_only_a_wildcard_gives_is_told(server: Server) -> None:
    """The challenge below `www` would end `www` itself."""
    server.zone("* CNAME lb.example.org.")
    found = lines(server.around("_acme-challenge.www.example.com.").ending)

    assert (
        "*.www.example.com. 20 IN CNAME lb.example.org.",
        "www.example.com. 20 IN CNAME lb.example.org.",
    ) == found
    assert () == server.around("_acme-challenge.example.com.").ending


@pytest.mark.parametrize("wildcard", ["*.mail", "*"])
def test_records_of_other_ports_that_a_wildcard_gives_are_told(server: Server, wildcard: str) -> None:
    """With `_25._tcp.mail` the name `_tcp.mail` exists, and `*.mail` does not reach `_587._tcp.mail` any more."""
    server.zone("mail A 192.0.2.7" if wildcard == "*.mail" else "other A 192.0.2.7", f"{wildcard} TLSA {OLD}")

    assert f"*._tcp.mail.example.com. 20 IN TLSA {OLD}" in lines(server.around().ending)


def test_a_wildcard_of_the_name_itself_stays(server: Server) -> None:
    """`*._tcp.mail` goes on answering for other ports."""
    server.zone(f"*._tcp.mail TLSA {OLD}", "mail A 192.0.2.7")

    assert () == server.around().ending


def test_what_a_wildcard_gives_once_the_records_are_gone_is_told(server: Server) -> None:
    """An emptied name is not empty below a wildcard; one that another name shields is not told."""
    server.zone(f"*._tcp.mail TLSA {OLD}", f"_25._tcp.mail TLSA 3 1 1 {'bb' * 32}")

    assert (f"{OWNER} 20 IN TLSA {OLD}",) == lines(server.around().beginning)

    server.zone(f"* TLSA {OLD}", "mail A 192.0.2.7", f"_25._tcp.mail TLSA 3 1 1 {'bb' * 32}")

    assert () == server.around().beginning


@pytest.mark.parametrize(
    ("owner", "records", "words"),
    [
        ("_25._tcp.mx.sub.example.com.", "sub NS ns1", "zone cut: 'sub.example.com.'"),
        ("_25._tcp.mx.cut.example.com.", "cut NS ns.example.org.", "zone cut: 'cut.example.com.'"),
        (OWNER, "mail DNAME mail.example.org.", "below the DNAME of 'mail.example.com.'"),
    ],
)
def test_a_name_that_another_zone_answers_for_is_told(server: Server, owner: str, records: str, words: str) -> None:
    """A delegation, to this server too, and a DNAME hide whatever is written below them."""
    server.zone(records)

    assert words in (server.around(owner).cut or "")


RECORDS = {
    "SSHFP": f"4 2 {'ab' * 32}",
    "HTTPS": '1 . alpn="h2,h3"',
    "SVCB": '1 dns.example.net. alpn="dot" port="853"',
    "CAA": '0 issue "letsencrypt.org"',
    "NAPTR": '100 10 "U" "E2U+sip" "!^.*$!sip:info@example.com!" .',
    "URI": '10 1 "https://example.net/"',
}
BELOW_SERVICES = {"HTTPS", "SVCB", "URI"}


def test_what_else_a_wildcard_gives_a_host_ends_with_the_first_record_below_it(server: Server) -> None:
    """Fingerprints, service bindings and the CAA record that keeps other CAs out, each as it can be written again."""
    server.zone(*(f"* {rdtype} {data}" for rdtype, data in RECORDS.items()))
    ending = server.around().ending

    assert {(rdtype, name) for rdtype in RECORDS for name in ("mail.example.com.", "*.mail.example.com.")} | {
        (rdtype, "*._tcp.mail.example.com.") for rdtype in BELOW_SERVICES
    } == {(answer.rdtype, answer.name) for answer in ending}
    assert all(_carried_line(line, answer).startswith(line) for answer in ending for line in answer.lines())
