"""Bad days of the CA, of DNS and of people: what fails is told and tried again, and everything else goes on."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.rows import rows
from tests.system.acme import MAIL, NET, SERVICES, WEB, assert_clean, dns_commits, later, slots, staged, statuses
from tests.system.launching import Launched
from tests.world import acme_faults
from tests.world.pebble import Policy
from tests.world.site import WEB_EC

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world.acme_site import AcmeSite

MINUTES = 60
_PROBLEM = "urn:ietf:params:acme:error:"


def test_sixty_per_cent_bad_nonces_are_no_trouble(start_acme_site: Callable[..., AcmeSite]) -> None:
    """Each request is signed anew until its nonce is taken."""
    site = start_acme_site(policy=Policy(nonce_rejection_percent=60))
    site.sslops("renew", "--apply").succeeded()

    assert dict.fromkeys(SERVICES, "issued") == statuses(site)
    assert_clean(site)


def test_an_order_that_is_refused_stops_no_other(acme_site: AcmeSite) -> None:
    """The others' certificates come, and status says why this one did not."""
    site = acme_site
    refusal = acme_faults.problem("rejectedIdentifier")
    site.ca.plan("newOrder", refusal, matches=lambda exchange: "www.example.com" in str(exchange.payload))
    done = site.sslops("renew", "--apply")

    assert 1 == done.exit_code
    assert {MAIL: "issued", WEB: "keyed", NET: "issued"} == statuses(site)
    assert "rejectedIdentifier" in site.sslops("status").succeeded().stdout
    assert ("1", "rejectedIdentifier" in staged(site, WEB)["failure"]) == (slots(site, WEB)["failures"], True)


def test_a_name_whose_proof_the_ca_does_not_see_fails_alone(start_acme_site: Callable[..., AcmeSite]) -> None:
    """Three of four names are proved, the order is not; no other service suffers, and the challenges are taken away."""
    names = ("www.example.net", "example.net", "a.example.net", "b.example.net")
    service = WEB_EC.format(domain="example.net").replace("signing_ca: my-sub", "signing_ca: le-dns")
    service = service.replace("sans: [www.example.net, example.net]", f"sans: [{', '.join(names)}]")
    site = start_acme_site(files={"inventory/example.net/web-ec.yaml": service})
    site.ca.plan("authorization", acme_faults.altered(unproved("www.example.net")), times=None)
    site.ca.plan("order", acme_faults.altered(unproved("www.example.net")), times=None)
    site.sslops("renew", "--apply")

    assert {MAIL: "issued", WEB: "issued", NET: "keyed"} == statuses(site)
    assert "'www.example.net': unauthorized: no such record" in staged(site, NET)["failure"]
    assert "no such record" in site.sslops("status").succeeded().stdout
    assert {"example.com": "", "example.net": ""} == site.challenge_files()


def test_failures_are_tried_again_after_1_10_and_100_minutes_then_daily(acme_site: AcmeSite) -> None:
    """The backoff is in git, so a new runner knows it; with a certificate it starts from nothing."""
    site = acme_site
    site.ca.plan("newOrder", acme_faults.problem("malformed"), times=4)
    ahead, waits = 0, []
    for _ in range(4):
        later(site, ahead, "renew", "--apply", "example.net")
        found = slots(site, NET)
        waits.append(found["retry_at"])
        ahead += seconds_until(found["retry_at"], ahead) + 2
    asked = site.ca.count("newOrder")

    assert "4" == slots(site, NET)["failures"]

    later(site, ahead - 30, "renew", "--apply", "example.net")

    assert asked == site.ca.count("newOrder")

    later(site, ahead, "renew", "--apply", "example.net").succeeded()

    assert ("issued", "0", None) == (
        staged(site, NET)["status"],
        slots(site, NET)["failures"],
        slots(site, NET)["retry_at"],
    )


def test_a_rate_limit_is_waited_for_as_long_as_the_ca_asks(acme_site: AcmeSite) -> None:
    """Retry-After is longer than the first backoff, and it counts."""
    site = acme_site
    site.ca.plan("newOrder", acme_faults.rate_limited("7200"))
    before = datetime.now(UTC)
    done = site.sslops("renew", "--apply", "example.net")

    assert 1 == done.exit_code
    assert "rateLimited" in done.stderr
    assert timedelta(minutes=119) < datetime.fromisoformat(slots(site, NET)["retry_at"]) - before

    site.sslops("renew", "--apply", "example.net").succeeded()

    assert 1 == site.ca.count("newOrder")


ILLNESSES = {
    "a page for people instead of a directory": ("directory", acme_faults.html()),
    "an order that is refused with an internal error": ("newOrder", acme_faults.server_error()),
    "an order whose answer is lost": ("newOrder", acme_faults.drop_answer),
    "an authorization that hangs up": ("authorization", acme_faults.hang_up),
    "a page for people instead of an answer": ("answer", acme_faults.html()),
    "nonsense instead of an answer": ("answer", acme_faults.garbage()),
    "an answer that is lost after it was taken": ("answer", acme_faults.drop_answer),
    "an order that is nonsense": ("order", acme_faults.garbage()),
    "a finalisation with an internal error": ("finalize", acme_faults.server_error()),
    "a finalisation whose answer is lost": ("finalize", acme_faults.drop_answer),
    "a certificate that is nonsense": ("certificate", acme_faults.garbage()),
}
"""Each as (kind of request, fault)."""
ALWAYS = (
    "an order whose answer is lost",
    "an answer that is lost after it was taken",
    "a finalisation whose answer is lost",
    "a certificate that is nonsense",
)
"""Those where the CA did what it was asked, so that doing it again would be wrong; the others are for `make soak`."""


@pytest.mark.parametrize("illness", rows(ILLNESSES, ALWAYS))
def test_a_ca_that_is_ill_is_asked_again_later(acme_site: AcmeSite, illness: str) -> None:
    """Whatever it broke, the next run goes on from there: one certificate, no proof given twice, no key lost."""
    site, (kind, fault) = acme_site, ILLNESSES[illness]
    site.ca.plan(kind, fault)
    first = site.sslops("renew", "--apply", "example.net")

    assert 1 == first.exit_code, first
    assert "sslops: error: " in first.stderr

    keys = keys_of(site)
    later(site, 2 * MINUTES, "renew", "--apply", "example.net").succeeded()

    assert "issued" == staged(site, NET)["status"]
    assert keys <= keys_of(site)
    assert_clean(site)


def test_a_ca_that_hangs_is_given_up(acme_site: AcmeSite) -> None:
    """It has its time limit, and the order that it holds is gone on with."""
    site = acme_site
    site.ca.plan("finalize", site.ca.hang)
    patch = "sslops.acme.http:TIMEOUT_SECONDS=(5, 5)"
    words = ("renew", "--apply", "example.net")
    with Launched(site.ops, *words, options=["--patch", patch]) as launched:
        done = launched.finish()

    assert 1 == done.exit_code
    assert "timed out" in done.stderr
    assert "ordered" == staged(site, NET)["status"]

    site.ca.heal()
    later(site, 2 * MINUTES, *words).succeeded()

    assert "issued" == staged(site, NET)["status"]
    assert 1 == site.ca.orders_made()
    assert_clean(site)


def test_an_expired_order_is_made_again_with_the_same_csr(acme_site: AcmeSite) -> None:
    """The deadline is known, so nobody is asked; the key, and its TLSA record, stay."""
    site = acme_site
    site.dns.hold()
    with Launched(site.ops, "renew", "--apply", "example.net", options=["--patch", NO_PATIENCE]) as launched:
        launched.finish().succeeded()
    deck = staged(site, NET)

    assert "ordered" == deck["status"]

    site.dns.release()
    later(site, 2 * 86400, "renew", "--apply", "example.net").succeeded()

    assert ("issued", deck["spki_sha256"]) == (staged(site, NET)["status"], staged(site, NET)["spki_sha256"])
    assert 2 == site.ca.orders_made()


def test_challenges_that_no_server_shows_yet_are_waited_for_by_later_runs(acme_site: AcmeSite) -> None:
    """Nothing is answered before every server shows every value; the run that finds them live finishes the order."""
    site = acme_site
    site.dns.lag()
    words = ("renew", "--apply", "example.net", "--json")
    with Launched(site.ops, *words, options=["--patch", NO_PATIENCE]) as launched:
        waits = json.loads(launched.finish().succeeded().stdout)["waits"]

    assert ["challenge-not-shown"] == [wait["cause"] for wait in waits]
    assert str(site.dns.secondary) in waits[0]["why"]
    assert 0 == site.ca.count("answer")
    assert "is under way" in site.sslops("status").succeeded().stdout

    site.dns.catch_up()
    site.sslops("renew", "--apply", "example.net").succeeded()

    assert "issued" == staged(site, NET)["status"]
    assert 1 == site.ca.orders_made()
    assert 2 == len(dns_commits(site))
    assert_clean(site)


def test_a_run_for_some_services_leaves_the_challenges_of_others(acme_site: AcmeSite) -> None:
    """An order that waits keeps its records while another service is issued."""
    site = acme_site
    site.dns.lag()
    with Launched(site.ops, "renew", "--apply", "example.com:web-ec", options=["--patch", NO_PATIENCE]) as launched:
        launched.finish().succeeded()
    shown = site.challenge_files()["example.com"]
    site.dns.catch_up()
    site.sslops("renew", "--apply", "example.com:mail-ec").succeeded()

    assert 2 == shown.count("TXT")
    assert shown == site.challenge_files()["example.com"]
    assert ("issued", "ordered") == (staged(site, MAIL)["status"], staged(site, WEB)["status"])


def test_an_unknown_challenge_type_does_not_disturb(acme_site: AcmeSite) -> None:
    """A server may offer what sslops does not know."""
    site = acme_site
    offer = acme_faults.offer("quantum-02")
    # A refused nonce is answered with a problem, which offers nothing.
    change = acme_faults.altered(lambda found: offer(found) if "challenges" in found else None)
    site.ca.plan("authorization", change, times=None)
    site.sslops("renew", "--apply", "example.net").succeeded()

    assert "issued" == staged(site, NET)["status"]


def test_a_certificate_with_other_names_is_not_used(acme_site: AcmeSite) -> None:
    """What the CA sends is looked at before it counts."""
    site = acme_site
    site.sslops("renew", "--apply", "example.com:web-ec").succeeded()
    generation = slots(site, WEB)["next"]
    other = "".join(site.ops.show("next", f"state/{WEB}/{generation}/{name}.pem") + "\n" for name in ("cert", "chain"))
    site.ca.plan("certificate", acme_faults.replaced(other.encode()), times=None)
    done = site.sslops("renew", "--apply", "example.net")

    assert 1 == done.exit_code
    assert "not for the key of its generation" in done.stderr
    assert "keyed" == staged(site, NET)["status"]
    assert "cert.pem" not in site.ops.git_remote("ls-tree", "-r", "--name-only", "next", f"state/{NET}/")


NO_PATIENCE = "sslops.issue.acme_steps:PROOF_SECONDS=1"
"""A run that does not wait for name servers."""


def unproved(name: str) -> Callable[[dict[str, Any]], None]:
    """Let the authorization of *name*, and an order that has it, be invalid as soon as it was answered."""

    def change(found: dict[str, Any]) -> None:
        names = [each["value"] for each in found.get("identifiers", [found.get("identifier")]) if each]
        if name in names and found["status"] in {"valid", "ready"}:
            found["status"] = "invalid"
            for challenge in found.get("challenges", ()):
                if challenge["type"] == "dns-01":
                    challenge["error"] = {"type": f"{_PROBLEM}unauthorized", "detail": "no such record"}

    return change


def keys_of(site: AcmeSite) -> set[str]:
    """Return the path of every encrypted key on next."""
    if "next" not in site.ops.refs():
        return set()
    paths = site.ops.git_remote("ls-tree", "-r", "--name-only", "next").splitlines()
    return {path for path in paths if path.endswith(".sops")}


def seconds_until(moment: str, ahead: int) -> int:
    """Return the seconds from a clock that is *ahead* to *moment*."""
    return int((datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds()) - ahead


def test_an_account_that_the_ca_forgot_is_registered_again_with_its_key(acme_site: AcmeSite) -> None:
    """No key is made anew, and the run that learns of it goes on."""
    site = acme_site
    site.sslops("renew", "--apply", "example.net").succeeded()
    site.pebble.restart()
    site.sslops("renew", "--apply", "example.com:web-ec").succeeded()

    assert "issued" == staged(site, WEB)["status"]
    assert 2 == site.ca.accounts_made()


def test_an_order_that_is_given_up_takes_its_challenges_along(acme_site: AcmeSite) -> None:
    """A new key means a new order; what the old one showed is of no use to anybody."""
    site = acme_site
    site.dns.lag()
    with Launched(site.ops, "renew", "--apply", "example.net", options=["--patch", NO_PATIENCE]) as launched:
        launched.finish().succeeded()
    site.dns.catch_up()
    site.sslops("renew", "--apply", "--force", "--new-key", "example.net").succeeded()

    assert "issued" == staged(site, NET)["status"]
    assert_clean(site)


def test_the_reason_of_a_forced_order_is_in_the_commit_of_whoever_ends_it(acme_site: AcmeSite) -> None:
    """The run that began it may be killed or wait; a scheduled one that goes on has nobody's words of its own."""
    site = acme_site
    site.sslops("renew", "--apply", "example.net").succeeded()
    site.dns.lag()
    words = ("renew", "--apply", "--force", "--new-key", "--reason", "the key was on a laptop", "example.net")
    with Launched(site.ops, *words, options=["--patch", NO_PATIENCE]) as launched:
        launched.finish().succeeded()

    assert "ordered" == staged(site, NET)["status"]

    site.dns.catch_up()
    site.sslops("renew", "--apply", "example.net").succeeded()
    ends = " ".join(site.ops.git_remote("log", "-1", "--format=%B", "next").split())

    assert f"Asked for with --force: the key was on a laptop: issued by {staged(site, NET)['issuer']}." in ends
    assert ("issued", "the key was on a laptop") == (staged(site, NET)["status"], staged(site, NET)["said"])


def test_an_order_that_waits_is_a_failure_when_the_certificate_in_use_ends_soon(acme_site: AcmeSite) -> None:
    """A job that is green until the last day tells nobody."""
    site = acme_site
    site.sslops("run", "--apply", "example.net").succeeded()
    ends = slots(site, NET, "main")["curr"]
    facts = yaml.safe_load(site.ops.show("main", f"state/{NET}/{ends}/generation.yaml"))
    ahead = seconds_until(facts["not_after"], 60 * MINUTES)
    for kind in ("newOrder", "order", "authorization"):
        site.ca.plan(kind, acme_faults.altered(lives_long), times=None)
    site.dns.lag()
    with Launched(
        site.ops, "renew", "--apply", "example.net", options=["--patch", NO_PATIENCE, "--later", str(ahead)]
    ) as launched:
        done = launched.finish()

    assert (1, "ordered") == (done.exit_code, staged(site, NET)["status"])
    assert "challenge blocked" in done.stdout
    assert "too long for the certificate" in done.stdout


def lives_long(found: dict[str, Any]) -> None:
    """Let an order or an authorization end late: the clock of the CA does not go ahead."""
    if "status" in found:
        found["expires"] = "2099-01-01T00:00:00Z"
