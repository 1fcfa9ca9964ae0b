"""Checks across the files of the inventory: who signs what, what refers to what, how many TLSA records a name gets.

A name has a record of every kind ({usage, selector, match}) that any service there asks for, for all that any service
there may show: `curr` and `next` of each, or of its own CA, or every issuer that is listed for its public CA. Names are
distinguished as far as the inventory does: the MX hosts of a group are one, whichever they are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sslops.inventory.ca_policy import acme_policy, lets_encrypt_policy
from sslops.inventory.document import Complaint
from sslops.inventory.files import CAS_FILE, SETTINGS_FILE
from sslops.inventory.names import is_below, subject_name
from sslops.inventory.service_faults import SELF, SMTP_PORT
from sslops.inventory.settings_faults import ANY, mentions
from sslops.model.inventory import DEFAULT_PROFILE, LETS_ENCRYPT, LETS_ENCRYPT_STAGING
from sslops.model.names import CA_GROUP, ServiceId, is_address, zone_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sslops.inventory.document import Document, KeyPath, Plain
    from sslops.inventory.files import Found


CA_USAGES = frozenset({0, 2})
MOST_RECORDS = 12
"""What the senders of a large mail service read (seen in 2024)."""
VERSIONS = 2
"""`curr` and `next`; a server that was not reached may keep a third in DNS for a while."""

_Kind = tuple[int, int, int]
_Name = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class _Asked:
    """One entry of one service's `dane_tls`."""

    service: ServiceId
    document: Document
    place: int
    kind: _Kind

    @property
    def ca(self) -> str:
        return str(self.document.plain["signing_ca"])


def too_many_records(found: Found, cas: Plain) -> Iterator[Complaint]:
    """Yield the entries of `dane_tls` by which more records could come under a name than everybody reads."""
    told: set[tuple[str, int]] = set()
    for asked in _records_by_name(found).values():
        listed = [each for each in asked if each.kind[0] in CA_USAGES and _listed_issuers(cas, each.ca, each.kind)]
        if not listed or any(_is_long(cas, each.ca) for each in listed):
            continue
        services = {each.service: each.ca for each in asked}
        of_issuers, others = _count({each.kind for each in asked}, services, cas)
        first = listed[0]
        if of_issuers + others <= MOST_RECORDS or (first.document.file, first.place) in told:
            continue
        told.add((first.document.file, first.place))
        what = (
            f"{of_issuers + others} records could come under one name, {of_issuers} of issuers and {others} of"
            f" 'curr' and 'next'; {MOST_RECORDS} are read everywhere"
        )
        hint = "list fewer issuers, or ask for fewer kinds of record, in all services at that name"
        yield Complaint(first.document.file, ("dane_tls", first.place), what, hint)


def _records_by_name(found: Found) -> dict[_Name, list[_Asked]]:
    """Return what is asked for under each name, by active groups."""
    groups = found.settings.plain["groups"] if found.settings is not None else ()
    active = {group["domain"] for group in groups if group["active"]}
    names: dict[_Name, list[_Asked]] = {}
    for service, document in sorted(found.services.items(), key=lambda pair: pair[0]):
        entries = document.plain.get("dane_tls") or () if service.group in active else ()
        for place, (port, proto, usage, selector, match, *owners) in enumerate(entries):
            by_mx = (owners or ["MX" if port == SMTP_PORT else "SANS"])[0] == "MX"
            for host in (f"MX of {service.group}",) if by_mx else _hosts(document):
                asked = _Asked(service, document, place, (usage, selector, match))
                names.setdefault((host, port, proto), []).append(asked)
    return names


def _hosts(document: Document) -> Iterable[str]:
    sans = (document.plain.get("x509") or {}).get("sans") or ()
    return {san.lower() for san in sans if not san.startswith("*.") and not is_address(san)}


def _count(kinds: set[_Kind], services: dict[ServiceId, str], cas: Plain) -> tuple[int, int]:
    """Return how many records there can be, those of listed issuers and the others."""
    of_issuers, others = 0, 0
    for kind in kinds:
        if kind[0] not in CA_USAGES:
            others += VERSIONS * len(services)
            continue
        listed = {name: _listed_issuers(cas, name, kind) for name in services.values()}
        of_issuers += len(frozenset[str]().union(*listed.values()))
        others += VERSIONS * sum(_is_own(cas, name) for name in listed)
    return of_issuers, others


def _listed_issuers(cas: Plain, name: str, kind: _Kind) -> frozenset[str]:
    entries = (cas.get(name) or {}).get("tlsa_issuers") or ()
    return frozenset(entry for entry in entries if entry.startswith(f"{kind[1]} {kind[2]} "))


def _is_long(cas: Plain, name: str) -> bool:
    """Whether the list of the CA itself is too long, which is reported there."""
    entries = (cas.get(name) or {}).get("tlsa_issuers") or ()
    return max(Counter(entry.rpartition(" ")[0] for entry in entries).values(), default=0) > MOST_RECORDS


def _is_own(cas: Plain, name: str) -> bool:
    return (cas.get(name) or {}).get("ca_type") in {"local", "self"}


ACME_TYPES = frozenset({"acme", "certbot", "letsencrypt"})
DNS_01, HTTP_01 = "dns-01", "http-01"
HASTY_PROFILES = frozenset({"tlsserver", "shortlived"})
"""Profiles of Let's Encrypt whose pending authorisations live for one hour; those of `classic` live for seven days."""
PROFILE_WITH_ADDRESSES = "shortlived"
"""The one profile in which Let's Encrypt certifies IP addresses."""


def acme_complaints(found: Found, cas: Plain) -> Iterator[Complaint]:
    """Yield what is wrong between ACME servers, the services they sign, and how their proofs would be given."""
    users: dict[str, list[Document]] = {}
    for service, document in found.services.items():
        signer = document.plain["signing_ca"]
        if service.group != CA_GROUP and cas.get(signer, {}).get("ca_type") in ACME_TYPES:
            users.setdefault(signer, []).append(document)
    settings = found.settings.plain if found.settings is not None else None
    for name, entry in cas.items():
        if entry["ca_type"] not in ACME_TYPES:
            yield from _own_ca_entry(name, entry)
            continue
        if settings is not None and name in users:
            yield from _proof(name, entry, settings)
        for document in users.get(name, ()):
            refused = [*_name_faults(name, entry, document), *acme_policy(document)]
            if _is_lets_encrypt(entry):
                refused += lets_encrypt_policy(document, _profile(entry))
            yield from refused
            if settings is not None and _validation(entry) == DNS_01:
                known = {complaint.path for complaint in refused}
                yield from (each for each in _outside_zones(name, document, settings) if each.path not in known)


def _own_ca_entry(name: str, entry: Plain) -> Iterator[Complaint]:
    for key in ("directory", "staging", "ca_bundle", "eab"):
        if entry.get(key) is not None:
            yield Complaint(CAS_FILE, (name, key), f"'{key}' is for ACME servers only", at_key=True)


def _proof(name: str, entry: Plain, settings: Plain) -> Iterator[Complaint]:
    """Say why nobody could give the proofs that this CA asks for."""
    dns = settings.get("dns") or {}
    if _validation(entry) == HTTP_01:
        if not any(table.get("server_dir") for table in settings.get("servers", {}).values()):
            hint = f"give the web servers a 'server_dir' in {SETTINGS_FILE}, or use ca_validation: dns-01"
            yield Complaint(CAS_FILE, (name,), "http-01, and no server class has a 'server_dir'", hint, at_key=True)
    elif dns.get("acme_dir") is None:
        hint = f"add 'dns' with 'repo' and 'acme_dir' to {SETTINGS_FILE}"
        what = f"nobody would show the challenges of '{name}': there is no 'dns.acme_dir'"
        yield Complaint(CAS_FILE, (name,), what, hint, at_key=True)
    elif _is_reviewed(dns) and _is_hasty(entry):
        what = f"profile '{_profile(entry)}' leaves one hour for a challenge, and 'dns.merge.acme' waits for a person"
        hint = "one of: ca_preferred_acme_profile: classic (seven days); dns.merge.acme: auto; ca_validation: http-01"
        yield Complaint(CAS_FILE, (name,), what, hint, at_key=True)


def _is_reviewed(dns: Plain) -> bool:
    """Whether a person merges challenges: where there is a forge and nobody says otherwise, one does."""
    has_forge = dns["repo"].get("forge", "none") != "none"
    return ((dns.get("merge") or {}).get("acme") or ("review" if has_forge else "auto")) == "review"


def _name_faults(name: str, entry: Plain, document: Document) -> Iterator[Complaint]:
    validation = _validation(entry)
    for place, san in enumerate(document.plain.get("x509", {}).get("sans", ())):
        path = ("x509", "sans", place)
        if san.startswith("*.") and validation == HTTP_01:
            hint = "a wildcard needs dns-01: name a CA with ca_validation: dns-01"
            yield Complaint(document.file, path, f"'{name}' proves names by http-01, which no wildcard can", hint)
        if not is_address(san):
            continue
        if validation == DNS_01:
            hint = "an IP address needs http-01: name a CA with ca_validation: http-01"
            yield Complaint(document.file, path, f"'{name}' proves names by dns-01, which no IP address can", hint)
        elif _is_lets_encrypt(entry) and _profile(entry) != PROFILE_WITH_ADDRESSES:
            hint = f"ca_preferred_acme_profile: {PROFILE_WITH_ADDRESSES}"
            what = f"Let's Encrypt has no IP addresses in profile '{_profile(entry)}'"
            yield Complaint(document.file, path, what, hint)


def _outside_zones(name: str, document: Document, settings: Plain) -> Iterator[Complaint]:
    """Say which names lie in no zone that challenges are written to: those of the active groups.

    Domains of others in `dns.acme_aliases` lead into one; whether they do, `renew` asks before it orders. What an
    inactive group asks for is not ordered, so nothing is said of its names.
    """
    is_active = {group["domain"]: group["active"] for group in settings["groups"] if group["domain"] != CA_GROUP}
    if not is_active.get(document.file.split("/")[1]):
        return
    aliases = (settings.get("dns") or {}).get("acme_aliases") or ()
    for place, san in enumerate(document.plain.get("x509", {}).get("sans", ())):
        try:
            known = subject_name(san).removeprefix("*.")
        except ValueError:
            continue  # told where the name itself is judged
        zone = zone_of(known, is_active)
        if is_address(known) or (zone is not None and is_active[zone]) or zone_of(known, aliases) is not None:
            continue
        what = f"'{name}' proves names by dns-01, and '{known}' lies in no zone that sslops writes challenges to"
        hint = f"group '{zone}' is not active in {SETTINGS_FILE}" if zone else f"groups in {SETTINGS_FILE}"
        ways = "dns.acme_aliases, where its _acme-challenge is an alias into one; or a CA with ca_validation: http-01"
        yield Complaint(document.file, ("x509", "sans", place), what, f"{hint}; or {ways}")


def _validation(entry: Plain) -> str:
    return str(entry.get("ca_validation") or DNS_01)


def _profile(entry: Plain) -> str:
    return str(entry.get("ca_preferred_acme_profile") or DEFAULT_PROFILE)


def _is_hasty(entry: Plain) -> bool:
    asked = entry.get("ca_preferred_acme_profile")
    return asked in HASTY_PROFILES or (asked is None and _is_lets_encrypt(entry))


def _is_lets_encrypt(entry: Plain) -> bool:
    return (entry.get("directory") or LETS_ENCRYPT) in {LETS_ENCRYPT, LETS_ENCRYPT_STAGING}


OWN = frozenset({"local", "self"})
_DEFAULT = frozenset({"default", "*"})


def reference_complaints(found: Found) -> Iterator[Complaint]:
    """Yield what is wrong between the files that could be read; nothing about files that could not."""
    if found.settings is not None:
        yield from _listed(found, found.settings)
        yield from _folders(found, found.settings.plain)
        yield from _settings_names(found, found.settings.plain)
    if found.cas is not None or CAS_FILE not in {fault.where.file for fault in found.faults if fault.where}:
        cas = found.cas.plain if found.cas else {}
        yield from _own_cas(found, cas)
        yield from acme_complaints(found, cas)
        for service, document in found.services.items():
            yield from _signer(found, cas, service, document)
            yield from _issuer_faults(cas, document)
        yield from _issuer_lists(cas)
        yield from too_many_records(found, cas)
    yield from _circles(found)


def _listed(found: Found, settings: Document) -> Iterator[Complaint]:
    """Every listed service has a file, every file is listed: one that is not would be retired by mistake."""
    members = found.members()
    for place, group in enumerate(settings.plain["groups"]):
        domain, services = group["domain"], group["services"]
        on_disk = members.get(domain, set())
        if isinstance(services, str):
            continue
        for number, name in enumerate(services):
            if name not in on_disk:
                path = ("groups", place, "services", number)
                hint = f"write inventory/{domain}/{name}.yaml, or take it off the list"
                yield Complaint(settings.file, path, f"service '{domain}/{name}' has no file", hint)
        for name in sorted(on_disk - set(services)):
            hint = f"add it to 'services', or remove the file; 'hold' in inventory/{domain}/{name}.yaml makes it wait"
            what = f"service '{domain}/{name}' is not listed"
            yield Complaint(settings.file, ("groups", place, "services"), what, hint)


def _folders(found: Found, settings: Plain) -> Iterator[Complaint]:
    groups = {group["domain"] for group in settings["groups"]}
    for service, document in found.services.items():
        if service.group not in groups:
            hint = f"add it to 'groups' in {SETTINGS_FILE}, or remove the folder"
            yield Complaint(document.file, (), f"there is no group '{service.group}'", hint)


def _settings_names(found: Found, settings: Plain) -> Iterator[Complaint]:
    groups = {group["domain"] for group in settings["groups"]}
    for key in ("dns_primary", "dns_servers"):
        for place, entry in enumerate(settings.get(key, ())):
            if entry["domain"] not in groups | (_DEFAULT if key == "dns_primary" else set()):
                yield Complaint(SETTINGS_FILE, (key, place, "domain"), f"there is no group '{entry['domain']}'")
    hosts = {mention.host for mention in mentions(settings.get("servers", {}))}
    for place, (host, _) in enumerate(settings.get("globals", {}).get("post_copy_cmd", ())):
        if host not in hosts:
            hint = f"hosts of 'servers': {', '.join(sorted(hosts)) or 'none'}"
            yield Complaint(SETTINGS_FILE, ("globals", "post_copy_cmd", place, 0), f"there is no host '{host}'", hint)
    members = {domain: names for domain, names in found.members().items() if domain != CA_GROUP}
    for name, table in settings.get("servers", {}).items():
        for place, pair in enumerate(table.get("svc_depends") or ()):
            yield from _pair(members, groups, ("servers", name, "svc_depends", place), pair)
    if settings.get("dns") is None:
        yield from _dane_without_dns(found)
    yield from _dane_outside(found, groups)


def _pair(members: dict[str, set[str]], groups: set[str], path: KeyPath, pair: list[Any]) -> Iterator[Complaint]:
    group, services = pair
    if group == CA_GROUP:
        yield Complaint(SETTINGS_FILE, (*path, 0), "the keys of own CAs never leave the repository")
    elif group not in groups | ANY:
        hint = f"groups: {', '.join(sorted(groups))}"
        yield Complaint(SETTINGS_FILE, (*path, 0), f"there is no group '{group}'", hint)
    elif isinstance(services, list):
        names = set().union(*members.values()) if group in ANY else members.get(group, set())
        for place, name in enumerate(services):
            if name not in names:
                where = "any group" if group in ANY else f"group '{group}'"
                yield Complaint(SETTINGS_FILE, (*path, 1, place), f"there is no service '{name}' in {where}")


def _dane_outside(found: Found, groups: set[str]) -> Iterator[Complaint]:
    """A name of the certificate that owns records lies in a zone that sslops manages, or nobody could publish them."""
    apexes = groups - {CA_GROUP}
    for document in found.services.values():
        entries = document.plain.get("dane_tls") or ()
        if not any((entry[5:] or ["MX" if entry[0] == SMTP_PORT else "SANS"])[0] == "SANS" for entry in entries):
            continue
        for place, san in enumerate(document.plain.get("x509", {}).get("sans") or ()):
            if san.startswith("*.") or is_address(san) or is_below(san, apexes):
                continue
            what = f"no TLSA record can be published for '{san}', which is below no group"
            hint = f"take it out, or add its apex to 'groups' in {SETTINGS_FILE}"
            yield Complaint(document.file, ("x509", "sans", place), what, hint)


def _dane_without_dns(found: Found) -> Iterator[Complaint]:
    for document in found.services.values():
        if document.plain.get("dane_tls"):
            hint = f"add 'dns' with 'repo' and 'tlsa_dirs' to {SETTINGS_FILE}"
            yield Complaint(document.file, ("dane_tls",), "nobody would publish TLSA records: there is no 'dns'", hint)


def _issuer_faults(cas: Plain, document: Document) -> Iterator[Complaint]:
    """A CA usage of a public CA needs the list of its issuers: the next certificate may come from any of them."""
    entry = cas.get(document.plain["signing_ca"])
    if entry is None or entry["ca_type"] in OWN:
        return
    listed = {tuple(issuer.split(" ")[:2]) for issuer in entry.get("tlsa_issuers") or ()}
    for place, (_, _, usage, selector, match, *_) in enumerate(document.plain.get("dane_tls") or ()):
        if usage in CA_USAGES and (str(selector), str(match)) not in listed:
            ca = document.plain["signing_ca"]
            what = f"TLSA usage {usage} needs the issuers of '{ca}' with selector {selector} and match {match}"
            yield Complaint(document.file, ("dane_tls", place), what, f"list them as 'tlsa_issuers' in {CAS_FILE}")


def _issuer_lists(cas: Plain) -> Iterator[Complaint]:
    """Some senders stop reading after a dozen records of a name; an own CA is known without a list."""
    for name, entry in cas.items():
        issuers = entry.get("tlsa_issuers") or ()
        if issuers and entry["ca_type"] in OWN:
            yield Complaint(CAS_FILE, (name, "tlsa_issuers"), "an own CA needs no list of issuers", at_key=True)
        kinds = Counter(issuer.rpartition(" ")[0] for issuer in issuers)
        for kind, count in sorted(kinds.items()):
            if count > MOST_RECORDS:
                what = f"{count} issuers of '{kind}'; {MOST_RECORDS} records of a name are read everywhere"
                yield Complaint(CAS_FILE, (name, "tlsa_issuers"), what, "list those that may sign")
        for place, issuer in enumerate(issuers):
            if issuer in issuers[:place]:
                yield Complaint(CAS_FILE, (name, "tlsa_issuers", place), "this issuer is there twice")


def _own_cas(found: Found, cas: Plain) -> Iterator[Complaint]:
    """Every own CA of `cas.yaml` has its service; what signs itself is a root."""
    for name, entry in cas.items():
        service = ServiceId(CA_GROUP, name)
        if name == SELF:
            what = f"'{SELF}' cannot be the name of a CA: it says who signs a root"
            yield Complaint(CAS_FILE, (name,), what, at_key=True)
        elif entry["ca_type"] in OWN and service not in found.known():
            what = f"own CA '{name}' has no service '{service}'"
            yield Complaint(CAS_FILE, (name,), what, f"write inventory/{service}.yaml", at_key=True)


def _signer(found: Found, cas: Plain, service: ServiceId, document: Document) -> Iterator[Complaint]:
    signer = document.plain["signing_ca"] or SELF
    path = ("signing_ca",)
    if service.group == CA_GROUP:
        yield from _own_ca(cas, service, document)
    if signer == SELF:
        return
    if signer not in cas:
        known = ", ".join(sorted(cas)) or "none"
        yield Complaint(document.file, path, f"there is no CA '{signer}'", f"CAs in {CAS_FILE}: {known}")
    elif service.group == CA_GROUP and cas[signer]["ca_type"] not in OWN:
        yield Complaint(document.file, path, f"'{signer}' is no own CA, and no other signs an own CA")
    else:
        yield from _life(found, service, document, ServiceId(CA_GROUP, signer))


def _own_ca(cas: Plain, service: ServiceId, document: Document) -> Iterator[Complaint]:
    kind = cas.get(service.name, {}).get("ca_type")
    is_root = document.plain["signing_ca"] in (SELF, "")
    if kind not in OWN:
        entry = f"{service.name}: {{ca_type: {'self' if is_root else 'local'}}}"
        yield Complaint(document.file, (), f"'{CAS_FILE}' has no own CA '{service.name}'", f"add there: {entry}")
    elif is_root != (kind == SELF):
        what = f"'{service.name}' is 'ca_type: {kind}' in {CAS_FILE}, which does not go with this 'signing_ca'"
        yield Complaint(document.file, ("signing_ca",), what, "self: it signs itself; local: another own CA signs it")


def _life(found: Found, service: ServiceId, document: Document, signer: ServiceId) -> Iterator[Complaint]:
    """What a signer is valid for must be longer than what it signs, else every run would issue again."""
    authority = found.services[signer].plain.get("ca") if signer in found.services else None
    if authority is None or signer == service:
        return
    given = authority["sign_end_days"]
    signs = (document.plain.get("ca") or {}).get("sign_end_days", 0)
    if signs >= given:
        what = f"it signs for {signs} days, but '{signer.name}' lets it live for {given} only"
        hint = "sign for less, or let the signer sign for longer"
        yield Complaint(document.file, ("ca", "sign_end_days"), what, hint)
    defaults = found.settings.plain.get("globals", {}) if found.settings else {}
    due = document.plain.get("renew_expire_days", defaults.get("renew_expire_days"))
    spread = defaults.get("renew_expire_days_spread", 0)
    if service.group != CA_GROUP and due is not None and due + spread >= given:
        what = f"due {due + spread:g} days before its end, but '{signer.name}' signs for {given} days only"
        yield Complaint(document.file, ("renew_expire_days",), what, "renew later, or let the signer sign for longer")


def _circles(found: Found) -> Iterator[Complaint]:
    for service, document in sorted(found.services.items(), key=lambda pair: pair[0]):
        way = _way_up(found, service)
        # Each circle is reported once, at its first member; who only leads into it is not to blame.
        if len(way) > 1 and way[-1] == service == min(way):
            chain = " -> ".join(step.name for step in way)
            what = f"signers in a circle: {chain}"
            yield Complaint(document.file, ("signing_ca",), what, "a root has signing_ca: self")


def _way_up(found: Found, service: ServiceId) -> list[ServiceId]:
    """Return *service*, its signer, the signer's signer, ... up to a root, or to the first that is there twice."""
    way = [service]
    while way[-1] in found.services and way[-1] not in way[:-1]:
        signer = found.services[way[-1]].plain["signing_ca"]
        if signer in (SELF, ""):
            break
        way.append(ServiceId(CA_GROUP, signer))
    return way
