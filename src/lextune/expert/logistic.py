"""Logistic curves from evidence to probability, one a field, each drawn towards the curve of all fields.

P(yes) = 1 / (1 + exp(-(w . x + c))), which for one kind of evidence is Platt's (1999). A field's curve is the most
probable one where its weights are spread normally around the pooled ones (`SPREAD`): a field with few labelled
sentences stays at the pooled curve. Fitted by Newton's method.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lextune.expert.held_out import IGNORED, HeldOut

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EVERY = 7  # of the sentences that do not answer a field so many-th are kept, each for so many
SPREAD = 0.5  # of weights around the pooled ones, in standard deviations of the evidence
PRESENCE_SPREAD = 1.0  # the same where a document, not a sentence, is what is assessed
_STEPS, _LONGEST = 50, 2.0  # of Newton's method: at most so many, none longer than this


def fit_curves(readings: Sequence[Sequence[HeldOut]]) -> NDArray[np.float64]:
    """Return weights [fields, kinds + 1] of evidence, the constant last.

    Args:
        readings: for each kind of evidence, the same held-out documents as its reader saw them.

    A field that was assessed in no document has the pooled curve; where no field is answered, or nothing else is, the
    first kind of evidence is taken as it is.
    """
    return _by_field(_samples(readings), readings[0][0].truth.shape[1], SPREAD)


def fit_presence(surest: NDArray[np.float64], present: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return the curves [fields, 2] from the log odds of a field's surest sentence to those of the field's presence.

    Args:
        surest: [documents, fields].
        present: [documents, fields], whether a document states a field: 1, 0, or `IGNORED`.
    """
    import numpy as np

    documents, fields = np.nonzero(present != IGNORED)
    x = np.stack([surest[documents, fields], np.ones(len(documents))], axis=1)
    samples = x, present[documents, fields] == 1, np.ones(len(documents)), fields
    return _by_field(samples, present.shape[1], PRESENCE_SPREAD)


def _by_field(
    samples: tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64], NDArray[np.intp]],
    fields: int,
    spread: float,
) -> NDArray[np.float64]:
    """Return weights [fields, kinds + 1], drawn towards those of all; of samples as `_samples` gives them."""
    import numpy as np

    x, yes, weight, field = samples
    kinds = x.shape[1] - 1
    if yes.all() or not yes.any():
        return np.tile(np.eye(1, kinds + 1)[0], (fields, 1))
    scale = np.append(x[:, :-1].std(axis=0), 1.0)
    scale[scale == 0] = 1.0
    x = x / scale
    pooled = _newton(x, yes, weight, np.zeros(kinds + 1), 1e-3)
    curves = np.tile(pooled, (fields, 1))
    for number in range(fields):
        own = field == number
        if own.any():
            curves[number] = _newton(x[own], yes[own], weight[own], pooled, spread**-2)
    return np.asarray(curves / scale)


def log_odds(curves: NDArray[np.float64], evidence: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the log odds [sentences, fields] of evidence, each kind of it [sentences, fields]."""
    import numpy as np

    out = curves[:, -1] + sum(each * curves[:, kind] for kind, each in enumerate(evidence))
    return np.asarray(out, dtype=np.float32)


def _samples(
    readings: Sequence[Sequence[HeldOut]],
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64], NDArray[np.intp]]:
    """Return evidence with a constant [n, kinds + 1], whether it is one of an answer, its weight, and its field [n]."""
    import numpy as np

    truth = np.concatenate([each.truth for each in readings[0]])
    kept = truth == 1
    kept[::EVERY] |= truth[::EVERY] == 0
    rows, fields = np.nonzero(kept)
    logits = (np.concatenate([each.logits for each in of_one]) for of_one in readings)
    x = np.stack([*(matrix[rows, fields] for matrix in logits), np.ones(len(rows))], axis=1).astype(np.float64)
    yes = truth[rows, fields] == 1
    return x, yes, np.where(yes, 1.0, float(EVERY)), fields


def _newton(
    x: NDArray[np.float64],
    yes: NDArray[np.bool_],
    weight: NDArray[np.float64],
    centre: NDArray[np.float64],
    precision: float,
) -> NDArray[np.float64]:
    """Return the most probable weights, spread normally around `centre` with this precision."""
    import numpy as np

    found = centre.copy()
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ found, -30, 30)))
        slope = x.T @ (weight * (yes - p)) - precision * (found - centre)
        curvature = (x.T * (weight * p * (1 - p))) @ x + precision * np.eye(x.shape[1])
        step = np.linalg.solve(curvature, slope)
        length = float(np.linalg.norm(step))
        found += step * min(1.0, _LONGEST / max(length, 1e-12))
        if length < 1e-8:
            break
    return found
