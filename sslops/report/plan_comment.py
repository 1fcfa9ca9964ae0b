"""The comment on a merge request for the inventory: what it changes, and which steps follow.

Only what certificates, DNS or hosts can notice is described in detail; of the rest the names of the settings.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from sslops.inventory.reach import deliveries
from sslops.report.plan import subject
from sslops.report.text import Part, Table, as_code, bullets, count, fitted, listed, on_one_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sslops.errors import Faults, SslopsError
    from sslops.inventory.reach import Delivery
    from sslops.model.inventory import CertificateAuthority, Consent, DaneSpec, Hold, Inventory, KeySpec, Service
    from sslops.model.names import ServiceId
    from sslops.model.plan import Action, Hazard, Plan
    from sslops.report.text import Written


@dataclass(frozen=True, slots=True)
class Difference:
    """What is different about one *subject* (a service, a host, ...), one sentence each."""

    subject: str
    what: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Differences:
    """All of it; *others* are the settings that changed beside those."""

    services: tuple[Difference, ...]
    cas: tuple[Difference, ...]
    hosts: tuple[Difference, ...]
    others: tuple[str, ...]
    accepts: tuple[str, ...]
    """What the later inventory consents to and the former one did not."""

    @property
    def is_empty(self) -> bool:
        """Whether both say the same."""
        return not (self.services or self.cas or self.hosts or self.others or self.accepts)


def differences(old: Inventory, new: Inventory) -> Differences:
    """Return what *new* says otherwise than *old*."""
    return Differences(
        services=_told((str(key), tuple(_service(key, old, new))) for key in sorted({*old.services, *new.services})),
        cas=_told((name, tuple(_ca(old.cas.get(name), new.cas.get(name)))) for name in sorted({*old.cas, *new.cas})),
        hosts=_told(_hosts(old, new)),
        others=tuple(_others(old, new)),
        accepts=tuple(_consent(each) for each in new.accepts if each not in old.accepts),
    )


def _told(found: Iterator[tuple[str, tuple[str, ...]]]) -> tuple[Difference, ...]:
    return tuple(Difference(subject, what) for subject, what in found if what)


# Services.


def _service(key: ServiceId, old: Inventory, new: Inventory) -> Iterator[str]:
    was, becomes = old.services.get(key), new.services.get(key)
    if becomes is None:
        yield "retired: no longer renewed; its records go when no host serves it any more"
        return
    is_active, was_active = new.groups[key.group].active, was is not None and old.groups[key.group].active
    if was is None:
        yield f"new: {_summary(becomes)}" if is_active else "new, in a group that is not active"
        return
    if is_active != was_active:
        yield "its group is active again" if is_active else "frozen: its group is not active any more"
    yield from _asked(was, becomes)


def _summary(service: Service) -> str:
    dane = f"; TLSA for {_specs(service.dane)}" if service.dane else ""
    return f"{_key_words(service.key)} by {as_code(service.signing_ca)} for {listed(service.sans)}{dane}"


def _asked(was: Service, becomes: Service) -> Iterator[str]:
    """Yield what the inventory requires of the certificate, its records and its times."""
    come = [name for name in becomes.sans if name not in was.sans]
    gone = [name for name in was.sans if name not in becomes.sans]
    if come:
        yield f"names come: {listed(come)}"
    if gone:
        yield f"names go: {listed(gone)}"
    if was.signing_ca != becomes.signing_ca:
        yield f"CA: {as_code(was.signing_ca)} becomes {as_code(becomes.signing_ca)}"
    if was.key != becomes.key:
        yield f"key: {_key_words(was.key)} becomes {_key_words(becomes.key)}"
    if set(was.dane) != set(becomes.dane):
        yield f"TLSA: {_specs(was.dane)} becomes {_specs(becomes.dane)}"
    if was.dane_ttl_seconds != becomes.dane_ttl_seconds:
        yield f"TTL of its records: {was.dane_ttl_seconds} s becomes {becomes.dane_ttl_seconds} s"
    if was.hold != becomes.hold:
        yield _hold(becomes.hold)
    told = {"id", "description", "sans", "signing_ca", "key", "dane", "dane_ttl_seconds", "hold"}
    others = [field.name for field in fields(becomes) if field.name not in told]
    changed = [name for name in others if getattr(was, name) != getattr(becomes, name)]
    if changed:
        yield f"also: {listed(changed)}"


def _key_words(key: KeySpec) -> str:
    size = {"ec": key.ec_algo, "rsa": str(key.rsa_bits)}.get(key.ktype, "")
    return as_code(f"{key.ktype} {size}".strip())


def _specs(specs: Sequence[DaneSpec]) -> str:
    words = [f"{spec.port}/{spec.proto} {spec.params} {spec.owners}" for spec in sorted(specs)]
    return listed(words) or "none"


def _hold(hold: Hold | None) -> str:
    if hold is None:
        return "no longer held"
    until = "until somebody removes it" if hold.until is None else f"until {hold.until:%Y-%m-%d}"
    return f"held {until}: {on_one_row(hold.reason)}"


# CAs, hosts, the rest.


def _ca(was: CertificateAuthority | None, becomes: CertificateAuthority | None) -> Iterator[str]:
    if was is None or becomes is None:
        yield "new" if was is None else "gone"
        return
    changed = [field.name for field in fields(was) if getattr(was, field.name) != getattr(becomes, field.name)]
    if set(changed) - {"description"}:
        yield f"changed: {listed(changed)}"


def _hosts(old: Inventory, new: Inventory) -> Iterator[tuple[str, tuple[str, ...]]]:
    before = {delivery.host.name: delivery for delivery in deliveries(old)}
    after = {delivery.host.name: delivery for delivery in deliveries(new)}
    for name in sorted({*before, *after}):
        yield name, tuple(_host(before.get(name), after.get(name)))


def _host(was: Delivery | None, becomes: Delivery | None) -> Iterator[str]:
    if becomes is None:
        yield "removed from the inventory; what it may serve counts until it is verified or dropped with `--forget`"
        return
    gets = [str(service) for service in becomes.services if was is None or service not in was.services]
    loses = [str(service) for service in was.services if service not in becomes.services] if was else []
    if was is None:
        yield "new"
    if gets:
        yield f"gets {listed(gets)}"
    if loses:
        yield f"no longer gets {listed(loses)}"
    if was is not None and was.host != becomes.host:
        yield "is reached another way"
    if was is not None and _ways(was) != _ways(becomes):
        yield "restarts, or is asked what it serves, another way"
    if was is not None and was.files != becomes.files:
        yield "keeps its files with other owners or modes"


def _ways(delivery: Delivery) -> Mapping[str, object]:
    return {
        part.class_name: (part.restart_cmd, part.restarts_on_tlsa, part.verify, part.serves, part.server_dir)
        for part in delivery.parts
    }


def _others(old: Inventory, new: Inventory) -> Iterator[str]:
    for where, was, becomes in (("globals", old.settings, new.settings), ("repo", old.repo, new.repo)):
        for field in fields(was):
            if getattr(was, field.name) != getattr(becomes, field.name):
                yield f"{where}.{field.name}"
    for name in ("dns", "dns_primary", "dns_servers"):
        if getattr(old, name) != getattr(new, name):
            yield name


def _consent(consent: Consent) -> str:
    what = consent.hazard if consent.subject is None else f"{consent.hazard}={consent.subject}"
    until = "" if consent.until is None else f", until {consent.until:%Y-%m-%d}"
    return f"{as_code(what)}{until}: {on_one_row(consent.reason)}"


MARKER = "<!-- sslops-plan-comment -->"
ARTIFACT = "sslops-plan.md"


@dataclass(frozen=True, slots=True)
class CommentView:
    """What a merge request changes: *before* is the plan of the branch it goes to, *after* the one with it merged.

    *failures* is what could not be observed.
    """

    differences: Differences
    before: Plan
    after: Plan
    failures: tuple[str, ...]
    limit: int

    @property
    def follows(self) -> tuple[Action, ...]:
        """The steps that only the merge request asks for."""
        return tuple(
            each for each in self.after.actions if _action_key(each) not in set(map(_action_key, self.before.actions))
        )

    @property
    def ends(self) -> tuple[Action, ...]:
        """The steps that are due now, and not with the merge request."""
        return tuple(
            each for each in self.before.actions if _action_key(each) not in set(map(_action_key, self.after.actions))
        )


def plan_comment(view: CommentView) -> Written:
    """Return the comment."""
    found, steps = view.differences, view.follows
    parts = [Part("", (_headline(view),))]
    tables = (("service", found.services), ("CA", found.cas), ("host", found.hosts))
    parts += [Part("", (_difference_table(head, rows),)) for head, rows in tables if rows]
    said = [f"It consents to {what}" for what in found.accepts]
    said += [f"Other settings change: {listed(found.others, 8)}"] if found.others else []
    parts += [Part("", (bullets(said),))] if said else []
    if steps or view.ends:
        parts.append(Part("What follows at once", tuple(_steps(steps, view.ends))))
    hazards = [each for each in view.after.hazards if each not in view.before.hazards]
    parts += [Part("Hazards", (bullets(map(_hazard, hazards)),))] if hazards else []
    if view.failures:
        parts.append(Part("Not observed", (bullets([on_one_row(why) for why in view.failures]),)))
    if steps != view.after.actions:
        parts.append(Part(f"The whole plan after the merge: {_counts(view.after)}", (_whole(view),), folded=True))
    return fitted(tuple(parts), MARKER, view.limit, ARTIFACT)


def faults_comment(error: Faults | SslopsError, limit: int) -> Written:
    """Return the comment on an inventory that cannot be read: every fault with its place."""
    faults = getattr(error, "faults", (error,))
    rows = tuple(
        (as_code(str(fault.where or "")), on_one_row(fault.what), on_one_row(fault.hint or "")) for fault in faults
    )
    headline = f"**The inventory has {count(len(rows), 'fault')}, so there is no plan.**"
    return fitted((Part("", (headline, Table(("where", "what", "hint"), rows))),), MARKER, limit, ARTIFACT)


def _headline(view: CommentView) -> str:
    found = view.differences
    if found.is_empty and not (view.follows or view.ends):
        return "**Nothing changes for certificates, DNS or hosts.**"
    words = [
        count(len(found.services), "service") if found.services else "",
        count(len(found.cas), "CA") if found.cas else "",
        count(len(found.hosts), "host") if found.hosts else "",
    ]
    told = ", ".join(word for word in words if word) or "settings only"
    steps = (
        f"{count(len(view.follows), 'step follows', 'steps follow')} at once"
        if view.follows
        else "no step follows at once"
    )
    return f"**This merge request changes {told}; {steps}.** Nothing happens before it is merged."


def _difference_table(head: str, rows: Sequence[Difference]) -> Table:
    return Table((head, "change"), tuple((as_code(each.subject), "<br>".join(each.what)) for each in rows))


def _steps(steps: Sequence[Action], ends: Sequence[Action]) -> list[str | Table]:
    blocks: list[str | Table] = [_action_table(steps)] if steps else []
    if ends:
        blocks.append(f"No longer done: {listed([f'{each.verb} {each.what} {_subject(each)}' for each in ends])}.")
    return blocks


def _action_table(actions: Sequence[Action]) -> Table:
    return Table(("step", "what for", "why"), tuple(map(_action_cells, actions)))


def _action_cells(action: Action) -> tuple[str, ...]:
    targets = f"<br>{listed(action.targets)}" if action.targets else ""
    return (
        f"{action.verb}: {on_one_row(action.what)}",
        as_code(_subject(action)),
        on_one_row(action.why or action.reason) + targets,
    )


def _whole(view: CommentView) -> str | Table:
    return _action_table(view.after.actions) if view.after.actions else "Nothing is to be done now."


def _counts(plan: Plan) -> str:
    waits = f", {count(len(plan.waits), 'waits', 'wait')}" if plan.waits else ""
    return f"{count(len(plan.actions), 'step')} now{waits}"


def _hazard(hazard: Hazard) -> str:
    return f"{as_code(hazard.name)} at {as_code(hazard.subject)}: {on_one_row(hazard.why)}"


def _subject(action: Action) -> str:
    return subject(action.group, action.service)


def _action_key(action: Action) -> tuple[object, ...]:
    """Return what makes two steps the same one; why it is taken is prose."""
    return action.verb, action.group, action.service, action.what, action.reason, action.generation, action.targets
