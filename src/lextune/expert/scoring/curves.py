"""Curves behind single numbers: precision by recall, calibration by bin, risk by coverage.

*Risk and coverage*: answers are let through from the surest down; coverage is the share let through, risk the share of
those that are wrong. What a curve says is what accepting only sure answers gains. AURC is the area under it: the mean
over answers of the risk when that one is just let through, those of equal confidence together; lower is better.
Source: Geifman and El-Yaniv (2017), Selective Classification for Deep Neural Networks, arXiv 1705.08500.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lextune.expert.scoring import ranking
from lextune.expert.scoring.fields import judge
from lextune.expert.scoring.intervals import Array, Bootstrap, ratio
from lextune.expert.scoring.pairs import Pair

STEPS = 100  # a curve has at most one point more
_CHUNK = 2_000_000  # numbers at once: 16 MB an array


@dataclass(frozen=True)
class Bin:
    """Predictions of about one confidence: how many, their mean confidence, and the share that is right."""

    n: int
    confidence: float
    right: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Curves:
    """What plots are drawn from.

    `precision_recall` holds (recall, the best precision at that recall or more); `calibration` the bins that are not
    empty, their share right with its 95 % interval over documents; `risk_coverage` (coverage, risk).
    """

    precision_recall: tuple[tuple[float, float], ...]
    calibration: tuple[Bin, ...]
    risk_coverage: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Answers:
    """Answers in falling confidence: the document of each, and 1 where it is wrong; `last` ends each confidence."""

    row: NDArray[np.intp]
    wrong: Array
    last: NDArray[np.intp]


def answers(pairs: Iterable[Pair]) -> Answers:
    """Return the answers that are not null, the surest first; right is what `fields.judge` says."""
    given = [(pair.answer.confidence, pair) for pair in pairs if pair.answer is not None]
    given.sort(key=lambda item: -item[0])
    confidence = np.array([one for one, _ in given])
    return Answers(
        row=np.array([pair.row for _, pair in given], dtype=np.intp),
        wrong=np.array([1.0 - judge(pair.field.type, pair.label, pair.answer)[0] for _, pair in given]),
        last=np.flatnonzero(np.append(confidence[1:] != confidence[:-1], True)[: len(confidence)]),
    )


def aurc(found: Answers) -> Callable[[Array], Array]:
    """Return the metric: weights (rounds x documents) to the area under risk by coverage; NaN without answers."""

    def area(weights: Array) -> Array:
        drawn = weights[:, found.row]
        let, wrong = (np.cumsum(each, axis=1)[:, found.last] for each in (drawn, drawn * found.wrong))
        risk = np.nan_to_num(ratio(wrong, let))
        share = np.diff(let, axis=1, prepend=0.0)
        return ratio((share * risk).sum(axis=1), share.sum(axis=1))

    def metric(weights: Array) -> Array:
        size = max(1, _CHUNK // max(1, len(found.row)))
        return np.concatenate([area(weights[start : start + size]) for start in range(0, len(weights), size)])

    return metric


def draw_curves(ranks: ranking.Ranking, found: Answers, bootstrap: Bootstrap) -> Curves:
    """Return the curves of one system.

    Args:
        ranks: its candidates.
        found: its answers.
        bootstrap: of the documents.
    """
    return Curves(_precision_recall(ranks), _bins(ranks, bootstrap), _risk_coverage(found))


def _precision_recall(ranks: ranking.Ranking) -> tuple[tuple[float, float], ...]:
    if not len(ranks.row) or not ranks.gold.any():
        return ()
    precision, recall = ranking.curve(ranks)
    wanted = np.append(np.arange(0, recall[-1], 1 / STEPS), recall[-1])
    places = np.searchsorted(recall, wanted - 1e-12)
    return tuple(
        (round(float(r), 4), round(float(precision[place]), 4)) for r, place in zip(wanted, places, strict=True)
    )


def _bins(ranks: ranking.Ranking, bootstrap: Bootstrap) -> tuple[Bin, ...]:
    table = ranking.calibration_table(ranks).reshape(len(ranks.gold), ranking.BINS, 3)
    sums = table.sum(axis=0)
    shares = bootstrap.scores(table, lambda counts: ratio(counts[..., 2], counts[..., 0]), [int(n) for n in sums[:, 0]])
    return tuple(
        Bin(share.n, float(confidence / n), share.value, share.low, share.high)
        for share, (n, confidence, _) in zip(shares, sums, strict=True)
        if share.value is not None
    )


def _risk_coverage(found: Answers) -> tuple[tuple[float, float], ...]:
    if not len(found.row):
        return ()
    risk = np.cumsum(found.wrong)[found.last] / (found.last + 1)
    coverage = (found.last + 1) / len(found.row)
    step = np.unique(np.linspace(0, len(risk) - 1, min(len(risk), STEPS + 1)).round().astype(int))
    return tuple((round(float(coverage[i]), 4), round(float(risk[i]), 4)) for i in step)
