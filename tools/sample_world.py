"""A small site at one fixed moment, whose merge requests, dashboard and plan comment the documentation shows.

The inventory is the shipped one; what decides and what writes are the functions that the engine calls.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sslops.dane.names import dane_owners
from sslops.dane.records import Keys
from sslops.dane.rrset_inputs import World, active_apexes
from sslops.inventory.files import read_folder
from sslops.inventory.loading import load
from sslops.inventory.reach import deliveries
from sslops.model.ledger import ApexEntry, Evidence, HostEntry, Ledger, NameEntry, Served
from sslops.model.names import CA_GROUP, ServiceId, generation_id
from sslops.model.observations import ApexSeen, BaseCommit, DnsRepoSeen, ServerSeen
from sslops.model.state import Branches, Generation, Issued, ServiceState, Slots, State, Status
from sslops.model.tlsa import Rrset, TlsaParams, TlsaRecord, owner_name
from sslops.pki.request import request_in, request_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sslops.model.inventory import Inventory

PROJECT = Path(__file__).parents[1]
NOW = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
MAIL, WEB = ServiceId("example.com", "mail-ec"), ServiceId("example.com", "web-ec")
NET = ServiceId("example.net", "web-ec")
APEX, TTL = "example.com", 1800
MX = ("mail.example.com.", "smtp.example.com.")
FILES = read_folder(PROJECT)
INVENTORY = load(FILES)


def generation(
    service: ServiceId, created_at: datetime, *, days: int = 90, status: Status = Status.ISSUED
) -> Generation:
    """Return a generation of *service* as the own intermediate signs it, its hashes drawn from its name."""
    spki, cert = (hashlib.sha256(f"{word} {service} {created_at}".encode()).hexdigest() for word in ("key", "cert"))
    asked = INVENTORY.services[service]
    issued = Issued(
        issued_at=created_at,
        serial=cert[:32],
        issuer="CN=Example Intermediate,O=Example Company,C=US",
        not_before=created_at,
        not_after=created_at + timedelta(days=days),
        sans=asked.sans,
        cert_sha256=cert,
    )
    return Generation(
        id=generation_id(created_at, spki),
        status=status,
        created_at=created_at,
        ca=asked.signing_ca,
        profile=None,
        reason="due",
        reused_from=None,
        key_type="ec",
        key_size=asked.key.ec_algo,
        spki_sha256=spki,
        csr_sha256=request_sha256(request_in(INVENTORY, asked)),
        issued=issued if status is Status.ISSUED else None,
    )


def inventory(added: Mapping[str, str], *edits: tuple[str, str, str], without: str = "") -> Inventory:
    """Return the shipped inventory with text added to some files; *edits* are file, what is there, what shall be.

    The file *without* is left out.
    """
    files = {**FILES, **{name: FILES.get(name, b"") + text.encode() for name, text in added.items()}}
    for name, before, after in edits:
        files[name] = files[name].replace(before.encode(), after.encode())
    return load({name: content for name, content in files.items() if name != without})


def at(text: str) -> datetime:
    """Return the moment that *text* (`2026-11-24 14:30`) names, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


FORMER = generation(MAIL, at("2026-07-27 02:17"))
LIVE = generation(MAIL, at("2026-09-25 02:17"))
NEXT = generation(MAIL, at("2026-11-24 02:17"))
WEB_LIVE, WEB_NEXT = generation(WEB, at("2026-09-25 02:18")), generation(WEB, at("2026-11-24 02:18"))
NET_LIVE = generation(NET, at("2026-10-30 02:17"))
ROOT, SUB = (
    generation(ServiceId(CA_GROUP, name), at("2026-07-27 01:50"), days=days)
    for name, days in (("my-root", 3650), ("my-sub", 1825))
)


def branches(*, is_rolled: bool = False) -> Branches:
    """Return both branches: two services have a staged certificate, or rolled on `next` and not merged."""
    before = Slots(curr=LIVE.id, next=NEXT.id, prev=FORMER.id), Slots(curr=WEB_LIVE.id, next=WEB_NEXT.id)
    after = Slots(curr=NEXT.id, prev=LIVE.id), Slots(curr=WEB_NEXT.id, prev=WEB_LIVE.id)
    return Branches(_state(*before), _state(*(after if is_rolled else before)))


def _state(mail: Slots, web: Slots) -> State:
    renewed = at("2027-01-23 04:11")
    cas = {
        ServiceId(CA_GROUP, name): ServiceState(Slots(curr=each.id), {each.id: each})
        for name, each in (("my-root", ROOT), ("my-sub", SUB))
    }
    return State(
        cas
        | {
            MAIL: ServiceState(mail, {each.id: each for each in (FORMER, LIVE, NEXT)}),
            WEB: ServiceState(web, {each.id: each for each in (WEB_LIVE, WEB_NEXT)}),
            NET: ServiceState(Slots(curr=NET_LIVE.id, renew_at=renewed), {NET_LIVE.id: NET_LIVE}),
        }
    )


def records(*generations: Generation) -> dict[str, Rrset]:
    """Return the TLSA records of *generations* at every MX host."""
    owners = [owner_name(25, "tcp", host) for host in MX]
    return {
        owner: Rrset(TTL, frozenset(TlsaRecord(owner, TlsaParams(3, 1, 1), each.spki_sha256) for each in generations))
        for owner in owners
    }


def ledger(*shown: tuple[Generation, datetime]) -> Ledger:
    """Return the ledger: every host is settled, and the records of *shown* are everywhere since those moments."""
    live = {MAIL: LIVE.id, WEB: WEB_LIVE.id, NET: NET_LIVE.id}
    served = Served((LIVE.id,), at("2026-09-25 06:20"), "port")
    hosts = {
        delivery.host.name: HostEntry(
            41,
            {service: Served((live[service],), served.at, "port") for service in delivery.services if service in live},
        )
        for delivery in deliveries(INVENTORY)
    }
    entry = ApexEntry(
        names={owner: NameEntry(TTL, "c1") for owner in records()},
        records={
            record: Evidence(since, "c1", TTL)
            for generation, since in shown
            for rrset in records(generation).values()
            for record in rrset.records
        },
    )
    return Ledger(hosts, {APEX: entry})


def world() -> World:
    """Return what publish judges by: the record of what is staged lacks, the one of what was served before may go."""
    zone = records(FORMER, LIVE)
    base = BaseCommit("c1", (zone, zone))
    servers = tuple(ServerSeen(f"ns{number}.example.com.", zone) for number in (1, 2))
    seen = ApexSeen(NOW, DnsRepoSeen(base, (base,), {"c1": 0}), servers, MX)
    empty = DnsRepoSeen(BaseCommit("c1", ({}, {})), (), {})
    known = ledger((FORMER, at("2026-07-27 03:02")), (LIVE, at("2026-09-25 03:04")))
    state = branches()
    return World(
        inventory=INVENTORY,
        branches=state,
        ledger=known,
        owners=dane_owners(INVENTORY, {APEX: MX}),
        keys=Keys.of(state),
        repo={apex: seen.repo if apex == APEX else empty for apex in active_apexes(INVENTORY)},
        seen={APEX: seen},
        now=NOW,
    )


def token(name: str) -> str:
    """Return what stands for the digest of a challenge for *name*: 43 characters, as RFC 8555 section 8.4 has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(name.encode()).digest()).decode().rstrip("=")
