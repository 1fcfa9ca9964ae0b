"""What dns-01 writes into the DNS repository, and when it waits: with files in memory that can lose races."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from sslops.acme.dns01 import TRIES, Dns01
from sslops.errors import DnsError, Moved
from sslops.model.acme import ChallengeType, Proof
from sslops.model.observations import WildcardAnswer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sslops.model.plan import Hazard

APEXES = ("example.com", "example.net")


def proof(name: str, value: str) -> Proof:
    """Return a proof for *name*, told apart by the first letter of its value."""
    return Proof(ChallengeType.DNS_01, "example.com", name, f"token-of-16-and-{value}", value.ljust(43, "_"))


WWW, MAIL = proof("www.example.com", "a"), proof("mail.example.com", "b")


@dataclass
class Files:
    """The include files, and how many races are lost before a write counts."""

    contents: dict[str, bytes] = field(default_factory=lambda: dict.fromkeys(APEXES, b""))
    races: int = 0
    writes: int = 0

    def refresh(self) -> None:
        """Nothing to fetch."""

    def read(self, apexes: Iterable[str]) -> Mapping[str, bytes]:
        """Return them."""
        return {apex: self.contents.get(apex, b"") for apex in apexes}

    def write(self, files: Mapping[str, bytes], what: str) -> None:
        """Write, or lose a race."""
        if self.races:
            self.races -= 1
            raise Moved(what)
        self.writes += 1
        self.contents |= files


@dataclass
class Look:
    """Name servers that show all but one name; *aliases* maps an owner to its target, *ends* to what ends with it."""

    aliases: Mapping[str, str] = field(default_factory=dict)
    ends: Mapping[str, tuple[WildcardAnswer, ...] | DnsError] = field(default_factory=dict)
    hazards: tuple[Hazard, ...] = ()

    def zone_of(self, owner: str) -> str | None:
        """Return the apex."""
        return next((apex for apex in APEXES if owner.endswith(f".{apex}.")), None)

    def targets(self, owners: Iterable[str]) -> Mapping[str, str | DnsError]:
        """Follow aliases; what is in no zone is an error."""
        found = {owner: self.aliases.get(owner, owner) for owner in owners}
        return {owner: to if self.zone_of(to) else DnsError(f"'{owner}' is in no zone") for owner, to in found.items()}

    def ending(self, owners: Iterable[str]) -> Mapping[str, tuple[WildcardAnswer, ...] | DnsError]:
        """Tell what a wildcard gives around each."""
        return {owner: self.ends.get(owner, ()) for owner in owners}

    def missing(self, records: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
        """Nothing is missing but what is asked for at `lost.example.com`."""
        return {record: "not there" for record in records if record[0].endswith(".lost.example.com.")}


def solver(files: Files, shown: frozenset[Proof] = frozenset(), look: Look | None = None) -> Dns01:
    """Return a solver for both apexes."""
    return Dns01(files, look or Look(), APEXES, shown, lambda: None)


def test_all_proofs_are_one_write_and_taken_away_again() -> None:
    """Sorted, one record a line; an apex without challenges has an empty file."""
    files = Files()
    dns01 = solver(files)

    assert {} == dns01.publish(frozenset({WWW, MAIL}))
    assert 1 == files.writes
    assert files.contents["example.com"].decode().splitlines() == [
        f'_acme-challenge.mail.example.com. 60 IN TXT "{MAIL.value}"',
        f'_acme-challenge.www.example.com. 60 IN TXT "{WWW.value}"',
    ]

    dns01.clean(frozenset({WWW, MAIL}))

    assert dict.fromkeys(APEXES, b"") == files.contents


def test_a_name_and_its_wildcard_have_two_values_at_one_owner() -> None:
    """Both are shown at once."""
    files = Files()
    solver(files).publish(frozenset({WWW, proof("www.example.com", "c")}))

    assert 2 == files.contents["example.com"].count(b"_acme-challenge.www.example.com.")


def test_what_other_orders_need_stays() -> None:
    """Before, while and after this run shows its own."""
    files = Files()
    dns01 = solver(files, frozenset({MAIL}))
    dns01.publish(frozenset({WWW}))
    dns01.clean(frozenset({WWW}))

    line = f'_acme-challenge.mail.example.com. 60 IN TXT "{MAIL.value}"\n'

    assert line.encode() == files.contents["example.com"]


def test_what_is_there_already_is_not_written_again() -> None:
    """A run that resumes makes no commit."""
    files = Files()
    for _ in range(2):
        solver(files).publish(frozenset({WWW}))

    assert 1 == files.writes


def test_an_alias_leads_into_another_zone_and_a_foreign_one_is_told() -> None:
    """The record goes where the alias points; the proof that cannot be shown leaves the others alone."""
    files = Files()
    aliases = {
        "_acme-challenge.www.example.com.": "www.acme.example.net.",
        "_acme-challenge.mail.example.com.": "mail.example.org.",
    }
    impossible = solver(files, look=Look(aliases)).publish(frozenset({WWW, MAIL}))

    assert [MAIL] == list(impossible)
    assert f'www.acme.example.net. 60 IN TXT "{WWW.value}"\n'.encode() == files.contents["example.net"]


def wildcard(name: str, rdtype: str, *records: str) -> WildcardAnswer:
    """Return what `*.example.com` gives *name*."""
    return WildcardAnswer(name, rdtype, 300, records, "*.example.com.")


WWW_OWNER = "_acme-challenge.www.example.com."
CARRIED = (
    "*.www.example.com. 300 IN CNAME lb.example.org. ; instead of the wildcard *.example.com.\n"
    "www.example.com. 300 IN CNAME lb.example.org. ; instead of the wildcard *.example.com.\n"
)
ENDS = {
    WWW_OWNER: (
        wildcard("www.example.com.", "CNAME", "lb.example.org."),
        wildcard("*.www.example.com.", "CNAME", "lb.example.org."),
    )
}


def test_what_a_wildcard_gave_the_names_above_stands_beside_the_challenge() -> None:
    """As long as that is there, also when a later run finds `www` as its own; with it all goes in one commit."""
    files = Files()
    solver(files, look=Look(ends=ENDS)).publish(frozenset({WWW}))
    later = solver(files, frozenset({WWW}))
    later.publish(frozenset({MAIL}))
    text = files.contents["example.com"].decode()

    assert all(line in text for line in CARRIED.splitlines(keepends=True))

    later.clean(frozenset({MAIL}))

    assert f'{CARRIED.splitlines()[0]}\n{WWW_OWNER} 60 IN TXT "{WWW.value}"\n{CARRIED.splitlines()[1]}\n' == (
        files.contents["example.com"].decode()
    )

    later.clean(frozenset({WWW}))

    assert b"" == files.contents["example.com"]


@pytest.mark.parametrize("data", ["a\nb", "x ; y", "(", '"a" b"', "$INCLUDE /etc/passwd", '"a\\"'])
def test_what_could_leave_its_line_is_not_carried_along(data: str) -> None:
    """Whatever a name server says; nothing is written then."""
    files = Files()
    look = Look(ends={WWW_OWNER: (wildcard("www.example.com.", "TXT", data),)})
    with pytest.raises(DnsError, match="cannot be written"):
        solver(files, look=look).publish(frozenset({WWW}))

    assert 0 == files.writes


@pytest.mark.parametrize(
    "data", ['"v=spf1 -all"', '"say \\"a;b\\" (x) \\\\ \\010" "two"', "1 . alpn=h2,h3 ipv4hint=192.0.2.1"]
)
def test_text_and_parameters_are_carried_along_as_they_are(data: str) -> None:
    """Quoted strings with escapes, lists of parameters."""
    files = Files()
    look = Look(ends={WWW_OWNER: (wildcard("www.example.com.", "TXT", data),)})
    solver(files, look=look).publish(frozenset({WWW}))

    assert f"www.example.com. 300 IN TXT {data} ; instead" in files.contents["example.com"].decode()


def test_where_nobody_tells_what_would_end_that_challenge_alone_is_not_shown() -> None:
    """The name servers differ, say; the others are shown."""
    files = Files()
    look = Look(ends={WWW_OWNER: DnsError("the name servers do not show the same")})
    impossible = solver(files, look=look).publish(frozenset({WWW, MAIL}))

    assert {WWW: "the name servers do not show the same"} == impossible
    assert WWW.value.encode() not in files.contents["example.com"]
    assert MAIL.value.encode() in files.contents["example.com"]


def test_a_lost_race_is_run_again_a_few_times() -> None:
    """Then it is an error, and the next run tries."""
    files = Files(races=TRIES - 1)
    solver(files).publish(frozenset({WWW}))

    assert 1 == files.writes

    with pytest.raises(DnsError, match="moved each time"):
        solver(Files(races=TRIES)).publish(frozenset({WWW}))


def test_what_some_server_does_not_show_is_missing() -> None:
    """With the reason, and nothing else."""
    lost = proof("lost.example.com", "d")
    dns01 = solver(Files())
    dns01.publish(frozenset({WWW, lost}))

    assert {lost: "not there"} == dns01.missing(frozenset({WWW, lost}))


@pytest.mark.parametrize(
    "target", ['x" 60 IN TXT "y.example.net.', "a;b.example.net.", "a\\010b.example.net.", "$x.example.net."]
)
def test_an_alias_cannot_lead_out_of_its_line(target: str) -> None:
    """Whatever a name server says, a zone gets one TXT record of a host name or nothing."""
    files = Files()
    aliases = {"_acme-challenge.www.example.com.": target}

    with pytest.raises(DnsError, match="cannot be written to a zone"):
        solver(files, look=Look(aliases)).publish(frozenset({WWW}))

    assert dict.fromkeys(APEXES, b"") == files.contents
