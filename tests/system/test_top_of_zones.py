"""A DNS repository whose include files lie at its top, beside nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.system.acme import NET, slots
from tests.world.dns_files import ACME_DIR, TLSA_DIRS, ZONES

if TYPE_CHECKING:
    from tests.world.acme_site import AcmeSite

SETTINGS = "inventory/sslops.yaml"


def test_records_and_challenges_may_lie_at_the_top(acme_site: AcmeSite) -> None:
    """`.` is a folder like any other: proofs and TLSA records are loaded from there."""
    site = acme_site
    files: dict[str, str | None] = {}
    for apex in site.dns.apexes:
        zone = site.dns.read(f"{ZONES}/{apex}.zone")
        zone = zone.replace("include-tlsa/", "../../").replace("include-acme/", "../../")
        files |= {f"{ZONES}/{apex}.zone": f"{zone}\n", f"tlsa.{apex}": "", f"acme-challenge.{apex}": ""}
    site.dns.edit(files, "include files at the top")
    site.dns.settle()
    settings = site.ops.show("main", SETTINGS).replace(f"[{', '.join(TLSA_DIRS)}]", "[.]").replace(ACME_DIR, ".")
    site.ops.edit({SETTINGS: f"{settings}\n"}, "the top")
    site.sslops("run", "--apply").succeeded()

    assert slots(site, NET, "main")["curr"] is not None
    assert {""} == {site.dns.read(f"acme-challenge.{apex}") for apex in site.dns.apexes}
    assert "IN TLSA 3 1 1" in site.dns.read("tlsa.example.com")
    assert site.dns.answers("ns1", "_25._tcp.mail.example.com.")
