"""Field metrics: is the field found, and is its value right?

Null on a present field is a FN, a value on an absent field a FP, a wrong value on a present field one FP and
one FN. Gold without a quoted part is null. Values are judged only where the annotator gave both text and
answer: where the answer is blank, `No`, or nothing that can be compared (`[]/[]/[]`), a field of type
boolean, date, duration, parties, jurisdiction or money is right as soon as it is there. A field of type text
has its gold value in the quoted parts themselves: their tokens, joined, against the answer's.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np

from lextune.core.records import FieldAnswer, FieldLabel
from lextune.expert.scoring.intervals import Array, ratio
from lextune.expert.scoring.pairs import Pair
from lextune.text.values import is_null, normalise, same_value

TP, FP, FN = range(3)


def judge(kind: str, label: FieldLabel, answer: FieldAnswer | None) -> tuple[int, int, int]:
    """Return (TP, FP, FN) of one pair; `answer` is None for null."""
    if not label.present:
        return 0, int(answer is not None), 0
    if answer is None:
        return 0, 0, 1
    return (1, 0, 0) if _is_right(kind, label, answer.answer) else (0, 1, 1)


def gold_value(kind: str, label: FieldLabel) -> Any | None:
    """Return the gold value to compare with, None where only presence is scored (see above)."""
    if kind == "text":
        return " ".join(label.parts)
    if label.answer is None or is_null(label.answer, quoted=False):
        return None
    return _normalised(kind, label.answer)


def counts(pairs: Iterable[Pair], n_documents: int, n_fields: int) -> Array:
    """Return the count table, documents x fields x (TP, FP, FN)."""
    table = np.zeros((n_documents, n_fields, 3))
    for pair in pairs:
        table[pair.row, pair.column] = judge(pair.field.type, pair.label, pair.answer)
    return table


def precision(sums: Array) -> Array:
    """TP / (TP + FP) of counts (..., 3)."""
    return ratio(sums[..., TP], sums[..., TP] + sums[..., FP])


def recall(sums: Array) -> Array:
    """TP / (TP + FN) of counts (..., 3)."""
    return ratio(sums[..., TP], sums[..., TP] + sums[..., FN])


def f1(sums: Array) -> Array:
    """2 TP / (2 TP + FP + FN) of counts (..., 3)."""
    return ratio(2 * sums[..., TP], 2 * sums[..., TP] + sums[..., FP] + sums[..., FN])


def mean_of_defined(values: Array) -> Array:
    """Return the mean over the last axis of what is defined there, NaN where nothing is."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1).astype(np.float64))


@functools.lru_cache(maxsize=4096)
def _normalised(kind: str, answer: str) -> Any | None:
    return normalise(kind, answer)


def _is_right(kind: str, label: FieldLabel, value: Any) -> bool:
    gold = gold_value(kind, label)
    return gold is None or same_value(kind, gold, value)
