"""What a test can order to go wrong on the local forge, seen with plain HTTP."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world.forge import Forge

PATHS = {
    "gitlab": "/projects/infra%2Fdns/merge_requests",
    "github": "/repos/infra/dns/pulls",
    "forgejo": "/repos/infra/dns/pulls",
}
WISHES = {
    "gitlab": {"source_branch": "sslops/tlsa", "target_branch": "main", "title": "Records"},
    "github": {"head": "sslops/tlsa", "base": "main", "title": "Records"},
    "forgejo": {"head": "sslops/tlsa", "base": "main", "title": "Records"},
}


@pytest.fixture(params=list(PATHS))
def forge(request: pytest.FixtureRequest, start_forge: Callable[[str], Forge]) -> Forge:
    """Return a forge of every dialect in turn."""
    return start_forge(request.param)


def ask(forge: Forge, method: str = "GET", timeout: float = 60) -> requests.Response:
    """List the requests, or open one."""
    headers = {"Authorization": f"Bearer {forge.token('bot')}"}
    url = forge.api_url + PATHS[forge.dialect]
    wish = WISHES[forge.dialect] if method == "POST" else None
    return requests.request(method, url, json=wish, headers=headers, timeout=timeout)


def test_a_bad_gateway_comes_once(forge: Forge) -> None:
    """From the proxy, so as HTML; then all is well."""
    forge.faults.bad_gateway()
    first, second = ask(forge), ask(forge)

    assert (502, "text/html", 200) == (first.status_code, first.headers["Content-Type"], second.status_code)


def test_a_lost_answer_may_hide_a_deed(forge: Forge) -> None:
    """The connection ends without a word, and yet the request was opened."""
    forge.faults.drop(method="POST")
    with pytest.raises(requests.ConnectionError):
        ask(forge, "POST")

    assert ["Records"] == [request.title for request in forge.project("infra/dns").requests()]
    assert [request["title"] for request in ask(forge).json()] == ["Records"]


def test_who_calls_too_often_is_told_when_to_come_again(forge: Forge) -> None:
    """GitLab and Forgejo by 429 and Retry-After, GitHub's primary limit by 403 and x-ratelimit-reset."""
    forge.faults.rate_limit(retry_after=7)
    refused = ask(forge)
    is_github = forge.dialect == "github"

    assert (403 if is_github else 429) == refused.status_code
    assert (None if is_github else "7") == refused.headers.get("Retry-After")
    assert ("0" if is_github else None) == refused.headers.get("x-ratelimit-remaining")
    assert 200 == ask(forge).status_code


def test_the_secondary_limit_of_github_says_how_long(start_forge: Callable[[str], Forge]) -> None:
    """403, Retry-After, and a message that clients know it by."""
    forge = start_forge("github")
    forge.faults.rate_limit(retry_after=3, secondary=True)
    refused = ask(forge)

    assert (403, "3") == (refused.status_code, refused.headers["Retry-After"])
    assert refused.json()["message"].startswith("You have exceeded a secondary rate limit")


def test_a_slow_answer_outlasts_an_impatient_client(forge: Forge) -> None:
    """Other calls go on meanwhile."""
    forge.faults.slow(3, method="POST")
    with pytest.raises(requests.Timeout):
        ask(forge, "POST", timeout=0.3)

    assert 200 == ask(forge).status_code


def test_somebody_else_may_be_faster(forge: Forge) -> None:
    """A person does something between what a client saw and what it does about it."""
    shown = forge.project("infra/dns")
    forge.faults.meanwhile(lambda: shown.delete_branch("sslops/tlsa"), method="POST")
    seen = ask(forge)

    assert (200, []) == (seen.status_code, seen.json())
    assert (404 if forge.dialect == "forgejo" else 422) == ask(forge, "POST").status_code


def test_of_many_who_open_at_once_one_succeeds(forge: Forge) -> None:
    """Calls are carried out one after the other, as in a database."""
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(ask(forge, "POST").status_code)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert 1 == found.count(201)
    assert {201, 422 if forge.dialect == "github" else 409} == set(found)
