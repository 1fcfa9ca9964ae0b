"""The command line against a whole site: without a remote, with a plan's digest, and what its exit codes say."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.system.story import LONG_TTL, MAIL_TARGET, Story, settled
from tests.world.site import HOSTS, WEB_EC

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world.site import Site

NEW_SERVICE = {"inventory/example.net/mail-ec.yaml": WEB_EC.format(domain="mail.example.net")}


def test_without_a_remote_the_local_branches_are_the_truth_and_a_clean_checkout_follows(
    start_site: Callable[..., Site],
) -> None:
    """The whole loop runs on one clone; changes that nobody committed stop it before anything happens."""
    site = start_site(files=LONG_TTL, has_remote=False)
    story = settled(site)

    assert "" == site.ops.git("status", "--porcelain")
    assert story.slot("curr") in (site.ops.folder / "state/example.com/mail-ec/slots.yaml").read_text()
    assert site.ops.refs()["main"] == site.ops.git("rev-parse", "HEAD")

    remark = site.ops.folder / "inventory/example.com/web-ec.yaml"
    remark.write_text(remark.read_text() + "# a remark\n")
    before = site.ops.refs()
    refused = story.run("renew", MAIL_TARGET, "--force", "--apply")

    assert 1 == refused.exit_code
    assert "the work tree has changes that are not committed: 'inventory/example.com/web-ec.yaml'" in refused.stderr
    assert "hint: git add -A && git commit, or git stash" in refused.stderr
    assert before == site.ops.refs()
    assert remark.read_text().endswith("# a remark\n")

    story.run("renew", MAIL_TARGET, "--force").succeeded()
    site.ops.git("stash", "--quiet")
    story.run("renew", MAIL_TARGET, "--force", "--apply").succeeded()

    assert before["next"] != site.ops.refs()["next"]


def test_a_plan_that_is_stale_is_refused_and_the_fresh_one_is_applied(site: Site) -> None:
    """Between the plan and `--apply` a service came into the inventory, so the digest is another one."""
    stale = digest(site, "renew")
    site.ops.edit(NEW_SERVICE)
    before = site.ops.refs()
    refused = site.sslops("renew", "--apply", "--plan", stale)

    assert 3 == refused.exit_code
    assert before == site.ops.refs()

    site.sslops("renew", "--apply", "--plan", digest(site, "renew")).succeeded()

    assert "next" in site.ops.refs()


def test_a_plan_is_the_same_in_every_process(site: Site) -> None:
    """Whatever the order of sets there; each starts from nothing, as on a person's machine (`ops.sslops` forks)."""
    command = [sys.executable, "-m", "sslops", "-C", str(site.ops.folder), "plan", "--json"]
    plans = [
        subprocess.run(
            command, env=site.ops.environment | {"PYTHONHASHSEED": seed}, capture_output=True, check=True, timeout=60
        ).stdout
        for seed in ("1", "2", "3")
    ]

    assert 1 == len({json.loads(plan)["digest"] for plan in plans})


def test_exit_codes_say_pending_waiting_and_done_where_they_are_asked_for(start_site: Callable[..., Site]) -> None:
    """6 while changes are pending, 4 while something waits, 0 when there is nothing; always 0 without the option."""
    site = start_site(files=LONG_TTL)
    story = Story(site)

    assert 6 == story.run("renew", "--detailed-exitcode").exit_code
    assert 0 == story.run("renew").exit_code

    story = settled(site)
    story.run("renew", "--apply").succeeded()

    assert 0 == story.run("renew", "--detailed-exitcode").exit_code
    assert 0 == story.run("deploy", "--apply", "--detailed-exitcode").exit_code
    assert 6 == story.run("publish", "--detailed-exitcode").exit_code

    story.run("renew", MAIL_TARGET, "--force", "--apply").succeeded()
    story.run("publish", "--apply").succeeded()

    assert 4 == story.run("roll", "--apply", "--detailed-exitcode").exit_code
    assert 0 == story.run("roll", "--apply").exit_code
    assert 2 == story.run("roll", "example.com:no-such-service").exit_code
    assert dict.fromkeys(HOSTS, story.slot("curr")) == story.served()


def digest(site: Site, verb: str) -> str:
    """Return the digest of what *verb* would do now."""
    found: str = json.loads(site.sslops(verb, "--json").succeeded().stdout)["digest"]
    return found
