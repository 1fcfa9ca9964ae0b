"""Both cycles of design section 2 on real servers: first use, then a key change that DNS has to learn of first."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from sslops.model.names import parse_time
from tests.world.site import HOSTS, OWNER

if TYPE_CHECKING:
    from tests.world.site import Site

MAIL = "example.com/mail-ec"


def test_first_use_then_a_new_key_never_leaves_dns_without_the_served_key(site: Site) -> None:
    """Records appear only once both hosts serve the key; the next key waits for 2 x TTL; then the old record goes."""
    site.sslops("renew", "--apply").succeeded()
    site.sslops("roll", "--apply").succeeded()
    site.sslops("publish", "--apply").succeeded()

    assert (frozenset(), frozenset()) == site.dns.show(OWNER)

    site.sslops("deploy", "--apply").succeeded()
    first = certificate(site, "curr")

    assert dict.fromkeys(HOSTS, first) == site.served()

    site.sslops("publish", "--apply").succeeded()

    assert both(record(site, "curr")) == site.dns.show(OWNER)

    site.sslops("renew", "--apply").succeeded()
    site.sslops("publish", "--apply").succeeded()
    standing = record(site, "next")

    assert both(record(site, "curr"), standing) == site.dns.show(OWNER)

    site.sslops("renew", "example.com:mail-ec", "--force", "--new-key", "--apply").succeeded()
    early = site.sslops("roll", "--apply", "--detailed-exitcode")

    assert early.exit_code == 4
    assert "has no record of" in early.stdout
    assert dict.fromkeys(HOSTS, first) == site.served()

    site.sslops("publish", "--apply").succeeded()

    assert both(record(site, "curr"), record(site, "next")) == site.dns.show(OWNER)

    roll_when_ready(site)
    site.sslops("deploy", "--apply").succeeded()
    site.sslops("publish", "--apply").succeeded()
    second = certificate(site, "curr")

    assert second != first
    assert dict.fromkeys(HOSTS, second) == site.served()
    assert both(record(site, "curr")) == site.dns.show(OWNER)
    audited = json.loads(site.sslops("audit", "--json").succeeded().stdout)
    assert [] == audited["breaches"]
    assert {first, second} <= {each["cert_sha256"] for each in audited["certificates"] if each["live_at"]}
    assert 0 < min(audited["commits"].values())


def test_run_alone_goes_through_the_whole_cycle_and_then_rests(site: Site) -> None:
    """`run` takes every step that may happen; once all is done, four more runs leave every ref as it is."""
    for _ in range(3):
        site.sslops("run", "--apply").succeeded()
        time.sleep(3)
    before = site.ops.refs()
    for _ in range(4):
        site.sslops("run", "--apply").succeeded()

    assert before == site.ops.refs()
    assert both(record(site, "curr"), record(site, "next")) == site.dns.show(OWNER)


def both(*records: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return what the two name servers show when each has *records* and no others."""
    return frozenset(records), frozenset(records)


def roll_when_ready(site: Site) -> None:
    """Wait until the moment that the plan itself names, then roll."""
    wait_for_roll(site, "--apply")


def wait_for_roll(site: Site, *options: str) -> None:
    """Say `roll` with these *options* until nothing waits any more."""
    while waits := json.loads(site.sslops("roll", *options, "--json").succeeded().stdout)["waits"]:
        until = max(parse_time(wait["until"]).timestamp() for wait in waits)
        time.sleep(max(0.2, until - time.time()))


def certificate(site: Site, slot: str) -> str:
    """Return the SHA-256 of the certificate in a slot of mail-ec on next."""
    return fact(site, slot, "cert_sha256")


def record(site: Site, slot: str) -> str:
    """Return the data of the TLSA record for the key in a slot of mail-ec on next."""
    return f"3 1 1 {fact(site, slot, 'spki_sha256')}"


def fact(site: Site, slot: str, name: str) -> str:
    """Return one public fact of the generation in a slot of mail-ec on next."""
    slots = fields(site.ops.show("next", f"state/{MAIL}/slots.yaml"))
    return fields(site.ops.show("next", f"state/{MAIL}/{slots[slot]}/generation.yaml"))[name]


def fields(text: str) -> dict[str, str]:
    """Read the flat machine-written YAML of state files."""
    return {key: json.loads(value) for key, _, value in (line.partition(": ") for line in text.splitlines())}
