"""The YAML that sslops writes: what comes back, and that any YAML reader reads the same."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sslops.errors import StateError
from sslops.model.names import GenerationId
from sslops.model.state import AriWindow, Generation, Issued, Order, Slots, Status
from sslops.repo.plain_yaml import Block, read, read_edited, write
from sslops.repo.state_files import read_generation, read_slots, write_generation, write_slots

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
FLOWS = st.recursive(
    st.none() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS.filter(bool), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True) | TEXTS.filter(bool)
FILES = st.dictionaries(KEYS, FLOWS | st.dictionaries(KEYS, FLOWS, min_size=1, max_size=3).map(Block), max_size=5)
MOMENTS = st.datetimes(datetime(1950, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0)
)
IDS = st.from_regex(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}", fullmatch=True).map(GenerationId)


@given(FILES.filter(bool))
def test_what_is_written_comes_back(values: dict[str, object]) -> None:
    """For every string, hostile ones included, and every shape."""
    assert values == read(write(values), "x.yaml")  # type: ignore[arg-type]


@given(FILES.filter(bool))
def test_any_yaml_reader_reads_the_same(values: dict[str, object]) -> None:
    """PyYAML's own loaders, in C and in Python, agree with the fast reader."""
    text = write(values).decode()  # type: ignore[arg-type]

    assert values == yaml.load(text, Loader=yaml.CSafeLoader)
    assert values == yaml.safe_load(text)
    assert values == read_edited(text, "x.yaml")


@given(st.binary(max_size=200))
def test_other_bytes_are_a_value_or_an_error_with_a_place(content: bytes) -> None:
    """Nothing else is ever raised."""
    where: object = "not raised"
    try:
        read(content, "state/x/y/slots.yaml")
    except StateError as error:
        where = error.where

    assert where is not None


@given(st.text("ab:{}[]\"'#- \n\t&*!|>%@`,?", max_size=40))
def test_near_misses_are_read_as_yaml_reads_them(text: str) -> None:
    """Where the fast reader answers at all, the full one gives the same answer."""
    try:
        fast = read(text.encode(), "x.yaml")
    except StateError:
        return
    assert fast == read_edited(text, "x.yaml")


@given(
    st.builds(
        Slots,
        *(st.none() | IDS for _ in range(3)),
        st.none() | MOMENTS,
        st.none() | MOMENTS,
        st.none() | st.builds(AriWindow, MOMENTS, MOMENTS, st.none() | TEXTS),
        st.none() | MOMENTS,
        st.integers(0, 99),
        st.none() | IDS,
    )
)
def test_slots_come_back(slots: Slots) -> None:
    """Every value of the pointers survives, each on a line of its own."""
    content = write_slots(slots)

    assert slots == read_slots(content, "slots.yaml")
    assert 9 == len(content.splitlines())


@given(
    st.builds(
        Generation,
        id=st.just(GenerationId("20261124T143000Z-9b1c")),
        status=st.just(Status.ISSUED),
        created_at=MOMENTS,
        ca=TEXTS,
        profile=st.none() | TEXTS,
        reason=TEXTS,
        reused_from=st.none() | IDS,
        key_type=TEXTS,
        key_size=TEXTS,
        spki_sha256=TEXTS,
        csr_sha256=TEXTS,
        order=st.none() | st.builds(Order, TEXTS, MOMENTS, st.lists(TEXTS, max_size=3).map(tuple)),
        issued=st.builds(
            Issued, MOMENTS, TEXTS, TEXTS, MOMENTS, MOMENTS, st.lists(TEXTS, max_size=3).map(tuple), TEXTS, st.none()
        ),
        said=st.none() | TEXTS,
    )
)
def test_generations_come_back(generation: Generation) -> None:
    """Every public fact survives, whatever a CA put into it."""
    assert generation == read_generation(write_generation(generation), "generation.yaml", generation.id)


def test_the_roll_diff_reads_as_the_design_says() -> None:
    """Key order and form are a contract."""
    slots = Slots(
        curr=GenerationId("20261124T143000Z-9b1c"),
        rolled_at=datetime(2026, 11, 25, 2, 17, 5, tzinfo=UTC),
        ari=AriWindow(
            datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 12, 2, tzinfo=UTC), "https://ca.example.com/why"
        ),
    )
    expected = """\
curr: "20261124T143000Z-9b1c"
next: null
prev: null
rolled_at: "2026-11-25T02:17:05Z"
renew_at: null
ari: {start: "2026-12-01T00:00:00Z", end: "2026-12-02T00:00:00Z", explanation_url: "https://ca.example.com/why"}
retry_at: null
failures: "0"
refused: null
"""

    assert expected == write_slots(slots).decode()


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ('curr: "../../etc"\n', 1, "generation"),
        ("curr: null\nnxt: null\n", 2, "unknown key 'nxt'"),
        ('curr: null\nrolled_at: "yesterday"\n', 2, "rolled_at"),
        ("curr: null\n# by hand\nfailures: -1\n", 3, "failures"),
        ("curr: null\ncurr: null\n", 2, "twice"),
        ("curr: [a]\n", 1, "string"),
        ("curr: &a x\nnext: *a\n", 2, "alias"),
        ("curr: {\n", 2, "YAML"),
        ("- curr\n", 1, "map"),
        ('curr: null\nari: {start: "2026-11-25T02:17:05Z"}\n', 2, "end"),
    ],
)
def test_bad_slots_are_an_error_with_their_line(text: str, line: int, what: str) -> None:
    """A person who edits state by hand learns where and what."""
    with pytest.raises(StateError, match=what) as caught:
        read_slots(text.encode(), "state/example.com/mail-ec/slots.yaml")

    assert caught.value.where is not None
    assert ("state/example.com/mail-ec/slots.yaml", line) == (caught.value.where.file, caught.value.where.line)


def test_what_a_person_edited_is_still_read() -> None:
    """Comments, other quotes and plain times do not matter."""
    text = (
        "# taken back by hand\ncurr: 20261124T143000Z-9b1c\nrolled_at: '2026-11-25T02:17:05Z'\nfailures: 2\nnext: ~\n"
    )
    slots = read_slots(text.encode(), "slots.yaml")

    assert ("20261124T143000Z-9b1c", 2, None) == (slots.curr, slots.failures, slots.next)


def test_a_huge_file_is_refused() -> None:
    """State files are small; a large one is not read at all."""
    with pytest.raises(StateError, match="larger"):
        read(b"x" * 5_000_000, "slots.yaml")


def test_deep_nesting_is_an_error() -> None:
    """No recursion limit is met in the open."""
    with pytest.raises(StateError):
        read(b"a: " + b"[" * 100_000, "slots.yaml")
