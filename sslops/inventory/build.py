"""From the tables of sound files to the model: services, CAs, and the settings of `sslops.yaml`.

Whatever the files leave out is left to the model's own defaults, or comes from `globals`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sslops.inventory import names
from sslops.inventory.service_faults import SELF, SMTP_PORT
from sslops.inventory.settings_faults import ANY, facts, mentions
from sslops.model.inventory import (
    CaSpec,
    CaType,
    CertificateAuthority,
    Consent,
    DaneOwners,
    DaneSpec,
    DnsSettings,
    Endpoint,
    ExternalAccountReference,
    FileModes,
    Group,
    Hold,
    Host,
    KeyLifecycle,
    KeySpec,
    MergePolicy,
    RenewTargets,
    RepoSettings,
    ServerClass,
    Service,
    Settings,
    Subject,
    TlsaIssuer,
    Verify,
)
from sslops.model.mail_policy import DEFAULT_AGE_SECONDS, StsPolicy
from sslops.model.names import CA_GROUP, ServiceId
from sslops.model.tlsa import TlsaParams

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sslops.inventory.document import Plain


_CURVES = {"prime256v1": "secp256r1"}
_INHERITED = {"min_roll_mins": "min_roll_minutes", "renew_expire_days": "renew_expire_days"}
_CA_TYPES = {"certbot": CaType.ACME, "letsencrypt": CaType.ACME}
_SUBJECT = {
    "CN": "common_name",
    "O": "organization",
    "OU": "organizational_unit",
    "L": "locality",
    "ST": "state",
    "C": "country",
    "email": "email",
}


def said(plain: Plain, keys: dict[str, str] | tuple[str, ...]) -> dict[str, Any]:
    """Return those of *keys* that *plain* has a value for, under their names in the model."""
    renamed = keys if isinstance(keys, dict) else {key: key for key in keys}
    return {name: plain[key] for key, name in renamed.items() if plain.get(key) is not None}


def hold(plain: Plain | None) -> Hold | None:
    """Build a hold; null stays null."""
    if plain is None:
        return None
    until = plain.get("until")
    return Hold(None if until is None else names.moment(until), plain["reason"])


def service(service_id: ServiceId, plain: Plain, defaults: Plain) -> Service:
    """Build one service; *defaults* are the `globals`."""
    x509 = plain.get("x509", {})
    dane = tuple(sorted(_dane(entry) for entry in plain.get("dane_tls", ())))
    return Service(
        id=service_id,
        description=plain.get("name") or service_id.name,
        signing_ca=plain["signing_ca"] or SELF,
        subject=Subject(**{key: text for key, text in said(x509, _SUBJECT).items() if text}),
        sans=tuple(map(names.subject_name, x509.get("sans", ()))),
        key=_key(plain.get("key_opts", {})),
        dane=dane,
        ca=_authority(plain),
        eku=_purposes(service_id, x509),
        key_lifecycle=_lifecycle(plain, has_dane=bool(dane)),
        hold=hold(plain.get("hold")),
        **said(plain, {"dane_tls_ttl": "dane_ttl_seconds", "dane_apex": "dane_apex"}),
        **{**said(defaults, _INHERITED), **said(plain, _INHERITED)},
    )


def authority(name: str, plain: Plain) -> CertificateAuthority:
    """Build one entry of `cas.yaml`."""
    kind = plain["ca_type"]
    return CertificateAuthority(
        name=name,
        type=_CA_TYPES.get(kind) or CaType(kind),
        description=plain.get("ca_desc") or "",
        validation=plain.get("ca_validation"),
        preferred_profile=plain.get("ca_preferred_acme_profile"),
        preferred_chain=plain.get("ca_preferred_chain"),
        external_account=ExternalAccountReference(**plain["eab"]) if plain.get("eab") is not None else None,
        **said(plain, ("directory", "staging", "ca_bundle")),
        tlsa_issuers=tuple(sorted(map(_issuer, plain.get("tlsa_issuers") or ()))),
    )


def _issuer(text: str) -> TlsaIssuer:
    selector, match, data = text.split(" ")
    return TlsaIssuer(int(selector), int(match), data)


def _key(plain: Plain) -> KeySpec:
    keys = said(plain, ("ktype", "ec_algo", "rsa_bits"))
    if "ec_algo" in keys:
        keys["ec_algo"] = _CURVES.get(keys["ec_algo"], keys["ec_algo"])
    return KeySpec(**keys)


def _dane(entry: list[Any]) -> DaneSpec:
    port, proto, usage, selector, match, *owners = entry
    usual = DaneOwners.MX if port == SMTP_PORT else DaneOwners.SANS
    return DaneSpec(port, proto, TlsaParams(usage, selector, match), DaneOwners(owners[0]) if owners else usual)


def _authority(plain: Plain) -> CaSpec | None:
    table = plain.get("ca")
    return None if table is None else CaSpec(**said(table, ("sign_end_days", "digest", "end_days")))


def _purposes(service_id: ServiceId, x509: Plain) -> tuple[str, ...]:
    asked = x509.get("eku")
    if asked is not None:
        return tuple(asked)
    return () if service_id.group == CA_GROUP else ("serverAuth",)


def _lifecycle(plain: Plain, *, has_dane: bool) -> KeyLifecycle:
    asked = plain.get("key_lifecycle")
    usual = KeyLifecycle.PREPUBLISH if has_dane else KeyLifecycle.AT_RENEWAL
    return usual if asked is None else KeyLifecycle(asked)


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
                "blocked_grace_mins": "blocked_grace_minutes",
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
    sts = plain.get("mta_sts")
    return Group(
        domain,
        plain["active"],
        services,
        hold(plain.get("hold")),
        None if sts is None else StsPolicy(sts["mode"], tuple(sts["mx"]), sts.get("max_age", DEFAULT_AGE_SECONDS)),
        None if sts is None else sts.get("id"),
        tuple(plain.get("tls_rpt", ())),
    )


def dns(plain: Plain | None) -> DnsSettings | None:
    """Build what is said about the DNS repository; null stays null."""
    if plain is None:
        return None
    where = plain["repo"]
    return DnsSettings(
        url=where["url"],
        branch=where.get("branch", "main"),
        tlsa_dirs=tuple(map(names.folder, plain["tlsa_dirs"])),
        merge=_merge(plain, where, ("acme", "tlsa")),
        restart_cmd=next(iter(names.commands(plain.get("restart_cmd"))), ()),
        validator=names.endpoint(plain["validator"]) if plain.get("validator") else None,
        acme_dir=names.folder(plain["acme_dir"]) if plain.get("acme_dir") is not None else None,
        acme_aliases=tuple(plain.get("acme_aliases") or ()),
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
    members = _members(known)
    return {name: _class(name, servers, hosts, members) for name in sorted(servers)}


def consent(plain: Plain) -> Consent:
    """Build an accepted hazard."""
    until = plain.get("until")
    end = None if until is None else names.moment(until)
    return Consent(plain["hazard"], plain.get("subject"), end, plain["reason"])


def _class(name: str, servers: Plain, hosts: Mapping[str, Host], members: Mapping[str, tuple[str, ...]]) -> ServerClass:
    plain = servers[name]
    mine = sorted(mentions({name: plain}), key=lambda mention: mention.host)
    serves = plain.get("serves")
    return ServerClass(
        name=name,
        hosts=tuple(_with_verify(hosts[mention.host], mention.verify) for mention in mine),
        files=_files(plain.get("files")),
        restart_cmd=names.commands(plain.get("restart_cmd")),
        svc_depends=_svc_depends(plain.get("svc_depends"), members),
        depends=tuple(plain.get("depends", ())),
        serves=name != COPIES_ONLY_CLASS if serves is None else serves,
        dhparm=tuple(dict.fromkeys(plain.get("dhparm", ()))),
        **said(plain, ("server_dir",)),
    )


def _with_verify(host: Host, plain: Plain | None) -> Host:
    verify = None
    if plain is not None:
        verify = Verify(
            plain["port"],
            **said(
                plain,
                {"starttls": "starttls", "from": "asked_from", "patience": "given_patience", "address": "address"},
            ),
        )
    return Host(host.name, host.address, host.port, host.user, host.prod_cert_dir, verify)


def _files(plain: Plain | None) -> FileModes:
    return FileModes(**said(plain or {}, ("owner", "group", "key_mode")))


def _members(known: Iterable[ServiceId]) -> Mapping[str, tuple[str, ...]]:
    """Return group to the names of its services, sorted; `any` to those of every group but `ca`."""
    found: dict[str, set[str]] = {}
    for service in known:
        found.setdefault(service.group, set()).add(service.name)
        if service.group != CA_GROUP:
            found.setdefault("any", set()).add(service.name)
    return {group: tuple(sorted(names)) for group, names in found.items()}


def _svc_depends(
    pairs: list[list[object]] | None, members: Mapping[str, tuple[str, ...]]
) -> tuple[tuple[str, tuple[str, ...]], ...] | None:
    """Build the pairs; `ALL` becomes the names it stands for."""
    if pairs is None:
        return None
    built = []
    for group_name, services in pairs:
        domain = "any" if group_name in ANY else str(group_name)
        built.append((domain, tuple(services) if isinstance(services, list) else members.get(domain, ())))
    return tuple(built)


def _merge(table: Plain, where: Plain, kinds: tuple[str, ...]) -> dict[str, MergePolicy]:
    """Say who merges each kind: a person where there is a forge, unless the file says otherwise."""
    usual = "auto" if where.get("forge", "none") == "none" else "review"
    asked = table.get("merge") or {}
    return {kind: MergePolicy(asked.get(kind) or usual) for kind in kinds}


def _knots(plain: Mapping[str, float] | None) -> tuple[tuple[float, float], ...] | None:
    return None if plain is None else tuple(sorted((float(days), float(value)) for days, value in plain.items()))
