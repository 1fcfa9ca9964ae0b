"""Orders of many services at once: what goes wrong with one is its own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sslops.errors import Bug, ExitCode, bugs_of
from sslops.issue.acme_steps import Job, Orders
from sslops.issue.own_cas import Draft
from sslops.model.acme import AccountStatus, AuthorizationSeen, ChallengeType, Directory, OrderSeen, OrderStatus
from sslops.model.inventory import CaType, CertificateAuthority
from sslops.model.names import ServiceId, generation_id
from sslops.model.plan import Action, Verb
from sslops.model.state import Generation, Slots, Status
from sslops.system.progress import Task
from tests.unit.issue.site import NOW, WEB, inventory_of, leaf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sslops.model.acme import OrderWish

LE = CertificateAuthority("le", CaType.ACME)
OTHER = ServiceId("example.com", "other")


class BuggyServer:
    """A CA whose answers for one name hit a fault of our own."""

    directory = Directory({}, has_renewal_info=False)
    account_url = "https://ca.example.net/account/1"

    def order(self, wish: OrderWish) -> OrderSeen:
        """Break for one, order for all others."""
        if "www.example.com" in wish.names:
            raise KeyError("nobody foresaw this")
        return OrderSeen("https://ca.example.net/order/1", OrderStatus.READY, "https://ca.example.net/finalize/1")

    def account_status(self) -> AccountStatus:
        """Have nothing against the account."""
        return AccountStatus.VALID

    def authorization(self, url: str) -> AuthorizationSeen:
        """Have none."""
        raise AssertionError(url)


class Quiet:
    """Tells nobody anything."""

    def now(self) -> datetime:
        """Return the moment of the test."""
        return NOW

    def say(self, text: str) -> None:
        """Say nothing."""

    @contextmanager
    def progress(self, description: str, total: int | None = None) -> Iterator[Task]:
        """Show nothing."""
        yield Task(description, total)


def job(service: ServiceId, name: str) -> Job:
    """Return a service that is about to order."""
    key = "00" * 32
    wanted = leaf(service, name, signing_ca="le")
    generation = Generation(
        generation_id(NOW, key), Status.KEYED, NOW, "le", None, "due", None, "ec", "secp256r1", key, "x"
    )
    draft = Draft(Action(Verb.RENEW, service.group, service.name, "issue", "due"), wanted, generation)
    return Job(draft, LE, generation, Slots(), None, is_stored=True)


def test_what_nobody_foresaw_about_one_service_stops_no_other() -> None:
    """It is told as a bug, ends in exit 1, and leaves that service where it stood: nothing is counted, nothing lost."""
    broken, good = job(WEB, "www.example.com"), job(OTHER, "other.example.com")
    quiet = Quiet()
    orders = Orders({"le": BuggyServer()}, inventory_of(broken.service, good.service), quiet, lambda _: None, quiet)  # type: ignore[dict-item]
    orders.begin([broken, good], {})

    assert isinstance(broken.failure, Bug)
    assert ("KeyError" in broken.failure.what, ExitCode.FAILED) == (True, broken.failure.exit_code)
    assert (False, Slots()) == (broken.is_news, broken.slots)
    assert (None, Status.ORDERED) == (good.failure, good.generation.status)
    assert ChallengeType.DNS_01 not in {proof.type for proof in good.proofs}


def test_a_bug_keeps_its_traceback_and_quotes_nobody() -> None:
    """What a peer wrote may stand in the exception: it is shown to whoever ran it, and written nowhere."""
    try:
        with bugs_of("example.com/web-ec"):
            raise ValueError("hostile words")
    except Bug as bug:
        found = bug

    assert "example.com/web-ec: unexpected ValueError, which is a bug of sslops" == found.what
    assert "hostile words" == str(found.error)
