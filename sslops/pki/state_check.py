"""What must always be true of `state/`: every fault at once, each with its file.

Pure but for reading certificates: paths and contents in, faults out. `sslops check` and the merge request's required
status ask this.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.errors import Location, SopsError, StateError
from sslops.model.acme import Proof
from sslops.model.names import ACCOUNTS
from sslops.model.state import Status
from sslops.repo.git import Git
from sslops.repo.plain_yaml import line_of
from sslops.repo.snapshot import ROLL_BRANCH
from sslops.repo.state_files import (
    CERT,
    CHAIN,
    CSR,
    FACTS,
    GENERATION_FILES,
    PRIVKEY,
    SLOTS,
    STATE,
    generation_path,
    parse_path,
    read_generation,
    read_slots,
    slots_path,
)
from sslops.secrets.recipients import CONFIG_NAME, read_rules, recipients_of, rule_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from sslops.model.inventory import Inventory
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.state import Generation
    from sslops.secrets.recipients import CreationRule


_KEY_IN_CLEAR = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----|AGE-SECRET-KEY-\w{20}")
_ACCOUNT = re.compile(rf"{STATE}/{ACCOUNTS}/[A-Za-z0-9][A-Za-z0-9._-]*\.json\.sops")
_FORMER_CONFIGS = 20
"""How many versions of `.sops.yaml` are looked through."""
_RESTORE = "git log -- {path}   (only the engine writes state/; restore the file)"


def faults(
    files: Mapping[str, bytes], inventory: Inventory, former: Sequence[Sequence[CreationRule]] = ()
) -> tuple[StateError, ...]:
    """Return what is wrong with *files*: everything below `state/`, and `.sops.yaml`, by path.

    A document that is encrypted as one of the *former* versions of `.sops.yaml` asked has only to be wrapped anew.
    """
    state = {path: content for path, content in files.items() if path.startswith(f"{STATE}/")}
    apart = _Apart.of(state)
    found = [*apart.strays, *_clear_keys(state), *_sops(state, files.get(CONFIG_NAME), former)]
    for service in sorted({*apart.slots, *apart.generations}):
        found.extend(_service(service, apart, state, inventory))
    return tuple(sorted(found, key=lambda fault: (fault.where or Location("", 0, 0), fault.what)))


def changed_issued(base: Mapping[str, bytes], files: Mapping[str, bytes]) -> tuple[StateError, ...]:
    """Return the issued generations of *base* that *files* have otherwise; both hold what is below `state/`, by path.

    A generation may go as a whole (prune), and its encrypted key may be wrapped anew (rekey); nothing else.
    """
    found = []
    for path, content in base.items():
        parts = parse_path(path)
        if parts is None or parts.generation is None or parts.name == PRIVKEY:
            continue
        facts = base.get(generation_path(parts.service, parts.generation, FACTS), b"")
        stays = generation_path(parts.service, parts.generation, FACTS) in files
        if b'status: "issued"' in facts and stays and files.get(path) != content:
            found.append(_fault(path, f"'{path}' changed, and an issued generation never does"))
    return tuple(found)


def outside_state(paths: Sequence[str]) -> tuple[StateError, ...]:
    """Return a fault for each of the *paths* that a roll touches and that is not below `state/`."""
    strays = [path for path in paths if not path.startswith(f"{STATE}/")]
    return tuple(_fault(path, f"a roll changes '{path}', which is not below '{STATE}/'") for path in strays)


@dataclass(frozen=True, slots=True)
class _Apart:
    """The paths below `state/` by what they belong to."""

    slots: frozenset[ServiceId]
    generations: Mapping[ServiceId, frozenset[GenerationId]]
    strays: tuple[StateError, ...]

    @classmethod
    def of(cls, state: Mapping[str, bytes]) -> _Apart:
        """Take *state* apart."""
        slots: set[ServiceId] = set()
        generations: dict[ServiceId, set[GenerationId]] = {}
        strays = []
        for path in state:
            parts = parse_path(path)
            if parts is None:
                if not _ACCOUNT.fullmatch(path):
                    strays.append(_fault(path, f"'{path}' belongs to no service and no account"))
            elif parts.generation is None:
                slots.add(parts.service)
            else:
                generations.setdefault(parts.service, set()).add(parts.generation)
        return cls(frozenset(slots), {key: frozenset(ids) for key, ids in generations.items()}, tuple(strays))


def _service(
    service: ServiceId, apart: _Apart, state: Mapping[str, bytes], inventory: Inventory
) -> Iterator[StateError]:
    generations: dict[GenerationId, Generation] = {}
    for key in sorted(apart.generations.get(service, ())):
        path = generation_path(service, key, FACTS)
        if path not in state:
            yield _fault(path, f"generation '{key}' of '{service}' has no '{FACTS}'")
            continue
        try:
            generations[key] = read_generation(state[path], path, key)
        except StateError as fault:
            yield fault
            continue
        yield from _generation(service, generations[key], state, inventory)
    if service in apart.slots:
        yield from _slots(service, generations, apart.generations.get(service, frozenset()), state)
    else:
        yield _fault(slots_path(service), f"'{service}' has generations and no '{SLOTS}'")


def _slots(
    service: ServiceId,
    generations: Mapping[GenerationId, Generation],
    folders: frozenset[GenerationId],
    state: Mapping[str, bytes],
) -> Iterator[StateError]:
    path = slots_path(service)
    try:
        slots = read_slots(state[path], path)
    except StateError as fault:
        yield fault
        return
    named = {"curr": slots.curr, "next": slots.next, "prev": slots.prev}
    for slot, key in named.items():
        if key is None:
            continue
        if key not in folders:
            yield _fault(path, f"slot '{slot}' of '{service}' names '{key}', which does not exist", state[path], slot)
        elif slot != "next" and key in generations and generations[key].status is not Status.ISSUED:
            yield _fault(path, f"slot '{slot}' of '{service}' names '{key}', which is not issued", state[path], slot)
    if slots.curr is not None and slots.curr == slots.next:
        yield _fault(path, f"curr and next of '{service}' are the same", state[path], "next")


def _generation(
    service: ServiceId, generation: Generation, state: Mapping[str, bytes], inventory: Inventory
) -> Iterator[StateError]:
    from sslops.pki.integrity import contradictions

    issued = generation.status is Status.ISSUED
    wanted = [name for name in GENERATION_FILES if issued or name in (FACTS, CSR, PRIVKEY)]
    for name in wanted:
        path = generation_path(service, generation.id, name)
        if path not in state:
            yield _fault(path, f"generation '{generation.id}' of '{service}' is not complete: no '{name}'")
    for text in generation.order.challenges if generation.order else ():
        if Proof.parse(text) is None:
            path = generation_path(service, generation.id, FACTS)
            what = f"the order of '{generation.id}' keeps a challenge that no CA can have asked for"
            yield _fault(path, what, state[path], "challenges")
    csr = state.get(generation_path(service, generation.id, CSR))
    cert = state.get(generation_path(service, generation.id, CERT))
    for name, words in contradictions(generation, csr, cert):
        yield _fault(generation_path(service, generation.id, name), words)
    chain = state.get(generation_path(service, generation.id, CHAIN))
    if cert is not None and chain is not None:
        yield from _chain(service, generation, cert, chain)
    if cert is not None:
        yield from _purpose(service, generation, cert, inventory)


def _chain(service: ServiceId, generation: Generation, cert: bytes, chain: bytes) -> Iterator[StateError]:
    from sslops.pki.certificate import chain_faults, read_certificate

    try:
        read_certificate(cert)
    except StateError:
        return  # told already
    for words in chain_faults(cert, chain):
        yield _fault(generation_path(service, generation.id, CHAIN), f"{words}: '{generation.id}' of '{service}'")


def _purpose(service: ServiceId, generation: Generation, cert: bytes, inventory: Inventory) -> Iterator[StateError]:
    from sslops.pki.certificate import read_certificate

    try:
        facts = read_certificate(cert)
    except StateError:
        return  # told already
    known = inventory.services.get(service)
    if known is not None and known.is_ca != facts.is_ca:
        kind = "a CA" if facts.is_ca else "not a CA"
        what = f"the certificate of '{service}' is {kind}, against the inventory"
        yield _fault(generation_path(service, generation.id, CERT), what)


def _clear_keys(state: Mapping[str, bytes]) -> Iterator[StateError]:
    for path, content in state.items():
        if _KEY_IN_CLEAR.search(content):
            where = Location(path, 1, 1)
            what = f"'{path}' holds a private key in clear"
            yield StateError(what, where=where, hint="the key is lost to the history: renew --new-key, then revoke")


def _sops(
    state: Mapping[str, bytes], config: bytes | None, former: Sequence[Sequence[CreationRule]] = ()
) -> Iterator[StateError]:
    documents = {path: content for path, content in state.items() if path.endswith(".sops")}
    if not documents:
        return
    try:
        rules = read_rules((config or b"").decode())
    except (SopsError, UnicodeDecodeError) as error:
        yield _fault(CONFIG_NAME, error.what if isinstance(error, SopsError) else f"'{CONFIG_NAME}' is not UTF-8")
        return
    for path, content in documents.items():
        if not any(_is_for(path, content, each) for each in former):
            yield from _document(path, content, rules)


def _is_for(path: str, content: bytes, rules: Sequence[CreationRule]) -> bool:
    try:
        return recipients_of(content, path) == rule_for(rules, path).recipients
    except SopsError:
        return False


def _document(path: str, content: bytes, rules: Sequence[CreationRule]) -> Iterator[StateError]:
    try:
        has, wants = recipients_of(content, path), rule_for(rules, path).recipients
    except SopsError as error:
        yield _fault(path, error.what)
        return
    if has != wants:
        where = Location(path, 1, 1)
        what = f"'{path}' is encrypted to {_listed(has)}, and {CONFIG_NAME} asks for {_listed(wants)}"
        yield StateError(what, where=where, hint="sslops rekey --apply, with an identity that opens it")


def _listed(recipients: frozenset[str]) -> str:
    return ", ".join(sorted(recipients)) or "nobody"


def _fault(path: str, what: str, content: bytes = b"", key: str = "") -> StateError:
    line = line_of(content, key) if key else 1
    return StateError(what, where=Location(path, line, 1), hint=_RESTORE.format(path=path))


def state_faults(folder: Path, inventory: Inventory, reviewed: Review) -> tuple[StateError, ...]:
    """Return what is wrong with the checkout at *folder*, the top of an ops repository; nothing is fetched.

    What the reviewed branch has issued must be unchanged, and a checkout of the roll branch may differ from it below
    `state/` only.
    """
    files = read_state(folder)
    git = Git.discover(folder)
    main = git.branch(reviewed.branch)
    found = faults(files, inventory, () if main is None else _former_rules(git, main))
    if main is None:
        return (*found, *reviewed.missing)
    found += changed_issued(git.files(main, f"{STATE}/"), files)
    if ROLL_BRANCH in {git.head_branch(), reviewed.source}:
        found += outside_state(git.touched(main, "HEAD"))
    return found


def to_be_rewrapped(folder: Path) -> StateError | None:
    """Return the note that documents of the checkout at *folder* are not for those whom `.sops.yaml` names now."""
    files = read_state(folder)
    state = {path: content for path, content in files.items() if path.startswith(f"{STATE}/")}
    found = list(_sops(state, files.get(CONFIG_NAME)))
    if not found:
        return None
    what = f"{found[0].what}, as it did not before; so it is with {len(found)} documents"
    return StateError(what, where=found[0].where, hint="sslops rekey --apply, with an identity that opens them")


def _former_rules(git: Git, main: str) -> tuple[Sequence[CreationRule], ...]:
    """Return what the reviewed branch's `.sops.yaml` asked for, now and before; one that was broken asked for nothing.

    Who changes it cannot wrap the keys before that is merged, nor are those of main wrapped before the next roll.
    """
    found = []
    for commit, _ in git.first_parent_times(main, CONFIG_NAME)[:_FORMER_CONFIGS]:
        try:
            found.append(read_rules((git.file(commit, CONFIG_NAME) or b"").decode()))
        except (SopsError, UnicodeDecodeError):
            continue
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Review:
    """What a checkout is compared with: the branch that people review, and the one that a merge request asks to merge.

    Both are the job's or the remote's word: a forge checks out a commit, and a branch says what it likes of itself.
    """

    branch: str
    source: str | None = None
    is_required: bool = False
    """Whether a clone without the reviewed branch is a fault: a job's."""

    @property
    def missing(self) -> tuple[StateError, ...]:
        """The fault of a clone that lacks the reviewed branch."""
        if not self.is_required:
            return ()
        what = f"this clone has no branch '{self.branch}', so nobody can tell whether what it has issued is unchanged"
        return (StateError(what, hint="let the job fetch all of it: fetch-depth: 0, or GIT_DEPTH: 0"),)


def read_state(folder: Path) -> dict[str, bytes]:
    """Return path to content of all that lies below `state/` in a work tree, and of `.sops.yaml`."""
    top = folder / STATE
    paths = [*([] if top.is_symlink() else sorted(top.rglob("*"))), folder / CONFIG_NAME]
    # A link could lead out of the repository; read as no file, it is missed and so reported.
    plain = [path for path in paths if path.is_file() and not path.is_symlink()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in plain}
