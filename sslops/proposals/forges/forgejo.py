"""Forgejo's API v1 (Gitea's is the same), over `requests`: a dozen calls, for which no library is worth its weight."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sslops.errors import ForgeError
from sslops.model.proposal import MergeRequest, Merging, RequestState
from sslops.proposals.forges.client import LOOKED_THROUGH, Rights, Text, field, unified
from sslops.proposals.forges.standing import Standing
from sslops.proposals.forges.wire import Refusal, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from sslops.model.proposal import Proposal
    from sslops.proposals.forges.client import Desk


RIGHTS = Rights(
    read="the scope 'read:repository'",
    propose="the scopes 'write:repository' and 'write:issue', and an account that may write to the repository",
    merge="the scope 'write:repository', and an account that may merge into the protected branch",
    issue="the scope 'write:issue'",
)
_SCHEDULED, _UNSCHEDULED = "pull_scheduled_merge", "pull_cancel_scheduled_merge"
_PAGE = 50
"""What a server gives at most, unless its administrator allows more."""
_STYLES = {"merge": "allow_merge_commits", "rebase-merge": "allow_rebase_explicit", "rebase": "allow_rebase"}
"""`Do` of a merge, in the order of preference, and the setting that allows it; the last resort is `squash`."""


@dataclass(frozen=True)
class ForgejoApi:
    """One repository behind the API at *address*."""

    desk: Desk
    address: str
    body_limit: int = 65_536
    rights: Rights = RIGHTS

    @cached_property
    def _session(self) -> requests.Session:
        session = Wire(self.address, self.desk.patience).session()
        secret = self.desk.token.secret
        if secret:
            session.headers["Authorization"] = f"token {secret.reveal().decode()}"
        session.headers["Accept"] = "application/json"
        return session

    @cached_property
    def _login(self) -> str | None:
        """The account behind the token; null when the token may not ask for it (`read:user`)."""
        try:
            return str(field(self._call("GET", "/user", whole=True), "login"))
        except Refusal as refusal:
            if refusal.status in {403, 404}:
                return None
            raise

    @cached_property
    def _settings(self) -> dict[str, Any]:
        found = self._call("GET", "")
        return found if isinstance(found, dict) else {}

    def requests(self, source: str, target: str, *, is_open: bool) -> Iterator[MergeRequest]:
        """Yield the requests; Forgejo does not filter by branch."""
        for facts in self._pages("/pulls", {"state": "open" if is_open else "closed"}):
            if _is_of(facts, source, target):
                yield self._with_schedule(_request(facts))

    def request(self, number: int) -> MergeRequest:
        """Return one request."""
        return self._with_schedule(_request(self._call("GET", f"/pulls/{number}")))

    def branch_head(self, branch: str) -> str | None:
        """Return where *branch* is."""
        try:
            return str(field(self._call("GET", f"/branches/{quote(branch, safe='')}"), "commit", "id"))
        except Refusal as refusal:
            if refusal.status == 404:  # noqa: PLR2004
                return None
            raise

    def create(self, proposal: Proposal) -> MergeRequest:
        """Open a request."""
        wishes = {"head": proposal.kind.branch, "base": proposal.target, "title": proposal.title, "body": proposal.body}
        return _request(self._call("POST", "/pulls", wishes))

    def edit(self, number: int, *, title: str, body: str) -> None:
        """Set both."""
        self._call("PATCH", f"/pulls/{number}", {"title": title, "body": body})

    def close(self, number: int) -> None:
        """Close it."""
        self._call("PATCH", f"/pulls/{number}", {"state": "closed"})

    def merge(self, number: int, head: str) -> Merging:
        """Merge at *head*, or let Forgejo do so when the checks have passed.

        Forgejo compares the head only when it merges at once; so the head is looked at again after a request was put
        aside, and that is taken back when it is another.
        """
        wishes = {
            "Do": self._style(),
            "head_commit_id": head,
            "merge_when_checks_succeed": True,
            "delete_branch_after_merge": False,
            "force_merge": False,
        }
        try:
            self._call("POST", f"/pulls/{number}/merge", wishes)
        except Refusal as refusal:
            return self._not_merged(number, head, refusal)
        shown = self.request(number)
        if shown.state is RequestState.MERGED:
            return Merging.MERGED
        if shown.head != head:
            self._call("DELETE", f"/pulls/{number}/merge")
            raise self.desk.moved(shown.source)
        return Merging.SCHEDULED

    def unschedule(self, number: int) -> None:
        """Take back that it is put aside to be merged."""
        self._call("DELETE", f"/pulls/{number}/merge")

    def comments(self, number: int) -> Iterator[Text]:
        """Yield the comments, oldest first; this list has no pages."""
        found = self._call("GET", f"/issues/{number}/comments")
        for facts in found if isinstance(found, list) else ():
            yield Text(_number(facts, "id"), self._is_ours(facts), unified(_text(facts, "body")))

    def add_comment(self, number: int, text: str) -> None:
        """Add one."""
        self._call("POST", f"/issues/{number}/comments", {"body": text})

    def edit_comment(self, number: int, comment: int, text: str) -> None:  # noqa: ARG002  (all comments share numbers)
        """Replace one."""
        self._call("PATCH", f"/issues/comments/{comment}", {"body": text})

    def issues(self) -> Iterator[Text]:
        """Yield the open issues."""
        for facts in self._pages("/issues", {"state": "open", "type": "issues"}):
            if facts.get("pull_request") is None:
                body, title = unified(_text(facts, "body")), _text(facts, "title")
                yield Text(_number(facts, "number"), self._is_ours(facts), body, title)

    def add_issue(self, title: str, body: str) -> None:
        """Open one."""
        self._call("POST", "/issues", {"title": title, "body": body})

    def edit_issue(self, number: int, title: str, body: str) -> None:
        """Replace both."""
        self._call("PATCH", f"/issues/{number}", {"title": title, "body": body})

    def standing(self, branch: str) -> Standing:
        """Return what the account may do and the repository allows; Forgejo tells nobody a token's scopes."""
        settings = self._settings
        permissions = settings.get("permissions")
        ways = {"allow_rebase": "rebase", "allow_rebase_explicit": "rebase", "allow_squash_merge": "squash"}
        return Standing(
            scopes=None,
            expires_at=None,
            can_propose=bool(permissions.get("push")) if isinstance(permissions, dict) else None,
            is_protected=self._is_protected(branch),
            can_wait=True,
            unsigning=tuple(dict.fromkeys(way for key, way in ways.items() if settings.get(key))),
        )

    def _is_protected(self, branch: str) -> bool | None:
        try:
            return bool(field(self._call("GET", f"/branches/{quote(branch, safe='')}"), "protected"))
        except Refusal:
            return None

    def _with_schedule(self, request: MergeRequest) -> MergeRequest:
        """Return *request* with what its time line says about a merge that was put aside: nothing else tells."""
        if request.state is not RequestState.OPEN:
            return request
        try:
            events = list(self._pages(f"/issues/{request.number}/timeline", {}))
        except Refusal:
            return request
        told = [event for event in events if event.get("type") in {_SCHEDULED, _UNSCHEDULED}]
        if not told or told[-1].get("type") != _SCHEDULED:
            return request
        return replace(request, is_scheduled=True, is_our_schedule=self._is_ours(told[-1]))

    def _style(self) -> str:
        return next((style for style, key in _STYLES.items() if self._settings.get(key, style == "merge")), "squash")

    def _not_merged(self, number: int, head: str, refusal: Refusal) -> Merging:
        """Return what a refusal means after a second look: another head, merged already, put aside already, or no."""
        if refusal.status not in {405, 409}:
            raise refusal
        shown = self.request(number)
        if shown.state is RequestState.MERGED:
            return Merging.MERGED
        if shown.head != head:
            raise self.desk.moved(shown.source)
        if refusal.status == 409 and "already scheduled" in refusal.said.lower():  # noqa: PLR2004
            return Merging.SCHEDULED
        raise self.desk.wont_merge(number, refusal.said or "the branch's protection", "see the pull request")

    def _call(self, method: str, path: str, body: object = None, *, whole: bool = False) -> Any:  # noqa: ANN401  (JSON)
        """Send one request about the repository (*whole*: the server) and return its JSON; null for no content."""
        where = self.address if whole else f"{self.address}/repos/{quote(self.desk.project)}"
        response = self._session.request(method, f"{where}{path}", json=body, allow_redirects=False)
        return response.json() if response.content else None

    def _pages(self, path: str, wishes: dict[str, str]) -> Iterator[dict[str, Any]]:
        """Yield every entry of a list, at most LOOKED_THROUGH; an entry that the server failed to read is null."""
        for page in count(1):
            query = "&".join(f"{key}={value}" for key, value in {**wishes, "page": page, "limit": _PAGE}.items())
            found = self._call("GET", f"{path}?{query}")
            if not isinstance(found, list):
                raise ForgeError("Forgejo's answer is no list", hint="is forge the right kind?")
            yield from (each for each in found if isinstance(each, dict))
            if not found or page * _PAGE >= LOOKED_THROUGH:
                return

    def _is_ours(self, facts: dict[str, Any]) -> bool:
        """Whether we wrote it; a token that may not ask who it is speaks for whoever wrote with our marker."""
        return self._login is None or field(facts, "user", "login") == self._login


def _is_of(facts: dict[str, Any], source: str, target: str) -> bool:
    """Whether it is from branch *source* of the very repository; `label` keeps the name when the branch is gone."""
    is_own = field(facts, "head", "repo_id") == field(facts, "base", "repo_id")
    return (
        is_own
        and source in {field(facts, "head", "label"), facts["head"].get("ref")}
        and (field(facts, "base", "ref") == target)
    )


def _request(facts: object) -> MergeRequest:
    if not isinstance(facts, dict):
        raise ForgeError("Forgejo's answer is no pull request", hint="is forge the right kind?")
    head = field(facts, "head")
    source = _text(head, "label") or _text(head, "ref")
    ended = RequestState.MERGED if facts.get("merged") else RequestState.CLOSED
    return MergeRequest(
        number=_number(facts, "number"),
        url=_text(facts, "html_url"),
        state=RequestState.OPEN if field(facts, "state") == "open" else ended,
        source=source,
        target=str(field(facts, "base", "ref")),
        head=_text(head, "sha") or None,
        title=_text(facts, "title"),
        body=unified(_text(facts, "body")),
        is_draft=bool(facts.get("draft")),
    )


def _text(facts: object, name: str) -> str:
    found = facts.get(name) if isinstance(facts, dict) else None
    return found if isinstance(found, str) else ""


def _number(facts: object, name: str) -> int:
    found = field(facts, name)
    return found if isinstance(found, int) else 0
