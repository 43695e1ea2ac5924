"""Edges inside a sentence are verbatim, found where they are, and quick to find in any text."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.records import Span
from lextune.expert.grounding import edges
from lextune.expert.schema import FieldType, SchemaField

BEFORE = "Preamble.  "


def field(kind: FieldType, name: str = "Document Name") -> SchemaField:
    return SchemaField(name=name, type=kind, question="?")


def quoted(kind: FieldType, sentence: str, name: str = "Document Name") -> list[str]:
    text = f"{BEFORE}{sentence}  Coda Inc. of June 1, 1999"
    spans = edges(field(kind, name), text, Span(start=len(BEFORE), end=len(BEFORE) + len(sentence)))
    assert all(len(BEFORE) <= s.start < s.end <= len(BEFORE) + len(sentence) for s in spans)
    return [text[s.start : s.end] for s in spans]


@pytest.mark.parametrize(
    ("kind", "sentence", "expected"),
    [
        ("text", "This MASTER SERVICES AGREEMENT is made today.", ["MASTER SERVICES AGREEMENT"]),
        ("text", "License and Distribution Agreement", ["License and Distribution Agreement"]),
        ("text", "no title in here", ["no title in here"]),
        ("date", "dated as of June 21, 1999, by and between", ["June 21, 1999"]),
        ("date", "It shall continue until June 21, 1999.", ["It shall continue until June 21, 1999."]),
        ("date", "no date in here", ["no date in here"]),
        ("parties", 'Acme Widgets, Inc. ("Acme") and Beta Bank', ["Acme Widgets, Inc.", "Acme", "Beta Bank"]),
        ("parties", "between Foo\n   Bar, LLC and Baz GmbH.", ["Foo\n   Bar, LLC", "Baz GmbH."]),
        ("parties", "we and you", ["we and you"]),
        ("parties", "the eBay Inc. site, and 7-Eleven, Inc.", ["eBay Inc.", "7-Eleven, Inc."]),
        ("duration", "It renews for one year.", ["It renews for one year."]),
        ("jurisdiction", "Ohio law governs.", ["Ohio law governs."]),
    ],
)
def test_edges(kind: FieldType, sentence: str, expected: list[str]) -> None:
    assert quoted(kind, sentence) == expected


def test_a_text_field_of_a_users_own_is_not_a_title() -> None:
    sentence = "Under this Agreement, Lloyd's insures the goods."
    assert quoted("text", sentence, name="Insurer") == [sentence]
    assert quoted("text", sentence, name="Contract title") != [sentence]


WORDS = st.sampled_from(
    [
        "Acme",
        "Inc.",
        "LLC",
        "of",
        "and",
        "the",
        "de",
        "&",
        ",",
        "\n",
        "   ",
        "\t",
        "(",
        '"',
        "”",
        "June",
        "1,",
        "1999",
        "AGREEMENT",
        "A",
        "漢",
        "🙂",
        "[",
        "Co",
        ".",
    ]
)


@given(
    kind=st.sampled_from(["text", "date", "parties", "money"]),
    sentence=st.lists(WORDS, min_size=1, max_size=30).map(" ".join).filter(str.strip),
)
@settings(max_examples=200, deadline=None)
def test_edges_are_parts_of_the_sentence_in_order(kind: FieldType, sentence: str) -> None:
    text = f"{BEFORE}{sentence} after"
    inside = Span(start=len(BEFORE), end=len(BEFORE) + len(sentence))
    spans = edges(field(kind), text, inside)
    assert spans
    assert all(inside.start <= s.start < s.end <= inside.end for s in spans)
    assert all(a.end <= b.start for a, b in itertools.pairwise(spans))


@pytest.mark.parametrize("unit", ["Aa\n" + " " * 90, "Aa , ", "Aa\t \t", "A&", "(the ", "de  of  and  ", "A" * 700])
@pytest.mark.parametrize("kind", ["text", "date", "parties"])
def test_no_sentence_takes_long(kind: FieldType, unit: str) -> None:
    """Words that are wide apart, as a centred title page has them, must not be tried in every way."""
    sentence = (unit * 300)[:698] + "x"
    started = time.process_time()
    edges(field(kind), sentence, Span(start=0, end=len(sentence)))
    assert time.process_time() - started < 1
