"""PyGithub over our wire: it asks its connection class for each request, and a subclass may have its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from github import Auth
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, Requester, RequestsResponse

from sslops.errors import ForgeError
from sslops.model.proposal import MergeRequest, Merging, RequestState
from sslops.proposals.forges.client import LOOKED_THROUGH, Rights, Text, unified
from sslops.proposals.forges.standing import Standing
from sslops.proposals.forges.wire import AGENT, Refusal, Wire, without_mark_up

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests
    from github.IssueComment import IssueComment
    from github.PullRequest import PullRequest
    from github.Repository import Repository

    from sslops.model.proposal import Proposal
    from sslops.proposals.forges.client import Desk


def requester(desk: Desk, address: str) -> Requester:
    """Return PyGithub's way to *address*, with the patience and the caution of our wire instead of its own."""
    split = urlsplit(address)
    origin = f"{split.scheme}://{split.netloc}"
    session = Wire(address, desk.patience).session()

    class OverHttps(HTTPSRequestsConnectionClass):
        def __init__(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
            self.host = split.hostname or ""

        def getresponse(self) -> RequestsResponse:
            return _sent(session, origin, self)

        def close(self) -> None:
            """Keep the session: PyGithub closes a connection class that is not its own after every request."""

    class OverHttp(HTTPRequestsConnectionClass):
        def __init__(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
            self.host = split.hostname or ""

        def getresponse(self) -> RequestsResponse:
            return _sent(session, origin, self)

        def close(self) -> None:
            """As above."""

    class OverWire(Requester):
        """A class of its own, so that nobody else's PyGithub is changed."""

    OverWire.injectConnectionClasses(OverHttp, OverHttps)
    secret = desk.token.secret
    return OverWire(
        auth=Auth.Token(secret.reveal().decode()) if secret else None,
        base_url=address,
        timeout=60,
        user_agent=AGENT,
        per_page=100,
        verify=True,
        retry=None,
        pool_size=None,
        seconds_between_requests=0,
        seconds_between_writes=1 if split.hostname == "api.github.com" else 0,
        lazy=True,
    )


def _sent(
    session: requests.Session,
    origin: str,
    asked: HTTPSRequestsConnectionClass | HTTPRequestsConnectionClass,
) -> RequestsResponse:
    response = session.request(
        asked.verb, f"{origin}{asked.url}", headers=asked.headers, data=asked.input, allow_redirects=False
    )
    return RequestsResponse(response)


RIGHTS = Rights(
    read="'Pull requests: read' and 'Contents: read'",
    propose="'Pull requests: write' and 'Contents: write'",
    merge="'Contents: write', and whatever the branch's rules ask of who merges",
    issue="'Issues: write'",
)
_METHODS = ("merge", "rebase", "squash")
"""In the order of preference: a merge commit keeps our commits with their signatures."""
_NOTHING_TO_WAIT_FOR = ("clean status", "unstable status")
"""GitHub's answer to auto-merge when it could merge right now."""


@dataclass(frozen=True)
class GitHubApi:
    """One repository behind the API at *address*."""

    desk: Desk
    address: str
    body_limit: int = 65_536
    rights: Rights = RIGHTS

    @cached_property
    def _repository(self) -> Repository:
        from github.Repository import Repository

        return Repository(requester(self.desk, self.address), url=f"/repos/{self.desk.project}")

    @cached_property
    def _login(self) -> str | None:
        """The account behind the token; null for an app's, which may not ask for it."""
        try:
            _, found = self._repository.requester.requestJsonAndCheck("GET", "/user")
        except Refusal as refusal:
            if refusal.status in {403, 404}:
                return None
            raise
        return str(found.get("login")) if isinstance(found, dict) else None

    def requests(self, source: str, target: str, *, is_open: bool) -> Iterator[MergeRequest]:
        """Yield the requests; GitHub filters by owner and branch, and a fork may belong to the same owner."""
        found = self._repository.get_pulls(
            state="open" if is_open else "closed",
            head=f"{self.desk.project.partition('/')[0]}:{source}",
            base=target,
            sort="created",
            direction="desc",
        )
        for pull in islice(found, LOOKED_THROUGH):
            if _is_of(pull, self.desk.project, source):
                yield self._read(pull)

    def request(self, number: int) -> MergeRequest:
        """Return one request."""
        return self._read(self._pull(number))

    def branch_head(self, branch: str) -> str | None:
        """Return where *branch* is."""
        try:
            return self._repository.get_git_ref(f"heads/{branch}").object.sha
        except Refusal as refusal:
            if refusal.status == 404:  # noqa: PLR2004
                return None
            raise

    def create(self, proposal: Proposal) -> MergeRequest:
        """Open a request."""
        wishes = {"title": proposal.title, "body": proposal.body, "maintainer_can_modify": False}
        pull = self._repository.create_pull(base=proposal.target, head=proposal.kind.branch, **wishes)  # type: ignore[arg-type]
        return _request(pull)

    def edit(self, number: int, *, title: str, body: str) -> None:
        """Set both."""
        self._pull(number).edit(title=title, body=body)

    def close(self, number: int) -> None:
        """Close it."""
        self._pull(number).edit(state="closed")

    def merge(self, number: int, head: str) -> Merging:
        """Ask for auto-merge; where there is nothing to wait for, or it is switched off, merge at once if that works.

        GitHub knows a request's state only some moments after it was asked for first.
        """
        self.desk.until(lambda: None if self._pull(number).mergeable_state == "unknown" else True)
        pull = self._pull(number)
        method = self._method()
        why = self._schedule(pull, method, head)
        if why is None:
            return self._became(number)
        if self._pull(number).head.sha != head:
            raise self.desk.moved(pull.head.ref)
        return self._merge_now(pull, method, head, why)

    def unschedule(self, number: int) -> None:
        """Take auto-merge back."""
        from github import GithubException

        try:
            self._pull(number).disable_automerge()
        except GithubException as error:
            raise Refusal(422, _graphql_words(error.data)) from None

    def comments(self, number: int) -> Iterator[Text]:
        """Yield the comments, oldest first: GitHub knows no other order here."""
        for comment in self._repository.get_issue(number).get_comments():
            yield Text(comment.id, self._is_ours(comment), unified(comment.body))

    def add_comment(self, number: int, text: str) -> None:
        """Add one."""
        self._repository.requester.requestJsonAndCheck("POST", f"{self._issue(number)}/comments", input={"body": text})

    def edit_comment(self, number: int, comment: int, text: str) -> None:  # noqa: ARG002  (GitHub numbers all comments)
        """Replace one."""
        where = f"/repos/{self.desk.project}/issues/comments/{comment}"
        self._repository.requester.requestJsonAndCheck("PATCH", where, input={"body": text})

    def issues(self) -> Iterator[Text]:
        """Yield the open issues; GitHub counts pull requests among them."""
        for issue in self._repository.get_issues(state="open", sort="created", direction="desc"):
            if issue.pull_request is None:
                yield Text(issue.number, self._is_ours(issue), unified(issue.body), issue.title)

    def add_issue(self, title: str, body: str) -> None:
        """Open one."""
        self._repository.create_issue(title, body)

    def edit_issue(self, number: int, title: str, body: str) -> None:
        """Replace both."""
        self._repository.requester.requestJsonAndCheck(
            "PATCH", self._issue(number), input={"title": title, "body": body}
        )

    def standing(self, branch: str) -> Standing:
        """Return what the token and the repository allow; only classic tokens tell their scopes."""
        facts = self._facts
        scopes: list[str] | None = self._repository.requester.oauth_scopes
        permissions = facts.get("permissions")
        allowed = [name for name in ("rebase", "squash") if facts.get(_key(name))]
        return Standing(
            scopes=tuple(filter(None, scopes)) if scopes else None,
            expires_at=None,
            can_propose=bool(permissions.get("push")) if isinstance(permissions, dict) else None,
            is_protected=self._is_protected(branch),
            can_wait=bool(facts["allow_auto_merge"]) if "allow_auto_merge" in facts else None,
            unsigning=tuple(allowed),
        )

    @cached_property
    def _facts(self) -> dict[str, Any]:
        _, found = self._repository.requester.requestJsonAndCheck("GET", f"/repos/{self.desk.project}")
        return found if isinstance(found, dict) else {}

    def _is_protected(self, branch: str) -> bool | None:
        try:
            return self._repository.get_branch(branch).protected
        except Refusal:
            return None

    def _issue(self, number: int) -> str:
        return f"/repos/{self.desk.project}/issues/{number}"

    def _pull(self, number: int) -> PullRequest:
        return self._repository.get_pull(number)

    def _method(self) -> str:
        """Return the first way to merge that the repository allows; it does not tell everybody."""
        return next((name for name in _METHODS if self._facts.get(_key(name), name == "merge")), "merge")

    def _schedule(self, pull: PullRequest, method: str, head: str) -> str | None:
        """Turn auto-merge on; return GitHub's reason (lower case) when it will not."""
        from github import GithubException

        try:
            pull.enable_automerge(merge_method=method.upper(), expected_head_oid=head)
        except GithubException as error:
            return _graphql_words(error.data).lower()
        return None

    def _became(self, number: int) -> Merging:
        return Merging.MERGED if self._pull(number).merged else Merging.SCHEDULED

    def _merge_now(self, pull: PullRequest, method: str, head: str, why: str) -> Merging:
        try:
            pull.merge(merge_method=method, sha=head)
        except Refusal as refusal:
            if refusal.status == 409:  # noqa: PLR2004  (the head is another)
                raise self.desk.moved(pull.head.ref) from None
            if refusal.status not in {405, 422}:
                raise
            is_clean = any(words in why for words in _NOTHING_TO_WAIT_FOR)
            reason = refusal.said or "not mergeable"
            hint = None if is_clean else f"allow auto-merge in the repository's settings (GitHub says: {why})"
            raise self.desk.wont_merge(pull.number, reason, hint or "see the pull request") from None
        return Merging.MERGED

    def _read(self, pull: PullRequest) -> MergeRequest:
        """Return what *pull* says, and whether it was we who turned auto-merge on."""
        request = _request(pull)
        if not request.is_scheduled:
            return request
        who = (pull.raw_data.get("auto_merge") or {}).get("enabled_by") or {}
        is_ours = who.get("login") == self._login if self._login else who.get("type") == "Bot"
        return replace(request, is_our_schedule=is_ours)

    def _is_ours(self, written: IssueComment | Any) -> bool:  # noqa: ANN401  (an issue has the same author field)
        user = written.user
        if user is None:
            return False
        return user.login == self._login if self._login else user.type == "Bot"


def _request(pull: PullRequest) -> MergeRequest:
    from github.GithubException import BadAttributeException

    try:
        ended = RequestState.MERGED if pull.merged_at else RequestState.CLOSED
        return MergeRequest(
            number=pull.number,
            url=pull.html_url,
            state=RequestState.OPEN if pull.state == "open" else ended,
            source=pull.head.ref,
            target=pull.base.ref,
            head=pull.head.sha,
            title=pull.title,
            body=unified(pull.body),
            is_scheduled=pull.auto_merge is not None,
            is_draft=bool(pull.draft),
        )
    except BadAttributeException:
        raise ForgeError("GitHub's answer is no pull request", hint="is forge the right kind?") from None


def _is_of(pull: PullRequest, project: str, branch: str) -> bool:
    """Whether it comes from the very repository; a fork that was deleted has no repository at all."""
    home: Repository | None = pull.head.repo
    return home is not None and home.full_name.lower() == project.lower() and pull.head.ref == branch


def _key(method: str) -> str:
    return {"merge": "allow_merge_commit", "rebase": "allow_rebase_merge", "squash": "allow_squash_merge"}[method]


def _graphql_words(found: object) -> str:
    errors = found.get("errors") if isinstance(found, dict) else None
    said = [each.get("message") for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
    return without_mark_up("; ".join(each for each in said if isinstance(each, str))) or "no reason"
