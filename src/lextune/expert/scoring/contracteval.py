"""The ContractEval protocol (arXiv 2508.03080), a pair (contract, field) at a time.

TP: every gold part is a substring of the answer, white space collapsed in both. FP: gold is empty and the
answer is not. FN: gold exists and it is no TP. F1 = 2 TP / (2 TP + FP + FN) and
F2 = 5 TP / (5 TP + 4 FN + FP), micro. Jaccard: tokens of all gold parts joined against those of the whole
answer, mean over all pairs with gold, a null being 0. False-null rate: nulls over pairs with gold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from lextune.expert.scoring.intervals import Array, ratio
from lextune.expert.scoring.pairs import Pair
from lextune.text.spans import collapse
from lextune.text.tokens import jaccard as token_jaccard
from lextune.text.tokens import tokens

TP, FP, FN, JACCARD, PRESENT, ABSENT, NULL = range(7)
COLUMNS = 7
Marks = tuple[float, ...]


class Marker:
    """Marks answers, and keeps what was made of a text: one text is often the answer to many fields."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[str, frozenset[str]]] = {}

    def mark(self, parts: Sequence[str], answer: str) -> Marks:
        """Return (TP, FP, FN, Jaccard, present, absent, null) of one pair.

        Args:
            parts: the gold parts, none for a null.
            answer: the answer's text, empty for a null.
        """
        text, words = self._make(answer)
        if not parts:
            return 0, int(bool(text)), 0, 0, 0, 1, 0
        found = bool(text) and all(collapse(part) in text for part in parts)
        alike = token_jaccard(tokens(" ".join(parts)), words)
        return int(found), 0, int(not found), alike, 1, 0, int(not text)

    def _make(self, answer: str) -> tuple[str, frozenset[str]]:
        made = self._made.get(answer)
        if made is None:
            made = self._made[answer] = (collapse(answer), tokens(answer))
        return made


def counts(pairs: Iterable[Pair], n_documents: int, n_fields: int) -> Array:
    """Return the count table, documents x fields x columns."""
    table = np.zeros((n_documents, n_fields, COLUMNS))
    row, marker = -1, Marker()
    for pair in pairs:
        if pair.row != row:  # a new document: nothing of the last one comes again
            row, marker = pair.row, Marker()
        table[pair.row, pair.column] = marker.mark(pair.label.parts, pair.text)
    return table


def f1(sums: Array) -> Array:
    """Micro F1 of counts (..., columns)."""
    return ratio(2 * sums[..., TP], 2 * sums[..., TP] + sums[..., FP] + sums[..., FN])


def f2(sums: Array) -> Array:
    """Micro F2 of counts (..., columns)."""
    return ratio(5 * sums[..., TP], 5 * sums[..., TP] + 4 * sums[..., FN] + sums[..., FP])


def jaccard(sums: Array) -> Array:
    """Mean Jaccard over pairs with gold, of counts (..., columns)."""
    return ratio(sums[..., JACCARD], sums[..., PRESENT])


def false_null_rate(sums: Array) -> Array:
    """Nulls over pairs with gold, of counts (..., columns)."""
    return ratio(sums[..., NULL], sums[..., PRESENT])


def invented_rate(sums: Array) -> Array:
    """Pairs without gold that were given a value, over pairs without gold, of counts (..., columns)."""
    return ratio(sums[..., FP], sums[..., ABSENT])
