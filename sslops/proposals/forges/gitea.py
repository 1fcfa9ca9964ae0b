"""Gitea's API v1, which Forgejo shares: a dozen calls over our own wire.

What servers do that their documents do not say was measured (`docs/forges.md`): a list may be `null`; a scheduled merge
is shown nowhere, survives a push, and is dropped without a trace when the merge fails; and a merge style that the
repository forbids is accepted for a schedule. So a merge is asked for at once first, whose answer says what is missing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sslops.errors import ForgeError
from sslops.model.proposal import Kind, MergeRequest, RequestState
from sslops.proposals.forges.answer import document, flag, listed, number, prose, required, table, text
from sslops.proposals.forges.client import Rights, Text
from sslops.proposals.forges.merging import CheckState, MergeFate, Obstacle, checks, moment
from sslops.proposals.forges.protection import Guard
from sslops.proposals.forges.repository_api import RepositoryApi
from sslops.proposals.forges.rest import Rest
from sslops.proposals.forges.standing import Probe, Standing, lacks
from sslops.proposals.forges.wire import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sslops.model.proposal import Proposal
    from sslops.proposals.forges.protection import EngineBranch

RIGHTS = Rights(
    read="the scope 'read:repository'",
    propose="the scopes 'write:repository' and 'write:issue', and an account that may write to the repository",
    merge="the scope 'write:repository', and an account that may merge into the protected branch",
    issue="the scope 'write:issue'",
)
_SCHEDULED, _UNSCHEDULED = "pull_scheduled_merge", "pull_cancel_scheduled_merge"
_PAGE = 50
"""What a server gives at most, unless its administrator allows more."""
_STYLES = {
    "merge": "allow_merge_commits",
    "fast-forward-only": "allow_fast_forward_only_merge",
    "rebase-merge": "allow_rebase_explicit",
    "rebase": "allow_rebase",
    "squash": "allow_squash_merge",
}
"""`Do` of a merge, in the order of preference (the first two keep our commits), and the setting that allows it."""

_REBASES = ("allow_rebase", "allow_rebase_explicit", "allow_rebase_update")
"""Settings that let people rebase a request, the last by the button *Update branch by rebase*."""

_FORWARD = "fast-forward-only"
_LATER = "try again later"
_CHECKS = "status checks"
_PEOPLE = ("approvals", "review requests", "requested changes")
_BEHIND = ("behind the base", "diverging")
_STATES = {
    "success": CheckState.GOOD,
    "warning": CheckState.GOOD,
    "skipped": CheckState.GOOD,
    "failure": CheckState.FAILED,
    "error": CheckState.FAILED,
}


@dataclass(frozen=True)
class GiteaApi(RepositoryApi):
    """One repository behind the API at *address*."""

    body_limit: int = 65_536
    rights: Rights = RIGHTS
    can_allow_force: bool = True
    """Whether the rule of a protected branch can allow force pushes at all."""

    @cached_property
    def _rest(self) -> Rest:
        secret = self.desk.token.secret
        shown = {"Authorization": f"token {secret.reveal().decode()}"} if secret else {}
        headers = {"Accept": "application/json", **shown}
        return Rest(self.address, self.desk.patience, headers, page_size=_PAGE, size_name="limit")

    def requests(self, source: str, target: str, *, is_open: bool) -> Iterator[MergeRequest]:
        """Yield the requests; the list has no filter by branch."""
        for facts in self._pages("/pulls", {"state": "open" if is_open else "closed"}):
            if _is_of(facts, source, target):
                yield self._with_schedule(_request(facts))

    def request(self, number: int) -> MergeRequest:
        """Return one request."""
        return self._with_schedule(_request(document(self._call("GET", f"/pulls/{number}"))))

    def branch_head(self, branch: str) -> str | None:
        """Return where *branch* is."""
        found = self._branch(branch)
        return None if found is None else required(found, "commit", "id")

    def create(self, proposal: Proposal) -> MergeRequest:
        """Open a request."""
        wishes = {"head": proposal.kind.branch, "base": proposal.target, "title": proposal.title, "body": proposal.body}
        return _request(document(self._call("POST", "/pulls", wishes)))

    def merge(self, request: MergeRequest, head: str) -> Obstacle | None:
        """Merge at *head* now."""
        style = self._style()
        if style is None:
            return Obstacle(MergeFate.BLOCKS, "its settings allow no way to merge", "allow merge commits")
        if style == _FORWARD and not self._is_ahead(request):
            # Asked for it, Gitea answers with an error of its own (500).
            why = "only a fast-forward is allowed, and the branch does not stand on its newest target"
            # What the server shows of that may be of the moment before.
            return replace(_behind(why), fate=MergeFate.PASSES)
        try:
            self._ask_to_merge(request.number, head, style, later=False)
        except Refusal as refusal:
            if refusal.status not in {405, 409}:
                raise
            return self._obstacle(request, head, refusal.said)
        return None

    def schedule(self, request: MergeRequest, head: str) -> None:
        """Ask that it be merged when checks and approvals are there; one that is scheduled stays so.

        The commit is not compared: a schedule holds for whatever the branch has then.
        """
        try:
            self._ask_to_merge(request.number, head, self._style() or "merge", later=True)
        except Refusal as refusal:
            if refusal.status != 409 or "already scheduled" not in refusal.said.lower():  # noqa: PLR2004
                raise

    def passes(self, said: str) -> bool:
        """Whether the server is still finding out if it can be merged."""
        return _LATER in said.lower() or "push out of date" in said.lower()

    def unschedule(self, number: int) -> bool:
        """Take the wish to merge back; whether there was one."""
        try:
            self._call("DELETE", f"/pulls/{number}/merge")
        except Refusal as refusal:
            if refusal.status != 404:  # noqa: PLR2004
                raise
            return False
        return True

    def comments(self, number: int) -> Iterator[Text]:
        """Yield the comments, oldest first; this list has no pages."""
        for facts in listed(self._call("GET", f"/issues/{number}/comments")):
            yield Text(_number(facts, "id"), self._is_ours(facts), prose(facts, "body"))

    def issues(self) -> Iterator[Text]:
        """Yield the open issues, newest first."""
        for facts in self._pages("/issues", {"state": "open", "type": "issues"}):
            yield Text(number(facts, "number"), self._is_ours(facts), prose(facts, "body"), text(facts, "title"))

    def standing(self, branch: str, engine: Sequence[EngineBranch]) -> Standing:
        """Return what the token and the repository allow; the scopes of a token are shown to nobody."""
        settings = self._settings
        found = self._branch(branch)
        ways = {"allow_rebase": "rebase", "allow_rebase_explicit": "rebase", "allow_squash_merge": "squash"}
        permissions = table(settings, "permissions")
        return Standing(
            scopes=None,
            expires_at=None,
            can_propose=flag(permissions, "push") if permissions else None,
            base=self._guard(branch),
            engine=tuple((self._own(each), self._guard(each.name)) for each in engine),
            can_wait=True,
            unsigning=tuple(dict.fromkeys(way for key, way in ways.items() if flag(settings, key))),
            lacks=lacks(self._probes()),
            excess=self._excess(permissions),
            can_merge=None if found is None or "user_can_merge" not in found else flag(found, "user_can_merge"),
            unruled=() if self.can_allow_force else self._writers(),
        )

    def _own(self, branch: EngineBranch) -> EngineBranch:
        """Return *branch* as this repository has it: only rebased commits make the engine rewrite `next`."""
        is_request = branch.name in {kind.branch for kind in Kind}
        rebases = any(flag(self._settings, key) for key in _REBASES)
        return branch if is_request or rebases else replace(branch, is_rewritten=False)

    def _guard(self, branch: str) -> Guard:
        """Return what the rules of a branch allow; the rule itself only administrators see."""
        found, rules = self._branch(branch), self._rules
        rule = None if rules is None else next((each for each in rules if _covers(each, branch)), {})
        if found is None and not rule:
            return Guard(None if rule is None else False)
        if not rule and not flag(found, "protected"):
            return Guard(is_protected=False)
        told = found or {}
        seen = rule or {}
        checks = flag(told, "enable_status_check") or flag(seen, "enable_status_check")
        approvals = told.get("required_approvals") or seen.get("required_approvals") or 0
        others = None if rule is None else self._pushers(rule)
        may_push = told.get("user_can_push", True) if found is not None else None
        # Unseen, the rule of a forge that cannot allow it does not.
        unseen = None if self.can_allow_force else False
        return Guard(
            is_protected=True,
            lets_us_push=None if may_push is None else bool(may_push),
            lets_force=unseen if rule is None else flag(rule, "enable_force_push"),
            others=others,
            needs_request=None if others is None else not others,
            needs_checks=checks,
            needs_approvals=approvals > 0 if isinstance(approvals, int) else None,
        )

    def _pushers(self, rule: dict[str, Any]) -> tuple[str, ...]:
        """Return who but us may push by *rule*, in words."""
        if not flag(rule, "enable_push"):
            return ()
        if not flag(rule, "enable_push_whitelist"):
            return ("whoever may write",)
        people = [each for each in _words(rule, "push_whitelist_usernames") if each != self._login]
        teams = [f"team {each}" for each in _words(rule, "push_whitelist_teams")]
        keys = ["deploy keys"] if flag(rule, "push_whitelist_deploy_keys") else []
        return (*people, *teams, *keys)

    @cached_property
    def _rules(self) -> list[dict[str, Any]] | None:
        """The rules of all branches, in the order in which they count; null when the token may not see them."""
        found = self._found("/branch_protections", 401, 403, 404)
        return None if found is None else listed(found)

    def _writers(self) -> tuple[str, ...]:
        """Return who else is let into the repository, by name; which of them may only read is shown to nobody."""
        owner = self._settings.get("owner")
        names = [text(each, "login") for each in listed(self._found("/collaborators", 401, 403, 404))]
        teams = [f"team {text(each, 'name')}" for each in listed(self._found("/teams", 401, 403, 404, 405))]
        return tuple(dict.fromkeys(each for each in (text(owner, "login"), *names, *teams) if each != self._login))

    def _probes(self) -> Iterator[Probe]:
        """Yield what a token needs; to a comment on issue 0 Gitea answers with an error of its own (500)."""
        nothing = {"body": "sslops doctor"}
        yield Probe("write:repository", "open and edit pull requests", lambda: self._call("PATCH", "/pulls/0", {}))
        yield Probe(
            "write:issue",
            "comment and keep the dashboard",
            lambda: self._call("PATCH", "/issues/comments/0", nothing),
        )
        yield Probe("read:user", "tell its own comments from others'", lambda: self._rest.call("GET", "/user"))

    def _excess(self, permissions: dict[str, Any]) -> tuple[str, ...]:
        try:
            self._rest.call("GET", "/notifications?limit=1")
        except Refusal:
            is_all = False
        else:
            is_all = True
        is_admin = flag(permissions, "admin")
        return (*(("every scope",) if is_all else ()), *(("to administer the repository",) if is_admin else ()))

    def _ask_to_merge(self, number: int, head: str, style: str, *, later: bool) -> None:
        wishes = {
            "Do": style,
            "head_commit_id": head,
            "merge_when_checks_succeed": later,
            "delete_branch_after_merge": False,
            "force_merge": False,
        }
        self._call("POST", f"/pulls/{number}/merge", wishes)

    def _style(self) -> str | None:
        """Return the best way to merge that the repository allows."""
        return next((style for style, key in _STYLES.items() if flag(self._settings, key)), None)

    def _obstacle(self, request: MergeRequest, head: str, said: str) -> Obstacle:
        """Return what a refusal to merge now means; *said* is the server's own English."""
        words = said.lower()
        if self.passes(said):
            return Obstacle(MergeFate.PASSES, "it conflicts with the target, or the forge is still finding that out")
        if _CHECKS in words:
            return self._checks(request, head) or Obstacle(MergeFate.WAITS, said)
        if any(each in words for each in _PEOPLE):
            return Obstacle(MergeFate.WAITS, said)
        if any(each in words for each in _BEHIND):
            return _behind(said)
        return Obstacle(MergeFate.BLOCKS, said or "the protection of the branch forbids it", "see the pull request")

    def _is_ahead(self, request: MergeRequest) -> bool:
        """Whether the branch of *request* stands on the newest commit of its target."""
        facts = self._call("GET", f"/pulls/{request.number}")
        return text(facts, "merge_base") == self.branch_head(request.target)

    def _checks(self, request: MergeRequest, head: str) -> Obstacle | None:
        """Return what the required checks lack; null when that cannot be told."""
        patterns = table(self._branch(request.target)).get("status_check_contexts")
        found = table(self._call("GET", f"/commits/{head}/status"))
        reported = {
            text(each, "context"): _STATES.get(text(each, "status"), CheckState.RUNNING)
            for each in listed(found.get("statuses"))
        }
        committed_at = moment(text(self._branch(request.source), "commit", "timestamp"))
        wanted = [each for each in patterns if isinstance(each, str)] if isinstance(patterns, list) else []
        return checks(wanted, reported, committed_at, self.desk.patience.now())

    def _branch(self, branch: str) -> dict[str, Any] | None:
        found = self._found(f"/branches/{quote(branch, safe='')}")
        return None if found is None else document(found)

    def _with_schedule(self, request: MergeRequest) -> MergeRequest:
        """Return *request* with what its time line says about a merge that was asked for, which may be gone since."""
        if request.state is not RequestState.OPEN:
            return request
        events = list(self._pages(f"/issues/{request.number}/timeline", {}))
        told = [event for event in events if event.get("type") in {_SCHEDULED, _UNSCHEDULED}]
        if not told or told[-1].get("type") != _SCHEDULED:
            return request
        return replace(request, is_scheduled=True, is_our_schedule=self._is_ours(told[-1]))

    def _is_ours(self, facts: dict[str, Any]) -> bool:
        """Whether we wrote it; a token that may not ask who it is speaks for whoever wrote with our marker."""
        return self._login is None or text(facts, "user", "login") == self._login


def _covers(rule: dict[str, Any], branch: str) -> bool:
    """Whether the name or pattern of *rule* is for *branch*; `*` stops at a slash there, `**` does not."""
    pattern = text(rule, "rule_name") or text(rule, "branch_name")
    parts = re.split(r"(\*\*|\*|\?)", pattern)
    wild = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.fullmatch("".join(wild.get(part, re.escape(part)) for part in parts), branch) is not None


def _words(rule: dict[str, Any], name: str) -> list[str]:
    found = rule.get(name)
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


_number = number
"""For methods that have a *number* of their own."""


def _behind(why: str) -> Obstacle:
    hint = "press 'update branch', by rebase where that is the only way to merge"
    return Obstacle(MergeFate.BLOCKS, why, hint, is_behind=True)


def _is_of(facts: dict[str, Any], source: str, target: str) -> bool:
    """Whether it is from branch *source* of the very repository; `label` keeps the name when the branch is gone."""
    head, base = table(facts, "head"), table(facts, "base")
    is_own = head.get("repo_id") is not None and head["repo_id"] == base.get("repo_id")
    return required(base, "ref") == target and is_own and source in {text(head, "label"), text(head, "ref")}


def _request(facts: dict[str, Any]) -> MergeRequest:
    head = table(facts, "head")
    if not head:
        raise ForgeError("the forge's answer is no pull request", hint="is forge the right kind?")
    ended = RequestState.MERGED if flag(facts, "merged") else RequestState.CLOSED
    return MergeRequest(
        number=number(facts, "number"),
        url=text(facts, "html_url"),
        state=RequestState.OPEN if required(facts, "state") == "open" else ended,
        source=text(head, "label") or text(head, "ref"),
        target=required(facts, "base", "ref"),
        head=text(head, "sha") or None,
        title=text(facts, "title"),
        body=prose(facts, "body"),
        is_draft=flag(facts, "draft"),
    )
