"""The digest that a person reviews."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from sslops.errors import Refused
from sslops.model.cause import Cause
from sslops.model.names import GenerationId
from sslops.model.plan import Action, Hazard, HazardName, Plan, Verb, Wait, digest, joined, require

ACTION = Action(Verb.ROLL, "example.com", "mail-ec", "roll", "ready", GenerationId("g"), ("b",), "because")
WAIT = Wait(Verb.ROLL, "example.com", "mail-ec", "roll", None, "later", Cause.REVIEW)
HAZARD = Hazard(HazardName.HOST_REMOVED, "smtp1", "still served")


def test_the_digest_is_the_hash_of_canonical_json() -> None:
    """UTF-8, sorted keys, no spaces."""
    text = (
        '[{"generation":"g","group":"example.com","reason":"ready","service":"mail-ec",'
        '"targets":["b"],"verb":"roll","what":"roll"}]'
    )
    assert "sha256:" + hashlib.sha256(text.encode()).hexdigest() == digest(Plan((ACTION,)))


def test_prose_waits_and_hazards_do_not_count() -> None:
    """What is done counts, not what is said or seen."""
    assert digest(Plan((ACTION,))) == digest(Plan((replace(ACTION, why="other words"),), (WAIT,), (HAZARD,)))


@pytest.mark.parametrize(
    "changes", [{"targets": ("b", "c")}, {"reason": "forced"}, {"generation": GenerationId("h")}, {"service": "web"}]
)
def test_what_is_done_counts(changes: dict[str, object]) -> None:
    """Targets, reasons, generations and services."""
    assert digest(Plan((ACTION,))) != digest(Plan((replace(ACTION, **changes),)))  # type: ignore[arg-type]


def test_the_order_in_which_plans_are_joined_does_not_matter() -> None:
    """Joined plans are sorted by verb, group and service."""
    parts = [Plan((replace(ACTION, service=name, verb=verb),)) for name in "ba" for verb in (Verb.DEPLOY, Verb.RENEW)]
    assert digest(joined(parts)) == digest(joined(parts[::-1])) == digest(parts[2] + parts[0] + parts[3] + parts[1])


def test_another_plan_is_refused() -> None:
    """`--plan DIGEST` holds a run to what was reviewed."""
    require(Plan(), None)
    require(Plan(), digest(Plan()))
    with pytest.raises(Refused):
        require(Plan((ACTION,)), digest(Plan()))
