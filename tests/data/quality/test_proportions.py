"""Intervals of shares: against scipy, against the definition, and by drawing samples."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from lextune.data.quality.proportions import Stratum, Z, stratified, wilson

counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@settings(max_examples=60)
@given(counts)
def test_wilson_equals_scipy(drawn: tuple[int, int]) -> None:
    hits, n = drawn
    expected = binomtest(hits, n).proportion_ci(method="wilson")
    found = wilson(hits, n)
    assert (found.value, found.n) == (hits / n, n)
    assert (found.low, found.high) == (pytest.approx(expected.low, abs=1e-12), pytest.approx(expected.high))


def test_the_bounds_solve_wilsons_equation() -> None:
    found = wilson(3, 50)
    assert found.low is not None
    assert found.high is not None
    for bound in (found.low, found.high):
        assert abs(3 / 50 - bound) == pytest.approx(Z * math.sqrt(bound * (1 - bound) / 50))


def test_nothing_drawn_says_nothing() -> None:
    assert wilson(0, 0).value is None
    assert (wilson(0, 10).low, wilson(10, 10).high) == (0.0, 1.0)
    assert stratified([]).value is None
    undrawn = stratified([Stratum(10, 1, 5), Stratum(10, 0, 0)])
    assert (undrawn.value, undrawn.low, undrawn.n) == (None, None, 5)


def test_one_stratum_is_wilson_and_an_empty_one_does_not_count() -> None:
    alone, plain = stratified([Stratum(900, 4, 50), Stratum(0, 0, 0)]), wilson(4, 50)
    assert (alone.value, alone.low, alone.high, alone.n) == pytest.approx((plain.value, plain.low, plain.high, 50))


def test_strata_weigh_by_size() -> None:
    found = stratified([Stratum(300, 5, 25), Stratum(700, 0, 25)])
    assert found.value == pytest.approx(0.3 * 0.2)
    first, second = wilson(5, 25), wilson(0, 25)
    assert first.low is not None
    assert second.high is not None
    assert found.low == pytest.approx(0.06 - 0.3 * (0.2 - first.low))


def test_the_stratified_interval_covers_the_truth() -> None:
    chance = random.Random(5)
    covered = 0
    for _ in range(400):
        hits = [sum(chance.random() < share for _ in range(25)) for share in (0.12, 0.03)]
        found = stratified([Stratum(320, hits[0], 25), Stratum(680, hits[1], 25)])
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.32 * 0.12 + 0.68 * 0.03 <= found.high
    assert covered / 400 >= 0.93
