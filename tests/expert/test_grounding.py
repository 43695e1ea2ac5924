"""Edges inside a sentence are verbatim, found where they are, and quick to find in any text."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.records import Span
from lextune.expert.grounding import edges, ground
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
@settings(max_examples=200)
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


SENTENCES = (
    "This Agreement is governed by the laws of the State of Ohio.",
    "It runs for 12 months from June 1, 1999.",
    "Ohio is a state. The State of Ohio is one too.",
)


@pytest.mark.parametrize(
    ("quotes", "places", "reason"),
    [
        (["the laws of the State of Ohio"], [(0, 30, 59)], "to the letter"),
        (["the  laws\tof the State"], [(0, 30, 51)], "white space apart"),
        (["State of Ohio. It runs"], [(0, 46, 60), (1, 0, 7)], "over the end of a sentence"),
        (["State of Ohio", "State of Ohio"], [(0, 46, 59), (2, 21, 34)], "once for each time that it is quoted"),
        (["Ohio is a state", "State of Ohio"], [(2, 0, 15), (2, 21, 34)], "the one beside another quote"),
        (["state"], [(2, 10, 15)], "case is kept"),
        (["laws of the State", "the State of Ohio"], [(0, 34, 59)], "what overlaps is one"),
        (["This agreement is governed by the law of the State of Ohio."], [(0, 0, 60)], "alike"),
        (["Agreement is governed by the laws of te State"], [(0, 5, 51)], "alike, by whole words"),
        (["It runs for 13 months from June 1, 1999."], [], "another number"),
        (["It runs for 12 months from June 1, 1998."], [], "another year"),
        (["State of Iowa"], [], "too short to be alike"),
        (["This Agreement is governed by the laws of France and of Spain."], [], "not alike enough"),
        (["The fee is ten dollars a month for each seat."], [], "not there at all"),
        ([" ".join([*SENTENCES, "And much more than the text itself has."])], [], "longer than the text"),
        ([], [], "nothing"),
    ],
)
def test_where_quotes_stand(quotes: list[str], places: list[tuple[int, int, int]], reason: str) -> None:
    found = ground(SENTENCES, quotes)
    assert found.places == places, reason
    assert found.ungrounded == (len(quotes) if not places else 0)


def test_what_is_not_there_is_counted() -> None:
    assert ground(SENTENCES, ["laws", "no such words", "nor these"]) == ([(0, 34, 38)], 2)
    assert ground([], ["laws"]) == ([], 1)
