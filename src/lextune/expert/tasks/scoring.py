"""How any task's answers are marked: counts a document, metrics of their sums, intervals over documents.

A scorer says what it counts in one document; every metric is a function of those counts summed over documents. So one
bootstrap gives all intervals, and two arms are compared on the documents that both answered.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from lextune.core.records import Document, FieldAnswer, Prediction
from lextune.expert.scoring.intervals import Array, Bootstrap, PairedTest, Statistic, paired_test, ratio
from lextune.expert.scoring.pairs import matched
from lextune.expert.scoring.slices import TAGS, dimensions, measure_drops, parts


@dataclass(frozen=True)
class Metric:
    """A metric of summed counts, which can be called as the `Statistic` it is.

    Args:
        of: from summed counts (..., k) to values (...); NaN where the metric is undefined.
        units: from summed counts to how many units it is computed on: answers, citations, terms, ...
    """

    of: Statistic
    units: Statistic

    def __call__(self, sums: Array) -> Array:
        """Return the metric's values (...)."""
        return self.of(sums)

    def at(self, columns: slice) -> Metric:
        """Return the metric for tables in which its counts are these columns."""
        return Metric(lambda sums: self.of(sums[..., columns]), lambda sums: self.units(sums[..., columns]))


def share(part: int, whole: int) -> Metric:
    """Return the metric that divides one column of counts by another, in units of the second."""
    return Metric(lambda sums: ratio(sums[..., part], sums[..., whole]), lambda sums: sums[..., whole])


class Scorer(ABC):
    """Marks the answers of one task.

    `primary` names the metric on which arms are compared; of it, more is better. `attempts` says how often a document
    is to be asked.
    """

    primary: ClassVar[str]
    attempts: int = 1
    metrics: Mapping[str, Metric]

    @abstractmethod
    def counts(self, documents: Sequence[Document], predictions: Sequence[Prediction]) -> Array:
        """Return the count table, documents x k; `predictions[i]` answers `documents[i]`."""

    def detail(self, documents: Sequence[Document], predictions: Sequence[Prediction]) -> dict[str, Any]:
        """Return what a reader wants to see beside the scores, as plain JSON types; nothing unless a task says more."""
        return {}


def gold(document: Document, name: str) -> tuple[str, ...]:
    """Return the parts of a document's label, none where it has no such label or the label is null."""
    label = document.labels.get(name)
    return label.parts if label is not None else ()


def written(prediction: Prediction) -> str:
    """Return the text of a prediction's one answer, empty for null; the words `No` and `none` are answers here."""
    answer = _answer(prediction)
    return "" if answer is None else str(answer.answer).strip()


def confidence(prediction: Prediction) -> float | None:
    """Return the confidence of a prediction's one answer, None for null."""
    answer = _answer(prediction)
    return None if answer is None else answer.confidence


def _answer(prediction: Prediction) -> FieldAnswer | None:
    return next(iter(prediction.record.fields.values()), None)


def score_task(
    scorer: Scorer,
    documents: Sequence[Document],
    predictions: Sequence[Prediction],
    *,
    seed: int = 0,
    tags: Sequence[str] = TAGS,
) -> dict[str, Any]:
    """Mark predictions.

    Args:
        scorer: of the documents' task.
        documents: annotated rows.
        predictions: one for each document, in any order.
        seed: of the resamples behind the intervals.
        tags: of documents, by which they are scored in parts too (see `lextune.expert.scoring.slices`).

    Returns:
        {"n_documents", "primary", "scores": {metric: Score}, "slices": {dimension: {value: {"n_documents", "score",
        "drop", "p"}}}, "detail", "seconds_per_document", "tokens_per_document", "contracts_per_hour"}: `slices` of the
        primary metric, without dimensions in which all documents are alike; the times are None where none was recorded.

    Raises:
        DataError: no documents, or documents and predictions do not match one to one.
    """
    by_id = matched(documents, predictions)
    ordered = [by_id[document.id] for document in documents]
    table = scorer.counts(documents, ordered)
    bootstrap, sums, n = Bootstrap(len(documents), seed=seed), table.sum(axis=0), len(documents)
    scores = {
        name: bootstrap.score(table, metric, round(float(metric.units(sums)))).as_json()
        for name, metric in scorer.metrics.items()
    }
    seconds = sum(p.usage.seconds for p in ordered)
    return {
        "n_documents": n,
        "primary": scorer.primary,
        "scores": scores,
        "slices": _slices(scorer.metrics[scorer.primary], documents, table, tags, seed),
        "detail": scorer.detail(documents, ordered),
        "seconds_per_document": seconds / n if seconds else None,
        "tokens_per_document": sum(p.usage.prompt_tokens + p.usage.generated_tokens for p in ordered) / n,
        "contracts_per_hour": 3600.0 * n / seconds if seconds else None,
    }


def _slices(
    metric: Metric, documents: Sequence[Document], table: Array, tags: Sequence[str], seed: int
) -> dict[str, dict[str, dict[str, Any]]]:
    values = {name: of for name, of in dimensions(documents, tags).items() if len(set(of)) > 1}
    named, members = parts(values)
    drops = measure_drops(members, table, metric, seed=seed) if named else ()
    found: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in values}
    for (name, value), rows, drop in zip(named, members, drops, strict=True):
        units = round(float(metric.units(table[rows].sum(axis=0))))
        score = Bootstrap(int(rows.sum()), seed=seed).score(table[rows], metric, units)
        found[name][value] = {"n_documents": int(rows.sum()), "score": score.as_json(), **drop._asdict()}
    return found


def paired_task(
    scorer: Scorer,
    documents: Sequence[Document],
    a: Sequence[Prediction],
    b: Sequence[Prediction],
    *,
    seed: int = 0,
) -> PairedTest:
    """Compare two systems on the scorer's `primary` metric, `a` minus `b`.

    Raises:
        DataError: no documents, or documents and predictions do not match one to one.
    """
    first, second = (
        scorer.counts(documents, [by_id[document.id] for document in documents])
        for by_id in (matched(documents, a), matched(documents, b))
    )
    return paired_test(first, second, scorer.metrics[scorer.primary], seed=seed)
