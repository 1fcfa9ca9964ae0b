"""Who gets what."""

from __future__ import annotations

from sslops.inventory.reach import Delivery, deliveries, hosts_copying, hosts_serving
from sslops.model.inventory import FileModes, Inventory, Verify
from sslops.model.names import ServiceId
from tests.unit.inventory.samples import SETTINGS, SOUND, WEB, edited, extended, loaded, sound

MAIL_ID = ServiceId("example.com", "mail")
WEB_ID = ServiceId("example.com", "web")
NET_ID = ServiceId("example.net", "web")


def to(host: str, inventory: Inventory) -> Delivery:
    """Return what *host* gets."""
    return next(each for each in deliveries(inventory) if each.host.name == host)


def class_names(delivery: Delivery) -> tuple[str, ...]:
    """Return the classes that name the host, in the order of their parts."""
    return tuple(part.class_name for part in delivery.parts)


def two_groups(*, active: bool = True) -> dict[str, bytes]:
    """Return the sample with a second group that has a service `web` too."""
    settings = SOUND[SETTINGS].replace(
        "groups:\n", f"groups:\n  - {{domain: example.net, active: {str(active).lower()}, services: ALL}}\n"
    )
    return sound({SETTINGS: settings, "inventory/example.net/web.yaml": SOUND[WEB]})


def test_a_host_gets_what_its_class_names() -> None:
    """And nothing else, above all no own CA."""
    inventory = loaded(sound())

    assert ((MAIL_ID,), frozenset({MAIL_ID}), ("smtp",), ("example.com",)) == (
        to("smtp1", inventory).services,
        to("smtp1", inventory).serving,
        class_names(to("smtp1", inventory)),
        to("smtp1", inventory).apexes,
    )
    assert ["smtp1", "smtp2", "web1"] == [each.host.name for each in deliveries(inventory)]


def test_every_pair_counts() -> None:
    """ssl-mgr looked at the last one only."""
    files = edited(SETTINGS, "[[any, [web]]]", "[[example.com, [mail]], [example.com, [web]]]")

    assert (MAIL_ID, WEB_ID) == to("web1", loaded(files)).services


def test_any_is_every_group() -> None:
    """A pair for `any` is about the service of that name in each."""
    assert (WEB_ID, NET_ID) == to("web1", loaded(two_groups())).services


def test_an_inactive_group_goes_nowhere() -> None:
    """It is frozen."""
    inventory = loaded(two_groups(active=False))

    assert ((WEB_ID,), ()) == (to("web1", inventory).services, hosts_serving(inventory, NET_ID))


def test_without_svc_depends_a_class_gets_every_leaf() -> None:
    """Of the active groups, never an own CA."""
    inventory = loaded(extended(SETTINGS, "  imap: {hosts: [i1]}\n"))

    assert (MAIL_ID, WEB_ID) == to("i1", inventory).services


def test_a_pair_may_name_all_services_of_one_group() -> None:
    """Services that join the group come along; those of other groups do not."""
    files = two_groups()
    files[SETTINGS] = files[SETTINGS].replace(b"[[any, [web]]]", b"[[example.net, ALL]]")

    assert (NET_ID,) == to("web1", loaded(files)).services


def test_the_class_other_only_keeps_copies() -> None:
    """Its hosts get every leaf and serve none of them."""
    inventory = loaded(extended(SETTINGS, "  other: {hosts: [b1]}\n"))

    assert ((MAIL_ID, WEB_ID), frozenset()) == (to("b1", inventory).services, to("b1", inventory).serving)
    assert (["smtp1", "smtp2"], ["b1"]) == (
        [host.name for host in hosts_serving(inventory, MAIL_ID)],
        [host.name for host in hosts_copying(inventory, MAIL_ID)],
    )


def test_a_host_of_two_classes_gets_both() -> None:
    """One delivery with a part for each class; who serves in one class serves."""
    imap = "{hosts: [smtp1], svc_depends: [[any, [web]]], files: {group: imap}, depends: [dns]}"
    more = f"  other: {{hosts: [smtp1]}}\n  imap: {imap}\n"
    inventory = loaded(extended(SETTINGS, more))
    delivery = to("smtp1", inventory)

    assert ("imap", "other", "smtp") == class_names(delivery)
    assert (MAIL_ID, WEB_ID) == delivery.services
    assert frozenset({MAIL_ID, WEB_ID}) == delivery.serving
    assert FileModes(group="imap") == delivery.files
    assert [True, False, False] == [part.restarts_on_tlsa for part in delivery.parts]
    assert () == hosts_copying(inventory, MAIL_ID)


def test_a_host_is_asked_where_its_classes_say() -> None:
    """Each class has its own port; a class that only keeps copies is not asked."""
    files = edited(SETTINGS, "user: certs", "user: certs, verify: {port: 25, starttls: smtp}")
    files[SETTINGS] += b"  sub: {hosts: [smtp1], svc_depends: [[any, [mail]]], verify: {port: 587, starttls: smtp}}\n"
    files[SETTINGS] += b"  other: {hosts: [smtp1], verify: {port: 9}}\n"
    delivery = to("smtp1", loaded(files))

    assert (Verify(25, "smtp"), Verify(587, "smtp")) == delivery.verifies(MAIL_ID)
    assert () == delivery.verifies(WEB_ID)
    assert delivery.host.verify is None
