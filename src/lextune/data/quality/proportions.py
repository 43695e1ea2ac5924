"""Shares estimated from a sample, with intervals that hold for small samples and for shares near 0 and 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

from lextune.expert.scoring.intervals import LEVEL, Score

Z = NormalDist().inv_cdf((1 + LEVEL) / 2)


class Stratum(NamedTuple):
    """A part of the population: how many units it has, and `hits` among the `n` drawn from it at random."""

    size: int
    hits: int
    n: int


def wilson(hits: int, n: int) -> Score:
    """Return hits / n with Wilson's 95 % score interval.

    Its bounds are the shares q with |hits / n - q| = z sqrt(q (1 - q) / n). Source: Wilson, Probable Inference, the
    Law of Succession, and Statistical Inference, JASA 22 (1927).
    """
    if not n:
        return Score(None, None, None, 0)
    share, extra = hits / n, Z * Z / n
    centre = (share + extra / 2) / (1 + extra)
    half = math.sqrt(share * (1 - share) * extra + extra * extra / 4) / (1 + extra)
    low = 0.0 if hits == 0 else centre - half
    high = 1.0 if hits == n else centre + half
    return Score(share, low, high, n)


def stratified(strata: Sequence[Stratum]) -> Score:
    """Return the share in a population whose strata were sampled apart, each weighted by its size.

    With p the weighted sum of the strata's shares p_h, weights w_h and Wilson bounds l_h and u_h, the bounds are
    p - sqrt(sum (w_h (p_h - l_h))^2) and p + sqrt(sum (w_h (u_h - p_h))^2): the method of variance estimates recovery
    (Newcombe 1998; Zou and Donner 2008). With one stratum that is Wilson's interval. Undefined where nothing was
    drawn from a stratum that is not empty.
    """
    total = sum(stratum.size for stratum in strata)
    drawn = sum(stratum.n for stratum in strata)
    share = below = above = 0.0
    for stratum in strata:
        if not stratum.size:
            continue
        part, weight = wilson(stratum.hits, stratum.n), stratum.size / total
        if part.value is None or part.low is None or part.high is None:
            return Score(None, None, None, drawn)
        share += weight * part.value
        below += (weight * (part.value - part.low)) ** 2
        above += (weight * (part.high - part.value)) ** 2
    if not total:
        return Score(None, None, None, drawn)
    return Score(share, max(0.0, share - math.sqrt(below)), min(1.0, share + math.sqrt(above)), drawn)
