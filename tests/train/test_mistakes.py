"""What is wrong with an answer, case by case, and edits that make each mistake."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lextune.expert.point import point_answer
from lextune.expert.schema import Schema, SchemaField
from lextune.expert.windowing import Part, WindowExample
from lextune.train.mistakes import (
    LEFT_OPEN,
    MORE_WORDS,
    OTHER_WORDS,
    RIGHT,
    judge_point,
    judge_quotes,
    judge_text,
    point_mistakes,
    quote_mistakes,
    text_mistakes,
)

SCHEMA = Schema(
    name="small",
    fields=tuple(SchemaField(name=n, type="boolean", question="?") for n in ("Law", "Term", "Audit", "Price")),
)


def _window(positives: dict[int, tuple[int, ...]], ignored: dict[int, tuple[int, ...]] | None = None) -> WindowExample:
    """A window of five sentences; sentence number (from 0) to fields."""
    return WindowExample(
        document_id="d",
        index=0,
        heading="",
        texts=tuple(f"Sentence {n}." for n in range(5)),
        positives=tuple(positives.get(n, ()) for n in range(5)),
        ignored=tuple((ignored or {}).get(n, ()) for n in range(5)),
    )


FULL = _window({1: (0,), 2: (0,), 4: (1,)}, {3: (2,)})  # {"Law":[2,3],"Term":[5]}; Audit is left open in sentence 4
EMPTY = _window({}, {3: (2,)})

POINTED = [
    (FULL, '{"Law":[2,3],"Term":[5]}', None, RIGHT),
    (FULL, '{"Term": [5], "Law": [3, 2]}', None, RIGHT),
    (FULL, '{"Law":[2,3],"Term":[5],"Audit":[4]}', None, LEFT_OPEN),
    (FULL, '{"Law":[2,3],"Term":[5],"Audit":[1]}', "invented", "Audit is not there"),
    (FULL, '{"Law":[2,3],"Term":[5],"Audit":[1,4]}', "invented", "Audit is not there"),
    (FULL, '{"Law":[2,3],"Term":[4,5]}', "invented", "Term has another answer than it is given"),
    (FULL, '{"Law":[2,3],"Term":[1]}', "invented", "Term has another answer than it is given"),
    (FULL, '{"Law":[2,3]}', "missed", "Term is left out"),
    (FULL, "{}", "missed", "Law is left out"),
    (FULL, '{"Law":[2,3],"Price":[5]}', "wrong_field", "what states Term stands under Price"),
    (FULL, '{"Law":[2,3],"Price":[1]}', "invented", "Price is not there"),
    (FULL, '{"Law":[2],"Term":[5]}', "cut_quote", "Law is cut short"),
    (FULL, '{"Law":[2]}', "missed", "Term is left out"),
    (FULL, '{"Law":[2,3],"Term":[5]', "malformed", "it is not JSON"),
    (FULL, "{'Law':[2,3]}", "malformed", "it is not JSON"),
    (FULL, "[2,3]", "malformed", "it is JSON, but no object"),
    (FULL, '{"Laws":[2,3]}', "malformed", "it names a field that the schema does not have"),
    (FULL, '{"Law":[6]}', "malformed", "it points at no sentence, or at one that the window does not have"),
    (FULL, '{"Law":"2"}', "malformed", "it points at no sentence, or at one that the window does not have"),
    (FULL, "None", "malformed", "it is not JSON"),
    (FULL, "[" * 100_000, "malformed", "it is not JSON"),
    (EMPTY, "{}", None, RIGHT),
    (EMPTY, '{"Audit":[4]}', None, LEFT_OPEN),
    (EMPTY, '{"Law":[1]}', "invented", "Law is not there"),
    (EMPTY, "null", "null_form", "null is not written {}"),
    (EMPTY, "None", "null_form", "null is not written {}"),
    (EMPTY, "N/A", "null_form", "null is not written {}"),
    (EMPTY, "", "null_form", "null is not written {}"),
    (EMPTY, "[]", "null_form", "null is not written {}"),
    (EMPTY, '{"Law":null}', "null_form", "null is not written {}"),
    (EMPTY, '{"Law":[],"Term":"N/A"}', "null_form", "null is not written {}"),
    (EMPTY, '{"Law":[', "malformed", "it is not JSON"),
]


@pytest.mark.parametrize(("window", "text", "kind", "reason"), POINTED)
def test_a_pointed_answer(window: WindowExample, text: str, kind: str | None, reason: str) -> None:
    assert judge_point(SCHEMA, window, text) == (kind, reason)


def test_an_answer_that_does_not_end_is_malformed() -> None:
    assert judge_point(SCHEMA, EMPTY, "{}", stopped=False) == ("malformed", "it does not come to an end")
    assert judge_text('{"a":1}', '{"a":1}', stopped=False) == ("malformed", "it does not come to an end")


OBJECT = '{"law":"the laws of Ohio","term":null,"parties":["A","B"]}'
WRITTEN = [
    ("null", "null", None, RIGHT),
    ("null", " null\n", None, RIGHT),
    ("null", "N/A", "null_form", "null is not written null"),
    ("null", "none", "null_form", "null is not written null"),
    ("null", "{}", "null_form", "null is not written null"),
    ("null", "It is Ohio.", "invented", "there is none"),
    ("It is governed by Ohio.", "null", "missed", "it says that there is none"),
    ("It is governed by Ohio.", "not specified", "missed", "it says that there is none"),
    ("It is governed by Ohio.", "governed by", "cut_quote", "it is a part of the gold answer"),
    ("It is governed by Ohio.", "Ohio's law applies.", None, OTHER_WORDS),
    ("It is governed by Ohio.", "It is governed by Ohio.", None, RIGHT),
    ("Yes", "No", None, OTHER_WORDS),
    (OBJECT, '{"law": "the laws of Ohio", "parties": ["A", "B"]}', None, RIGHT),
    (OBJECT, '{"law":"the laws of Ohio","term":"N/A","parties":["A","B"]}', None, RIGHT),
    (OBJECT, "the laws of Ohio", "malformed", "it is not a JSON object"),
    (OBJECT, "null", "missed", "it says that there is none"),
    (OBJECT, '{"place":"Ohio"}', "malformed", "it has a key that was not asked for"),
    (OBJECT, '{"law":"laws of Ohio","term":null,"parties":["A","B"]}', "cut_quote", "law is cut short"),
    (OBJECT, '{"law":"Texas","term":null,"parties":["A","B"]}', "invented", "law has another answer than it is given"),
    (OBJECT, '{"law":"the laws of Ohio","term":"5","parties":["A","B"]}', "invented", "term is not there"),
    (OBJECT, '{"law":null,"parties":["A","B"]}', "missed", "law is left out"),
    (OBJECT, '{"term":"the laws of Ohio","parties":["A","B"]}', "wrong_field", "what states law stands under term"),
    ('{"law":null}', '{"law": null}', None, RIGHT),
]


@pytest.mark.parametrize(("gold", "text", "kind", "reason"), WRITTEN)
def test_a_written_answer(gold: str, text: str, kind: str | None, reason: str) -> None:
    assert judge_text(gold, text) == (kind, reason)


QUOTING = WindowExample(
    document_id="d",
    index=0,
    heading="",
    texts=(
        "Ohio law governs this Agreement.",
        "Its courts decide, and nobody else.",
        "It runs for five years.",
        "Ohio law governs the annex too.",
        "Invoices are sent.",
    ),
    positives=((0,), (0,), (1,), (), ()),
    ignored=((), (), (), (0,), ()),
    parts=((Part(0, 0, 16),), (Part(0, 0, 17),), (), (), ()),
)
LAW, TERM, AUDIT = range(3)

QUOTED = [
    (LAW, "Ohio law governs\nIts courts decide", None, RIGHT),
    (LAW, "Ohio  law governs\n\nIts courts decide\n", None, RIGHT),
    (LAW, "Ohio law governs this Agreement.\nIts courts decide", None, MORE_WORDS),
    (LAW, "Ohio law governs this Agreement. Its courts decide, and nobody else.", None, MORE_WORDS),
    (LAW, "Ohio law governs\nIts courts decide\nOhio law governs the annex too.", None, LEFT_OPEN),
    (LAW, "Ohio law governs", "cut_quote", "Law is cut short"),
    (LAW, "law governs\nIts courts decide", "cut_quote", "Law is cut short"),
    (LAW, "Ohio law governs the annex too.", "cut_quote", "Law is cut short"),
    (LAW, "null", "missed", "Law is left out"),
    (LAW, "N/A", "missed", "Law is left out"),
    (LAW, "", "missed", "Law is left out"),
    (LAW, "It runs for five years.", "wrong_field", "what states Term is given for Law"),
    (LAW, "Invoices are sent.", "invented", "Law has another answer than it is given"),
    (LAW, "Ohio law governs\nInvoices are sent.", "invented", "Law has another answer than it is given"),
    (LAW, "Texas law governs\nIts courts decide", "invented", "it has words that the text does not have"),
    (LAW, '{"Law":"Ohio law governs"}', "invented", "it has words that the text does not have"),
    (TERM, "It runs for five years.", None, RIGHT),
    (TERM, "five years", "cut_quote", "Term is cut short"),
    (AUDIT, "null", None, RIGHT),
    (AUDIT, " null\n", None, RIGHT),
    (AUDIT, "None", "null_form", "null is not written null"),
    (AUDIT, "not specified", "null_form", "null is not written null"),
    (AUDIT, "", "null_form", "null is not written null"),
    (AUDIT, "Invoices are sent.", "invented", "Audit is not there"),
    (AUDIT, "Ohio law governs", "invented", "Audit is not there"),
    (AUDIT, "The books may be inspected.", "invented", "it has words that the text does not have"),
]


@pytest.mark.parametrize(("number", "text", "kind", "reason"), QUOTED)
def test_a_quoted_answer(number: int, text: str, kind: str | None, reason: str) -> None:
    assert judge_quotes(SCHEMA, QUOTING, number, text) == (kind, reason)


@pytest.mark.parametrize("text", ["null", "Ohio law governs\nIts courts decide"])
def test_a_quoted_answer_that_does_not_end_is_malformed(text: str) -> None:
    assert judge_quotes(SCHEMA, QUOTING, LAW, text, stopped=False) == ("malformed", "it does not come to an end")


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(
    ("number", "kinds"),
    [
        (LAW, {"missed", "wrong_field", "invented", "cut_quote"}),
        (TERM, {"missed", "wrong_field", "invented", "cut_quote"}),
        (AUDIT, {"null_form", "invented"}),
    ],
)
def test_edits_of_quotes_make_the_mistake_they_are_named_for(number: int, kinds: set[str], seed: int) -> None:
    made = quote_mistakes(SCHEMA, QUOTING, number, random.Random(seed))
    assert {kind for kind, _ in made} == kinds
    for kind, text in made:
        found = judge_quotes(SCHEMA, QUOTING, number, text).kind
        assert found == kind or (kind, found) == ("invented", "wrong_field"), "a sentence may be another field's"


rows = st.lists(st.lists(st.integers(0, 3), max_size=2, unique=True).map(tuple), min_size=5, max_size=5)


@given(rows, rows, st.integers(0, 2**31))
def test_edits_of_a_window_make_the_mistake_they_are_named_for(
    positives: list[tuple[int, ...]], ignored: list[tuple[int, ...]], seed: int
) -> None:
    window = EMPTY.model_copy(update={"positives": tuple(positives), "ignored": tuple(ignored)})
    made = point_mistakes(SCHEMA, window, random.Random(seed))
    assert [judge_point(SCHEMA, window, text).kind for _, text in made] == [kind for kind, _ in made]
    gold = json.loads(point_answer(SCHEMA, window))
    kinds = {kind for kind, _ in made}
    assert {"malformed"} <= kinds
    assert ("missed" in kinds) == bool(gold) != ("null_form" in kinds)
    assert ("cut_quote" in kinds) == any(len(numbers) > 1 for numbers in gold.values())


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("gold", ["null", "It is governed by the laws of Ohio.", OBJECT])
def test_edits_of_a_text_make_the_mistake_they_are_named_for(gold: str, seed: int) -> None:
    made = text_mistakes(gold, lambda: "Another answer.", random.Random(seed))
    assert {kind for kind, _ in made} == {
        "null": {"null_form", "invented"},
        OBJECT: {"missed", "malformed", "wrong_field"},
    }.get(gold, {"missed", "cut_quote"})
    assert [judge_text(gold, text).kind for _, text in made] == [kind for kind, _ in made]
