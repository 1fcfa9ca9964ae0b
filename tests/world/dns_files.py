"""What the name servers are given: knot's configuration, zone files, and the hook that loads a push.

Layout of the DNS repository: `external/zones/<apex>.zone` includes `include-tlsa/tlsa.<apex>` and
`include-acme/acme-challenge.<apex>` beside it; `internal/zones/` has the same include files and is served by nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ZONES = "external/zones"
TLSA_DIRS = ("internal/zones/include-tlsa", "external/zones/include-tlsa")
ACME_DIR = "external/zones/include-acme"


def primary_config(folder: Path, listen: str, secondary: str, apexes: Sequence[str]) -> str:
    """Configure the signing primary: it reads the checkout, counts serials itself, and notifies *secondary*."""
    return f"""\
{_server(folder, listen)}
remote:
  - id: secondary
    address: {secondary}
acl:
  - id: transfer
    action: transfer
policy:
  - id: signed
    algorithm: ecdsap256sha256
    single-type-signing: on
template:
  - id: default
    storage: {folder.parent}/checkout/{ZONES}
    file: "%s.zone"
    zonefile-load: difference-no-serial
    zonefile-sync: -1
    journal-content: all
    dnssec-signing: on
    dnssec-policy: signed
    notify: secondary
    acl: transfer
{_zones(apexes)}"""


def secondary_config(folder: Path, listen: str, primary: str, apexes: Sequence[str]) -> str:
    """Configure the secondary: it transfers from *primary* when notified, or every two seconds."""
    return f"""\
{_server(folder, listen)}
remote:
  - id: primary
    address: {primary}
acl:
  - id: notify
    action: notify
template:
  - id: default
    storage: {folder}
    file: "%s.zone"
    zonefile-load: none
    zonefile-sync: -1
    journal-content: all
    master: primary
    acl: notify
    refresh-min-interval: 2
{_zones(apexes)}"""


def zone_file(apex: str, name_servers: Sequence[str], mail: Sequence[str], ttl_seconds: int) -> str:
    """Write a zone whose only MX is `mail.<apex>` at the addresses *mail*."""
    servers = {f"ns{number}": address for number, address in enumerate(name_servers, 1)}
    lines = [
        f"$ORIGIN {apex}.",
        f"$TTL {ttl_seconds}",
        f"@ SOA ns1 hostmaster 1 2 1 86400 {ttl_seconds}",
        *(f"@ NS {name}" for name in servers),
        *(f"{name} A {address}" for name, address in servers.items()),
        "@ MX 10 mail",
        *(f"{owner} {address_type(address)} {address}" for owner in ("@", "mail") for address in mail),
        f"$INCLUDE include-tlsa/tlsa.{apex}",
        f"$INCLUDE include-acme/acme-challenge.{apex}",
    ]
    return "\n".join(lines) + "\n"


def address_type(address: str) -> str:
    """Return the type of the record that holds an IP address."""
    return "AAAA" if ":" in address else "A"


def repository_files(zones: Mapping[str, str]) -> dict[str, str]:
    """Return every file of a new DNS repository for *zones* (apex to zone file); the include files are empty."""
    files = {f"{ZONES}/{apex}.zone": text for apex, text in zones.items()}
    for apex in zones:
        files |= {f"{folder}/tlsa.{apex}": "" for folder in TLSA_DIRS}
        files[f"{ACME_DIR}/acme-challenge.{apex}"] = ""
    return files


def deploy_hook(folder: Path, kzonecheck: Path, knotc: Path, apexes: Sequence[str]) -> str:
    """Write the post-receive hook: check out, check each zone, load it; a zone that is wrong loads nothing.

    While `hold` exists the push is accepted and nothing is loaded. `checkout` always is what was loaded last.
    """
    return f"""\
#!/bin/sh
# One push at a time; what git sets for the hook would confuse the checkout of another folder.
exec 9>"{folder}/deploy.lock"
flock 9
exec >>"{folder}/deploy.log" 2>&1
if [ -e "{folder}/hold" ]; then echo held; exit 0; fi
rm -rf "{folder}/arriving"
mkdir "{folder}/arriving"
git --git-dir="{folder}/dns.git" archive main | tar -x -C "{folder}/arriving" || exit 1
for apex in {" ".join(apexes)}; do
    "{kzonecheck}" -o "$apex" "{folder}/arriving/{ZONES}/$apex.zone" || exit 1
done
rm -rf "{folder}/leaving"
if [ -e "{folder}/checkout" ]; then mv "{folder}/checkout" "{folder}/leaving"; fi
mv "{folder}/arriving" "{folder}/checkout"
# knotc reload looks at the zone file's time stamp only and misses a changed include file.
if [ -e "{folder}/ns1/knot.sock" ]; then
    "{knotc}" -s "{folder}/ns1/knot.sock" -b zone-reload {" ".join(apexes)}
fi
"""


def _server(folder: Path, listen: str) -> str:
    return f"""\
server:
    rundir: {folder}
    listen: {listen}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {folder}/db
    journal-db-max-size: 8M
    kasp-db-max-size: 8M
    timer-db-max-size: 1M
control:
    listen: {folder}/knot.sock
log:
  - target: stderr
    any: info"""


def _zones(apexes: Sequence[str]) -> str:
    return "zone:\n" + "".join(f"  - domain: {apex}\n" for apex in apexes)
