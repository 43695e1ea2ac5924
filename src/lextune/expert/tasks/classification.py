"""Classification: one label of a set for each text.

An answer is one of the labels, word for word (case, quotes, white space and a final full stop do not matter), or it
is outside the set: then it is wrong, and counted apart. Micro precision is over the answers inside the set, micro
recall over all texts; a macro mean is over the labels in which the metric is defined (as scikit-learn's with
`zero_division=nan`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lextune.core.errors import DataError, shorten
from lextune.core.records import Document, Prediction
from lextune.expert.scoring import fields
from lextune.expert.scoring.intervals import Array, Bootstrap, Statistic, ratio
from lextune.expert.scoring.ranking import BINS, ece
from lextune.expert.tasks.base import OUTPUT
from lextune.expert.tasks.instruction import Instruction
from lextune.expert.tasks.options import TaskOptions
from lextune.expert.tasks.scoring import Metric, Scorer, confidence, gold, share, written

RIGHT, ASKED, OUTSIDE = range(3)
HEAD = 3
"""Columns before the calibration bins (bins x (answers, confidence, right)) and the labels' (TP, FP, FN)."""
BINNED = HEAD + 3 * BINS
OTHER = "(none of the labels)"


def prompt(text: str, labels: Sequence[str] = ()) -> str:
    """Return the question that asks for a text's label; the labels are listed where they are given."""
    listed = "".join(f"\n- {label}" for label in labels)
    which = f" with one of these labels:{listed}\n\n" if labels else ".\n\n"
    return f"Classify this text{which}Answer with the label alone.\n\n{text}"


class Classification(Instruction):
    """One label of a set for each text."""

    name = "classification"

    def scorer(self, options: TaskOptions) -> Scorer:
        """Return the scorer for the labels of the options, or of the gold where they name none."""
        return LabelScorer(options.labels)


def _by_label(sums: Array) -> Array:
    """Return the labels' (TP, FP, FN), (..., labels, 3), of summed counts."""
    labels: Array = sums[..., BINNED:].reshape(*sums.shape[:-1], -1, 3)
    return labels


def _macro(statistic: Statistic) -> Metric:
    def of(sums: Array) -> Array:
        return fields.mean_of_defined(statistic(_by_label(sums)))

    def units(sums: Array) -> Array:
        defined: Array = (~np.isnan(statistic(_by_label(sums)))).sum(axis=-1).astype(np.float64)
        return defined

    return Metric(of, units)


def _answered(sums: Array) -> Array:
    answered: Array = sums[..., HEAD:BINNED:3].sum(axis=-1)
    return answered


MICRO_PRECISION = Metric(
    lambda sums: ratio(sums[..., RIGHT], sums[..., ASKED] - sums[..., OUTSIDE]),
    lambda sums: sums[..., ASKED] - sums[..., OUTSIDE],
)
MICRO_F1 = Metric(
    lambda sums: ratio(2 * sums[..., RIGHT], 2 * sums[..., ASKED] - sums[..., OUTSIDE]), lambda sums: sums[..., ASKED]
)


class LabelScorer(Scorer):
    """Marks labels.

    Args:
        labels: the set; empty for the labels of the documents that are scored.
    """

    primary = "macro_f1"
    metrics: Mapping[str, Metric] = {
        "accuracy": share(RIGHT, ASKED),
        "macro_f1": _macro(fields.f1),
        "macro_precision": _macro(fields.precision),
        "macro_recall": _macro(fields.recall),
        "micro_f1": MICRO_F1,
        "micro_precision": MICRO_PRECISION,
        "micro_recall": share(RIGHT, ASKED),
        "outside_rate": share(OUTSIDE, ASKED),
        "ece": Metric(lambda sums: ece(sums[..., HEAD:BINNED]), _answered),
    }

    def __init__(self, labels: Sequence[str] = ()) -> None:
        self._labels = tuple(labels)

    def counts(self, documents: Sequence[Document], predictions: Sequence[Prediction]) -> Array:
        """Return documents x (right, asked, outside, calibration bins, labels x (TP, FP, FN)).

        Raises:
            DataError: a document without a label, or with one that is not in the set.
        """
        labels = self.labels(documents)
        table = np.zeros((len(documents), BINNED + 3 * len(labels)))
        places = {_key(label): BINNED + 3 * i for i, label in enumerate(labels)}
        for row, (document, prediction) in enumerate(zip(documents, predictions, strict=True)):
            truth, said = _key(_gold_label(document, labels)), _key(written(prediction))
            right, sure = said == truth, confidence(prediction)
            table[row, [RIGHT, ASKED, OUTSIDE]] = right, 1, said not in places
            if sure is not None:
                start = HEAD + 3 * min(int(sure * BINS), BINS - 1)
                table[row, start : start + 3] = 1, sure, right
            if right:
                table[row, places[truth]] = 1
                continue
            table[row, places[truth] + 2] = 1
            if said in places:
                table[row, places[said] + 1] = 1
        return table

    def labels(self, documents: Sequence[Document]) -> tuple[str, ...]:
        """Return the label set: the one given, or the gold labels in alphabetical order."""
        if self._labels:
            return self._labels
        return tuple(sorted({_key(part): part for document in documents for part in gold(document, OUTPUT)}.values()))

    def detail(self, documents: Sequence[Document], predictions: Sequence[Prediction]) -> dict[str, Any]:
        """Return {labels, confusion, outside}.

        `confusion[i][j]` counts the texts of label i that were given label j; its last column those that were given
        none of the labels. `outside` has the first twenty such answers.
        """
        labels = self.labels(documents)
        places = {_key(label): i for i, label in enumerate(labels)}
        confusion = [[0] * (len(labels) + 1) for _ in labels]
        outside = []
        for document, prediction in zip(documents, predictions, strict=True):
            said = written(prediction)
            column = places.get(_key(said), len(labels))
            confusion[places[_key(_gold_label(document, labels))]][column] += 1
            if column == len(labels):
                outside.append({"document": document.id, "answer": shorten(said)})
        return {"labels": [*labels, OTHER], "confusion": confusion, "outside": outside[:20]}


def tokens_saved(tuned: Sequence[Prediction], baseline: Sequence[Prediction], *, seed: int = 0) -> dict[str, Any]:
    """Return how many tokens a document costs with the tuned model and with the prompted baseline.

    Args:
        tuned: one prediction a document.
        baseline: of the same documents, in any order.
        seed: of the resamples behind the intervals.

    Returns:
        {"tuned": Score, "baseline": Score, "saved": Score}: tokens a document, read and written, and the share of the
        baseline's that is saved (below 0 where the tuned model takes more).

    Raises:
        DataError: no predictions, or not of the same documents.
    """
    other = {p.document_id: p for p in baseline}
    if not tuned or {p.document_id for p in tuned} != other.keys():
        what = "the two arms did not answer the same documents" if tuned else "no predictions to compare"
        raise DataError(what, where="tokens_saved", do="give the predictions of both arms for the same documents")
    rows = [[_used(p), _used(other[p.document_id]), 1] for p in tuned]
    table, bootstrap = np.array(rows, dtype=np.float64), Bootstrap(len(rows), seed=seed)
    statistics = {
        "tuned": lambda sums: ratio(sums[..., 0], sums[..., 2]),
        "baseline": lambda sums: ratio(sums[..., 1], sums[..., 2]),
        "saved": lambda sums: ratio(sums[..., 1] - sums[..., 0], sums[..., 1]),
    }
    return {name: bootstrap.score(table, of, len(rows)).as_json() for name, of in statistics.items()}


def _used(prediction: Prediction) -> int:
    return prediction.usage.prompt_tokens + prediction.usage.generated_tokens


def _key(label: str) -> str:
    return " ".join(label.strip().strip("\"'`").removesuffix(".").strip("\"'`").split()).casefold()


def _gold_label(document: Document, labels: Sequence[str]) -> str:
    parts = gold(document, OUTPUT)
    known = {_key(label) for label in labels}
    if len(parts) == 1 and _key(parts[0]) in known:
        return parts[0]
    what = f"the label {shorten(parts[0], 40)!r} is none of the {len(labels)} labels" if parts else "no label"
    do = "add it to task_options.labels" if parts else "give every held-out row its label"
    raise DataError(what, where=f"document {shorten(document.id, 40)}", do=do)
