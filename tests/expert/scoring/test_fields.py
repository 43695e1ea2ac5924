from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lextune.core.records import FieldAnswer, FieldLabel, Quote
from lextune.expert.scoring.fields import f1, gold_value, judge, mean_of_defined, precision, recall

TP, WRONG, FP, FN, NOTHING = (1, 0, 0), (0, 1, 1), (0, 1, 0), (0, 0, 1), (0, 0, 0)
QUOTE = Quote(text="words", start=0, end=5, page=None)


def answered(value: Any) -> FieldAnswer:
    return FieldAnswer(answer=value, quotes=(QUOTE,), confidence=1.0, status="accepted")


@pytest.mark.parametrize(
    ("kind", "label", "answer", "expected"),
    [
        ("boolean", FieldLabel(), None, NOTHING),
        ("boolean", FieldLabel(answer="No"), None, NOTHING),
        ("boolean", FieldLabel(answer="Yes"), answered(True), FP),  # text without parts is null
        ("boolean", FieldLabel(parts=("a",), answer="Yes"), None, FN),
        ("boolean", FieldLabel(parts=("a",), answer="Yes"), answered(True), TP),
        ("boolean", FieldLabel(parts=("a",), answer="Yes"), answered(False), WRONG),
        ("boolean", FieldLabel(parts=("a",), answer="Yes"), answered(None), WRONG),
        ("boolean", FieldLabel(parts=("a",), answer="No"), answered(True), TP),  # presence only
        ("boolean", FieldLabel(parts=("a",), answer=None), answered(False), TP),
        ("date", FieldLabel(parts=("a",), answer="5/8/2014"), answered("2014-05-08"), TP),
        ("date", FieldLabel(parts=("a",), answer="5/8/2014"), answered("2014-05-09"), WRONG),
        ("date", FieldLabel(parts=("a",), answer="[]/[]/2014"), answered("2014-05-09"), TP),
        ("date", FieldLabel(parts=("a",), answer="[]/[]/[]"), answered(None), TP),
        ("date", FieldLabel(parts=("a",), answer=""), answered("1999-01-01"), TP),
        ("duration", FieldLabel(parts=("a",), answer="1 year"), answered({"value": 12, "unit": "month"}), TP),
        (
            "parties",
            FieldLabel(parts=("a",), answer='A Inc. ("A"); B LLC'),
            answered(["B LLC", "A, Inc."]),
            TP,
        ),
        ("parties", FieldLabel(parts=("a",), answer='A Inc. ("A"); B LLC'), answered(["B LLC"]), WRONG),
        ("jurisdiction", FieldLabel(parts=("a",), answer="Ontario, Canada"), answered("Ontario"), TP),
        ("jurisdiction", FieldLabel(parts=("a",), answer="[]"), answered("Ontario"), TP),
        ("money", FieldLabel(parts=("a",), answer="$5"), answered({"amount": 5, "currency": "EUR"}), WRONG),
        ("text", FieldLabel(parts=("SUPPLY", "AGREEMENT")), answered("Supply Agreement"), TP),
        ("text", FieldLabel(parts=("SUPPLY AGREEMENT",), answer="No"), answered("Agreement"), WRONG),
    ],
)
def test_judge(kind: str, label: FieldLabel, answer: FieldAnswer | None, expected: tuple[int, int, int]) -> None:
    assert judge(kind, label, answer) == expected


def test_gold_value_is_none_where_there_is_nothing_to_compare() -> None:
    assert gold_value("date", FieldLabel(parts=("a",), answer="[]/[]/[]")) is None
    assert gold_value("date", FieldLabel(parts=("a",), answer="6/21/1999")) == "1999-06-21"


def test_metrics_of_hand_counted_sums() -> None:
    sums = np.array([[6.0, 2.0, 4.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    np.testing.assert_allclose(precision(sums), [0.75, np.nan, 0.0])
    np.testing.assert_allclose(recall(sums), [0.6, np.nan, np.nan])
    np.testing.assert_allclose(f1(sums), [12 / 18, np.nan, 0.0])
    assert mean_of_defined(f1(sums)) == pytest.approx(6 / 18)
    assert np.isnan(mean_of_defined(np.array([np.nan, np.nan])))
