"""Where the jobs of a new repository get sslops from."""

from __future__ import annotations

import json

import pytest

from sslops.init.origin import requirement

COMMIT, DIGEST = "0123456789" * 4, "ab" * 32


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (None, "sslops[all]==1.2.0"),
        (
            {"url": "https://bot:secret@git.example.com/sslops", "vcs_info": {"vcs": "git", "commit_id": COMMIT}},
            f"sslops[all] @ git+https://git.example.com/sslops@{COMMIT}",
        ),
        (
            {"url": "https://example.com/sslops-1.2.0.whl", "archive_info": {"hashes": {"sha256": DIGEST}}},
            f"sslops[all] @ https://example.com/sslops-1.2.0.whl#sha256={DIGEST}",
        ),
        ({"url": "https://example.com/sslops-1.2.0.whl", "archive_info": {}}, None),
        ({"url": "http://example.com/sslops-1.2.0.whl", "archive_info": {"hashes": {"sha256": DIGEST}}}, None),
        ({"url": "file:///home/me/sslops", "dir_info": {"editable": True}}, None),
        ({"url": "https://git.example.com/sslops", "vcs_info": {"vcs": "git", "commit_id": "main\nx"}}, None),
        (["no table"], None),
    ],
    ids=["an index", "a commit", "a wheel", "no hash", "http", "a folder", "a branch", "nonsense"],
)
def test_the_jobs_get_what_init_was_installed_from_or_nothing(said: object, line: str | None) -> None:
    """The commit or the hash that pip wrote down, without credentials; a name only where an index had it."""
    assert line == requirement(None if said is None else json.dumps(said), "1.2.0")
