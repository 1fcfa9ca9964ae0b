"""TARGET words: what they name, and what they say when there is no such thing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sslops.errors import UsageError
from sslops.inventory.targets import parse_targets
from tests.unit.issue.site import MAIL, ROOT, SUB, WEB, usual

if TYPE_CHECKING:
    from sslops.model.names import ServiceId


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["example.com"], {MAIL, WEB}),
        (["example.com:mail-ec"], {MAIL}),
        (["example.com:mail-ec,web-ec", "ca:my-sub"], {MAIL, WEB, SUB}),
        (["ca:ALL"], {ROOT, SUB}),
        (["ca:*", "example.com:web-ec"], {ROOT, SUB, WEB}),
        (["example.com/mail-ec"], {MAIL}),
        (["example.com/mail-ec,web-ec", "ca/ALL"], {MAIL, WEB, ROOT, SUB}),
    ],
)
def test_a_target_names_a_group_or_some_of_its_services(words: list[str], expected: set[ServiceId]) -> None:
    """A group alone means all of its services; several words add up."""
    assert frozenset(expected) == parse_targets(words, usual())


def test_no_target_means_all_active_groups() -> None:
    """That is for each verb to read, so it is null."""
    assert parse_targets([], usual()) is None


@pytest.mark.parametrize(
    ("word", "what", "hint"),
    [
        ("example.con", "the inventory has no 'example.con'", "did you mean 'example.com'?"),
        ("example.com:mail-rsa", "the inventory has no 'example.com:mail-rsa'", "did you mean 'example.com:mail-ec'?"),
        ("example.com/mail-rsa", "the inventory has no 'example.com/mail-rsa'", "did you mean 'example.com/mail-ec'?"),
        ("example.con/mail-ec", "the inventory has no 'example.con'", "did you mean 'example.com'?"),
        ("ca:", "the inventory has no 'ca:'", "there are: my-root, my-sub"),
        ("", "the inventory has no ''", "there are: ca, example.com"),
    ],
)
def test_a_target_that_is_not_there_is_an_error_with_the_nearest_name(word: str, what: str, hint: str) -> None:
    """ssl-mgr dropped it silently and said that all was good."""
    with pytest.raises(UsageError) as caught:
        parse_targets([word], usual())

    assert (what, hint) == (caught.value.what, caught.value.hint)


def test_every_service_as_it_is_printed_is_a_target() -> None:
    """Whoever copies a name from an output, or from the subject of a commit, names that service alone."""
    inventory = usual()

    assert all(frozenset({service}) == parse_targets([str(service)], inventory) for service in inventory.services)
