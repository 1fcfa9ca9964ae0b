"""GitHub's REST API, and the one part that only GraphQL has: auto-merge."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from sslops.errors import ForgeError
from sslops.model.proposal import MergeRequest, RequestState
from sslops.proposals.forges.answer import document, flag, listed, number, prose, required, table, text
from sslops.proposals.forges.client import Rights, Text
from sslops.proposals.forges.merging import CheckState, MergeFate, Obstacle, checks, moment
from sslops.proposals.forges.protection import Guard
from sslops.proposals.forges.repository_api import RepositoryApi
from sslops.proposals.forges.rest import Rest
from sslops.proposals.forges.standing import Probe, Standing, lacks
from sslops.proposals.forges.tokens import Role
from sslops.proposals.forges.wire import Refusal, without_mark_up

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sslops.model.proposal import Proposal
    from sslops.proposals.forges.protection import EngineBranch

RIGHTS = Rights(
    read="'Pull requests: read' and 'Contents: read'",
    propose="'Pull requests: write' and 'Contents: write'",
    merge="'Contents: write', and whatever the branch's rules ask of who merges",
    issue="'Issues: write'",
)
_METHODS = {"merge": "allow_merge_commit", "rebase": "allow_rebase_merge", "squash": "allow_squash_merge"}
"""Ways to merge, the best first (a merge commit keeps our signed commits), and the settings that allow them."""
_EXCESSIVE = frozenset(
    {"admin:org", "admin:enterprise", "admin:repo_hook", "admin:public_key", "delete_repo", "workflow"}
)
"""Scopes of a classic token that nothing here needs, and that a thief would like."""
_EXCESS_SEEN = {"/keys": "'Administration'", "/actions/secrets": "'Secrets'", "/hooks": "'Webhooks'"}
"""Lists that nothing here needs, and the permission of a fine-grained token or an app that shows them."""
_EXPIRES = "GitHub-Authentication-Token-Expiration"
_CLOSING = frozenset({"update", "pull_request"})
"""Rules that let nobody push but who may bypass them."""
_PUBLIC = "api.github.com"
_VERSION = "2022-11-28"
_LATER = ("base branch was modified", "unknown status")
_READY_WORDS = ("clean status", "unstable status", "has_hooks status")
"""GitHub's answer to auto-merge when it could merge right now."""
_CONCLUSIONS = {"success": CheckState.GOOD, "neutral": CheckState.GOOD, "skipped": CheckState.GOOD}
_STATUSES = {"success": CheckState.GOOD, "pending": CheckState.RUNNING}

_ENABLE = """
mutation ($request: ID!, $method: PullRequestMergeMethod!, $head: GitObjectID!) {
  enablePullRequestAutoMerge(input: {pullRequestId: $request, mergeMethod: $method, expectedHeadOid: $head}) {
    clientMutationId
  }
}
"""
_DISABLE = """
mutation ($request: ID!) { disablePullRequestAutoMerge(input: {pullRequestId: $request}) { clientMutationId } }
"""


@dataclass(frozen=True)
class GitHubApi(RepositoryApi):
    """One repository behind the API at *address*."""

    body_limit: int = 65_536
    rights: Rights = RIGHTS

    @cached_property
    def _rest(self) -> Rest:
        secret = self.desk.token.secret
        shown = {"Authorization": f"Bearer {secret.reveal().decode()}"} if secret else {}
        headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": _VERSION, **shown}
        # "Best practices for using the REST API": a second between writes, or a secondary rate limit comes.
        pause = 1.0 if urlsplit(self.address).hostname == _PUBLIC else 0.0
        return Rest(self.address, self.desk.patience, headers, pause_seconds=pause)

    def requests(self, source: str, target: str, *, is_open: bool) -> Iterator[MergeRequest]:
        """Yield the requests; GitHub filters by owner and branch, and a fork may belong to the same owner."""
        wishes = {
            "state": "open" if is_open else "closed",
            "head": f"{self.desk.project.partition('/')[0]}:{source}",
            "base": target,
            "sort": "created",
            "direction": "desc",
        }
        for facts in self._pages("/pulls", wishes):
            if _is_of(facts, self.desk.project, source):
                yield self._read(facts)

    def request(self, number: int) -> MergeRequest:
        """Return one request."""
        return self._read(self._pull(number))

    def branch_head(self, branch: str) -> str | None:
        """Return where *branch* is."""
        found = self._found(f"/git/ref/heads/{quote(branch)}")
        return None if found is None else required(found, "object", "sha")

    def create(self, proposal: Proposal) -> MergeRequest:
        """Open a request."""
        wishes = {
            "title": proposal.title,
            "body": proposal.body,
            "base": proposal.target,
            "head": proposal.kind.branch,
            "maintainer_can_modify": False,
        }
        return _request(document(self._call("POST", "/pulls", wishes)))

    def merge(self, request: MergeRequest, head: str) -> Obstacle | None:
        """Merge at *head* now; GitHub knows a request's state only some moments after it was asked for first."""
        if _state(self._pull(request.number)) == "unknown":
            return Obstacle(MergeFate.PASSES, "GitHub is still finding out whether it can be merged")
        method = self._method()
        if method is None:
            return Obstacle(MergeFate.BLOCKS, "its settings allow no way to merge", "allow merge commits")
        try:
            self._call("PUT", f"/pulls/{request.number}/merge", {"merge_method": method, "sha": head})
        except Refusal as refusal:
            if refusal.status not in {405, 409, 422}:
                raise
            return self._obstacle(request, head, refusal.said)
        return None

    def schedule(self, request: MergeRequest, head: str) -> None:
        """Turn auto-merge on; Refusal with GitHub's reason when it will not."""
        pull, method = self._pull(request.number), self._method() or "merge"
        wishes = {"request": required(pull, "node_id"), "method": method.upper(), "head": head}
        self._graphql(_ENABLE, wishes)

    def passes(self, said: str) -> bool:
        """Whether GitHub is still finding out if it can be merged."""
        return any(each in said.lower() for each in _LATER)

    def unschedule(self, number: int) -> bool:
        """Turn auto-merge off; whether it was on."""
        pull = self._pull(number)
        if not pull.get("auto_merge"):
            return False
        self._graphql(_DISABLE, {"request": required(pull, "node_id")})
        return True

    def comments(self, number: int) -> Iterator[Text]:
        """Yield the comments, oldest first: GitHub knows no other order here."""
        for facts in self._pages(f"/issues/{number}/comments", {}):
            yield Text(_number(facts, "id"), self._is_ours(facts), prose(facts, "body"))

    def issues(self) -> Iterator[Text]:
        """Yield the open issues; GitHub counts pull requests among them."""
        for facts in self._pages("/issues", {"state": "open", "sort": "created", "direction": "desc"}):
            if not facts.get("pull_request"):
                yield Text(number(facts, "number"), self._is_ours(facts), prose(facts, "body"), text(facts, "title"))

    def standing(self, branch: str, engine: Sequence[EngineBranch]) -> Standing:
        """Return what the token and the repository allow; only classic tokens tell their scopes."""
        headers = self._rest.headers_of(self._path)
        scopes = [each.strip() for each in headers.get("X-OAuth-Scopes", "").split(",") if each.strip()]
        # An app may do what it was installed with, and learns nothing of it here.
        permissions = {} if self._is_app else table(self._settings, "permissions")
        return Standing(
            scopes=tuple(scopes) or None,
            expires_at=headers.get(_EXPIRES, "")[:10] or None,
            can_propose=flag(permissions, "push") if permissions else None,
            base=self._guard(branch),
            engine=tuple((each, self._guard(each.name)) for each in engine),
            can_wait=flag(self._settings, "allow_auto_merge") if "allow_auto_merge" in self._settings else None,
            unsigning=tuple(name for name in ("rebase", "squash") if flag(self._settings, _METHODS[name])),
            lacks=lacks(self._probes()),
            excess=self._excess(scopes, permissions),
        )

    @property
    def _is_app(self) -> bool:
        secret = self.desk.token.secret
        return secret is not None and secret.reveal().startswith(b"ghs_")

    def _guard(self, branch: str) -> Guard:
        """Return what rulesets, and a classic protection as far as it is shown, let happen to a branch."""
        found = table(self._found(f"/branches/{quote(branch, safe='')}", 403, 404))
        told = self._found(f"/rules/branches/{quote(branch, safe='')}", 403, 404)
        rules, classic = listed(told), table(found, "protection")
        # `protected` counts rulesets too.
        is_classic = flag(classic, "enabled") if classic else flag(found, "protected")
        kinds = {text(rule, "type") for rule in rules}
        if not rules and not is_classic:
            return Guard(None if told is None or not found else False)
        holding = [rule for rule in rules if not self._bypasses(rule.get("ruleset_id"))]
        held = {text(rule, "type") for rule in holding}
        checks = [each for rule in rules for each in listed(table(rule, "parameters").get("required_status_checks"))]
        asked = [table(rule, "parameters") for rule in rules if text(rule, "type") == "pull_request"]
        approvals = any(
            each.get("required_approving_review_count") or flag(each, "require_code_owner_review") for each in asked
        )
        closed = bool(kinds & _CLOSING)
        return Guard(
            is_protected=True,
            lets_us_push=False if held & _CLOSING else None if is_classic else True,
            lets_force=False if "non_fast_forward" in held else None if is_classic else True,
            others=() if closed else None if is_classic else ("whoever may write",),
            needs_request=closed or (None if is_classic else False),
            needs_checks=bool(checks or table(classic, "required_status_checks").get("contexts")),
            needs_approvals=approvals or (None if is_classic else False),
        )

    def _bypasses(self, ruleset: object) -> bool:
        """Whether our account may pass by a ruleset; false when GitHub does not tell."""
        if not isinstance(ruleset, int) or isinstance(ruleset, bool):
            return False
        if ruleset not in self._bypassed:
            found = self._found(f"/rulesets/{ruleset}", 403, 404)
            self._bypassed[ruleset] = text(found, "current_user_can_bypass") in {"always", "exempt"}
        return self._bypassed[ruleset]

    @cached_property
    def _bypassed(self) -> dict[int, bool]:
        return {}

    def _probes(self) -> Iterator[Probe]:
        """Yield what a token needs; GitHub looks at the right before it looks for what is named."""
        nothing = {"body": "sslops doctor"}
        yield Probe("'Contents: write'", "push and merge", lambda: self._call("POST", "/git/refs", {}))
        yield Probe(
            "'Pull requests: write'", "open and edit pull requests", lambda: self._call("PATCH", "/pulls/0", nothing)
        )
        if self.desk.token.role is Role.OPS:
            yield Probe("'Issues: write'", "keep the dashboard", lambda: self._call("PATCH", "/issues/0", nothing))

    def _excess(self, scopes: Sequence[str], permissions: Mapping[str, object]) -> tuple[str, ...]:
        """Return what nothing here needs: scopes of a classic token, and what another kind of token may look at."""
        if self.desk.token.is_of_the_job:
            return ()
        found = [each for each in scopes if each in _EXCESSIVE]
        if flag(permissions, "admin"):
            found.append("to administer the repository")
        seen = [] if scopes else [right for path, right in _EXCESS_SEEN.items() if self._may_see(path)]
        return (*found, *seen)

    def _may_see(self, path: str) -> bool:
        return self._found(f"{path}?per_page=1", 401, 403, 404) is not None

    def _pull(self, number: int) -> dict[str, Any]:
        return document(self._call("GET", f"/pulls/{number}"))

    def _method(self) -> str | None:
        """Return the best way to merge that the repository allows; it does not tell everybody."""
        if not any(key in self._settings for key in _METHODS.values()):
            return "merge"
        return next((name for name, key in _METHODS.items() if flag(self._settings, key)), None)

    def _obstacle(self, request: MergeRequest, head: str, said: str) -> Obstacle:
        """Return what a refusal to merge now means, by the state that GitHub computes (`mergeable_state`)."""
        state = _state(self._pull(request.number))
        if state == "unknown" or self.passes(said):
            return Obstacle(MergeFate.PASSES, "GitHub is still finding out whether it can be merged")
        if state == "dirty":
            return Obstacle(MergeFate.BLOCKS, "it conflicts with the target", "see the pull request")
        if state == "behind":
            why = said or "the branch is behind its target"
            return Obstacle(MergeFate.BLOCKS, why, "press 'Update branch'", is_behind=True)
        if state == "blocked":
            found = self._checks(request, head)
            return found or Obstacle(MergeFate.WAITS, said or "GitHub says it is blocked")
        return Obstacle(MergeFate.BLOCKS, said or "GitHub says it cannot be merged", "see the pull request")

    def _checks(self, request: MergeRequest, head: str) -> Obstacle | None:
        """Return what the required checks lack; null when that cannot be told, or approvals are what is missing."""
        try:
            rules = listed(self._call("GET", f"/rules/branches/{quote(request.target, safe='')}"))
            branch = self._call("GET", f"/branches/{quote(request.target, safe='')}")
            runs = listed(table(self._call("GET", f"/commits/{head}/check-runs?per_page=100")).get("check_runs"))
            statuses = listed(table(self._call("GET", f"/commits/{head}/status?per_page=100")).get("statuses"))
            commit = self._call("GET", f"/commits/{head}")
        except Refusal as refusal:
            if refusal.status in {403, 404}:
                return None
            raise
        names = [
            text(each, "context")
            for rule in rules
            for each in listed(table(rule, "parameters").get("required_status_checks"))
        ]
        classic = table(branch, "protection", "required_status_checks").get("contexts")
        names += [each for each in classic if isinstance(each, str)] if isinstance(classic, list) else []
        reported = {text(each, "context"): _STATUSES.get(text(each, "state"), CheckState.FAILED) for each in statuses}
        reported |= {text(each, "name"): _run_state(each) for each in runs}
        committed_at = moment(text(commit, "commit", "committer", "date"))
        wanted = [_literal(name) for name in names if name]
        return checks(wanted, reported, committed_at, self.desk.patience.now())

    def _graphql(self, query: str, variables: Mapping[str, str]) -> None:
        """Ask GraphQL; Refusal with its words when it says no (with HTTP 200)."""
        root = self.address.removesuffix("/v3") if self.address.endswith("/api/v3") else self.address
        found = self._rest.at(f"{root}/graphql", {"query": query, "variables": dict(variables)})
        errors = [text(each, "message") for each in listed(table(found).get("errors"))]
        if errors:
            raise Refusal(422, without_mark_up("; ".join(filter(None, errors))))

    def _read(self, facts: dict[str, Any]) -> MergeRequest:
        """Return what *facts* say, and whether it was we who turned auto-merge on."""
        request, who = _request(facts), table(facts, "auto_merge", "enabled_by")
        is_ours = text(who, "login") == self._login if self._login else text(who, "type") == "Bot"
        return replace(request, is_our_schedule=request.is_scheduled and is_ours)

    def _is_ours(self, facts: dict[str, Any]) -> bool:
        """Whether we wrote it; a token that may not ask who it is takes a bot with our marker for itself."""
        user = table(facts, "user")
        return text(user, "login") == self._login if self._login else text(user, "type") == "Bot"


_number = number
"""For methods that have a *number* of their own."""


def _request(facts: dict[str, Any]) -> MergeRequest:
    if not table(facts, "head"):
        raise ForgeError("the forge's answer is no pull request", hint="is forge the right kind?")
    ended = RequestState.MERGED if text(facts, "merged_at") else RequestState.CLOSED
    return MergeRequest(
        number=number(facts, "number"),
        url=text(facts, "html_url"),
        state=RequestState.OPEN if required(facts, "state") == "open" else ended,
        source=required(facts, "head", "ref"),
        target=required(facts, "base", "ref"),
        head=text(facts, "head", "sha") or None,
        title=text(facts, "title"),
        body=prose(facts, "body"),
        is_scheduled=bool(facts.get("auto_merge")),
        is_draft=flag(facts, "draft"),
    )


def _is_of(facts: dict[str, Any], project: str, branch: str) -> bool:
    """Whether it comes from the very repository; a fork that was deleted has no repository at all."""
    home = text(facts, "head", "repo", "full_name")
    return required(facts, "head", "ref") == branch and home.lower() == project.lower()


def _state(pull: dict[str, Any]) -> str:
    return text(pull, "mergeable_state") or "unknown"


def _run_state(run: dict[str, Any]) -> CheckState:
    if text(run, "status") != "completed":
        return CheckState.RUNNING
    return _CONCLUSIONS.get(text(run, "conclusion"), CheckState.FAILED)


def _literal(name: str) -> str:
    """Return a pattern that is *name* and nothing else: on GitHub a check is required by its name."""
    return name.replace("[", "[[]").replace("*", "[*]").replace("?", "[?]")


def is_ready(said: str) -> bool:
    """Whether GitHub refuses auto-merge because nothing is left to wait for."""
    return any(words in said.lower() for words in _READY_WORDS)
