"""How close a written answer is to the one that was wanted: exact match, token F1, ROUGE.

Tokens are ROUGE's: runs of letters and digits in lower case. ROUGE-N is the F1 of the n-grams of both texts, each
counted as often as in the text that has it less often; ROUGE-L the F1 of the longest common subsequence of tokens
(Lin 2004, ROUGE: A Package for Automatic Evaluation of Summaries, with equal weight of precision and recall and
without stemming). Token F1 is SQuAD's (Rajpurkar et al. 2016), without articles and punctuation. Every one is the mean
over documents; an empty answer scores 0.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from lextune.core.records import Document, Prediction
from lextune.expert.scoring.intervals import Array
from lextune.expert.tasks.base import OUTPUT
from lextune.expert.tasks.scoring import Metric, Scorer, gold, share, written
from lextune.text.spans import collapse

EXACT, TOKEN_F1, ROUGE_1, ROUGE_2, ROUGE_L, ASKED = range(6)
_TOKEN = re.compile(r"[^\W_]+")
_ARTICLES = frozenset({"a", "an", "the"})


class WordingScorer(Scorer):
    """Marks free text against the output of the row; a row without one is right where nothing is answered."""

    primary = "rouge_l"
    metrics: Mapping[str, Metric] = {
        "rouge_l": share(ROUGE_L, ASKED),
        "rouge_1": share(ROUGE_1, ASKED),
        "rouge_2": share(ROUGE_2, ASKED),
        "token_f1": share(TOKEN_F1, ASKED),
        "exact_match": share(EXACT, ASKED),
    }

    def counts(self, documents: Sequence[Document], predictions: Sequence[Prediction]) -> Array:
        """Return documents x (exact, token F1, ROUGE-1, ROUGE-2, ROUGE-L, 1)."""
        table = np.zeros((len(documents), 6))
        for row, (document, prediction) in enumerate(zip(documents, predictions, strict=True)):
            wanted, said = next(iter(gold(document, OUTPUT)), ""), written(prediction)
            table[row] = *_compared(wanted, said), 1
        return table


def _compared(wanted: str, said: str) -> tuple[float, float, float, float, float]:
    if not wanted and not said:
        return 1.0, 1.0, 1.0, 1.0, 1.0
    ours, theirs = words(said), words(wanted)
    return (
        float(collapse(wanted) == collapse(said)),
        ngram_f1([w for w in ours if w not in _ARTICLES], [w for w in theirs if w not in _ARTICLES], 1),
        ngram_f1(ours, theirs, 1),
        ngram_f1(ours, theirs, 2),
        lcs_f1(ours, theirs),
    )


def words(text: str) -> list[str]:
    """Return a text's tokens: runs of letters and digits, in lower case."""
    return _TOKEN.findall(text.lower())


def ngram_f1(ours: Sequence[str], theirs: Sequence[str], n: int) -> float:
    """Return the F1 of two texts' n-grams, 0 where either has none."""
    a, b = (Counter(zip(*(text[i:] for i in range(n)), strict=False)) for text in (ours, theirs))
    return _f1((a & b).total(), a.total(), b.total())


def lcs_f1(ours: Sequence[str], theirs: Sequence[str]) -> float:
    """Return the F1 of two texts' longest common subsequence of tokens, 0 where either has none."""
    from rapidfuzz.distance import LCSseq

    return _f1(LCSseq.similarity(ours, theirs), len(ours), len(theirs))


def _f1(shared: int, ours: int, theirs: int) -> float:
    return 2.0 * shared / (ours + theirs) if ours and theirs else 0.0
