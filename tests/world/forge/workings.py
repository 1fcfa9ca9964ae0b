"""What a forge does by itself with the requests, issues and checks of one project."""

from __future__ import annotations

import itertools
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from tests.world.forge.merging import land
from tests.world.forge.protection import Protection, Status, Unmet
from tests.world.forge.repository import NOTHING, Conflict, Raced, Repository
from tests.world.forge.requests import AutoMerge, Check, Comment, Event, Issue, MergeRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    from tests.world.forge.forge import Forge
    from tests.world.forge.people import User

_counted = itertools.count(1000)


def count() -> int:
    """Return an identity that nothing on any project has yet, so that nobody mistakes one for a request's number."""
    return next(_counted)


class Workings:
    """The state of one project and the rules by which it changes; a `Project` is this with people."""

    def __init__(self, forge: Forge, name: str, folder: Path) -> None:
        """Make the repository in *folder*."""
        self.forge = forge
        self.manners = forge.manners
        self.name = name
        self.number = count()
        self.repository = Repository(folder)
        self.default_branch = "main"
        self.protections: dict[str, Protection] = {"main": Protection()}
        self.merge_methods: set[str] = set(self.manners.methods)
        self.fast_forwards = False
        """GitLab's merge method "fast-forward merge"."""
        self.allows_auto_merge = True
        self.ci_config_path: str | None = None
        """GitLab's setting that lets another project or branch say what pipelines run."""
        self.deletes_merged_branches = False
        self._requests: dict[int, MergeRequest] = {}
        self.issues: dict[int, Issue] = {}
        self.checks: list[Check] = []
        self.watchers: list[Callable[[str], None]] = []
        """Told the name of every branch that was pushed to, merged into or deleted, right after it happened."""
        self.pushes: list[tuple[str, str, str, str]] = []
        """Every accepted change of a ref by a push: (user, ref, old, new)."""

    @property
    def path(self) -> Path:
        """The bare repository, to push to over the file system as nobody in particular."""
        return self.repository.path

    @property
    def http_url(self) -> str:
        """The clone URL over http, without credentials."""
        return f"{self.forge.url}/{self.name}.git"

    @property
    def web_url(self) -> str:
        """Where a person looks at it."""
        return f"{self.forge.url}/{self.name}"

    def requests(self) -> list[MergeRequest]:
        """Return every request, newest first."""
        with self.forge.lock:
            return sorted(self._requests.values(), key=lambda request: -request.number)

    def request(self, number: int) -> MergeRequest:
        """Return request *number*; KeyError when there is none."""
        return self._requests[number]

    def protection(self, branch: str = "main") -> Protection:
        """Return the rules of *branch*, to be changed in place; a branch without any gets the usual ones."""
        return self.protections.setdefault(branch, Protection())

    def rules_of(self, branch: str) -> Protection | None:
        """Return the rules that are in force for *branch*, by its name or by a pattern; null when there are none."""
        found = self.protections.get(branch)
        return found or next((each for name, each in self.protections.items() if fnmatchcase(branch, name)), None)

    @property
    def now(self) -> datetime:
        """The forge's clock."""
        return self.forge.clock()

    def open(
        self, user: User, source: str, target: str, title: str, body: str, *, is_draft: bool = False
    ) -> MergeRequest:
        """Open a request; its branches must be there."""
        now, number = self.now, self._next_number(self._requests)
        request = MergeRequest(number, count(), user, title, body, now, now)
        request.source, request.target, request.is_draft = source, target, is_draft
        request.head = self.repository.head(source) or ""
        request.unsettled = self.manners.unsettled_merges
        self._requests[number] = request
        self._keep_head(request)
        return request

    def open_issue(self, user: User, title: str, body: str, labels: Iterable[str] = ()) -> Issue:
        """Open an issue."""
        now, number = self.now, self._next_number(self.issues)
        self.issues[number] = Issue(number, count(), user, title, body, now, now, labels=tuple(labels))
        return self.issues[number]

    def _next_number(self, kind: dict[int, MergeRequest] | dict[int, Issue]) -> int:
        if self.manners.shares_numbers:
            return len(self._requests) + len(self.issues) + 1
        return len(kind) + 1

    def add_comment(self, below: Issue, user: User, text: str) -> Comment:
        """Add a comment of *user*."""
        now = self.now
        made = Comment(count(), user, text, now, now)
        below.comments.append(made)
        return made

    def set_open(self, issue: Issue, user: User, *, is_open: bool) -> None:
        """Close or reopen; a merged request stays as it is."""
        if (isinstance(issue, MergeRequest) and issue.is_merged) or issue.is_open == is_open:
            return
        issue.is_open, issue.updated_at = is_open, self.now
        self.note(issue, "reopen" if is_open else "close", user)
        issue.closed_at, issue.closed_by = (None, None) if is_open else (self.now, user)
        if isinstance(issue, MergeRequest):
            issue.auto_merge = None
            if is_open:
                issue.head = self.repository.head(issue.source) or issue.head

    def find(self, source: str, target: str | None = None, *, is_open: bool = True) -> MergeRequest | None:
        """Return the newest (open) request from *source* (into *target*)."""
        found = (
            request
            for request in self.requests()
            if request.source == source and target in {None, request.target} and (request.is_open or not is_open)
        )
        return next(found, None)

    def unmet(self, request: MergeRequest) -> list[Unmet]:
        """Return what stands between *request* and its merge."""
        if not request.is_open:
            return [Unmet.CLOSED]
        store, rules = self.repository, self.protections.get(request.target, Protection())
        base = store.head(request.target)
        if store.head(request.source) is None or base is None:
            return [Unmet.GONE]
        missing = [Unmet.DRAFT] if self.manners.is_draft(request) else []
        if store.contains(base, request.head):
            missing.append(Unmet.EMPTY)
        elif not self.is_mergeable(request):
            missing.append(Unmet.CONFLICT)
        if len(request.approvals) < rules.required_approvals:
            missing.append(Unmet.APPROVALS)
        if rules.required_checks and not self.are_checks_good(request.head, rules.required_checks):
            missing.append(Unmet.CHECKS)
        if rules.signed_commits and not self.forge.admission.are_signed(self, f"{base}..{request.head}"):
            missing.append(Unmet.UNSIGNED)
        return missing

    def is_mergeable(self, request: MergeRequest) -> bool:
        """Whether git finds a merge by itself."""
        base = self.repository.head(request.target)
        try:
            return base is not None and bool(self.repository.merged_tree(base, request.head))
        except Conflict:
            return False

    def checks_of(self, sha: str) -> dict[str, Check]:
        """Return the newest result of every check of a commit."""
        return {check.name: check for check in self.checks if check.sha == sha}

    def are_checks_good(self, sha: str, names: Sequence[str]) -> bool:
        """Whether every required check of *sha* succeeded; on GitLab the newest pipeline counts, whatever its name."""
        if not self.manners.shares_numbers:
            newest = self.newest_pipeline(sha)
            return newest is not None and newest.status is Status.SUCCESS
        found = self.checks_of(sha)
        return all(name in found and found[name].status is Status.SUCCESS for name in names)

    def newest_pipeline(self, sha: str) -> Check | None:
        """Return the last check of *sha*."""
        return next((check for check in reversed(self.checks) if check.sha == sha), None)

    def land(
        self, request: MergeRequest, method: str, user: User, message: str | None = None, *, deletes: bool = False
    ) -> str:
        """Merge without asking further; Conflict or Raced when git does not let us."""
        base = self.repository.head(request.target) or ""
        made = land(self, request, method, user, message)
        request.auto_merge = None
        if made.source is not None:
            self.move_branch(request.source, made.source, user)
        self.repository.move(f"refs/heads/{request.target}", made.target, base)
        self._mark_merged(request, user, base, made.merge_commit, made.squash_commit)
        self.refs_changed([(f"refs/heads/{request.target}", base, made.target)], user)
        if deletes or self.deletes_merged_branches:
            self.move_branch(request.source, None, user)
        return made.target

    def _mark_merged(
        self, request: MergeRequest, user: User, base: str, merge_commit: str | None, squash_commit: str | None
    ) -> None:
        now = self.now
        request.is_open, request.merged_at, request.merged_by = False, now, user
        request.closed_at, request.updated_at = now, now
        request.merged_head, request.base_before = request.head, base
        request.merge_commit, request.squash_commit = merge_commit, squash_commit
        request.auto_merge = None
        self.note(request, "merge_pull", user)

    def schedule(self, request: MergeRequest, wish: AutoMerge) -> None:
        """Merge when everything is there, which may be now."""
        request.auto_merge = wish
        self.note(request, "pull_scheduled_merge", wish.user)
        if self.manners.fires_at_once:
            self.try_auto_merges()

    def cancel(self, request: MergeRequest, user: User) -> None:
        """Take the wish to merge back."""
        request.auto_merge = None
        self.note(request, "pull_cancel_scheduled_merge", user)

    def note(self, issue: Issue, kind: str, user: User) -> None:
        """Put something that happened into the history of an issue or request."""
        issue.events.append(Event(count(), kind, user, self.now))

    def try_auto_merges(self) -> None:
        """Merge what was waiting for what has just come."""
        for request in list(self._requests.values()):
            wish = request.auto_merge
            if wish is not None and self._is_due(request):
                # Taken off first: what comes of it leaves no trace when it fails.
                request.auto_merge = None
                if not self._allows(request, wish.method):
                    continue
                try:
                    self.land(request, wish.method, wish.user, wish.message, deletes=wish.deletes_branch)
                except (Conflict, Raced):
                    continue

    def _allows(self, request: MergeRequest, method: str) -> bool:
        is_ahead = self.repository.contains(request.head, request.target)
        return method in self.merge_methods and (method != "fast-forward-only" or is_ahead)

    def _is_due(self, request: MergeRequest) -> bool:
        # GitHub and Gitea wait for what is required; GitLab for what runs, required or not.
        results = {check.status for check in self.checks_of(request.head).values()}
        is_waiting = self.manners.waits_for_all_checks and bool(results - {Status.SUCCESS})
        return not is_waiting and not self.unmet(request)

    def move_branch(self, branch: str, new: str | None, user: User) -> None:
        """Move, or delete, a branch on the forge itself, with all that follows a push."""
        ref, old = f"refs/heads/{branch}", self.repository.head(branch) or NOTHING
        if new is None:
            self.repository.delete_branch(branch)
        else:
            self.repository.move(ref, new, old)
        self.refs_changed([(ref, old, new or NOTHING)], user)

    def refs_changed(self, changes: Sequence[tuple[str, str, str]], user: User) -> None:
        """Take note of (ref, old, new), as a forge does after every push."""
        for ref, old, new in changes:
            branch = ref.removeprefix("refs/heads/")
            for request in [request for request in self._requests.values() if request.is_open]:
                if request.source == branch:
                    self._source_moved(request, new, user)
                elif request.target == branch and new != NOTHING:
                    self._target_moved(request, old, new, user)
        self.try_auto_merges()
        for ref, _, _ in changes:
            for watch in self.watchers:
                watch(ref.removeprefix("refs/heads/"))

    def _source_moved(self, request: MergeRequest, new: str, user: User) -> None:
        if new == NOTHING:
            if self.manners.closes_without_branch:
                self.set_open(request, user, is_open=False)
            return
        request.head, request.updated_at, request.unsettled = new, self.now, self.manners.unsettled_merges
        self.note(request, "pull_push", user)
        self._keep_head(request)
        if self.protections.get(request.target, Protection()).resets_approvals:
            request.approvals = []
        if self.manners.push_cancels_auto_merge:
            request.auto_merge = None
        base = self.repository.head(request.target)
        if self.manners.closes_when_emptied and base and self.repository.contains(base, new):
            self.set_open(request, user, is_open=False)

    def _target_moved(self, request: MergeRequest, old: str, new: str, user: User) -> None:
        if not self.manners.merges_by_push or not self.repository.contains(new, request.head):
            return
        if old == NOTHING or not self.repository.contains(old, request.head):
            self._mark_merged(request, user, old, None, None)

    def _keep_head(self, request: MergeRequest) -> None:
        self.repository.git("update-ref", self.manners.request_ref.format(request.number), request.head)
