"""The whole cycle where people merge: challenges, TLSA and rolls as requests, reviewed days late, on each forge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sslops.system.processes import without_secrets
from tests.rows import DIALECTS, rows
from tests.system.story import MAIL_TARGET, Story
from tests.world.forge import Rights
from tests.world.forge_site import BOT, ForgeSite
from tests.world.leaks import holds_key
from tests.world.site import HOSTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.world.forge import Project

TWO_DAYS = 2 * 86400
ACME, TLSA, ROLL = "sslops/acme", "sslops/tlsa", "sslops/roll"
BUTTONS = {"gitlab": "merge", "github": "squash", "forgejo": "rebase"}
"""Each forge with another shape of merges."""


@pytest.fixture
def start_forge_site(world_folder: Path) -> Iterator[Callable[..., ForgeSite]]:
    """Yield a function that starts a site on a forge, with the arguments of `ForgeSite` (but for its folder)."""
    started: list[ForgeSite] = []

    def start(dialect: str, **wishes: object) -> ForgeSite:
        started.append(ForgeSite(world_folder / f"forge{len(started)}", dialect, **wishes))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for each in started:
        each.close()


def logged(world: ForgeSite) -> Path:
    """Let every run of *world* write its steps to a log from now on, and return it."""
    log = world.site.ops.folder.parent / "debug.log"
    world.site.ops.environment["SSLOPS_LOG"] = str(log)
    return log


def assert_log_has_no_secret(log: Path, environment: Mapping[str, str]) -> None:
    """Fail when the log of all runs lacks their steps, or has a secret of theirs."""
    steps = log.read_bytes()
    secrets = environment.keys() - without_secrets(environment).keys()

    assert b"POST " in steps
    assert {"SSLOPS_FORGE_TOKEN", "SSLOPS_DNS_TOKEN"} <= secrets
    assert [] == [name for name in secrets if environment[name].encode() in steps]
    assert not holds_key(steps)


# `test_pipelines.py` has the whole cycle on the two others in every run of the suite.
@pytest.mark.parametrize("dialect", rows(DIALECTS, ("forgejo",)))
def test_people_review_the_whole_cycle_days_late(start_forge_site: Callable[..., ForgeSite], dialect: str) -> None:
    """Nothing moves without a person, nothing is said twice, and whatever is late, DANE never breaks."""
    world = start_forge_site(dialect, has_acme=True)
    story, log = Story(world.site), logged(world)

    def merge(project: Project, source: str) -> None:
        project.merge(world.open_request(project, source).number, BUTTONS[dialect])
        world.site.dns.settle()
        assert [] == story.broken()

    def run(*words: str) -> str:
        said = story.run(*(words or ("run",)), "--apply").succeeded().stdout
        assert [] == story.broken()
        return said

    # Challenges wait for a person, with the address; a second run has nothing to say to the forge.
    proposed = run()
    before = world.writes()
    waiting = run()

    assert world.zones.web_url in proposed.partition("\nmerge requests\n")[2]

    assert before == world.writes()
    assert world.zones.web_url in waiting

    merge(world.zones, ACME)
    run()
    first = story.slot("curr", "next")
    merge(world.zones, ACME)
    merge(world.certs, ROLL)
    run()

    assert dict.fromkeys(HOSTS, first) == story.served()
    assert (frozenset(), frozenset()) == story.records()

    # The next certificate comes while the first records still wait for their review.
    run("renew", MAIL_TARGET, "--force")
    merge(world.zones, ACME)
    run()
    second = story.slot("next", "next")
    merge(world.zones, ACME)
    story.pass_time(TWO_DAYS)
    merge(world.zones, TLSA)

    assert ({first, second},) * 2 == story.records()

    run()
    story.pass_time()
    run()

    assert dict.fromkeys(HOSTS, first) == story.served()

    story.pass_time(TWO_DAYS)
    merge(world.certs, ROLL)
    run()

    assert dict.fromkeys(HOSTS, second) == story.served()

    # One request withdraws the old record and adds the key of the generation after this one.
    third = story.slot("next", "next")
    story.pass_time(TWO_DAYS)
    merge(world.zones, TLSA)
    run()
    quiet = world.writes(), world.site.ops.refs()
    run()

    assert ({second, third},) * 2 == story.records()
    assert quiet == (world.writes(), world.site.ops.refs())

    assert_log_has_no_secret(log, world.site.ops.environment)


def test_a_work_tree_that_is_behind_does_not_decide_who_merges(start_forge_site: Callable[..., ForgeSite]) -> None:
    """It knows of no forge yet; main does, and so the roll is a request."""
    world = start_forge_site("gitlab")
    world.site.ops.git("reset", "--quiet", "--hard", "HEAD~1")
    world.sslops("renew", "--apply").succeeded()
    main = world.site.ops.refs()["main"]
    world.sslops("roll", "--apply").succeeded()

    assert main == world.site.ops.refs()["main"]
    assert world.open_request(world.certs, ROLL).number


def test_a_token_that_may_only_push_gets_its_requests_by_the_push(start_forge_site: Callable[..., ForgeSite]) -> None:
    """The roll's and that of the records, once each; the API is never written to."""
    world = start_forge_site("gitlab")
    story, secret = Story(world.site), world.forge.token(BOT, Rights.PUSH)
    world.site.ops.environment |= dict.fromkeys(("SSLOPS_FORGE_TOKEN", "SSLOPS_DNS_TOKEN"), secret)
    for project, source in ((world.certs, ROLL), (world.zones, TLSA)):
        said = story.run("run", "--apply").succeeded().stdout
        request, pushes = world.open_request(project, source), list(project.pushes)

        assert "the token may only push" in " ".join(said.split())

        story.run("run", "--apply").succeeded()

        assert pushes == [*project.pushes]

        project.merge(request.number)
        world.site.dns.settle()

    assert [] == world.writes()
    assert [] == story.broken()
