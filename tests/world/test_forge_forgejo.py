"""The local forge as Forgejo, driven by pyforgejo, which is generated from Forgejo's own description of its API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests
from pyforgejo import PyforgejoApi
from pyforgejo.core.api_error import ApiError

from tests.world.forge import Forge, Rights, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyforgejo import PullRequest

HERE = ("infra", "dns")
ONCE: dict[str, Any] = {"request_options": {"max_retries": 0}}
"""The client would try again after a conflict."""


@pytest.fixture
def forge(start_forge: Callable[..., Forge]) -> Forge:
    """Return a forge that speaks Forgejo, and has made up its mind about each request."""
    return start_forge("forgejo", unsettled_merges=0)


@pytest.fixture
def connect(forge: Forge) -> Iterator[Callable[..., PyforgejoApi]]:
    """Yield a function that returns a client with a token, or with a new one of `bot`'s."""
    made: list[PyforgejoApi] = []

    def start(secret: str | None = None) -> PyforgejoApi:
        token = forge.token("bot") if secret is None else secret
        made.append(PyforgejoApi(base_url=forge.api_url, api_key=token))
        return made[-1]

    yield start
    for one in made:
        one._client_wrapper.httpx_client.httpx_client.close()


@pytest.fixture
def api(connect: Callable[..., PyforgejoApi]) -> PyforgejoApi:
    """Return a client with all rights."""
    return connect()


def opened(api: PyforgejoApi, **more: Any) -> PullRequest:
    """Open a pull request."""
    wish = {"base": "main", "head": "sslops/tlsa", "title": "Records", "body": "What changes"} | more
    made: PullRequest = api.repository.repo_create_pull_request(*HERE, **wish, **ONCE)
    return made


def refusal(ask: Callable[[], object]) -> tuple[int | None, str]:
    """Return status and message that a call is refused with."""
    with pytest.raises(ApiError) as caught:
        ask()
    body = caught.value.body
    return caught.value.status_code, str(body["message"] if isinstance(body, dict) else body)


def test_a_request_is_opened_changed_discussed_and_closed(forge: Forge, api: PyforgejoApi) -> None:
    """What the client wrote is what it reads again, and what the project shows to people."""
    number = opened(api).number or 0
    api.repository.repo_edit_pull_request(*HERE, number, body="More")
    comment = api.issue.create_comment(*HERE, number, body="first")
    api.issue.edit_comment(*HERE, comment.id or 0, body="second")
    api.repository.repo_edit_pull_request(*HERE, number, state="closed")
    (found,) = api.repository.repo_list_pull_requests(*HERE, state="closed")

    assert ("More", "closed", False) == (found.body, found.state, found.merged)
    assert ["second"] == [one.body for one in api.issue.get_comments(*HERE, number)]
    assert [] == api.repository.repo_list_pull_requests(*HERE, state="open")
    assert ["More"] == [one.body for one in forge.project("infra/dns").requests()]


def test_the_look_up_by_branches_finds_the_oldest_in_any_state(forge: Forge, api: PyforgejoApi) -> None:
    """The trap of Forgejo: a closed request hides the open one."""
    opened(api)
    forge.project("infra/dns").close(1)
    opened(api)
    found = api.repository.repo_get_pull_request_by_base_head(*HERE, "main", "sslops/tlsa")

    assert (1, "closed") == (found.number, found.state)
    assert 404 == refusal(lambda: api.repository.repo_get_pull_request_by_base_head(*HERE, "main", "nowhere"))[0]


def test_long_lists_come_in_pages(forge: Forge, api: PyforgejoApi) -> None:
    """At most fifty at once; requests and issues are listed apart or together."""
    shown = forge.project("infra/dns")
    for number in range(1, 57):
        shown.open_issue(forge.user("bot"), f"issue {number}", "")
    opened(api)
    pages = [api.issue.list_issues(*HERE, page=page, limit=100) for page in (1, 2, 3)]

    assert [50, 7, 0] == [len(page) for page in pages]
    assert [57] == [issue.number for issue in api.issue.list_issues(*HERE, type="pulls")]


def test_a_merge_at_another_head_is_refused(forge: Forge, api: PyforgejoApi) -> None:
    """409, and nothing merged."""
    opened(api)
    shown = forge.project("infra/dns")
    refused = refusal(
        lambda: api.repository.repo_merge_pull_request(*HERE, 1, do="merge", head_commit_id="0" * 40, **ONCE)
    )

    assert (409, "head out of date") == refused
    assert shown.request(1).is_open
    head = shown.repository.head("sslops/tlsa")
    api.repository.repo_merge_pull_request(*HERE, 1, do="merge", head_commit_id=head)
    assert shown.request(1).is_merged


@pytest.mark.parametrize("method", ["merge", "squash", "rebase", "rebase-merge", "fast-forward-only"])
def test_the_merge_button_makes_the_commits_of_forgejo(forge: Forge, api: PyforgejoApi, method: str) -> None:
    """All committed by the one who merged, but for what is moved as it is."""
    shown = forge.project("infra/dns")
    before, head = shown.repository.head("main"), shown.repository.head("sslops/tlsa")
    opened(api)
    made = shown.merge(1, method, by="reviewer")
    commit = shown.repository.log("-1", "main")[0]

    assert (made == head) == (method == "fast-forward-only")
    assert (2 if method in {"merge", "rebase-merge"} else 1) == len(commit.parents)
    assert before == commit.parents[0]
    assert ("bot" if method == "fast-forward-only" else "reviewer") == commit.committer.name


def test_auto_merge_waits_for_checks_and_approvals(forge: Forge, api: PyforgejoApi) -> None:
    """201 once, 409 when it waits already; the last thing that was missing merges."""
    shown = forge.project("infra/dns")
    shown.protection().required_checks, shown.protection().required_approvals = ("check",), 1
    head = opened(api).head
    wish: dict[str, Any] = {"do": "merge", "merge_when_checks_succeed": True, **ONCE}
    api.repository.repo_merge_pull_request(*HERE, 1, **wish)
    again = refusal(lambda: api.repository.repo_merge_pull_request(*HERE, 1, **wish))
    shown.approve(1)
    was_open = shown.request(1).is_open
    shown.pipeline(str(head and head.sha), "success", "check")

    happened = [one.type for one in api.issue.get_comments_and_timeline(*HERE, 1)]

    assert ["pull_scheduled_merge", "merge_pull"] == happened
    assert 409 == again[0]
    assert "already scheduled to auto merge" in again[1]
    assert (True, True) == (was_open, shown.request(1).is_merged)


@pytest.mark.parametrize(
    ("dialect", "version", "before", "after"),
    [("forgejo", None, False, True), ("forgejo", "7.0.8", True, True), ("gitea", None, True, True)],
)
def test_a_schedule_of_what_lacks_nothing(
    start_forge: Callable[..., Forge], dialect: str, version: str | None, before: bool, after: bool
) -> None:
    """Forgejo since 7.0.9 waits for something that comes later; before it, and on Gitea, it is merged soon."""
    forge = start_forge(dialect, version=version, unsettled_merges=0)
    client = PyforgejoApi(base_url=forge.api_url, api_key=forge.token("bot"))
    head = opened(client).head
    client.repository.repo_merge_pull_request(*HERE, 1, do="merge", merge_when_checks_succeed=True)
    found = [forge.project("infra/dns").request(1).is_merged]
    forge.project("infra/dns").pipeline(str(head and head.sha), "success", "anything")
    found.append(forge.project("infra/dns").request(1).is_merged)
    client._client_wrapper.httpx_client.httpx_client.close()

    assert [before, after] == found


def test_a_schedule_survives_a_push_that_may_set_it_off(forge: Forge, api: PyforgejoApi) -> None:
    """What nobody saw when it was scheduled is merged: the order that sslops must not push in."""
    shown = forge.project("infra/dns")
    shown.protection().required_checks = ("check",)
    opened(api)
    api.repository.repo_merge_pull_request(*HERE, 1, do="merge", merge_when_checks_succeed=True)
    shown.watchers.append(lambda branch: shown.pipeline(shown.repository.head(branch) or "", "success", "check"))
    pushed = shown.edit({"tlsa": "; not reviewed\n"}, "Another plan", branch="sslops/tlsa", by="bot")

    assert shown.repository.contains("main", pushed)


def test_a_schedule_in_a_forbidden_style_comes_to_nothing_without_a_trace(forge: Forge, api: PyforgejoApi) -> None:
    """201, and later neither a merge nor a schedule nor a word."""
    shown = forge.project("infra/dns")
    shown.protection().required_checks = ("check",)
    shown.merge_methods = {"fast-forward-only"}
    head = opened(api).head
    api.repository.repo_merge_pull_request(*HERE, 1, do="merge", merge_when_checks_succeed=True)
    shown.pipeline(str(head and head.sha), "success", "check")
    happened = [one.type for one in api.issue.get_comments_and_timeline(*HERE, 1)]

    assert (True, None) == (shown.request(1).is_open, shown.request(1).auto_merge)
    assert ["pull_scheduled_merge"] == happened


def test_a_list_ends_in_null(start_forge: Callable[..., Forge]) -> None:
    """What the time line of a request says after its last page."""
    forge = start_forge("gitea")
    forge.project("infra/dns").open(forge.user("bot"), "sslops/tlsa", "main", "Records", "")
    url = f"{forge.api_url}/repos/infra/dns/issues/1/timeline?page=2"
    answer = requests.get(url, headers={"Authorization": f"token {forge.token('bot')}"}, timeout=10)

    assert (200, None) == (answer.status_code, answer.json())


@pytest.mark.parametrize("kind", ["draft", "conflict", "approval", "check", "method"])
def test_what_cannot_be_merged_says_so(forge: Forge, api: PyforgejoApi, kind: str) -> None:
    """405, each in its words."""
    shown = forge.project("infra/dns")
    shown.protection().required_approvals = int(kind == "approval")
    shown.protection().required_checks = ("check",) if kind == "check" else ()
    opened(api, title="WIP: Records" if kind == "draft" else "Records")
    if kind == "conflict":
        shown.edit({"tlsa": "; other records\n"})
    if kind == "method":
        shown.merge_methods.remove("merge")
    words = {
        "draft": "Work in progress PRs cannot be merged",
        "conflict": "Please try again later",
        "approval": "Does not have enough approvals",
        "check": "Not all required status checks successful",
        "method": "merge is not allowed an allowed merge style for this repository",
    }

    refused = refusal(lambda: api.repository.repo_merge_pull_request(*HERE, 1, do="merge"))

    assert (405, words[kind]) == refused


def test_a_token_may_do_what_its_scopes_say(forge: Forge, connect: Callable[..., PyforgejoApi]) -> None:
    """The missing scope is named; a reader may not write; an unknown and an expired token are nobody's."""
    reader, no_issues = forge.token("reader", Rights.READ), forge.token("repository", {"write:repository"})
    guest, old = forge.token("guest", role=Role.REPORTER), forge.token("old", is_expired=True)
    lacks = "token does not have at least one of required scope(s): "

    assert (403, f"{lacks}[write:repository]") == refusal(lambda: opened(connect(reader)))
    assert (403, f"{lacks}[write:issue]") == refusal(
        lambda: connect(no_issues).issue.create_issue(*HERE, title="Dashboard")
    )
    assert 403 == refusal(lambda: opened(connect(guest)))[0]
    assert 401 == refusal(lambda: opened(connect("nobody")))[0] == refusal(lambda: opened(connect(old)))[0]
    assert [] == forge.project("infra/dns").requests()


def test_a_second_request_for_the_same_branches_is_refused(api: PyforgejoApi) -> None:
    """409; a branch that is not there is a 404."""
    opened(api)

    assert 409 == refusal(lambda: opened(api))[0]
    assert 404 == refusal(lambda: opened(api, head="nowhere"))[0]


def test_checks_and_protection_are_shown(forge: Forge, api: PyforgejoApi) -> None:
    """By commit and by branch."""
    shown = forge.project("infra/dns")
    shown.protection().required_checks = ("check",)
    head = shown.repository.head("sslops/tlsa") or ""
    api.repository.repo_create_status(*HERE, head, state="pending", context="check")
    combined = api.repository.repo_get_combined_status_by_ref(*HERE, head)
    rules = api.repository.repo_get_branch_protection(*HERE, "main")

    assert ("pending", ["check"]) == (combined.state, [one.context for one in combined.statuses or ()])
    assert (["check"], 0) == (rules.status_check_contexts, rules.required_approvals)
    assert api.repository.repo_get_branch(*HERE, "main").protected
