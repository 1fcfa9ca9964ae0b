"""The bad days of the CA: what stands in front of pebble counts and breaks as it says."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
import requests
from acme import errors, messages

from tests.world import acme_faults
from tests.world.acme_client import BareClient, include_file
from tests.world.dns_files import ACME_DIR
from tests.world.pebble import Policy
from tests.world.programs import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.world.acme_faults import Front
    from tests.world.acme_site import AcmeSite
    from tests.world.dns import DnsWorld
    from tests.world.pebble import Pebble

NAMES = ("example.com", "www.example.com")


@pytest.fixture
def front(start_pebble: Callable[..., Pebble]) -> Iterator[Front]:
    """Yield a front for a CA that rejects no nonce."""
    ca = start_pebble(Policy(nonce_rejection_percent=0))
    started = acme_faults.Front(ca.address, ca.endpoint_ca)
    yield started
    started.stop()


@pytest.fixture
def client(front: Front) -> Iterator[BareClient]:
    """Yield a client with an account, which reaches pebble through the front."""
    made = BareClient(front)
    yield made
    made.close()


def issue(client: BareClient, world: DnsWorld) -> str:
    """Order NAMES; return certificate and chain."""
    order = client.order(NAMES)
    world.edit({f"{ACME_DIR}/acme-challenge.example.com": include_file(client.records(order))})
    world.settle()
    client.answer(order)
    return client.finish(order)


def test_every_request_of_an_order_is_counted(client: BareClient, front: Front, dns_world: DnsWorld) -> None:
    """One account, one order, one answer for each authorization, one finalisation."""
    issue(client, dns_world)

    assert (1, 1) == (front.accounts_made(), front.orders_made())
    assert [1, 1] == list(front.answered().values())
    assert (1, 1) == (front.count("finalize"), front.count("certificate"))
    assert [{"type": "dns", "value": name} for name in NAMES] == list(front.orders()[0]["identifiers"])


def test_a_rate_limit_comes_with_the_time_to_wait(client: BareClient, front: Front) -> None:
    """As often as planned, then pebble answers again."""
    front.plan("newOrder", acme_faults.rate_limited("7"), times=2)
    for _ in range(2):
        with pytest.raises(messages.Error, match="rateLimited"):
            client.order(NAMES)

    assert 0 == front.orders_made()

    client.order(NAMES)

    assert 1 == front.orders_made()


def test_a_page_for_people_and_an_internal_error_are_answered(front: Front) -> None:
    """What stands between a CA and its clients speaks no ACME."""
    front.plan("directory", acme_faults.html())
    front.plan("directory", acme_faults.server_error())
    front.plan("directory", acme_faults.garbage())
    answers = [requests.get(front.directory, verify=str(front.ca_bundle), timeout=60) for _ in range(4)]

    assert [503, 500, 200, 200] == [answer.status_code for answer in answers]
    assert "text/html" == answers[0].headers["Content-Type"]
    assert "newNonce" in answers[3].json()


def test_a_dropped_answer_leaves_an_order_that_nobody_knows(client: BareClient, front: Front) -> None:
    """pebble has acted, the client only sees a closed connection."""
    front.plan("newOrder", acme_faults.drop_answer)
    with pytest.raises(requests.ConnectionError):
        client.order(NAMES)

    assert 1 == front.orders_made()


def test_hanging_up_leaves_no_order(client: BareClient, front: Front) -> None:
    """pebble was not asked."""
    front.plan("newOrder", acme_faults.hang_up)
    with pytest.raises(requests.ConnectionError):
        client.order(NAMES)

    assert (1, 0) == (front.count("newOrder"), front.orders_made())


def test_a_hanging_request_ends_when_the_front_is_healed(client: BareClient, front: Front) -> None:
    """Until then not one byte comes."""
    front.plan("newOrder", front.hang)
    failures: list[Exception] = []

    def order() -> None:
        try:
            client.order(NAMES)
        except requests.ConnectionError as error:
            failures.append(error)

    thread = threading.Thread(target=order)
    thread.start()
    wait_until(lambda: front.count("newOrder") == 1, lambda: "no order came")

    assert thread.is_alive()

    front.heal()
    thread.join(60)

    assert 1 == len(failures)


def test_an_answer_can_be_altered(client: BareClient, front: Front) -> None:
    """An authorization that offers something unknown too."""
    front.plan("authorization", acme_faults.altered(acme_faults.offer("tarot-01")), times=None)
    order = client.order(NAMES)

    assert all(
        "tarot-01" in {each.to_partial_json()["type"] for each in authorization.body.challenges}
        for authorization in order.authorizations
    )


def test_one_name_of_several_can_fail(client: BareClient, front: Front, dns_world: DnsWorld) -> None:
    """The faults of an order that is otherwise all right."""
    order = client.order(NAMES)
    records = client.records(order)
    dns_world.edit({f"{ACME_DIR}/acme-challenge.example.com": include_file(dict(list(records.items())[:1]))})
    dns_world.settle()
    client.answer(order)
    with pytest.raises(errors.ValidationError):
        client.finish(order)

    assert 0 == front.count("finalize")


def test_a_stopped_pebble_is_a_closed_connection(pebble: Pebble) -> None:
    """The front adds nothing of its own."""
    front = acme_faults.Front(pebble.address, pebble.endpoint_ca)
    pebble.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(front.directory, verify=str(front.ca_bundle), timeout=60)
    front.stop()


def test_a_site_has_its_ca_and_its_web_server(start_acme_site: Callable[..., AcmeSite]) -> None:
    """The inventory names the front, the web server shows its folder under its name."""
    site = start_acme_site(has_web=True)
    assert site.web is not None
    (site.web.server_dir / "hello").write_text("hello\n")
    answer = requests.get(f"http://{site.web.host.address}:10080/hello", timeout=60)

    assert "hello\n" == answer.text
    assert (frozenset({site.web.host.address}),) * 2 == site.dns.show("web.example.com.", "A")
    assert f"directory: {site.ca.directory}\n" in site.ops.show("main", "inventory/cas.yaml")
    assert {"example.com": "", "example.net": ""} == site.challenge_files()
