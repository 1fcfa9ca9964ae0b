"""Merging, on all three forges: now or later, only at the commit we decided about, and never by luck."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sslops.errors import ForgeError, Moved
from sslops.model.proposal import Kind, Merging, RequestState
from tests.world.forge import Rights, Role, Status

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

    assert (Merging.MERGED, RequestState.MERGED) == (merging.merging, listed(bench).state)
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

    assert (Merging.SCHEDULED, RequestState.OPEN, True) == (merging.merging, waiting.state, waiting.is_scheduled)
    assert RequestState.MERGED is listed(bench).state


def test_asking_again_is_harmless(bench: Bench) -> None:
    """A run that was killed after it asked asks once more."""
    bench.project.protection().required_checks = ("sslops",)
    bench.project.pipeline(bench.head, Status.PENDING, "sslops")
    client = bench.client()
    request = client.open(bench.proposal())
    client.merge(request, bench.head)

    assert Merging.SCHEDULED is client.merge(request, bench.head).merging
    bench.project.pipeline(bench.head, Status.SUCCESS, "sslops")
    assert Merging.MERGED is client.merge(request, bench.head).merging


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
    bench.project.request(request.number).unsettled = 0
    bench.forge.faults.drop(path="/merge", after=True)
    merging = client.merge(request, bench.head)
    asked = [call for call in bench.project.calls if call.path.endswith("/merge")]

    assert (Merging.MERGED, 1) == (merging.merging, len(asked))


def test_gitlab_waits_for_the_pipeline_to_exist(start_bench: Callable[..., Bench]) -> None:
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

    assert Merging.SCHEDULED is client.merge(request, bench.head).merging
    assert [2.0] == looks


def test_github_without_auto_merge_merges_or_says_how_to_allow_it(start_bench: Callable[..., Bench]) -> None:
    """Switched off, with a required check missing: neither is possible, and the hint names the setting."""
    bench = start_bench("github")
    bench.project.allows_auto_merge = False
    bench.project.protection().required_checks = ("sslops",)
    bench.project.pipeline(bench.head, Status.PENDING, "sslops")
    client = bench.client()
    request = client.open(bench.proposal())
    answer = client.merge(request, bench.head)

    assert Merging.BLOCKED is answer.merging
    assert "check 'sslops' is not done yet, and the forge does not wait for it: Auto merge is not allowed" in answer.why
    assert "allow auto-merge" in answer.why
    bench.project.pipeline(bench.head, Status.SUCCESS, "sslops")
    assert Merging.MERGED is client.merge(request, bench.head).merging


def test_only_an_allowed_method_is_used(start_bench: Callable[..., Bench]) -> None:
    """A repository that wants a linear history gets a rebase."""
    bench = start_bench("github")
    bench.project.merge_methods = {"rebase", "squash"}
    client = bench.client()

    assert Merging.MERGED is client.merge(client.open(bench.proposal()), bench.head).merging
    assert 1 == len(bench.project.repository.log("-1", "main")[0].parents)


FAMILY = pytest.mark.parametrize("dialect", ["forgejo", "gitea"])


@FAMILY
@pytest.mark.parametrize("style", ["fast-forward-only", "rebase-merge", "rebase", "squash"])
def test_a_style_that_the_project_allows_is_asked_for(
    start_bench: Callable[..., Bench], dialect: str, style: str
) -> None:
    """With a check to wait for too: a schedule in a style that it forbids would come to nothing in silence."""
    bench = start_bench(dialect)
    bench.project.merge_methods = {style}
    bench.project.protection().required_checks = ("sslops",)
    bench.project.pipeline(bench.head, Status.PENDING, "sslops")
    client = bench.client()
    answer = client.merge(client.open(bench.proposal()), bench.head)
    bench.project.pipeline(bench.head, Status.SUCCESS, "sslops")

    assert (Merging.SCHEDULED, "check 'sslops' is not done yet") == (answer.merging, answer.why)
    assert bench.project.request(1).is_merged


@FAMILY
def test_what_was_green_before_it_was_asked_for_is_merged(start_bench: Callable[..., Bench], dialect: str) -> None:
    """A schedule alone would wait for something that comes later, for ever."""
    bench = start_bench(dialect)
    bench.project.protection().required_checks = ("sslops",)
    bench.project.pipeline(bench.head, Status.SUCCESS, "sslops")
    client = bench.client()

    assert Merging.MERGED is client.merge(client.open(bench.proposal()), bench.head).merging


@FAMILY
def test_a_schedule_that_came_to_nothing_is_found_out(start_bench: Callable[..., Bench], dialect: str) -> None:
    """Its time line still says scheduled; asked again, the forge says why it does not merge."""
    bench = start_bench(dialect)
    bench.project.protection().required_checks = ("sslops",)
    client = bench.client()
    request = client.open(bench.proposal())
    first = client.merge(request, bench.head)
    bench.project.merge_methods = set()
    bench.project.pipeline(bench.head, Status.SUCCESS, "sslops")
    again = bench.client().merge(request, bench.head)

    assert [Merging.SCHEDULED, Merging.BLOCKED] == [first.merging, again.merging]
    assert listed(bench).is_scheduled
    assert "its settings allow no way to merge; allow merge commits" == again.why


@FAMILY
def test_a_schedule_is_asked_for_again_while_the_forge_is_thinking(
    start_bench: Callable[..., Bench], dialect: str
) -> None:
    """Right after a push both calls may be told to try again later."""
    bench = start_bench(dialect)
    bench.project.protection().required_checks = ("sslops",)
    bench.project.pipeline(bench.head, Status.PENDING, "sslops")
    client = bench.client()
    request = client.open(bench.proposal())
    bench.project.request(1).unsettled = 0
    api, schedule = client.api, client.api.schedule

    def thinking(*asked: Any) -> None:
        object.__setattr__(api, "schedule", schedule)
        bench.project.request(1).unsettled = 3
        schedule(*asked)

    object.__setattr__(api, "schedule", thinking)

    assert Merging.SCHEDULED is client.merge(request, bench.head).merging
    assert bench.project.request(1).auto_merge is not None


def test_a_check_that_failed_blocks(bench: Bench) -> None:
    """The forge would wait for it for ever; a person has to do something."""
    bench.project.protection().required_checks = ("sslops",)
    bench.project.pipeline(bench.head, Status.FAILED, "sslops")
    client = bench.client()
    answer = client.merge(client.open(bench.proposal()), bench.head)

    assert Merging.BLOCKED is answer.merging
    assert "failed" in answer.why
    assert answer.why.endswith("mend what it says, and run it again")


def test_a_missing_approval_is_waited_for_and_named(bench: Bench) -> None:
    """In the words of the forge."""
    bench.project.protection().required_approvals = 1
    bench.project.pipeline(bench.head, Status.SUCCESS, "anything")
    client = bench.client()
    answer = client.merge(client.open(bench.proposal()), bench.head)
    bench.project.approve(1)

    assert Merging.SCHEDULED is answer.merging
    assert "approv" in answer.why
    assert bench.project.request(1).is_merged


def test_a_conflict_blocks_after_a_bounded_wait(bench: Bench) -> None:
    """Gitea and Forgejo say "try again later" to it, for ever."""
    bench.commit("other", "other")
    client = bench.client()
    request = client.open(bench.proposal())
    bench.project.edit({"sslops-tlsa": "mine"}, "By hand")
    answer = client.merge(request, bench.head)

    assert Merging.BLOCKED is answer.merging
    assert "conflict" in answer.why
    assert sum(bench.waits) <= 60


def test_a_schedule_is_taken_back_for_certain(bench: Bench) -> None:
    """The call returns when the forge no longer merges by itself; twice is once."""
    bench.project.protection().required_checks = ("sslops",)
    bench.project.pipeline(bench.head, Status.PENDING, "sslops")
    client = bench.client()
    request = client.open(bench.proposal())
    client.merge(request, bench.head)
    client.unschedule(request)
    client.unschedule(request)
    bench.project.pipeline(bench.head, Status.SUCCESS, "sslops")

    assert bench.project.request(1).is_open


def test_a_schedule_that_came_true_meanwhile_is_told(bench: Bench) -> None:
    """The plan was made for a base that is another one now."""
    client = bench.client()
    request = client.open(bench.proposal())
    bench.project.merge(1)
    with pytest.raises(Moved):
        client.unschedule(request)


@FAMILY
def test_a_schedule_that_may_not_be_taken_back_is_told(start_bench: Callable[..., Bench], dialect: str) -> None:
    """A person asked for it, and the bot is no administrator."""
    bench = start_bench(dialect)
    bench.project.protection().required_checks = ("sslops",)
    request = bench.client().open(bench.proposal())
    bench.client().merge(request, bench.head)
    with pytest.raises(ForgeError, match="may not take back the merge of request 1"):
        bench.client(Rights.ALL, Role.DEVELOPER).unschedule(request)


def test_forgejo_takes_back_a_schedule_of_another_head(start_bench: Callable[..., Bench]) -> None:
    """Forgejo does not tie a scheduled merge to a commit; we look again."""
    bench = start_bench("forgejo")
    bench.project.protection().required_checks = ("sslops",)
    client = bench.client()
    request = client.open(bench.proposal())
    api, merge = client.api, client.api._call  # type: ignore[attr-defined]

    def pushed_before(method: str, path: str, *rest: object, **options: object) -> object:
        if path.endswith("/merge") and rest[0]["merge_when_checks_succeed"]:  # type: ignore[index]
            bench.commit("sslops/tlsa", "somebody else's records")
        return merge(method, path, *rest, **options)

    object.__setattr__(api, "_call", pushed_before)
    with pytest.raises(Moved):
        client.merge(request, bench.head)

    assert bench.project.request(request.number).auto_merge is None
