"""What to type so that a machine trusts the own roots."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_COMMANDS = {
    "Debian, Ubuntu": "install -m 644 {file} /usr/local/share/ca-certificates/{name}.crt && update-ca-certificates",
    "Fedora, RHEL": "install -m 644 {file} /etc/pki/ca-trust/source/anchors/{name}.crt && update-ca-trust",
    "Arch": "trust anchor --store {file}",
    "NSS (Firefox, Chromium), in the profile's folder": "certutil -d sql:. -A -t C,, -n {name} -i {file}",
}


def as_text(roots: Mapping[str, bytes], folder: str | None) -> str:
    """Return the roots themselves, unless they were written to *folder*, and the commands for each system."""
    parts = []
    for service, pem in roots.items():
        name = service.partition("/")[2]
        file = shlex.quote(f"{folder or '.'}/{name}.crt")
        lines = [
            f"# {service}: save it as {name}.crt (sslops trust --export DIR does)" if folder is None else f"# {service}"
        ]
        lines += [] if folder else [pem.decode("ascii", "replace").rstrip()]
        for system, command in _COMMANDS.items():
            lines += [f"# {system}", command.format(file=file, name=name)]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
