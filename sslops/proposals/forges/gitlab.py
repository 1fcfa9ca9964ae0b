"""GitLab's REST API v4, through python-gitlab."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sslops.model.proposal import MergeRequest, Merging, RequestState
from sslops.proposals.forges.client import LOOKED_THROUGH, Rights, Text, field, unified
from sslops.proposals.forges.standing import Standing
from sslops.proposals.forges.wire import AGENT, Refusal, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gitlab import Gitlab
    from gitlab.v4.objects import Project

    from sslops.model.proposal import Proposal
    from sslops.proposals.forges.client import Desk


RIGHTS = Rights(
    read="the scope 'read_api'",
    propose="the scope 'api' and the role Developer",
    merge="the scope 'api' and a role that is allowed to merge into the protected branch",
    issue="the scope 'api' and the role Reporter",
)
_STATES = {"merged": RequestState.MERGED, "closed": RequestState.CLOSED}
_PENDING = frozenset({"unchecked", "checking", "preparing", "approvals_syncing"})
"""What `detailed_merge_status` says while GitLab has not made up its mind."""
_STRIPPING = {
    "rebase_merge": "a rebase in the web interface",
    "ff": "a rebase in the web interface",
    "squash": "squash",
}


@dataclass(frozen=True)
class GitLabApi:
    """One project on the GitLab at *address*."""

    desk: Desk
    address: str
    body_limit: int = 1_000_000
    rights: Rights = RIGHTS

    @cached_property
    def _gitlab(self) -> Gitlab:
        import gitlab

        token = (self.desk.token.secret.reveal() if self.desk.token.secret else b"").decode()
        return gitlab.Gitlab(
            self.address,
            oauth_token=token,
            session=Wire(self.address, self.desk.patience).session(),
            user_agent=AGENT,
            keep_base_url=True,
            per_page=100,
        )

    @property
    def _project(self) -> Project:
        return self._gitlab.projects.get(self.desk.project, lazy=True)

    @cached_property
    def _settings(self) -> dict[str, Any]:
        return self._gitlab.projects.get(self.desk.project).attributes

    @cached_property
    def _user_id(self) -> object:
        return field(self._gitlab.http_get("/user"), "id")

    def requests(self, source: str, target: str, *, is_open: bool) -> Iterator[MergeRequest]:
        """Yield the requests; those from forks have another source project."""
        found = self._project.mergerequests.list(
            source_branch=source,
            target_branch=target,
            state="opened" if is_open else "all",
            order_by="created_at",
            sort="desc",
            iterator=True,
        )
        for each in islice(found, LOOKED_THROUGH):
            facts = each.attributes
            if field(facts, "source_project_id") == field(facts, "target_project_id"):
                request = self._read(facts)
                if is_open or request.state is not RequestState.OPEN:
                    yield request

    def request(self, number: int) -> MergeRequest:
        """Return one request."""
        return self._read(self._project.mergerequests.get(number).attributes)

    def branch_head(self, branch: str) -> str | None:
        """Return where *branch* is."""
        try:
            return str(field(self._project.branches.get(branch).attributes, "commit", "id"))
        except Refusal as refusal:
            if refusal.status == 404:  # noqa: PLR2004
                return None
            raise

    def create(self, proposal: Proposal) -> MergeRequest:
        """Open a request whose branch stays after the merge: the engine's fence stands on it."""
        wishes = {
            "source_branch": proposal.kind.branch,
            "target_branch": proposal.target,
            "title": proposal.title,
            "description": proposal.body,
            "remove_source_branch": False,
            "squash": False,
        }
        return _request(self._project.mergerequests.create(wishes).attributes)

    def edit(self, number: int, *, title: str, body: str) -> None:
        """Set both."""
        self._project.mergerequests.update(number, {"title": title, "description": body})

    def close(self, number: int) -> None:
        """Close it."""
        self._project.mergerequests.update(number, {"state_event": "close"})

    def merge(self, number: int, head: str) -> Merging:
        """Ask for auto-merge once GitLab has made up its mind and the pipeline exists: before, it would merge at once.

        `merge_when_pipeline_succeeds` is what GitLab before 17.11 calls `auto_merge`.
        """
        self.desk.until(lambda: True if self._is_settled(number) else None)
        try:
            answer = self._ask_to_merge(number, head, waits=True)
        except Refusal as refusal:
            if refusal.status not in {405, 422} or not self._is_ready(number):
                raise self._merge_error(number, refusal) from None
            answer = self._merge_at_once(number, head)
        return Merging.MERGED if field(answer, "state") == "merged" else self._confirmed(number)

    def unschedule(self, number: int) -> None:
        """Take auto-merge back."""
        self._request_ref(number).cancel_merge_when_pipeline_succeeds()

    def comments(self, number: int) -> Iterator[Text]:
        """Yield the comments, newest first."""
        notes = self._request_ref(number).notes.list(order_by="created_at", sort="desc", iterator=True)
        for note in notes:
            facts = note.attributes
            yield Text(_number(facts, "id"), self._is_ours(facts), unified(str(field(facts, "body"))))

    def add_comment(self, number: int, text: str) -> None:
        """Add one."""
        self._request_ref(number).notes.create({"body": text})

    def edit_comment(self, number: int, comment: int, text: str) -> None:
        """Replace one."""
        self._request_ref(number).notes.update(comment, {"body": text})

    def issues(self) -> Iterator[Text]:
        """Yield our open issues."""
        for issue in self._project.issues.list(state="opened", author_id=self._user_id, iterator=True):
            facts = issue.attributes
            body, title = unified(facts.get("description")), str(field(facts, "title"))
            yield Text(_number(facts, "iid"), self._is_ours(facts), body, title)

    def add_issue(self, title: str, body: str) -> None:
        """Open one."""
        self._project.issues.create({"title": title, "description": body})

    def edit_issue(self, number: int, title: str, body: str) -> None:
        """Replace both."""
        self._project.issues.update(number, {"title": title, "description": body})

    def standing(self, branch: str) -> Standing:
        """Return what the token and the project allow."""
        facts = self._token_facts()
        settings = self._settings
        access = [found for found in (settings.get("permissions") or {}).values() if isinstance(found, dict)]
        level = max((found.get("access_level") or 0 for found in access), default=0)
        method = str(settings.get("merge_method") or "merge")
        squash = settings.get("squash_option") in {"always", "default_on"}
        scopes = facts.get("scopes")
        return Standing(
            scopes=tuple(map(str, scopes)) if isinstance(scopes, list) else None,
            expires_at=str(facts["expires_at"]) if facts.get("expires_at") else None,
            can_propose=_has(scopes, "api") and (level >= 30 if level else None),  # noqa: PLR2004  (Developer)
            is_protected=self._is_protected(branch),
            can_wait=True,
            unsigning=tuple(_STRIPPING[each] for each in (method, "squash" if squash else "") if each in _STRIPPING),
        )

    def _token_facts(self) -> dict[str, Any]:
        try:
            found = self._gitlab.http_get("/personal_access_tokens/self")
        except Refusal:
            return {}
        return found if isinstance(found, dict) else {}

    def _is_protected(self, branch: str) -> bool | None:
        try:
            return bool(self._project.branches.get(branch).attributes.get("protected"))
        except Refusal:
            return None

    def _is_settled(self, number: int) -> bool:
        facts = self._project.mergerequests.get(number).attributes
        if facts.get("detailed_merge_status") in _PENDING:
            return False
        return bool(facts.get("head_pipeline")) or self._settings.get("builds_access_level") == "disabled"

    def _is_ready(self, number: int) -> bool:
        """Whether nothing is missing; with no pipeline to wait for, GitLab refuses to merge "when it is ready"."""
        return self._project.mergerequests.get(number).attributes.get("detailed_merge_status") == "mergeable"

    def _merge_at_once(self, number: int, head: str) -> object:
        try:
            return self._ask_to_merge(number, head, waits=False)
        except Refusal as refusal:
            raise self._merge_error(number, refusal) from None

    def _ask_to_merge(self, number: int, head: str, *, waits: bool) -> object:
        wishes = {"sha": head, "squash": False, "should_remove_source_branch": False}
        later = {"auto_merge": True, "merge_when_pipeline_succeeds": True} if waits else {}
        path = f"/projects/{quote(self.desk.project, safe='')}/merge_requests/{number}/merge"
        return self._gitlab.http_put(path, post_data=wishes | later)

    def _confirmed(self, number: int) -> Merging:
        """Return what GitLab made of it, asked a second time: an accepted call may have changed nothing."""
        facts = self._project.mergerequests.get(number).attributes
        if facts.get("state") in {"merged", "locked"}:
            return Merging.MERGED if facts["state"] == "merged" else Merging.SCHEDULED
        if facts.get("merge_when_pipeline_succeeds"):
            return Merging.SCHEDULED
        raise self.desk.wont_merge(number, _status(facts), "see the merge request")

    def _merge_error(self, number: int, refusal: Refusal) -> Exception:
        if refusal.status == 409:  # noqa: PLR2004  (the commit is not the one we named)
            return self.desk.moved(f"request {number}")
        if refusal.status == 401:  # noqa: PLR2004  (GitLab's word for a role that may not merge)
            return Refusal(403, "its role may not merge into this branch")
        if refusal.status in {405, 406, 422}:
            facts = self._project.mergerequests.get(number).attributes
            hint = "approve it, or set merge: review; GitLab 17.7 and newer wait for approvals by themselves"
            return self.desk.wont_merge(number, _status(facts), hint)
        return refusal

    def _is_ours(self, facts: dict[str, Any]) -> bool:
        return field(facts, "author", "id") == self._user_id

    def _read(self, facts: dict[str, Any]) -> MergeRequest:
        """Return what *facts* say, and whether it was we who asked for the merge that they announce."""
        request, asked = _request(facts), facts.get("merge_user")
        if not request.is_scheduled or not isinstance(asked, dict):
            return request
        return replace(request, is_our_schedule=asked.get("id") == self._user_id)

    def _request_ref(self, number: int) -> Any:  # noqa: ANN401  (python-gitlab's objects are dynamic)
        return self._project.mergerequests.get(number, lazy=True)


def _request(facts: dict[str, Any]) -> MergeRequest:
    head = facts.get("sha")
    return MergeRequest(
        number=_number(facts, "iid"),
        url=str(field(facts, "web_url")),
        state=_STATES.get(str(field(facts, "state")), RequestState.OPEN),
        source=str(field(facts, "source_branch")),
        target=str(field(facts, "target_branch")),
        head=str(head) if head else None,
        title=str(field(facts, "title")),
        body=unified(facts.get("description")),
        is_scheduled=bool(facts.get("merge_when_pipeline_succeeds")),
        is_draft=bool(facts.get("draft")),
    )


def _number(facts: dict[str, Any], name: str) -> int:
    found = field(facts, name)
    return found if isinstance(found, int) else 0


def _status(facts: dict[str, Any]) -> str:
    status = str(facts.get("detailed_merge_status") or facts.get("merge_status") or "unknown")
    return f"GitLab says '{status[:40]}'" if status.isprintable() else "GitLab gives no reason"


def _has(scopes: object, wanted: str) -> bool:
    """Whether *scopes* has the one that is wanted; true when the forge does not tell."""
    return wanted in scopes if isinstance(scopes, list) else True
