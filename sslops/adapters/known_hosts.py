r"""Key the reviewed `inventory/known_hosts` by inventory name, whatever form a line was collected in.

`ssh-keyscan -p 2222 10.0.0.2` writes `[10.0.0.2]:2222`; the ssh client here looks for the host's inventory name.

>>> from sslops.model.inventory import Host
>>> print(pinned("[10.0.0.2]:2222 ssh-ed25519 AAAA\n", [Host("smtp2", "10.0.0.2", 2222)]), end="")
[10.0.0.2]:2222 ssh-ed25519 AAAA
smtp2 ssh-ed25519 AAAA
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sslops.model.inventory import Host


def pinned(text: str, hosts: Iterable[Host]) -> str:
    """Return *text* and, for each line that names a host of *hosts* by address or port, the line under its name."""
    known = [(host.name, _forms(host)) for host in hosts]
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    return "".join(f"{line}\n" for line in [*lines, *(more for line in lines for more in _renamed(line, known))])


def _forms(host: Host) -> frozenset[str]:
    names = {host.name, host.address}
    # The bare address may be another machine behind the same gateway when the port is not ssh's own.
    bare = names if host.port == 22 else {host.name}  # noqa: PLR2004  (ssh)
    return frozenset(bare | {f"[{name}]:{host.port}" for name in names})


def _renamed(line: str, known: list[tuple[str, frozenset[str]]]) -> Iterator[str]:
    marker, rest = ("", line)
    if line.startswith("@"):
        marker, _, rest = line.partition(" ")
    patterns, _, key = rest.strip().partition(" ")
    names = set(patterns.split(","))
    for name, forms in known:
        if names & forms and name not in names and f"!{name}" not in names:
            yield f"{marker} {name} {key}".strip()
