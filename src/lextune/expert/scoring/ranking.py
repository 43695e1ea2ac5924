"""Ranked spans: AUPR, precision at 80 % recall, calibration.

As CUAD's evaluate.py (Hendrycks et al. 2021, arXiv 2103.06268) has it, at the level of spans: a gold part is
found if a predicted span of its pair has a token Jaccard of at least 0.5 with it (for parties, also if it
contains it); a found gold part is a TP, however many predictions match it; a prediction that matches none of
its pair's gold parts is a FP; equal texts of one pair are one prediction. Precision is made monotone, and the
area is that of the trapezoids under it from recall 0, precision 1. CUAD tries 101 thresholds; here every
confidence that occurs is one. Recall that is never reached has precision 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lextune.core.records import Candidate
from lextune.expert.scoring.intervals import Array, ratio
from lextune.expert.scoring.pairs import Pair, Scored
from lextune.text.spans import collapse
from lextune.text.tokens import jaccard, tokens

MATCH = 0.5
RECALL = 0.8
BINS = 10
_CHUNK = 2_000_000  # events x resamples computed at once: 16 MB an array


@dataclass(frozen=True)
class Ranking:
    """Predicted spans in falling confidence.

    `row` is the document of each, `hits` the gold parts it is the first to match, `miss` 1 where it matches
    none; `last` marks the last of each distinct confidence; `gold` counts the gold parts of each document.
    """

    row: NDArray[np.intp]
    confidence: Array
    hits: Array
    miss: Array
    last: NDArray[np.intp]
    gold: Array


def rank(scored: Scored) -> Ranking:
    """Return the ranking of all candidates of the scored pairs."""
    gold = np.zeros(len(scored.documents))
    rows: list[int] = []
    confidences: list[float] = []
    hits: list[int] = []
    candidates = [_by_field(p.candidates) for p in scored.predictions]
    reader = _Reader("")
    for pair in scored.pairs:
        if reader.text is not scored.documents[pair.row].text:
            reader = _Reader(scored.documents[pair.row].text)
        gold[pair.row] += len(pair.label.parts)
        spans = _distinct(reader, candidates[pair.row].get(pair.field.name, ()))
        rows += [pair.row] * len(spans)
        confidences += [confidence for _, confidence in spans]
        hits += _hits(pair, [span for span, _ in spans])
    order = np.argsort(-np.asarray(confidences, dtype=np.float64), kind="stable")
    confidence = np.asarray(confidences, dtype=np.float64)[order]
    first_hits = np.asarray(hits, dtype=np.float64)[order]
    last = np.flatnonzero(np.append(confidence[1:] != confidence[:-1], True)[: len(confidence)])
    return Ranking(
        row=np.asarray(rows, dtype=np.intp)[order],
        confidence=confidence,
        hits=np.maximum(first_hits, 0.0),
        miss=(first_hits < 0).astype(np.float64),
        last=last,
        gold=gold,
    )


def aupr(ranking: Ranking) -> Callable[[Array], Array]:
    """Return the metric: weights (rounds x documents) to the area under the precision-recall curve."""

    def area(precision: Array, recall: Array) -> Array:
        heights = (precision[:, 1:] + precision[:, :-1]) / 2
        return np.asarray((np.diff(recall, axis=1) * heights).sum(axis=1))

    return _over_curve(ranking, area)


def precision_at_recall(ranking: Ranking, wanted: float = RECALL) -> Callable[[Array], Array]:
    """Return the metric: weights (rounds x documents) to the best precision at a recall of `wanted`."""

    def at(precision: Array, recall: Array) -> Array:
        return np.asarray(np.where(recall >= wanted - 1e-12, precision, 0.0).max(axis=1))

    return _over_curve(ranking, at)


def curve(ranking: Ranking) -> tuple[Array, Array]:
    """Return the monotone precision and the recall at every distinct confidence, from recall 0, precision 1."""
    precision, recall = _curve(ranking, np.ones((1, len(ranking.gold))))
    return precision[0], recall[0]


def calibration_table(ranking: Ranking) -> Array:
    """Return documents x (bins x (candidates, confidence, right)), for `ece`; right matches a gold part."""
    return _binned(len(ranking.gold), ranking.row, ranking.confidence, 1.0 - ranking.miss)


def answer_table(pairs: Sequence[Pair], n_documents: int) -> Array:
    """Return documents x (bins x (answers, confidence, right)), for `ece`; right: the document states the field."""
    given = [(pair.row, pair.answer.confidence, pair.label.present) for pair in pairs if pair.answer is not None]
    row, confidence, stated = np.array(given, dtype=np.float64).reshape(-1, 3).T
    return _binned(n_documents, row.astype(np.intp), confidence, stated)


def _binned(n_documents: int, row: NDArray[np.intp], confidence: Array, right: Array) -> Array:
    table = np.zeros((n_documents, BINS, 3))
    bins = np.minimum((confidence * BINS).astype(np.intp), BINS - 1)
    for column, values in enumerate((np.ones_like(confidence), confidence, right)):
        np.add.at(table[:, :, column], (row, bins), values)
    return table.reshape(n_documents, -1)


def ece(sums: Array) -> Array:
    """Expected calibration error of summed counts (..., bins x 3).

    The mean over what is counted of |share right - mean confidence| of its bin, ten bins of equal width. Source: Guo et
    al. 2017, arXiv 1706.04599.
    """
    bins = sums.reshape(*sums.shape[:-1], BINS, 3)
    return ratio(np.abs(bins[..., 2] - bins[..., 1]).sum(axis=-1), bins[..., 0].sum(axis=-1))


def _by_field(candidates: Sequence[Candidate]) -> dict[str, list[Candidate]]:
    found: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        found.setdefault(candidate.field, []).append(candidate)
    return found


@dataclass(frozen=True)
class _Span:
    """A predicted text, its white space collapsed, and its tokens."""

    text: str
    words: frozenset[str] = field(compare=False)


class _Reader:
    """Reads spans of one document, each once: the same place often answers many fields."""

    def __init__(self, text: str) -> None:
        self.text, self._read = text, dict[tuple[int, int], _Span]()

    def span(self, start: int, end: int) -> _Span:
        read = self._read.get((start, end))
        if read is None:
            text = collapse(self.text[start:end])
            read = self._read[start, end] = _Span(text, tokens(text))
        return read


def _distinct(reader: _Reader, candidates: Sequence[Candidate]) -> list[tuple[_Span, float]]:
    """Return the distinct texts with their highest confidence, most confident first."""
    best: dict[_Span, float] = {}
    for candidate in candidates:
        span = reader.span(candidate.start, candidate.end)
        if span.text:
            best[span] = max(candidate.confidence, best.get(span, candidate.confidence))
    return sorted(best.items(), key=lambda item: -item[1])


def _hits(pair: Pair, spans: Sequence[_Span]) -> list[int]:
    """Return how many gold parts each span is the first to match, -1 where it matches none at all."""
    parts = [collapse(part) for part in pair.label.parts]
    if not parts:
        return [-1] * len(spans)
    wanted = [tokens(part) for part in parts]
    found, hits = [False] * len(parts), []
    for span in spans:
        matches = [
            jaccard(gold, span.words) >= MATCH or (pair.field.type == "parties" and part in span.text)
            for part, gold in zip(parts, wanted, strict=True)
        ]
        first = sum(match and not before for match, before in zip(matches, found, strict=True))
        found = [match or before for match, before in zip(matches, found, strict=True)]
        hits.append(first if any(matches) else -1)
    return hits


def _over_curve(ranking: Ranking, reduce: Callable[[Array, Array], Array]) -> Callable[[Array], Array]:
    """Return weights -> `reduce` of the monotone curve, in chunks of resamples; NaN without gold."""

    def metric(weights: Array) -> Array:
        size = max(1, _CHUNK // max(1, len(ranking.row)))
        chunks = [weights[i : i + size] for i in range(0, len(weights), size)]
        return np.concatenate([_reduced(ranking, chunk, reduce) for chunk in chunks])

    return metric


def _reduced(ranking: Ranking, weights: Array, reduce: Callable[[Array, Array], Array]) -> Array:
    return np.where(weights @ ranking.gold > 0, reduce(*_curve(ranking, weights)), np.nan)


def _curve(ranking: Ranking, weights: Array) -> tuple[Array, Array]:
    """Return monotone precision and recall, rounds x (1 + distinct confidences)."""
    drawn = weights[:, ranking.row]
    tp = np.cumsum(drawn * ranking.hits, axis=1)[:, ranking.last]
    fp = np.cumsum(drawn * ranking.miss, axis=1)[:, ranking.last]
    gold = weights @ ranking.gold
    shown = tp + fp
    precision = np.divide(tp, shown, out=np.ones_like(tp), where=shown > 0)
    recall = tp / np.maximum(gold, 1.0)[:, None]
    start = np.ones((len(weights), 1))
    precision = np.concatenate([start, precision], axis=1)
    recall = np.concatenate([start - 1.0, recall], axis=1)
    return np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1], recall
