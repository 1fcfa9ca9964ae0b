"""What people read on a forge, as it comes out for the site of `sample_world`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sslops.model.acme import ChallengeType, Proof
from sslops.model.plan import Action, Plan, Verb
from sslops.model.state import Order, Status
from sslops.plan.digest import digest
from sslops.publish.rules import publication
from sslops.report.merge_request import acme_body, roll_body, tlsa_body
from sslops.report.proposed_challenges import Wanted, acme_view
from sslops.report.proposed_records import tlsa_view
from sslops.report.proposed_rolls import roll_view
from tools import sample_world as site

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


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


def _request(title: str, body: str) -> str:
    """Show a request the way a forge does, title above body, as a quotation."""
    return "\n".join(f"> {line}".rstrip() for line in [f"## {title}", "", *body.splitlines()])


SAMPLES: Mapping[str, Callable[[], str]] = {"tlsa": tlsa, "roll": roll, "acme": acme}
"""The word after `sample` in a document, and what it shows."""
