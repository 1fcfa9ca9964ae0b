"""Talk to the receiver on a host: start `receiver.sh` there with the right operation, and read its answer.

The script goes over as one argument of `sh -c`; it holds no secret. The payload goes to its stdin.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Protocol

from sslops.adapters.effects import NO_EFFECTS
from sslops.adapters.payload import contents, pack, pack_names
from sslops.adapters.receiver_answer import Heard, hear
from sslops.adapters.ssh import SSH_FAILED, is_host_key_trouble, is_login_trouble
from sslops.errors import SshError
from sslops.model.shipment import Answer, Held, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    from sslops.adapters.effects import Effects
    from sslops.adapters.piped_process import Finished
    from sslops.model.inventory import Host
    from sslops.model.shipment import Parcel, Shipment

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
}
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


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
        return Answer(Outcome.DONE, answer.seq, held, answer.includes, answer.unfinished, answer.restarted)

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
        )


@cache
def script() -> str:
    """Return the receiver, as it is sent."""
    return files("sslops.deploy").joinpath("receiver.sh").read_text()


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
    said = "; ".join([*heard.complaints, *_last_lines(finished.stderr)])
    detail = f": {said}" if said else ""
    return SshError(f"'{host.name}': {outcome}{detail}", hint=_hint(host, outcome))


def _last_lines(stderr: str) -> list[str]:
    lines = [_UNPRINTABLE.sub(" ", line).strip() for line in stderr.splitlines()]
    return [line[:300] for line in lines if line and not line.startswith("@@@")][-3:]


def _hint(host: Host, outcome: Outcome) -> str | None:
    hints = {
        Outcome.HOST_KEY: f"compare the key of '{host.name}' on its console, then put it into 'inventory/known_hosts'",
        Outcome.DENIED: "sslops doctor, and the login key in the host's authorized_keys",
        Outcome.STUCK: f"look at the daemon on '{host.name}'; its files are whole, and may be served",
        Outcome.BUSY: "the next run tries again",
    }
    return hints.get(outcome)
