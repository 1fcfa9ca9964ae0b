"""`status --live` against real name servers and ports: it tells whose record and whose certificate it saw."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.system.test_cycle import fields, record
from tests.world.site import HOSTS, OWNER

if TYPE_CHECKING:
    from tests.world.site import Site


def test_status_live_tells_what_each_server_and_port_shows(site: Site) -> None:
    """A running site shows curr everywhere; a host that is down is said to be, and nothing is written by asking."""
    for words in (("renew",), ("roll",), ("deploy",), ("publish",)):
        site.sslops(*words, "--apply").succeeded()
    refs, curr = site.ops.refs(), fields(site.ops.show("main", "state/example.com/mail-ec/slots.yaml"))["curr"]
    first = json.loads(site.sslops("status", "--live", "--json").succeeded().stdout)["live"]
    site.mail[HOSTS[1]].stop()
    shown = site.sslops("status", "--live").succeeded().stdout

    assert {server: [f"{OWNER} {record(site, 'curr')}"] for server in first["names"][OWNER]} == first["names"][OWNER]
    assert {(host, curr) for host in HOSTS} == {(port["host"], port["shows"][0]) for port in first["ports"]}
    assert f"3 1 1 example.com/mail-ec {curr}" in shown
    assert "refused" in shown
    assert refs == site.ops.refs()
