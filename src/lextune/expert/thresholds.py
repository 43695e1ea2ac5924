"""Thresholds: from logits to confidences, and from confidences to answers, for a stated aim.

Fitted on documents that training did not see. A logistic curve turns a logit into a probability (Platt 1999): one for
all fields, and before it one a field where `lextune.expert.logistic` fitted them. A field is present where its most
confident sentence reaches the field's threshold; fields with fewer than 20 positive documents share one pooled
threshold. How much is quoted for a present field says `Quoting`: the same for all, or for each field what
`lextune.expert.operating` found best for the aim.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from lextune.core.artifacts import write_atomic
from lextune.core.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FEW = 20
FLOOR = 0.005  # a sentence below this confidence is no candidate
THRESHOLDS_FILE = "thresholds.json"
POINTED = 0.01  # the threshold of what is generated: it has no calibrated confidence, and all of it counts
Extent = Literal["parts", "between", "sentences"]
Aim = Literal["f1", "recall", "contracteval", "precision_at_recall"]


class Quoting(BaseModel):
    """How much is quoted for a field that is present: of its places, the surest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    share: float = 0.3
    """Places with at least this share of the best one's confidence are quoted."""
    around: int = 0
    """So many sentences on either side of a place are quoted with it, where whole sentences are quoted."""
    extent: Extent = "parts"
    """What is quoted of a place that is part of a sentence: its parts, all between the first and the last of them, or
    its whole sentences."""


class Thresholds(BaseModel):
    """How confident is confident enough. `slope` and `shift` map a logit to slope * logit + shift.

    Where there are `curves`, a slope and a shift for each field in the schema's order, they come first.

    `presence` holds, a field, a slope and a shift from the log odds of its surest place to those of its presence; none
    where the two are taken for one.

    Neighbouring sentences are one place where they have at least `quote_share` of its best one's confidence. What of
    the places is quoted says `quoting` by field; where it says nothing, those with that share of the best place's.
    """

    model_config = ConfigDict(frozen=True)
    aim: Aim = "f1"
    slope: float = 1.0
    shift: float = 0.0
    curves: tuple[tuple[float, float], ...] = ()
    presence: tuple[tuple[float, float], ...] = ()
    pooled: float = 0.5
    by_field: dict[str, float] = {}
    quote_share: float = 0.3
    quoting: dict[str, Quoting] = {}
    review_below: float = 0.5
    n_documents: int = 0
    trained_fields: tuple[str, ...] | None = None

    def of(self, field: str) -> float:
        """Return the confidence at which a field counts as present."""
        return self.by_field.get(field, self.pooled)

    def quoting_of(self, field: str) -> Quoting:
        """Return how much is quoted for a field."""
        return self.quoting.get(field) or Quoting(share=self.quote_share)

    def confidence(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return calibrated probabilities of logits, [..., fields]; any shape where no field has a curve of its own."""
        import numpy as np

        if self.curves:
            slopes, shifts = np.array(self.curves, dtype=np.float32).T
            logits = slopes * logits + shifts
        scaled = np.clip(self.slope * logits + self.shift, -30, 30)
        return np.asarray(1 / (1 + np.exp(-scaled)), dtype=np.float32)

    def sure(self, number: int, confidence: float) -> float:
        """Return the probability that a field is present, of the confidence of its surest place.

        Args:
            number: the field's place in the schema.
            confidence: from 0 to 1.
        """
        if not self.presence:
            return confidence
        slope, shift = self.presence[number]
        return _logistic(slope * logit(confidence) + shift)

    def save(self, folder: Path, name: str = THRESHOLDS_FILE) -> None:
        """Write the thresholds as JSON."""
        write_atomic(folder / name, self.model_dump_json(indent=1))

    @classmethod
    def load(cls, path: Path) -> Thresholds:
        """Read what `save` wrote."""
        return cls.model_validate_json(path.read_text(encoding="utf-8"))


def logit(probability: float) -> float:
    """Return log odds, of 0 and 1 those of what rounds to them."""
    within = max(1e-7, min(1 - 1e-7, probability))
    return math.log(within / (1 - within))


class Scored(BaseModel):
    """One validation document: `best[field]` is its highest logit, `gold[field]` whether it is present.

    `sentences` holds, for calibration, (logit, is positive) of sentences that count either way, all positives and some
    negatives with `negative_weight` the number of negatives each one stands for.
    """

    model_config = ConfigDict(frozen=True)
    document_id: str
    best: dict[str, float]
    gold: dict[str, bool]
    sentences: tuple[tuple[float, bool], ...]
    negative_weight: float


def fit_thresholds(scored: Sequence[Scored], fields: Sequence[str], *, aim: Aim = "f1") -> Thresholds:
    """Choose thresholds that maximise F1 of presence (or F2, for the aim `recall`) over documents.

    For the aims of `lextune.expert.operating` what counts of this is the calibration.

    Raises:
        DataError: there is no document, or no field is present in any.
    """
    if not any(any(s.gold.values()) for s in scored):
        raise DataError("no validation document has a labelled clause", do="give the split more validation documents")
    slope, shift = _platt(scored)
    fitted = Thresholds(aim=aim, slope=slope, shift=shift)
    pairs: dict[str, list[tuple[float, bool]]] = {
        f: [(_probability(fitted, s.best[f]), s.gold[f]) for s in scored if f in s.best and f in s.gold] for f in fields
    }
    beta = 2.0 if aim == "recall" else 1.0
    pooled = _best_cut([p for rows in pairs.values() for p in rows], beta)
    by_field = {f: _best_cut(rows, beta) for f, rows in pairs.items() if sum(gold for _, gold in rows) >= FEW}
    return fitted.model_copy(
        update={
            "pooled": pooled,
            "by_field": by_field,
            "review_below": review_limit(pooled),
            "n_documents": len(scored),
        }
    )


def review_limit(pooled: float) -> float:
    """Return the confidence under which an answer is for review, by the pooled threshold."""
    return min(0.95, max(pooled, 0.5))


def _probability(thresholds: Thresholds, logit: float) -> float:
    probability = _logistic(thresholds.slope * logit + thresholds.shift)
    return probability if probability >= FLOOR else 0.0  # what is no candidate is not answered


def _logistic(log_odds: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, log_odds))))


def _platt(scored: Sequence[Scored]) -> tuple[float, float]:
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    rows = [(logit, yes, 1.0 if yes else s.negative_weight) for s in scored for logit, yes in s.sentences]
    values = np.array([[logit] for logit, _, _ in rows])
    target = np.array([yes for _, yes, _ in rows])
    if target.all() or not target.any():
        return 1.0, 0.0
    model = LogisticRegression(C=1e6).fit(values, target, sample_weight=np.array([w for _, _, w in rows]))
    slope = float(model.coef_[0, 0])
    return (slope, float(model.intercept_[0])) if slope > 0 else (1.0, 0.0)


def _best_cut(pairs: Sequence[tuple[float, bool]], beta: float) -> float:
    """Return the cut with the best F-beta: midway between two confidences, so that it does not sit on one."""
    ordered = sorted(pairs, reverse=True)
    positives = sum(gold for _, gold in ordered)
    best, cut, hits = -1.0, 0.5, 0
    for index, (confidence, gold) in enumerate(ordered):
        if confidence <= 0:
            break
        hits += gold
        following = ordered[index + 1][0] if index + 1 < len(ordered) else 0.0
        if following == confidence:
            continue
        score = (1 + beta**2) * hits / (index + 1 + beta**2 * positives) if positives else 0.0
        if score > best:
            best, cut = score, (confidence + following) / 2
    return cut


def score_document(
    document_id: str,
    logits: Mapping[str, Sequence[float]],
    positives: Mapping[str, Sequence[bool | None]],
    *,
    every: int = 7,
) -> Scored:
    """Condense one document's sentence logits for fitting.

    Args:
        document_id: of the document; it says at which sentence counting begins.
        logits: of its sentences, by field.
        positives: whether each answers the field; None counts neither way.
        every: so many-th negative sentence is kept.
    """
    sentences: list[tuple[float, bool]] = []
    first = zlib.crc32(document_id.encode()) % every
    for field, values in logits.items():
        for index, (value, yes) in enumerate(zip(values, positives[field], strict=True), start=first):
            if yes or (yes is not None and index % every == 0):
                sentences.append((float(value), bool(yes)))
    return Scored(
        document_id=document_id,
        best={f: max(v, default=-30.0) for f, v in logits.items()},
        gold={f: any(v) for f, v in positives.items()},
        sentences=tuple(sentences),
        negative_weight=float(every),
    )
