"""Challenges as merge requests: shown and taken away by a person, or by the forge where that is the policy."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from sslops.acme.dns01 import ByRequest, Dns01
from sslops.app import descriptions
from sslops.errors import Refused
from sslops.model.acme import ChallengeType, Proof
from sslops.model.cause import Cause
from sslops.model.inventory import MergePolicy
from sslops.model.observations import WildcardAnswer
from sslops.model.proposal import Kind
from sslops.model.state import Order, Status
from sslops.proposals.dns_repository import ChallengeFiles
from tests.unit.repo.yard import MAIL, generation
from tests.world import remotes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sslops.errors import DnsError
    from sslops.model.plan import Hazard
    from tests.integration.proposals.desk import Desk
    from tests.world.forge import MergeRequest

BRANCH = Kind.ACME.branch
APEX, FILE = "example.com", "acme/acme-challenge.example.com"
OWNER = "_acme-challenge.mail.example.com."


def proof(value: str) -> Proof:
    """Return a proof for one name."""
    return Proof(ChallengeType.DNS_01, APEX, "mail.example.com", f"token-of-16-and-{value}", value.ljust(43, "_"))


class Look:
    """Name servers that show what main has."""

    hazards: tuple[Hazard, ...] = ()

    def __init__(self, desk: Desk) -> None:
        """Look at the repository of *desk*."""
        self._desk = desk

    def zone_of(self, owner: str) -> str | None:  # noqa: ARG002
        """Return the one apex."""
        return APEX

    def targets(self, owners: Iterable[str]) -> Mapping[str, str | DnsError]:
        """Know no alias."""
        return {owner: owner for owner in owners}

    def ending(self, owners: Iterable[str]) -> Mapping[str, tuple[WildcardAnswer, ...]]:
        """Know one wildcard, which reaches `w`."""
        given = WildcardAnswer("w.example.com.", "CNAME", 300, ("lb.example.org.",), "*.example.com.")
        return {owner: (given,) if owner == "_acme-challenge.w.example.com." else () for owner in owners}

    def missing(self, records: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
        """Ask main."""
        return {record: "not there" for record in records if record[1] not in shown(self._desk)}


def shown(desk: Desk) -> str:
    """Return the challenge file as main has it."""
    return remotes.git(desk.zones.path, "show", f"main:{FILE}")


def solver(desk: Desk, *orders: tuple[int, Proof], force: bool = False) -> Dns01:
    """Return what shows challenges; *orders* are the generations that are under way, each with its proof."""
    if FILE not in remotes.git(desk.zones.path, "ls-tree", "-r", "--name-only", "main"):
        desk.person.push({FILE: ""}, "the challenges' file")
    files = ChallengeFiles(desk.dns.git, "main", "acme", "test#1")
    files.refresh()
    order = Order("https://ca.example.com/order/1", generation(1).created_at, ())
    made = {
        each: (MAIL, replace(generation(number), status=Status.ORDERED, order=order, issued=None))
        for number, each in orders
    }
    describe = partial(descriptions.acme, lambda: made)
    way = ByRequest(files, desk.requests(Kind.ACME, force=force), describe, lambda: made, lambda _: None)
    return Dns01(files, Look(desk), (APEX,), frozenset(), lambda: None, way)


def the_open_one(desk: Desk) -> MergeRequest:
    """Return the one open request."""
    (found,) = (each for each in desk.zones.requests() if each.is_open)
    return found


def test_the_reviewer_sees_what_comes_in_place_of_a_wildcard(desk: Desk) -> None:
    """The branch has it beside the challenge, the request names it, and a second look changes nothing."""
    wanted = replace(proof("w"), name="w.example.com")
    for _ in range(2):
        solver(desk, (2, wanted)).publish(frozenset({wanted}))
    body = the_open_one(desk).body

    assert "w.example.com. 300 IN CNAME lb.example.org." in body
    assert "w.example.com. 300 IN CNAME lb.example.org. ; instead of the wildcard *.example.com." in (
        remotes.git(desk.zones.path, "show", f"sslops/acme:{FILE}")
    )
    assert 1 == len(list(desk.zones.requests()))


def test_a_challenge_waits_for_its_reviewer_and_is_taken_away_the_same_way(desk: Desk) -> None:
    """The obstacle is the request; a later run finds the record, and the empty file is the next request."""
    wanted = proof("a")
    first = solver(desk, (2, wanted))
    first.publish(frozenset({wanted}))
    writes = list(desk.zones.writes)

    assert first.obstacle is not None
    assert (Cause.REVIEW, True) == (first.obstacle.cause, desk.zones.web_url in first.obstacle.why)
    assert {wanted} == first.missing(frozenset({wanted})).keys()

    solver(desk, (2, wanted)).publish(frozenset({wanted}))

    assert writes == desk.zones.writes

    desk.zones.merge(the_open_one(desk).number, "squash")
    later = solver(desk, (2, wanted))
    later.publish(frozenset({wanted}))

    assert (None, {}) == (later.obstacle, later.missing(frozenset({wanted})))

    later.clean(frozenset({wanted}))

    assert 2 == the_open_one(desk).number
    assert "" == remotes.git(desk.zones.path, "show", f"{BRANCH}:{FILE}")


def test_the_forge_merges_challenges_where_that_is_the_policy(desk: Desk) -> None:
    """The same run sees the base have them, and takes them away again."""
    desk.policy, wanted = MergePolicy.AUTO, proof("a")
    auto = solver(desk, (2, wanted))
    auto.publish(frozenset({wanted}))

    assert (None, {}) == (auto.obstacle, auto.missing(frozenset({wanted})))
    assert f'{OWNER} 60 IN TXT "{wanted.value}"' == shown(desk)

    auto.clean(frozenset({wanted}))

    assert "" == shown(desk)


def test_a_closed_request_declines_the_generation_and_no_other(desk: Desk) -> None:
    """Another order for the same generation is not asked for; a new generation, or force, is."""
    solver(desk, (2, proof("a"))).publish(frozenset({proof("a")}))
    desk.zones.close(the_open_one(desk).number)
    again = solver(desk, (2, proof("b")))
    again.publish(frozenset({proof("b")}))

    assert again.obstacle is not None
    assert (Cause.DECLINED, True) == (again.obstacle.cause, again.obstacle.why.startswith("declined: "))
    assert "" == remotes.git(desk.zones.path, "diff", "main", BRANCH)

    solver(desk, (3, proof("c"))).publish(frozenset({proof("c")}))

    assert 2 == the_open_one(desk).number

    desk.zones.close(2)
    solver(desk, (3, proof("c")), force=True).publish(frozenset({proof("c")}))

    assert 3 == the_open_one(desk).number


def test_challenges_that_nobody_needs_before_they_were_merged_are_withdrawn(desk: Desk) -> None:
    """The order failed: the request is closed by the bot, and declines nothing."""
    wanted = proof("a")
    failed = solver(desk, (2, wanted))
    failed.publish(frozenset({wanted}))
    failed.clean(frozenset({wanted}))

    assert not desk.zones.request(1).is_open
    assert "sslops-plan: withdrawn" in desk.zones.request(1).body

    solver(desk, (2, proof("b"))).publish(frozenset({proof("b")}))

    assert 2 == the_open_one(desk).number


def test_a_commit_of_a_person_on_the_challenge_branch_stops_the_bot(desk: Desk) -> None:
    """As on every branch of the bot's."""
    solver(desk, (2, proof("a"))).publish(frozenset({proof("a")}))
    desk.person.push({FILE: "; mine\n"}, "my own idea", BRANCH)
    with pytest.raises(Refused, match="'sslops/acme' has commit"):
        solver(desk, (2, proof("b"))).publish(frozenset({proof("b")}))
