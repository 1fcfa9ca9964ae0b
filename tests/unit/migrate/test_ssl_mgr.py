"""What a tree of ssl-mgr becomes, key by key."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from sslops.errors import InventoryError
from sslops.inventory.loading import load
from sslops.migrate.draft import CAS, SETTINGS, Draft
from sslops.migrate.ssl_mgr import read
from tests.world.ssl_mgr_tree import SslMgrTree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONF = """\
[globals]
verb = true
sslm_auth_hook = '/usr/lib/ssl-mgr/sslm-auth-hook'
prod_cert_dir = '/srv/prod'
logdir = '/var/log/x'
clean_keep = 0
min_roll_mins = 60
renew_expire_days = 25
renew_expire_days_spread = 3
dns_check_delay = 10
dns_xtra_ns = ['9.9.9.9']
post_copy_cmd = [['web1.example.com', '/opt/my tool'], ['gone.example.com', '/opt/x']]
preferred_acme_profile = 'tlsserver'
[renew_info]
target_90 = 31
renew_target_45 = 11.5
rand_adj_90 = 2
[[groups]]
domain = 'Example.com'
active = true
services = '*'
[[groups]]
domain = 'ca'
active = true
services = ['root', 'sub']
[[groups]]
domain = 'example.net'
services = ['web']
[[dns_primary]]
domain = '*'
server = '10.0.0.1'
[[dns_primary]]
domain = 'example.net'
server = 'ns.example.net'
port = 5353
[dns]
restart_cmd = '/etc/resign'
acme_dir = ['/z/ext/acme', '/z/int/acme']
tlsa_dirs = ['/z/ext/tlsa', '/z/int/tlsa']
depends = ['dns', 'cert']
[smtp]
servers = ['mx1.example.com', 'mx1.example.com']
restart_cmd = ["/usr/bin/postmap -F lmdb:/etc/postfix/sni's", '/usr/bin/postfix reload']
svc_depends = [['example.com', ['mail']], ['all', ['mail', 'nothere']]]
depends = ['tlsa', 'cert']
[imap]
servers = ['imap.example.com']
svc_depends = [['*', '*']]
[web]
servers = ['web1.example.com']
server_dir = '/srv/http'
skip_prod_copy = true
[other]
servers = ['backup.example.com']
restart_cmd = ''
[xmpp]
servers = ['chat.example.com']
"""
CA_INFO = """\
[root]
ca_type = 'self'
[sub]
ca_type = 'local'
ca_desc = 'sub'
[unused]
ca_type = 'local'
[le]
ca_type = 'letsencrypt'
ca_validation = 'http-01'
ca_preferred_chain = 'ISRG Root X2'
ca_preferred_acme_profile = 'classic'
"""
SERVICE = """\
name = '{name}'
group = '{group}'
service = '{name}'
signing_ca = '{signer}'
renew_expire_days = 20
dane_tls = {dane}
dane_tls_ttl = 900
[KeyOpts]
ktype = '{kind}'
ec_algo = 'secp256r1'
bits = 2048
[X509]
CN = '{cn}'
O = 'Example'
OU = ''
C = 'us'
email = 'hostmaster@example.com'
sans = {sans}
{ca}
"""
CA = "[CA]\nsign_end_days = 100\ndigest = 'sha3_256'\n"


def service(path: str, signer: str, sans: str = "['*.example.com']", **texts: str) -> tuple[str, str]:
    """Return path and text of a service file."""
    group, _, name = path.partition("/")
    usual = {"dane": "[]", "kind": "ecc", "cn": group, "ca": ""}
    return path, SERVICE.format(**{"group": group, "name": name, "signer": signer, "sans": sans} | usual | texts)


FILES = {
    "ssl-mgr.conf": CONF,
    "ca-info.conf": CA_INFO,
    **dict(
        (
            service("ca/root", "", cn="Root", ca=CA, sans="['root']"),
            service("ca/sub", "root", cn="Sub", ca=CA, sans="[]"),
            service(
                "example.com/mail",
                "le",
                sans="['www.example.com']",
                dane="[[25, 'tcp', 3, 1, 1, 'SANS'], [443, 'tcp', 3, 1, 1]]",
                kind="rsa",
            ),
            service("example.com/own", "self"),
            service("example.net/web", "sub", sans="['www.example.net']"),
            service("example.net/spare", "sub", sans="['www.example.net']"),
            service("example.org/web", "sub", sans="['www.example.org']"),
        )
    ),
    "example.com/README": "about this folder\n",
}


def draft_of(folder: Path, files: dict[str, str] = FILES) -> Draft:
    """Return the draft of a tree."""
    return read(SslMgrTree(folder, files).conf_d, None)


def test_dh_parameters_of_the_production_tree_go_on_living(tmp_path: Path) -> None:
    """The linked group comes first; what is none of RFC 7919 is told; every class with hosts gets them, as before."""
    folder = tmp_path / "prod/example.com/dh"
    folder.mkdir(parents=True)
    for name in ("dh-ffdhe8192.pem", "dh-ffdhe2048.pem", "dh2048.pem"):
        (folder / name).write_text("x\n")
    (folder / "dhparam.pem").symlink_to("dh-ffdhe8192.pem")
    files = FILES | {"ssl-mgr.conf": CONF.replace("/srv/prod", str(tmp_path / "prod"))}
    draft = draft_of(tmp_path / "old", files)
    classes = load(draft.inventory_files()).classes.values()

    assert {("ffdhe8192", "ffdhe2048")} == {each.dhparm for each in classes}
    assert ["example.com/dh/dh2048.pem"] == [
        each.source for each in draft.remarks if "no group of RFC 7919" in each.what
    ]


def test_every_kind_of_key_makes_a_sound_inventory(tmp_path: Path) -> None:
    """Both releases' keys, every class, own CAs, ACME, wildcards and a self-signed leaf: `check` has no fault."""
    inventory = load(draft_of(tmp_path).inventory_files())

    active = {name: group.active for name, group in inventory.groups.items()}

    assert {"example.com": True, "ca": True, "example.net": False, "example.org": False} == active
    assert {"smtp", "imap", "web", "other"} == set(inventory.classes)


def test_what_is_decided_stands_in_the_inventory(tmp_path: Path) -> None:
    """Values are taken over where sslops means the same, and turned into what ssl-mgr did where it does not."""
    files = draft_of(tmp_path).files
    settings, mail = files[SETTINGS], files["inventory/example.com/mail.yaml"]

    assert {
        "prod_cert_dir": "/srv/prod",
        "clean_keep": 1,
        "min_roll_mins": 60,
        "dns_check_delay": 10,
        "renew_expire_days": 25,
        "renew_expire_days_spread": 3,
        "renew_info": {"target": {"90": 31, "45": 11.5}, "rand_adj": {"90": 2}},
        "dns_xtra_ns": ["9.9.9.9"],
        "post_copy_cmd": [["web1.example.com", "'/opt/my tool'"]],
    } == settings["globals"]
    assert [
        {"domain": "default", "server": "10.0.0.1"},
        {"domain": "example.net", "server": "ns.example.net", "port": 5353},
    ] == settings["dns_primary"]
    assert {"repo", "tlsa_dirs", "acme_dir"} == set(settings["dns"])
    assert ["ext/tlsa", "int/tlsa"] == settings["dns"]["tlsa_dirs"]
    assert {
        "hosts": ["mx1.example.com"],
        "restart_cmd": ["/usr/bin/postmap -F 'lmdb:/etc/postfix/sni'\"'\"'s'", "/usr/bin/postfix reload"],
        "svc_depends": [["example.com", ["mail"]], ["any", ["mail"]]],
        "depends": ["dns"],
        "verify": {"port": 25, "starttls": "smtp"},
    } == settings["servers"]["smtp"]
    assert [["any", "ALL"]] == settings["servers"]["imap"]["svc_depends"]
    assert [[25, "tcp", 3, 1, 1, "MX"], [443, "tcp", 3, 1, 1]] == mail["dane_tls"]
    assert {"ktype": "rsa", "rsa_bits": 4096} == mail["key_opts"]
    assert ["example.com", "www.example.com"] == mail["x509"]["sans"]
    assert "US" == mail["x509"]["C"]
    assert {"sign_end_days": 100, "digest": "sha384"} == files["inventory/ca/root.yaml"]["ca"]
    assert {"sign_end_days": 50, "digest": "sha384"} == files["inventory/ca/sub.yaml"]["ca"]
    assert "own-root" == files["inventory/example.com/own.yaml"]["signing_ca"]
    assert "hold" in files["inventory/example.net/spare.yaml"]
    assert {"root", "sub", "le", "own-root"} == set(files[CAS])


def leaves(table: dict[str, Any], *path: str) -> Iterator[tuple[str, ...]]:
    """Yield the path of every table of a TOML document; arrays of tables count once."""
    yield path
    for key, value in table.items():
        inner = value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else value
        if isinstance(inner, dict):
            yield from leaves(inner, *path, key)


@pytest.mark.parametrize("file", ["ssl-mgr.conf", "ca-info.conf", "example.com/mail", "ca/sub"])
def test_a_key_that_nobody_knows_is_told_wherever_it_stands(tmp_path: Path, file: str) -> None:
    """A misspelt key in any table of any file ends in a line that names it."""
    for number, path in enumerate(leaves(tomllib.loads(FILES[file]))):
        text = FILES[file]
        header = f"[{'.'.join(path)}]\n" if f"[{'.'.join(path)}]\n" in text else f"[[{'.'.join(path)}]]\n"
        unknown = f"no_such_key = 'x{number}'\n"
        changed = text.replace(header, header + unknown, 1) if path else unknown + text
        draft = draft_of(tmp_path / str(number), FILES | {file: changed})

        told = [one for one in draft.remarks if "no_such_key" in one.source or path[-1:] == ("xmpp",)]

        assert told or path == ("unused",), path


def test_every_key_ends_in_the_inventory_or_in_a_line(tmp_path: Path) -> None:
    """Of each key of the sample either the value stands in the inventory, or a line names the key."""
    draft = draft_of(tmp_path)
    written = json.dumps(draft.files)
    said = "\n".join(map(str, draft.remarks))
    lost = [
        f"{file} {key}"
        for file, text in FILES.items()
        if file != "example.com/README"
        for key in keys(tomllib.loads(text))
        if f'"{key}"' not in written and key not in said and key not in RENAMED
    ]

    assert [] == lost
    assert "README" in said


RENAMED = frozenset({"groups", "KeyOpts", "X509", "CA", "dns_primary", "target_90", "rand_adj_90", "servers"})
"""Keys whose values stand under another name."""


def keys(table: dict[str, Any]) -> Iterator[str]:
    """Yield every key of a TOML document, at any depth."""
    for key, value in table.items():
        yield key
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                yield from keys(inner)


def test_a_file_that_is_not_toml_is_an_error_with_its_place(tmp_path: Path) -> None:
    """The error names file, line and column."""
    with pytest.raises(InventoryError) as caught:
        draft_of(tmp_path, FILES | {"ca-info.conf": "[le]\nca_type = \n"})

    assert caught.value.where is not None
    assert ("ca-info.conf", 2) == (caught.value.where.file.rpartition("/")[2], caught.value.where.line)
