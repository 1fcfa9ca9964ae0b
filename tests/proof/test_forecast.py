"""The time ahead of a repository, played by the real rules, and what cannot work in it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sslops.model.inventory import CaType, CertificateAuthority, DaneOwners, DaneSpec, Hold, KeyLifecycle, TlsaIssuer
from sslops.model.ledger import Ledger, NameEntry
from sslops.model.outlook import Assumptions, Forecast
from sslops.model.state import Branches, State
from sslops.model.tlsa import TlsaParams
from sslops.report.forecast import as_json, as_text
from sslops.simulate.beginning import world_of
from sslops.simulate.forecast import BROKEN, forecast
from tests.proof.mutations import mutated
from tests.unit.dane import builders
from tests.unit.dane.builders import START
from tests.world.ops import PROJECT, OpsRepository

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TTL = timedelta(minutes=30)
LE = CertificateAuthority("le", CaType.ACME)
NOTHING: Mapping[str, object] = {}
ANY_2_1_1 = (DaneSpec(25, "tcp", TlsaParams(2, 1, 1), DaneOwners.MX),)


def played(
    branches: Branches | None = None,
    ledger: Ledger | None = None,
    lifecycle: KeyLifecycle = KeyLifecycle.PREPUBLISH,
    ttl: timedelta = TTL,
    days: int = 180,
    ca: CertificateAuthority = LE,
    mail: Mapping[str, object] = NOTHING,
    **given: timedelta,
) -> Forecast:
    """Play a mail service with DANE and a web service without, both from an ACME server, for some *days*."""
    asked: dict[str, Any] = {"dane_ttl_seconds": int(ttl.total_seconds()), "signing_ca": "le", **mail}
    services = (
        builders.service(key_lifecycle=lifecycle, **asked),
        builders.service("web", dane=(), signing_ca="le", sans=("www.example.com",)),
    )
    inventory = replace(builders.inventory(*services), cas={"le": ca})
    begin = branches or Branches(State(), State())
    world = world_of(inventory, begin, ledger or Ledger(), START, {}, is_reviewed="merge_delay" in given)
    return forecast(world, Assumptions(START + timedelta(days=days), **given))


def waited(found: Forecast, verb: str) -> list[str]:
    """Return why *verb* waited, or waits still."""
    return [wait.what for wait in found.waits if wait.verb == verb]


def moments(found: Forecast, verb: str, begin: str) -> list[datetime]:
    """Return when *verb* did something about the mail service or its name that begins with *begin*."""
    mail = ("example.com/mail-ec", "_25._tcp.example.com.")
    return [e.at for e in found.events if e.verb == verb and e.subject in mail and e.what.startswith(begin)]


def test_the_first_record_comes_after_every_host_serves_its_key() -> None:
    """While a name has no records, servers go first."""
    found = played()
    assert () == found.flags
    assert max(moments(found, "deploy", "smtp")[:2]) <= min(moments(found, "publish", "+"))


def test_a_key_is_live_only_when_its_record_is_old() -> None:
    """Each roll but the first comes at least twice the TTL after the record that it needs."""
    found = played()
    records, rolls = moments(found, "publish", "+"), moments(found, "roll", "")
    assert len(rolls) >= 3
    assert all(roll - record >= 2 * TTL for record, roll in zip(records[1:], rolls[1:], strict=False))


def test_short_lifetimes_work_by_themselves() -> None:
    """A certificate that lasts 160 hours is renewed and rolled in time, every few days."""
    found = played(lifetime=timedelta(hours=160), days=70)
    assert () == found.flags
    assert len(moments(found, "roll", "")) > 15


def test_people_who_merge_a_day_late_break_nothing() -> None:
    """Proposals and rolls lie open for a day each."""
    found = played(merge_delay=timedelta(days=1))
    assert () == found.flags
    assert len(moments(found, "roll", "")) >= 3


def test_merging_slower_than_certificates_last_is_flagged() -> None:
    """With 160 hours of life and ten days of review a server ends up with what has expired."""
    found = played(lifetime=timedelta(hours=160), merge_delay=timedelta(days=10), days=20)
    assert any("has expired" in flag.what for flag in found.flags)
    assert "cannot work" in as_text(found)


def test_what_a_person_merges_too_late_for_is_flagged_before_it_expires() -> None:
    """The roll that waits for its merge is a failure in the last tenth of the life of what is served."""
    found = played(lifetime=timedelta(hours=160), merge_delay=timedelta(days=10), days=20)
    late = [flag for flag in found.flags if flag.verb == "roll" and "waits for a person to merge it" in flag.what]
    assert late
    assert late[0].at < min(flag.at for flag in found.flags if "has expired" in flag.what)


def test_a_publish_that_waits_for_ever_is_flagged() -> None:
    """Usage 2 of a CA whose issuers nobody listed: no record can ever come, although everything is served."""
    mail = {"dane": ANY_2_1_1, "sans": ("example.com",)}
    found = played(mail=mail, days=10)
    (flag,) = [flag for flag in found.flags if flag.verb == "publish"]
    assert "_25._tcp" not in flag.subject
    assert "still waits on 2026-12-04: no 2 1 1 records yet: none of its tlsa_issuers" in flag.what
    assert "cannot work" in as_text(found)
    listed = replace(LE, tlsa_issuers=(TlsaIssuer(1, 1, "ab" * 32), TlsaIssuer(1, 1, "cd" * 32)))
    found = played(mail=mail, days=60, ca=listed)
    assert () == found.flags
    assert len(moments(found, "publish", "+ 2 1 1")) == 2
    assert len(moments(found, "roll", "")) >= 2


def test_a_hold_is_a_persons_wish_until_the_certificate_ends() -> None:
    """Nothing is flagged of what waits for it, before."""
    state = builders.branches(builders.slots(1), replace(builders.generation(1), ca="le"))
    held: dict[str, object] = {"hold": Hold(None, "moving")}
    found = played(state, mail=held, days=10)
    assert () == found.flags
    assert any("hold: moving" in why for why in waited(found, "renew"))
    end = START + timedelta(days=20)
    ending = builders.branches(builders.slots(1), replace(builders.generation(1, not_after=end), ca="le"))
    flags = played(ending, mail=held, days=30).flags
    assert ("renew", "on hold: moving") in {(flag.verb, flag.what) for flag in flags}


def test_a_wait_of_more_than_a_day_is_told_and_a_short_one_is_not() -> None:
    """With a TTL of a day a key made at renewal waits for two days, till the next job runs."""
    slow = played(None, None, KeyLifecycle.AT_RENEWAL, timedelta(days=1), days=60)
    assert [timedelta(days=2, hours=1)] == [wait.until - wait.at for wait in slow.waits if wait.until]
    assert "waited for more than 24 hours" in as_text(slow)
    assert () == played(None, None, KeyLifecycle.AT_RENEWAL, days=60).waits


def test_a_tenth_of_a_short_life_is_long() -> None:
    """With 160 hours of life 16 hours count, and the time that people take comes on top."""
    short = {"lifetime": timedelta(hours=160), "days": 1}
    assert timedelta(hours=16) == played(**short).patience  # type: ignore[arg-type]
    delay = timedelta(hours=3)
    assert timedelta(hours=19) == played(merge_delay=delay, **short).patience  # type: ignore[arg-type]
    assert timedelta(days=1) == played(days=1).patience


def lives(found: Forecast) -> list[datetime]:
    """Return when the web service got its certificates."""
    return [event.at for event in found.events if event.verb == "renew" and event.subject == "example.com/web"]


def test_lifetimes_that_lets_encrypt_announced_are_played() -> None:
    """Those of `classic` shrink: renewals come 60 days after each other before 2027-02-10, and 43 after that."""
    found = played(ca=replace(LE, preferred_profile="classic"), days=240)
    first, second, third, fourth, *_ = lives(found)
    assert [59, 59] == [(second - first).days, (third - second).days]
    assert 42 <= (fourth - third).days <= 43
    said = "certificates of 'le' last 90 days, from 2027-02-10 on 64 days (announced for 'classic')"
    assert (said,) == found.lifetimes
    assert said in as_text(found)


def test_profiles_and_other_servers_have_their_own_lifetimes() -> None:
    """`--lifetime` comes before all of them, and then nothing has to be said."""
    short = played(ca=replace(LE, preferred_profile="shortlived"), days=1)
    other = played(ca=replace(LE, directory="https://acme.example.org/directory"), days=1)
    assert "last 160 hours (announced for 'shortlived')" in short.lifetimes[0]
    assert "last 90 days (assumed; nothing announced is known)" in other.lifetimes[0]
    assert () == played(lifetime=timedelta(days=90), days=1).lifetimes


def test_a_step_that_would_break_the_promise_is_flagged() -> None:
    """The proof is not the rules' own word: without one of them the same play ends at that step."""
    with mutated("age does not count"):
        found = played(None, None, KeyLifecycle.AT_RENEWAL, timedelta(days=1))
    assert [BROKEN] == [flag.subject for flag in found.flags]


def test_it_goes_on_from_what_the_ledger_knows() -> None:
    """A site in the middle of its life: no first use again, and the record of what is served stays."""
    state = builders.branches(builders.slots(1), 1)
    entry = builders.aged(builders.record(1, "_25._tcp.example.com."), since=START - timedelta(days=1))
    entry = replace(entry, names={"_25._tcp.example.com.": NameEntry(builders.TTL, "c1")})
    known = builders.ledger({host: builders.settled(1) for host in ("smtp1", "smtp2")}, entry)
    found = played(state, known)
    assert () == found.flags
    assert min(moments(found, "roll", "")) <= min(moments(found, "publish", f"- 3 1 1 {builders.spki(1)[:16]}"))


def test_records_of_other_ports_than_25_are_believed() -> None:
    """Mail hosts are known by whatever port the inventory asks for there: a record goes only once another is there."""
    host, owner = "mx.example.com", "_465._tcp.mx.example.com."
    state = builders.branches(builders.slots(1), 1)
    entry = builders.aged(builders.record(1, owner), since=START - timedelta(days=1))
    entry = replace(entry, names={owner: NameEntry(builders.TTL, "c1")})
    known = builders.ledger({name: builders.settled(1) for name in ("smtp1", "smtp2")}, entry)
    mail = {"dane": (DaneSpec(465, "tcp", TlsaParams(3, 1, 1), DaneOwners.MX),), "sans": (host,)}
    found = played(state, known, mail=mail, days=10)

    changes = [(event.subject, event.what[0]) for event in found.events if event.verb == "publish"]
    assert () == found.flags
    assert [(owner, "+"), (owner, "-")] == changes[:2]


def test_json_names_every_step() -> None:
    """`events` has time, verb, subject and words."""
    document = json.loads(as_json(played()))
    assert {"from", "until", "lifetimes", "events", "waits", "flags"} == document.keys()
    assert {"at", "verb", "subject", "what"} == document["events"][0].keys()


def test_the_verb_plays_a_repository_and_changes_nothing(world_folder: Path) -> None:
    """The example inventory, for eight weeks, on the command line."""
    example = PROJECT / "inventory"
    files = {str(path.relative_to(PROJECT)): path.read_text() for path in example.rglob("*") if path.is_file()}
    repository = OpsRepository(world_folder, files, has_remote=False)
    before = repository.refs()
    until = datetime.now(tz=UTC) + timedelta(weeks=8)
    done = repository.sslops("simulate", "--until", f"{until:%Y-%m-%d}", "--json")
    assert json.loads(done.stdout)["events"], done.stderr
    assert before == repository.refs()


def test_a_date_that_is_over_is_a_mistake(world_folder: Path) -> None:
    """Exit 2 and a word about it."""
    repository = OpsRepository(world_folder, {}, has_remote=False)
    done = repository.sslops("simulate", "--until", "2001-01-01")
    assert done.exit_code == 2
    assert "must be ahead" in done.stderr
