"""What somebody has to act on, with real name servers: told with its cause, a failure after a grace, and mended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.system.story import INCLUDES, LONG_TTL, MAIL_TARGET, Story, settled
from tests.system.test_wildcards import add, edit_zone, shown, with_another_tool, without_another_tool
from tests.world.dns_files import ACME_DIR
from tests.world.site import HOSTS, OWNER

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world.ops import Finished
    from tests.world.site import Site

HOUR = 3600


@pytest.fixture
def long_ttl(start_site: Callable[..., Site]) -> Site:
    """Return a site whose records live for an hour in caches."""
    return start_site(files=LONG_TTL)


@pytest.fixture
def story(start_site: Callable[..., Site]) -> Story:
    """Return a site at rest whose records live for an hour in caches."""
    return settled(start_site(files=LONG_TTL))


def waits(finished: Finished) -> list[dict[str, str]]:
    """Return what one command said that waits or is blocked."""
    found: list[dict[str, str]] = json.loads(finished.stdout)["waits"]
    return found


def test_what_name_servers_never_load_is_blocked_and_fails_after_an_hour(story: Story) -> None:
    """Nothing has to be rolled, so only publish can tell; the ledger learns it once, and that it is over."""
    site = story.site
    story.run("renew", MAIL_TARGET, "--force", "--new-key", "--apply").succeeded()
    site.dns.hold()
    story.run("publish", "--apply", patches=["sslops.publish.steps:LOOK_SECONDS=1"]).succeeded()
    first = story.run("publish", "--apply", "--json").succeeded()
    ledger = site.ops.git_remote("rev-parse", "ledger")
    story.pass_time(HOUR // 2)
    again = story.run("publish", "--apply", "--json").succeeded()

    assert ledger == site.ops.git_remote("rev-parse", "ledger")
    assert {("blocked", "not-loaded")} == {(wait["kind"], wait["cause"]) for wait in waits(first)}
    assert [wait["since"] for wait in waits(first)] == [wait["since"] for wait in waits(again)]
    assert all(OWNER in wait["why"] and "tlsa.example.com" in wait["next"] for wait in waits(again))

    story.pass_time(HOUR)

    assert 1 == story.run("plan").exit_code
    assert 1 == story.run("publish", "--apply").exit_code

    site.dns.release()
    site.dns.settle()
    story.run("publish", "--apply").succeeded()

    assert "blocked.yaml" not in site.ops.git_remote("ls-tree", "--name-only", "ledger")


def test_an_include_file_as_people_write_it_is_read_as_the_name_servers_read_it(story: Story) -> None:
    """Relative names, `$TTL` and data in words are the same records; a line that is none has a place."""
    story.edit_include(
        lambda text: (
            "$TTL 3600\n"
            + text.replace(".example.com. 3600 IN", "")
            .replace("TLSA 3 1 1 ", "TLSA ( 3 1 1\n    ")
            .replace(" ; ", " ) ; ")
        )
    )
    found = story.run("publish", "--apply", "--json").succeeded()

    assert ([], []) == (json.loads(found.stdout)["actions"], waits(found))

    story.site.dns.edit({INCLUDES[0]: f"{story.site.dns.read(INCLUDES[0])}\n   oops\n"}, "by hand")
    line = story.site.dns.read(INCLUDES[0]).splitlines().index("   oops") + 1
    found = story.run("publish", "--apply", "--json").succeeded()

    assert {"dns-unobserved"} == {wait["cause"] for wait in waits(found)}
    assert f"{INCLUDES[0]}:{line}:4" in waits(found)[0]["why"]


def test_an_alias_where_records_belong_is_no_silent_name_server(story: Story) -> None:
    """It is about that one name, nobody can consent to it, and taking it out of the zone ends it."""
    alias = {f"{ACME_DIR}/acme-challenge.example.com": f"{OWNER} 7 IN CNAME other.example.com.\n"}
    story.site.dns.edit({**dict.fromkeys(INCLUDES, ""), **alias}, "by hand")
    story.site.dns.settle()
    found = story.run("plan", "--json")
    document = json.loads(found.stdout)

    assert {(OWNER, "alias")} == {(wait["what"], wait["cause"]) for wait in waits(found) if wait["for"] == "publish"}
    assert [] == document["hazards"]

    story.site.dns.edit(dict.fromkeys(alias, ""), "by hand")
    story.site.dns.settle()

    assert "alias" not in {wait["cause"] for wait in waits(story.run("plan", "--json"))}


def test_status_says_why_a_host_is_not_served_and_since_when(site: Site) -> None:
    """The run that fails tells it of each host, as JSON too; once the host answers nothing of it is left."""
    down, up = HOSTS
    site.sslops("renew", "--apply").succeeded()
    site.sslops("roll", "--apply").succeeded()
    site.hosts[down].stop()
    failed = site.sslops("deploy", "--apply", "--json")
    document = json.loads(failed.stdout)
    results = {(each["host"], each["result"]) for each in document["results"] if each["what"] == "serve"}
    lines = {each["service"]: each for each in json.loads(site.sslops("status", "--json").stdout)["services"]}
    trouble = lines["mail-ec"]["troubles"][down]

    assert (1, {(down, "failed"), (up, "done")}) == (failed.exit_code, results)
    assert [down] == list(lines["mail-ec"]["troubles"])
    assert trouble["why"] in document["errors"][0]["what"]
    assert any(trouble["why"] in wait["why"] for wait in lines["mail-ec"]["waits"])

    site.hosts[down].start()
    site.sslops("deploy", "--apply").succeeded()

    assert "blocked.yaml" not in site.ops.git_remote("ls-tree", "--name-only", "ledger")


def test_an_alias_to_shared_records_gives_way_to_them_without_a_gap(long_ttl: Site) -> None:
    """A site with DANE through `_dane.mail`: blocked with the line that belongs there, and a failure after a day."""
    story, old = with_another_tool(long_ttl)
    alias = "_25._tcp.mail CNAME _dane.mail"
    add(story, alias, f"_dane.mail 7200 TLSA {old}")
    found = story.run("run", "--apply", "--json")
    (told,) = [wait for wait in waits(found) if wait["cause"] == "alias" and wait["for"] == "publish"]
    line = f"{OWNER} 7200 IN TLSA {old}"

    assert ("blocked", True) == (told["kind"], f"in its place belong '{line}'" in told["why"])
    assert {None} == set(story.served().values())

    story.pass_time(25 * HOUR)

    assert 1 == story.run("publish", "--apply").exit_code

    edit_zone(story, lambda text: text.replace(alias, line))
    story.run("run", "--apply").succeeded()

    assert {old} < shown(story)
    assert {None} == set(story.served().values())

    story.pass_time(5 * HOUR)
    without_another_tool(story)
    story.run("run", "--apply")

    assert dict.fromkeys(HOSTS, story.slot("curr")) == story.served()
    assert [] == story.broken()


@pytest.mark.soak
def test_an_alias_that_is_taken_out_still_counts_for_caches(long_ttl: Site) -> None:
    """Whoever takes it away without putting the records there has no DANE, and a key that caches still know."""
    story, old = with_another_tool(long_ttl)
    alias = "_25._tcp.mail CNAME _dane.mail"
    add(story, alias, f"_dane.mail 7200 TLSA {old}")
    story.run("run", "--apply")
    edit_zone(story, lambda text: text.replace(alias, ""))
    story.run("run", "--apply").succeeded()

    assert {None} == set(story.served().values())

    story.pass_time(5 * HOUR)
    without_another_tool(story)
    story.run("run", "--apply").succeeded()

    assert dict.fromkeys(HOSTS, story.slot("curr")) == story.served()
    assert [] == story.broken()
