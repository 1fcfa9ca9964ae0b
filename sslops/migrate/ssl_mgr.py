"""An ssl-mgr tree (`conf.d/`, `certs/`; releases 6 and 7) as a draft: what ssl-mgr did, sslops shall do.

What ssl-mgr ignored, misread or only could do on one machine is reported; the inventory says what counts from now on.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sslops.errors import InventoryError, Location, SslopsError, UsageError
from sslops.inventory import names
from sslops.inventory.service_faults import SMTP_PORT
from sslops.migrate.draft import (
    CAS,
    DNS_URL,
    SETTINGS,
    Draft,
    Keys,
    OldVersion,
    Plain,
    names_of_files,
    read_bytes,
    service_file,
)
from sslops.model.names import CA_GROUP, ServiceId
from sslops.model.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CONF, CA_INFO = "ssl-mgr.conf", "ca-info.conf"
CLASSES = ("smtp", "imap", "web", "other")
OWN_ROOT = "own-root"
"""The CA that signs from now on what signed itself."""
_ALL = ("*", "ALL")
_ANY = ("any", "*", "all", "ANY", "ALL")
_SLOTS = ("prev", "curr", "next")
_TARGET = re.compile(r"(?:renew_)?target_([0-9]+(?:\.[0-9]+)?)")
_SPREAD = re.compile(r"rand_adj_([0-9]+(?:\.[0-9]+)?)")
_ABSOLUTE = re.compile(names.ABSOLUTE)
_COUNTRY_LETTERS = 2
DH_FOLDER, DH_LINK = "dh", "dhparam.pem"
_DH_FILE = re.compile(r"dh-(ffdhe(?:2048|3072|4096|6144|8192))\.pem")
_BACKUPS = ("~", ".bak", ".orig", ".rpmsave", ".pacsave")
_UNKNOWN = "left out: ssl-mgr has no such key and ignored it"
_KEPT_CA_KEYS = ("ca_preferred_chain", "ca_preferred_acme_profile")


def read(conf_d: Path, certs: Path | None, dns_url: str | None = None, dns_top: Path | None = None) -> Draft:
    """Read the tree; *certs* holds its versions (null: they are left alone).

    *dns_url* is the repository that holds the zone files, *dns_top* the folder of the old tree that is its top.

    Raises UsageError when *conf_d* is none, InventoryError for a file that is not TOML.
    """
    with names_of_files(conf_d):
        return _read(conf_d, certs, dns_url, dns_top)


def _read(conf_d: Path, certs: Path | None, dns_url: str | None, dns_top: Path | None) -> Draft:
    if not (conf_d / CONF).is_file() and (conf_d / "conf.d" / CONF).is_file():
        conf_d = conf_d / "conf.d"
    if not (conf_d / CONF).is_file():
        message = f"'{conf_d}' is no ssl-mgr configuration: it has no '{CONF}'"
        raise UsageError(message, hint="sslops import /etc/ssl-mgr/conf.d --certs /etc/ssl-mgr/certs")
    return _Tree(conf_d, Draft("ssl-mgr")).read(certs, dns_url, dns_top)


def toml(path: Path) -> Plain:
    """Read a TOML file; InventoryError with its line and column when it is none."""
    content = read_bytes(path) or b""
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        message = f"'{path}' is not UTF-8"
        raise InventoryError(message, where=Location(str(path), content[: error.start].count(b"\n") + 1, 1)) from error
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"line (\d+), column (\d+)", str(error))
        line, column = (int(place[1]), int(place[2])) if place else (content.count(b"\n") + 1, 1)
        message = f"'{path}' is not TOML: {str(error).partition(' (at')[0].lower()}"
        raise InventoryError(message, where=Location(str(path), line, column)) from error
    except (ValueError, RecursionError) as error:
        message = f"'{path}' has a value that is too long or too deep to be read"
        raise InventoryError(message, where=Location(str(path), 1, 1)) from error


class _Tree:
    """One `conf.d` on its way into a draft."""

    def __init__(self, conf_d: Path, draft: Draft) -> None:
        self._conf_d, self._draft = conf_d, draft
        self._services: dict[ServiceId, Plain] = {}
        self._needs_dns = False
        self._production: Path | None = None

    def read(self, certs: Path | None, dns_url: str | None, dns_top: Path | None) -> Draft:
        draft, conf = self._draft, Keys(toml(self._conf_d / CONF), f"{CONF}:", self._draft)
        settings = draft.settings
        settings["globals"] = self._globals(conf)
        settings["repo"] = {}
        self._cas()
        settings["groups"] = self._groups(conf.take("groups", list) or [])
        self._shorten_cas()
        settings["dns_primary"] = self._dns_primary(conf.take("dns_primary", list) or [])
        dns = self._dns(Keys(conf.take("dns", dict), f"{CONF} [dns]", draft), dns_url, dns_top)
        settings["dns"] = dns
        settings["servers"] = {
            name: self._class(name, Keys(table, f"{CONF} [{name}]", draft))
            for name in CLASSES
            if (table := conf.take(name, dict)) is not None
        }
        self._drop_post_copy_of_others(settings)
        self._dhparm(settings, certs)
        conf.rest("left out: ssl-mgr knows only the classes smtp, imap, web and other, and ignored it", SETTINGS)
        for key in [key for key, value in settings.items() if not value and key not in {"groups", "repo"}]:
            del settings[key]
        for service in sorted(self._services):
            draft.files[service_file(service)] = self._services[service]
            if certs is not None:
                draft.versions += self._versions(service, certs / service.group / service.name)
        if certs is not None:
            self._strays(certs)
        return draft

    # ssl-mgr.conf

    def _globals(self, conf: Keys) -> Plain:
        old = Keys(conf.take("globals", dict), f"{CONF} [globals]", self._draft)
        new: Plain = {}
        folder = old.text("prod_cert_dir")
        self._production = None if folder is None else self._top_of_tree / folder
        if folder is not None and (_ABSOLUTE.fullmatch(folder) is None or ".." in folder.split("/")):
            what = f"left out: '{folder}' is no absolute path, which servers need; /etc/ssl-mgr/prod-certs counts"
            old.leave_out("prod_cert_dir", what, file=SETTINGS)
        elif folder is not None:
            new["prod_cert_dir"] = folder.rstrip("/")
        new |= self._numbers(old)
        info = self._renew_info(Keys(conf.take("renew_info", dict), f"{CONF} [renew_info]", self._draft))
        if info:
            new["renew_info"] = info
        servers = old.take("dns_xtra_ns", list)
        if servers:
            new["dns_xtra_ns"] = [str(each) for each in servers]
        commands = self._post_copy(old)
        if commands:
            new["post_copy_cmd"] = commands
        old.leave_out_if("verb", "left out: every verb says what it does, and `--json` what a program wants")
        old.leave_out_if("sslm_auth_hook", "left out: sslops talks to ACME servers itself, without certbot and hooks")
        old.leave_out_if("logdir", "left out: git is the journal, and stderr has the talk")
        old.leave_out_if(
            "preferred_acme_profile",
            "left out: ssl-mgr never read it; the profile is `ca_preferred_acme_profile` in cas.yaml",
        )
        old.rest(_UNKNOWN, SETTINGS)
        return new

    def _numbers(self, old: Keys) -> Plain:
        new: Plain = {}
        for key, kinds in (("clean_keep", (int,)), ("min_roll_mins", (int,)), ("dns_check_delay", (int,))):
            value = old.take(key, *kinds)
            if value is not None:
                new[key] = max(value, 1 if key == "clean_keep" else 0)
                if new[key] != value:
                    self._draft.tell(f"{CONF} [globals] {key}", f"{value} became {new[key]}", "globals", file=SETTINGS)
        for key in ("renew_expire_days", "renew_expire_days_spread"):
            value = old.take(key, int, float)
            if value is not None:
                new[key] = value
        if "renew_expire_days" in new:
            what = "counts again; releases 7 of ssl-mgr ignored it and went by the lifetime alone"
            self._say_globals("renew_expire_days", what)
        return new

    def _say_globals(self, key: str, what: str) -> None:
        self._draft.tell(f"{CONF} [globals] {key}", what, "globals", key, file=SETTINGS)

    def _renew_info(self, old: Keys) -> Plain:
        new: Plain = {}
        for key in old.untaken:
            target, spread = _TARGET.fullmatch(key), _SPREAD.fullmatch(key)
            found = target or spread
            if found is None:
                continue
            value = old.take(key, int, float)
            if value is None:
                continue
            table = new.setdefault("target" if target else "rand_adj", {})
            if found[1] in table:
                self._draft.tell(f"{old.where} {key}", "left out: another key says it", file=SETTINGS)
            else:
                table[found[1]] = value
            if key.startswith("renew_"):
                self._draft.tell(f"{old.where} {key}", "counts from now on; ssl-mgr ignored it", file=SETTINGS)
        old.rest(_UNKNOWN, SETTINGS)
        return new

    def _post_copy(self, old: Keys) -> list[list[str]]:
        pairs = []
        for pair in old.take("post_copy_cmd", list) or []:
            if isinstance(pair, list) and len(pair) == 2 and all(isinstance(each, str) for each in pair):  # noqa: PLR2004
                # ssl-mgr runs one path without arguments; sslops splits it like a shell would.
                pairs.append([pair[0], _command([pair[1]])])
            else:
                self._draft.tell(f"{old.where} post_copy_cmd", f"left out: {pair!r} is no [host, command]")
        return pairs

    def _drop_post_copy_of_others(self, settings: Plain) -> None:
        """Keep the commands of hosts that get files; ssl-mgr ran each, whether or not it had copied anything."""
        pairs = settings["globals"].pop("post_copy_cmd", [])
        hosts = {host for table in settings["servers"].values() for host in table["hosts"]}
        for pair in [pair for pair in pairs if pair[0] not in hosts]:
            what = f"left out: {pair!r}; no class has that host, and it runs after a copy to it"
            self._draft.tell(f"{CONF} [globals] post_copy_cmd", what, "globals", file=SETTINGS, is_open=True)
        kept = [pair for pair in pairs if pair[0] in hosts]
        if kept:
            settings["globals"]["post_copy_cmd"] = kept

    def _groups(self, entries: list[Any]) -> list[Plain]:
        groups: list[Plain] = []
        for place, entry in enumerate(entries):
            old = Keys(entry, f"{CONF} [[groups]] #{place + 1}", self._draft)
            domain = (old.text("domain") or "").lower()
            active = old.take("active", bool)
            listed = old.take("services", list, str)
            old.rest(_UNKNOWN, SETTINGS)
            if not domain:
                self._draft.tell(old.where, "left out: no 'domain'", file=SETTINGS)
                continue
            if active is None:
                self._draft.tell(f"{old.where} active", "not there, which is inactive", "groups", place, file=SETTINGS)
            groups.append({"domain": domain, "active": bool(active), "services": self._members(domain, listed)})
        known = {group["domain"] for group in groups}
        for folder in sorted(path for path in self._conf_d.iterdir() if path.is_dir() and path.name not in known):
            if members := self._members(folder.name, "ALL"):
                groups.append({"domain": folder.name, "active": False, "services": members})
                what = "no [[groups]] names it: taken over as an inactive group, which is frozen"
                self._draft.tell(folder.name, what, "groups", len(groups) - 1, file=SETTINGS)
        self._self_signed(groups)
        return groups

    def _self_signed(self, groups: list[Plain]) -> None:
        """Give an own root to leaves that signed themselves; the certificates that they have are kept."""
        leaves = [service for service, table in self._services.items() if table["signing_ca"] == OWN_ROOT]
        if not leaves:
            return
        root = ServiceId(CA_GROUP, OWN_ROOT)
        self._services.setdefault(
            root,
            {"signing_ca": "self", "x509": {"CN": "Own root"}, "ca": {"sign_end_days": 365, "digest": "sha384"}},
        )
        self._draft.files[CAS].setdefault(OWN_ROOT, {"ca_desc": "own root", "ca_type": "self"})
        group = next((each for each in groups if each["domain"] == CA_GROUP), None)
        if group is None:
            groups.append({"domain": CA_GROUP, "active": True, "services": "ALL"})
        elif group["services"] != "ALL":
            group["services"] = [*group["services"], OWN_ROOT]

    def _members(self, domain: str, listed: list[Any] | str | None) -> list[str] | str:
        """Read the services of a group; one that the list leaves out is held, since ssl-mgr did nothing about it."""
        folder = self._conf_d / domain
        files = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
        everything = (isinstance(listed, str) and listed in _ALL) or (isinstance(listed, list) and "*" in listed)
        wanted = [] if everything or not isinstance(listed, list) else [str(each) for each in listed]
        members = []
        for path in files:
            is_listed = everything or path.name in wanted
            if self._service(ServiceId(domain, path.name), path, is_listed=is_listed):
                members.append(path.name)
        for name in wanted:
            if name not in members:
                what = f"left out: there is no '{domain}/{name}', which ssl-mgr ends in an error for"
                self._draft.tell(f"{CONF} [[groups]] {domain} {name}", what, file=SETTINGS)
        if isinstance(listed, str) and not everything:
            what = f"'{listed}' is no list; read as: every file of the folder"
            self._draft.tell(f"{CONF} [[groups]] {domain} services", what, file=SETTINGS)
        return "ALL" if everything and members else members

    def _dns_primary(self, entries: list[Any]) -> list[Plain]:
        servers: list[Plain] = []
        for place, entry in enumerate(entries):
            old = Keys(entry, f"{CONF} [[dns_primary]] #{place + 1}", self._draft)
            domain, server = old.text("domain"), old.text("server")
            port = old.take("port", int, str)
            old.rest(_UNKNOWN, SETTINGS)
            if domain is None or server is None:
                self._draft.tell(old.where, "left out: it needs 'domain' and 'server'", file=SETTINGS)
                continue
            new: Plain = {"domain": "default" if domain == "*" else domain.lower(), "server": server}
            if port is not None and str(port).isdigit():
                new["port"] = int(port)
            if any(each["domain"] == new["domain"] for each in servers):
                what = f"left out: '{new['domain']}' is there before"
                self._draft.tell(old.where, what, "dns_primary", file=SETTINGS)
            else:
                servers.append(new)
        return servers

    def _dns(self, old: Keys, url: str | None, top: Path | None) -> Plain | None:
        acme, tlsa = old.take("acme_dir", str, list), old.take("tlsa_dirs", list, str)
        acme_dirs = [each for each in ([acme] if isinstance(acme, str) else acme or []) if each]
        tlsa_dirs = [each for each in ([tlsa] if isinstance(tlsa, str) else tlsa or []) if each]
        depends = old.take("depends", list)
        old.leave_out_if(
            "restart_cmd",
            "left out: it signed and loaded zones on this machine; what the DNS repository is pushed to does that now",
        )
        old.rest(_UNKNOWN, SETTINGS)
        if depends:
            self._draft.tell(
                f"{old.where} depends", "left out: publish pushes whenever a record changes", file=SETTINGS
            )
        if not (acme_dirs or tlsa_dirs or self._needs_dns):
            return None
        folders = [self._top_of_tree / each for each in [*acme_dirs, *tlsa_dirs]]
        top = top or _common(folders)
        if not tlsa_dirs:
            tlsa_dirs = acme_dirs[:1]
            what = (
                "not there, and needed: set to the folder of the challenges" if tlsa_dirs else "not there, and needed"
            )
            self._draft.tell(f"{old.where} tlsa_dirs", what, "dns", file=SETTINGS, is_open=not tlsa_dirs)
        new: Plain = {"repo": {"url": url or DNS_URL}}
        relative = [_below(top, self._top_of_tree / each) for each in tlsa_dirs] or ["include-tlsa"]
        new["tlsa_dirs"] = relative
        if acme_dirs:
            new["acme_dir"] = _below(top, self._top_of_tree / acme_dirs[0])
            if len(acme_dirs) > 1:
                what = f"left out: {', '.join(acme_dirs[1:])}; sslops writes challenges into one folder"
                self._draft.tell(f"{old.where} acme_dir", what, "dns", file=SETTINGS)
        if folders:
            what = f"folders below '{top}' became folders of the DNS repository, of which that is the top"
            self._draft.tell(f"{old.where} acme_dir, tlsa_dirs", what, "dns", file=SETTINGS)
        if url is None:
            what = (
                "where is the git repository with the zone files? Put it into dns.repo.url (or import with --dns-url)"
            )
            self._draft.tell(old.where, what, "dns", file=SETTINGS, is_open=True)
        return new

    @property
    def _top_of_tree(self) -> Path:
        return self._conf_d.parent

    def _class(self, name: str, old: Keys) -> Plain:
        new: Plain = {"hosts": list(dict.fromkeys(str(each) for each in old.take("servers", list) or []))}
        here = {socket.gethostname(), socket.gethostname().partition(".")[0]}
        for host in new["hosts"]:
            if host in here:
                what = f"'{host}' is this machine: sslops goes there by ssh too, unless the host says `address: local`"
                self._draft.tell(f"{old.where} servers", what, "servers", name, file=SETTINGS)
        written = old.take("restart_cmd", str, list)
        commands = [each for each in ([written] if isinstance(written, str) else written or []) if str(each).strip()]
        if commands:
            texts = [_command(str(each).split()) for each in commands]
            new["restart_cmd"] = texts[0] if len(texts) == 1 else texts
        pairs = self._svc_depends(name, old)
        if pairs:
            new["svc_depends"] = pairs
        self._depends(new, name, old)
        folder = old.text("server_dir")
        if folder is not None:
            new["server_dir"] = folder.rstrip("/")
        if old.take("skip_prod_copy", bool):
            what = "left out: sslops makes every host of a class serve; of hosts that share a folder name one only"
            self._draft.tell(f"{old.where} skip_prod_copy", what, "servers", name, file=SETTINGS, is_open=True)
        self._verify(new, name)
        old.rest(_UNKNOWN, SETTINGS)
        return new

    def _dhparm(self, settings: Plain, certs: Path | None) -> None:
        """Let every class have the groups of RFC 7919 that `sslm-dhparm` left in the trees, the linked one first."""
        found: dict[str, None] = {}
        tops = [top for top in (self._production, certs) if top is not None]
        for folder in sorted(each for top in tops for each in top.glob(f"*/{DH_FOLDER}") if each.is_dir()):
            linked = (folder / DH_LINK).resolve().name
            for path in sorted(folder.glob("*.pem"), key=lambda each: (each.name != linked, each.name)):
                named = _DH_FILE.fullmatch(path.name)
                if named is not None:
                    found[named[1]] = None
                elif path.name != DH_LINK:
                    what = "left out: no group of RFC 7919; where it lies on a server it stays"
                    self._draft.tell(f"{folder.parent.name}/{DH_FOLDER}/{path.name}", what, file=SETTINGS)
        for name, table in settings["servers"].items() if found else ():
            if table["hosts"]:
                table["dhparm"] = list(found)
                what = f"became `dhparm: [{', '.join(found)}]`: deploy brings what a server lacks"
                self._draft.tell(f"{DH_FOLDER}/", what, "servers", name, file=SETTINGS)

    def _depends(self, new: Plain, name: str, old: Keys) -> None:
        words = [str(each) for each in old.take("depends", list) or []]
        if {"dns", "tlsa"} & set(words):
            new["depends"] = ["dns"]
        for word in words:
            if word == "tlsa":
                self._draft.tell(f"{old.where} depends", "'tlsa' is 'dns' now", "servers", name, file=SETTINGS)
            elif word != "dns":
                what = f"left out: '{word}'; hosts restart for every certificate that they get"
                self._draft.tell(f"{old.where} depends", what, "servers", name, file=SETTINGS)

    def _verify(self, new: Plain, name: str) -> None:
        """Let the port of a mail server with DANE be asked after each deploy, as rolls and first records want it."""
        if name != "smtp" or not new["hosts"]:
            return
        if any(each[0] == SMTP_PORT for table in self._services.values() for each in table.get("dane_tls", ())):
            new["verify"] = {"port": SMTP_PORT, "starttls": "smtp"}
            what = "added: the port is asked what it serves before a record of it goes; `from: host` asks over ssh"
            self._draft.tell(f"{CONF} [{name}] verify", what, "servers", name, "verify", file=SETTINGS)

    def _svc_depends(self, name: str, old: Keys) -> list[Any]:
        pairs: list[Any] = []
        for pair in old.take("svc_depends", list) or []:
            if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)):  # noqa: PLR2004
                self._draft.tell(f"{old.where} svc_depends", f"left out: {pair!r} is no [domain, [services]]")
                continue
            domain = "any" if pair[0] in _ANY else pair[0].lower()
            services = "ALL" if pair[1] in _ALL or pair[1] in [[each] for each in _ALL] else pair[1]
            if isinstance(services, str) and services != "ALL":
                services = [services]
            if isinstance(services, list):
                known = {each.name for each in self._services if domain in {"any", each.group}}
                for missing in [each for each in services if each not in known]:
                    what = f"left out: '{missing}' of '{domain}' does not exist"
                    self._draft.tell(f"{old.where} svc_depends", what, "servers", name, file=SETTINGS)
                services = [each for each in services if each in known]
            if services:
                pairs.append([domain, services])
        if len(pairs) > 1:
            what = "every pair counts; ssl-mgr went by the last one alone"
            self._draft.tell(f"{old.where} svc_depends", what, "servers", name, file=SETTINGS)
        return pairs

    # ca-info.conf

    def _cas(self) -> None:
        draft, cas = self._draft, self._draft.files.setdefault(CAS, {})
        for name, table in toml(self._conf_d / CA_INFO).items():
            old = Keys(table, f"{CA_INFO} [{name}]", draft)
            kind = (old.text("ca_type") or "").lower()
            if kind not in {"self", "local", "certbot", "letsencrypt", "acme"}:
                draft.tell(f"{old.where} ca_type", f"left out: '{kind}' is no kind of CA", file=CAS)
                continue
            is_own = kind in {"self", "local"}
            if is_own and not (self._conf_d / CA_GROUP / name).is_file():
                what = f"left out: there is no '{CA_GROUP}/{name}', and an own CA signs with its key"
                draft.tell(old.where, what, file=CAS)
                continue
            new: Plain = {"ca_desc": old.text("ca_desc"), "ca_type": kind if is_own else "acme"}
            if not is_own:
                validation = old.text("ca_validation") or "dns-01"
                new["ca_validation"] = "http-01" if validation.startswith("http") else "dns-01"
                new |= {key: old.text(key) for key in _KEPT_CA_KEYS}
                draft.tell(f"{old.where} ca_type", f"'{kind}' became 'acme': Let's Encrypt", name, file=CAS)
            old.rest("left out: not for this kind of CA" if is_own else _UNKNOWN, CAS)
            cas[name] = {key: value for key, value in new.items() if value is not None}

    def _shorten_cas(self) -> None:
        """Let no intermediate sign for as long as it may live itself; ssl-mgr let certificates outlive their CA."""
        for service, table in self._services.items():
            above = self._services.get(ServiceId(CA_GROUP, table["signing_ca"]))
            if "ca" not in table or above is None or "ca" not in above or above is table:
                continue
            life, days = above["ca"]["sign_end_days"], table["ca"]["sign_end_days"]
            if days >= life > 1:
                table["ca"]["sign_end_days"] = life // 2
                what = f"{days} became {life // 2}: it lives for {life} days itself, and no certificate outlives its CA"
                self._draft.tell(f"{service} [CA] sign_end_days", what, "ca", file=service_file(service))

    # The services.

    def _service(self, service: ServiceId, path: Path, *, is_listed: bool) -> bool:
        """Read one service's file into the draft; False when it is none."""
        where = f"{service}"
        try:
            table = toml(path)
        except InventoryError as error:
            # With '*' ssl-mgr takes the files that look like services; a broken one of those is not passed over.
            text = (read_bytes(path) or b"").decode("utf-8", "replace")
            if is_listed and "[KeyOpts]" in text and "[X509]" in text and not path.name.endswith(_BACKUPS):
                raise
            self._draft.tell(where, f"left out: no service file ({error.what})", file=SETTINGS)
            return False
        if not {"name", "group", "service", "KeyOpts", "X509"} <= table.keys():
            self._draft.tell(where, "left out: no service file", file=SETTINGS)
            return False
        for key, written in (("group", service.group), ("service", service.name)):
            if table[key] != written:
                what = f"left out: '{key}' is '{table[key]}', which ssl-mgr refuses; rename the file, or mend the key"
                self._draft.tell(where, what, file=SETTINGS, is_open=True)
                return False
        self._services[service] = self._service_table(service, Keys(table, where, self._draft), is_listed=is_listed)
        return True

    def _service_table(self, service: ServiceId, old: Keys, *, is_listed: bool) -> Plain:
        file, draft = service_file(service), self._draft
        is_ca = service.group == CA_GROUP
        old.take("group", str), old.take("service", str)
        new: Plain = {"name": old.text("name")}
        signer = old.text("signing_ca") or "self"
        if signer == "self" and not is_ca:
            signer = OWN_ROOT
            what = f"it signed itself; the own root '{OWN_ROOT}' signs from now on, and what it has is kept until then"
            draft.tell(f"{old.where} signing_ca", what, "signing_ca", file=file)
        new["signing_ca"] = signer
        days = old.take("renew_expire_days", int, float)
        if days is not None:
            new["renew_expire_days"] = days
            what = "counts again; releases 7 of ssl-mgr ignored it"
            draft.tell(f"{old.where} renew_expire_days", what, "renew_expire_days", file=file)
        self._dane(service, old, new)
        new["key_opts"] = self._key(service, Keys(old.take("KeyOpts", dict), f"{old.where} [KeyOpts]", draft))
        new["x509"] = self._x509(service, Keys(old.take("X509", dict), f"{old.where} [X509]", draft))
        authority = Keys(old.take("CA", dict), f"{old.where} [CA]", draft)
        if is_ca:
            new["ca"] = self._authority(service, authority, signer)
        authority.rest(_UNKNOWN if is_ca else "left out: only services of group 'ca' sign", file)
        old.rest(_UNKNOWN, file)
        if not is_listed:
            new["hold"] = {"reason": f"{CONF} does not list it, so ssl-mgr did nothing about it"}
            draft.tell(
                f"{old.where}", f"held: {CONF} does not list it; without the hold it is issued", "hold", file=file
            )
        self._needs_dns |= bool(new.get("dane_tls")) or (
            draft.files[CAS].get(signer, {}).get("ca_validation") == "dns-01"
        )
        return {key: value for key, value in new.items() if value not in (None, {}, [])}

    def _dane(self, service: ServiceId, old: Keys, new: Plain) -> None:
        file, entries = service_file(service), old.take("dane_tls", list) or []
        if service.group == CA_GROUP:
            if entries:
                self._draft.tell(f"{old.where} dane_tls", "left out: an own CA serves no port", file=file)
            entries = []
        kept: list[Any] = []
        for entry in entries:
            if not isinstance(entry, list) or len(entry) not in {5, 6}:
                self._draft.tell(f"{old.where} dane_tls", f"left out: {entry!r} has not five or six parts", file=file)
                continue
            port, proto, usage, selector, match, *owners = entry
            one = [port, str(proto).lower(), usage, selector, match, *(str(each).upper() for each in owners)]
            if port == SMTP_PORT and owners and one[5] == "SANS":
                one[5] = "MX"
                what = "SANS became MX: ssl-mgr takes port 25 for the MX hosts whatever is written"
                self._draft.tell(f"{old.where} dane_tls", what, "dane_tls", file=file)
            if one[:5] in [each[:5] for each in kept]:
                self._draft.tell(f"{old.where} dane_tls", f"left out: {entry!r} is there twice", file=file)
            else:
                kept.append(one)
        new["dane_tls"] = kept
        self._dane_ttl(old, new, file)

    def _dane_ttl(self, old: Keys, new: Plain, file: str) -> None:
        kept = new["dane_tls"]
        ttl = old.take("dane_tls_ttl", int)
        if ttl is not None and ttl < 1:
            what = "left out: 0 meant the zone's default; 1800 seconds count"
            self._draft.tell(f"{old.where} dane_tls_ttl", what, "dane_tls", file=file)
        elif ttl is not None and kept:
            new["dane_tls_ttl"] = ttl
        elif ttl is not None:
            self._draft.tell(f"{old.where} dane_tls_ttl", "left out: it has no records", file=file)
        if any(each[0] == SMTP_PORT for each in kept):
            what = "at MX hosts alone; ssl-mgr had records at the apex too, which no sender asks (`dane_apex`)"
            self._draft.tell(f"{old.where} dane_tls", what, "dane_tls", file=file)

    def _key(self, service: ServiceId, old: Keys) -> Plain:
        file, written = service_file(service), old.text("ktype") or "ec"
        kind = "rsa" if written == "rsa" else "ec"
        if written not in {"rsa", "ec"}:
            self._draft.tell(
                f"{old.where} ktype", f"'{written}' became 'ec', as ssl-mgr reads it", "key_opts", file=file
            )
        curve, bits, ignored = old.text("ec_algo"), old.take("rsa_bits", int), old.take("bits", int)
        new: Plain = {"ktype": kind}
        if kind == "ec":
            new["ec_algo"] = (curve or "secp384r1").lower()
            if new["ec_algo"] not in {"secp256r1", "prime256v1", "secp384r1", "secp521r1"}:
                what = f"'{curve}' became 'secp384r1': TLS clients know no certificates of that curve"
                self._draft.tell(f"{old.where} ec_algo", what, "key_opts", file=file)
                new["ec_algo"] = "secp384r1"
        else:
            new["rsa_bits"] = bits or 4096
        for key, value, is_used in (("ec_algo", curve, kind == "ec"), ("rsa_bits", bits, kind == "rsa")):
            if value is not None and not is_used:
                self._draft.tell(f"{old.where} {key}", f"left out: the key is {kind}", "key_opts", file=file)
        if ignored is not None:
            what = (
                f"left out: ssl-mgr never read '{ignored}' (its key is rsa_bits) and took {new.get('rsa_bits', 'none')}"
            )
            self._draft.tell(f"{old.where} bits", what, "key_opts", file=file)
        old.rest(_UNKNOWN, file)
        return new

    def _x509(self, service: ServiceId, old: Keys) -> Plain:
        file, is_ca = service_file(service), service.group == CA_GROUP
        new: Plain = {key: old.text(key) for key in ("CN", "O", "OU", "L", "ST", "C", "email")}
        country = new["C"]
        if country is not None and not (len(country) == _COUNTRY_LETTERS and country.isascii() and country.isalpha()):
            self._draft.tell(f"{old.where} C", f"left out: '{country}' is no country code", "x509", file=file)
            new["C"] = None
        elif country is not None:
            new["C"] = country.upper()
        sans = list(dict.fromkeys(str(each).strip() for each in old.take("sans", list) or [] if str(each).strip()))
        if is_ca:
            if sans:
                self._draft.tell(f"{old.where} sans", "left out: an own CA has a CN and no names", "x509", file=file)
            sans = []
        elif new["CN"] and new["CN"].lower() not in {each.lower() for each in sans} and _is_name(new["CN"]):
            sans.insert(0, new["CN"])
            self._draft.tell(f"{old.where} sans", "the CN was added, as ssl-mgr does", "x509", file=file)
        new["sans"] = sans
        old.rest(_UNKNOWN, file)
        return {key: value for key, value in new.items() if value not in (None, [])}

    def _authority(self, service: ServiceId, old: Keys, signer: str) -> Plain:
        file, days, digest = service_file(service), old.take("sign_end_days", int), old.text("digest")
        if days is None:
            what = "not there: 365"
            self._draft.tell(f"{old.where} sign_end_days", what, "ca", file=file)
        name = (digest or "sha384").lower()
        if name not in {"sha256", "sha384", "sha512"}:
            what = f"'{digest}' became 'sha384': no TLS client needs another, and some know none"
            self._draft.tell(f"{old.where} digest", what, "ca", file=file)
            name = "sha384"
        if signer == "self":
            what = "is how long what it signs is valid; a new root itself is valid twice as long (`end_days`)"
            self._draft.tell(f"{old.where} sign_end_days", what, "ca", file=file)
        return {"sign_end_days": max(days or 365, 1), "digest": name}

    # The versions.

    def _versions(self, service: ServiceId, folder: Path) -> Iterator[OldVersion]:
        found = {slot: place for slot in _SLOTS if (place := _target(folder, slot)).is_dir()}
        for slot, place in found.items():
            if slot == "next" and place == found.get("curr"):
                continue
            where = f"{folder.parent.name}/{folder.name}/{slot}"
            version = version_in(self._draft, service, slot, where, place)
            if version is not None:
                yield version
        if not found and folder.is_dir():
            self._draft.tell(f"{service}", f"'{folder}' has no curr: nothing to take over")
        database = folder / "db"
        others = {path.resolve() for path in database.iterdir()} - set(found.values()) if database.is_dir() else set()
        if others:
            what = f"left out: {len(others)} older versions, which no slot names"
            self._draft.tell(f"{service} db", what)
        if (folder / "cb").is_dir() and any((folder / "cb").iterdir()):
            what = "left out: the Let's Encrypt account; sslops makes one account per CA"
            self._draft.tell(f"{service} cb", what)

    def _strays(self, certs: Path) -> None:
        if not certs.is_dir():
            message = f"'{certs}' is no folder"
            raise UsageError(message, hint="name ssl-mgr's certs/ with --certs")
        for folder in sorted(certs.glob("*/*")):
            service = ServiceId(folder.parent.name, folder.name)
            if (folder / "curr").is_dir() and service not in self._services:
                self._draft.tell(f"certs/{service}", "left out: no service file of that name")


def version_in(draft: Draft, service: ServiceId, slot: str, where: str, folder: Path) -> OldVersion | None:
    """Read `privkey.pem`, `cert.pem` and `chain.pem` in *folder*; null, and a line, when it is not whole."""
    key, cert, chain = (read_bytes(folder / f"{name}.pem") for name in ("privkey", "cert", "chain"))
    missing = [name for name, content in (("privkey.pem", key), ("cert.pem", cert)) if not content]
    if missing or not key or not cert:
        draft.tell(where, f"left out: no {' and no '.join(missing)}; a renewal that was broken off")
        return None
    written = datetime.fromtimestamp(int((folder / "cert.pem").stat().st_mtime), UTC)
    return OldVersion(service, slot, where, Secret(key, f"key of {where}"), cert, chain or b"", written)


def _target(folder: Path, slot: str) -> Path:
    """Return where *slot* points; in a tree that was copied an absolute link is about the `db` beside it."""
    link = folder / slot
    if link.is_symlink() and not link.exists():
        return (folder / "db" / link.readlink().name).resolve()
    return link.resolve()


def _command(words: Sequence[str]) -> str:
    """Write *words* so that they are split into the same ones again, like a shell would."""
    plain = " ".join(words)
    try:
        return plain if names.words(plain) == tuple(words) else shlex.join(words)
    except ValueError:
        return shlex.join(words)


def _is_name(text: str) -> bool:
    try:
        names.subject_name(text)
    except ValueError:
        return False
    return True


def _common(folders: Sequence[Path]) -> Path:
    """Return the top of the repository that all *folders* seem to lie in: a git work tree, else what they share."""
    if not folders:
        return Path("/")
    common = Path(os.path.commonpath([os.path.normpath(each) for each in folders]))
    common = common.parent if common in folders and len(set(folders)) == 1 else common
    return next((each for each in (common, *common.parents) if (each / ".git").exists()), common)


def _below(top: Path, folder: Path) -> str:
    relative = os.path.relpath(os.path.normpath(folder), top)
    if relative.startswith(".."):
        message = f"'{folder}' does not lie below '{top}'"
        raise SslopsError(message, hint="--dns-top DIR: the folder that is the top of the DNS repository")
    return relative
