from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lextune.core.artifacts import read_jsonl
from lextune.core.records import Document, FieldAnswer, FieldLabel, Prediction, Quote
from lextune.data.importers.intake import Options, import_source, take_in
from lextune.expert.schema import Schema, load_schema
from lextune.expert.scoring import contracteval, trivial
from lextune.expert.scoring.contracteval import Marker
from lextune.expert.scoring.pairs import answer_text, scored


@pytest.mark.parametrize(
    ("parts", "answer", "expected"),
    [
        ((), "", (0, 0, 0, 0, 0, 1, 0)),
        ((), "x", (0, 1, 0, 0, 0, 1, 0)),
        (("x",), "", (0, 0, 1, 0, 1, 0, 1)),
        (("a b",), "z a\n  b c", (1, 0, 0, 0.5, 1, 0, 0)),
        (("a b", "c"), "a b", (0, 0, 1, 2 / 3, 1, 0, 0)),  # one part is missing: FN, no FP
        (("a b", "c"), "c\na b", (1, 0, 0, 1.0, 1, 0, 0)),
        (("A b",), "a b", (0, 0, 1, 1.0, 1, 0, 0)),  # substrings heed case, tokens do not
        (("x",), " \n ", (0, 0, 1, 0, 1, 0, 1)),
    ],
)
def test_mark(parts: tuple[str, ...], answer: str, expected: tuple[float, ...]) -> None:
    assert Marker().mark(parts, answer) == expected


def test_metrics_of_hand_counted_sums() -> None:
    sums = np.array([3.0, 2.0, 4.0, 3.5, 7.0, 10.0, 1.0])
    assert contracteval.f1(sums) == pytest.approx(6 / 12)
    assert contracteval.f2(sums) == pytest.approx(15 / (15 + 16 + 2))
    assert contracteval.jaccard(sums) == pytest.approx(0.5)
    assert contracteval.false_null_rate(sums) == pytest.approx(1 / 7)
    assert contracteval.invented_rate(sums) == pytest.approx(0.2)
    assert np.isnan(contracteval.jaccard(np.zeros(7)))


def test_echo_scores_what_the_protocol_gives_it_on_the_408() -> None:
    """5,352 of 16,728 pairs are present, and echoing finds every part of all of them."""
    marker = Marker()
    present = np.array(marker.mark(("gold words",), "some gold words in a contract"))
    absent = np.array(marker.mark((), "some gold words in a contract"))
    sums = 5352 * present + (16728 - 5352) * absent
    assert contracteval.f1(sums) == pytest.approx(2 * 5352 / (2 * 5352 + 16728 - 5352))
    assert contracteval.f1(sums) == pytest.approx(0.485, abs=5e-4)


@pytest.mark.slow
def test_echo_and_null_on_the_408_themselves(cuad_dir: Path, tmp_path: Path) -> None:
    """Through import, the trivial arms and the marking that every evaluation uses."""
    schema = load_schema("clauses-47")
    take_in(import_source(cuad_dir, Options(schema)), tmp_path, cuad_dir)
    documents = list(read_jsonl(tmp_path / "documents.jsonl", Document))
    assert len(documents) == 408
    found = {}
    for name in ("echo", "always-null"):
        answers = [trivial.ARMS[name](document, schema) for document in documents]
        pairs = scored(documents, answers, schema).pairs
        found[name] = contracteval.counts(pairs, len(documents), len(schema.fields)).sum(axis=(0, 1))
    assert contracteval.f1(found["echo"]) == pytest.approx(0.485, abs=1e-3)
    assert contracteval.f1(found["always-null"]) == 0
    assert contracteval.false_null_rate(found["always-null"]) == 1


def quote(text: str, whole: str) -> Quote:
    return Quote(text=text, start=whole.index(text), end=whole.index(text) + len(text), page=None)


def test_answer_text_sorts_merges_and_joins(make_document: Callable[..., Document]) -> None:
    text = "One two. \n Three four. Other words. Five."
    quotes = (quote("Five.", text), quote("Three four.", text), quote("One two.", text))
    answer = FieldAnswer(answer=True, quotes=quotes, confidence=1.0, status="accepted")
    assert answer_text(make_document("d", text, {}), answer) == "One two. \n Three four.\nFive."


def test_answer_text_of_what_is_not_in_the_document(make_document: Callable[..., Document]) -> None:
    invented = Quote(text="made up", start=0, end=7, page=None)
    document = make_document("d", "One two three.", {})
    answer = FieldAnswer(answer=True, quotes=(invented, quote("two", document.text)), confidence=1.0, status="review")
    assert answer_text(document, answer) == "two\nmade up"
    assert answer_text(document, answer.model_copy(update={"quotes": (), "answer": ["A", "B"]})) == "['A', 'B']"
    assert answer_text(document, answer.model_copy(update={"quotes": (), "answer": "New York"})) == "New York"


def test_counts_fill_one_cell_a_pair(
    schema: Schema, make_document: Callable[..., Document], make_prediction: Callable[..., Prediction]
) -> None:
    from lextune.expert.scoring.pairs import scored

    document = make_document("d", "The law of Utah.", {"Law": FieldLabel(parts=("Utah",)), "Audit": FieldLabel()})
    data = scored([document], [make_prediction(document, {"Law": "The law of Utah."})], schema)
    table = contracteval.counts(data.pairs, 1, len(schema.fields))
    assert table.shape == (1, 7, contracteval.COLUMNS)
    assert table[0, schema.names.index("Law")].tolist() == [1, 0, 0, 0.25, 1, 0, 0]
    assert table[0, schema.names.index("Audit")].tolist() == [0, 0, 0, 0, 0, 1, 0]
    assert table.sum() == pytest.approx(3.25)
