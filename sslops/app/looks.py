"""Looks at a site that belong to no stage: what the world shows now, and what the time ahead would bring."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sslops.errors import SslopsError
from sslops.model.forges import NO_FORGE, Forge
from sslops.model.proposal import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from sslops.app.site import Site
    from sslops.model.inventory import Host, Verify
    from sslops.model.names import ServiceId
    from sslops.model.observations import PortSeen
    from sslops.model.outlook import Assumptions, Forecast
    from sslops.model.proposal import MergeRequest
    from sslops.report.live import LiveView
    from sslops.report.page import Commit


def live(site: Site) -> LiveView:
    """Ask name servers and ports what they show now; nothing is written, not even fetched."""
    from sslops.dane.records import Keys
    from sslops.deploy.session_plan import server_name
    from sslops.inventory.reach import deliveries
    from sslops.probe.host_ports import AskedPorts, GuardedPorts
    from sslops.probe.live import live_names, live_ports
    from sslops.probe.mail_policy import live_policies
    from sslops.probe.name_servers import Resolver
    from sslops.report.live import Known, LiveView

    inventory, snapshot, wanted = site.inventory, site.snapshot, site.targets
    resolver = Resolver(site.session.say, is_quick=True)
    names = live_names(inventory, snapshot.ledger, resolver)
    policies = live_policies(inventory, resolver)
    questions = [
        (delivery.host, verify, service)
        for delivery in deliveries(inventory)
        for service in sorted(delivery.serving)
        for verify in delivery.verifies(service)
        if wanted is None or service in wanted
    ]
    with site.ssh() as ssh:
        asker = GuardedPorts(AskedPorts(ssh, time.sleep), site.session.complain)

        def ask(host: Host, verify: Verify, service: ServiceId) -> PortSeen:
            curr = snapshot.branches.main[service].curr
            key_types = (curr.key_type,) if curr and _shares_its_port(site, host, verify) else (None,)
            name = server_name(inventory.services[service])
            return asker.show(host, verify, name, connections=1, over_seconds=0, key_types=key_types)

        ports = live_ports(questions, ask)
    known = Known(inventory, snapshot.branches, snapshot.ledger, Keys.of(snapshot.branches, site.material))
    if wanted is not None:
        names = tuple(name for name in names if name.services & wanted)
        policies = tuple(policy for policy in policies if policy.domain in {service.group for service in wanted})
    return LiveView(names, ports, known, site.consents, policies)


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


_RECENT_COMMITS = 40


def report_page(site: Site, ahead: timedelta) -> str:
    """Return the page about the whole site; the steps of the time *ahead* are played, and no server is asked.

    The forge is asked for open merge requests where a token is at hand; where it cannot be, the page says so.
    """
    from sslops.dane.records import Keys
    from sslops.inventory.reach import deliveries
    from sslops.model.outlook import Assumptions
    from sslops.report.live import Known
    from sslops.report.page import PageInput, page, page_view
    from sslops.report.status import receivers, status_report

    inventory, snapshot, now = site.inventory, site.snapshot, site.session.now
    whose = Known(inventory, snapshot.branches, snapshot.ledger, Keys.of(snapshot.branches, site.material))
    asked = None if inventory.repo.forge == NO_FORGE else snapshot.proposed
    reached = receivers(deliveries(inventory))
    fetched_at = site.ops.fetched_at()
    report = status_report(
        inventory, snapshot.branches, snapshot.ledger, reached, now, fetched_at, asked, site.material
    )
    forecast = foreseen(site, Assumptions(now + ahead)) if ahead else None
    requests, note = _open_requests(site)
    return page(page_view(PageInput(whose, report, forecast, requests, note, tuple(_commits(site)))))


def _open_requests(site: Site) -> tuple[tuple[MergeRequest, ...], str]:
    """Return the merge requests of both projects, and why some are not among them (empty: all are)."""
    found: list[MergeRequest] = []
    notes: list[str] = []
    ops, dns = site.projects
    for project, kinds in ((ops, (Kind.ROLL,)), (dns, (Kind.TLSA, Kind.ACME))):
        if project is None:
            continue
        if project.token.secret is None:
            notes.append(f"{project.role} is not set, so the forge was not asked about '{project.name}'")
            continue
        try:
            forge = project.open()
            found += [request for kind in kinds for request in forge.requests(kind, project.target)]
        except SslopsError as error:
            notes.append(f"the forge could not be asked about '{project.name}': {error.what}")
    return tuple(found), "; ".join(notes)


def _commits(site: Site) -> Iterator[Commit]:
    """Yield the newest commits of main, next and the ledger, with where the forge shows them."""
    from sslops.repo.git_history import recent_commits
    from sslops.report.page import Commit, link

    snapshot = site.snapshot
    heads = [each for each in (snapshot.main_commit, snapshot.next_commit, snapshot.ledger_commit) if each]
    folder = _commit_folder(site)
    for each in recent_commits(site.ops.git.process, heads, _RECENT_COMMITS):
        run = link(each.run.partition("#")[0])
        yield Commit(each.sha, each.at, each.subject, each.author, run, link(f"{folder}{each.sha}") if folder else "")


def _commit_folder(site: Site) -> str:
    """Return what stands before a commit's hash in its address on the forge; empty where there is no forge."""
    project, _ = site.projects
    if project is None:
        return ""
    try:
        address = project.address
    except SslopsError:
        return ""
    middle = "/-/commit/" if project.forge == Forge.GITLAB else "/commit/"
    return f"{address.rstrip('/')}/{project.name}{middle}"
