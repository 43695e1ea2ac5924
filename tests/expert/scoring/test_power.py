"""How often the paired test is right: two arms that are equal, and two that are 5 points apart.

Contracts vary: the difference of two arms on one contract has a standard deviation of 0.17. Each simulated evaluation
marks two arms on 100 contracts, or fewer, through the code that a real one is marked by.
"""

from __future__ import annotations

import numpy as np
import pytest

from lextune.evaluate.summary import verdict
from lextune.expert.scoring.intervals import Array, paired_test, ratio

DOCUMENTS, EVALUATIONS, SPREAD = 100, 200, 0.17


def _mean(sums: Array) -> Array:
    return ratio(sums[..., 0], sums[..., 1])


def _found_different(gain: float, seed: int, documents: int = DOCUMENTS) -> int:
    """Return how many of the simulated evaluations declare the first arm better or worse than the second."""
    generator = np.random.default_rng(seed)
    different = 0
    for _ in range(EVALUATIONS):
        other = generator.uniform(0.4, 0.9, documents)
        ours = other + generator.normal(gain, SPREAD, documents)
        first, second = (np.stack([scores, np.ones(documents)], axis=1) for scores in (ours, other))
        found = verdict(paired_test(first, second, _mean, seed=0).as_json())
        assert found in ("better", "worse", "no clear difference")
        different += found != "no clear difference"
    return different


@pytest.mark.parametrize("seed", range(2))
def test_arms_without_a_difference_are_seldom_told_apart(seed: int) -> None:
    assert _found_different(0.0, seed) <= 18


@pytest.mark.parametrize("documents", [2, 3, 5, 8, 14, 19])
def test_few_documents_do_not_tell_equal_arms_apart_more_often(documents: int) -> None:
    found = _found_different(0.0, documents, documents)
    assert found == 0 if documents < 6 else found <= 18


def test_five_points_are_nearly_always_found() -> None:
    found = [_found_different(0.05, seed) for seed in range(2)]
    assert sum(found) / (2 * EVALUATIONS) >= 0.80
