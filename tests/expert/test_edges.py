"""Edges inside a sentence are verbatim, found where they are, quick to find in any text, and learnt from quotes."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.records import Document, FieldLabel, Span
from lextune.expert.edges import EdgeTagger, edges, features_of, fit_edges, tokens_of, trimmed
from lextune.expert.schema import FieldType, Schema, SchemaField
from lextune.text.spans import locate

BEFORE = "Preamble.  "


def field(kind: FieldType, name: str = "Document Name") -> SchemaField:
    return SchemaField(name=name, type=kind, question="?")


def quoted(kind: FieldType, sentence: str, name: str = "Document Name") -> list[str]:
    text = f"{BEFORE}{sentence}  Coda Inc. of June 1, 1999"
    spans = edges(field(kind, name), text, [Span(start=len(BEFORE), end=len(BEFORE) + len(sentence))])
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
    spans = edges(field(kind), text, [inside])
    assert spans
    assert all(inside.start <= s.start < s.end <= inside.end for s in spans)
    assert all(a.end <= b.start for a, b in itertools.pairwise(spans))


@pytest.mark.parametrize("unit", ["Aa\n" + " " * 90, "Aa , ", "Aa\t \t", "A&", "(the ", "de  of  and  ", "A" * 700])
@pytest.mark.parametrize("kind", ["text", "date", "parties"])
def test_no_sentence_takes_long(kind: FieldType, unit: str) -> None:
    """Words that are wide apart, as a centred title page has them, must not be tried in every way."""
    sentence = (unit * 300)[:698] + "x"
    started = time.process_time()
    edges(field(kind), sentence, [Span(start=0, end=len(sentence))])
    assert time.process_time() - started < 1


NAMES = ("Alder", "Birch", "Cedar", "Elm", "Fir", "Hazel", "Larch", "Maple", "Oak", "Pine", "Rowan", "Willow")
PARTIES = SchemaField(name="Parties", type="parties", question="?")
DATED = SchemaField(name="Signed", type="date", question="?")
SCHEMA = Schema(name="s", fields=(PARTIES, DATED, SchemaField(name="Law", type="boolean", question="?")))


def contract(number: int) -> Document:
    """Return a contract whose parties are no companies, so that no rule finds them."""
    one, other = NAMES[number % 12], NAMES[(number + number // 12 + 1) % 12]
    first = f"This Deed is made  between {one} of Overton, hereafter the Giver, and {other}, hereafter the Taker."
    text = f"{first}\n\nIt is governed by the laws of Ohio. Signed on June {number + 1}, 1999."
    quotes = {"Parties": (one, "the Giver", other, "the Taker"), "Law": ("the laws of Ohio",)}
    labels = {
        name: FieldLabel(parts=parts, spans=tuple(locate(text, part) for part in parts))
        for name, parts in quotes.items()
    }
    return Document(id=f"d{number}", name="d", sha256="", text=text, labels=labels)


@pytest.fixture(scope="module")
def learnt() -> EdgeTagger:
    tagger = fit_edges([contract(number) for number in range(30)], SCHEMA)
    assert tagger is not None
    return tagger


UNSEEN = (
    "This Deed is made between Yew of Bayton, hereafter the Giver, and Bay, hereafter the Taker.",
    ["Yew", "the Giver", "Bay", "the Taker"],
)


def test_edges_are_learnt_from_quotes(learnt: EdgeTagger) -> None:
    sentence, parts = UNSEEN
    assert list(learnt.fields) == ["Parties"], "a field of type boolean, and one without quotes, are not learnt"
    assert [sentence[a:b] for a, b in learnt.find("Parties", sentence)] == parts
    assert learnt.find("Signed", sentence) == []
    text = f"Draft.  {sentence.replace(' ', '  ')} Coda."
    spans = edges(PARTIES, text, [Span(start=8, end=len(text) - 6)], learnt)
    assert [" ".join(text[s.start : s.end].split()) for s in spans] == parts


def test_what_was_learnt_is_the_same_once_saved(learnt: EdgeTagger, tmp_path: Path) -> None:
    assert EdgeTagger.load(tmp_path) is None
    learnt.save(tmp_path)
    again = EdgeTagger.load(tmp_path)
    assert again is not None
    assert again.find("Parties", UNSEEN[0]) == learnt.find("Parties", UNSEEN[0])
    assert (again.lean, again.fields) == (learnt.lean, learnt.fields)


def test_leaning_more_quotes_more(learnt: EdgeTagger) -> None:
    def quoted(lean: float) -> int:
        leaning = EdgeTagger(list(learnt.features), ["Parties"], learnt.weight, learnt.transition, lean=[lean])
        return sum(end - start for start, end in leaning.find("Parties", UNSEEN[0]))

    assert quoted(-100) == 0
    assert 0 < quoted(0) < quoted(100)


def test_a_sentence_in_which_nothing_is_found(learnt: EdgeTagger) -> None:
    text = f"{UNSEEN[0]} . . ."
    group = [Span(start=0, end=len(UNSEEN[0])), Span(start=len(UNSEEN[0]) + 1, end=len(text))]
    assert edges(PARTIES, text, group, learnt)[-1].end <= group[0].end, "is left out beside one with something"
    assert edges(PARTIES, text, group[1:], learnt) == group[1:], "and whole where it is alone"
    assert edges(DATED, text, group, learnt) == group, "and whole where the field was not learnt"


def test_the_scores_are_those_of_the_fitted_matrix(learnt: EdgeTagger) -> None:
    """Features are looked up one way to fit and another to find."""
    from lextune.expert.edges import _matrix

    named = features_of(UNSEEN[0], tokens_of(UNSEEN[0]))
    weight = learnt.weight[0].reshape(-1, learnt.weight.shape[-1])
    assert learnt._scores(0, named) == pytest.approx(_matrix([named], learnt.features) @ weight, abs=1e-4)


def test_too_few_quotes_are_not_learnt() -> None:
    assert fit_edges([contract(number) for number in range(10)], SCHEMA) is None
    assert fit_edges([], SCHEMA) is None


@pytest.mark.parametrize(
    ("piece", "expected", "reason"),
    [
        ("Acme, Inc.,", "Acme, Inc.", "a comma at the end"),
        ('Acme"', "Acme", "a mark that closes nothing"),
        ('("Acme', "Acme", "marks that open what does not end"),
        ('"Acme"', '"Acme"', "a pair stays"),
        ("(the “Buyer”)", "(the “Buyer”)", "so do brackets"),
        ("Acme (UK) Ltd.)", "Acme (UK) Ltd.", "one bracket too many"),
        ('",', "", "nothing is left"),
    ],
)
def test_ends_of_parts_are_trimmed(piece: str, expected: str, reason: str) -> None:
    assert "".join(piece[a:b] for a, b in trimmed(piece, [(0, len(piece))])) == expected, reason


@given(st.text(alphabet='Ab9 .,;:()[]"“”é漢\u0301_', max_size=40))
@settings(max_examples=100)
def test_found_parts_lie_in_order_inside_any_text(text: str) -> None:
    tagger = _always_inside()
    text = " ".join(text.split())
    parts = tagger.find("Parties", text)
    assert all(0 <= a < b <= len(text) for a, b in parts)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(parts))


def _always_inside() -> EdgeTagger:
    import numpy as np

    return EdgeTagger([], ["Parties"], np.zeros((1, 10, 0, 3), np.float32), np.zeros((1, 4, 3), np.float32), lean=[1.0])
