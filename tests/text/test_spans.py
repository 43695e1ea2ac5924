"""Quotes are found wherever white space differs, and offsets are those of the original text."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.records import Span
from lextune.text.spans import (
    CollapsedText,
    choose,
    collapse,
    gap,
    locate,
    merge_adjacent,
    overlaps,
    united,
    whole_words,
)

TEXT = st.text(alphabet="ab é𝒜 \n\t\u00a0\u2003", max_size=60)


def S(start: int, end: int) -> Span:  # noqa: N802
    return Span(start=start, end=end)


@pytest.mark.parametrize(
    ("text", "quote", "expected"),
    [
        ("the  State\nof\u00a0New York.", "State of New York", ["State\nof\u00a0New York"]),
        ("a b a  b a\tb", "a b", ["a b", "a  b", "a\tb"]),
        ("𝒜 clause, 𝒜 clause", "𝒜\nclause", ["𝒜 clause", "𝒜 clause"]),
        ("  leading", " leading ", ["leading"]),
        ("aaaa", "aa", ["aa", "aa"]),
        ("nothing here", "elsewhere", []),
        ("nothing here", " \n ", []),
        ("", "x", []),
    ],
)
def test_locate_cases(text: str, quote: str, expected: list[str]) -> None:
    assert [text[s.start : s.end] for s in locate(text, quote)] == expected


@given(TEXT, TEXT)
@settings(max_examples=300)
def test_every_span_reads_as_the_quote_and_none_is_missed(text: str, quote: str) -> None:
    spans = locate(text, quote)
    assert all(collapse(text[s.start : s.end]) == collapse(quote) for s in spans)
    assert all(not text[s.start].isspace() and not text[s.end - 1].isspace() for s in spans)
    assert all(a.end <= b.start for a, b in itertools.pairwise(spans))
    wanted = collapse(quote)
    assert len(spans) == (collapse(text).count(wanted) if wanted else 0)


@given(TEXT, st.data())
@settings(max_examples=200)
def test_a_piece_of_the_text_is_found_after_its_white_space_changed(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    piece = text[start : data.draw(st.integers(start, len(text)))]
    changed = "".join("\n \u2003" if c.isspace() else c for c in piece)
    found = locate(text, changed)
    assert bool(found) == bool(collapse(piece))


def test_white_space_is_what_isspace_says_for_every_code_point() -> None:
    spaces = "".join(chr(c) for c in range(0x110000) if chr(c).isspace())
    assert CollapsedText(f"a{spaces}b").collapsed == "a b"
    assert len(CollapsedText("".join(map(chr, range(0x2FFF)))).collapsed.split(" ")) > 1


def test_forty_quotes_in_a_long_contract_take_little_time() -> None:
    text = "The Supplier shall  deliver\nthe Goods to the Buyer. " * 7000  # 364,000 characters
    quotes = [f"deliver the Goods number {i}" for i in range(39)] + ["deliver the Goods"]
    started = time.process_time()
    document = CollapsedText(text)
    assert [len(document.locate(quote)) for quote in quotes] == [0] * 39 + [7000]
    assert time.process_time() - started < 2


def test_whole_words_leaves_out_finds_inside_words() -> None:
    text = "Western sellers: We and We2."
    assert whole_words(text, locate(text, "We")) == (S(17, 19),)


def test_whole_words_keeps_all_where_every_find_cuts_a_word() -> None:
    assert whole_words("subAcmes", (S(3, 7),)) == (S(3, 7),)


def test_a_repeated_part_takes_the_occurrence_nearest_another_span() -> None:
    spans = [[S(100, 110)], [S(0, 5), S(80, 85), S(300, 305)]]
    assert choose(spans) == ((S(100, 110),), (S(80, 85), S(0, 5), S(300, 305)))


def test_a_repeated_part_alone_takes_the_first() -> None:
    assert choose([[S(7, 9), S(1000, 1002)]]) == ((S(7, 9), S(1000, 1002)),)


def test_a_part_does_not_choose_inside_another_parts_span() -> None:
    # Acme Corp. ("Acme"): the short name is the one in quotation marks, not the one in the long name.
    text = 'Acme Corp. ("Acme") sells. Acme ships.'
    chosen = choose([locate(text, "Acme Corp."), locate(text, "Acme")])
    assert chosen[1][0] == S(13, 17)


def test_the_same_part_twice_takes_two_occurrences() -> None:
    both = [S(0, 3), S(50, 53)]
    assert [part[0] for part in choose([both, both])] == [S(0, 3), S(50, 53)]


@given(st.lists(st.lists(st.integers(0, 500).map(lambda a: S(a, a + 4)), max_size=5, unique=True), max_size=6))
@settings(max_examples=150)
def test_choose_only_reorders(parts: list[list[Span]]) -> None:
    chosen = choose(parts)
    assert [sorted(p, key=lambda s: s.start) for p in chosen] == [sorted(p, key=lambda s: s.start) for p in parts]
    assert all(list(c[1:]) == [s for s in p if s != c[0]] for c, p in zip(chosen, parts, strict=True) if c)


@pytest.mark.parametrize(
    ("a", "b", "shared", "distance"),
    [(S(0, 5), S(5, 9), False, 0), (S(0, 5), S(4, 9), True, 0), (S(0, 5), S(8, 9), False, 3)],
)
def test_overlap_and_gap(a: Span, b: Span, shared: bool, distance: int) -> None:
    assert overlaps(a, b) == overlaps(b, a) == shared
    assert gap(a, b) == gap(b, a) == distance


def test_adjacent_spans_are_merged_across_white_space_only() -> None:
    text = "One.\n Two. Three"
    assert merge_adjacent(text, [S(6, 10), S(0, 4), S(12, 16)]) == (S(0, 10), S(12, 16))
    assert merge_adjacent(text, []) == ()


@given(TEXT, st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=8))
@settings(max_examples=200)
def test_merging_covers_the_same_characters_but_for_white_space(text: str, raw: list[tuple[int, int]]) -> None:
    spans = [S(a, min(a + n, len(text))) for a, n in raw if a < len(text)]
    merged = merge_adjacent(text, spans)
    covered = {i for s in spans for i in range(s.start, s.end)}
    after = {i for s in merged for i in range(s.start, s.end)}
    assert covered <= after
    assert all(text[i].isspace() for i in after - covered)
    assert merge_adjacent(text, merged) == merged


PLACES = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 12), st.integers(1, 5)).map(lambda p: (p[0], p[1], p[1] + p[2]))
)


@given(PLACES)
def test_united_places_cover_the_same_and_none_overlaps_another(places: list[tuple[int, int, int]]) -> None:
    def covered(found: list[tuple[int, int, int]]) -> set[tuple[int, int]]:
        return {(key, at) for key, start, end in found for at in range(start, end)}

    found = united(places)
    assert covered(found) == covered(places)
    assert sum(end - start for _, start, end in found) == len(covered(found))
    assert found == sorted(found)


def test_what_touches_stays_apart() -> None:
    assert united([(0, 3, 5), (0, 1, 3), (1, 0, 9), (0, 4, 6)]) == [(0, 1, 3), (0, 3, 6), (1, 0, 9)]


@given(TEXT, st.data())
def test_a_stretch_of_the_collapsed_text_is_that_of_the_original(text: str, data: st.DataObject) -> None:
    known = CollapsedText(text)
    solid = [place for place, character in enumerate(known.collapsed) if character != " "]
    if solid:
        first, last = sorted(data.draw(st.tuples(st.sampled_from(solid), st.sampled_from(solid))))
        span = known.span(first, last + 1)
        assert collapse(text[span.start : span.end]) == known.collapsed[first : last + 1]
