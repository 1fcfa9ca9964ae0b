"""Merging, on all three forges: now or later, only at the commit we decided about, and never by luck."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sslops.errors import ForgeError, Moved
from sslops.model.proposal import Kind, Merging, RequestState
from tests.world.forge import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from sslops.model.proposal import MergeRequest
    from tests.integration.forges.bench import Bench


def listed(bench: Bench) -> MergeRequest:
    """Return the newest request as the client lists it."""
    return bench.client().requests(Kind.TLSA, "main")[0]


def test_with_nothing_to_wait_for_it_is_merged_at_once(bench: Bench) -> None:
    """By a merge commit, so that the bot's own commit, and its signature, are in the target."""
    client = bench.client()
    merging = client.merge(client.open(bench.proposal()), bench.head)

    assert (Merging.MERGED, RequestState.MERGED) == (merging, listed(bench).state)
    assert bench.project.repository.contains("main", bench.head)
    assert bench.head == bench.project.repository.head("sslops/tlsa")


def test_with_a_check_to_wait_for_it_is_scheduled(bench: Bench) -> None:
    """The forge merges by itself when the check is green; until then the list says that it will."""
    bench.project.protection().required_checks = ("sslops",)
    bench.project.pipeline(bench.head, Status.PENDING, "sslops")
    client = bench.client()
    merging = client.merge(client.open(bench.proposal()), bench.head)
    waiting = listed(bench)
    bench.project.pipeline(bench.head, Status.SUCCESS, "sslops")

    assert (Merging.SCHEDULED, RequestState.OPEN, True) == (merging, waiting.state, waiting.is_scheduled)
    assert RequestState.MERGED is listed(bench).state


def test_asking_again_is_harmless(bench: Bench) -> None:
    """A run that was killed after it asked asks once more."""
    bench.project.protection().required_checks = ("sslops",)
    bench.project.pipeline(bench.head, Status.PENDING, "sslops")
    client = bench.client()
    request = client.open(bench.proposal())
    client.merge(request, bench.head)

    assert Merging.SCHEDULED is client.merge(request, bench.head)
    bench.project.pipeline(bench.head, Status.SUCCESS, "sslops")
    assert Merging.MERGED is client.merge(request, bench.head)


def test_another_commit_is_not_merged(bench: Bench) -> None:
    """The branch was moved after we decided: plan again."""
    client = bench.client()
    request = client.open(bench.proposal())
    bench.commit("sslops/tlsa", "somebody else's records")
    with pytest.raises(Moved):
        client.merge(request, bench.head)

    assert RequestState.OPEN is listed(bench).state
    assert bench.base == bench.project.repository.head("main")


def test_a_closed_request_is_not_merged(bench: Bench) -> None:
    """Closed in between by a person: an error in words, no merge."""
    client = bench.client()
    request = client.open(bench.proposal())
    bench.project.close(request.number)
    with pytest.raises(ForgeError, match="it is closed"):
        client.merge(request, bench.head)

    assert bench.base == bench.project.repository.head("main")


def test_a_merge_that_nobody_answered_is_looked_at(bench: Bench) -> None:
    """A proxy lost the answer; the merge is not asked for a second time."""
    bench.project.pipeline(bench.head, Status.SUCCESS, "sslops")
    client = bench.client()
    request = client.open(bench.proposal())
    bench.forge.faults.drop(path="/merge", after=True)
    merging = client.merge(request, bench.head)
    asked = [call for call in bench.project.calls if call.path.endswith("/merge")]

    assert (Merging.MERGED, 1) == (merging, len(asked))


def test_gitlab_waits_for_the_pipeline_to_exist(start_bench: Callable[[str], Bench]) -> None:
    """Asked before, GitLab would merge at once, unchecked."""
    bench = start_bench("gitlab")
    bench.project.protection().required_checks = ("sslops",)
    client = bench.client()
    request = client.open(bench.proposal())
    looks = []

    def appears(seconds: float) -> None:
        looks.append(seconds)
        bench.project.pipeline(bench.head, Status.PENDING, "sslops")

    object.__setattr__(client.desk.patience, "sleep", appears)

    assert Merging.SCHEDULED is client.merge(request, bench.head)
    assert [2.0] == looks


def test_github_without_auto_merge_merges_or_says_how_to_allow_it(start_bench: Callable[[str], Bench]) -> None:
    """Switched off, with a required check missing: neither is possible, and the hint names the setting."""
    bench = start_bench("github")
    bench.project.allows_auto_merge = False
    bench.project.protection().required_checks = ("sslops",)
    bench.project.pipeline(bench.head, Status.PENDING, "sslops")
    client = bench.client()
    request = client.open(bench.proposal())
    with pytest.raises(ForgeError) as refused:
        client.merge(request, bench.head)

    assert "neither merged nor waits" in refused.value.what
    assert "allow auto-merge" in (refused.value.hint or "")
    bench.project.pipeline(bench.head, Status.SUCCESS, "sslops")
    assert Merging.MERGED is client.merge(request, bench.head)


def test_only_an_allowed_method_is_used(start_bench: Callable[[str], Bench]) -> None:
    """A repository that wants a linear history gets a rebase."""
    bench = start_bench("github")
    bench.project.merge_methods = {"rebase", "squash"}
    client = bench.client()

    assert Merging.MERGED is client.merge(client.open(bench.proposal()), bench.head)
    assert 1 == len(bench.project.repository.log("-1", "main")[0].parents)


def test_forgejo_takes_back_a_schedule_of_another_head(start_bench: Callable[[str], Bench]) -> None:
    """Forgejo does not tie a scheduled merge to a commit; we look again."""
    bench = start_bench("forgejo")
    bench.project.protection().required_checks = ("sslops",)
    client = bench.client()
    request = client.open(bench.proposal())
    api, merge = client.api, client.api._call  # type: ignore[attr-defined]

    def pushed_before(method: str, path: str, *rest: object, **options: object) -> object:
        if path.endswith("/merge") and method == "POST":
            bench.commit("sslops/tlsa", "somebody else's records")
        return merge(method, path, *rest, **options)

    object.__setattr__(api, "_call", pushed_before)
    with pytest.raises(Moved):
        client.merge(request, bench.head)

    assert bench.project.request(request.number).auto_merge is None
