"""From the tables of sound files to the model: services and CAs here, `sslops.yaml` in `build_settings`.

Whatever the files leave out is left to the model's own defaults, or comes from `globals`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sslops.inventory import names
from sslops.inventory.values import SELF, SMTP_PORT
from sslops.model.inventory import (
    CaSpec,
    CaType,
    CertificateAuthority,
    DaneOwners,
    DaneSpec,
    ExternalAccountReference,
    Hold,
    KeyLifecycle,
    KeySpec,
    Service,
    Subject,
    TlsaIssuer,
)
from sslops.model.names import CA_GROUP, ServiceId
from sslops.model.tlsa import TlsaParams

if TYPE_CHECKING:
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
