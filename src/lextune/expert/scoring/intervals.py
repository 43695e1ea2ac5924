"""Intervals and tests by resampling whole documents.

Labels and answers of one contract hang together, so contracts are drawn, with replacement, and not pairs.
Every metric here is a function of counts summed over documents; a resample is a row of weights (how often
each document was drawn), and all resamples of a metric are one matrix product: rounds x documents times
documents x counts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Statistic = Callable[[Array], Array]
"""From counts (..., k), summed over documents, to values (...); NaN where the metric is undefined."""

ROUNDS = 1_000
PAIRED_ROUNDS = 10_000
FEW = 20  # documents; of fewer than these the paired bootstrap declares too many differences (in the test: 8 % of 16)
LEVEL = 0.95
HELD = 20_000_000  # weights held at once: 160 MB


@dataclass(frozen=True)
class Score:
    """A metric's value, its 95 % interval, and how many units it was computed on.

    All three are None where the metric is undefined (nothing to divide by); the bounds alone are None with
    fewer than two documents, which say nothing about how documents vary.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int

    def as_json(self) -> dict[str, Any]:
        """Return the score as plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class PairedTest:
    """The difference of two systems (first minus second) on the same documents.

    `p` is two-sided: of fewer than 20 documents the share of all ways to swap the two systems that are as extreme, of
    more the bootstrap probability of a difference of the other sign, or none (see `paired_test`). All are None where
    the metric is undefined for either system.
    """

    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    n_documents: int

    def as_json(self) -> dict[str, Any]:
        """Return the test as plain JSON types."""
        return asdict(self)


class Bootstrap:
    """The resamples of one set of documents, shared by all metrics computed on it."""

    def __init__(self, n_documents: int, *, seed: int, rounds: int = ROUNDS) -> None:
        self.n_documents = n_documents
        self._resampled = functools.partial(resampled, n_documents, seed=seed, rounds=rounds)

    def score(self, table: Array, statistic: Statistic, n: int) -> Score:
        """Return the metric `statistic` of the summed counts, with its interval.

        Args:
            table: documents x counts.
            statistic: from summed counts (..., counts) to values (...).
            n: how many units the metric is computed on, for the record.
        """
        return self.of_weights(lambda weights: statistic(weights @ table), n)

    def scores(self, table: Array, statistic: Statistic, n: Sequence[int]) -> list[Score]:
        """Return one score a group.

        Args:
            table: documents x groups x counts.
            statistic: from summed counts (..., groups, counts) to values (..., groups).
            n: units of each group.
        """
        flat = table.reshape(len(table), -1)
        values = statistic(flat.sum(axis=0).reshape(table.shape[1:]))
        drawn = self._resampled(lambda weights: statistic((weights @ flat).reshape(-1, *table.shape[1:])))
        return [self._score(values[i], drawn[:, i], units) for i, units in enumerate(n)]

    def of_weights(self, metric: Callable[[Array], Array], n: int) -> Score:
        """Return the score of a metric that takes weights (rounds x documents) and returns rounds values."""
        return self._score(metric(np.ones((1, self.n_documents)))[0], self._resampled(metric), n)

    def _score(self, value: np.float64, resampled: Array, n: int) -> Score:
        if np.isnan(value):
            return Score(None, None, None, n)
        low, high = percentiles(resampled) if self.n_documents > 1 else (None, None)
        return Score(float(value), low, high, n)


def by_document(table: Array, documents: Sequence[str]) -> Array:
    """Return the counts of each document, in the order in which they first occur.

    What is in one document hangs together, so that documents are drawn and not items.

    Args:
        table: items x counts.
        documents: of each item.
    """
    places = {document: place for place, document in enumerate(dict.fromkeys(documents))}
    summed = np.zeros((len(places), *table.shape[1:]))
    np.add.at(summed, np.array([places[each] for each in documents], dtype=np.intp), table)
    return summed


def resampled(n_documents: int, metric: Callable[[Array], Array], *, seed: int, rounds: int) -> Array:
    """Return a metric of every resample, in the order of `draw`, of which no more are held at a time than `HELD`.

    Args:
        n_documents: to draw from, and to draw.
        metric: from weights (resamples x documents) to values (resamples, ...).
        seed: of the resamples.
        rounds: how many.
    """
    if n_documents * rounds <= HELD:
        return metric(draw(n_documents, seed=seed, rounds=rounds))
    generator, size = np.random.default_rng(seed), max(1, HELD // n_documents)
    blocks = (_weights(generator, n_documents, min(size, rounds - start)) for start in range(0, rounds, size))
    return np.concatenate([metric(block) for block in blocks])


@functools.lru_cache(maxsize=2)
def draw(n_documents: int, *, seed: int, rounds: int) -> Array:
    """Return rounds x documents weights: how often a document is in a resample; a row sums to documents.

    All tests on one set of documents share them, so that they are kept; they cannot be written to.
    """
    if n_documents == 0:
        return np.zeros((rounds, 0))
    weights = _weights(np.random.default_rng(seed), n_documents, rounds)
    weights.flags.writeable = False
    return weights


def _weights(generator: np.random.Generator, n_documents: int, rounds: int) -> Array:
    share = np.full(n_documents, 1.0 / n_documents)
    return generator.multinomial(n_documents, share, size=rounds).astype(np.float64)


def percentiles(resampled: Array) -> tuple[float | None, float | None]:
    """Return the bounds of the middle 95 % of the resamples in which the metric is defined."""
    defined = resampled[~np.isnan(resampled)]
    if not len(defined):
        return None, None
    tail = 50.0 * (1.0 - LEVEL)
    low, high = np.percentile(defined, [tail, 100.0 - tail])
    return float(low), float(high)


def ratio(part: Array, whole: Array) -> Array:
    """Return part / whole elementwise, NaN where whole is 0."""
    quotient: Array = np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan)
    np.divide(part, whole, out=quotient, where=whole > 0)
    return quotient


def paired_test(a: Array, b: Array, statistic: Statistic, *, seed: int) -> PairedTest:
    """Compare two systems on the same documents by the paired bootstrap over documents.

    Every resample draws the same documents for both. With d* the resampled differences,
    p = 2 min(P(d* <= 0), P(d* >= 0)), each counted with one more resample on its side, at most 1.
    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 13 and 15.

    Few documents resample to too little scatter: all on one side of zero, two of them would be proof. So of fewer than
    20, p is that of `_swapped`; the interval is the bootstrap's still, and may leave out zero where p shows nothing.

    Args:
        a: documents x counts of the first system.
        b: documents x counts of the second.
        statistic: from summed counts to the metric.
        seed: of the resamples.
    """
    difference = float(statistic(a.sum(axis=0)) - statistic(b.sum(axis=0)))
    if np.isnan(difference):
        return PairedTest(None, None, None, None, len(a))

    def differ(weights: Array) -> Array:
        return np.asarray(statistic(weights @ a) - statistic(weights @ b))

    drawn = resampled(len(a), differ, seed=seed, rounds=PAIRED_ROUNDS)
    drawn = drawn[~np.isnan(drawn)]
    low, high = percentiles(drawn) if len(a) > 1 else (None, None)
    if len(a) < FEW:
        return PairedTest(difference, low, high, _swapped(a, b, statistic, difference, seed), len(a))
    sides = [(np.count_nonzero(side) + 1) / (len(drawn) + 1) for side in (drawn <= 0, drawn >= 0)]
    return PairedTest(difference, low, high, min(1.0, 2.0 * float(min(sides))), len(a))


def _swapped(a: Array, b: Array, statistic: Statistic, difference: float, seed: int) -> float:
    """Return the share of ways to swap the two systems, document by document, that differ at least as much as they do.

    Were the systems alike, which of a document's two rows is whose would be chance. All ways are taken where they are
    no more than `PAIRED_ROUNDS`, else as many are drawn, and theirs is counted with them. Ways in which the metric is
    undefined for either are left out. Source: Fisher, The Design of Experiments (1935), section 21; of drawn ones
    Noreen, Computer-Intensive Methods for Testing Hypotheses (1989), chapter 2.
    """
    ways = 2 ** len(a) // 2  # the last document stays: to swap all the others is to swap it, with the other sign
    if ways <= PAIRED_ROUNDS:
        swaps, own = (np.arange(ways)[:, None] >> np.arange(len(a))) & 1, 0
    else:
        swaps, own = np.random.default_rng(seed).integers(0, 2, size=(PAIRED_ROUNDS, len(a))), 1
    moved = swaps.astype(np.float64) @ (b - a)
    found = statistic(a.sum(axis=0) + moved) - statistic(b.sum(axis=0) - moved)
    found = found[~np.isnan(found)]
    least = abs(difference) * (1 - 1e-9) - 1e-12  # sums of the same numbers in another order are not quite equal
    return float((np.count_nonzero(np.abs(found) >= least) + own) / max(1, len(found) + own))
