"""What a receiver says is read strictly: nothing it says makes us fall over, or believe too much."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sslops.deploy.receiver import FILES, GREETING, hear
from sslops.model.names import GenerationId, ServiceId

HASH = "0f" * 32
MAIL = ServiceId("example.com", "mail-ec")
GENERATION = "20261124T143000Z-9b1c"


def answer(*lines: str) -> bytes:
    """Return an answer with *lines* between greeting and end."""
    return "\n".join((GREETING, *lines, "done", "")).encode()


def whole(hash_of_chain: str = HASH) -> list[str]:
    """Return the lines of a service whose files are all there, the chain with a hash of its own."""
    folder = "example.com/mail-ec/curr"
    files = [
        f"file {hash_of_chain if name == 'chain.pem' else HASH}  {folder}/{name}" for name in (*sorted(FILES), "sums")
    ]
    sums = [f"text {folder}/sums:{HASH}  {name}" for name in sorted(FILES)]
    return [*files, *sums, f'text {folder}/info:generation: "{GENERATION}"']


@given(st.binary())
def test_noise_is_nothing(noise: bytes) -> None:
    """Without the greeting nothing was said."""
    assert not hear(noise).greeted or GREETING.encode() in noise


@given(st.lists(st.text()))
def test_any_lines_are_survived(lines: list[str]) -> None:
    """Whatever follows the greeting is read without falling over, and no service comes from nowhere."""
    heard = hear(answer(*lines))

    assert heard.greeted
    assert not any(held.intact for held in heard.services.values())


def test_a_login_message_is_skipped() -> None:
    """What a login shell prints first does not count, even when it looks like an answer."""
    assert 3 == hear(b"seq 99\n" + answer("seq 3")).seq


def test_a_whole_service_is_intact() -> None:
    """Every file has the hash that came with it."""
    held = hear(answer(*whole())).services[MAIL]

    assert (GenerationId(GENERATION), True) == (held.generation, held.intact)


def test_a_changed_file_is_not_intact() -> None:
    """One other hash is enough."""
    assert not hear(answer(*whole("aa" * 32))).services[MAIL].intact


def test_a_short_list_is_not_intact() -> None:
    """A list of hashes that leaves a file out proves nothing."""
    lines = [line for line in whole() if not line.endswith("privkey.pem") or line.startswith("file")]

    assert not hear(answer(*lines)).services[MAIL].intact


def test_names_that_leave_their_place_are_ignored() -> None:
    """A path of another form is not a service."""
    lines = [f"file {HASH}  ../x/curr/cert.pem", f"file {HASH}  a/b/c/curr/cert.pem", "unfinished ../x"]
    heard = hear(answer(*lines))

    assert ({}, frozenset()) == (dict(heard.services), heard.unfinished)


def test_an_include_file_is_known_by_its_apex() -> None:
    """`<apex>/tlsa.<apex>` and nothing else."""
    lines = [f"file {HASH}  example.com/tlsa.example.com", f"file {HASH}  example.com/tlsa.example.net"]

    assert {"example.com": HASH} == hear(answer(*lines)).includes


def test_an_answer_without_its_end_is_not_complete() -> None:
    """A connection that broke is told from an answer."""
    assert not hear(f"{GREETING}\nseq 3\n".encode()).is_complete


def test_complaints_are_harmless_to_show() -> None:
    """Control characters of a peer do not reach a terminal."""
    assert ("restart of smtp 1", "\\x1b[31m") == hear(answer("restart-failed smtp 1", "output \x1b[31m")).complaints


@pytest.mark.parametrize("before", [b"Welcome! ", b"\x1b]0;smtp1\x07", b"seq 99\n\xff\x1b[2J", b""], ids=repr)
@pytest.mark.parametrize("after", [b"", b"bye\n", b"\x1b[0m", b"seq 98\nlogout"], ids=repr)
def test_what_a_login_shell_prints_around_the_answer_is_skipped(before: bytes, after: bytes) -> None:
    """Without a line end, with an escape sequence, after the end: the greeting is found anywhere."""
    heard = hear(before + answer("seq 3") + after)

    assert (True, True, 3) == (heard.greeted, heard.is_complete, heard.seq)


def test_what_is_no_answer_is_quoted_bounded_and_escaped() -> None:
    """`This account is currently not available.` comes from a login shell, on stdout."""
    heard = hear(b"This account\x1b[2J is\n not available." + b"x" * 5_000_000)

    assert "This account\\x1b[2J is not available." in heard.around
    assert len(heard.around) < 400
