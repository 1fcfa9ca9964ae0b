"""The watch finds what it is there to find."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.world.certificates import write_certificate
from tests.world.programs import wait_until
from tests.world.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.world.dns import DnsWorld
    from tests.world.mailhost import MailHost

OWNER = "_25._tcp.mail.example.com."
INCLUDE = "external/zones/include-tlsa/tlsa.example.com"


def test_a_certificate_that_its_record_matches_is_no_breach(
    dns_world: DnsWorld, mail_host: Callable[..., MailHost], world_folder: Path
) -> None:
    """The first record appears while the certificate is served."""
    digest = write_certificate(world_folder / "curr")
    with Watch(dns_world, OWNER, [mail_host(world_folder / "curr")]) as watch:
        dns_world.edit({INCLUDE: f"{OWNER} 1 IN TLSA 3 0 1 {digest}\n"})
        seen = watch.looks
        wait_until(lambda: watch.looks > seen + 5, lambda: "the watch sleeps")

    assert watch.broken == []


def roll_carelessly(dns_world: DnsWorld, listener: MailHost, folder: Path, watch: Watch) -> None:
    """Change record and certificate at once, without the wait in between."""
    with watch:
        seen = watch.looks
        wait_until(lambda: watch.looks > seen, lambda: "the watch sleeps")
        new = write_certificate(folder)
        dns_world.edit({INCLUDE: f"{OWNER} 600 IN TLSA 3 0 1 {new}\n"})
        dns_world.settle()
        subprocess.run(listener.restart_cmd.split(), check=True, timeout=30)
        wait_until(lambda: bool(watch.broken), lambda: "the breach was not seen")


def test_a_certificate_that_a_cache_does_not_know_yet_is_a_breach(
    dns_world: DnsWorld, mail_host: Callable[..., MailHost], world_folder: Path
) -> None:
    """Both name servers have the new record, a cache still has the old one."""
    old = write_certificate(world_folder / "curr")
    listener = mail_host(world_folder / "curr")
    dns_world.edit({INCLUDE: f"{OWNER} 600 IN TLSA 3 0 1 {old}\n"})
    dns_world.settle()
    watch = Watch(dns_world, OWNER, [listener])
    with pytest.raises(AssertionError, match="shows what none of"):
        roll_carelessly(dns_world, listener, world_folder / "curr", watch)

    assert listener.address in watch.broken[0]
