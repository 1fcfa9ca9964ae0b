"""What goes wrong between us and a forge, on all three: waited out, looked at, or told; never done twice."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from sslops.errors import ForgeError
from sslops.model.proposal import Kind
from sslops.proposals.forges.wire import LARGEST_ANSWER_BYTES, LONGEST_WAIT_SECONDS
from tests.world.forge.calls import Reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.forges.bench import Bench

MARKER = "<!-- sslops-plan -->"


def opened(bench: Bench) -> int:
    """Return how many requests there are."""
    return len(bench.project.requests())


def test_a_bad_gateway_is_waited_out(bench: Bench) -> None:
    """Reading again harms nobody."""
    bench.forge.faults.bad_gateway(2)

    assert [] == list(bench.client().requests(Kind.TLSA, "main"))
    assert [1.0, 2.0] == bench.waits


def test_trouble_that_does_not_end_is_told(bench: Bench) -> None:
    """A bounded number of tries, and none of the proxy's HTML in the message."""
    bench.forge.faults.bad_gateway(99)
    with pytest.raises(ForgeError) as refused:
        bench.client().requests(Kind.TLSA, "main")

    assert "could not read merge requests: the forge is in trouble (HTTP 502)" in refused.value.what
    assert "<" not in refused.value.render()
    assert sum(bench.waits) <= LONGEST_WAIT_SECONDS


def test_what_the_forge_asks_to_wait_is_waited(bench: Bench) -> None:
    """Retry-After of a rate limit, for writes too: a request that was counted out was not carried out."""
    client = bench.client()
    bench.forge.faults.rate_limit(1, retry_after=7)
    request = client.open(bench.proposal())

    assert (1, 1) == (request.number, opened(bench))
    assert 1 == len(bench.waits)
    assert 5 < bench.waits[0] <= 9


def test_a_long_wait_is_left_to_the_next_run(bench: Bench) -> None:
    """A CI job is not kept for an hour; the message says how long it would have been."""
    bench.forge.faults.rate_limit(1, retry_after=3000)
    with pytest.raises(ForgeError, match="asks to wait") as refused:
        bench.client().requests(Kind.TLSA, "main")

    assert [] == bench.waits
    assert "the next run" in (refused.value.hint or "")


def test_githubs_second_limit_is_waited_out(start_bench: Callable[[str], Bench]) -> None:
    """It may come without Retry-After; then a minute is what GitHub wants."""
    bench = start_bench("github")
    bench.forge.faults.rate_limit(1, retry_after=None, secondary=True)
    bench.client().open(bench.proposal())

    assert ([60.0], 1) == (bench.waits, opened(bench))


@pytest.mark.parametrize("fault", ["drop", "bad_gateway"])
def test_a_request_that_was_opened_unseen_is_found(bench: Bench, fault: str) -> None:
    """The answer to the POST was lost; a second one would be refused or, worse, accepted."""
    getattr(bench.forge.faults, fault)(1, method="POST", after=True)
    request = bench.client().open(bench.proposal())

    assert (1, 1) == (request.number, opened(bench))
    assert 1 == len([call for call in bench.project.calls if call.method == "POST"])


def test_a_request_that_was_not_opened_is_opened(bench: Bench) -> None:
    """The POST was lost before it was carried out: we look, find nothing, and ask once more."""
    bench.forge.faults.drop(1, method="POST", after=False)

    assert 1 == bench.client().open(bench.proposal()).number
    assert 1 == opened(bench)


def test_a_comment_is_not_written_twice(bench: Bench) -> None:
    """As for requests."""
    client = bench.client()
    request = client.open(bench.proposal())
    bench.forge.faults.bad_gateway(1, method="POST", after=True)
    client.comment(request, f"the plan changed {MARKER}")
    texts = [each.text for each in bench.project.request(request.number).comments if not each.is_system]

    assert [f"the plan changed {MARKER}"] == texts


def test_the_dashboard_is_not_opened_twice(bench: Bench) -> None:
    """As for requests."""
    client = bench.client()
    bench.forge.faults.drop(1, method="POST", after=True)

    assert client.put_issue(MARKER, "Certificates", f"all well {MARKER}")
    assert 1 == len(bench.project.issues)


def test_a_forge_that_is_gone_is_told(bench: Bench) -> None:
    """Nobody listens there: tried again, then told; the address and the token are not."""
    client = bench.client()
    bench.close()
    with pytest.raises(ForgeError) as refused:
        client.requests(Kind.TLSA, "main")

    assert "the forge cannot be reached" in refused.value.what
    assert bench.secret not in refused.value.render()


HOSTILE = {
    "html": Reply(200, b"<html>please log in</html>", {"Content-Type": "text/html"}),
    "not what was asked": Reply(200, {"surprise": "\x1b[2J"}),
    "a list of nonsense": Reply(200, [1, None, {"iid": "x", "number": []}]),
    "not yet, for ever": Reply(202, {}),
    "too much": Reply(200, b" " * (LARGEST_ANSWER_BYTES + 1)),
    "elsewhere": Reply(302, {}, {"Location": "http://192.0.2.1/steal"}),
    "words": Reply(403, {"message": "\x1b[2Jno\nhttps://bot:hunter2@git.example.com " + "x" * 5000}),
}


@pytest.mark.parametrize("answer", HOSTILE)
def test_whatever_a_server_answers_ends_in_a_message(bench: Bench, answer: str) -> None:
    """A foreseen error: short, printable, without mark-up, credentials or a traceback."""
    bench.forge.faults._order(99, None, "", lambda: HOSTILE[answer])
    with pytest.raises(ForgeError) as refused:
        bench.client().requests(Kind.TLSA, "main")
    told = refused.value.render()

    assert all(line.isprintable() for line in told.splitlines())
    assert len(told) < 1000
    assert not {"hunter2", "<html", bench.secret, "192.0.2.1"} & set(told.split())
    assert "hunter2" not in told


def test_the_token_is_in_no_log(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Libraries log what they send when somebody asks them to."""
    caplog.set_level(logging.DEBUG)
    bench.client().open(bench.proposal())

    assert bench.secret not in caplog.text


def test_a_netrc_is_left_alone(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that a file has for this host must not replace the token."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    assert 1 == bench.client().open(bench.proposal()).number
