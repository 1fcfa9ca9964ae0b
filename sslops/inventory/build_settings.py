"""From the tables of a sound `sslops.yaml` to the model: groups, repositories, name servers, servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.inventory import names
from sslops.inventory.build import hold, said
from sslops.inventory.mentions import facts, mentions
from sslops.inventory.settings_values import ANY
from sslops.model.inventory import (
    Consent,
    DnsSettings,
    Endpoint,
    FileModes,
    Group,
    Host,
    MergePolicy,
    RenewTargets,
    RepoSettings,
    ServerClass,
    Settings,
    Verify,
)
from sslops.model.names import CA_GROUP, ServiceId

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sslops.inventory.document import Plain

COPIES_ONLY_CLASS = "other"
"""The class whose hosts only keep copies, unless it says otherwise."""


def settings(plain: Plain) -> Settings:
    """Build the `globals` that no service or host carries."""
    info = plain.get("renew_info") or {}
    return Settings(
        renew_targets=RenewTargets(_knots(info.get("target")), _knots(info.get("rand_adj"))),
        dns_xtra_ns=tuple(map(names.machine, plain.get("dns_xtra_ns", ()))),
        post_copy_cmd=tuple((host, names.words(command)) for host, command in plain.get("post_copy_cmd", ())),
        hold=hold(plain.get("hold")),
        **said(
            plain,
            {
                "clean_keep": "clean_keep",
                "renew_expire_days_spread": "renew_expire_days_spread",
                "dns_check_delay": "dns_check_delay_seconds",
            },
        ),
    )


def repo(plain: Plain) -> RepoSettings:
    """Build what is said about this repository."""
    return RepoSettings(
        merge=_merge(plain, plain, ("roll",)),
        **said(plain, ("branch", "next_branch", "forge", "project", "forge_url")),
        **said(plain.get("bot", {}), {"name": "bot_name", "email": "bot_email"}),
    )


def group(plain: Plain, members: Iterable[str]) -> Group:
    """Build a group; *members* are the names of its services (a list that says otherwise is a fault)."""
    domain = plain["domain"]
    services = tuple(ServiceId(domain, name) for name in sorted(members))
    return Group(domain, plain["active"], services, hold(plain.get("hold")))


def dns(plain: Plain | None) -> DnsSettings | None:
    """Build what is said about the DNS repository; null stays null."""
    if plain is None:
        return None
    where = plain["repo"]
    command = plain.get("restart_cmd")
    return DnsSettings(
        url=where["url"],
        branch=where.get("branch", "main"),
        tlsa_dirs=tuple(plain["tlsa_dirs"]),
        merge=_merge(plain, where, ("acme", "tlsa")),
        restart_cmd=() if command is None else names.words(command),
        validator=names.endpoint(plain["validator"]) if plain.get("validator") else None,
        **said(plain, ("acme_dir",)),
        **said(where, ("forge", "project", "forge_url")),
    )


def dns_primary(entries: list[Plain]) -> dict[str, Endpoint]:
    """Build apex (or `default`) to the server that is asked for its NS and MX."""
    return {
        "default" if entry["domain"] == "*" else entry["domain"]: Endpoint(
            names.machine(entry["server"]), entry.get("port", 53)
        )
        for entry in entries
    }


def dns_servers(entries: list[Plain]) -> dict[str, tuple[Endpoint, ...]]:
    """Build apex to its authoritative servers."""
    return {entry["domain"]: tuple(map(names.endpoint, entry["servers"])) for entry in entries}


def classes(servers: Plain, prod_cert_dir: str | None, known: Iterable[ServiceId]) -> dict[str, ServerClass]:
    """Build the server classes by name; *prod_cert_dir* is what `globals` says, *known* are all services."""
    hosts = {
        name: Host(
            name=name,
            address=names.machine(fact.get("address", name)),
            **said({"prod_cert_dir": prod_cert_dir, **fact}, ("port", "user", "prod_cert_dir")),
        )
        for name, fact in facts(servers).items()
    }
    known = tuple(known)
    return {name: _class(name, servers, hosts, known) for name in sorted(servers)}


def consent(plain: Plain) -> Consent:
    """Build an accepted hazard."""
    until = plain.get("until")
    end = None if until is None else names.moment(until)
    return Consent(plain["hazard"], plain.get("subject"), end, plain["reason"])


def _class(name: str, servers: Plain, hosts: Mapping[str, Host], known: tuple[ServiceId, ...]) -> ServerClass:
    plain = servers[name]
    commands = plain.get("restart_cmd") or ()
    mine = sorted(mentions({name: plain}), key=lambda mention: mention.host)
    serves = plain.get("serves")
    return ServerClass(
        name=name,
        hosts=tuple(_with_verify(hosts[mention.host], mention.verify) for mention in mine),
        files=_files(plain.get("files")),
        restart_cmd=tuple(map(names.words, [commands] if isinstance(commands, str) else commands)),
        svc_depends=_svc_depends(plain.get("svc_depends"), known),
        depends=tuple(plain.get("depends", ())),
        serves=name != COPIES_ONLY_CLASS if serves is None else serves,
        **said(plain, ("server_dir",)),
    )


def _with_verify(host: Host, plain: Plain | None) -> Host:
    verify = None
    if plain is not None:
        verify = Verify(plain["port"], **said(plain, {"starttls": "starttls", "from": "asked_from"}))
    return Host(host.name, host.address, host.port, host.user, host.prod_cert_dir, verify)


def _files(plain: Plain | None) -> FileModes:
    return FileModes(**said(plain or {}, ("owner", "group", "key_mode")))


def _svc_depends(
    pairs: list[list[object]] | None, known: tuple[ServiceId, ...]
) -> tuple[tuple[str, tuple[str, ...]], ...] | None:
    """Build the pairs; `ALL` becomes the names it stands for."""
    if pairs is None:
        return None
    built = []
    for group_name, services in pairs:
        domain = "any" if group_name in ANY else str(group_name)
        leaves = {each.name for each in known if each.group == domain or (domain == "any" and each.group != CA_GROUP)}
        built.append((domain, tuple(services) if isinstance(services, list) else tuple(sorted(leaves))))
    return tuple(built)


def _merge(table: Plain, where: Plain, kinds: tuple[str, ...]) -> dict[str, MergePolicy]:
    """Say who merges each kind: a person where there is a forge, unless the file says otherwise."""
    usual = "auto" if where.get("forge", "none") == "none" else "review"
    asked = table.get("merge") or {}
    return {kind: MergePolicy(asked.get(kind) or usual) for kind in kinds}


def _knots(plain: Mapping[str, float] | None) -> tuple[tuple[float, float], ...] | None:
    return None if plain is None else tuple(sorted((float(days), float(value)) for days, value in plain.items()))
