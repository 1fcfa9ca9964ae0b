"""The local forge as GitLab, driven by python-gitlab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gitlab
import pytest

from tests.world.forge import Forge, Rights, Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from gitlab.v4.objects import Project as GitlabProject
    from gitlab.v4.objects import ProjectMergeRequest

WISH = {"source_branch": "sslops/tlsa", "target_branch": "main", "title": "Records", "description": "What changes"}


@pytest.fixture
def forge(start_forge: Callable[[str], Forge]) -> Forge:
    """Return a forge that speaks GitLab."""
    return start_forge("gitlab")


def client(forge: Forge, secret: str | None = None) -> GitlabProject:
    """Return `infra/dns` as python-gitlab sees it."""
    token = forge.token("bot") if secret is None else secret
    return gitlab.Gitlab(forge.url, private_token=token, retry_transient_errors=False).projects.get("infra/dns")


def opened(project: GitlabProject) -> ProjectMergeRequest:
    """Open a merge request."""
    made: ProjectMergeRequest = project.mergerequests.create(WISH)
    return made


def test_a_request_is_opened_changed_discussed_and_closed(forge: Forge) -> None:
    """What the client wrote is what it reads again, and what the project shows to people."""
    project = client(forge)
    request = opened(project)
    request.description = "More"
    request.save()
    note = request.notes.create({"body": "first"})
    note.body = "second"
    note.save()
    request.state_event = "close"
    request.save()
    (found,) = project.mergerequests.list(state="closed", source_branch="sslops/tlsa", get_all=True)

    assert ("More", "closed", "bot") == (found.description, found.state, found.author["username"])
    assert ["second"] == [one.body for one in request.notes.list(get_all=True)]
    assert [] == project.mergerequests.list(state="opened", get_all=True)
    assert ["More"] == [one.body for one in forge.project("infra/dns").requests()]


def test_long_lists_come_in_pages(forge: Forge) -> None:
    """The client follows X-Next-Page and Link to the end."""
    project = client(forge)
    shown = forge.project("infra/dns")
    for number in range(1, 48):
        shown.open_issue(forge.user("bot"), f"issue {number}", "")
    paged = project.issues.list(iterator=True, per_page=20)

    assert (47, 3) == (paged.total, paged.total_pages)
    assert list(range(47, 0, -1)) == [issue.iid for issue in project.issues.list(iterator=True, per_page=20)]


def test_a_merge_at_another_head_is_refused(forge: Forge) -> None:
    """409 with the words of GitLab, and nothing merged."""
    project = client(forge)
    request = opened(project)
    with pytest.raises(gitlab.GitlabMRClosedError) as caught:
        request.merge(sha="0" * 40)

    assert 409 == caught.value.response_code
    assert str(caught.value.error_message).startswith("SHA does not match HEAD of source branch")
    assert "merged" == request.merge(sha=request.sha)["state"]


def test_a_merge_commit_has_both_heads_and_the_mergers_name(forge: Forge) -> None:
    """Author and committer are the one who merged."""
    shown = forge.project("infra/dns")
    before = shown.repository.head("main")
    request = opened(client(forge))
    head = request.sha
    done = request.merge()
    commit = shown.repository.log("-1", "main")[0]

    assert (before, head) == commit.parents
    assert ("bot", "bot", done["merge_commit_sha"]) == (commit.author.name, commit.committer.name, commit.sha)
    assert commit.message.endswith("See merge request infra/dns!1")


def test_a_squash_is_merged_in_turn(forge: Forge) -> None:
    """The second parent of the merge is one commit on the merge base, by the request's author."""
    shown = forge.project("infra/dns")
    before = shown.repository.head("main")
    shown.edit({"more": "1"}, branch="sslops/tlsa", by="bot")
    opened(client(forge))
    shown.merge(1, "squash", by="reviewer")
    merge, squash = shown.repository.log("--topo-order", f"{before}..main")

    assert (before, squash.sha) == merge.parents
    assert ((before,), "bot", "reviewer") == (squash.parents, squash.author.name, squash.committer.name)


@pytest.mark.parametrize(("status", "state"), [("pending", "opened"), ("success", "merged")])
def test_auto_merge_waits_for_the_pipeline(forge: Forge, status: str, state: str) -> None:
    """A running pipeline: later. One that succeeded: at once."""
    request = opened(client(forge))
    forge.project("infra/dns").pipeline(request.sha, status)

    assert state == request.merge(merge_when_pipeline_succeeds=True, sha=request.sha)["state"]
    forge.project("infra/dns").pipeline(request.sha, "success")
    assert forge.project("infra/dns").requests()[0].is_merged


def test_auto_merge_of_what_lacks_nothing_and_has_no_pipeline_is_refused(forge: Forge) -> None:
    """The trap of GitLab: neither now nor later, 405."""
    request = opened(client(forge))
    with pytest.raises(gitlab.GitlabMRClosedError) as caught:
        request.merge(merge_when_pipeline_succeeds=True)

    assert (405, "405 Method Not Allowed") == (caught.value.response_code, caught.value.error_message)


def test_a_push_takes_approvals_back_and_stops_an_auto_merge(forge: Forge) -> None:
    """As the project's setting says; the client sees it in `approvals`."""
    shown = forge.project("infra/dns")
    shown.protection().required_approvals = 1
    request = opened(client(forge))
    request.merge(auto_merge=True)
    was_scheduled = shown.request(1).auto_merge is not None
    shown.edit({"more": "1"}, branch="sslops/tlsa", by="bot")
    shown.approve(1)
    first = request.approvals.get().approvals_left
    shown.edit({"more": "2"}, branch="sslops/tlsa", by="bot")

    assert (True, None) == (was_scheduled, shown.request(1).auto_merge)
    assert (0, 1) == (first, request.approvals.get().approvals_left)
    assert not shown.request(1).is_merged


@pytest.mark.parametrize("kind", ["draft", "conflict", "closed"])
def test_what_cannot_be_merged_says_so(forge: Forge, kind: str) -> None:
    """405 for a draft and a closed one, 422 for a conflict; `detailed_merge_status` names it."""
    shown = forge.project("infra/dns")
    project = client(forge)
    request = opened(project)
    if kind == "draft":
        request.title = "Draft: Records"
        request.save()
    elif kind == "conflict":
        shown.edit({"tlsa": "; other records\n"})
    else:
        shown.close(1)
    with pytest.raises(gitlab.GitlabMRClosedError) as caught:
        request.merge()
    status = {"draft": "draft_status", "conflict": "conflict", "closed": "not_open"}[kind]

    assert (422 if kind == "conflict" else 405) == caught.value.response_code
    assert status == project.mergerequests.get(1).detailed_merge_status


def test_a_second_request_for_the_same_branches_is_refused(forge: Forge) -> None:
    """409, and the number of the one that is there."""
    project = client(forge)
    opened(project)
    with pytest.raises(gitlab.GitlabCreateError) as caught:
        opened(project)

    assert 409 == caught.value.response_code
    assert "Another open merge request already exists for this source branch: !1" in str(caught.value.error_message)


def test_a_token_may_do_what_its_scopes_say(forge: Forge) -> None:
    """Reading only, git only, a role that only reads, none at all, an expired one: each refused as GitLab does."""
    reader, pusher = forge.token("reader", Rights.READ), forge.token("pusher", Rights.PUSH)
    small, old = forge.token("guest", role=Role.REPORTER), forge.token("old", is_expired=True)

    assert 403 == refusal(lambda: client(forge, reader).mergerequests.create(WISH))
    assert 403 == refusal(lambda: client(forge, pusher))
    assert 403 == refusal(lambda: client(forge, small).mergerequests.create(WISH))
    assert 401 == refusal(lambda: client(forge, "glpat-nobody"))
    assert 401 == refusal(lambda: client(forge, old))
    assert 404 == refusal(lambda: client(forge, ""))
    assert [] == forge.project("infra/dns").requests()


def refusal(ask: Callable[[], object]) -> int | None:
    """Return the status that a call is refused with."""
    with pytest.raises(gitlab.GitlabError) as caught:
        ask()
    return caught.value.response_code


def test_branches_and_their_protection_are_shown(forge: Forge) -> None:
    """Who may push and merge, whether a pipeline has to succeed, which token this is."""
    forge.project("infra/dns").protection().required_checks = ("check",)
    secret = forge.token("bot", {"api"})
    project = client(forge, secret)
    connection = gitlab.Gitlab(forge.url, private_token=secret)
    connection.auth()

    assert ["main", "sslops/tlsa"] == [branch.name for branch in project.branches.list(get_all=True)]
    assert project.branches.get("main").protected
    assert 40 == project.protectedbranches.get("main").push_access_levels[0]["access_level"]
    assert project.only_allow_merge_if_pipeline_succeeds
    assert connection.user is not None
    assert "bot" == connection.user.username
    assert ["api"] == connection.personal_access_tokens.get("self").scopes


def test_too_long_a_text_is_refused(forge: Forge) -> None:
    """A note may have a million characters."""
    request = opened(client(forge))
    request.notes.create({"body": "x" * 1_000_000})

    assert 400 == refusal(lambda: request.notes.create({"body": "x" * 1_000_001}))


def test_every_write_is_counted(forge: Forge) -> None:
    """So that a test can say that a second run wrote nothing."""
    project = client(forge)
    request = opened(project)
    shown = forge.project("infra/dns")
    written = list(shown.writes)
    project.mergerequests.list(get_all=True)
    request.notes.list(get_all=True)

    assert ["POST merge_requests"] == written == shown.writes
    assert {"GET", "POST"} == {call.method for call in shown.calls}
