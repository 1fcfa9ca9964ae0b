"""The whole life of merge requests on a real forge: `python -m tests.forge.conformance URL TOKEN`.

URL is the address of a GitLab, GitHub, Forgejo or Gitea, TOKEN one that may make and delete repositories (or the name
of a file with it). A private project is made, everything happens there with the clients of sslops, and it is deleted.
Each line says what was tried and what came of it; the exit code is 1 when something was not as sslops believes.
The local forge of the tests passes it too (`tests/integration/forges/test_conformance.py`).
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol
from urllib.parse import quote

import requests

from sslops.errors import ForgeError, Moved, SslopsError
from sslops.model.forges import Forge
from sslops.model.inventory import MergePolicy
from sslops.model.proposal import Kind, Merging, Proposal, RequestState, mark
from sslops.model.secret import Secret
from sslops.proposals.engine import Proposer
from sslops.proposals.forges.protection import EngineBranch, gap, stop
from sslops.proposals.forges.registry import api_address, open_forge
from sslops.proposals.forges.tokens import Role, Token
from sslops.proposals.forges.wire import ForgePatience

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sslops.model.proposal import MergeRequest
    from sslops.proposals.forges.client import Client

CHECK = "sslops"
DIGESTS = tuple("sha256:" + each * 64 for each in "abcdef")
FIRES_WITHIN_SECONDS = 90
"""How long a forge may take to merge what it was waiting for; GitLab does it in the background."""


class Admin(Protocol):
    """What a person does with the project around the requests."""

    kind: Forge
    project: str
    styles: tuple[str, ...]
    """Ways to merge that the forge has, in its own words."""

    def require_check(self, *, is_on: bool) -> None:
        """Let the branch `main` require the check CHECK, or nothing."""
        ...

    def require_approval(self, *, is_on: bool) -> bool:
        """Let the branch `main` require an approval, or none; whether this forge, or its tier, can."""
        ...

    def protect(self, branch: str, *, lets_force: bool) -> bool:
        """Let nobody but us push to *branch*, by force too if asked for; whether a rule of this forge can say so."""
        ...

    def unprotect(self, branch: str) -> None:
        """Take the rule of `protect` away."""
        ...

    def dispatch(self, inputs: dict[str, str]) -> str | None:
        """Start a workflow that has *inputs* by the API; what came of it, null where that is not tried."""
        ...

    def report(self, sha: str, state: str) -> None:
        """Let CHECK of a commit be `pending`, `success` or `failure`."""
        ...

    def allow(self, styles: Collection[str]) -> None:
        """Let the project allow these ways to merge only."""
        ...

    def push(self, branch: str, files: dict[str, str], parent: str) -> str:
        """Commit *files* on top of branch *parent*, let *branch* be that, whatever it was, and return the commit."""
        ...

    def head(self, branch: str) -> str:
        """Return where a branch is."""
        ...


@dataclass
class Life:
    """One project on one forge, and the client of the token for it."""

    admin: Admin
    client: Client
    sleep: Callable[[float], None] = time.sleep
    reader: Client | None = None
    """A client whose token only reads, if there is one."""
    said: list[str] = field(default_factory=list)
    """Measurements: what the forge did where sslops does not depend on it."""
    _count: int = 0

    def proposed(self, kind: Kind = Kind.TLSA, path: str | None = None) -> str:
        """Push a new commit to the branch of *kind*, one ahead of main, and return it."""
        self._count += 1
        return self.admin.push(kind.branch, {path or f"file{self._count}": f"{secrets.token_hex(8)}\n"}, "main")

    def proposal(self, head: str, kind: Kind = Kind.TLSA, digest: str = DIGESTS[0]) -> Proposal:
        """Return what the engine would ask for."""
        return Proposal(kind, "main", head, digest, "Records", f"What changes.\n\n{mark(digest)}")

    def opened(self, kind: Kind = Kind.TLSA) -> tuple[MergeRequest, str]:
        """Open a request with a new commit, and return it with that."""
        head = self.proposed(kind)
        return self.client.open(self.proposal(head, kind)), head

    def proposer(self, policy: MergePolicy, kind: Kind = Kind.TLSA) -> Proposer:
        """Return the engine for requests of *kind*."""
        return Proposer(lambda: self.client, kind, "main", policy)

    def cleared(self) -> None:
        """Close what is open, and require nothing."""
        self.admin.allow(self.admin.styles)
        self.admin.require_check(is_on=False)
        self.admin.require_approval(is_on=False)
        for kind in Kind:
            self.proposer(MergePolicy.REVIEW, kind).withdraw()

    def shown(self, kind: Kind = Kind.TLSA) -> MergeRequest:
        """Return the newest request of *kind*."""
        return self.client.requests(kind, "main")[0]

    def becomes(self, state: RequestState, seconds: float = FIRES_WITHIN_SECONDS) -> bool:
        """Whether the newest request comes to be in *state* within a bounded time."""
        waited = 0.0
        while self.shown().state is not state and waited < seconds:
            self.sleep(1.0)
            waited += 1.0
        return self.shown().state is state


def the_same(expected: object, actual: object, what: str = "") -> None:
    """Fail unless both are equal."""
    if expected != actual:
        raise AssertionError(f"{what or 'it'} is {actual!r}, and was to be {expected!r}")


def nothing_is_there(life: Life) -> None:
    """A project without requests, issues and comments: whatever its lists are."""
    the_same([], list(life.client.requests(Kind.TLSA, "main")))


def a_request_is_opened_found_and_changed(life: Life) -> None:
    """Opened once, found, edited, said something below, closed; closed it is still found, with its digest."""
    request, head = life.opened()
    again = life.client.open(life.proposal(head, digest=DIGESTS[1]))
    the_same(request.number, again.number, "the number of a request that is opened twice")
    life.client.edit(request, title="New", body=f"New\r\n\n{mark(DIGESTS[2])}")
    life.client.comment(request, "The plan changed.")
    first, second = (life.client.put_remark(request.number, "<!-- m -->", "one <!-- m -->") for _ in range(2))
    the_same((True, False), (first, second), "whether a remark was written")
    shown = life.shown()
    the_same((head, "New", DIGESTS[2], RequestState.OPEN), (shown.head, shown.title, shown.digest, shown.state))
    life.client.close(request)
    the_same((RequestState.CLOSED, DIGESTS[2]), (life.shown().state, life.shown().digest))


def the_dashboard_is_one_issue(life: Life) -> None:
    """Made once, then brought up to date."""
    made = [life.client.put_issue("<!-- d -->", "Title", f"{text} <!-- d -->") for text in ("one", "one", "two")]
    the_same([True, False, True], made, "whether an issue was written")


def many_comments_have_pages(life: Life) -> None:
    """A comment of ours is found behind sixty others."""
    request, _ = life.opened()
    life.client.put_remark(request.number, "<!-- n -->", "first <!-- n -->")
    for number in range(60):
        life.client.comment(request, f"comment {number}")
    the_same(False, life.client.put_remark(request.number, "<!-- n -->", "first <!-- n -->"), "whether it was written")


def with_nothing_to_wait_for_it_is_merged_at_once(life: Life) -> None:
    """By the first call."""
    request, head = life.opened()
    the_same(Merging.MERGED, life.client.merge(request, head).merging)
    the_same(RequestState.MERGED, life.shown().state)


def another_commit_is_not_merged(life: Life) -> None:
    """The branch was moved after the decision."""
    request, head = life.opened()
    base = life.admin.head("main")
    life.proposed()
    try:
        answer = life.client.merge(request, head)
    except Moved:
        the_same(base, life.admin.head("main"), "main")
        return
    raise AssertionError(f"it was not refused: {answer}")


def a_running_check_is_waited_for(life: Life) -> None:
    """Scheduled, asked again, scheduled still; merged when the check is green."""
    life.admin.require_check(is_on=True)
    request, head = life.opened()
    life.admin.report(head, "pending")
    first = life.client.merge(request, head)
    second = life.client.merge(request, head)
    the_same([Merging.SCHEDULED] * 2, [first.merging, second.merging], f"what it said ({first.why}; {second.why})")
    life.said.append(f"what is waited for: {first.why}")
    life.admin.report(head, "success")
    fired = life.becomes(RequestState.MERGED)
    life.said.append(f"the schedule {'fired' if fired else 'did not fire'} when the check became green")
    the_same(Merging.MERGED, life.client.merge(request, head).merging)


def what_was_green_before_is_merged(life: Life) -> None:
    """Nothing comes later that could set a schedule off."""
    life.admin.require_check(is_on=True)
    request, head = life.opened()
    life.admin.report(head, "success")
    the_same(Merging.MERGED, life.client.merge(request, head).merging)


def a_failed_check_blocks(life: Life) -> None:
    """With a cause, and what to do."""
    life.admin.require_check(is_on=True)
    request, head = life.opened()
    life.admin.report(head, "failure")
    answer = life.client.merge(request, head)
    life.said.append(f"why it is blocked: {answer.why}")
    the_same(Merging.BLOCKED, answer.merging)


def a_conflict_blocks(life: Life) -> None:
    """After the bounded time in which a forge may say "try again later"."""
    life.admin.push("main", {"conflict": "theirs\n"}, "main")
    parent = life.admin.head("main")
    head = life.proposed(path="conflict")
    life.admin.push("main", {"conflict": "theirs, again\n"}, parent)
    request = life.client.open(life.proposal(head))
    answer = life.client.merge(request, head)
    life.said.append(f"why it is blocked: {answer.why}")
    the_same(Merging.BLOCKED, answer.merging)


def a_draft_is_seen(life: Life) -> None:
    """By the mark that a person puts before its title."""
    if life.admin.kind is Forge.GITHUB:
        return
    request, _ = life.opened()
    life.client.edit(
        request, title="WIP: Records" if life.admin.kind is not Forge.GITLAB else "Draft: Records", body=""
    )
    the_same(True, life.shown().is_draft)


def a_schedule_is_taken_back_before_a_push(life: Life) -> None:
    """What is pushed then is merged by nobody, although its check is green at once."""
    life.admin.require_check(is_on=True)
    request, head = life.opened()
    life.admin.report(head, "pending")
    the_same(Merging.SCHEDULED, life.client.merge(request, head).merging)
    life.proposer(MergePolicy.AUTO).unschedule()
    pushed = life.proposed()
    life.admin.report(pushed, "success")
    the_same(False, life.becomes(RequestState.MERGED, 10), "whether it was merged")
    life.proposer(MergePolicy.AUTO).unschedule()


def a_schedule_survives_a_push(life: Life) -> None:
    """Measured only: whether the other order would merge what nobody saw."""
    life.admin.require_check(is_on=True)
    request, head = life.opened()
    life.admin.report(head, "pending")
    life.client.merge(request, head)
    pushed = life.proposed()
    life.admin.report(pushed, "success")
    merged = life.becomes(RequestState.MERGED, 20)
    life.said.append(f"a schedule that is not taken back {'merges' if merged else 'does not merge'} a later push")


def a_policy_that_is_review_now_takes_the_schedule_back(life: Life) -> None:
    """By the engine: asked under auto, proposed again under review, then green."""
    life.admin.require_check(is_on=True)
    head = life.proposed()
    life.admin.report(head, "pending")
    stated = life.proposer(MergePolicy.AUTO).propose(life.proposal(head))
    the_same(Merging.SCHEDULED, stated.answer and stated.answer.merging)
    stated = life.proposer(MergePolicy.REVIEW).propose(life.proposal(head))
    the_same(None, stated.answer)
    life.admin.report(head, "success")
    the_same(False, life.becomes(RequestState.MERGED, 10), "whether it was merged")


def each_way_to_merge_alone_is_taken(life: Life) -> None:
    """Whichever one the project allows."""
    for style in life.admin.styles:
        life.admin.allow((style,))
        request, head = life.opened()
        answer = life_again(life).merge(request, head)
        the_same(Merging.MERGED, answer.merging, f"what came of '{style}' ({answer.why})")


def a_branch_that_is_behind_is_told(life: Life) -> None:
    """Where fast-forward is the only way to merge, and the target moved on: it has to be made anew."""
    style = {Forge.GITLAB: "ff", Forge.FORGEJO: "fast-forward-only", Forge.GITEA: "fast-forward-only"}
    if style.get(life.admin.kind) not in life.admin.styles:
        return
    life.admin.allow((style[life.admin.kind],))
    request, head = life.opened()
    life.admin.push("main", {"meanwhile": "moved\n"}, "main")
    answer = life_again(life).merge(request, head)
    life.said.append(f"why it is not merged: {answer.why}")
    the_same((Merging.BLOCKED, True), (answer.merging, answer.is_behind))
    anew = life.proposed()
    the_same(Merging.MERGED, life_again(life).merge(request, anew).merging, "once it was made anew, it")


def a_closed_request_declines(life: Life) -> None:
    """By the engine; forced, it is asked for again."""
    head = life.proposed()
    stated = life.proposer(MergePolicy.REVIEW).propose(life.proposal(head, digest=DIGESTS[3]))
    life.client.close(stated.request)
    again = life.proposer(MergePolicy.REVIEW).propose(life.proposal(head, digest=DIGESTS[3]))
    the_same((True, stated.request.number), (again.is_declined, again.request.number))
    forced = Proposer(lambda: life.client, Kind.TLSA, "main", MergePolicy.REVIEW, force=True)
    the_same(RequestState.OPEN, forced.propose(life.proposal(head, digest=DIGESTS[3])).request.state)


def a_missing_approval_is_waited_for(life: Life) -> None:
    """Scheduled, with what is missing; merged when nothing is asked for any more."""
    if not life.admin.require_approval(is_on=True):
        life.said.append("approvals cannot be required here")
        return
    request, head = life.opened()
    answer = life.client.merge(request, head)
    life.said.append(f"what is waited for: {answer.why}")
    the_same(Merging.SCHEDULED, answer.merging)
    life.admin.require_approval(is_on=False)
    the_same(Merging.MERGED, life.client.merge(request, head).merging, "without the rule it")


LEDGER, REWRITTEN = EngineBranch("ledger", is_rewritten=False), EngineBranch(Kind.TLSA.branch)


def rules(life: Life, branch: EngineBranch) -> tuple[str | None, str | None]:
    """Return what doctor says of the rules of *branch*: what lets others in, what stops us."""
    ((told, guard),) = life_again(life).api.standing("main", (branch,)).engine
    return gap(guard, told), stop(guard, told)


def the_rules_of_a_branch_are_told(life: Life) -> None:
    """None at all, and one that is for us alone."""
    life.admin.push(LEDGER.name, {"ledger": "one\n"}, "main")
    the_same("no rule: whoever may write to the project pushes there", rules(life, LEDGER)[0], "without a rule it")
    life.admin.protect(LEDGER.name, lets_force=False)
    try:
        the_same((None, None), rules(life, LEDGER), "with the rule of the guide it")
        life.admin.push(LEDGER.name, {"ledger": "two\n"}, LEDGER.name)
    finally:
        life.admin.unprotect(LEDGER.name)


def a_rule_that_forbids_force_is_told_and_stops(life: Life) -> None:
    """On a branch that the engine rewrites."""
    life.proposed()
    life.admin.protect(REWRITTEN.name, lets_force=False)
    try:
        the_same("a rule that forbids force pushes", rules(life, REWRITTEN)[1])
        try:
            life.proposed()
        except SslopsError as error:
            life.said.append(f"what the forge says: {' '.join(error.what.split())[-160:]}")
        else:
            raise AssertionError("it was pushed to by force")
    finally:
        life.admin.unprotect(REWRITTEN.name)


def a_rule_that_allows_force_lets_the_engine_work(life: Life) -> None:
    """Where the forge has such rules."""
    life.proposed()
    if not life.admin.protect(REWRITTEN.name, lets_force=True):
        life.said.append("no rule here can allow force pushes")
        return
    try:
        the_same((None, None), rules(life, REWRITTEN))
        life.proposed()
    finally:
        life.admin.unprotect(REWRITTEN.name)


def the_token_is_judged(life: Life) -> None:
    """Nothing of what is needed is lacking, and nothing was changed by finding that out."""
    before = (life.admin.head("main"), len(life.client.requests(Kind.TLSA, "main")))
    standing = life.client.api.standing("main", ())
    the_same([], [each.right for each in standing.lacks], "what is lacking")
    the_same(before, (life.admin.head("main"), len(life.client.requests(Kind.TLSA, "main"))), "the project")
    life.said.append(f"what it has for no use: {', '.join(standing.excess) or 'nothing that shows'}")


def a_token_that_only_reads_is_told(life: Life) -> None:
    """By `--reader`: each right that is missing, and the push."""
    reader = life.reader
    if reader is None:
        life.said.append("no --reader was given")
        return
    standing = reader.api.standing("main", ())
    lacks = [*(["to propose"] if standing.can_propose is False else []), *(each.right for each in standing.lacks)]
    life.said.append(f"what is lacking: {', '.join(lacks)}")
    the_same(True, bool(lacks), "whether anything is lacking")


def a_workflow_is_started_by_the_api(life: Life) -> None:
    """With the inputs of the form; measured only, since what a runner makes of them needs one."""
    said = life.admin.dispatch({"targets": "example.com:mail-ec", "force": "true"})
    life.said.append("not tried here" if said is None else said)


LIVES: tuple[Callable[[Life], None], ...] = (
    nothing_is_there,
    a_request_is_opened_found_and_changed,
    the_dashboard_is_one_issue,
    many_comments_have_pages,
    with_nothing_to_wait_for_it_is_merged_at_once,
    another_commit_is_not_merged,
    a_running_check_is_waited_for,
    what_was_green_before_is_merged,
    a_failed_check_blocks,
    a_conflict_blocks,
    a_draft_is_seen,
    a_schedule_is_taken_back_before_a_push,
    a_schedule_survives_a_push,
    a_policy_that_is_review_now_takes_the_schedule_back,
    each_way_to_merge_alone_is_taken,
    a_branch_that_is_behind_is_told,
    a_closed_request_declines,
    a_missing_approval_is_waited_for,
    the_rules_of_a_branch_are_told,
    a_rule_that_forbids_force_is_told_and_stops,
    a_rule_that_allows_force_lets_the_engine_work,
    the_token_is_judged,
    a_token_that_only_reads_is_told,
    a_workflow_is_started_by_the_api,
)


def life_again(life: Life) -> Client:
    """Return a client that has not read the project's settings yet, as a new run's has not."""
    desk = life.client.desk
    return type(life.client)(desk, type(life.client.api)(desk, life.client.api.address))  # type: ignore[attr-defined, call-arg]


def tried(life: Life, one: Callable[[Life], None]) -> str | None:
    """Live *one*; return what was not as believed, null when all was."""
    try:
        life.cleared()
        one(life)
    except (AssertionError, SslopsError) as error:
        return error.render() if isinstance(error, SslopsError) else str(error)
    except Exception:  # noqa: BLE001  (a program for people far away: whatever it is, they send it to us)
        return traceback.format_exc()
    return None


# A real forge, and the person at it.


@dataclass
class Remote:
    """A project on a real forge, changed by its API with *token*, and by git in *folder*."""

    kind: Forge
    url: str
    token: str
    project: str
    folder: Path
    styles: tuple[str, ...] = ()

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Return the JSON of an answer; ForgeError when it is a refusal."""
        scheme = "token" if self.kind in {Forge.FORGEJO, Forge.GITEA} else "Bearer"
        headers = {"Authorization": f"{scheme} {self.token}", "Accept": "application/json"}
        answer = requests.request(
            method, f"{api_address(self.kind, self.url)}{path}", json=body, headers=headers, timeout=60
        )
        if not answer.ok:
            raise ForgeError(f"{method} {path}: HTTP {answer.status_code}: {answer.text[:300]}")
        return answer.json() if answer.content else None

    def push(self, branch: str, files: dict[str, str], parent: str) -> str:
        """Commit and push with force, as a person whose rule allows it."""
        self._clone()
        self._git("fetch", "--quiet", "origin")
        at = parent if len(parent) == 40 else f"origin/{parent}"
        self._git("checkout", "--quiet", "--detach", at)
        for path, text in files.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_text(text)
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", "--message", f"Change {', '.join(files)}")
        self._git("push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{branch}")
        return self._git("rev-parse", "HEAD")

    def head(self, branch: str) -> str:
        """Return where a branch is, asked by git."""
        self._clone()
        return self._git("ls-remote", "origin", f"refs/heads/{branch}").split()[0]

    def _clone(self) -> None:
        if not (self.folder / ".git").exists():
            self._git("clone", "--quiet", f"{self.url}/{self.project}.git", ".")

    def _git(self, *words: str) -> str:
        helper = f"!f() {{ echo username={self.kind.row.git_user}; echo password=$CONFORMANCE_TOKEN; }}; f"
        who = ("-c", "user.name=sslops", "-c", "user.email=sslops@example.com", "-c", f"credential.helper={helper}")
        environment = os.environ | {"CONFORMANCE_TOKEN": self.token, "GIT_TERMINAL_PROMPT": "0"}
        done = subprocess.run(
            ["git", *who, *words], cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ForgeError(f"git {words[0]}: {done.stderr.strip()[-300:]}")
        return done.stdout.strip()


WORKFLOW = """\
on:
  workflow_dispatch:
    inputs:
      targets: { type: string, default: "" }
      force: { type: boolean, default: false }
jobs:
  none:
    runs-on: nobody-has-this-label
    steps:
      - run: "true"
"""


class GiteaRemote(Remote):
    """On Gitea or Forgejo."""

    _KEYS: ClassVar = {
        "merge": "allow_merge_commits",
        "fast-forward-only": "allow_fast_forward_only_merge",
        "rebase-merge": "allow_rebase_explicit",
        "rebase": "allow_rebase",
        "squash": "allow_squash_merge",
    }

    def make(self) -> str:
        """Make the project and return what the server says of itself."""
        name = self.project.partition("/")[2]
        made = self.call("POST", "/user/repos", {"name": name, "auto_init": True, "default_branch": "main"})
        self.project, self.styles = made["full_name"], tuple(key for key, each in self._KEYS.items() if each in made)
        self.call("PATCH", f"/repos/{self.project}", {"private": True})
        return f"{self.kind.label} {self.call('GET', '/version')['version']}"

    def delete(self) -> None:
        """Delete it."""
        self.call("DELETE", f"/repos/{self.project}")

    def require_check(self, *, is_on: bool) -> None:
        """By a rule for main that everybody may push to."""
        path = f"/repos/{self.project}/branch_protections"
        rules = [each["rule_name"] for each in self.call("GET", path) or ()]
        if "main" in rules:
            self.call("DELETE", f"{path}/main")
        if is_on:
            rule = {"rule_name": "main", "branch_name": "main", "enable_push": True, "enable_status_check": True}
            self.call("POST", path, rule | {"status_check_contexts": [CHECK]})

    def require_approval(self, *, is_on: bool) -> bool:
        """By the same rule, which `require_check` takes away."""
        if is_on:
            rule = {"rule_name": "main", "branch_name": "main", "enable_push": True, "required_approvals": 1}
            self.call("POST", f"/repos/{self.project}/branch_protections", rule)
        else:
            self.require_check(is_on=False)
        return True

    def protect(self, branch: str, *, lets_force: bool) -> bool:
        """By a rule that names us."""
        me = self.project.partition("/")[0]
        rule = {"rule_name": branch, "branch_name": branch, "enable_push": True, "enable_push_whitelist": True}
        rule |= {"push_whitelist_usernames": [me]}
        if lets_force:
            rule |= {"enable_force_push": True, "enable_force_push_allowlist": True}
            rule |= {"force_push_allowlist_usernames": [me]}
        made = self.call("POST", f"/repos/{self.project}/branch_protections", rule)
        if lets_force and not made.get("enable_force_push"):
            self.unprotect(branch)
            return False
        return True

    def unprotect(self, branch: str) -> None:
        """By its name."""
        self.call("DELETE", f"/repos/{self.project}/branch_protections/{quote(branch, safe='')}")

    def dispatch(self, inputs: dict[str, str]) -> str | None:
        """By the API of Actions, where they are on."""
        folder = ".forgejo" if self.kind is Forge.FORGEJO else ".gitea"
        self.push("main", {f"{folder}/workflows/form.yml": WORKFLOW}, "main")
        return _dispatched(self, inputs)

    def report(self, sha: str, state: str) -> None:
        """By a commit status."""
        self.call("POST", f"/repos/{self.project}/statuses/{sha}", {"state": state, "context": CHECK})

    def allow(self, styles: Collection[str]) -> None:
        """By the settings of the repository."""
        wish = {self._KEYS[each]: each in styles for each in self.styles}
        # Without `has_pull_requests` the server answers 200 and changes none of it.
        more = {"has_pull_requests": True, "default_merge_style": next(iter(styles))}
        made = self.call("PATCH", f"/repos/{self.project}", wish | more)
        the_same(wish, {key: made[key] for key in wish}, "the ways to merge that are allowed")


class GitHubRemote(Remote):
    """On GitHub."""

    _KEYS: ClassVar = {"merge": "allow_merge_commit", "rebase": "allow_rebase_merge", "squash": "allow_squash_merge"}

    def make(self) -> str:
        """Make the project and return what the server says of itself."""
        name = self.project.partition("/")[2]
        # Private ones have neither protected branches nor auto-merge on the free plan.
        made = self.call("POST", "/user/repos", {"name": name, "auto_init": True, "allow_auto_merge": True})
        self.project, self.styles = made["full_name"], tuple(self._KEYS)
        return "GitHub"

    def delete(self) -> None:
        """Delete it."""
        self.call("DELETE", f"/repos/{self.project}")

    def require_check(self, *, is_on: bool) -> None:
        """By a classic protection of main."""
        path = f"/repos/{self.project}/branches/main/protection"
        if not is_on:
            if self.call("GET", f"/repos/{self.project}/branches/main")["protected"]:
                self.call("DELETE", path)
            return
        checks = {"strict": False, "contexts": [CHECK]}
        rule = {"required_status_checks": checks, "enforce_admins": True, "restrictions": None}
        self.call("PUT", path, rule | {"required_pull_request_reviews": None})

    def require_approval(self, *, is_on: bool) -> bool:
        """By the classic protection too, which `require_check` takes away."""
        if not is_on:
            self.require_check(is_on=False)
            return True
        rule = {"required_status_checks": None, "enforce_admins": True, "restrictions": None}
        reviews = {"required_pull_request_reviews": {"required_approving_review_count": 1}}
        self.call("PUT", f"/repos/{self.project}/branches/main/protection", rule | reviews)
        return True

    def protect(self, branch: str, *, lets_force: bool) -> bool:
        """By rulesets, as the guide says: administrators, whom we are one of, pass by the first."""
        kinds = ["update", "deletion"]
        passes = [{"actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "always"}]
        self._ruleset(branch, kinds, passes)
        if not lets_force:
            self._ruleset(branch, ["non_fast_forward"], [])
        return True

    def _ruleset(self, branch: str, kinds: list[str], passes: list[dict[str, object]]) -> None:
        where = {"ref_name": {"include": [f"refs/heads/{branch}"], "exclude": []}}
        rule = {"name": f"{branch} {kinds[0]}", "target": "branch", "enforcement": "active", "conditions": where}
        rules = [{"type": kind} for kind in kinds]
        self.call("POST", f"/repos/{self.project}/rulesets", rule | {"rules": rules, "bypass_actors": passes})

    def unprotect(self, branch: str) -> None:
        """By their names."""
        for each in self.call("GET", f"/repos/{self.project}/rulesets"):
            if each["name"].startswith(f"{branch} "):
                self.call("DELETE", f"/repos/{self.project}/rulesets/{each['id']}")

    def dispatch(self, inputs: dict[str, str]) -> str | None:
        """By the API of Actions; the token needs to be one that may write workflows."""
        self.push("main", {".github/workflows/form.yml": WORKFLOW}, "main")
        return _dispatched(self, inputs)

    def report(self, sha: str, state: str) -> None:
        """By a commit status."""
        self.call("POST", f"/repos/{self.project}/statuses/{sha}", {"state": state, "context": CHECK})

    def allow(self, styles: Collection[str]) -> None:
        """By the settings of the repository."""
        self.call("PATCH", f"/repos/{self.project}", {key: each in styles for each, key in self._KEYS.items()})


class GitLabRemote(Remote):
    """On GitLab."""

    @property
    def _path(self) -> str:
        return f"/projects/{quote(self.project, safe='')}"

    def make(self) -> str:
        """Make the project and return what the server says of itself."""
        name = self.project.partition("/")[2]
        wish = {"name": name, "visibility": "private", "initialize_with_readme": True, "default_branch": "main"}
        made = self.call("POST", "/projects", wish | {"auto_devops_enabled": False})
        self.project, self.styles = made["path_with_namespace"], ("merge", "rebase_merge", "ff")
        # No file says what to run: pipelines come from the reports, from outside.
        self.call("PATCH", f"{self._path}/protected_branches/main", {"allow_force_push": True})
        return f"GitLab {self.call('GET', '/version')['version']}"

    def delete(self) -> None:
        """Delete it."""
        self.call("DELETE", self._path)

    def require_check(self, *, is_on: bool) -> None:
        """By the setting that pipelines must succeed."""
        self.call("PUT", self._path, {"only_allow_merge_if_pipeline_succeeds": is_on})

    def require_approval(self, *, is_on: bool) -> bool:
        """By an approval rule, which needs a tier that has them."""
        path = f"{self._path}/approval_rules"
        try:
            for each in self.call("GET", path) or ():
                self.call("DELETE", f"{path}/{each['id']}")
            if is_on:
                self.call("POST", path, {"name": "one", "approvals_required": 1})
        except ForgeError:
            return False
        return True

    def protect(self, branch: str, *, lets_force: bool) -> bool:
        """By a protected branch; every tier can name roles, and we are the only member."""
        rule = {"name": branch, "push_access_level": 40, "merge_access_level": 40, "allow_force_push": lets_force}
        self.call("POST", f"{self._path}/protected_branches", rule)
        return True

    def unprotect(self, branch: str) -> None:
        """By its name."""
        self.call("DELETE", f"{self._path}/protected_branches/{quote(branch, safe='')}")

    def dispatch(self, inputs: dict[str, str]) -> str | None:  # noqa: ARG002  (what it needs is a pipeline of its own)
        """Not tried: a pipeline would be in the way of the others' statuses."""
        return None

    def report(self, sha: str, state: str) -> None:
        """By a commit status, which is a job of an external pipeline."""
        states = {"failure": "failed"}
        wish = {"state": states.get(state, state), "name": CHECK, "ref": Kind.TLSA.branch}
        self.call("POST", f"{self._path}/statuses/{sha}", wish)

    def allow(self, styles: Collection[str]) -> None:
        """By the merge method of the project."""
        self.call("PUT", self._path, {"merge_method": next(iter(styles))})


def _dispatched(remote: Remote, inputs: dict[str, str]) -> str:
    path = f"/repos/{remote.project}/actions/workflows/form.yml/dispatches"
    found = "the forge did not find the workflow"
    for _ in range(10):  # a forge needs a moment to see a new file
        try:
            remote.call("POST", path, {"ref": "main", "inputs": inputs})
        except ForgeError as error:
            found = f"not started: {' '.join(error.what.split())[-160:]}"
            time.sleep(1)
        else:
            return "started"
    return found


REMOTES: dict[Forge, type[GiteaRemote | GitHubRemote | GitLabRemote]] = {
    Forge.GITEA: GiteaRemote,
    Forge.FORGEJO: GiteaRemote,
    Forge.GITHUB: GitHubRemote,
    Forge.GITLAB: GitLabRemote,
}


def recognised(url: str) -> Forge:
    """Return which forge is at *url*; ForgeError when none that we know."""
    if url == "https://github.com":
        return Forge.GITHUB
    answer = requests.get(f"{url}/api/v1/version", timeout=60)
    if answer.ok and "version" in answer.text:
        return Forge.FORGEJO if "+gitea" in answer.text else Forge.GITEA
    for forge, path in ((Forge.GITLAB, "/api/v4/version"), (Forge.GITHUB, "/api/v3/meta")):
        if requests.get(url + path, timeout=60).status_code in {200, 401, 403}:
            return forge
    raise ForgeError(f"no forge is known at {url}", hint="--kind gitlab, github, forgejo or gitea")


def main() -> int:
    """Live every life once."""
    parser = argparse.ArgumentParser(prog="python -m tests.forge.conformance", description=__doc__)
    parser.add_argument("url", metavar="URL")
    parser.add_argument("token", metavar="TOKEN", help="or the name of a file that holds it")
    parser.add_argument("--kind", choices=[str(each) for each in Forge])
    parser.add_argument(
        "--reader", metavar="TOKEN", default="", help="one of the same account that only reads, or its file"
    )
    parser.add_argument("--keep", action="store_true", help="leave the project there")
    parser.add_argument("--only", default="", help="only what has this in its name")
    chosen = parser.parse_args()
    url = chosen.url.rstrip("/")
    token, reader = (_of_file(each) for each in (chosen.token, chosen.reader))
    kind = Forge.of(chosen.kind) if chosen.kind else recognised(url)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="sslops-conformance-") as folder:
        name = f"me/sslops-conformance-{secrets.token_hex(4)}"
        remote = REMOTES[kind](kind, url, token, name, Path(folder))
        print(f"{remote.make()} at {url}: {remote.project}", flush=True)
        try:
            failed = sum(_lived(remote, one, reader) for one in LIVES if chosen.only in one.__name__)
        finally:
            if not chosen.keep:
                remote.delete()
    print(f"{failed} not as believed")
    return int(failed > 0)


def _of_file(token: str) -> str:
    """Return the token, or what is in the file of that name."""
    return Path(token).read_text().strip() if token and Path(token).is_file() else token


def _lived(remote: GiteaRemote | GitHubRemote | GitLabRemote, one: Callable[[Life], None], reader: str) -> bool:
    """Live one life, print what came of it, and return whether something was not as believed."""
    patience = ForgePatience(lambda: datetime.now(UTC), time.sleep)

    def client(secret: str) -> Client:
        token = Token(Role.DNS, Secret(secret.encode(), "forge token"), "TOKEN")
        return open_forge(remote.kind, remote.project, token, remote.url, patience)

    life = Life(remote, client(remote.token), reader=client(reader) if reader else None)
    began = time.monotonic()
    trouble = tried(life, one)
    print(f"{'ok' if trouble is None else 'NOT'}  {one.__name__}  ({time.monotonic() - began:.0f} s)", flush=True)
    for line in life.said + ([] if trouble is None else trouble.splitlines()):
        print(f"      {line}", flush=True)
    return trouble is not None


if __name__ == "__main__":
    sys.exit(main())
