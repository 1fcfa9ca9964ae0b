"""Requests by push options, with a token that may do nothing but push."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sslops.model.proposal import Kind, MergeRequest, Proposal, RequestState, mark
from sslops.model.secret import Secret
from sslops.proposals.forges.push_options import LONGEST_BYTES, request_options
from sslops.repo.git import Git, NewCommit, RefUpdate
from sslops.repo.git_process import GitCredential
from tests.integration.forges.bench import DIGEST, OTHER, Bench
from tests.world.forge import Rights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_a_push_opens_the_request_and_the_next_one_brings_it_up_to_date(
    start_bench: Callable[[str], Bench], tmp_path: Path
) -> None:
    """Title and body, line by line, and the digest in it."""
    bench = start_bench("gitlab")
    secret = bench.forge.token("pusher", Rights.PUSH)
    credential = GitCredential(bench.forge.url, "oauth2", Secret(secret.encode()))
    git = Git.clone_bare(bench.project.http_url, tmp_path / "clone").showing(credential)
    git.fetch()
    seen = bench.head
    for digest, title in ((DIGEST, "TLSA records"), (OTHER, "other records")):
        proposal = bench.proposal(digest, title)
        commit = git.commit_all(bench.base, [NewCommit(title, {"tlsa": title.encode()})])
        update = RefUpdate("sslops/tlsa", commit, seen, may_rewrite=True)
        git.push([update], options=request_options(proposal))
        seen = commit
        request = bench.project.requests()[0]
        assert (title, proposal.body) == (request.title, request.body)

    assert 1 == len(bench.project.requests())
    assert [] == bench.project.writes


def test_a_body_that_is_too_long_keeps_its_mark() -> None:
    """The digest at its end is what later runs look for."""
    rows = "ä row\n" * 20_000
    proposal = Proposal(Kind.TLSA, "main", "f00", DIGEST, "t", f"{rows}\n\n{mark(DIGEST)}\n")
    description = request_options(proposal)[-1].removeprefix("merge_request.description=")
    request = MergeRequest(1, "", RequestState.OPEN, "", "", None, "", description.replace("\\n", "\n"))

    assert len(description.encode()) <= LONGEST_BYTES
    assert DIGEST == request.digest
    assert "\n" not in description


def test_what_looks_like_a_line_feed_stays_text() -> None:
    """A backslash before an n in a value is no line feed."""
    proposal = Proposal(Kind.TLSA, "main", "f00", DIGEST, "a\nb", "C:\\new")
    options = request_options(replace(proposal, body="C:\\new\nnext"))

    assert ("merge_request.title=a b", "merge_request.description=C:&#92;new\\nnext") == options[2:]
