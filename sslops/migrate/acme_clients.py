"""Trees of certbot, lego and acme.sh as a draft: each certificate becomes a service of the domain it belongs to.

These tools know no groups and no servers: a group is the registered domain as far as names tell (the shortest name that
the others end in), and where a certificate goes stays to be written down.
"""

from __future__ import annotations

import configparser
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sslops.errors import SslopsError, UsageError
from sslops.inventory import names
from sslops.migrate.draft import (
    CAS,
    DNS_URL,
    SETTINGS,
    Draft,
    OldVersion,
    Plain,
    names_of_files,
    read_bytes,
    service_file,
)
from sslops.model.names import ServiceId
from sslops.model.secret import Secret
from sslops.pki.certificate import read_certificate, split_chain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from sslops.pki.certificate import CertificateFacts

LETS_ENCRYPT = ("acme-v02.api.letsencrypt.org", "acme-staging-v02.api.letsencrypt.org")
_LABEL = {"certbot": "certbot", "lego": "lego", "acme_sh": "acme.sh"}
_WEBROOT = "/var/www/html"
_TODO = "where does it go? Name its hosts in a class of 'servers', with svc_depends"


@dataclass(slots=True)
class Lineage:
    """One certificate of an old client: its files by slot, and what the client's settings for it say."""

    name: str
    where: str
    versions: Mapping[str, tuple[Path, Path, Path | None, Path | None]]
    """Slot to the files of key, certificate, chain, and fullchain where there is no chain."""
    settings: dict[str, str]
    server: str | None = None
    is_http: bool = False
    email: str | None = None
    profile: str | None = None
    preferred_chain: str | None = None
    renew_days: float | None = None
    webroot: str | None = None
    """Where the answers of http-01 were put."""


def read(
    tool: str, folder: Path, dns_url: str | None = None, apexes: Sequence[str] = (), *, has_certs: bool = True
) -> Draft:
    """Read the tree of *tool* (`certbot`, `lego` or `acme_sh`) at *folder*; UsageError when there is none.

    *apexes* are the domains that groups are to be, where names do not tell.
    """
    with names_of_files(folder):
        return _read(tool, folder, dns_url, apexes, has_certs=has_certs)


def _read(tool: str, folder: Path, dns_url: str | None, apexes: Sequence[str], *, has_certs: bool) -> Draft:
    draft = Draft(_LABEL[tool])
    found = {"certbot": _certbot, "lego": _lego, "acme_sh": _acme_sh}[tool](folder, draft)
    lineages = sorted(found, key=lambda each: each.name)
    if not lineages:
        message = f"'{folder}' has no certificate of {_LABEL[tool]}"
        raise UsageError(
            message, hint=f"sslops import --{tool.replace('_', '-')} DIR, the folder of {_LABEL[tool]} itself"
        )
    return _Sites(draft, apexes, has_certs=has_certs).fill(lineages, dns_url)


# certbot: renewal/*.conf, live/<name>/*.pem -> archive/<name>/*N.pem

_CERTBOT_TOLD = {
    "account": "left out: sslops makes an account of its own at each CA",
    "pref_challs": "left out: the CA's ca_validation says it",
    "archive_dir": "left out: where certbot keeps its files",
    "version": "left out: certbot's own",
    "key_type": "the key is as the certificate has it",
    "rsa_key_size": "the key is as the certificate has it",
    "elliptic_curve": "the key is as the certificate has it",
    "reuse_key": "left out: each generation has a key of its own (`renew --reuse-key` keeps one once)",
    "must_staple": "left out: Let's Encrypt ended OCSP; no CA of the inventory staples",
    "allow_subset_of_names": "left out: a certificate has all its names, or is not issued",
    "installer": "left out: `restart_cmd` of a server class is what makes a daemon load a certificate",
    "webroot_path": "left out: `server_dir` of a server class is where http-01 challenges go",
    "autorenew": "left out: a `hold` stops renewal",
}
_HOOKS = ("pre_hook", "post_hook", "deploy_hook", "renew_hook")


def _certbot(folder: Path, draft: Draft) -> Iterator[Lineage]:
    for path in sorted((folder / "renewal").glob("*.conf")):
        where = f"renewal/{path.name}"
        top, sections = _certbot_conf(path)
        live = folder / "live" / path.stem
        files = _live(folder, path.stem, top)
        if not (files["cert"].is_file() and files["privkey"].is_file()):
            draft.tell(where, f"left out: '{live}' has no certificate", is_open=True)
            continue
        params = sections.pop("renewalparams", {})
        lineage = Lineage(path.stem, where, _certbot_versions(folder, files, path.stem), dict(top))
        for key in ("cert", "privkey", "chain", "fullchain"):
            top.pop(key, None)
        days = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*days?\s*", top.get("renew_before_expiry", ""))
        if days:
            lineage.renew_days = float(days[1])
            top.pop("renew_before_expiry")
        lineage.server = params.pop("server", None)
        method = params.pop("authenticator", "")
        lineage.is_http = not method.startswith("dns") and not (
            method == "manual" and "dns" in params.get("pref_challs", "")
        )
        lineage.webroot = params.get("webroot_path", "").split(",")[0].strip() or None
        lineage.preferred_chain = _none(params.pop("preferred_chain", None))
        lineage.profile = _none(params.pop("preferred_profile", params.pop("required_profile", None)))
        what = f"'{method}' became {'http-01' if lineage.is_http else 'dns-01 through the DNS repository'}"
        draft.tell(f"{where} authenticator", what)
        _tell_rest(draft, where, {**top, **params}, sections)
        yield lineage


def _certbot_conf(path: Path) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Read a renewal file (ConfigObj): the keys before any section, and the sections."""
    text = (read_bytes(path) or b"").decode("utf-8", "replace")
    parser = configparser.RawConfigParser(
        strict=False, interpolation=None, allow_no_value=True, comment_prefixes=("#",)
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    # Nested sections, as [[webroot_map]], are one level deeper in ConfigObj.
    try:
        parser.read_string("[top]\n" + text.replace("[[", "[").replace("]]", "]"))
    except (configparser.Error, AttributeError) as error:
        # The parser stumbles over a line that goes on behind a key without a value, with an error of Python's own.
        why = str(error).splitlines()[0] if isinstance(error, configparser.Error) else "it is no file of this kind"
        message = f"'{path}' cannot be read: {why}"
        raise SslopsError(message) from error
    sections = {name: {key: value or "" for key, value in parser[name].items()} for name in parser.sections()}
    return sections.pop("top"), sections


def _live(folder: Path, name: str, top: Mapping[str, str]) -> dict[str, Path]:
    """Return the files in use: below *folder*, wherever the tree was copied from."""
    own = {kind: folder / "live" / name / f"{kind}.pem" for kind in ("cert", "privkey", "chain", "fullchain")}
    return {kind: path if path.is_file() else _moved(folder, name, path) for kind, path in own.items()} if top else own


def _moved(folder: Path, name: str, path: Path) -> Path:
    """Return what a link that leads nowhere is about: a tree that was copied keeps its archive beside it."""
    return folder / "archive" / name / path.readlink().name if path.is_symlink() else path


def _certbot_versions(
    folder: Path, files: Mapping[str, Path], name: str
) -> Mapping[str, tuple[Path, Path, Path | None, Path | None]]:
    versions = {"curr": (files["privkey"], files["cert"], files["chain"], None)}
    number = re.search(r"(\d+)\.pem$", str(files["cert"].resolve()))
    if number and int(number[1]) > 1:
        before = int(number[1]) - 1
        key, cert, chain = (folder / "archive" / name / f"{kind}{before}.pem" for kind in ("privkey", "cert", "chain"))
        if key.is_file() and cert.is_file():
            versions = {"prev": (key, cert, chain, None), **versions}
    return versions


def _tell_rest(draft: Draft, where: str, rest: Mapping[str, str], sections: Mapping[str, Mapping[str, str]]) -> None:
    for key, value in rest.items():
        if value in {"", "None"}:
            continue
        if key in _HOOKS:
            what = f"left out: '{value}'; what it restarts belongs into `restart_cmd` of a server class"
            draft.tell(f"{where} {key}", what, is_open=True)
        else:
            secret = "credentials" in key or "secret" in key or "token" in key
            shown = "" if secret else f" ('{value}')"
            draft.tell(f"{where} {key}", _CERTBOT_TOLD.get(key, f"left out{shown}: it is a setting of certbot itself"))
    for section, table in sections.items():
        for key in table:
            draft.tell(
                f"{where} [{section}] {key}", "left out: `server_dir` of a server class says where challenges go"
            )


def _none(text: str | None) -> str | None:
    return None if text in {None, "", "None"} else text


# lego: certificates/<name>.{crt,key,json,issuer.crt}


def _lego(folder: Path, draft: Draft) -> Iterator[Lineage]:
    for cert in sorted((folder / "certificates").glob("*.crt")):
        if cert.name.endswith(".issuer.crt"):
            continue
        stem = cert.name.removesuffix(".crt")
        about = cert.with_name(f"{stem}.json")
        facts = _json(about)
        lineage = Lineage(
            stem.replace("_.", "wildcard.", 1) if stem.startswith("_.") else stem,
            f"certificates/{cert.name}",
            {"curr": (cert.with_name(f"{stem}.key"), cert, None, cert)},
            {},
        )
        address = str(facts.get("certUrl") or facts.get("certStableUrl") or "")
        lineage.server = _lego_server(address)
        lineage.email = _lego_email(folder)
        draft.tell(lineage.where, "lego does not say how names were proved: dns-01 from now on")
        for key in facts:
            draft.tell(f"certificates/{about.name} {key}", "left out: the certificate itself says it, or lego's own")
        for extra in (".pem", ".pfx", ".issuer.crt"):
            if cert.with_name(f"{stem}{extra}").is_file():
                draft.tell(
                    f"certificates/{stem}{extra}", "left out: made of key, certificate and chain again by deploy"
                )
        yield lineage
    for account in sorted(folder.glob("accounts/*/*/account.json")):
        draft.tell(str(account.relative_to(folder)), "left out: sslops makes an account of its own at each CA")


def _json(path: Path) -> Plain:
    try:
        found = json.loads(read_bytes(path) or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _lego_server(address: str) -> str | None:
    """Return the directory: lego stores accounts by host, and knows of a certificate only where it came from."""
    host = re.match(r"https://([^/]+)/", address)
    if host is None or host[1] in LETS_ENCRYPT:
        return None if host is None else f"https://{host[1]}/directory"
    return f"https://{host[1]}/dir"


def _lego_email(folder: Path) -> str | None:
    emails = [path.name for path in folder.glob("accounts/*/*") if "@" in path.name]
    return emails[0] if emails else None


# acme.sh: <name>[_ecc]/{<name>.conf, <name>.cer, <name>.key, ca.cer, fullchain.cer}

_ACME_SH_SERVERS = {
    "letsencrypt": "https://acme-v02.api.letsencrypt.org/directory",
    "letsencrypt_test": "https://acme-staging-v02.api.letsencrypt.org/directory",
    "zerossl": "https://acme.zerossl.com/v2/DV90",
}
_ACME_SH_USED = {"Le_Domain", "Le_Alt", "Le_Webroot", "Le_API", "Le_Keylength", "Le_Preferred_Chain"}
_ACME_SH_HOOKS = {"Le_ReloadCmd", "Le_PreHook", "Le_PostHook", "Le_RenewHook", "Le_RealKeyPath", "Le_RealFullChainPath"}
_ACME_SH_HOOKS |= {"Le_RealCertPath", "Le_RealCACertPath"}


def _acme_sh(folder: Path, draft: Draft) -> Iterator[Lineage]:
    account = _shell(folder / "account.conf")
    for key in account:
        draft.tell(f"account.conf {key}", "left out: settings and credentials of acme.sh itself")
    for conf in sorted(folder.glob("*/*.conf")):
        stem, where = conf.stem, f"{conf.parent.name}/{conf.name}"
        cert = conf.with_name(f"{stem}.cer")
        if conf.name.endswith(".csr.conf") or not cert.is_file():
            continue
        said = _shell(conf)
        suffix = "-ecc" if conf.parent.name.endswith("_ecc") else ""
        lineage = Lineage(
            f"{stem.replace('*', 'wildcard')}{suffix}",
            where,
            {"curr": (conf.with_name(f"{stem}.key"), cert, conf.with_name("ca.cer"), None)},
            said,
        )
        server = said.get("Le_API") or account.get("DEFAULT_ACME_SERVER") or _ACME_SH_SERVERS["zerossl"]
        lineage.server = _ACME_SH_SERVERS.get(server, server)
        method = said.get("Le_Webroot", "")
        lineage.is_http = not method.startswith("dns")
        lineage.webroot = method if method.startswith("/") else None
        lineage.email = account.get("ACCOUNT_EMAIL") or None
        lineage.preferred_chain = said.get("Le_Preferred_Chain") or None
        what = f"'{method or 'no'}' became {'http-01' if lineage.is_http else 'dns-01 through the DNS repository'}"
        draft.tell(f"{where} Le_Webroot", what)
        for key in said:
            if key in _ACME_SH_HOOKS and said[key]:
                what = "left out: what it copies and restarts belongs into a server class (hosts, restart_cmd)"
                draft.tell(f"{where} {key}", what, is_open=True)
            elif key not in _ACME_SH_USED and said[key]:
                draft.tell(f"{where} {key}", "left out: the certificate itself says it, or acme.sh's own")
        yield lineage


def _shell(path: Path) -> dict[str, str]:
    """Read `KEY='value'` lines; a value that acme.sh encoded stays as it is."""
    text = (read_bytes(path) or b"").decode("utf-8", "replace")
    found = re.finditer(r"""^(?:export )?([A-Za-z_]\w*)=(?:'([^'\n]*)'|"([^"\n]*)"|(\S*))""", text, re.MULTILINE)
    return {each[1]: next((part for part in each.groups()[1:] if part is not None), "") for each in found}


# What they have in common.


class _Sites:
    """Lineages on their way into a draft."""

    def __init__(self, draft: Draft, known: Sequence[str], *, has_certs: bool) -> None:
        self._draft, self._known, self._has_certs = draft, sorted(known), has_certs
        self._names: dict[str, ServiceId] = {}

    def fill(self, lineages: Sequence[Lineage], dns_url: str | None) -> Draft:
        facts = {}
        for each in lineages:
            try:
                facts[each.name] = read_certificate(split_chain(read_bytes(each.versions["curr"][1]) or b"")[0])
            except (SslopsError, IndexError) as error:
                self._draft.tell(each.where, f"left out: its certificate cannot be read ({error})", is_open=True)
        usable = [each for each in lineages if each.name in facts]
        if not usable:
            message = f"no certificate of {self._draft.tool} can be read"
            raise UsageError(message, hint="run as the owner of the files, or copy them")
        apexes = [*self._known, *_apexes([name for each in facts.values() for name in each.sans])]
        settings = self._draft.settings
        settings |= {"globals": {}, "repo": {}, "groups": []}
        for lineage in usable:
            self._add(lineage, facts[lineage.name], apexes)
        groups = sorted({service.group for service in self._names.values()})
        settings["groups"] = [{"domain": group, "active": True, "services": "ALL"} for group in groups]
        if not settings["globals"]:
            del settings["globals"]
        if any(ca["ca_validation"] == "dns-01" for ca in self._draft.files[CAS].values()):
            settings["dns"] = {
                "repo": {"url": dns_url or DNS_URL},
                "tlsa_dirs": ["include-tlsa"],
                "acme_dir": "include-acme",
            }
            what = (
                "challenges go through include files of a git repository with the zone files: which, and which folders?"
            )
            self._draft.tell("dns", what, "dns", file=SETTINGS, is_open=True)
        self._draft.tell("servers", _TODO, file=SETTINGS, is_open=True)
        self._web(usable)
        return self._draft

    def _web(self, lineages: Sequence[Lineage]) -> None:
        """Give http-01 the class that its challenges go to; a person names the hosts."""
        proved = [each for each in lineages if each.is_http]
        if not proved:
            return
        roots = list(dict.fromkeys(each.webroot for each in proved if each.webroot))
        pairs: dict[str, list[str]] = {}
        for service in (self._names[each.name] for each in proved):
            pairs.setdefault(service.group, []).append(service.name)
        self._draft.settings["servers"] = {
            "web": {
                "hosts": [],
                "server_dir": roots[0] if roots else _WEBROOT,
                "svc_depends": [[group, services] for group, services in pairs.items()],
            }
        }
        what = f"which hosts answer http-01 below '{roots[0] if roots else _WEBROOT}'? Name them in 'hosts'"
        self._draft.tell("servers web", what, "servers", "web", file=SETTINGS, is_open=True)
        for other in roots[1:]:
            what = f"'{other}' became '{roots[0]}': a class has one folder"
            self._draft.tell("servers web", what, "servers", "web", file=SETTINGS)

    def _add(self, lineage: Lineage, facts: CertificateFacts, apexes: Sequence[str]) -> None:
        draft, sans = self._draft, [each.lower() for each in facts.sans]
        group = _group(sans, apexes)
        service = ServiceId(group, re.sub(r"[^A-Za-z0-9_-]+", "-", lineage.name.replace("*", "wildcard")).strip("-"))
        self._names[lineage.name] = service
        file = service_file(service)
        table: Plain = {"name": lineage.name, "signing_ca": self._ca(lineage)}
        if lineage.renew_days is not None:
            table["renew_expire_days"] = lineage.renew_days
        table["key_opts"] = _key_options(read_bytes(lineage.versions["curr"][1]) or b"")
        table["x509"] = {"sans": sans} | ({"email": lineage.email} if lineage.email else {})
        draft.files[file] = table
        draft.tell(lineage.where, f"is service '{service}'", file=file)
        if group.count(".") > 1 and group not in self._known:
            what = f"is group '{group}' right? A group is a zone, with an SOA of its own (import with --apex DOMAIN)"
            draft.tell(lineage.where, what, file=file, is_open=True)
        outside = [name for name in sans if not names.is_below(name, [group])]
        if outside:
            draft.tell(lineage.where, f"{', '.join(outside)} not below '{group}', its group", "x509", file=file)
        for slot, (key, cert, chain, full) in lineage.versions.items():
            version = self._version(service, slot, lineage.where, key, cert, chain, full)
            if version is not None and self._has_certs:
                draft.versions.append(version)

    def _version(
        self, service: ServiceId, slot: str, where: str, key: Path, cert: Path, chain: Path | None, full: Path | None
    ) -> OldVersion | None:
        private, certs = read_bytes(key), split_chain(read_bytes(cert) or b"")
        if not private or not certs:
            self._draft.tell(f"{where} {slot}", f"left out: no '{key.name}'", is_open=slot == "curr")
            return None
        rest = b"".join(certs[1:]) if full is not None else (read_bytes(chain) or b"") if chain else b""
        written = datetime.fromtimestamp(int(cert.stat().st_mtime), UTC)
        return OldVersion(service, slot, f"{where} {slot}", Secret(private, f"key of {where}"), certs[0], rest, written)

    def _ca(self, lineage: Lineage) -> str:
        """Return the name of the CA in cas.yaml, one for each server, kind of challenge, profile and chain."""
        host = re.sub(r"^https://([^/]+)/.*$", r"\1", lineage.server or "https://acme-v02.api.letsencrypt.org/")
        kind = "http" if lineage.is_http else "dns"
        stem = {LETS_ENCRYPT[0]: "le", LETS_ENCRYPT[1]: "le-staging"}.get(host) or re.sub(r"[^A-Za-z0-9]+", "-", host)
        table: Plain = {"ca_type": "acme", "ca_validation": f"{kind}-01"}
        if host != LETS_ENCRYPT[0] and lineage.server:
            table["directory"] = lineage.server
        if lineage.profile:
            table["ca_preferred_acme_profile"] = lineage.profile
        if lineage.preferred_chain:
            table["ca_preferred_chain"] = lineage.preferred_chain
        cas = self._draft.files.setdefault(CAS, {})
        number = 1
        while cas.setdefault(name := f"{stem}-{kind}" + (f"-{number}" if number > 1 else ""), table) != table:
            number += 1
        return name


def _apexes(sans: Sequence[str]) -> list[str]:
    """Return the names that stand for groups: those that no other name of the tree ends in, two labels at least."""
    bare = {name.lower().removeprefix("*.") for name in sans if ":" not in name and not name.replace(".", "").isdigit()}
    return sorted(name for name in bare if not any(name != other and name.endswith(f".{other}") for other in bare))


def _group(sans: Sequence[str], apexes: Sequence[str]) -> str:
    return next((apex for name in sans for apex in apexes if names.is_below(name, [apex])), sans[0].removeprefix("*."))


def _key_options(cert: bytes) -> Plain:
    from sslops.migrate.take_over import key_spec

    spec = key_spec(split_chain(cert)[0])
    return (
        {"ktype": "rsa", "rsa_bits": spec.rsa_bits} if spec.ktype == "rsa" else {"ktype": "ec", "ec_algo": spec.ec_algo}
    )
