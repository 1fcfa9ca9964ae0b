"""What is parked: transitions that need more than one kind of record wait, say so, and change nothing for that name."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system.story import INCLUDES, LONG_TTL, MAIL_TARGET, settled
from tests.world import leaks
from tests.world.site import HOSTS, OWNER, Site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.system.story import Story

MAIL_FILE = "inventory/example.com/mail-ec.yaml"
SETTINGS = "inventory/sslops.yaml"
MAIL_YAML = LONG_TTL[MAIL_FILE]
DANE = "dane_tls: [[25, tcp, 3, 1, 1, MX]]\n"
NO_LONGER_SERVED = ("svc_depends: [[example.com, [mail-ec]]]", "svc_depends: [[example.com, [web-ec]]]")


@pytest.fixture(scope="module")
def standing() -> Iterator[Story]:
    """Yield a site with one record in DNS, shared by all of this module: none of it may change anything."""
    folder = Path(tempfile.mkdtemp(prefix="sslops-"))
    site = Site(folder / "site", files=LONG_TTL)
    yield settled(site)
    site.close()
    leaks.assert_no_key_below(folder)
    shutil.rmtree(folder)


@pytest.fixture
def story(standing: Story) -> Iterator[Story]:
    """Yield the shared site, and put its inventory right afterwards."""
    ops = standing.site.ops
    before = {path: ops.show("main", path) + "\n" for path in (MAIL_FILE, SETTINGS)}
    yield standing
    ops.edit({**before, "inventory/example.com/mail-rsa.yaml": ""})
    ops.edit({"inventory/example.com/mail-rsa.yaml": None})


def test_a_second_service_at_the_same_name_waits(story: Story) -> None:
    """Two services want records at one name: nothing is published for either."""
    rsa = MAIL_YAML.replace("{ktype: ec, ec_algo: secp256r1}", "{ktype: rsa, rsa_bits: 2048}")
    story.site.ops.edit({"inventory/example.com/mail-rsa.yaml": rsa})

    assert "has records at this name too" in published(story)


def test_dane_that_was_switched_off_waits(story: Story) -> None:
    """The record stays, and what it speaks for is not replaced by something it does not match."""
    story.site.ops.edit({MAIL_FILE: MAIL_YAML.replace(DANE, "").replace("dane_tls_ttl: 3600\n", "")})

    assert "no service has this name any more" in published(story)

    curr = story.slot("curr")
    story.run("renew", MAIL_TARGET, "--force", "--apply").succeeded()
    story.pass_time()
    story.run("roll", "--apply").succeeded()

    assert curr == story.slot("curr")


def test_a_port_that_changed_waits(story: Story) -> None:
    """The records of the old port stay, and the new one gets none."""
    story.site.ops.edit({MAIL_FILE: MAIL_YAML.replace("[25, tcp", "[465, tcp")})
    said = published(story)

    assert "no service has this name any more" in said
    assert f"its port changed, and the records at {OWNER} cannot be withdrawn yet" in said


def test_a_retired_service_waits(story: Story) -> None:
    """A service that left the inventory keeps its record: hosts may serve it for ever."""
    settings = story.site.ops.show("main", SETTINGS)

    assert NO_LONGER_SERVED[0] in settings

    story.site.ops.edit({MAIL_FILE: None, SETTINGS: settings.replace(*NO_LONGER_SERVED) + "\n"})

    assert "no service has this name any more" in published(story)


def published(story: Story) -> str:
    """Publish, and return what was said; AssertionError when a record or the include file changed."""
    before = [story.site.dns.read(path) for path in INCLUDES]
    served = story.served()
    done = story.run("publish", "--apply", "--detailed-exitcode")

    assert 4 == done.exit_code
    assert before == [story.site.dns.read(path) for path in INCLUDES]
    assert frozenset() not in story.site.dns.show(OWNER)
    assert served == story.served()
    assert set(HOSTS) == served.keys()
    assert [] == story.broken()

    return done.stdout
