"""Any task's scorer: intervals, order, what a report reads, and the paired test."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lextune.core.errors import DataError
from lextune.core.records import Usage
from lextune.expert.tasks.scoring import Metric, paired_task, score_task, share
from lextune.expert.tasks.wording import WordingScorer


def test_a_score_has_its_interval_units_and_costs(row: Any, answer: Any) -> None:
    rows = [row(f"r{i}", "Say yes.", "yes") for i in range(20)]
    usage = Usage(seconds=2.0, prompt_tokens=10, generated_tokens=5)
    given = [answer(r, "yes" if i % 2 else "no", usage=usage) for i, r in enumerate(rows)]
    result = score_task(WordingScorer(), rows, given[::-1])
    exact = result["scores"]["exact_match"]
    assert (exact["value"], exact["n"]) == (0.5, 20)
    assert exact["low"] < 0.5 < exact["high"]
    assert {key: value for key, value in result.items() if key != "scores"} == {
        "n_documents": 20,
        "primary": "rouge_l",
        "slices": {},
        "detail": {},
        "seconds_per_document": 2.0,
        "tokens_per_document": 15.0,
        "contracts_per_hour": 1800.0,
    }


def test_parts_of_the_rows_are_scored_on_the_primary_metric(row: Any, answer: Any) -> None:
    tenants = ["north"] * 24 + ["south"] * 12
    rows = [row(f"r{i}", "Say yes.", "yes").model_copy(update={"tags": {"tenant": t}}) for i, t in enumerate(tenants)]
    given = [answer(r, "no" if r.tags["tenant"] == "south" else "yes") for r in rows]
    found = score_task(WordingScorer(), rows, given)["slices"]
    assert set(found) == {"tenant"}, "a dimension in which all rows are alike is left out"
    north, south = found["tenant"]["north"], found["tenant"]["south"]
    assert (north["score"]["value"], north["n_documents"]) == (1.0, 24)
    assert (south["score"]["value"], south["n_documents"]) == (0.0, 12)
    assert south["drop"] == pytest.approx(2 / 3)
    assert south["p"] < 0.01 < north["p"]
    assert score_task(WordingScorer(), rows, given, tags=())["slices"] == {}


def test_two_arms_are_compared_on_the_primary_metric(row: Any, answer: Any) -> None:
    rows = [row(f"r{i}", "Say yes.", "yes") for i in range(30)]
    right, wrong = [answer(r, "yes") for r in rows], [answer(r, "no" if i % 3 else "yes") for i, r in enumerate(rows)]
    test = paired_task(WordingScorer(), rows, right, wrong[::-1])
    assert test.difference == pytest.approx(2 / 3)
    assert test.p is not None
    assert test.p < 0.01
    same = paired_task(WordingScorer(), rows, wrong, wrong)
    assert (same.difference, same.p) == (0.0, 1.0)


def test_predictions_must_be_of_the_rows(row: Any, answer: Any) -> None:
    rows = [row("r1", "Say yes.", "yes")]
    with pytest.raises(DataError, match="no documents to score"):
        score_task(WordingScorer(), [], [])
    with pytest.raises(DataError, match="no prediction for document 'r1'"):
        score_task(WordingScorer(), rows, [])


def test_a_metric_moves_with_its_columns() -> None:
    sums = np.array([9.0, 9.0, 1.0, 4.0])
    moved = share(0, 1).at(slice(2, None))
    assert (float(moved(sums)), float(moved.units(sums))) == (0.25, 4.0)
    assert isinstance(moved, Metric)
