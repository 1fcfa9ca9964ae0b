"""A roll is taken back by a verb, on real git, name servers and ssh servers."""

from __future__ import annotations

from subprocess import CalledProcessError
from typing import TYPE_CHECKING

import pytest

from tests.system.story import LONG_TTL, MAIL, rolled
from tests.world.remotes import git
from tests.world.site import HOSTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world.site import Site


def test_a_roll_is_taken_back_although_main_went_on(start_site: Callable[..., Site]) -> None:
    """`main` has the prepublished key of the following generation by then, and git cannot revert the roll any more.

    The record of what was live before is withdrawn. The pointers go back at once, publish brings the record back, and
    hosts follow when every cache has it.
    """
    story = rolled(start_site(files=LONG_TTL))
    first, second = story.slot("prev"), story.slot("curr")
    roll = git(story.site.ops.remote or story.site.ops.folder, "rev-parse", "main")
    story.run("run", "--apply").succeeded()
    following = story.slot("next", "next")
    git(story.site.ops.remote or story.site.ops.folder, "update-ref", "refs/heads/main", "refs/heads/next")

    assert following == story.slot("next")

    person = story.site.ops._person

    assert person is not None

    with pytest.raises(CalledProcessError):
        person.revert(roll)

    done = story.run("roll", "--back", MAIL, "--apply").succeeded()

    assert f"{first} is live again instead of {second}" in done.stdout
    assert (first, second) == (story.slot("curr"), story.slot("refused"))

    story.run("run", "--apply").succeeded()

    assert dict.fromkeys(HOSTS, second) == story.served()
    assert first in story.records()[0]

    story.pass_time()
    story.run("deploy", "--apply").succeeded()

    assert dict.fromkeys(HOSTS, first) == story.served()
    assert [] == story.broken()
