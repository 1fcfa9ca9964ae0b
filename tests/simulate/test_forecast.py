"""The time ahead of a repository, played by the real rules, and what cannot work in it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sslops.model.forecast import Assumptions, Forecast
from sslops.model.inventory import CaType, CertificateAuthority, KeyLifecycle
from sslops.model.ledger import Ledger, NameEntry
from sslops.model.state import Branches, State
from sslops.report.forecast import as_json, as_text
from sslops.simulate.beginning import world_of
from sslops.simulate.forecast import BROKEN, forecast
from tests.dane import builders
from tests.dane.builders import START
from tests.dane.mutations import mutated
from tests.world.ops import PROJECT, OpsRepository

if TYPE_CHECKING:
    from pathlib import Path

TTL = timedelta(minutes=30)


def played(
    branches: Branches | None = None,
    ledger: Ledger | None = None,
    lifecycle: KeyLifecycle = KeyLifecycle.PREPUBLISH,
    ttl: timedelta = TTL,
    days: int = 180,
    **given: timedelta,
) -> Forecast:
    """Play a mail service with DANE and a web service without, both from an ACME server, for some *days*."""
    mail = builders.service(dane_ttl_seconds=int(ttl.total_seconds()), signing_ca="le", key_lifecycle=lifecycle)
    plain = builders.inventory(mail, builders.service("web", dane=(), signing_ca="le", sans=("www.example.com",)))
    inventory = replace(plain, cas={"le": CertificateAuthority("le", CaType.ACME)})
    begin = branches or Branches(State(), State())
    world = world_of(inventory, begin, ledger or Ledger(), START, {}, is_reviewed="merge_delay" in given)
    return forecast(world, Assumptions(START + timedelta(days=days), **given))


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


def test_json_names_every_step() -> None:
    """`events` has time, verb, subject and words."""
    document = json.loads(as_json(played()))
    assert {"from", "until", "events", "waits", "flags"} == document.keys()
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
