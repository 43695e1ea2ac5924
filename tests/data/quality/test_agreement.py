"""Agreement: against scikit-learn, published examples, and tables worked by hand."""

from __future__ import annotations

import random
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from lextune.core.errors import DataError
from lextune.core.records import Document, FieldLabel, Message
from lextune.data.quality.agreement import BLOCKS, Agreement, agreement, quote_f1

Said = list[list[int | None]]  # annotators x texts


def documents(said: Said, field: str = "f") -> list[Document]:
    return [
        Document(
            id=f"{text}-{who}",
            name="",
            sha256="",
            text=f"text {text}",
            annotator=f"ann{who}",
            labels={} if value is None else {field: FieldLabel(parts=("x",) * value)},
        )
        for who, row in enumerate(said)
        for text, value in enumerate(row)
    ]


def compare(rows: list[Document]) -> Agreement:
    return agreement(lambda: rows)


def alpha_by_definition(said: Said) -> float:
    """1 - Do / De, over all ordered pairs of values within units, and of all values that can be paired."""
    units = [[row[i] for row in said if row[i] is not None] for i in range(len(said[0]))]
    units = [unit for unit in units if len(unit) > 1]
    values = [v for unit in units for v in unit]
    observed = sum(sum(a != b for a, b in permutations(u, 2)) / (len(u) - 1) for u in units) / len(values)
    pairs = list(permutations(values, 2))
    return 1 - observed / (sum(a != b for a, b in pairs) / len(pairs))


MEG = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]
OWEN = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]


def test_krippendorffs_published_example() -> None:
    found = compare(documents([MEG, OWEN])).fields[0]
    assert found.alpha.value == pytest.approx(0.095, abs=5e-4)
    assert found.agreement.value == pytest.approx(0.6)
    assert found.kappa.value == pytest.approx(cohen_kappa_score(MEG, OWEN))


def test_rows_that_end_alike_are_not_the_same_conversation() -> None:
    rows = documents([MEG, OWEN])
    said = [(Message(role="user", content=row.annotator or ""),) for row in rows]
    apart = [row.model_copy(update={"turns": turns}) for row, turns in zip(rows, said, strict=True)]
    with pytest.raises(DataError, match="no text was labelled by two annotators"):
        compare(apart)
    alike = [row.model_copy(update={"turns": said[0]}) for row in rows]
    assert compare(alike).texts == len(MEG)


def test_a_table_worked_by_hand() -> None:
    first = [1] * 25 + [0] * 25
    second = [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15  # Cohen's classic 20, 5, 10, 15: kappa 0.4
    found = compare(documents([first, second])).fields[0]
    assert (found.kappa.value, found.agreement.value) == (pytest.approx(0.4), pytest.approx(0.7))
    assert found.kappa.low is not None
    assert found.kappa.high is not None
    assert found.kappa.low < 0.4 < found.kappa.high
    assert (found.units, found.annotators, found.quotes.n) == (50, ("ann0", "ann1"), 20)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=30))
def test_kappa_equals_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    first, second = (list(column) for column in zip(*pairs, strict=True))
    found = compare(documents([first, second])).fields[0]
    if len({*first, *second}) == 1:
        assert (found.kappa.value, found.alpha.value) == (None, None), "both always say the same one thing"
    else:
        assert found.kappa.value == pytest.approx(cohen_kappa_score(first, second))
        assert found.alpha.value == pytest.approx(alpha_by_definition([first, second]))


def test_alpha_of_many_annotators_with_gaps() -> None:
    chance = random.Random(3)
    said: Said = [[chance.choice([0, 1, 1, None]) for _ in range(25)] for _ in range(4)]
    found = compare(documents(said)).fields[0]
    assert found.alpha.value == pytest.approx(alpha_by_definition(said))
    assert found.kappa.value is None, "Cohen's kappa is of two annotators"
    shares = []
    for unit in zip(*said, strict=True):
        given_ = [v for v in unit if v is not None]
        pairs = list(permutations(given_, 2))
        shares += [sum(a == b for a, b in pairs) / len(pairs)] if pairs else []
    assert found.agreement.value == pytest.approx(np.mean(shares))
    assert found.units == len(shares)


@pytest.mark.parametrize(
    ("a", "b", "f1"),
    [
        (["the State of Ohio"], ["State of Ohio"], 6 / 7),
        (["State of Ohio"], ["Ohio,  STATE of"], 1.0),
        (["one two", "three"], ["three"], 0.5),
        (["a a b"], ["a b b"], 2 / 3),
        (["yes"], ["no"], 0.0),
        (["§"], ["§"], 1.0),
        (["§"], ["¶"], 0.0),
    ],
)
def test_f1_of_quotes(a: list[str], b: list[str], f1: float) -> None:
    assert quote_f1(a, b) == pytest.approx(f1)
    assert quote_f1(b, a) == pytest.approx(f1)


def test_all_fields_together_and_what_is_left_out() -> None:
    rows = documents([[1, 0, 1], [1, 1, 1]], "a") + [
        d.model_copy(update={"labels": {"b": FieldLabel()}, "text": "text 9"}) for d in documents([[0], [0]])
    ]
    lonely = rows[0].model_copy(update={"text": "alone"})
    unknown = rows[0].model_copy(update={"annotator": None})
    found = compare([*rows, lonely, unknown, rows[0].model_copy(update={"labels": {}})])
    assert found.left_out == {
        "labelled by one annotator": 1,
        "no annotator": 1,
        "labelled again by the same annotator": 1,
    }
    assert (found.documents, found.texts, found.annotators) == (11, 4, {"ann0": 4, "ann1": 4})
    assert [f.field for f in found.fields] == ["a", "b"]
    assert (found.total.units, found.total.agreement.value) == (4, 0.75)
    assert found.fields[1].quotes.as_json() == {"value": None, "low": None, "high": None, "n": 0}
    assert found.as_json()["total"]["quotes"] == {"value": 1.0, "low": 1.0, "high": 1.0, "n": 2}


def test_many_texts_are_resampled_in_blocks() -> None:
    texts = BLOCKS + 50
    found = compare(documents([[1] * texts, [1, 0] * (texts // 2)])).fields[0]
    assert (found.units, found.agreement.value) == (texts, 0.5)


def test_nothing_to_compare_is_told() -> None:
    with pytest.raises(DataError) as told:
        compare(documents([[1, 0]]))
    assert str(told.value) == (
        "no text was labelled by two annotators; 2 x labelled by one annotator"
        "\n  -> give a dataset in which documents with the same text have different annotators"
    )
    with pytest.raises(DataError, match="no text was labelled by two annotators"):
        compare([])
    with pytest.raises(DataError) as told:
        compare(documents([[1, None], [None, 1]]))
    assert str(told.value) == (
        "2 texts were labelled by two annotators, who have no field in common\n  -> give annotators the same fields"
    )
