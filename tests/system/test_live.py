"""`status --live` against real name servers and ports: it tells whose record and whose certificate it saw."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.system.test_cycle import fields, record
from tests.world.dns_files import TLSA_DIRS
from tests.world.site import HOSTS, OWNER

if TYPE_CHECKING:
    from tests.world.site import Site


def test_status_live_tells_what_each_server_and_port_shows(site: Site) -> None:
    """A running site agrees with git; a record taken from DNS and a host that is down are told first, with exit 1."""
    for words in (("renew",), ("roll",), ("deploy",), ("publish",)):
        site.sslops(*words, "--apply").succeeded()
    refs, curr = site.ops.refs(), fields(site.ops.show("main", "state/example.com/mail-ec/slots.yaml"))["curr"]
    good = json.loads(site.sslops("status", "--live", "--json").succeeded().stdout)
    printed = site.sslops("tlsa", "example.com:mail-ec").succeeded().stdout
    site.mail[HOSTS[1]].stop()
    site.dns.edit({f"{folder}/tlsa.example.com": "" for folder in TLSA_DIRS})
    site.dns.settle()
    bad = site.sslops("status", "--live")
    first, *_ = bad.stdout.splitlines()
    down = next(line for line in bad.stdout.splitlines() if line.startswith("unobserved"))

    assert {server: [f"{OWNER} {record(site, 'curr')}"] for server in good["live"]["names"][OWNER]} == good["live"][
        "names"
    ][OWNER]
    assert {(host, curr) for host in HOSTS} == {(port["host"], port["shows"][0]) for port in good["live"]["ports"]}
    assert {f"{OWNER} {record(site, 'curr')}"} == {
        line.replace(" 1 IN TLSA ", " ") for line in printed.splitlines() if not line.startswith(";")
    }
    assert [] == good["alarms"]
    assert 1 == bad.exit_code
    assert first.startswith(f"drift: {OWNER}: ")
    assert f"example.com/mail-ec {curr}" in first
    assert HOSTS[1] in down
    assert "refused" in down
    assert refs == site.ops.refs()
