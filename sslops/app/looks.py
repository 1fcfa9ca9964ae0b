"""Looks at a site that belong to no stage: what the world shows now, and what the time ahead would bring."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sslops.app.site import Site
    from sslops.model.inventory import Host, Verify
    from sslops.model.names import ServiceId
    from sslops.model.observations import PortSeen
    from sslops.model.outlook import Assumptions, Forecast
    from sslops.report.live import LiveView


def live(site: Site) -> LiveView:
    """Ask name servers and ports what they show now; nothing is written, not even fetched."""
    from sslops.dane.records import Keys
    from sslops.deploy.session_plan import server_name
    from sslops.inventory.reach import deliveries
    from sslops.probe.host_ports import AskedPorts
    from sslops.probe.live import live_names, live_ports
    from sslops.probe.name_servers import Resolver
    from sslops.report.live import Known, LiveView

    inventory, snapshot, wanted = site.inventory, site.snapshot, site.targets
    names = live_names(inventory, snapshot.ledger, Resolver(site.session.say, is_quick=True))
    questions = [
        (delivery.host, verify, service)
        for delivery in deliveries(inventory)
        for service in sorted(delivery.serving)
        for verify in delivery.verifies(service)
        if wanted is None or service in wanted
    ]
    with site.ssh() as ssh:
        asker = AskedPorts(ssh, time.sleep)

        def ask(host: Host, verify: Verify, service: ServiceId) -> PortSeen:
            curr = snapshot.branches.main[service].curr
            key_types = (curr.key_type,) if curr and _shares_its_port(site, host, verify) else (None,)
            name = server_name(inventory.services[service])
            return asker.show(host, verify, name, connections=1, over_seconds=0, key_types=key_types)

        ports = live_ports(questions, ask)
    known = Known(inventory, snapshot.branches, snapshot.ledger, Keys.of(snapshot.branches, site.material))
    if wanted is not None:
        names = tuple(name for name in names if name.services & wanted)
    return LiveView(names, ports, known, site.consents)


def _shares_its_port(site: Site, host: Host, verify: Verify) -> bool:
    """Whether a port has certificates of several services: a client is then shown the one of its key type."""
    from sslops.inventory.reach import deliveries

    found = next(each for each in deliveries(site.inventory) if each.host.name == host.name)
    return sum(verify.port in {each.port for each in found.verifies(service)} for service in found.serving) > 1


def foreseen(site: Site, assumptions: Assumptions) -> Forecast:
    """Play the time ahead in a world that begins with this repository; nobody is asked, nothing is changed."""
    from sslops.simulate.beginning import world_of
    from sslops.simulate.forecast import forecast

    world = world_of(
        site.inventory,
        site.snapshot.branches,
        site.snapshot.ledger,
        site.session.now,
        site.material,
        is_reviewed=bool(assumptions.merge_delay),
    )
    return forecast(world, assumptions)
