"""McNemar's exact test against a count of all outcomes, and Holm's correction worked by hand."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lextune.expert.scoring.mcnemar import holm, mcnemar


def _counted(only_a: int, only_b: int) -> float:
    """Count, over all ways that fair coins fall, those at least as uneven."""
    n, seen = only_a + only_b, min(only_a, only_b)
    flips = [sum(way) for way in itertools.product((0, 1), repeat=n)]
    return min(1.0, sum(min(heads, n - heads) <= seen for heads in flips) / len(flips))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=12))
def test_p_is_the_share_of_outcomes_as_uneven(items: list[tuple[bool, bool]]) -> None:
    found = mcnemar([a for a, _ in items], [b for _, b in items])
    assert found.n == len(items)
    assert found.only_a == items.count((True, False))
    assert found.only_b == items.count((False, True))
    if found.only_a + found.only_b:
        assert found.p == pytest.approx(_counted(found.only_a, found.only_b))
    else:
        assert found.p is None


def test_other_items_are_not_compared() -> None:
    with pytest.raises(ValueError, match="shorter"):
        mcnemar([True, False], [True])


def test_holm_by_hand() -> None:
    assert holm([0.01, None, 0.04, 0.03]) == [pytest.approx(0.03), None, pytest.approx(0.06), pytest.approx(0.06)]
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]
