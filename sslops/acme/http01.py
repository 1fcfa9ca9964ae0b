"""http-01 (RFC 8555 section 8.3): challenge files on web hosts, handled by POSIX sh, over ssh or on this machine.

Names of files are tokens of the CA, checked before they get here and once more in the script; they travel on stdin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sslops.system.effects import NO_EFFECTS
from sslops.system.peer_words import peer_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sslops.model.acme import Proof
    from sslops.model.inventory import Host
    from sslops.model.plan import Hazard, Obstacle
    from sslops.system.effects import Effects
    from sslops.system.processes import Finished


TIMEOUT_SECONDS = 60
# ssl-mgr keeps one document root for each apex below server_dir; where there is no such folder, server_dir is the root.
SCRIPT = r"""
set -eu
umask 022
operation=$1 top=$2
while read -r group token value; do
    case "$token" in *[!A-Za-z0-9_-]*|"") echo "an unsafe token" >&2; exit 3;; esac
    case "$group" in *[!A-Za-z0-9.-]*|.*|"") echo "an unsafe group" >&2; exit 3;; esac
    root=$top
    [ ! -d "$top/$group" ] || root=$top/$group
    folder=$root/.well-known/acme-challenge
    if [ "$operation" = put ]; then
        mkdir -p "$folder"
        printf '%s' "$value" >"$folder/.$token"
        mv "$folder/.$token" "$folder/$token"
        [ "$(cat "$folder/$token")" = "$value" ]
    else
        rm -f "$folder/$token" "$folder/.$token"
    fi
done
printf '\n%s\n' 'sslops-challenge done'
"""
_DONE = b"sslops-challenge done"
"""On a line of its own, whatever a login shell printed around it."""


class Shell(Protocol):
    """Where commands run: over ssh, or here."""

    def run(self, host: Host, command: Sequence[str], *, payload: bytes, timeout_seconds: float) -> Finished:
        """Run *command* on *host* with *payload* on stdin; must end within *timeout_seconds*."""
        ...


class SshWebroots:
    """The document roots of web hosts, behind the port `sslops.acme.http01.Webroots`."""

    def __init__(self, remote: Shell, local: Shell, *, effects: Effects = NO_EFFECTS) -> None:
        """Reach hosts through *remote*, and those with `address: local` through *local*."""
        self._remote, self._local, self._effects = remote, local, effects

    def put(self, host: Host, folder: str, proofs: Iterable[Proof]) -> str | None:
        """Write one file for each of *proofs* and read them back; null, or why not."""
        why = self._call(host, "put", folder, proofs)
        return None if why is None else f"'{host.name}' has not got the challenge: {why}"

    def remove(self, host: Host, folder: str, proofs: Iterable[Proof]) -> str | None:
        """Remove the files of *proofs*; null, or why not."""
        why = self._call(host, "remove", folder, proofs)
        return None if why is None else f"'{host.name}' did not remove it: {why}"

    def _call(self, host: Host, operation: str, folder: str, proofs: Iterable[Proof]) -> str | None:
        lines = "".join(f"{proof.group} {proof.token} {proof.value}\n" for proof in proofs)
        shell = self._local if host.is_local else self._remote
        command = ["sh", "-c", SCRIPT, "sslops-challenge", operation, folder]
        with self._effects.effect(f"ssh {host.name} challenge {operation}"):
            finished = shell.run(host, command, payload=lines.encode(), timeout_seconds=TIMEOUT_SECONDS)
        if finished.code == 0 and _DONE in finished.stdout.splitlines():
            return None
        said = peer_words(finished.stderr) or peer_words(finished.stdout)
        return "no answer in time" if finished.code is None else said or f"exit code {finished.code}"


class Webroots(Protocol):
    """The web hosts; every method must leave a host alone that cannot be reached, and say so in its answer."""

    def put(self, host: Host, folder: str, proofs: Iterable[Proof]) -> str | None:
        """Write one file for each of *proofs* below *folder* and read them back; null, or why not."""
        ...

    def remove(self, host: Host, folder: str, proofs: Iterable[Proof]) -> str | None:
        """Remove the files of *proofs*; null, or why not. One that is not there is removed."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where one host wants challenges: below its `server_dir`."""

    host: Host
    server_dir: str


@dataclass(slots=True)
class Http01:
    """Shows proofs on the web hosts: on all of them, since nobody knows which one the CA will meet."""

    webroots: Webroots
    places: tuple[Place, ...]
    say: Callable[[str], None]
    _broken: str | None = None

    @property
    def hazards(self) -> tuple[Hazard, ...]:
        """None: a web host is asked by nobody but the CA."""
        return ()

    @property
    def obstacle(self) -> Obstacle | None:
        """Null: nobody stands between a run and a web host."""
        return None

    def impossible(self, names: Iterable[str]) -> dict[str, str]:  # noqa: ARG002
        """Return none: what the CA meets at a name only it can tell."""
        return {}

    def publish(self, proofs: frozenset[Proof]) -> dict[Proof, str]:
        """Write every file to every host; `missing` names what one of them has not got."""
        failed = [self.webroots.put(place.host, place.server_dir, sorted(proofs)) for place in self.places]
        self._broken = next((why for why in failed if why is not None), None)
        return {}

    def missing(self, proofs: frozenset[Proof]) -> Mapping[Proof, str]:
        """Return all of *proofs* while some host has not got them; it is tried once more."""
        if self._broken is not None:
            self.publish(proofs)
        return {} if self._broken is None else dict.fromkeys(proofs, self._broken)

    def clean(self, proofs: frozenset[Proof]) -> None:
        """Remove the files; what a host keeps proves nothing to anybody by then, so it is a message and no failure."""
        for place in self.places:
            why = self.webroots.remove(place.host, place.server_dir, sorted(proofs))
            if why is not None:
                self.say(f"challenge files stay below '{place.server_dir}': {why}")
