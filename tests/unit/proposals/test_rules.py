"""What becomes of a proposal and the requests there are."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sslops.model.proposal import WITHDRAWN, Kind, MergeRequest, Proposal, RequestState, mark, marked
from sslops.proposals.rules import Declined, Edit, Keep, Nothing, Open, Withdraw, decide, withdrawn

THIS, OTHER = ("sha256:" + letter * 64 for letter in "ab")
HEAD = "1" * 40
WISH = Proposal(Kind.TLSA, "main", HEAD, THIS, "TLSA of example.com", f"text\n\n{mark(THIS)}\n")


def request(number: int, state: RequestState = RequestState.OPEN, digest: str = THIS) -> MergeRequest:
    """Return a request as the forge shows it."""
    url = f"https://git.example.com/infra/dns/pulls/{number}"
    return MergeRequest(number, url, state, Kind.TLSA.branch, "main", HEAD, WISH.title, marked(WISH.body, digest))


def test_nothing_to_propose_and_nothing_open_is_silence() -> None:
    """No call, whatever ended before."""
    assert Nothing() == decide(None, [request(1, RequestState.CLOSED), request(2, RequestState.MERGED)])


def test_the_first_proposal_is_opened() -> None:
    """There is no request of this kind yet."""
    assert Open(WISH) == decide(WISH, [])


def test_a_request_that_says_it_all_is_left_alone() -> None:
    """Forges change line ends and the space at the end, and that is no difference."""
    shown = replace(request(1), body=WISH.body.replace("\n", "\r\n").rstrip())

    assert Keep(shown) == decide(WISH, [shown])


def test_another_text_for_the_same_plan_is_edited_without_a_comment() -> None:
    """A reader is told only that the plan is another one."""
    shown = replace(request(1), title="an old title")

    assert Edit(shown, WISH, None) == decide(WISH, [shown])


def test_another_plan_is_edited_in_place_and_said() -> None:
    """One comment, with both digests in short."""
    found = decide(WISH, [request(1, digest=OTHER)])

    assert isinstance(found, Edit)
    assert found.comment is not None
    assert "`bbbbbbbbbbbb` -> `aaaaaaaaaaaa`" in found.comment


def test_what_is_not_wanted_any_more_is_withdrawn() -> None:
    """All that is open, for an older run may have left one."""
    shown = (request(2), request(1, digest=OTHER))

    assert Withdraw(shown) == decide(None, shown)


def test_a_closed_request_declines_its_digest() -> None:
    """It is not opened again."""
    shown = request(1, RequestState.CLOSED)

    assert Declined(shown) == decide(WISH, [shown])


def test_a_closed_request_does_not_decline_another_digest() -> None:
    """A new generation, or another record, is asked for again."""
    assert Open(WISH) == decide(WISH, [request(1, RequestState.CLOSED, OTHER)])


def test_force_opens_a_declined_digest_again() -> None:
    """A person says so on the command line."""
    assert Open(WISH) == decide(WISH, [request(1, RequestState.CLOSED)], force=True)


def test_one_that_was_reopened_is_not_declined() -> None:
    """The request itself is open, so it is kept."""
    shown = request(1)

    assert Keep(shown) == decide(WISH, [shown])


def test_a_later_merge_of_the_same_digest_takes_the_refusal_back() -> None:
    """The newest request with the digest counts."""
    assert Open(WISH) == decide(WISH, [request(2, RequestState.MERGED), request(1, RequestState.CLOSED)])


def test_what_is_open_for_another_plan_goes_when_the_present_one_is_declined() -> None:
    """The open request asks for what nobody proposes any more."""
    stale, refusal = request(2, digest=OTHER), request(1, RequestState.CLOSED)

    assert Declined(refusal, (stale,)) == decide(WISH, [stale, refusal])


def test_what_the_bot_closed_declines_nothing() -> None:
    """Its mark says `withdrawn`."""
    body = withdrawn(request(1))

    assert body is not None
    assert mark(WITHDRAWN) in body

    closed = replace(request(1, RequestState.CLOSED), body=body)

    assert Open(WISH) == decide(WISH, [closed])
    assert withdrawn(closed) is None


@given(
    st.lists(st.tuples(st.sampled_from(RequestState), st.sampled_from((THIS, OTHER, WITHDRAWN))), max_size=5),
    st.booleans(),
)
def test_whatever_is_decided_is_not_decided_twice(ended: list[tuple[RequestState, str]], force: bool) -> None:
    """After an open or an edit the same look at the forge asks for nothing more."""
    requests = [request(len(ended) - place, *one) for place, one in enumerate(ended)]
    decision = decide(WISH, requests, force=force)
    if isinstance(decision, Open):
        after = [request(len(ended) + 1), *requests]
    elif isinstance(decision, Edit):
        edited = replace(decision.request, title=WISH.title, body=WISH.body)
        after = [edited if each is decision.request else each for each in requests]
    else:
        return

    assert isinstance(decide(WISH, after, force=force), Keep)
