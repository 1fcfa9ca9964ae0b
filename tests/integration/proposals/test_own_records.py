"""Which records of the DNS base are the engine's: told by who brought them there, never by what stands behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sslops.dane.zonefile import HEADER, LOST
from sslops.proposals.dns_repository import DnsRepository, OwnRecords
from sslops.repo.git import Git, NewCommit, Person, RefUpdate
from sslops.repo.signatures import Signers
from tests.integration.repo.test_signatures import make_key
from tests.unit.dane.builders import OWNER
from tests.unit.repo.yard import BOT
from tests.world.remotes import bare_repository

if TYPE_CHECKING:
    from pathlib import Path

PATH = "zones/tlsa.example.com"
OURS, THEIRS = f"{OWNER} 60 IN TLSA 3 1 1 {'aa' * 32}", f"{OWNER} 60 IN TLSA 3 1 1 {'bb' * 32}"
PUBLISH = "publish: TLSA of example.com\n\nSslops-Action: publish\n"
ENGINE, SOMEBODY = Person("sslops", BOT), Person("web", "web@example.com")

pytestmark = pytest.mark.key_in_clear


class Base:
    """The base branch of a DNS repository, to which people and the engine commit."""

    def __init__(self, folder: Path, signing: dict[str, str | None] | None = None) -> None:
        """Make it, with a zone file."""
        remote = bare_repository(folder / "dns.git")
        self.git = Git.clone_bare(str(remote), folder / "clone", signing=signing).acting_as(ENGINE)
        self.tip = self.git.acting_as(SOMEBODY).commit_all(None, [NewCommit("zones", {"zone": b""})])
        self._move(None)

    def commit(self, *lines: str, by: Person = ENGINE, message: str = PUBLISH, author: Person | None = None) -> str:
        """Let the include file have *lines*, by a commit of *by*."""
        before, text = self.tip, "".join(f"{line}\n" for line in (HEADER.rstrip(), *lines))
        change = NewCommit(message, {PATH: text.encode()}, author=author)
        self.tip = self.git.acting_as(by).commit_all(before, [change])
        self._move(before)
        return self.tip

    def merge(self, *lines: str, by: Person) -> None:
        """Let the engine propose *lines*, and *by* merge that with a merge commit."""
        before, text = self.tip, "".join(f"{line}\n" for line in lines)
        side = self.git.commit_all(before, [NewCommit(PUBLISH, {PATH: text.encode()})])
        merged = NewCommit("Merge branch 'sslops/tlsa'\n", parents=(before, side), tree=side)
        self.tip = self.git.acting_as(by).commit_all(before, [merged])
        self._move(before)

    def own(self, signers: Signers | None = None) -> set[str]:
        """Return the hashes of the records that are the engine's."""
        seen = DnsRepository(self.git.asking(signers), "main", ("zones",)).apex("example.com")
        return {record.data[:2] for record in seen.written_by_us}

    def maybe(self, signers: Signers | None = None) -> set[str]:
        """Return the hashes of the records that may be the engine's."""
        seen = DnsRepository(self.git.asking(signers), "main", ("zones",)).apex("example.com")
        return {record.data[:2] for record in seen.maybe_by_us}

    def _move(self, before: str | None) -> None:
        self.git.push([RefUpdate("main", self.tip, before)])


@pytest.fixture
def base(tmp_path: Path) -> Base:
    """Return one without signatures."""
    return Base(tmp_path)


def test_a_comment_makes_no_record_ours(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody writes behind his record what the engine writes behind a lost one: it would be withdrawn as ours."""
    base.commit(OURS)
    base.commit(OURS, f"{THEIRS} ; {LOST}", by=SOMEBODY, message="a record of mine\n")

    assert {"aa"} == base.own()
    monkeypatch.setattr(OwnRecords, "_ours", lambda _, commits: {one.sha for one in commits})
    assert {"aa", "bb"} == base.own()


def test_a_record_is_ours_whatever_stands_behind_it(base: Base) -> None:
    """Somebody takes our comments away, or writes the file in another order: the commit that brought it counts."""
    base.commit(f"{OURS} ; example.com/mail-ec 20261124T143000Z-9b1c next")
    base.commit(THEIRS, OURS, by=SOMEBODY, message="tidy up\n")

    assert {"aa"} == base.own()


def test_who_brought_it_last_counts(base: Base) -> None:
    """We withdrew it, and somebody put it back by hand."""
    base.commit(OURS)
    base.commit()
    base.commit(OURS, by=SOMEBODY, message="it was here before\n")

    assert set() == base.own()


def test_what_a_forge_makes_of_our_commit_is_ours(base: Base) -> None:
    """A merge has our commit beside it, a rebase our author or trailers, a squash at least the title of the request."""
    base.merge(OURS, by=SOMEBODY)
    assert {"aa"} == base.own()
    base.commit(OURS, THEIRS, by=SOMEBODY, author=ENGINE, message="rebased\n")
    assert {"aa", "bb"} == base.own()
    base.commit(by=SOMEBODY, message="emptied\n")
    base.commit(THEIRS, by=SOMEBODY)
    assert {"bb"} == base.own()
    base.commit(OURS, THEIRS, by=SOMEBODY, message="TLSA of example.com: add 1 (#12)\n")
    assert {"aa", "bb"} == base.own()


def test_what_a_commit_carries_along_from_a_wildcard_stays_somebody_elses(base: Base) -> None:
    """It came with the first record of ours, by our commit, and may be served by others; the commit says so."""
    base.commit(OURS, THEIRS, message=f"{PUBLISH}Sslops-Carried: {OWNER} 3 1 1 {'bb' * 32}\n")

    assert ({"aa"}, {"aa", "bb"}) == (base.own(), base.maybe())

    base.commit(OURS)
    base.commit(OURS, THEIRS)

    assert {"aa", "bb"} == base.own()


def test_a_folder_that_joins_makes_no_record_ours(base: Base) -> None:
    """The engine writes there what the first has, also what somebody wrote by hand."""
    base.commit(OURS)
    base.commit(OURS, THEIRS, by=SOMEBODY, message="a record of mine\n")
    before = base.tip
    text = f"{OURS}\n{THEIRS}\n".encode()
    base.tip = base.git.commit_all(before, [NewCommit(PUBLISH, {"more/tlsa.example.com": text})])
    base.git.push([RefUpdate("main", base.tip, before)])
    seen = DnsRepository(base.git, "main", ("zones", "more")).apex("example.com")

    assert {"aa"} == {record.data[:2] for record in seen.written_by_us}


def test_a_squashed_first_commit_does_not_tell_what_a_wildcard_gave(base: Base) -> None:
    """Its trailers are gone: nothing of it is taken for ours, and all of it may be."""
    base.commit(OURS, THEIRS, by=SOMEBODY, message="TLSA of example.com: add 2 (#11)\n")

    assert (set(), {"aa", "bb"}) == (base.own(), base.maybe())


def test_where_signatures_count_only_a_signed_commit_makes_a_record_ours(tmp_path: Path) -> None:
    """What merely has our address or trailers makes a step wait at the most."""
    key = make_key(tmp_path / "signing")
    signers = Signers(f"{BOT} {key.with_suffix('.pub').read_text()}".encode(), BOT)
    base = Base(tmp_path, {"gpg.format": "ssh", "user.signingkey": str(key), "commit.gpgsign": "true"})
    base.commit(OURS)
    base.git.process.write("config", "--local", "commit.gpgsign", "false")
    base.git = Git(base.git.path, "origin").acting_as(ENGINE)
    base.commit(OURS, THEIRS)

    assert ({"aa"}, {"aa", "bb"}) == (base.own(signers), base.maybe(signers))
    assert {"aa", "bb"} == base.own()
