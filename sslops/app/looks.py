"""Looks at a site that belong to no stage: what the world shows now, and what the time ahead would bring."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sslops.app.site import Site
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
    from sslops.report.live import Legend, LiveView

    names = live_names(site.inventory, site.snapshot.ledger, Resolver(site.session.say, is_quick=True))
    with site.ssh() as ssh:
        asker = AskedPorts(ssh, time.sleep)
        ports = live_ports(
            (
                (delivery.host, verify, service)
                for delivery in deliveries(site.inventory)
                for service in sorted(delivery.serving)
                for verify in delivery.verifies(service)
            ),
            lambda service: server_name(site.inventory.services[service]),
            lambda host, verify, name: asker.show(host, verify, name, connections=1, over_seconds=0),
        )
    wanted = [port for port in ports if site.targets is None or port.service in site.targets]
    return LiveView(names, tuple(wanted), Legend(Keys.of(site.snapshot.branches, site.material)))


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
