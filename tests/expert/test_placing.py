"""Places and quotes: each candidate in one group, and as much quoted as `Quoting` says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.records import Document, Span
from lextune.expert.placing import FLOOR, Placed, Read, answer_quotes, join, place, quoted, stated
from lextune.expert.schema import FieldType, SchemaField
from lextune.expert.thresholds import Quoting, Thresholds


@given(
    st.lists(st.sampled_from([0.0, 0.01, 0.03, 0.05, 0.2, 0.5, 0.9, 1.0]), max_size=30),
    st.floats(0, 1),
)
@settings(max_examples=200)
def test_join(values: list[float], share: float) -> None:
    confidence = np.array(values, dtype=np.float32)
    groups = list(join(confidence, share))
    covered = [i for g in groups for i in range(g.first, g.last + 1)]
    assert sorted(covered) == [i for i, v in enumerate(confidence) if v >= FLOOR], "each candidate once"
    assert [g.confidence for g in groups] == sorted((g.confidence for g in groups), reverse=True)
    for g in groups:
        inside = confidence[g.first : g.last + 1]
        assert g.confidence == pytest.approx(float(inside.max()))
        assert (inside >= min(share * g.confidence, inside.max()) - 1e-6).all()


def field(kind: FieldType) -> SchemaField:
    return SchemaField(name="F", type=kind, question="F?")


SENTENCES = [Span(start=10 * n, end=10 * n + 9) for n in range(12)]


def placed(**sure: float) -> list[Placed]:
    """One sentence each, by number."""
    found = [Placed([SENTENCES[int(n[1:])]], c, range(int(n[1:]), int(n[1:]) + 1), whole=True) for n, c in sure.items()]
    return sorted(found, key=lambda one: -one.confidence)


@pytest.mark.parametrize(
    ("quoting", "expected"),
    [
        (Quoting(share=0.3), [(20, 29), (60, 69), (90, 99)]),
        (Quoting(share=0.0), [(0, 9), (20, 29), (60, 69), (90, 99)]),
        (Quoting(share=1.0), [(90, 99)]),
        (Quoting(share=0.3, around=1), [(10, 39), (50, 109)]),
        (Quoting(share=0.0, around=1), [(0, 39), (50, 109)]),
        (Quoting(share=0.3, around=2), [(0, 119)]),
        (Quoting(share=1.0, around=2), [(70, 119)]),
    ],
)
def test_the_surest_places_are_quoted_in_the_documents_order(quoting: Quoting, expected: list[tuple[int, int]]) -> None:
    """Sentences 5 to 7 and 8 to 10 follow one another, and are one quote."""
    spans = quoted(field("boolean"), placed(s9=0.8, s6=0.6, s2=0.24, s0=0.1), SENTENCES, quoting)
    assert [(s.start, s.end) for s in spans] == expected


PREAMBLE = Placed([Span(start=30, end=32), Span(start=25, end=28)], 0.8, range(2, 4), whole=False)
SIGNATURES = Placed([Span(start=110, end=114)], 0.6, range(11, 12), whole=False)


@pytest.mark.parametrize(
    ("kind", "quoting", "expected"),
    [
        ("date", Quoting(share=0.1), [(30, 32)]),
        ("text", Quoting(share=0.1, extent="between"), [(25, 32)]),
        ("date", Quoting(share=0.1, extent="sentences"), [(20, 39)]),
        ("parties", Quoting(share=0.9), [(25, 28), (30, 32)]),
        ("parties", Quoting(share=0.1), [(25, 28), (30, 32), (110, 114)]),
        ("parties", Quoting(share=0.1, extent="between"), [(25, 32), (110, 114)]),
        ("parties", Quoting(share=0.1, extent="sentences"), [(20, 39), (110, 119)]),
        ("parties", Quoting(share=0.1, around=2), [(25, 28), (30, 32), (110, 114)]),
    ],
)
def test_a_name_and_a_date_are_stated_in_one_place_parties_in_several(
    kind: FieldType, quoting: Quoting, expected: list[tuple[int, int]]
) -> None:
    spans = quoted(field(kind), [PREAMBLE, SIGNATURES], SENTENCES, quoting)
    assert [(s.start, s.end) for s in spans] == expected


def test_an_answer_is_read_from_the_parts_of_the_surest_place() -> None:
    """However much is quoted: a date among all words of its sentence would be another one, or none."""
    wide = Quoting(share=0.1, extent="sentences")
    for kind in ("date", "parties"):
        (spans,) = stated(field(kind), [PREAMBLE, SIGNATURES], SENTENCES, wide)  # type: ignore[arg-type]
        assert [s.start for s in spans] == ([30] if kind == "date" else [25, 30])


def test_a_length_is_read_from_the_surest_place_and_then_from_all_that_is_quoted() -> None:
    """A notice period quoted with the sentence before it is not that sentence's."""
    wide, both = Quoting(share=0.1, around=1), placed(s9=0.8, s2=0.7)
    first, then = stated(field("duration"), both, SENTENCES, wide)
    assert first == [SENTENCES[9]]
    assert then == quoted(field("duration"), both, SENTENCES, wide)


def test_parts_of_sentences_are_quoted_alone() -> None:
    part = Placed([Span(start=33, end=36)], 0.7, range(3, 4), whole=False)
    spans = quoted(field("boolean"), [*placed(s9=0.8), part], SENTENCES, Quoting(share=0.1, around=1))
    assert [(s.start, s.end) for s in spans] == [(33, 36), (80, 109)]


def test_a_field_without_a_quoting_of_its_own_takes_the_share_of_all() -> None:
    limits = Thresholds(quote_share=0.4, quoting={"F": Quoting(share=0.1, around=2)})
    assert limits.quoting_of("F") == Quoting(share=0.1, around=2)
    assert limits.quoting_of("G") == Quoting(share=0.4)


def test_places_are_spans_of_the_text() -> None:
    text = "One here. Two there. Three."
    sentences = [Span(start=0, end=9), Span(start=10, end=20), Span(start=21, end=27)]
    confidence = np.array([[0.9, 0.0], [0.8, 0.0], [0.1, 0.5]], np.float32)
    found = place(0, field("boolean"), text, Read(sentences, confidence), 0.3)
    assert [[text[s.start : s.end] for s in one.spans] for one in found] == [["One here. Two there."], ["Three."]]
    assert [one.confidence for one in found] == pytest.approx([0.9, 0.1])
    assert [(one.rows, one.whole) for one in found] == [(range(2), True), (range(2, 3), True)]
    assert place(0, field("boolean"), "", Read([], np.zeros((0, 2), np.float32)), 0.3) == []


@pytest.mark.parametrize(("first", "date"), [(0.35, "June 5, 2019"), (0.99, "March 1, 2010")])
def test_of_joined_sentences_the_surest_states_the_date(first: float, date: str) -> None:
    lines = ("Amendment No. 2 to the agreement of March 1, 2010.", "It is dated as of June 5, 2019.")
    text = "\n".join(lines)
    cut = len(lines[0])
    read = Read([Span(start=0, end=cut), Span(start=cut + 1, end=len(text))], np.array([[first], [0.98]], np.float32))
    found = place(0, field("date"), text, read, share=0.1)
    assert [one.rows for one in found] == [range(2)]
    (spans,) = stated(field("date"), found, read.sentences, Quoting(extent="between"))
    assert [text[s.start : s.end] for s in spans] == [date]
    (both,) = quoted(field("date"), found, read.sentences, Quoting(extent="between"))
    assert text[both.start : both.end] == text[36:-1]


def test_quotes_carry_their_page() -> None:
    pages = (Span(start=0, end=4), Span(start=4, end=9))
    document = Document(id="d", name="d", sha256="0" * 64, text="one\ftwo.", pages=pages)
    (quote,) = answer_quotes(document, [Span(start=4, end=7)])
    assert (quote.text, quote.start, quote.end, quote.page) == ("two", 4, 7, 2)
