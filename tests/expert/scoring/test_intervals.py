from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.expert.scoring.fields import f1
from lextune.expert.scoring.intervals import (
    PAIRED_ROUNDS,
    Array,
    Bootstrap,
    PairedTest,
    Score,
    draw,
    paired_test,
    percentiles,
    ratio,
)


def plain_f1(rows: list[tuple[float, float, float]]) -> float:
    tp, fp, fn = (sum(column) for column in zip(*rows, strict=True))
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else math.nan


def table(n: int, seed: int = 3) -> Array:
    return np.random.default_rng(seed).integers(0, 5, size=(n, 3)).astype(float)


def test_interval_equals_a_plain_loop_over_resamples() -> None:
    counts = table(12)
    bootstrap = Bootstrap(12, seed=7, rounds=200)
    score = bootstrap.score(counts, f1, n=12)
    values = []
    for weights in draw(12, seed=7, rounds=200):
        rows = [tuple(counts[i]) for i in range(12) for _ in range(int(weights[i]))]
        values.append(plain_f1(rows))
    low, high = np.percentile(values, [2.5, 97.5])
    assert score.value == pytest.approx(plain_f1([tuple(row) for row in counts]))
    assert (score.low, score.high) == (pytest.approx(low), pytest.approx(high))


def test_scores_of_groups_equal_scores_one_by_one() -> None:
    counts = np.random.default_rng(1).integers(0, 3, size=(9, 4, 3)).astype(float)
    bootstrap = Bootstrap(9, seed=0, rounds=100)
    together = bootstrap.scores(counts, f1, [1, 2, 3, 4])
    assert together == [bootstrap.score(counts[:, i], f1, i + 1) for i in range(4)]


def test_resamples_draw_as_many_documents_as_there_are_and_evenly() -> None:
    weights = draw(40, seed=0, rounds=2000)
    assert weights.shape == (2000, 40)
    assert (weights.sum(axis=1) == 40).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(40), abs=0.1)
    assert (weights == draw(40, seed=0, rounds=2000)).all()
    assert (weights != draw(40, seed=1, rounds=2000)).any()


def test_interval_covers_the_truth_about_95_percent_of_the_time() -> None:
    generator = np.random.default_rng(5)
    covered = 0
    for trial in range(200):
        hits = generator.binomial(10, 0.7, size=60).astype(float)
        counts = np.stack([hits, np.full(60, 10.0)], axis=1)
        score = Bootstrap(60, seed=trial, rounds=300).score(counts, lambda s: ratio(s[..., 0], s[..., 1]), 600)
        assert score.low is not None
        assert score.high is not None
        covered += score.low <= 0.7 <= score.high
    assert 0.88 <= covered / 200 <= 0.99


def test_undefined_is_none_with_its_n_and_one_document_has_no_interval() -> None:
    assert Bootstrap(3, seed=0).score(np.zeros((3, 3)), f1, 5) == Score(None, None, None, 5)
    assert Bootstrap(1, seed=0).score(np.array([[1.0, 1.0, 0.0]]), f1, 2) == Score(pytest.approx(2 / 3), None, None, 2)
    assert percentiles(np.array([np.nan])) == (None, None)
    assert draw(0, seed=0, rounds=4).shape == (4, 0)


def test_resamples_are_the_same_however_many_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = table(20, seed=1), table(20, seed=2)
    whole = paired_test(a, b, f1, seed=4), Bootstrap(20, seed=3).score(a, f1, 20)
    monkeypatch.setattr("lextune.expert.scoring.intervals.HELD", 140)  # seven resamples at a time
    most = 0

    def watched(sums: Any) -> Any:
        nonlocal most
        most = max(most, len(sums) if sums.ndim > 1 else 1)
        return f1(sums)

    assert (paired_test(a, b, watched, seed=4), Bootstrap(20, seed=3).score(a, watched, 20)) == whole
    assert most == 7


def test_resamples_without_a_value_are_left_out() -> None:
    counts = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])  # half of the resamples are undefined or 1
    assert Bootstrap(2, seed=0).score(counts, f1, 2) == Score(1.0, 1.0, 1.0, 2)


def test_paired_test_equals_a_plain_loop() -> None:
    a, b = table(20, seed=1), table(20, seed=2)
    test = paired_test(a, b, f1, seed=4)
    differences = []
    for weights in draw(20, seed=4, rounds=PAIRED_ROUNDS)[:, :]:
        left, right = weights @ a, weights @ b
        differences.append(plain_f1([tuple(left)]) - plain_f1([tuple(right)]))
    below, above = sum(d <= 0 for d in differences), sum(d >= 0 for d in differences)
    low, high = np.percentile(differences, [2.5, 97.5])
    assert test.difference == pytest.approx(plain_f1(a.tolist()) - plain_f1(b.tolist()))
    assert (test.low, test.high) == (pytest.approx(low), pytest.approx(high))
    assert test.p == pytest.approx(min(1.0, 2 * (min(below, above) + 1) / (PAIRED_ROUNDS + 1)))


def swapped_differences(a: Array, b: Array) -> list[float]:
    """Return the difference of F1 for each way to swap the two systems' rows, by hand."""
    found = []
    for swaps in itertools.product((False, True), repeat=len(a)):
        rows = [(theirs, ours) if swap else (ours, theirs) for ours, theirs, swap in zip(a, b, swaps, strict=True)]
        first, second = ([tuple(pair[side]) for pair in rows] for side in (0, 1))
        found.append(plain_f1(first) - plain_f1(second))
    return found


@pytest.mark.parametrize("n", [2, 3, 7])
@pytest.mark.parametrize("seed", range(4))
def test_few_documents_are_tested_by_all_swaps(n: int, seed: int) -> None:
    a, b = table(n, seed=seed), table(n, seed=seed + 50)
    test = paired_test(a, b, f1, seed=0)
    differences = swapped_differences(a, b)
    assert test.difference == pytest.approx(differences[0])
    extreme = sum(abs(each) >= abs(differences[0]) - 1e-9 for each in differences)
    assert test.p == pytest.approx(extreme / 2**n)


def test_three_documents_on_which_one_system_is_better_show_nothing() -> None:
    """Of the eight ways to swap three pairs two are as extreme: none swapped, and all."""
    good, bad = np.tile([9.0, 1.0, 0.0], (3, 1)), np.tile([1.0, 9.0, 8.0], (3, 1))
    assert paired_test(good, bad, f1, seed=0).p == 0.25
    assert paired_test(good[:2], bad[:2], f1, seed=0).p == 0.5
    assert paired_test(good[:1], bad[:1], f1, seed=0).p == 1.0


def test_swaps_in_which_the_metric_is_undefined_are_left_out() -> None:
    a = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    b = np.array([[0.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    assert paired_test(a, b, f1, seed=0).p == 1.0, "swapping one document gives both counts to one system"


def test_more_swaps_than_can_be_made_are_drawn() -> None:
    a, b = table(15, seed=1), table(15, seed=3)
    test = paired_test(a, b, f1, seed=0)
    differences = swapped_differences(a, b)
    exact = sum(abs(each) >= abs(differences[0]) - 1e-9 for each in differences) / 2**15
    assert test.p == pytest.approx(exact, abs=0.02)
    assert test == paired_test(a, b, f1, seed=0)
    certain = paired_test(np.tile([9.0, 1.0, 1.0], (15, 1)), np.tile([1.0, 9.0, 9.0], (15, 1)), f1, seed=0)
    assert certain.p is not None
    assert 0 < certain.p < 0.001


def test_paired_test_sees_a_difference_and_none() -> None:
    good = np.tile([8.0, 1.0, 1.0], (30, 1))
    bad = np.tile([4.0, 5.0, 5.0], (30, 1))
    better = paired_test(good, bad, f1, seed=0)
    assert better.difference == pytest.approx(8 / 9 - 8 / 18)
    assert better.p is not None
    assert better.p < 0.001
    worse = paired_test(bad, good, f1, seed=0)
    assert worse.difference == pytest.approx(-(better.difference or 0))
    same = paired_test(good, good, f1, seed=0)
    assert (same.difference, same.low, same.high, same.p) == (0.0, 0.0, 0.0, 1.0)


def test_paired_test_without_a_metric() -> None:
    assert paired_test(np.zeros((4, 3)), table(4), f1, seed=0) == PairedTest(None, None, None, None, 4)
    single = paired_test(np.ones((1, 3)), np.ones((1, 3)), f1, seed=0)
    assert (single.low, single.high) == (None, None)


@settings(max_examples=40)
@given(st.lists(st.tuples(*[st.integers(0, 6)] * 3), min_size=2, max_size=8), st.integers(0, 5))
def test_bounds_hold_the_metric_between_them(rows: list[tuple[int, int, int]], seed: int) -> None:
    score = Bootstrap(len(rows), seed=seed, rounds=200).score(np.array(rows, dtype=float), f1, len(rows))
    if score.value is None:
        assert score.low is None
        return
    assert score.low is not None
    assert score.high is not None
    assert 0.0 <= score.low <= score.high <= 1.0


def test_as_json_is_plain() -> None:
    assert Score(0.5, None, 0.6, 3).as_json() == {"value": 0.5, "low": None, "high": 0.6, "n": 3}
    test = paired_test(table(5), table(5), f1, seed=0).as_json()
    assert set(test) == {"difference", "low", "high", "p", "n_documents"}
    assert all(type(value) in (float, int) for value in test.values())
