"""Text from outside cannot act on the place it is shown in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sslops.report.text import as_code, for_markdown, on_one_line, visible


@given(st.text())
def test_a_terminal_gets_only_printable_characters(text: str) -> None:
    """Whatever comes in, no control, format or surrogate character goes out but line feed and tab."""
    assert all(each.isprintable() or each in "\n\t" for each in visible(text))


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"])))
def test_harmless_text_is_left_alone(text: str) -> None:
    """What a terminal only prints is printed as it is."""
    assert text == visible(text)


@given(st.text())
def test_a_cell_is_one_line(text: str) -> None:
    """A table cell never breaks its row."""
    assert "\n" not in on_one_line(text)
    assert "\n" not in for_markdown(text)
    assert "\n" not in as_code(text)


@given(st.text(alphabet="a|\\`<>&*_[]\n\x1b @#1"))
def test_a_markdown_cell_cannot_be_left(text: str) -> None:
    """No pipe comes out without its escape, and no HTML but the empty comment that parts a mention."""
    cell = for_markdown(text)

    assert "" == cell.replace("\\\\", "").replace("\\|", "").partition("|")[1]
    assert "<" not in cell.replace("<!-- -->", "")


def test_a_mention_does_not_mention() -> None:
    """A name in a message must not call people or link to other requests."""
    assert "@<!-- -->all of #<!-- -->1" == for_markdown("@all of #1")


def test_a_code_span_cannot_be_closed() -> None:
    """Back-ticks and pipes in a name stay in the span and the cell."""
    assert "`a'b\\|c`" == as_code("a`b|c")
