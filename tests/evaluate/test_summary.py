"""The before/after table and the judgement behind the first paragraph."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lextune.evaluate.formatting import fixed, plain, probability, quantity, score
from lextune.evaluate.summary import compare, judgement, summary_table, verdict


def arm(f1: float | None, n: int) -> dict[str, Any]:
    leaf = {"value": f1, "low": f1 and f1 - 0.1, "high": f1 and f1 + 0.1, "n": n}
    return {"n_documents": n, "field": {"micro": {"f1": leaf}}, "contracts_per_hour": 1234.5}


def test_the_table_has_a_header_and_a_row_an_arm_then_the_subset() -> None:
    evaluation = {
        "arms": {"tuned": arm(0.7, 60), "linear": arm(None, 60)},
        "subset_arms": {"tuned": arm(0.8, 9), "base-few-shot": arm(0.2, 9)},
    }
    rows = summary_table(evaluation)
    assert rows[0] == [
        "arm",
        "documents",
        "field F1",
        "macro F1",
        "ContractEval F1",
        "Jaccard",
        "false-null",
        "invented",
        "contracts/hour",
    ]
    assert [(row[0], row[1], row[2]) for row in rows[1:]] == [
        ("tuned", "60", "0.700 (0.600 to 0.800)"),
        ("linear", "60", "n/a (n=60)"),
        ("tuned", "9", "0.800 (0.700 to 0.900)"),
        ("base-few-shot", "9", "0.200 (0.100 to 0.300)"),
    ]
    assert all(len(row) == len(rows[0]) and all(isinstance(cell, str) for cell in row) for row in rows)
    assert rows[1][-1] == "1,234"


@pytest.mark.parametrize(
    ("difference", "p", "low", "expected"),
    [
        (0.1, 0.01, 0.05, "better"),
        (-0.1, 0.01, -0.2, "worse"),
        (0.1, 0.05, 0.0, "no clear difference"),
        (0.0, 0.0, 0.0, "no clear difference"),
        (0.1, 0.0002, None, "not tested"),  # one document: all resamples are the same
        (None, None, None, "not tested"),
        (math.nan, 0.01, 0.0, "not tested"),
    ],
)
def test_verdicts(difference: float | None, p: float | None, low: float | None, expected: str) -> None:
    assert verdict({"difference": difference, "p": p, "low": low, "high": low}) == expected


def test_a_test_stored_the_other_way_round_is_turned() -> None:
    test = {"a": "linear", "b": "tuned", "difference": 0.1, "low": 0.05, "high": 0.2, "p": 0.01}
    evaluation = {"arms": {"tuned": arm(0.7, 60), "linear": arm(0.8, 60)}, "paired": [test]}
    pair = compare(evaluation, "linear")
    assert pair is not None
    assert pair.test is not None
    assert [pair.test[key] for key in ("difference", "low", "high")] == [-0.1, -0.2, -0.05]
    assert (pair.verdict, pair.n_documents) == ("worse", 60)


@pytest.mark.parametrize(
    ("difference", "p", "opening"),
    [
        (0.3, 0.001, "Tuning gained over the same base model given the question only: field F1 0.700"),
        (-0.3, 0.001, "Tuning made it worse than the same base model given the question only: field F1"),
        (0.01, 0.8, "Tuning gained nothing that can be told from chance over the same base model given the"),
        (
            None,
            None,
            "What tuning gained over the same base model given the question only was not tested: field",
        ),
    ],
)
def test_the_gain_is_over_zero_shot_where_few_shot_did_not_run(
    difference: float | None, p: float | None, opening: str
) -> None:
    test = {
        "a": "tuned",
        "b": "base-zero-shot",
        "difference": difference,
        "low": difference,
        "high": difference,
        "p": p,
    }
    evaluation = {"arms": {"tuned": arm(0.7, 60), "base-zero-shot": arm(0.4, 60)}, "paired": [test]}
    assert judgement(evaluation)[0].startswith(opening)


@pytest.mark.parametrize(
    ("leaf", "n", "expected"),
    [
        ({"value": 0.5, "low": 0.25, "high": 0.75, "n": 3}, None, "0.500 (0.250 to 0.750)"),
        ({"value": 0.5, "low": None, "high": None, "n": 1}, None, "0.500 (no interval)"),
        ({"value": None, "low": None, "high": None, "n": 0}, 9, "n/a (n=0)"),
        ({"value": math.nan, "low": None, "high": None}, 9, "n/a (n=9)"),
        (0.5, 9, "0.500"),
        (None, None, "n/a"),
        (True, None, "n/a"),
    ],
)
def test_scores_as_text(leaf: Any, n: int | None, expected: str) -> None:
    assert score(leaf, n) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (12345, "12,345"),
        (0.0005, "0.0005"),
        (99.96, "100"),
        (1234.5, "1,234"),
        (10**400, "n/a"),
        (math.inf, "n/a"),
        (None, "n/a"),
        (True, "yes"),
        ({"a_b": 1, "c": None}, "a b: 1, c: n/a"),
        ({"value": 0.5, "low": 0.4, "high": 0.6}, "0.500 (0.400 to 0.600)"),
        (list(range(23)), "; ".join(map(str, range(20))) + " and 3 more"),
    ],
)
def test_values_as_text(value: Any, expected: str) -> None:
    assert plain(value) == expected


def test_small_numbers_keep_no_false_sign() -> None:
    assert fixed(-0.0001, sign=True) == "+0.000"
    assert (probability(0.0009), probability(0.0312)) == ("p < 0.001", "p = 0.031")
    assert quantity(999.9) == "1,000"
