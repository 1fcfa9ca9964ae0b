"""How a verb gets to its ops repository: one `Site` after another, until no other run was faster."""

from __future__ import annotations

import os
import random
import time
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from sslops.app.forges import ops_clone
from sslops.app.outcome import Outcome
from sslops.app.site import Site
from sslops.ci import environment as ci
from sslops.errors import Faults
from sslops.inventory.files import read_folder
from sslops.inventory.loading import load
from sslops.inventory.targets import parse_targets
from sslops.model.inventory import RepoSettings
from sslops.model.plan import consents
from sslops.repo.git import Git, Person
from sslops.repo.retrying import retrying
from sslops.repo.snapshot import INVENTORY
from sslops.repo.store import OpsRepo

if TYPE_CHECKING:
    from collections.abc import Callable

    from sslops.app.session import Session
    from sslops.errors import SslopsError
    from sslops.model.inventory import Consent, Inventory
    from sslops.repo.snapshot import Snapshot


Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Request:
    """What every stage verb gets from the command line."""

    apply: bool = False
    fetch: bool = False
    accept: tuple[Consent, ...] = ()
    targets: tuple[str, ...] = ()
    is_partial: bool = False
    """Whether the verb is asked for a part of its work: some targets, some hosts, or a rehearsal."""


def carry_out(session: Session, request: Request, act: Callable[[Site], Result]) -> Result:
    """Let *act* work on the ops repository of *session*.

    Without `--apply` the inventory is the working tree's and nothing is locked; with it, main's, under the lock of this
    clone, and again from the start when another run was faster. Raises Busy after the last try.
    """
    ops = ops_repository(session)
    if not request.apply:
        snapshot = _fetched(session, ops) if request.fetch else ops.snapshot()
        result = act(_site(session, request, ops, snapshot, load(read_folder(session.folder))))
        faults = (*ops.forged(snapshot), *went_back(ops, snapshot), *integrity_faults(ops, snapshot, remembers=False))
        return _with_faults(session, result, faults)

    fetched: list[Snapshot] = []

    def attempt() -> Result:
        snapshot, own = fetched.pop() if fetched else ops.fetch(), ops
        inventory = load(ops.inventory_files(snapshot))
        if inventory.repo != ops.settings:
            # A work tree that is behind, or broken, must not decide who merges; nor which branch is the reviewed one.
            inventory = replace(inventory, repo=replace(inventory.repo, branch=ops.settings.branch))
            own = replace(ops, git=ops_clone(ops.git, inventory.repo), settings=inventory.repo)
            snapshot = own.snapshot()
        if went_back(own, snapshot):
            # Two branches are not read at one instant: another run may have pushed both in between.
            snapshot = own.fetch()
        own.verified(snapshot)
        faults = (*went_back(own, snapshot), *integrity_faults(own, snapshot, remembers=True))
        if faults:
            raise faults[0] if len(faults) == 1 else Faults(faults)
        own.remember_heads(snapshot)
        return act(_site(session, request, own, snapshot, inventory))

    with ops.lock():
        ops.require_clean()
        # Fetched first: a remote that was only just added has no branches here yet.
        with session.progress("fetching the ops repository"):
            fetched.append(ops.fetch())
        note = ops.work_tree_note(fetched[0])
        if note:
            session.say_once(note)
        return retrying(attempt, sleep=time.sleep, random=random.random)


def went_back(ops: OpsRepo, snapshot: Snapshot) -> tuple[SslopsError, ...]:
    """Return why nobody may write: branches of the engine that are at an older commit than they were."""
    return ops.went_back(snapshot)


def integrity_faults(ops: OpsRepo, snapshot: Snapshot, *, remembers: bool) -> tuple[SslopsError, ...]:
    """Return why nobody may write, and nothing on `next` may be believed: what contradicts main, or itself."""
    from sslops.pki import integrity

    return (*snapshot.faults, *integrity.faults(ops, snapshot, remembers=remembers))


def _with_faults(session: Session, result: Result, faults: tuple[SslopsError, ...]) -> Result:
    """Let a dry-run fail with *faults*; what shows no outcome of its own at least says them."""
    if isinstance(result, Outcome):
        return replace(result, failures=(*faults, *result.failures))
    for fault in faults:
        session.complain(fault)
    return result


def _fetched(session: Session, ops: OpsRepo) -> Snapshot:
    with ops.lock(), session.progress("fetching the ops repository"):
        return ops.fetch()


def ops_repository(session: Session) -> OpsRepo:
    """Return the ops repository of *session*, acting as its bot."""
    git = Git.discover(session.folder, effects=session.effects)
    author = Person(*session.author) if session.author else None
    settings = reviewed_settings(session, git)
    return OpsRepo(ops_clone(git, settings), settings, author, run_name())


def reviewed_settings(session: Session, git: Git) -> RepoSettings:
    """Return the settings of the working tree, with the branch that people review as its `branch`.

    Which one that is says the job, else the remote's HEAD, and then the inventory there: a branch that could name
    itself would be its own judge, and be shown the tokens. Without a remote the working tree is the truth.
    """
    settings = _repo_settings(session)
    default = session.job.default_branch or git.default_branch
    if default is None or settings.branch == default:
        return settings
    commit = git.branch(default)
    try:
        reviewed = load(git.files(commit, INVENTORY)).repo.branch if commit else default
    except Faults:
        reviewed = default
    if reviewed != settings.branch:
        session.say_once(
            f"'{settings.branch}' is the live branch by this working tree only; '{reviewed}' is, by the remote"
        )
    return replace(settings, branch=reviewed)


def _repo_settings(session: Session) -> RepoSettings:
    """Return the settings of the working tree; the defaults when that inventory is broken: main's may be sound."""
    try:
        return load(read_folder(session.folder)).repo
    except Faults:
        return RepoSettings()


def _site(session: Session, request: Request, ops: OpsRepo, snapshot: Snapshot, inventory: Inventory) -> Site:
    given = consents(inventory, request.accept, session.now)
    targets = parse_targets(request.targets, inventory)
    run = ops.run or run_name()
    asks_forges, is_draft = request.fetch and not request.apply, not request.apply
    return Site(session, ops, snapshot, inventory, given, targets, run, asks_forges=asks_forges, is_draft=is_draft)


def run_name() -> str:
    """Name this run: the job's address where a forge gives one, and always something no other run has."""
    return f"{ci.current(os.environ).run or 'local'}#{uuid.uuid4().hex[:8]}"
