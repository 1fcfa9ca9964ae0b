"""The forges in use: is there a token, what may it do, and what of the project is in the way?"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from sslops.doctor.findings import Finding, Health
from sslops.errors import ForgeError, MayNotCall, SslopsError
from sslops.model.forges import NO_FORGE, Forge
from sslops.model.inventory import MergePolicy, RepoSettings
from sslops.model.proposal import Kind
from sslops.proposals.forges.address import forge_address
from sslops.proposals.forges.protection import EngineBranch, base_gaps, gap, stop
from sslops.proposals.forges.tokens import Role, Token, find_token, git_user
from sslops.repo.git import Git
from sslops.repo.git_process import GitCredential
from sslops.repo.snapshot import LEDGER_BRANCH
from sslops.system.clock import SystemClock
from sslops.system.extras import missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sslops.doctor.findings import Patient
    from sslops.model.inventory import DnsSettings
    from sslops.proposals.forges.standing import Standing


_DOCS = "docs/forges.md"
_BY_PUSH = "merge requests are asked for by push options"
_SOON = timedelta(days=14)
_RULES = f"'The engine's own branches' in {_DOCS}"
_MOVES = {True: "rewrites", False: "moves"}
_NAMED = 5
"""How many people are named in one finding."""


@dataclass(frozen=True, slots=True)
class Use:
    """One project on a forge, and the *verbs* that work on it; *remote* is its git URL."""

    role: Role
    verbs: tuple[str, ...]
    kind: str
    project: str
    branch: str
    remote: str | None
    url: str | None
    is_merged_by_us: bool
    engine: tuple[EngineBranch, ...] = ()
    is_reviewed: bool = True
    """Whether a person merges what is proposed there, by the policy."""


def forges(patient: Patient) -> Iterator[Finding]:
    """Look at every forge in use; nothing without a sound inventory."""
    if missing("forge"):
        return  # `programs` says so
    for use in uses(patient):
        yield from _forge(use, patient)


def uses(patient: Patient) -> Iterator[Use]:
    """Yield the projects whose requests live on a forge."""
    if patient.inventory is None or patient.folder is None:
        return
    repo, dns = patient.inventory.repo, patient.inventory.dns
    if repo.forge != NO_FORGE:
        yield _use(Role.OPS, ("roll", "run"), repo, _ops_remote(patient))
    if dns is not None and dns.forge != NO_FORGE:
        verbs = ("renew", "publish", "run") if dns.acme_dir else ("publish", "run")
        yield _use(Role.DNS, verbs, dns, dns.url)


def credentials(role: Role, patient: Patient) -> tuple[GitCredential, ...]:
    """Return what git shows the forge of *role*; none when there is no forge, no token, or no http."""
    for use in uses(patient):
        if use.role is role and (use.remote or "").startswith(("https://", "http://")):
            try:
                secret = _token(use, patient).secret
            except ForgeError:
                return ()
            return (GitCredential(use.remote or "", git_user(use.kind), secret),) if secret else ()
    return ()


def _use(role: Role, verbs: tuple[str, ...], settings: RepoSettings | DnsSettings, remote: str | None) -> Use:
    is_merged_by_us = MergePolicy.AUTO in settings.merge.values()
    project, url = settings.project or "", settings.forge_url
    kinds = (Kind.ROLL,) if role is Role.OPS else (Kind.TLSA, Kind.ACME)
    own = tuple(EngineBranch(kind.branch) for kind in kinds)
    if isinstance(settings, RepoSettings):
        own = (EngineBranch(settings.next_branch), EngineBranch(LEDGER_BRANCH, is_rewritten=False), *own)
    is_reviewed = settings.merge.get("roll") is not MergePolicy.AUTO
    return Use(role, verbs, settings.forge, project, settings.branch, remote, url, is_merged_by_us, own, is_reviewed)


def _ops_remote(patient: Patient) -> str | None:
    try:
        return Git.discover(patient.folder, environ=patient.environ).remote_url if patient.folder else None
    except SslopsError:
        return None


def _token(use: Use, patient: Patient) -> Token:
    return find_token(use.kind, use.role, use.project, patient.environ)


def _forge(use: Use, patient: Patient) -> Iterator[Finding]:
    from sslops.proposals.forges.registry import examine
    from sslops.proposals.forges.wire import ForgePatience

    try:
        address = forge_address(use.kind, use.remote, patient.environ, use.url)
        token = _token(use, patient)
        patience = ForgePatience(SystemClock().now, time.sleep)
        standing = examine(use.kind, use.project, token, address, patience, use.branch, use.engine)
    except MayNotCall as error:
        # Merge requests are asked for by the push then; whether that is allowed, the look at git tells.
        what = f"{error.what}; {_BY_PUSH}, and sslops cannot tell what became of them"
        yield Finding("forge", Health.NOTE, what, use.verbs, f"'Push options' in {_DOCS}")
        return
    except ForgeError as error:
        yield Finding("forge", Health.MISSING, error.what, use.verbs, error.hint)
        return
    if address.startswith("http://"):
        what = f"'{address}' is not https: the token in {token.source} can be read on the way"
        yield Finding("forge", Health.NOTE, what, use.verbs, "https, in forge_url or in the remote's URL")
    yield _rights(use, token, standing)
    yield from _tried(use, token, standing)
    yield from _life(use, token, standing, patient.now.date())
    yield from _rules(use, standing)
    yield from _settings(use, standing, patient)


def _rights(use: Use, token: Token, standing: Standing) -> Finding:
    if use.kind == Forge.GITLAB and standing.scopes is not None and _may_only_push(standing.scopes):
        what = f"the token in {token.source} may push to '{use.project}' and read it; {_BY_PUSH}"
        return Finding("forge", Health.NOTE, what, use.verbs, f"'Push options' in {_DOCS}")
    if standing.can_propose is False:
        what = f"the token in {token.source} may not propose changes to '{use.project}'"
        if standing.scopes is not None:
            what += f"; it has: {', '.join(standing.scopes) or 'no scopes'}"
        return Finding("forge", Health.MISSING, what, use.verbs, f"which rights it needs: {_DOCS}")
    if token.is_of_the_job:
        what = f"'{use.project}' is reached with the job's own token ({token.source}), whose pushes start no checks"
        return Finding("forge", Health.NOTE, what, use.verbs, f"a token of its own in {token.role}: {_DOCS}")
    return Finding("forge", Health.OK, f"'{use.project}' can be reached with {token.source}", use.verbs)


def _tried(use: Use, token: Token, standing: Standing) -> Iterator[Finding]:
    """Say which rights were tried and refused, and which the token has for no use."""
    for probe in standing.lacks:
        what = f"the token in {token.source} lacks {probe.right} on '{use.project}': it cannot {probe.work}"
        yield Finding("forge", Health.MISSING, what, use.verbs, f"which rights it needs: {_DOCS}")
    if use.is_merged_by_us and standing.can_merge is False:
        what = f"the token in {token.source} may not merge into '{use.branch}' of '{use.project}', and merge is auto"
        yield Finding("forge", Health.MISSING, what, use.verbs, f"let its account merge there: {_DOCS}")
    if standing.excess and not token.is_of_the_job:
        what = f"the token in {token.source} has more than it needs on '{use.project}': {', '.join(standing.excess)}"
        yield Finding("forge", Health.NOTE, what, use.verbs, f"which rights it needs: {_DOCS}")


def _may_only_push(scopes: tuple[str, ...]) -> bool:
    return "write_repository" in scopes and "api" not in scopes


def _life(use: Use, token: Token, standing: Standing, today: date) -> Iterator[Finding]:
    try:
        last = date.fromisoformat(standing.expires_at or "")
    except ValueError:
        return
    if last - today < _SOON:
        what = f"the token in {token.source} expires on {last}"
        yield Finding("forge", Health.NOTE, what, use.verbs, f"make a new one: {_DOCS}")


def _rules(use: Use, standing: Standing) -> Iterator[Finding]:
    """Say what the rules of the branches lack, and which of them stop the engine."""
    is_ops = use.role is Role.OPS
    for fault in base_gaps(standing.base, is_reviewed=is_ops and use.is_reviewed, has_check=is_ops):
        what = f"'{use.branch}' of '{use.project}' {fault}"
        yield Finding("forge", Health.NOTE, what, use.verbs, f"'Settings of the project' in {_DOCS}")
    seen = False
    for branch, guard in standing.engine:
        place = f"'{branch.name}' of '{use.project}'"
        rule, lack = stop(guard, branch), gap(guard, branch)
        if rule is not None:
            what = f"{place} has {rule}: the engine {_MOVES[branch.is_rewritten]} this branch, and stops there"
            yield Finding("forge", Health.MISSING, what, use.verbs, _RULES)
        if guard.is_protected is False and branch.is_rewritten and use.kind == Forge.FORGEJO:
            seen = True
        elif lack is not None:
            yield Finding("forge", Health.NOTE, f"{place} has {lack}", use.verbs, _RULES)
    unseen = [branch.name for branch, guard in standing.engine if guard.is_protected and guard.others is None]
    if unseen:
        what = (
            f"of '{use.project}' are protected: {', '.join(unseen)}; whom their rules let push, administrators see only"
        )
        yield Finding("forge", Health.OK, what, use.verbs)
    if standing.exposed is not None:
        what = f"'{use.project}' shows {standing.exposed}"
        yield Finding("forge", Health.NOTE, what, use.verbs, _RULES)
    if seen and standing.unruled:
        who = ", ".join(standing.unruled[:_NAMED]) + (", ..." if len(standing.unruled) > _NAMED else "")
        what = f"no rule of Forgejo keeps others from the bot's branches of '{use.project}'; let in are also: {who}"
        yield Finding("forge", Health.NOTE, what, use.verbs, f"let nobody else write there: {_RULES}")


def _settings(use: Use, standing: Standing, patient: Patient) -> Iterator[Finding]:
    if use.is_merged_by_us and standing.can_wait is False:
        what = f"'{use.project}' allows no auto-merge, and the inventory says merge: auto"
        yield Finding("forge", Health.NOTE, what, use.verbs, f"allow it in the project's settings: {_DOCS}")
    if standing.unsigning and _signs(patient):
        ways = " and ".join(standing.unsigning)
        what = f"commits are signed, and '{use.project}' allows {ways}, which makes new ones without our signature"
        yield Finding("forge", Health.NOTE, what, use.verbs, f"allow merge commits only: {_DOCS}")


def _signs(patient: Patient) -> bool:
    try:
        return patient.folder is not None and Git.discover(patient.folder, environ=patient.environ).signs
    except SslopsError:
        return False
