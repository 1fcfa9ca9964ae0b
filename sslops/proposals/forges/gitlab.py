"""GitLab's REST API v4, over our own wire."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sslops.model.proposal import MergeRequest, RequestState
from sslops.proposals.forges.answer import document, flag, listed, number, prose, required, table, text
from sslops.proposals.forges.client import Rights, Text
from sslops.proposals.forges.merging import MergeFate, Obstacle
from sslops.proposals.forges.protection import Guard
from sslops.proposals.forges.rest import Rest
from sslops.proposals.forges.standing import Probe, Standing, lacks
from sslops.proposals.forges.tokens import Role
from sslops.proposals.forges.wire import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sslops.model.proposal import Proposal
    from sslops.proposals.forges.client import Desk
    from sslops.proposals.forges.protection import EngineBranch

RIGHTS = Rights(
    read="the scope 'read_api'",
    propose="the scope 'api' and the role Developer",
    merge="the scope 'api' and a role that is allowed to merge into the protected branch",
    issue="the scope 'api' and the role Reporter",
)
_STATES = {"merged": RequestState.MERGED, "closed": RequestState.CLOSED}
_PENDING = frozenset({"unchecked", "checking", "preparing", "approvals_syncing"})
"""What `detailed_merge_status` says while GitLab has not made up its mind."""
_WAITS = frozenset(
    {
        "not_approved",
        "ci_still_running",
        "ci_must_pass",
        "status_checks_must_pass",
        "discussions_not_resolved",
        "merge_request_blocked",
        "requested_changes",
        "security_policy_pipeline_check",
        "policies_denied",
        "external_status_checks",
        "jira_association_missing",
        "locked_paths",
        "locked_lfs_files",
        "merge_time",
        "title_regex",
    }
)
"""What it says when something is missing that may still come: GitLab merges by itself when it does."""
_RUNNING = frozenset({"created", "waiting_for_resource", "preparing", "waiting_for_callback", "pending", "running"})
_EXCESSIVE = frozenset({"sudo", "admin_mode", "create_runner", "manage_runner", "k8s_proxy"})
_MAINTAINER, _OWNER = 40, 50
_DEAD = frozenset({"failed", "canceled", "canceling"})
_STRIPPING = {
    "rebase_merge": "a rebase in the web interface",
    "ff": "a rebase in the web interface",
    "squash": "squash",
}


@dataclass(frozen=True)
class GitLabApi:
    """One project behind the API at *address*."""

    desk: Desk
    address: str
    body_limit: int = 1_000_000
    rights: Rights = RIGHTS

    @cached_property
    def _rest(self) -> Rest:
        secret = self.desk.token.secret
        shown = {"Authorization": f"Bearer {secret.reveal().decode()}"} if secret else {}
        return Rest(self.address, self.desk.patience, {"Accept": "application/json", **shown})

    @cached_property
    def _settings(self) -> dict[str, Any]:
        return document(self._call("GET", ""))

    @cached_property
    def _user_id(self) -> int:
        return number(self._rest.call("GET", "/user"), "id")

    def requests(self, source: str, target: str, *, is_open: bool) -> Iterator[MergeRequest]:
        """Yield the requests; those from forks have another source project."""
        wishes = {
            "source_branch": source,
            "target_branch": target,
            "state": "opened" if is_open else "all",
            "order_by": "created_at",
            "sort": "desc",
        }
        for facts in self._pages("/merge_requests", wishes):
            if number(facts, "target_project_id") == facts.get("source_project_id"):
                request = self._read(facts)
                if is_open or request.state is not RequestState.OPEN:
                    yield request

    def request(self, number: int) -> MergeRequest:
        """Return one request."""
        return self._read(self._facts(number))

    def branch_head(self, branch: str) -> str | None:
        """Return where *branch* is."""
        found = self._branch(branch)
        return None if found is None else required(found, "commit", "id")

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
        return _request(document(self._call("POST", "/merge_requests", wishes)))

    def edit(self, number: int, *, title: str, body: str) -> None:
        """Set both."""
        self._call("PUT", f"/merge_requests/{number}", {"title": title, "description": body})

    def close(self, number: int) -> None:
        """Close it."""
        self._call("PUT", f"/merge_requests/{number}", {"state_event": "close"})

    def merge(self, request: MergeRequest, head: str) -> Obstacle | None:
        """Merge at *head* now, unless its pipeline runs: GitLab merges unchecked where pipelines need not succeed.

        So it waits, a bounded time, until GitLab has made up its mind and the pipeline exists, if one is to.
        """
        self.desk.until(lambda: True if self._is_settled(request.number) else None)
        facts = self._facts(request.number)
        if text(facts, "head_pipeline", "status") in _RUNNING:
            return Obstacle(MergeFate.WAITS, f"its pipeline runs: {text(facts, 'head_pipeline', 'web_url')}")
        try:
            answer = self._ask_to_merge(request.number, head, later=False)
        except Refusal as refusal:
            return self._obstacle(request.number, refusal)
        if text(answer, "state") in {"merged", "locked"}:
            return None
        return self._obstacle(request.number, Refusal(405, ""))

    def schedule(self, request: MergeRequest, head: str) -> None:
        """Turn auto-merge on (`merge_when_pipeline_succeeds` before 17.11); Refusal when GitLab will not."""
        self._ask_to_merge(request.number, head, later=True)
        facts = self._facts(request.number)
        if text(facts, "state") == "opened" and not flag(facts, "merge_when_pipeline_succeeds"):
            raise Refusal(405, _status(facts))

    def passes(self, said: str) -> bool:
        """Whether GitLab is still making up its mind."""
        return any(each in said for each in _PENDING)

    def unschedule(self, number: int) -> bool:
        """Turn auto-merge off; whether it was on."""
        if not flag(self._facts(number), "merge_when_pipeline_succeeds"):
            return False
        self._call("POST", f"/merge_requests/{number}/cancel_merge_when_pipeline_succeeds")
        return True

    def comments(self, number: int) -> Iterator[Text]:
        """Yield the comments, newest first."""
        for facts in self._pages(f"/merge_requests/{number}/notes", {"order_by": "created_at", "sort": "desc"}):
            yield Text(_number(facts, "id"), self._is_ours(facts), prose(facts, "body"))

    def add_comment(self, number: int, text: str) -> None:
        """Add one."""
        self._call("POST", f"/merge_requests/{number}/notes", {"body": text})

    def edit_comment(self, number: int, comment: int, text: str) -> None:
        """Replace one."""
        self._call("PUT", f"/merge_requests/{number}/notes/{comment}", {"body": text})

    def issues(self) -> Iterator[Text]:
        """Yield our open issues."""
        for facts in self._pages("/issues", {"state": "opened", "author_id": self._user_id}):
            yield Text(_number(facts, "iid"), self._is_ours(facts), prose(facts, "description"), text(facts, "title"))

    def add_issue(self, title: str, body: str) -> None:
        """Open one."""
        self._call("POST", "/issues", {"title": title, "description": body})

    def edit_issue(self, number: int, title: str, body: str) -> None:
        """Replace both."""
        self._call("PUT", f"/issues/{number}", {"title": title, "description": body})

    def standing(self, branch: str, engine: Sequence[EngineBranch]) -> Standing:
        """Return what the token and the project allow."""
        facts, settings = self._token_facts(), self._settings
        access = [found for found in table(settings, "permissions").values() if isinstance(found, dict)]
        level = max((found.get("access_level") or 0 for found in access), default=0)
        method = text(settings, "merge_method") or "merge"
        squash = text(settings, "squash_option") in {"always", "default_on"}
        scopes = facts.get("scopes")
        found = self._branch(branch)
        guards = tuple((each, self._guard(each.name)) for each in engine)
        return Standing(
            scopes=tuple(map(str, scopes)) if isinstance(scopes, list) else None,
            expires_at=text(facts, "expires_at") or None,
            can_propose=_has(scopes, "api") and (level >= 30 if level else None),  # noqa: PLR2004  (Developer)
            base=self._guard(branch),
            engine=guards,
            can_wait=True,
            unsigning=tuple(_STRIPPING[each] for each in (method, "squash" if squash else "") if each in _STRIPPING),
            lacks=lacks(self._probes()) if _has(scopes, "api") else (),
            excess=self._excess(scopes, level),
            can_merge=None
            if found is None or not level
            else level >= _MAINTAINER or flag(found, "developers_can_merge"),
            exposed=self._exposed() if any(guard.is_protected for _, guard in guards) else None,
        )

    def _exposed(self) -> str | None:
        """Return what a pipeline of a protected branch may see, which runs what that branch says."""
        if self.desk.token.role is not Role.OPS or "ci_config_path" not in self._settings:
            return None
        if "@" in text(self._settings, "ci_config_path"):
            return None
        return "protected variables in pipelines of the bot's branches, whose CI file whoever pushes there writes"

    def _guard(self, branch: str) -> Guard:
        """Return what the rules of a branch allow; where several are for it the one that allows most counts."""
        found, rules = self._branch(branch), self._rules
        ours = None if rules is None else [each for each in rules if _covers(text(each, "name"), branch)]
        if found is None and not ours:
            return Guard(None if ours is None else False)
        if not ours and not flag(found, "protected"):
            return Guard(is_protected=False)
        others = self._pushers(found or {}, ours)
        needed = self._found("/approval_rules")
        return Guard(
            is_protected=True,
            lets_us_push=flag(found, "can_push") if "can_push" in (found or {}) else None,
            lets_force=None if ours is None else any(flag(each, "allow_force_push") for each in ours),
            others=others,
            needs_request=None if others is None else not others,
            needs_checks=flag(self._settings, "only_allow_merge_if_pipeline_succeeds"),
            needs_approvals=None if needed is None else any(each.get("approvals_required") for each in listed(needed)),
        )

    def _pushers(self, found: dict[str, Any], rules: list[dict[str, Any]] | None) -> tuple[str, ...] | None:
        """Return who but us may push, in words; null when that is not told."""
        if rules is None:
            return ("every Developer",) if flag(found, "developers_can_push") else None
        levels = [each for rule in rules for each in listed(rule.get("push_access_levels"))]
        told = (each for each in levels if each.get("access_level") != 0)
        return tuple(
            dict.fromkeys(
                text(each, "access_level_description") or "somebody" for each in told if not self._is_us(each)
            )
        )

    def _is_us(self, level: dict[str, Any]) -> bool:
        return level.get("user_id") is not None and level["user_id"] == self._user_id

    @cached_property
    def _rules(self) -> list[dict[str, Any]] | None:
        """The rules of all protected branches; null when the token may not see them."""
        try:
            return list(self._pages("/protected_branches", {}))
        except Refusal as refusal:
            if refusal.status in {401, 403, 404}:
                return None
            raise

    def _probes(self) -> Iterator[Probe]:
        """Yield what a token needs."""
        nothing = {"body": "sslops doctor"}
        path = "/merge_requests/0"
        yield Probe("'api'", "open and edit merge requests", lambda: self._call("PUT", path, {"description": "x"}))
        yield Probe("'api'", "comment", lambda: self._call("POST", f"{path}/notes", nothing))

    def _excess(self, scopes: object, level: int) -> tuple[str, ...]:
        held = [each for each in scopes if each in _EXCESSIVE] if isinstance(scopes, list) else []
        return (*map(str, held), *(("the role Owner",) if level >= _OWNER else ()))

    def _token_facts(self) -> dict[str, Any]:
        return table(self._rest.found("/personal_access_tokens/self", 400, 401, 403, 404))

    def _branch(self, branch: str) -> dict[str, Any] | None:
        found = self._found(f"/repository/branches/{quote(branch, safe='')}", 404)
        return None if found is None else document(found)

    def _facts(self, number: int) -> dict[str, Any]:
        return document(self._call("GET", f"/merge_requests/{number}"))

    def _is_settled(self, number: int) -> bool:
        facts = self._facts(number)
        if text(facts, "detailed_merge_status") in _PENDING:
            return False
        return bool(table(facts, "head_pipeline")) or text(self._settings, "builds_access_level") == "disabled"

    def _ask_to_merge(self, number: int, head: str, *, later: bool) -> Any:  # noqa: ANN401  (JSON)
        wishes = {"sha": head, "squash": False, "should_remove_source_branch": False}
        when = {"auto_merge": True, "merge_when_pipeline_succeeds": True} if later else {}
        return self._call("PUT", f"/merge_requests/{number}/merge", wishes | when)

    def _obstacle(self, number: int, refusal: Refusal) -> Obstacle:
        """Return what a refusal to merge now means, by the reason that GitLab computes; *refusal* again when none."""
        if refusal.status == 401:  # noqa: PLR2004  (GitLab's word for a role that may not merge)
            raise Refusal(403, "its role may not merge into this branch")
        if refusal.status not in {405, 406, 409, 422}:
            raise refusal
        facts = self._facts(number)
        reason = text(facts, "detailed_merge_status") or text(facts, "merge_status")
        if reason in _PENDING:
            return Obstacle(MergeFate.PASSES, _status(facts))
        pipeline = text(facts, "head_pipeline", "status")
        if reason in {"ci_must_pass", "ci_still_running"} and pipeline in _DEAD:
            why = f"its pipeline has {pipeline}: {text(facts, 'head_pipeline', 'web_url')}"
            return Obstacle(MergeFate.BLOCKS, why, "mend what it says, and run it again")
        if reason in _WAITS:
            return Obstacle(MergeFate.WAITS, _status(facts))
        if reason == "need_rebase":
            return Obstacle(MergeFate.BLOCKS, _status(facts), "press 'Rebase'", is_behind=True)
        return Obstacle(MergeFate.BLOCKS, _status(facts), "see the merge request")

    def _is_ours(self, facts: dict[str, Any]) -> bool:
        return table(facts, "author").get("id") == self._user_id

    def _read(self, facts: dict[str, Any]) -> MergeRequest:
        """Return what *facts* say, and whether it was we who asked for the merge that they announce."""
        request = _request(facts)
        if not request.is_scheduled:
            return request
        return replace(request, is_our_schedule=table(facts, "merge_user").get("id") == self._user_id)

    def _call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401  (JSON)
        return self._rest.call(method, f"/projects/{quote(self.desk.project, safe='')}{path}", body)

    def _found(self, path: str, *absent: int) -> Any:  # noqa: ANN401  (JSON)
        """Return the answer to a question; null where it is refused with one of *absent* (none given: any no)."""
        return self._rest.found(f"/projects/{quote(self.desk.project, safe='')}{path}", *(absent or (401, 403, 404)))

    def _pages(self, path: str, wishes: Mapping[str, object]) -> Iterator[dict[str, Any]]:
        return self._rest.pages(f"/projects/{quote(self.desk.project, safe='')}{path}", wishes)


def _covers(pattern: str, branch: str) -> bool:
    """Whether the name or pattern of a protected branch is for *branch*; `*` stands for anything there."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), branch) is not None


_number = number
"""For methods that have a *number* of their own."""


def _request(facts: dict[str, Any]) -> MergeRequest:
    return MergeRequest(
        number=number(facts, "iid"),
        url=text(facts, "web_url"),
        state=_STATES.get(required(facts, "state"), RequestState.OPEN),
        source=required(facts, "source_branch"),
        target=required(facts, "target_branch"),
        head=text(facts, "sha") or None,
        title=text(facts, "title"),
        body=prose(facts, "description"),
        is_scheduled=flag(facts, "merge_when_pipeline_succeeds"),
        is_draft=flag(facts, "draft"),
    )


def _status(facts: dict[str, Any]) -> str:
    status = text(facts, "detailed_merge_status") or text(facts, "merge_status") or "unknown"
    return f"GitLab says '{status[:40]}'" if status.isprintable() else "GitLab gives no reason"


def _has(scopes: object, wanted: str) -> bool:
    """Whether *scopes* has the one that is wanted; true when the forge does not tell."""
    return wanted in scopes if isinstance(scopes, list) else True
