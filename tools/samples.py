"""What people read on a forge, as it comes out for the site of `sample_world`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sslops.inventory.reach import deliveries
from sslops.issue import rules
from sslops.model.acme import ChallengeType, Proof
from sslops.model.ledger import HostEntry, Served
from sslops.model.plan import Action, Plan, Verb, digest
from sslops.model.proposal import Kind, MergeRequest, RequestState, mark
from sslops.model.state import Order, Status
from sslops.publish.rules import publication
from sslops.report.dashboard import TITLE, LastRun, dashboard_view
from sslops.report.dashboard import dashboard as write_dashboard
from sslops.report.merge_request import BODY_LIMIT, acme_body, roll_body, tlsa_body
from sslops.report.plan_comment import CommentView, differences, plan_comment
from sslops.report.proposed import Wanted, acme_view, roll_view, tlsa_view
from sslops.report.status import receivers, status_report
from tools import sample_world as site

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


HELD = 'hold: {until: "2026-12-01", reason: "the web server moves"}\n'
RSA = """name: Example.com Mail, RSA
signing_ca: my-sub
dane_tls: [[25, tcp, 3, 1, 1, MX]]
key_opts: {ktype: rsa, rsa_bits: 3072}
x509: {CN: example.com, sans: [example.com, mail.example.com]}
"""
ADDED = ("inventory/sslops.yaml", "mail-ec", "mail-ec, mail-rsa")
SHOP = ("inventory/example.com/web-ec.yaml", "[www.example.com,", "[www.example.com, shop.example.com,")
"""Edits of the shipped inventory: file, what stands there, what shall."""


def tlsa() -> str:
    """Return title and body of the request about TLSA records."""
    world = site.world()
    view = tlsa_view(publication(world), world)
    return _request(view.title, tlsa_body(view).text)


def roll() -> str:
    """Return title and body of the request that makes two certificates live."""
    known = site.ledger((site.LIVE, site.at("2026-09-25 03:04")), (site.NEXT, site.at("2026-11-24 15:09")))
    rolls = [(site.MAIL, site.NEXT), (site.WEB, site.WEB_NEXT)]
    actions = tuple(Action(Verb.ROLL, key.group, key.name, "roll", "ready", new.id) for key, new in rolls)
    view = roll_view(site.INVENTORY, site.branches(is_rolled=True), known, digest(Plan(actions)))
    return _request(view.title, roll_body(view).text)


def acme() -> str:
    """Return title and body of the request that shows challenges."""
    order = Order("https://ca.example.com/order/7", site.at("2026-12-01 02:17"))
    ordered = replace(site.WEB_NEXT, status=Status.ORDERED, ca="le-dns", issued=None, order=order)
    names = site.INVENTORY.services[site.WEB].sans
    proofs = [Proof(ChallengeType.DNS_01, site.APEX, name, "", site.token(name)) for name in names]
    wanted = [Wanted(proof, f"_acme-challenge.{proof.name}.", site.WEB, ordered) for proof in proofs]
    plan = Plan((Action(Verb.RENEW, site.APEX, site.WEB.name, "challenge", "due", ordered.id),))
    view = acme_view(wanted, (), digest(plan))
    return _request(view.title, acme_body(view).text)


def dashboard() -> str:
    """Return the dashboard of a site with a request open, one declined, a hold and a host that is down."""
    inventory = site.inventory({"inventory/example.net/web-ec.yaml": HELD})
    known = site.ledger((site.LIVE, site.at("2026-09-25 03:04")), (site.NEXT, site.at("2026-11-24 15:09")))
    either = (site.LIVE.id, site.NEXT.id)
    down = Served(either, site.NOW, failures=2, retry_at=site.at("2026-11-24 16:20"))
    known = replace(known, hosts={**known.hosts, "smtp2": HostEntry(42, {site.MAIL: down})})
    reached = receivers(deliveries(inventory))
    report = status_report(inventory, site.branches(is_rolled=True), known, reached, site.NOW, None)
    requests = [
        _seen(12, RequestState.OPEN, Kind.ROLL, "Roll example.com/mail-ec, example.com/web-ec"),
        _seen(7, RequestState.CLOSED, Kind.TLSA, "TLSA of example.com: withdraw 2"),
    ]
    runs = [LastRun("renew", site.at("2026-11-24 02:17"), "https://git.example.com/infra/certs/-/jobs/411")]
    view = dashboard_view(report, site.branches(is_rolled=True), known, requests, runs, BODY_LIMIT)
    return _request(TITLE, write_dashboard(view).text)


def comment() -> str:
    """Return the plan comment on a merge request that adds a service and a name."""
    new = site.inventory({"inventory/example.com/mail-rsa.yaml": RSA}, ADDED, SHOP)
    plans = [rules.plan(each, site.branches(), site.NOW, rules.SCHEDULED) for each in (site.INVENTORY, new)]
    changed = differences(site.INVENTORY, new)
    view = CommentView(changed, plans[0], plans[1], (), BODY_LIMIT)
    return "\n".join(f"> {line}".rstrip() for line in plan_comment(view).text.splitlines())


def _seen(number: int, state: RequestState, kind: Kind, title: str) -> MergeRequest:
    url = f"https://git.example.com/infra/{'certs' if kind is Kind.ROLL else 'dns'}/-/merge_requests/{number}"
    body = mark(digest(Plan()))
    return MergeRequest(number, url, state, kind.branch, "main", "", title, body)


def _request(title: str, body: str) -> str:
    """Show a request the way a forge does, title above body, as a quotation."""
    return "\n".join(f"> {line}".rstrip() for line in [f"## {title}", "", *body.splitlines()])


SAMPLES: Mapping[str, Callable[[], str]] = {
    "tlsa": tlsa,
    "roll": roll,
    "acme": acme,
    "dashboard": dashboard,
    "comment": comment,
}
"""The word after `sample` in a document, and what it shows."""
