"""McNemar's exact test: do two systems differ on yes/no items that both answered?

Only items that one has right and the other wrong say anything. Under no difference each of those is a fair coin, so
the two-sided binomial test of their count is exact, however few there are. Source: McNemar (1947), Psychometrika
12(2), 153-157; the exact form: Dietterich (1998), Neural Computation 10(7), 1895-1923.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class McNemar:
    """`only_a` of the `n` items only the first has right, `only_b` only the second; `p` is two-sided, None for none."""

    n: int
    only_a: int
    only_b: int
    p: float | None

    def as_json(self) -> dict[str, Any]:
        """Return the test as plain JSON types."""
        return asdict(self)


def mcnemar(a: Sequence[bool], b: Sequence[bool]) -> McNemar:
    """Compare two systems by which of the same items they have right.

    Raises:
        ValueError: the two are not of one length.
    """
    from scipy.stats import binomtest

    only_a = sum(x and not y for x, y in zip(a, b, strict=True))
    only_b = sum(y and not x for x, y in zip(a, b, strict=True))
    differing = only_a + only_b
    p = float(binomtest(only_a, differing).pvalue) if differing else None
    return McNemar(len(a), only_a, only_b, p)


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Return p-values adjusted for all being looked at together; None, where nothing was tested, stays.

    Source: Holm (1979), Scandinavian Journal of Statistics 6(2), 65-70.
    """
    tested = sorted((p, i) for i, p in enumerate(values) if p is not None)
    adjusted: list[float | None] = [None] * len(values)
    worst = 0.0
    for rank, (p, i) in enumerate(tested):
        worst = max(worst, min(1.0, p * (len(tested) - rank)))
        adjusted[i] = worst
    return adjusted
