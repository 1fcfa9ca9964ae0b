"""The receiver on a host: what it is sent, how it is called, and what its answer means.

A shipment is an archive of numbered folders, a manifest, and a list of hashes. No name of the inventory becomes a
path of the archive; names stand in the manifest only, and an unsafe one is refused.
"""

from __future__ import annotations

import hashlib
import io
import re
import shlex
import tarfile
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Protocol

from sslops.deploy.session_plan import start_hint
from sslops.errors import SshError
from sslops.model.names import GenerationId, ServiceId, format_time
from sslops.model.secret import Secret
from sslops.model.shipment import Answer, Held, KeyAccess, Outcome
from sslops.system.effects import NO_EFFECTS
from sslops.system.peer_words import peer_words
from sslops.system.ssh import SSH_FAILED, is_host_key_trouble, is_login_trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import timedelta

    from sslops.model.inventory import FileModes, Host
    from sslops.model.shipment import DhFiles, Include, Parcel, Restart, Shipment
    from sslops.system.effects import Effects
    from sslops.system.processes import Finished


_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}")
_OWNER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*\$?")
_KEY_MODE = re.compile(r"0?[0-7]{3}")
DH_FOLDER, DH_LINK = "dh", "dhparam.pem"
_SECRET_FILES = ("privkey.pem", "bundle.pem")


def pack(shipment: Shipment, seq: int) -> Secret:
    """Return the archive that `put` reads; *seq* becomes part of folder names on the server. SshError: a bad name."""
    archive = _Archive()
    batches = sorted({_ownership(parcel.modes) for parcel in shipment.parcels})
    for number, parcel in enumerate(shipment.parcels):
        batch = batches.index(_ownership(parcel.modes))
        archive.add_parcel(f"batch{batch}/{number}", number, parcel, seq)
    for batch, ownership in enumerate(batches):
        if ownership != ":":
            archive.say("owner", f"batch{batch}", ownership)
    archive.add_rest(shipment)
    return Secret(archive.close(), "shipment")


def pack_names(shipment: Shipment) -> Secret:
    """Return the archive that `back` reads: the same session's names and restarts, without any file of a service."""
    archive = _Archive()
    for parcel in shipment.parcels:
        archive.name_service("-", parcel)
    for include in shipment.includes:
        archive.say("include", "-", include_path(include.apex))
    archive.add_restarts(shipment.restarts)
    return Secret(archive.close(), "shipment")


def contents(parcel: Parcel) -> Mapping[str, bytes]:
    """Return the files of `curr` by name; `fullchain.pem`, `bundle.pem` and `info` are derived here."""
    key, files = parcel.private_key.reveal(), parcel.files
    fullchain = files.cert + files.chain
    return {
        "privkey.pem": key,
        "csr.pem": files.csr,
        "cert.pem": files.cert,
        "chain.pem": files.chain,
        "fullchain.pem": fullchain,
        "bundle.pem": key + fullchain,
        "tlsa.rr": files.tlsa_rr,
        "info": _info(parcel).encode(),
    }


def include_path(apex: str) -> str:
    """Return where the include file of *apex* lies below `prod_cert_dir`."""
    return f"{_safe(apex)}/tlsa.{apex}"


class _Archive:
    """The archive as it grows. Everything has its final mode in it, so that the receiver need not call chmod."""

    def __init__(self) -> None:
        self._content = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._content, mode="w", format=tarfile.GNU_FORMAT)  # noqa: SIM115  (close())
        self._manifest: list[str] = []
        self._names: list[str] = []
        self._folders: list[str] = []
        self._sums: list[str] = []

    def say(self, *words: str) -> None:
        """Add a line to the manifest."""
        self._manifest.append("\t".join(words) + "\n")

    def name_service(self, source: str, parcel: Parcel) -> None:
        """Add a service to the manifest."""
        path = f"{_safe(parcel.service.group)}/{_safe(parcel.service.name)}"
        self._names.append(f"{path}\n")
        self.say("service", source, path, _safe(parcel.generation), _named(parcel))

    def add_parcel(self, source: str, number: int, parcel: Parcel, seq: int) -> None:
        """Add a service's files below *source*, and the link that will be its `curr`."""
        self.name_service(source, parcel)
        self._folders.append(f"{self._names[-1].rstrip()}/.generations\n")
        at = int(parcel.issued_at.timestamp())
        folder = tarfile.TarInfo(source)
        folder.type, folder.mode, folder.mtime = tarfile.DIRTYPE, 0o755, at
        self._tar.addfile(folder)
        files = contents(parcel)
        sums = "".join(_sum_line(name, content) for name, content in files.items())
        for name, content in {**files, "sums": sums.encode()}.items():
            self._file(f"{source}/{name}", content, _mode(name, parcel.modes), at)
        link = tarfile.TarInfo(f"links/{number}")
        link.mtime, link.type, link.linkname = at, tarfile.SYMTYPE, f".generations/{parcel.generation}.{seq}"
        self._tar.addfile(link)

    def add_rest(self, shipment: Shipment) -> None:
        """Add include files and restarts."""
        for number, include in enumerate(shipment.includes):
            self._include(number, include)
        for number, found in enumerate(shipment.dhparm):
            self._dhparm(number, found)
        self.add_restarts(shipment.restarts)

    def add_restarts(self, restarts: Iterable[Restart]) -> None:
        """Add each command as a file in which every word is quoted: a shell starts it, none reads it."""
        commands = [(restart.server_class, words) for restart in restarts for words in restart.commands]
        for number, (server_class, words) in enumerate(commands):
            self._file(f"restart/{number}", f"exec {shlex.join(words)}\n".encode(), 0o600)
            self.say("restart", _safe(server_class), f"restart/{number}")

    def close(self) -> bytes:
        """Return the archive, with its manifest, its lists and the hash of every file in it."""
        for name, lines in (("manifest", self._manifest), ("names", self._names), ("folders", self._folders)):
            self._file(name, "".join(lines).encode(), 0o600)
        sums = "".join(self._sums).encode()
        entry = tarfile.TarInfo("sums")
        entry.size, entry.mode = len(sums), 0o600
        self._tar.addfile(entry, io.BytesIO(sums))
        self._tar.close()
        return self._content.getvalue()

    def _include(self, number: int, include: Include) -> None:
        path = include_path(include.apex)
        self._folders.append(f"{include.apex}\n")
        self._file(f"include/{number}", include.content, 0o644)
        self.say("include", f"include/{number}", path)

    def _dhparm(self, number: int, found: DhFiles) -> None:
        folder = f"{_safe(found.group)}/{DH_FOLDER}"
        self._folders.append(f"{found.group}\n")
        names = [f"dh-{_safe(name)}.pem" for name in found.files]
        for name, content in zip(names, found.files.values(), strict=True):
            source = f"dh{number}/{name}"
            self._file(source, content, 0o644)
            self.say("dh", source, f"{folder}/{name}", found.group)
        self.say("dhlink", names[0], f"{folder}/{DH_LINK}", found.group)

    def _file(self, path: str, content: bytes, mode: int, at: int = 0) -> None:
        entry = tarfile.TarInfo(path)
        entry.size, entry.mode, entry.mtime = len(content), mode, at
        self._tar.addfile(entry, io.BytesIO(content))
        self._sums.append(_sum_line(path, content))


def _named(parcel: Parcel) -> str:
    """Return the generations that the host may go back to, as the receiver reads them."""
    named = ["any"] if parcel.returns_to is None else [_safe(each) for each in sorted(parcel.returns_to)]
    return " ".join([*named, *(["same"] if parcel.returns_to_same else [])])


def _sum_line(path: str, content: bytes) -> str:
    return f"{hashlib.sha256(content).hexdigest()}  {path}\n"


def _mode(name: str, modes: FileModes) -> int:
    if name not in _SECRET_FILES:
        return 0o644
    if not _KEY_MODE.fullmatch(modes.key_mode):
        message = f"'{modes.key_mode}' is not a file mode for keys"
        raise SshError(message, hint="three octal digits, as in 'files: {key_mode: 0640}'")
    return int(modes.key_mode, 8)


def _ownership(modes: FileModes) -> str:
    """Return `owner:group` as chown reads it; `:` leaves both."""
    for name in (modes.owner, modes.group):
        if name is not None and not _OWNER.fullmatch(name):
            message = f"'{name}' is not a name of a user or a group"
            raise SshError(message)
    return f"{modes.owner or ''}:{modes.group or ''}"


def _info(parcel: Parcel) -> str:
    rolled_at = "null" if parcel.rolled_at is None else f'"{format_time(parcel.rolled_at)}"'
    return (
        f'generation: "{parcel.generation}"\nserial: "{parcel.serial}"\n'
        f'not_after: "{format_time(parcel.not_after)}"\nrolled_at: {rolled_at}\n'
    )


def _safe(name: str) -> str:
    if not _NAME.fullmatch(name):
        message = f"'{name}' is not safe as a file name on a server"
        raise SshError(message, hint="letters, digits, '.', '_' and '-', and none of the last three marks in front")
    return name


GREETING = "sslops-receiver 1"
FILES = frozenset(
    ("privkey.pem", "csr.pem", "cert.pem", "chain.pem", "fullchain.pem", "bundle.pem", "tlsa.rr", "info"),
)
"""What lies below a `curr` of ours, beside the list of hashes."""

_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}")
_HASHED = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_GENERATION = re.compile(r'generation: "([0-9]{8}T[0-9]{6}Z-[0-9a-f]{4})"')
_ACCESS = re.compile(r"([0-7]{3,4}) (\S+) ([0-9]+) (\S+) ([0-9]+) (\S+)")
_SECONDS = re.compile(r"[0-9]{1,11}")
_BEGINNING = re.compile(re.escape(GREETING).encode() + rb"\r?\n")
_END = "done"
_SEQ = re.compile(r"[0-9]{1,15}")
"""A number of an intent: one for each session, so that a longer one is nonsense."""
_MOST_COMPLAINTS = 12


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer. *greeted*: the receiver ran at all; *is_complete*: it came to its end."""

    greeted: bool = False
    is_complete: bool = False
    seq: int = 0
    services: Mapping[ServiceId, Held] = field(default_factory=dict)
    includes: Mapping[str, str] = field(default_factory=dict)
    unfinished: frozenset[ServiceId] = frozenset()
    restarted: tuple[str, ...] = ()
    complaints: tuple[str, ...] = ()
    clock: datetime | None = None
    """What time it was there as the receiver began."""
    first: frozenset[ServiceId] = frozenset()
    """Services of which nothing lay there before."""
    dhparm: frozenset[str] = frozenset()
    """Groups whose Diffie-Hellman parameters are there."""
    around: str = ""
    """What was printed that is not the receiver's: bounded, and harmless to show."""


def hear(stdout: bytes) -> Heard:
    """Return what *stdout* says from the greeting to the end; what is around them is a login shell's.

    A login shell may leave its last line open, so that the greeting stands anywhere in one.
    """
    begun = _BEGINNING.search(stdout)
    if begun is None:
        return Heard(around=peer_words(stdout))
    lines = [line.rstrip("\r") for line in stdout[begun.end() :].decode(errors="replace").split("\n")]
    end = lines.index(_END) if _END in lines else None
    after = "" if end is None else "\n".join(lines[end + 1 :])
    lines = lines[:end]
    pairs = [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]
    hashes = [match.groups() for word, rest in pairs if word == "file" and (match := _HASHED.fullmatch(rest))]
    texts = [rest.partition(":")[::2] for word, rest in pairs if word == "text"]
    return Heard(
        greeted=True,
        is_complete=end is not None,
        around=peer_words(f"{stdout[: begun.start()].decode(errors='backslashreplace')}\n{after}"),
        seq=max((int(rest) for word, rest in pairs if word == "seq" and _SEQ.fullmatch(rest)), default=0),
        services=_services(hashes, texts, [rest for word, rest in pairs if word == "access"]),
        includes={apex: digest for digest, path in hashes if (apex := _apex(path))},
        unfinished=frozenset(name for word, rest in pairs if word == "unfinished" and (name := _service(rest))),
        restarted=tuple(rest for word, rest in pairs if word == "restarted"),
        complaints=_complaints(pairs),
        first=frozenset(name for word, rest in pairs if word == "first" and (name := _service(rest))),
        dhparm=frozenset(rest for word, rest in pairs if word == "dhparm" and _WORD.fullmatch(rest)),
        clock=next((_moment(rest) for word, rest in pairs if word == "clock"), None),
    )


def _moment(seconds: str) -> datetime | None:
    """Read seconds since 1970; null for what is no time."""
    return datetime.fromtimestamp(int(seconds), UTC) if _SECONDS.fullmatch(seconds) else None


def _complaints(pairs: list[tuple[str, str]]) -> tuple[str, ...]:
    kinds = {"refused": "{}", "restart-failed": "restart of {}", "output": "{}"}
    said = [kinds[word].format(peer_words(rest)) for word, rest in pairs if word in kinds]
    return tuple(said[:_MOST_COMPLAINTS])


def _services(
    hashes: Sequence[tuple[str, ...]], texts: Sequence[tuple[str, ...]], accesses: Iterable[str]
) -> dict[ServiceId, Held]:
    access = dict(pair for text in accesses if (pair := _access(text)) is not None)
    found: dict[ServiceId, dict[str, str]] = {}
    listed: dict[ServiceId, dict[str, str]] = {}
    generations: dict[ServiceId, GenerationId] = {}
    for digest, path in hashes:
        service, name = _place(path)
        if service is not None:
            found.setdefault(service, {})[name] = digest
    for path, line in texts:
        service, name = _place(path)
        if service is None:
            continue
        if name == "info" and (match := _GENERATION.fullmatch(line)):
            generations[service] = GenerationId(match[1])
        if name == "sums" and (match := _HASHED.fullmatch(line)):
            listed.setdefault(service, {})[match[2]] = match[1]
    return {
        service: Held(
            generations.get(service), digests, _is_intact(digests, listed.get(service, {})), access.get(service)
        )
        for service, digests in found.items()
    }


def _access(text: str) -> tuple[ServiceId, KeyAccess] | None:
    """Read mode, owner, group and path of a key."""
    match = _ACCESS.fullmatch(text)
    service, name = _place(match[6]) if match else (None, "")
    if match is None or service is None or name != "privkey.pem":
        return None
    return service, KeyAccess(int(match[1], 8), frozenset(match.group(2, 3)), frozenset(match.group(4, 5)))


def _is_intact(found: Mapping[str, str], listed: Mapping[str, str]) -> bool:
    return listed.keys() == FILES and all(found.get(name) == digest for name, digest in listed.items())


def _place(path: str) -> tuple[ServiceId | None, str]:
    """Split `group/service/curr/name`; null for any other path."""
    parts = path.split("/")
    if len(parts) != 4 or parts[2] != "curr":  # noqa: PLR2004  (see the docstring)
        return None, ""
    return _service("/".join(parts[:2])), parts[3]


def _service(text: str) -> ServiceId | None:
    group, slash, name = text.partition("/")
    return ServiceId(group, name) if slash and _WORD.fullmatch(group) and _WORD.fullmatch(name) else None


def _apex(path: str) -> str | None:
    """Return the apex of `<apex>/tlsa.<apex>`; null for any other path."""
    group, _, name = path.partition("/")
    return group if name == f"tlsa.{group}" and _WORD.fullmatch(group) else None


ASK_SECONDS = 120
PUT_SECONDS = 1200
"""The lock may take 30 s, each restart command up to 300 s, and twice when it goes back."""

_EXITS = {
    20: Outcome.FENCED,
    21: Outcome.BUSY,
    22: Outcome.REFUSED,
    23: Outcome.REFUSED,
    24: Outcome.WENT_BACK,
    25: Outcome.STUCK,
    26: Outcome.NOT_SWITCHED,
    27: Outcome.STAYED,
}


class Shell(Protocol):
    """Where commands run: over ssh, or here."""

    def run(self, host: Host, command: Sequence[str], *, payload: bytes, timeout_seconds: float) -> Finished:
        """Run *command* on *host*; must end within *timeout_seconds*, and must never show *payload* anywhere else."""
        ...


class Receivers:
    """The receivers of all hosts, behind the port `sslops.deploy.ports.Receiver`."""

    def __init__(
        self, remote: Shell, local: Shell, now: Callable[[], datetime], *, effects: Effects = NO_EFFECTS
    ) -> None:
        """Reach hosts through *remote*, and those with `address: local` through *local*; *now* reads our clock."""
        self._remote, self._local, self._now, self._effects = remote, local, now, effects

    def look(self, host: Host) -> Answer:
        """Say what *host* holds, without a lock and without a change."""
        return self._call(host, "look", 0, b"", ASK_SECONDS)

    def ask(self, host: Host, seq: int) -> Answer:
        """Say what *host* holds, after the fence was raised to *seq*: nothing older can act afterwards."""
        return self._call(host, "ask", seq, b"", ASK_SECONDS)

    def put(self, host: Host, seq: int, shipment: Shipment) -> Answer:
        """Send *shipment*, switch and restart; the answer says which of its services are there, exactly as sent."""
        answer = self._call(host, "put", seq, pack(shipment, seq).reveal(), PUT_SECONDS)
        if answer.outcome is not Outcome.DONE:
            return answer
        held = {parcel.service: _as_sent(parcel, answer.holds(parcel.service)) for parcel in shipment.parcels}
        return replace(answer, services=held, drift=None)

    def back(self, host: Host, seq: int, shipment: Shipment) -> Answer:
        """Return to where the `put` of the same *seq* would have gone back to, and restart."""
        return self._call(host, "back", seq, pack_names(shipment).reveal(), PUT_SECONDS)

    def _call(self, host: Host, operation: str, seq: int, payload: bytes, timeout_seconds: float) -> Answer:
        shell = self._local if host.is_local else self._remote
        command = ["sh", "-c", script(), "sslops-receiver", operation, str(seq), host.prod_cert_dir]
        with self._effects.effect(f"ssh {host.name} {operation}"):
            begun = self._now()
            finished = shell.run(host, command, payload=payload, timeout_seconds=timeout_seconds)
        ended = self._now()
        heard = hear(finished.stdout)
        outcome = _outcome(finished, heard)
        trouble = None if outcome is Outcome.DONE else _trouble(host, outcome, finished, heard)
        return Answer(
            outcome,
            heard.seq,
            heard.services,
            heard.includes,
            heard.unfinished,
            heard.restarted,
            trouble,
            None if heard.clock is None else _drift(heard.clock, begun, ended),
            heard.first,
            heard.dhparm,
        )


@cache
def script() -> str:
    """Return the receiver, as it is sent."""
    return files("sslops.deploy").joinpath("receiver.sh").read_text()


def forced_script() -> str:
    """Return the receiver as a file that a host may limit a key to, as its forced command."""
    return files("sslops.deploy").joinpath("forced.sh").read_text() + script()


def _as_sent(parcel: Parcel, held: Held) -> Held:
    sent = {name: hashlib.sha256(content).hexdigest() for name, content in contents(parcel).items()}
    same = all(held.files.get(name) == digest for name, digest in sent.items())
    return Held(parcel.generation if same else None, held.files, intact=same)


def _drift(there: datetime, begun: datetime, ended: datetime) -> timedelta:
    return there - min(max(there, begun), ended)


def _outcome(finished: Finished, heard: Heard) -> Outcome:
    if finished.code is None:
        return Outcome.TIMEOUT
    if finished.code == 0:
        return Outcome.DONE if heard.is_complete else Outcome.BROKEN
    if heard.greeted:
        return _EXITS.get(finished.code, Outcome.BROKEN)
    if finished.code != SSH_FAILED:
        return Outcome.BROKEN
    if is_host_key_trouble(finished.stderr):
        return Outcome.HOST_KEY
    return Outcome.DENIED if is_login_trouble(finished.stderr) else Outcome.UNREACHABLE


def _trouble(host: Host, outcome: Outcome, finished: Finished, heard: Heard) -> SshError:
    around = f"it printed: {heard.around}" if heard.around and outcome is Outcome.BROKEN else ""
    said = "; ".join([*heard.complaints, *_last_lines(finished.stderr), *filter(None, [around])])
    if outcome is Outcome.BROKEN and not said:
        said = f"it printed nothing, and ended with exit code {finished.code}"
    detail = f": {said}" if said else ""
    hint = (
        start_hint(host, heard.first) if heard.first and outcome is not Outcome.NOT_SWITCHED else _hint(host, outcome)
    )
    return SshError(f"'{host.name}': {outcome}{detail}", hint=hint)


def _last_lines(stderr: str) -> list[str]:
    lines = [peer_words(line) for line in stderr.splitlines() if not line.startswith("@@@")]
    return [line for line in lines if line][-3:]


def _hint(host: Host, outcome: Outcome) -> str | None:
    hints = {
        Outcome.HOST_KEY: f"compare the key of '{host.name}' on its console, then put it into 'inventory/known_hosts'",
        Outcome.DENIED: "sslops doctor, and the login key in the host's authorized_keys",
        Outcome.STUCK: f"look at the daemon on '{host.name}'; its files are whole, and may be served",
        Outcome.BUSY: "the next run tries again",
    }
    return hints.get(outcome)
