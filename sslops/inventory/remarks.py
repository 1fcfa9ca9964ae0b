"""What is sound and may all the same be a slip: told by `check` at its line, and no fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.inventory import names
from sslops.inventory.document import Complaint
from sslops.inventory.files import find
from sslops.inventory.names import is_below
from sslops.model.mail_policy import names_mx
from sslops.model.names import CA_GROUP, is_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from sslops.errors import InventoryError
    from sslops.inventory.document import KeyPath, Plain
    from sslops.inventory.files import Found
    from sslops.model.inventory import Inventory


def remarks(inventory: Inventory, files: Mapping[str, bytes], now: datetime) -> tuple[InventoryError, ...]:
    """Return what is worth a look at *now* in *inventory*, which was read from *files* and is sound, with its place."""
    services = (service for service in inventory.services.values() if not service.is_ca)
    is_plain = all(is_address(san) or is_below(san, [one.id.group]) for one in services for san in one.sans)
    has_policies = any(group.mta_sts is not None for group in inventory.groups.values())
    if is_plain and not has_policies and not _has_past_dates(inventory, now):
        return ()  # nearly always; the files are read once more only for places
    found = find(files)
    documents = found.documents()
    complaints = (*_outside_names(found), *_past_dates(found, now), *_mail_policies(found, inventory))
    return tuple(complaint.located(documents) for complaint in complaints)


def _has_past_dates(inventory: Inventory, now: datetime) -> bool:
    holds = [inventory.settings.hold, *(each.hold for each in inventory.groups.values())]
    holds += [each.hold for each in inventory.services.values()]
    dates = [each.until for each in (*holds, *inventory.accepts) if each is not None]
    return any(until is not None and until <= now for until in dates)


def _past_dates(found: Found, now: datetime) -> Iterator[Complaint]:
    """Yield the holds and consents whose date is over: nothing is held and nothing accepted by them any more."""
    if found.settings is not None:
        file, plain = found.settings.file, found.settings.plain
        yield from _past(file, ("globals", "hold"), plain.get("globals", {}).get("hold"), "hold", now)
        for place, group in enumerate(plain.get("groups", ())):
            yield from _past(file, ("groups", place, "hold"), group.get("hold"), "hold", now)
        for place, consent in enumerate(plain.get("accept", ())):
            yield from _past(file, ("accept", place), consent, f"consent to '{consent.get('hazard')}'", now)
    for _, document in sorted(found.services.items(), key=lambda pair: pair[0]):
        yield from _past(document.file, ("hold",), document.plain.get("hold"), "hold", now)


def _past(file: str, path: KeyPath, table: Plain | None, what: str, now: datetime) -> Iterator[Complaint]:
    until = None if table is None else table.get("until")
    if until is not None and names.moment(until) <= now:
        yield Complaint(file, (*path, "until"), f"this {what} was over on {until}; it has no effect any more")


def _mail_policies(found: Found, inventory: Inventory) -> Iterator[Complaint]:
    """Yield where an MTA-STS policy and the certificates of the inventory do not go together (RFC 8461 section 4).

    All of it may be somebody else's: an MX host, and the web host of the policy.
    """
    if found.settings is None:
        return
    sans = {san for service in inventory.active() for san in service.sans}
    for place, table in enumerate(found.settings.plain.get("groups", ())):
        group = inventory.groups[table["domain"]]
        if group.mta_sts is None or not group.active:
            continue
        path, file, host = ("groups", place, "mta_sts"), found.settings.file, f"mta-sts.{group.domain}"
        if not any(names_mx(san, host) for san in sans):
            yield Complaint(file, path, f"no certificate here is for '{host}', where senders fetch the policy")
        for number, pattern in enumerate(group.mta_sts.mx):
            served = [each for each in inventory.active() if any(_overlap(pattern, san) for san in each.sans)]
            where = (*path, "mx", number)
            if not served:
                yield Complaint(file, where, f"no certificate here is for an MX host that '{pattern}' names")
            for each in served if group.mta_sts.mode != "none" else ():
                if inventory.signer_of(each) is not None:
                    what = f"'{each.id}' is signed by an own CA, and senders that go by MTA-STS trust public ones only"
                    yield Complaint(file, where, what, "mode: none, or a public CA; DANE-EE needs neither")


def _overlap(pattern: str, san: str) -> bool:
    """Whether some MX host is named by both *pattern* of a policy and *san* of a certificate."""
    return pattern == san or names_mx(pattern, san) or names_mx(san, pattern)


def _outside_names(found: Found) -> Iterator[Complaint]:
    """Yield the names that are not below the group of their service.

    That is fine as long as somebody can prove them. It also is what a name copied from elsewhere looks like.
    """
    groups = {service.group for service in found.services if service.group != CA_GROUP}
    for service, document in sorted(found.services.items(), key=lambda pair: pair[0]):
        for place, san in enumerate(document.plain.get("x509", {}).get("sans") or ()):
            if is_address(san) or is_below(san, [service.group]):
                continue
            where = "another group has it" if is_below(san, groups) else "no group has it"
            what = f"'{san}' is not below '{service.group}', the group of '{service}'; {where}"
            yield Complaint(document.file, ("x509", "sans", place), what)
