"""Certificates from a real ACME server, through real name servers and the DNS repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from sslops.model.secret import Secret
from sslops.pki.certificate import split_chain
from sslops.secrets.sops import Sops
from tests.system.acme import (
    MAIL,
    NET,
    SERVICES,
    WEB,
    assert_clean,
    dns_commits,
    dns_history,
    slots,
    staged,
    statuses,
    subjects,
)
from tests.system.launching import Launched
from tests.world.acme_faults import problem
from tests.world.pebble import Policy, external_account
from tests.world.site import HOSTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world.acme_site import AcmeSite


def test_all_services_of_all_groups_are_one_batch(acme_site: AcmeSite) -> None:
    """One account, one order each, one commit that shows all challenges, one that takes them away."""
    site = acme_site
    site.sslops("renew", "--apply").succeeded()

    assert dict.fromkeys(SERVICES, "issued") == statuses(site)
    assert 3 == site.ca.orders_made()
    assert [
        "acme: show 6 challenges for example.com, example.net",
        "acme: take the challenges away for example.com, example.net",
    ] == dns_commits(site)
    assert_clean(site)


def test_key_csr_and_order_are_in_git_before_a_challenge_is_answered(acme_site: AcmeSite) -> None:
    """The account's key comes first of all; one commit for each service and step."""
    acme_site.sslops("renew", "--apply", "example.com:web-ec").succeeded()

    steps = [subject.partition("Z-")[2][4:] or subject for subject in subjects(acme_site)]

    assert ["account(le-dns): a new key", ", key and CSR", "account(le-dns): registered", ", ordered"] == steps[:4]
    assert steps[4].startswith(", until ")


def test_a_certificate_from_acme_goes_all_the_way_to_the_servers(acme_site: AcmeSite) -> None:
    """Renew, roll, deploy, publish: what the hosts serve is what the CA signed, and its record is in DNS."""
    site = acme_site
    site.sslops("run", "--apply").succeeded()

    facts = site.ops.show("main", f"state/{MAIL}/{slots(site, MAIL, 'main')['curr']}/generation.yaml")
    served = set(site.served().values())

    assert len(served) == 1
    assert f'cert_sha256: "{served.pop()}"' in facts
    assert set(site.served()) == set(HOSTS)


def test_a_renewal_says_what_it_replaces_and_keeps_the_standing_key(acme_site: AcmeSite) -> None:
    """The second order of a service names the first certificate (RFC 9773 section 5)."""
    site = acme_site
    site.pebble.need_modern()
    site.sslops("run", "--apply").succeeded()
    site.sslops("renew", "--apply").succeeded()
    standing = slots(site, MAIL)["next"]
    site.sslops("renew", "--apply", "--force", "example.com:mail-ec").succeeded()

    assert (standing, "issued") == (slots(site, MAIL)["next"], staged(site, MAIL)["status"])
    assert [False, False, False, True] == ["replaces" in order for order in site.ca.orders()]


def test_an_answer_already_replaced_is_ordered_once_more_without_it(start_acme_site: Callable[..., AcmeSite]) -> None:
    """A run that was killed after its order must not wait for ever."""
    site = start_acme_site(policy=Policy(nonce_rejection_percent=0))
    site.pebble.need_modern()
    site.sslops("run", "--apply").succeeded()
    before = site.ca.count("newOrder")
    site.ca.plan("newOrder", problem("alreadyReplaced", 409))
    site.sslops("renew", "--apply", "--force", "example.com:web-ec").succeeded()

    assert 2 == site.ca.count("newOrder") - before
    assert "replaces" not in site.ca.orders()[-1]
    assert "issued" == staged(site, WEB)["status"]


def test_http_01_goes_through_the_web_host(start_acme_site: Callable[..., AcmeSite]) -> None:
    """The file is there while the CA looks, and gone afterwards."""
    site = start_acme_site(has_web=True)
    site.sslops("renew", "--apply", "example.com:site-ec").succeeded()
    assert site.web is not None

    assert "issued" == staged(site, "example.com/site-ec")["status"]
    assert "GET /.well-known/acme-challenge/" in site.web.log
    assert [] == [path for path in site.web.server_dir.rglob("*") if path.is_file()]


def test_names_of_all_alphabets_and_ip_addresses_are_ordered(start_acme_site: Callable[..., AcmeSite]) -> None:
    """International names as A-labels; an address by http-01, where the CA takes it."""
    site = start_acme_site(has_web=True)
    assert site.web is not None
    name, path = "bücher.example.net", "inventory/example.com/site-ec.yaml"
    mixed = f"[web.example.com, {site.web.host.address}]"
    site.ops.edit(
        {
            path: site.ops.show("main", path).replace("sans: [web.example.com]", f"sans: {mixed}") + "\n",
            "inventory/example.net/web-ec.yaml": f"signing_ca: le-dns\nx509: {{sans: [{name}, '*.{name}']}}\n",
        }
    )
    site.sslops("renew", "--apply", "example.com:site-ec", "example.net").succeeded()

    assert ["xn--bcher-kva.example.net", "*.xn--bcher-kva.example.net"] == staged(site, NET)["sans"]
    assert {"web.example.com", site.web.host.address} == set(staged(site, "example.com/site-ec")["sans"])


def test_a_web_host_that_is_down_keeps_only_its_services_waiting(start_acme_site: Callable[..., AcmeSite]) -> None:
    """dns-01 goes on; the order stays for the run that reaches the host."""
    site = start_acme_site(has_web=True)
    assert site.web is not None
    site.web.host.stop()
    words = ("renew", "--apply")
    with Launched(site.ops, *words, options=["--patch", "sslops.issue.acme_steps:PROOF_SECONDS=1"]) as launched:
        done = launched.finish()

    assert "has not got the challenge" in done.stdout
    assert dict.fromkeys(SERVICES, "issued") == statuses(site)
    assert "ordered" == staged(site, "example.com/site-ec")["status"]


def test_an_external_account_is_bound_by_a_key_from_sops(start_acme_site: Callable[..., AcmeSite]) -> None:
    """The MAC key is a sops document of the repository, and the account is made once."""
    kid, mac = external_account()
    policy = Policy(external_accounts={kid: mac})
    site = start_acme_site(policy=policy, ca_settings={"eab": f"{{kid: {kid}, hmac_key: inventory/eab/le.sops}}"})
    site.ops.edit({"inventory/eab/le.sops": encrypted_for_renew(site, mac)})
    site.sslops("renew", "--apply", "example.net").succeeded()

    assert "issued" == staged(site, NET)["status"]
    assert 1 == site.ca.accounts_made()


def test_a_rehearsal_is_kept_apart_and_never_rolled(acme_site: AcmeSite) -> None:
    """Its keys, orders and account are on a branch of their own."""
    site = acme_site
    edit_ca(site, f"staging: {site.ca.directory}")
    site.sslops("renew", "--staging", "--apply").succeeded()

    assert "next" not in site.ops.refs()
    assert "issued" == staged(site, WEB, "sslops/staging")["status"]

    site.sslops("roll", "--apply").succeeded()

    assert "issued" == staged(site, WEB, "sslops/staging")["status"]
    assert "" == site.ops.git_remote("ls-tree", "main", "state/")

    site.sslops("renew", "--apply").succeeded()

    assert 2 == site.ca.accounts_made()
    assert dict.fromkeys(SERVICES, "issued") == statuses(site)


def test_the_preferred_chain_is_found_by_a_common_name(start_acme_site: Callable[..., AcmeSite]) -> None:
    """Any CA of the chain may have it; where none has, the default is used and said so."""
    site = start_acme_site(policy=Policy(alternate_roots=2, chain_length=2))
    wanted = common_name(site.pebble.roots()[2])
    edit_ca(site, f"ca_preferred_chain: {wanted}")
    site.sslops("renew", "--apply", "example.net").succeeded()
    chain = site.ops.show("next", f"state/{NET}/{slots(site, NET)['next']}/chain.pem")

    assert wanted in {common_name(each.decode(), "issuer") for each in split_chain(chain.encode())}


def test_a_profile_that_is_not_offered_is_said(start_acme_site: Callable[..., AcmeSite]) -> None:
    """The order goes on without it, and a person learns which there are."""
    site = start_acme_site(ca_settings={"ca_preferred_acme_profile": "gold"})
    site.pebble.need_modern()
    done = site.sslops("renew", "--apply", "example.net").succeeded()

    assert "'le-dns' does not offer profile 'gold', so it chooses; profiles there: classic, shortlived" in done.stderr
    assert "profile" not in site.ca.orders()[0]


def test_the_default_profile_is_ordered(acme_site: AcmeSite) -> None:
    """`tlsserver`, where the CA has it."""
    acme_site.pebble.need_modern()
    acme_site.sslops("renew", "--apply", "example.net").succeeded()

    assert "tlsserver" == acme_site.ca.orders()[0]["profile"]
    assert "tlsserver" == staged(acme_site, NET)["profile"]


def test_an_alias_leads_the_challenge_to_the_zone_of_its_target(acme_site: AcmeSite) -> None:
    """`_acme-challenge.www.example.com` is a CNAME into example.net, so the record is written there."""
    site = acme_site
    zone = "external/zones/example.com.zone"
    alias = "_acme-challenge.www CNAME www-example-com.acme.example.net."
    site.dns.edit({zone: f"{site.dns.read(zone)}\n{alias}\n"})
    site.dns.settle()
    site.sslops("renew", "--apply", "example.com:web-ec").succeeded()
    shown = dns_history(site, "example.net")[-2]

    assert shown.startswith("www-example-com.acme.example.net. 60 IN TXT ")
    assert "issued" == staged(site, WEB)["status"]
    assert_clean(site)


def edit_ca(site: AcmeSite, line: str) -> None:
    """Add *line* to the CA `le-dns`."""
    cas = site.ops.show("main", "inventory/cas.yaml")
    site.ops.edit({"inventory/cas.yaml": cas.replace("le-dns:\n", f"le-dns:\n  {line}\n") + "\n"})


def encrypted_for_renew(site: AcmeSite, text: str) -> str:
    """Return *text* as a sops document that the renew job opens."""
    recipient = site.ops.identities.recipients["renew"]
    rules = f"creation_rules:\n  - path_regex: .*\n    age: {recipient}\n"
    return Sops(rules).encrypt("inventory/eab/le.sops", Secret(text.encode())).decode()


def common_name(pem: str, field: str = "subject") -> str:
    """Return the common name of a certificate's *field*."""
    name: x509.Name = getattr(x509.load_pem_x509_certificate(pem.encode()), field)
    return str(name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
