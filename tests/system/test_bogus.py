"""A zone whose signatures do not hold: no order is made before a CA would refuse it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.system.acme import MAIL, staged
from tests.world.forged import ForgedServer
from tests.world.validating_resolver import ValidatingResolver

if TYPE_CHECKING:
    from tests.world.acme_site import AcmeSite

SETTINGS = "inventory/sslops.yaml"
TARGET = "example.com:mail-ec"


def test_a_broken_signature_blocks_the_order_until_a_person_consents(acme_site: AcmeSite) -> None:
    """Exit 3 with the words that accept it, and nothing is asked of the CA; other zones are renewed."""
    site = acme_site
    broken = ["mail.example.com."]
    forged = ForgedServer(site.folder / "forged", site.dns.primary, "example.com", broken)
    validator = ValidatingResolver(site.folder / "validator", site.dns, servers=[forged.endpoint])
    settings = site.ops.show("main", SETTINGS)
    site.ops.edit({SETTINGS: f"{settings}\n".replace("dns:\n", f"dns:\n  validator: {validator.endpoint}\n", 1)})
    words = "--accept dnssec-bogus=mail.example.com"
    planned = site.sslops("plan")
    refused = site.sslops("renew", TARGET, "--apply")

    assert words in planned.stdout
    assert (3, True, 0) == (refused.exit_code, words in refused.stdout, site.ca.orders_made())

    site.sslops("renew", TARGET, "--apply", *words.split()).succeeded()
    forged.stop()
    validator.stop()

    assert "issued" == staged(site, MAIL)["status"]
