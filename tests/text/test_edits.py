"""Changes and edits: every source comes back, and offsets keep their order both ways."""

from __future__ import annotations

from itertools import accumulate, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.records import Edit, Span
from lextune.text.cleaning import clean
from lextune.text.edits import Change, OffsetMap, apply, as_changes, as_edits, compose, restore, to_clean, to_original
from lextune.text.segments import sentences

TEXTS = st.text(alphabet="ab \n", max_size=40)


@st.composite
def changed(draw: st.DrawFn, text: str) -> list[Change]:
    """Changes of a text, in order and apart."""
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8, unique=True)))
    pairs = list(zip(cuts[::2], cuts[1::2], strict=False))
    return [Change(start, end, draw(st.text(alphabet="aXY", max_size=3))) for start, end in pairs]


@st.composite
def edited(draw: st.DrawFn) -> tuple[str, str, tuple[Edit, ...]]:
    """A source, a text made from it in three rounds, and the edits of all."""
    source = text = draw(TEXTS)
    changes: list[Change] = []
    for _ in range(3):
        more = draw(changed(text))
        changes = compose(changes, more, text)
        text = apply(text, more)
    return source, text, as_edits(source, changes)


@settings(max_examples=200)
@given(edited())
def test_rounds_of_changes_are_one(case: tuple[str, str, tuple[Edit, ...]]) -> None:
    source, text, edits = case
    assert restore(text, edits) == source
    assert apply(source, as_changes(text, edits)) == text
    assert all(a.end <= b.start for a, b in pairwise(edits)), "edits are in order, without overlap"
    assert all(text[e.start : e.end] != e.original for e in edits)


@settings(max_examples=200)
@given(edited())
def test_offsets_keep_their_order_and_come_back(case: tuple[str, str, tuple[Edit, ...]]) -> None:
    source, text, edits = case
    offsets = OffsetMap(edits)
    for end in (False, True):
        there = [offsets.to_original(i, end=end) for i in range(len(text) + 1)]
        back = [offsets.to_clean(i, end=end) for i in range(len(source) + 1)]
        assert there == sorted(there)
        assert back == sorted(back)
        assert 0 <= there[0] <= there[-1] <= len(source)
        assert 0 <= back[0] <= back[-1] <= len(text)
        assert there == [to_original(edits, i, end=end) for i in range(len(text) + 1)]
        assert back == [to_clean(edits, i, end=end) for i in range(len(source) + 1)]
    rewritten = {i for e in edits for i in range(e.start, e.end)}
    for i in set(range(len(text))) - rewritten:
        at = offsets.to_original(i)
        assert source[at] == text[i]
        assert offsets.to_clean(at) == i
        assert offsets.to_original(i + 1, end=True) == at + 1


def test_a_span_takes_no_more_with_it_than_it_had() -> None:
    source, text = "one [header] two", "one two"
    edits = as_edits(source, [Change(4, 13, "")])
    assert restore(text, edits) == source
    offsets = OffsetMap(edits)
    assert offsets.span_to_clean(Span(start=5, end=11)) == Span(start=4, end=4), "nothing is left of the header"
    assert offsets.span_to_clean(Span(start=0, end=16)) == Span(start=0, end=7)
    assert offsets.span_to_original(Span(start=4, end=7)) == Span(start=13, end=16)
    assert offsets.span_to_original(Span(start=0, end=4)) == Span(start=0, end=4)
    assert offsets.span_to_original(Span(start=0, end=7)) == Span(start=0, end=16)


@pytest.mark.parametrize(
    ("first", "second", "composed", "reason"),
    [
        ([Change(3, 6, "")], [Change(3, 5, "DE")], [Change(3, 6, ""), Change(6, 8, "DE")], "a removal before a repair"),
        ([Change(3, 6, "")], [Change(1, 3, "")], [Change(1, 3, ""), Change(3, 6, "")], "and after one"),
        ([Change(3, 6, "\n\n")], [Change(5, 6, "x")], [Change(3, 6, "\n\n"), Change(6, 7, "x")], "with what stays"),
        ([Change(3, 6, "XY")], [Change(4, 6, "z")], [Change(3, 7, "Xz")], "an overlap"),
        ([Change(3, 6, "")], [Change(2, 4, "")], [Change(2, 7, "")], "a removal inside another change"),
    ],
)
def test_changes_that_touch_stay_two(
    first: list[Change], second: list[Change], composed: list[Change], reason: str
) -> None:
    middle = apply("0123456789", first)
    assert compose(first, second, middle) == composed, reason


@pytest.mark.parametrize("start", ["ﬁnal payment", "\x93Net Sales\x94", "â€œNet Salesâ€\x9d"])
@pytest.mark.parametrize("mapped", [True, False])
def test_a_sentence_after_a_footer_starts_where_it_does_in_the_source(start: str, mapped: bool) -> None:
    head, kinds = "ACME LICENSE AGREEMENT", ("rent", "fees", "interest", "royalties", "taxes")
    sheets = [f"{head}\n\n{start} of {kind} is due.\nPage {n} of 5\n" for n, kind in enumerate(kinds, start=1)]
    text = "".join(sheets) if mapped else "\f".join(sheets)
    ends = list(accumulate(map(len, sheets)))
    pages = tuple(Span(start=a, end=b) for a, b in pairwise([0, *ends])) if mapped else ()
    made = clean(text, pages)
    spans = [OffsetMap(made.edits).span_to_original(span) for span in sentences(made.text)]
    assert [text[s.start : s.end] for s in spans] == [head, *(f"{start} of {kind} is due." for kind in kinds)]
    assert [made.text[page.start : page.end].split()[-3] for page in made.pages] == list(kinds[: len(pages)])


@pytest.mark.parametrize("text", ["…a\f\x85", "ﬁ\f\x85", "\x93\f\x93", "\u00ad\f\x93"])
def test_no_sentence_of_a_cleaned_text_stands_nowhere_in_the_source(text: str) -> None:
    made = clean(text)
    for span in map(OffsetMap(made.edits).span_to_original, sentences(made.text)):
        assert text[span.start : span.end].strip("\f")


def test_what_a_change_leaves_as_it_was_is_no_part_of_the_edit() -> None:
    assert as_edits("a  b", [Change(0, 4, "a b")]) == (Edit(start=2, end=2, original=" "),)
    assert as_edits("same", [Change(0, 4, "same")]) == ()
