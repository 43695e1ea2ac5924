"""Kappa and alpha of any number of categories: against scikit-learn, published values, and the definitions."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from lextune.expert.scoring.agreement import alpha, coincidence, kappa

K = 4
UNITS = st.lists(st.lists(st.integers(0, K - 1), max_size=5), min_size=1, max_size=15)
# Krippendorff (2011), section C: nominal data, any number of observers, missing data; alpha = 0.743
PUBLISHED = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]


def summed(units: list[list[int]], k: int) -> np.ndarray:
    return sum((coincidence([unit.count(c) for c in range(k)]) for unit in units), np.zeros((k, k)))


def test_krippendorffs_published_example() -> None:
    units = [[row[place] - 1 for row in PUBLISHED if row[place] is not None] for place in range(12)]
    table = summed(units, 5)
    assert table.sum() == pytest.approx(40), "values that can be paired"
    assert float(alpha(table)) == pytest.approx(0.743, abs=5e-4)


@given(UNITS)
def test_alpha_is_that_of_the_definition(units: list[list[int]]) -> None:
    pairable = [unit for unit in units if len(unit) > 1]
    values = [value for unit in pairable for value in unit]
    found = float(alpha(summed(units, K)))
    if len(set(values)) < 2:
        assert np.isnan(found)
        return
    observed = sum(sum(a != b for a, b in permutations(u, 2)) / (len(u) - 1) for u in pairable) / len(values)
    pairs = list(permutations(values, 2))
    assert found == pytest.approx(1 - observed / (sum(a != b for a, b in pairs) / len(pairs)))


@given(st.lists(st.tuples(st.integers(0, K - 1), st.integers(0, K - 1)), min_size=1, max_size=30))
def test_kappa_equals_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    table = np.zeros((K, K))
    for first, second in pairs:
        table[first, second] += 1
    if len({value for pair in pairs for value in pair}) == 1:
        assert np.isnan(kappa(table))
    else:
        assert float(kappa(table)) == pytest.approx(cohen_kappa_score(*zip(*pairs, strict=True)))


def test_many_tables_at_once() -> None:
    tables = np.array([[[20, 5], [10, 15]], [[5, 0], [0, 5]], [[7, 0], [0, 0]]], dtype=float)
    np.testing.assert_allclose(kappa(tables), [0.4, 1.0, np.nan])
    assert alpha(tables).shape == (3,)


@pytest.mark.parametrize("counts", [[0, 0], [1, 0]])
def test_fewer_than_two_judges_say_nothing_of_agreement(counts: list[int]) -> None:
    assert not coincidence(counts).any()
