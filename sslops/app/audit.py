"""The history of `state/`, `ledger` and the DNS repository, collected for the rules that judge it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import yaml

from sslops.app.entry import ops_repository
from sslops.app.forges import Reviewed, dns_clone
from sslops.dane.past_rolls import roll_faults
from sslops.dane.records import Keys
from sslops.errors import GitError, SslopsError, UsageError
from sslops.inventory.files import read_folder
from sslops.inventory.loading import load
from sslops.model.names import parse_time
from sslops.model.proposal import Kind
from sslops.pki.certificate import material, scts
from sslops.pki.history_check import (
    AuditedCertificate,
    AuditResult,
    Breach,
    Rule,
    StateHistory,
    key_breaches,
    signature_breach,
    slot_breach,
    trailer_breaches,
)
from sslops.proposals.branch import ProposalBranch
from sslops.repo.git import BOT
from sslops.repo.ledger_files import SUFFIX, TLSA, read_apex
from sslops.repo.next_branch import ACTION, RUN
from sslops.repo.signatures import ALLOWED_SIGNERS, Signers
from sslops.repo.snapshot import LEDGER_BRANCH, ROLL_BRANCH
from sslops.repo.state_files import CERT, CHAIN, CSR, FACTS, SLOTS, STATE, generation_path, read_generation, read_slots
from sslops.report.text import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sslops.app.session import Session
    from sslops.dane.records import Material
    from sslops.model.ledger import ApexEntry
    from sslops.model.names import GenerationId, ServiceId
    from sslops.pki.history_check import IssuedCertificate, SlotMove
    from sslops.repo.git import Git
    from sslops.repo.git_history import PastCommit
    from sslops.repo.store import OpsRepo


_REQUEST = re.compile(r"See merge request (\S+)|Merge pull request (#\d+)|\((#\d+|!\d+)\)|merge request (!\d+)")
_BATCH = 200
_LIVE = f"{STATE}/"


def audit(session: Session, *, since: str | None, fetch: bool) -> AuditResult:
    """Replay the history of the ops repository of *session* and of its DNS repository; UsageError for a bad *since*."""
    ops = ops_repository(session)
    if fetch:
        with ops.lock():
            ops.git.fetch()
    return Audit(session, ops, None if since is None else _moment(ops.git, since)).result()


def _moment(git: Git, since: str) -> datetime:
    try:
        return parse_time(since if "T" in since else f"{since}T00:00:00Z")
    except ValueError:
        commit = None if since.startswith("-") else git.resolve(since)
    if commit is None:
        message = f"'{since}' is neither a date like 2026-11-24 nor a commit of this repository"
        raise UsageError(message, hint="sslops audit --since 2026-11-24")
    return git.past_commits([commit])[-1].at


@dataclass
class Audit:
    """One walk through history; *since* leaves out what is older, null: nothing."""

    session: Session
    ops: OpsRepo
    since: datetime | None
    failures: list[SslopsError] = field(default_factory=list)
    unjudged: list[tuple[str, str]] = field(default_factory=list)

    def result(self) -> AuditResult:
        """Walk."""
        history = StateHistory(
            self.state,
            self.bots,
            frozenset(self.ops.git.process.read("rev-list", self.main).text.split()),
            lambda blob: self.ops.git.blobs([blob])[blob],
            self._show(self.ops.git),
        )
        breaches = [*history.breaches()]
        breaches += [each for move in history.moves for each in self._roll_breaches(move)]
        if history.rebased:
            why = f"{count(len(history.rebased), 'commit')} on main, rebased by a forge, name the bot as author only"
            self.unjudged.append((Rule.AUTHORS, why))
        for commit in self.ledger:
            breaches += trailer_breaches(LEDGER_BRANCH, commit)
        dns_commits, dns_git = self._dns()
        breaches += [each for commit in dns_commits if self._is_ours(commit) for each in self._dns_trailers(commit)]
        rows = [("state", self.state, self.ops.git), (LEDGER_BRANCH, self.ledger, self.ops.git)]
        rows += [("dns", dns_commits, dns_git)] if dns_git is not None else []
        for branch, commits, git in rows:
            breaches += self._keys(branch, commits, git)
            breaches += self._signatures(branch, commits, git)
        recent = {each.logged.sha for _, commits, _ in rows for each in commits if self._counts(each)}
        places = {
            each.logged.sha: place for place, each in enumerate(each for _, commits, _ in rows for each in commits)
        }
        kept = sorted(
            (b for b in dict.fromkeys(breaches) if b.commit in recent), key=lambda b: (b.at, places[b.commit])
        )
        return AuditResult(
            {branch: sum(map(self._counts, commits)) for branch, commits, _ in rows},
            tuple(kept),
            tuple(self.unjudged),
            tuple(self._certificate(each) for each in history.certificates if self._counts(each.commit)),
            tuple(self.failures),
            self.since,
        )

    def _counts(self, commit: PastCommit) -> bool:
        return self.since is None or commit.at >= self.since

    # What there is.

    @cached_property
    def main(self) -> str:
        """The commit of main; GitError when there is none."""
        commit = self.ops.git.branch(self.ops.settings.branch)
        if commit is None:
            message = f"there is no branch '{self.ops.settings.branch}' in '{self.ops.git.path}'"
            raise GitError(message, hint="git fetch, or see repo.branch in inventory/sslops.yaml")
        return commit

    @cached_property
    def state(self) -> Sequence[PastCommit]:
        """Every commit of main, next and the roll branch."""
        tips = [self.ops.git.branch(name) for name in (self.ops.settings.next_branch, ROLL_BRANCH)]
        return self.ops.git.past_commits([self.main, *(tip for tip in tips if tip)])

    @cached_property
    def ledger(self) -> Sequence[PastCommit]:
        """Every commit of the ledger; a lost one begins anew, and says nothing about the time before."""
        tip = self.ops.git.branch(LEDGER_BRANCH)
        return self.ops.git.past_commits([tip]) if tip else ()

    @cached_property
    def bots(self) -> frozenset[str]:
        """The addresses that the inventory ever gave the bot, and the one that `import` commits with before."""
        blobs = {
            change.new
            for commit in self.state
            for change in commit.changes
            if change.path == "inventory/sslops.yaml" and change.new
        }
        found = {_bot_of(content) for content in self.ops.git.blobs(sorted(blobs)).values()}
        return frozenset({BOT.email, self.ops.settings.bot_email, *(each for each in found if each)})

    def _dns(self) -> tuple[Sequence[PastCommit], Git | None]:
        """Return the commits of the DNS repository that are ours to answer for, base and proposals."""
        try:
            settings = load(read_folder(self.session.folder)).dns
            if settings is None:
                return (), None
            snapshot = self.ops.snapshot()
            url = Reviewed.of_main(self.ops, snapshot, self.ops.git.remote_url).dns_url
            git = dns_clone(self.ops.git, settings, self.session, url)
            git.fetch()
            base = ProposalBranch(git, Kind.TLSA.branch, settings.branch).base
        except SslopsError as error:
            self.failures.append(error)
            self.unjudged.append(("dns", error.what))
            return (), None
        tips = [git.branch(kind.branch) for kind in (Kind.TLSA, Kind.ACME)]
        return git.past_commits([base, *(tip for tip in tips if tip)]), git

    # What is asked.

    def _is_ours(self, commit: PastCommit) -> bool:
        return commit.logged.committer.email in self.bots and ACTION in dict(commit.logged.trailers)

    def _dns_trailers(self, commit: PastCommit) -> Iterator[Breach]:
        # Words for a merge request and the empty commit of a proposal that was taken back name no run by themselves.
        return trailer_breaches("dns", commit) if commit.changes else iter(())

    def _keys(self, branch: str, commits: Sequence[PastCommit], git: Git) -> Iterator[Breach]:
        seen: set[str] = set()
        for start in range(0, len(commits), _BATCH):
            batch = commits[start : start + _BATCH]
            blobs = {change.new for each in batch for change in each.changes if change.new} - seen
            contents = dict(zip(sorted(blobs), git.objects(sorted(blobs)), strict=True))
            seen |= blobs
            for commit in batch:
                yield from key_breaches(branch, commit, {blob: text or b"" for blob, text in contents.items()})

    def _signatures(self, branch: str, commits: Sequence[PastCommit], git: Git) -> Iterator[Breach]:
        """Yield the bot's commits that are not signed as main asked when they were made."""
        if not self._versions:
            return
        begun = self._versions[0][0]
        asked: set[str] = set()
        for commit in commits:
            # A date can be chosen: what stands on a commit that had to be signed had to be, too.
            if commit.at >= begun or asked.intersection(commit.logged.parents):
                asked.add(commit.logged.sha)
        wanted = [
            each for each in commits if each.logged.sha in asked and (branch == LEDGER_BRANCH or self._is_ours(each))
        ]
        faults = self._signature_faults(git, wanted)
        copies = {self._content(each) for each in wanted if each.logged.sha not in faults}
        for commit in wanted:
            if commit.logged.sha in faults and self._content(commit) not in copies:
                yield signature_breach(branch, commit, faults[commit.logged.sha])

    def _signature_faults(self, git: Git, wanted: Sequence[PastCommit]) -> Mapping[str, str]:
        """Return why no file that was in force when a commit was made, or came later, lets its signature count."""
        faults: dict[str, str] = {}
        good: set[str] = set()
        ends = [at for at, _ in self._versions[1:]]
        for (_, signers), end in zip(self._versions, [*ends, None], strict=True):
            asked = [each.logged.sha for each in wanted if end is None or each.at <= end]
            found = signers.faults(git, asked)
            good |= set(asked) - found.keys()
            faults |= found
        return {sha: why for sha, why in faults.items() if sha not in good}

    def _content(self, commit: PastCommit) -> tuple[str, frozenset[tuple[str, str | None]]]:
        """What a rebase keeps of a commit; empty commits differ by their own hash."""
        made = frozenset((change.path, change.new) for change in commit.changes)
        return commit.logged.message if made else commit.logged.sha, made

    @cached_property
    def _versions(self) -> Sequence[tuple[datetime, Signers]]:
        """Every `allowed_signers` that main had, oldest first."""
        moments = {each.logged.sha: each.at for each in self.state}
        found = []
        for change in self.ops.git.first_parent_changes(self.main, [ALLOWED_SIGNERS]):
            signers = Signers.of(self.ops.git, change.commit, self.ops.settings.bot_email)
            if signers is not None:
                found.append((moments[change.commit], signers))
        if not found:
            why = f"main has no '{ALLOWED_SIGNERS}': who made a commit is only what the commit says"
            self.unjudged.append((Rule.SIGNATURES, why))
        return found

    def _roll_breaches(self, move: SlotMove) -> Iterator[Breach]:
        """Compare a roll with the newest ledger of its time."""
        if move.before is None:
            return
        apexes = self._apexes_at(move.commit.at)
        if apexes is None:
            return
        keys = self._keys_at(move.commit, move.service, [move.before, move.after])
        rolled_at = self._rolled_at(move)
        for what in roll_faults(move.service, move.before, move.after, rolled_at, apexes, keys):
            yield slot_breach(move, what)
        if rolled_at > self.session.now:
            yield slot_breach(move, "it says that it was rolled in the future")

    def _rolled_at(self, move: SlotMove) -> datetime:
        """The engine's clock, which its evidence was written by; git's where the slots do not say."""
        path = f"{STATE}/{move.service}/{SLOTS}"
        content = self.ops.git.objects([f"{move.commit.logged.sha}:{path}"])[0]
        return (None if content is None else read_slots(content, path).rolled_at) or move.commit.at

    def _apexes_at(self, at: datetime) -> Mapping[str, ApexEntry] | None:
        """Return what the ledger knew then; null when this ledger had not begun, or cannot be read."""
        commit = next((each for each in reversed(self.ledger) if each.at <= at), None)
        if commit is None:
            return None
        files = self.ops.git.files(commit.logged.sha, TLSA)
        try:
            return {path.removeprefix(TLSA).removesuffix(SUFFIX): read_apex(text, path) for path, text in files.items()}
        except SslopsError as error:
            self.failures.append(error)
            return None

    def _keys_at(self, commit: PastCommit, service: ServiceId, wanted: Iterable[GenerationId]) -> Keys:
        generations, found = {}, {}
        for generation in wanted:
            names = [generation_path(service, generation, name) for name in (FACTS, CSR, CERT, CHAIN)]
            facts, csr, cert, chain = self.ops.git.objects([f"{commit.logged.sha}:{name}" for name in names])
            if facts is None:
                continue
            generations[service, generation] = read_generation(facts, names[0], generation)
            made = _material(csr, cert, chain)
            if made is not None:
                found[service, generation] = made
        return Keys(generations, found)

    # The ledger of certificates.

    def _certificate(self, issued: IssuedCertificate) -> AuditedCertificate:
        generation, logged = issued.generation, issued.commit.logged
        facts = generation.issued
        if facts is None:
            message = f"'{generation.id}' is not issued"
            raise ValueError(message)
        live = self._went_live.get((issued.service, generation.id))
        path = generation_path(issued.service, generation.id, CERT)
        cert = self.ops.git.objects([f"{logged.sha}:{path}"])[0]
        return AuditedCertificate(
            service=str(issued.service),
            generation=generation.id,
            serial=facts.serial,
            issuer=facts.issuer,
            ca=generation.ca,
            names=facts.sans,
            not_before=facts.not_before,
            not_after=facts.not_after,
            cert_sha256=facts.cert_sha256,
            issued_at=facts.issued_at,
            commit=logged.sha,
            author=str(logged.author),
            reason=generation.reason,
            said=generation.said,
            run=dict(logged.trailers).get(RUN),
            live_commit=live.logged.sha if live else None,
            live_at=live.at if live else None,
            request=_request(live.logged.message) if live else None,
            logs=() if cert is None else scts(cert),
        )

    @cached_property
    def _went_live(self) -> Mapping[tuple[ServiceId, GenerationId], PastCommit]:
        """Return the commit on main's own line by which each generation first became curr."""
        commits = {each.logged.sha: each for each in self.state}
        line = self.ops.git.first_parents(self.main)[::-1]
        found: dict[tuple[ServiceId, GenerationId], PastCommit] = {}
        blobs = {
            change.new
            for sha in line
            for change in commits[sha].changes
            if change.new and change.path.startswith(_LIVE) and change.path.endswith(f"/{SLOTS}")
        }
        contents = self.ops.git.blobs(sorted(blobs))
        for sha in line:
            for change in commits[sha].changes:
                if change.new in contents and change.path.endswith(f"/{SLOTS}"):
                    curr, service = _curr(contents[change.new], change.path)
                    if curr is not None and service is not None:
                        found.setdefault((service, curr), commits[sha])
        return found

    def _show(self, git: Git) -> Any:  # noqa: ANN401  (a function of two texts)
        return lambda commit, path: git.objects([f"{commit}:{path}"])[0]


def _curr(content: bytes, path: str) -> tuple[GenerationId | None, ServiceId | None]:
    from sslops.repo.state_files import parse_path

    parts = parse_path(path)
    try:
        return read_slots(content, path).curr, parts.service if parts else None
    except SslopsError:
        return None, None


def _material(csr: bytes | None, cert: bytes | None, chain: bytes | None) -> Material | None:
    try:
        return None if csr is None else material(csr, cert, chain)
    except SslopsError:
        return None


def _bot_of(content: bytes) -> str | None:
    """Return the bot's address by an inventory of the past, which need not be sound."""
    try:
        document = yaml.safe_load(content)
        return str(document["repo"]["bot"]["email"])
    except (yaml.YAMLError, KeyError, TypeError, ValueError, RecursionError):
        return None


def _request(message: str) -> str | None:
    found = _REQUEST.search(message)
    return None if found is None else next((each for each in found.groups() if each), None)
