"""Requests, comments and the dashboard, on all three forges: what is written, what is found, and what is left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sslops.errors import ForgeError
from sslops.model.forges import Forge
from sslops.model.proposal import Kind, RequestState
from tests.integration.forges.bench import DIGEST, OTHER, Bench
from tests.world.forge import Rights, Role

if TYPE_CHECKING:
    from collections.abc import Callable

MARKER = "<!-- sslops-dashboard -->"


def test_a_request_is_opened_and_found(bench: Bench) -> None:
    """What was proposed is what the forge shows: title, body with its digest, branch, commit."""
    client = bench.client()
    opened = client.open(bench.proposal())
    found = client.requests(Kind.TLSA, "main")

    assert [opened.number] == [each.number for each in found]
    assert ("TLSA records", DIGEST) == (found[0].title, found[0].digest)
    assert ("sslops/tlsa", "main", bench.head) == (found[0].source, found[0].target, found[0].head)
    assert (RequestState.OPEN, False) == (found[0].state, found[0].is_scheduled)
    assert found[0].url.startswith(bench.forge.url)


def test_an_open_request_is_not_opened_twice(bench: Bench) -> None:
    """Another run was faster: its request is the answer, unchanged."""
    client = bench.client()
    first = client.open(bench.proposal())
    second = client.open(bench.proposal(OTHER, "something else"))

    assert (first.number, "TLSA records") == (second.number, second.title)
    assert 1 == len(bench.project.requests())


def test_a_request_is_edited_commented_and_closed(bench: Bench) -> None:
    """Each write does what it says, once."""
    client = bench.client()
    request = client.open(bench.proposal())
    client.edit(request, title="new title", body="new body")
    client.comment(request, "the plan changed")
    client.close(request)
    kept = bench.project.request(request.number)

    assert ("new title", "new body") == (kept.title, kept.body)
    assert ["the plan changed"] == [each.text for each in kept.comments if not each.is_system]
    assert [RequestState.CLOSED] == [each.state for each in client.requests(Kind.TLSA, "main")]


def test_open_requests_and_the_newest_that_ended_are_listed(bench: Bench) -> None:
    """Newest first, over several pages, and only those from the kind's branch into the target."""
    bot = bench.forge.user("sslops-bot")
    bench.commit("other", "other")
    bench.commit("release", "release")
    bench.project.open(bot, "other", "main", "somebody's", "")
    bench.project.open(bot, "sslops/tlsa", "release", "another target", "")
    for number in range(120):
        request = bench.project.open(bot, "sslops/tlsa", "main", f"request {number}", "")
        bench.project.set_open(request, bot, is_open=False)
    still_open = bench.project.open(bot, "sslops/tlsa", "main", "the open one", "")
    found = bench.client().requests(Kind.TLSA, "main")

    assert 101 == len(found)
    assert ("the open one", still_open.number) == (found[0].title, found[0].number)
    assert sorted((each.number for each in found), reverse=True) == [each.number for each in found]
    assert {("sslops/tlsa", "main")} == {(each.source, each.target) for each in found}


def test_reading_writes_nothing(bench: Bench) -> None:
    """A look is a look."""
    bench.client().requests(Kind.TLSA, "main")

    assert [] == bench.project.writes


def test_a_remark_is_kept_up_to_date_in_place(bench: Bench) -> None:
    """One comment with our marker; saying the same again writes nothing, and somebody else's is not ours."""
    client = bench.client()
    number = client.open(bench.proposal()).number
    bench.project.comment(number, f"quoting {MARKER}", by="reviewer")
    first = client.put_remark(number, MARKER, f"{MARKER}\nplan: 1")
    again = client.put_remark(number, MARKER, f"{MARKER}\r\nplan: 1\n")
    changed = client.put_remark(number, MARKER, f"{MARKER}\nplan: 2")
    texts = [each.text for each in bench.project.request(number).comments if not each.is_system]

    assert (True, False, True) == (first, again, changed)
    assert [f"quoting {MARKER}", f"{MARKER}\nplan: 2"] == texts


def test_the_dashboard_is_one_issue(bench: Bench) -> None:
    """Opened once, edited in place, left alone when it says so already; an issue of another author is not ours."""
    client = bench.client()
    bench.project.open_issue(bench.forge.user("reviewer"), "a copy", MARKER)
    first = client.put_issue(MARKER, "Certificates", f"all well {MARKER}")
    again = client.put_issue(MARKER, "Certificates", f"all well {MARKER}")
    changed = client.put_issue(MARKER, "Certificates", f"one due {MARKER}")

    assert (True, False, True) == (first, again, changed)
    assert [MARKER, f"one due {MARKER}"] == [each.body for each in bench.project.issues.values()]


def test_a_refusal_names_project_call_right_and_variable(bench: Bench) -> None:
    """A token that may only read cannot propose, and the error says what it needs and where to put another."""
    with pytest.raises(ForgeError) as refused:
        bench.client(Rights.READ).open(bench.proposal())

    assert (
        f"'infra/dns' on {Forge.of(bench.kind).label}: the token in SSLOPS_DNS_TOKEN may not open" in refused.value.what
    )
    assert PROPOSE[bench.kind] in (refused.value.hint or "")
    assert "docs/forges.md" in (refused.value.hint or "")


def test_an_expired_token_is_told(bench: Bench) -> None:
    """Not by its value."""
    secret = bench.forge.token("sslops-bot", is_expired=True)
    with pytest.raises(ForgeError) as refused:
        bench.with_token(secret).requests(Kind.TLSA, "main")

    assert (
        f"'infra/dns' on {Forge.of(bench.kind).label}: the token in SSLOPS_DNS_TOKEN is not accepted"
        == refused.value.what
    )
    assert secret not in refused.value.render()


def test_a_project_that_is_not_there_is_told(bench: Bench) -> None:
    """A forge hides what a token may not see; both readings are in the message."""
    with pytest.raises(ForgeError) as refused:
        bench.with_token(bench.secret, "infra/nowhere").requests(Kind.TLSA, "main")

    assert "'infra/nowhere' on" in refused.value.what
    assert "cannot see the project, or may not read merge requests" in refused.value.what


def test_a_role_that_may_not_merge_is_told(start_bench: Callable[[str], Bench]) -> None:
    """GitLab answers with 401, which anywhere else means a bad token."""
    bench = start_bench("gitlab")
    request = bench.client().open(bench.proposal())
    bench.project.protection().may_merge = Role.MAINTAINER
    with pytest.raises(ForgeError) as refused:
        bench.client(Rights.ALL, Role.DEVELOPER).merge(request, bench.head)

    assert "may not merge request 1: its role may not merge into this branch" in refused.value.what


def test_the_client_of_another_forge_says_so(start_bench: Callable[[str], Bench]) -> None:
    """`forge: gitlab` over a Forgejo is a mistake of one word, not a traceback."""
    bench = start_bench("forgejo")
    bench.kind = "gitlab"
    with pytest.raises(ForgeError) as refused:
        bench.client().requests(Kind.TLSA, "main")

    assert "'infra/dns' on GitLab" in refused.value.what


PROPOSE = {
    "gitlab": "the scope 'api' and the role Developer",
    "github": "'Pull requests: write' and 'Contents: write'",
    "forgejo": "'write:repository' and 'write:issue'",
    "gitea": "'write:repository' and 'write:issue'",
}
