"""How far several people (or models) agree who put the same things into the same categories.

Both coefficients are functions of counts summed over the things judged, so that intervals come from resampling these.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lextune.expert.scoring.intervals import Array, ratio


def kappa(table: Array) -> Array:
    """Return Cohen's kappa of two judges, (observed - expected) / (1 - expected) agreement.

    Undefined (NaN) where both always say the same one thing. Source: Cohen, A Coefficient of Agreement for Nominal
    Scales (1960).

    Args:
        table: (..., k, k) counts, first judge's category by second judge's.
    """
    n = table.sum((-2, -1))
    differ = n - np.trace(table, axis1=-2, axis2=-1)
    chance = n * n - (table.sum(-1) * table.sum(-2)).sum(-1)  # both sides of the formula times n squared
    return 1 - ratio(differ * n, chance)


def alpha(coincidences: Array) -> Array:
    """Return Krippendorff's alpha for nominal data, 1 - observed / expected disagreement.

    For any number of judges, with gaps; undefined (NaN) where all say the same one thing. Source: Krippendorff,
    Computing Krippendorff's Alpha-Reliability (2011).

    Args:
        coincidences: (..., k, k), the sum of `coincidence` over the things judged.
    """
    margins = coincidences.sum(-1)
    n = margins.sum(-1)
    differ = n - np.trace(coincidences, axis1=-2, axis2=-1)
    return 1 - ratio((n - 1) * differ, n * n - (margins * margins).sum(-1))


def coincidence(counts: Sequence[int]) -> Array:
    """Return what one thing adds to the coincidences: each ordered pair of its m judgements counts 1 / (m - 1).

    Args:
        counts: how many judges chose each of k categories; with fewer than two judges the result is zero.
    """
    chosen = np.asarray(counts, dtype=np.float64)
    judges = chosen.sum()
    if judges < 2:
        return np.zeros((len(chosen), len(chosen)))
    return np.asarray((np.outer(chosen, chosen) - np.diag(chosen)) / (judges - 1))
