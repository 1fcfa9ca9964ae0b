"""When CAs want to be asked again, as refs keep it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sslops.model.names import GenerationId, ServiceId
from sslops.repo.engine_refs import StoredAppointments
from sslops.repo.git import Git
from tests.world.remotes import git

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MAIL, WEB = ServiceId("example.com", "mail"), ServiceId("example.com", "web")
GENERATION = GenerationId("20261124T143000Z-9b1c")


def opened(folder: Path) -> StoredAppointments:
    """Return what the repository at *folder* keeps."""
    return StoredAppointments(Git.discover(folder), print)


def test_times_of_a_group_are_kept_together_until_they_are_over(tmp_path: Path) -> None:
    """One that is made leaves those of other services; one that is past goes."""
    git(tmp_path, "init", "--quiet")
    for service, hours in ((MAIL, 1), (WEB, 6)):
        made = opened(tmp_path)
        made.make(service, GENERATION, NOW + timedelta(hours=hours))
        made.store(NOW)
    kept = opened(tmp_path)

    assert [NOW + timedelta(hours=1), NOW + timedelta(hours=6)] == [kept.at(each, GENERATION) for each in (MAIL, WEB)]

    kept.make(WEB, GENERATION, NOW + timedelta(hours=12))
    kept.store(NOW + timedelta(hours=2))
    kept = opened(tmp_path)

    assert [None, NOW + timedelta(hours=12)] == [kept.at(each, GENERATION) for each in (MAIL, WEB)]


def test_a_line_that_is_none_of_ours_says_nothing(tmp_path: Path) -> None:
    """Whoever may push can write there; the worst is a CA that is asked early."""
    git(tmp_path, "init", "--quiet")
    lines = ("web", f"web {GENERATION} yesterday", f"web {GENERATION} 2026-13-45T99:00:00Z", "a b c d", "\x1b[2J")
    tree = git(tmp_path, "hash-object", "-w", "-t", "tree", "/dev/null")
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    commit = git(tmp_path, *identity, "commit-tree", tree, "-m", "windows(example.com)", "-m", "\n".join(lines))
    git(tmp_path, "update-ref", "refs/sslops/windows/example.com", commit)
    git(tmp_path, "update-ref", "refs/sslops/windows/example.net", commit)

    assert opened(tmp_path).at(WEB, GENERATION) is None
