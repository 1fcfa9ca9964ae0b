"""What must be true of every commit of the past: pure but for reading certificates; commits in, breaches out.

`state_check` asks what a tree is; here is asked how it came to be. `sslops audit` collects what these rules need.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from sslops.errors import SslopsError, StateError
from sslops.repo.next_branch import ACTION, RUN, SERVICE
from sslops.repo.state_files import FACTS, PRIVKEY, STATE, generation_path, parse_path, read_generation, read_slots
from sslops.secrets.recipients import CONFIG_NAME, read_rules, recipients_of, rule_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.state import Generation, Slots
    from sslops.repo.git_history import PastCommit
    from sslops.repo.state_files import StatePath


ACTIONS = frozenset(
    {"renew", "publish", "roll", "deploy", "observe", "account", "import", "merge", "prune", "rekey", "revoke"}
)
_MANY_SERVICES = frozenset({"merge", "import", "prune", "rekey"})
"""Actions whose commit may change services that no trailer of it names."""
_PEM_KEY = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----\s+(?:[A-Za-z-]+: [^\n]*\n|\s)*[A-Za-z0-9+/=]{16}")
_AGE_KEY = re.compile(rb"AGE-SECRET-KEY-(?:PQ-)?1[0-9A-Z]{20}")


class Rule(StrEnum):
    """What is asked of history."""

    TRAILERS = "trailers"
    SIGNATURES = "signatures"
    AUTHORS = "authors"
    GENERATIONS = "generations"
    SLOTS = "slots"
    KEYS = "keys"
    RECIPIENTS = "recipients"


@dataclass(frozen=True, slots=True)
class Breach:
    """A commit that breaks *rule*, on *branch* (`state`, `ledger` or `dns`)."""

    branch: str
    commit: str
    at: datetime
    subject: str
    rule: Rule
    what: str


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """When a generation got its certificate, and by which commit."""

    service: ServiceId
    generation: Generation
    commit: PastCommit


@dataclass(frozen=True, slots=True)
class AuditedCertificate:
    """One certificate that was ever stored: what it is, who let it be issued, and how it went live."""

    service: str
    generation: str
    serial: str
    issuer: str
    ca: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    cert_sha256: str
    issued_at: datetime
    commit: str
    author: str
    reason: str
    said: str | None
    run: str | None
    live_commit: str | None
    live_at: datetime | None
    request: str | None
    """The merge request that made it live, as the forge's merge commit names it."""
    logs: tuple[tuple[str, datetime], ...]
    """Certificate Transparency logs (their ids in hex) that promised to list it, and when (RFC 6962 section 3.3)."""


@dataclass(frozen=True, slots=True)
class AuditResult:
    """What was looked at, what broke a rule (oldest first), what could not be judged, and every certificate."""

    counts: Mapping[str, int]
    breaches: tuple[Breach, ...]
    unjudged: tuple[tuple[str, str], ...]
    """A rule or a repository, and why nothing was proved of it."""
    certificates: tuple[AuditedCertificate, ...]
    failures: tuple[SslopsError, ...] = ()
    since: datetime | None = None


@dataclass
class StateHistory:
    """Commits of the ops repository, oldest first, and how to read what they hold.

    *read* returns the content of a blob; *show* that of a path at a commit (null: there is none); *bots* are the
    addresses that the engine has committed with; *reviewed* the commits that main has. `rebased` gets those of them
    that are copies of bot commits by their own word only, because nothing has the originals any more.
    """

    commits: Sequence[PastCommit]
    bots: frozenset[str]
    reviewed: frozenset[str]
    read: Callable[[str], bytes]
    show: Callable[[str, str], bytes | None]
    moves: list[SlotMove] = field(default_factory=list)
    certificates: list[IssuedCertificate] = field(default_factory=list)
    rebased: set[str] = field(default_factory=set)
    _final: dict[str, str] = field(default_factory=dict)
    _latest: dict[str, str] = field(default_factory=dict)
    _sealed: set[tuple[str, str]] = field(default_factory=set)

    def breaches(self) -> Iterator[Breach]:
        """Yield what breaks a rule, in the order of the commits; fills `moves` and `certificates` on the way."""
        ours = {
            (change.path, change.new)
            for commit in self.commits
            if self.is_ours(commit)
            for change in commit.changes
            if change.new is not None and change.path.startswith(f"{STATE}/")
        }
        for commit in self.commits:
            yield from self._authors(commit, ours)
            if self._counts(commit) and _changes_state(commit):
                yield from trailer_breaches("state", commit, named=_services(commit))
            yield from self._generations(commit)
            yield from self._slots(commit)
            yield from self._recipients(commit)

    def is_ours(self, commit: PastCommit) -> bool:
        """Whether the commit says that the engine made it."""
        return commit.logged.committer.email in self.bots and ACTION in dict(commit.logged.trailers)

    def _counts(self, commit: PastCommit) -> bool:
        return self.is_ours(commit) or commit.logged.sha in self.rebased

    def _authors(self, commit: PastCommit, ours: set[tuple[str, str]]) -> Iterator[Breach]:
        """A merge, squash, rebase or revert brings contents that a bot commit wrote there; an edit by hand does not."""
        if self.is_ours(commit):
            return
        brought = {
            (change.path, change.new)
            for change in commit.changes
            if change.new is not None and change.path.startswith(f"{STATE}/")
        }
        says_so = commit.logged.author.email in self.bots and ACTION in dict(commit.logged.trailers)
        if brought - ours and says_so and len(commit.logged.parents) == 1 and commit.logged.sha in self.reviewed:
            self.rebased.add(commit.logged.sha)
            ours |= brought
        for path, _ in sorted(brought - ours):
            what = f"'{commit.logged.committer.email}' wrote '{path}', which no commit of the bot holds"
            yield _breach("state", commit, Rule.AUTHORS, what)
        ours |= brought  # named once, at the commit that brought it, and not at each merge of it

    def _generations(self, commit: PastCommit) -> Iterator[Breach]:
        folders: dict[tuple[ServiceId, GenerationId], list[tuple[StatePath, str, str | None]]] = {}
        for change in commit.changes:
            parts = parse_path(change.path)
            if parts is None or parts.generation is None:
                continue
            folders.setdefault((parts.service, parts.generation), []).append((parts, change.path, change.new))
            if change.new is not None and change.old is not None and parts.name == PRIVKEY:
                action = dict(commit.logged.trailers).get(ACTION)
                if action != "rekey" and (change.path, change.new) not in self._sealed:
                    what = f"'{change.path}' was replaced by '{action or 'no action'}', and only a rekey may"
                    yield _breach("state", commit, Rule.GENERATIONS, what)
        for (service, generation), rows in folders.items():
            yield from self._folder(commit, service, generation, rows)

    def _folder(
        self,
        commit: PastCommit,
        service: ServiceId,
        generation: GenerationId,
        rows: Sequence[tuple[StatePath, str, str | None]],
    ) -> Iterator[Breach]:
        path = generation_path(service, generation, FACTS)
        gone = {name for _, name, new in rows if new is None}
        for _, name, new in rows:
            if new is not None:
                self._latest[name] = new
                if name.endswith(PRIVKEY):
                    self._sealed.add((name, new))
        if gone and path not in gone and any(name in self._final for name in gone):
            yield _breach("state", commit, Rule.GENERATIONS, f"files of the issued '{generation}' were taken away")
        fact = next((new for _, name, new in rows if name == path), None)
        content = self.read(fact) if fact is not None else self.show(commit.logged.sha, path)
        if content is not None and b'status: "issued"' in content:
            yield from self._issued(commit, service, generation, content, [(name, new) for _, name, new in rows if new])
        elif path in self._final and content is not None:
            yield _breach("state", commit, Rule.GENERATIONS, f"'{generation}' was issued, and is not any more")

    def _issued(
        self,
        commit: PastCommit,
        service: ServiceId,
        generation: GenerationId,
        content: bytes,
        rows: Sequence[tuple[str, str]],
    ) -> Iterator[Breach]:
        """Compare the files of an issued generation with those that it was issued with, which its first time sets."""
        path = generation_path(service, generation, FACTS)
        folder, is_first = path.removesuffix(FACTS), path not in self._final
        for name, new in self._latest.items() if is_first else rows:
            is_fixed = name.startswith(folder) and not name.endswith(PRIVKEY)
            if is_fixed and self._final.setdefault(name, new) != new:
                yield _breach("state", commit, Rule.GENERATIONS, f"'{name}' changed after it was issued")
        if not is_first:
            return
        try:
            facts = read_generation(content, path, generation)
        except StateError as error:
            yield _breach("state", commit, Rule.GENERATIONS, error.what)
        else:
            self.certificates.append(IssuedCertificate(service, facts, commit))

    def _slots(self, commit: PastCommit) -> Iterator[Breach]:
        for change in commit.changes:
            parts = parse_path(change.path)
            if parts is None or parts.generation is not None or change.new is None:
                continue
            try:
                after = read_slots(self.read(change.new), change.path)
                before = read_slots(self.read(change.old), change.path) if change.old else None
            except StateError as error:
                yield _breach("state", commit, Rule.SLOTS, f"'{change.path}': {error.what}")
                continue
            old = None if before is None else before.curr
            if after.curr is None or after.curr == old:
                continue
            yield from self._move(commit, SlotMove(parts.service, old, after.curr, commit), before)

    def _move(self, commit: PastCommit, move: SlotMove, before: Slots | None) -> Iterator[Breach]:
        content = self.show(commit.logged.sha, generation_path(move.service, move.after, FACTS))
        if content is None or b'status: "issued"' not in content:
            yield _breach(
                "state", commit, Rule.SLOTS, f"'{move.after}' of '{move.service}' became curr and is not issued"
            )
        if len(commit.logged.parents) != 1 or not self._counts(commit):
            return  # a merge, a squash or a revert: the step itself is another commit, or a person's
        action = dict(commit.logged.trailers).get(ACTION)
        if action == "roll":
            self.moves.append(move)
            staged = None if before is None else (before.next, before.prev)
            if staged is not None and move.after not in staged:
                what = f"'{move.after}' of '{move.service}' became curr and stood neither in next nor in prev"
                yield _breach("state", commit, Rule.SLOTS, what)
        elif action not in _MANY_SERVICES:
            yield _breach(
                "state", commit, Rule.SLOTS, f"'{action}' moved curr of '{move.service}', and only a roll may"
            )

    def _recipients(self, commit: PastCommit) -> Iterator[Breach]:
        documents = [
            (change.path, change.new)
            for change in commit.changes
            if change.new is not None and change.path.startswith(f"{STATE}/") and change.path.endswith(".sops")
        ]
        if not documents or not self._counts(commit):
            return
        try:
            rules = read_rules((self.show(commit.logged.sha, CONFIG_NAME) or b"").decode())
        except (SslopsError, UnicodeDecodeError):
            yield _breach("state", commit, Rule.RECIPIENTS, f"'{CONFIG_NAME}' said nothing that can be read")
            return
        for path, blob in documents:
            try:
                has, wants = recipients_of(self.read(blob), path), rule_for(rules, path).recipients
            except SslopsError as error:
                yield _breach("state", commit, Rule.RECIPIENTS, error.what)
                continue
            if has != wants:
                what = f"'{path}' was encrypted to {', '.join(sorted(has))}, and '{CONFIG_NAME}' asked for others"
                yield _breach("state", commit, Rule.RECIPIENTS, what)


@dataclass(frozen=True, slots=True)
class SlotMove:
    """A roll: *after* became curr of *service* instead of *before* (null: there was none)."""

    service: ServiceId
    before: GenerationId | None
    after: GenerationId
    commit: PastCommit


def trailer_breaches(branch: str, commit: PastCommit, named: frozenset[str] = frozenset()) -> Iterator[Breach]:
    """Yield what a commit of the engine does not say of itself; *named* are the services that it changes."""
    trailers = dict(commit.logged.trailers)
    action = trailers.get(ACTION)
    if action not in ACTIONS:
        yield _breach(branch, commit, Rule.TRAILERS, f"'{ACTION}' is '{action or ''}', which is no action")
    if not trailers.get(RUN) and action != "import":  # which a person does, in no run
        yield _breach(branch, commit, Rule.TRAILERS, f"no '{RUN}' says which run made it")
    said = {value for key, value in commit.logged.trailers if key == SERVICE}
    for service in sorted(named - said) if action not in _MANY_SERVICES else ():
        yield _breach(branch, commit, Rule.TRAILERS, f"it changes '{service}', which no '{SERVICE}' names")


def key_breaches(branch: str, commit: PastCommit, contents: Mapping[str, bytes]) -> Iterator[Breach]:
    """Yield each file of the commit, and its message, that holds a private key in clear; *contents* by blob hash."""
    for change in commit.changes:
        if change.new is not None and _holds_key(contents.get(change.new, b"")):
            yield _breach(branch, commit, Rule.KEYS, f"'{change.path}' holds a private key in clear")
    if _holds_key(commit.logged.message.encode()):
        yield _breach(branch, commit, Rule.KEYS, "the message of the commit holds a private key in clear")


def signature_breach(branch: str, commit: PastCommit, fault: str) -> Breach:
    """Return the breach of a commit whose signature does not count, because of *fault*."""
    return _breach(branch, commit, Rule.SIGNATURES, fault)


def slot_breach(move: SlotMove, what: str) -> Breach:
    """Return the breach of a roll that the ledger of its time did not allow."""
    return _breach("state", move.commit, Rule.SLOTS, what)


def _holds_key(content: bytes) -> bool:
    return _PEM_KEY.search(content) is not None or _AGE_KEY.search(content) is not None


def _changes_state(commit: PastCommit) -> bool:
    return any(change.path.startswith(f"{STATE}/") for change in commit.changes)


def _services(commit: PastCommit) -> frozenset[str]:
    found = (parse_path(change.path) for change in commit.changes)
    return frozenset(str(parts.service) for parts in found if parts is not None)


def _breach(branch: str, commit: PastCommit, rule: Rule, what: str) -> Breach:
    return Breach(branch, commit.logged.sha, commit.at, commit.logged.subject, rule, what)
