"""What trees of certbot, lego and acme.sh become."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sslops.errors import UsageError
from sslops.inventory.loading import load
from sslops.migrate.acme_clients import read
from sslops.migrate.draft import CAS, SETTINGS
from tests.world.ssl_mgr_tree import SslMgrTree, Version

if TYPE_CHECKING:
    from pathlib import Path

    from sslops.migrate.draft import Draft

NAMES = ("www.example.com", "example.com")
LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
RENEWAL = """\
# renew_before_expiry = 30 days
version = 2.1.0
renew_before_expiry = 20 days
archive_dir = /etc/letsencrypt/archive/site
cert = /etc/letsencrypt/live/site/cert.pem
privkey = /etc/letsencrypt/live/site/privkey.pem
chain = /etc/letsencrypt/live/site/chain.pem
fullchain = /etc/letsencrypt/live/site/fullchain.pem

# Options used in the renewal process
[renewalparams]
account = 0123456789abcdef
authenticator = {authenticator}
server = {server}
key_type = ecdsa
preferred_chain = ISRG Root X2
deploy_hook = systemctl reload nginx
dns_cloudflare_credentials = /root/secret-place.ini
some_new_option = 42
[[webroot_map]]
www.example.com = /srv/http
"""


def version(folder: Path, name: str = "example.com/site", names: tuple[str, ...] = NAMES, age_days: int = 2) -> Version:
    """Return a certificate with its files."""
    return SslMgrTree(folder / "made", {}).add(name, f"v{age_days}", names=names, age_days=age_days)


def copy(source: Path, target: Path) -> None:
    """Copy a file, and make its folder."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())


def certbot_tree(
    folder: Path, authenticator: str = "dns-cloudflare", server: str = LETS_ENCRYPT
) -> tuple[Path, Version]:
    """Return certbot's folder as it is after one renewal, copied from elsewhere, and what is in use."""
    top = folder / "letsencrypt"
    versions = {1: version(folder, age_days=60), 2: version(folder, age_days=1)}
    for number, each in versions.items():
        for kind in ("cert", "chain", "fullchain", "privkey"):
            copy(each.folder / f"{kind}.pem", top / f"archive/site/{kind}{number}.pem")
    live = top / "live/site"
    live.mkdir(parents=True)
    for kind in ("cert", "chain", "fullchain", "privkey"):
        (live / f"{kind}.pem").symlink_to(f"../../archive/site/{kind}2.pem")
    (top / "renewal").mkdir()
    (top / "renewal/site.conf").write_text(RENEWAL.format(authenticator=authenticator, server=server))
    return top, versions[2]


def told(draft: Draft) -> str:
    """Return every line."""
    return "\n".join(map(str, draft.remarks))


def test_a_lineage_of_certbot_becomes_a_service_with_curr_and_prev(tmp_path: Path) -> None:
    """Names, key, CA, chain and renewal time are taken over; the version before the one in use is prev."""
    top, present = certbot_tree(tmp_path)
    draft = read("certbot", top)
    inventory = load(draft.inventory_files())
    site = draft.files["inventory/example.com/site.yaml"]

    assert ["example.com/site"] == [str(each) for each in inventory.services]
    le = {"ca_type": "acme", "ca_validation": "dns-01", "ca_preferred_chain": "ISRG Root X2"}

    assert {"le-dns": le} == draft.files[CAS]
    assert 20 == site["renew_expire_days"]
    assert sorted(NAMES) == sorted(site["x509"]["sans"])
    assert {"ktype": "ec", "ec_algo": "secp384r1"} == site["key_opts"]
    assert ["prev", "curr"] == [each.slot for each in draft.versions]
    assert (present.folder / "cert.pem").read_bytes() == draft.versions[1].cert


def test_every_setting_of_certbot_is_taken_or_told_and_no_credentials_are_shown(tmp_path: Path) -> None:
    """Hooks are for a person to look at; an option that nobody knows is told; where credentials lie is not repeated."""
    said = told(read("certbot", certbot_tree(tmp_path)[0]))
    keys = ["account", "authenticator", "deploy_hook", "key_type", "dns_cloudflare_credentials", "some_new_option"]
    keys += ["version", "archive_dir", "[webroot_map] www.example.com"]

    assert [] == [key for key in keys if f"renewal/site.conf {key}" not in said]
    assert "secret-place" not in said


def test_http_01_of_certbot_gets_a_class_without_hosts(tmp_path: Path) -> None:
    """A person names the hosts; until then the inventory is sound."""
    top, _ = certbot_tree(tmp_path, "nginx", "https://acme.example.net/dir")
    draft = read("certbot", top)
    load(draft.inventory_files())

    assert "https://acme.example.net/dir" == draft.files[CAS]["acme-example-net-http"]["directory"]
    assert [] == draft.settings["servers"]["web"]["hosts"]
    assert any(remark.is_open and "hosts" in remark.what for remark in draft.remarks)


def test_a_certificate_of_lego_becomes_a_service(tmp_path: Path) -> None:
    """Its `.crt` holds the chain, and the file of a wildcard begins with an underscore."""
    names = ("*.example.com", "example.com")
    made, folder = version(tmp_path, names=names), tmp_path / "lego/certificates"
    copy(made.folder / "fullchain.pem", folder / "_.example.com.crt")
    copy(made.folder / "chain.pem", folder / "_.example.com.issuer.crt")
    copy(made.folder / "privkey.pem", folder / "_.example.com.key")
    about = {"domain": "*.example.com", "certUrl": "https://acme-v02.api.letsencrypt.org/acme/cert/1"}
    (folder / "_.example.com.json").write_text(json.dumps(about))
    draft = read("lego", tmp_path / "lego")
    load(draft.inventory_files())

    assert ["example.com/wildcard-example-com"] == [str(each.service) for each in draft.versions]
    assert (made.folder / "cert.pem").read_bytes() == draft.versions[0].cert
    assert (made.folder / "chain.pem").read_bytes() == draft.versions[0].chain
    assert "le-dns" == draft.files["inventory/example.com/wildcard-example-com.yaml"]["signing_ca"]


def test_a_certificate_of_acme_sh_becomes_a_service(tmp_path: Path) -> None:
    """EC ones lie in a folder of their own; credentials of a DNS provider are never shown."""
    made, folder = version(tmp_path), tmp_path / "acme/www.example.com_ecc"
    for source, target in (("cert", "www.example.com.cer"), ("privkey", "www.example.com.key"), ("chain", "ca.cer")):
        copy(made.folder / f"{source}.pem", folder / target)
    conf = "Le_Domain='www.example.com'\nLe_Alt='example.com'\nLe_Webroot='dns_cf'\n"
    conf += "Le_ReloadCmd='__ACME_BASE64__START_eA=='\n"
    (folder / "www.example.com.conf").write_text(conf + f"Le_API='{LETS_ENCRYPT}'\nLe_NextRenewTime='1'\n")
    (tmp_path / "acme/account.conf").write_text("ACCOUNT_EMAIL='op@example.com'\nSAVED_CF_Token='geheim'\n")
    draft = read("acme_sh", tmp_path / "acme")
    load(draft.inventory_files())
    service = draft.files["inventory/example.com/www-example-com-ecc.yaml"]

    assert ("le-dns", "op@example.com") == (service["signing_ca"], service["x509"]["email"])
    assert (made.folder / "chain.pem").read_bytes() == draft.versions[0].chain
    assert [] == [key for key in ("Le_ReloadCmd", "Le_NextRenewTime", "SAVED_CF_Token") if key not in told(draft)]
    assert "geheim" not in told(draft)


def test_names_are_grouped_by_the_zone_that_is_named(tmp_path: Path) -> None:
    """`--apex` says what names alone do not tell; without it a person is asked."""
    names = ("mail.example.com",)
    made = version(tmp_path, names=names)
    for source, target in (("fullchain", "crt"), ("privkey", "key")):
        copy(made.folder / f"{source}.pem", tmp_path / f"lego/certificates/mail.example.com.{target}")
    alone, named = read("lego", tmp_path / "lego"), read("lego", tmp_path / "lego", None, ["example.com"])

    assert ["mail.example.com"] == [group["domain"] for group in alone.files[SETTINGS]["groups"]]
    assert "--apex" in told(alone)
    assert ["example.com"] == [group["domain"] for group in named.files[SETTINGS]["groups"]]


@pytest.mark.parametrize("tool", ["certbot", "lego", "acme_sh"])
def test_a_folder_of_something_else_is_an_error(tmp_path: Path, tool: str) -> None:
    """Nothing is made of an empty folder."""
    with pytest.raises(UsageError):
        read(tool, tmp_path)
