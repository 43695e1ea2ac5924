"""The screen: the linear tagger looks at every window first, and the model reads only those where it sees something.

A window passes where some field's log odds reach the field's limit. The limits are fitted on held-out documents so that
a stated share of the labels stand in windows that pass: a field's limit is a quantile of what its labelled windows
reach, counted together with `PRIOR` labelled windows of all fields, and the quantile is the highest that keeps the
share. How much passes and what is missed is measured on documents that did not fit the limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict

from lextune.core.errors import DataError
from lextune.expert.held_out import HeldOut
from lextune.expert.logistic import log_odds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PRIOR = 20.0  # labelled windows
FOLDS = 4
_STEPS = 40  # of bisection


class Screen(BaseModel):
    """The limits, a field each in the schema's order, and what they cost and save.

    `share` is what was asked for. `recall` of the labels stand in windows that pass, a label being a field of a window,
    and `skipped` is the share of windows that do not pass; both were measured on documents that fitted none of it.
    """

    model_config = ConfigDict(frozen=True)
    limits: tuple[float, ...]
    share: float
    recall: float
    skipped: float
    n_documents: int

    def passes(self, alone: NDArray[np.float32]) -> bool:
        """Say whether the model has to read a window with these log odds [sentences, fields] of the linear tagger."""
        return bool((alone >= self.limits).any())


class _Windows(NamedTuple):
    """`reached` [windows, fields]: the highest log odds; `labelled` [windows, fields]; the document of each window."""

    reached: NDArray[np.float32]
    labelled: NDArray[np.bool_]
    document: NDArray[np.intp]


def fit_screen(held: Sequence[HeldOut], alone: NDArray[np.float64], share: float) -> Screen:
    """Fit the limits on what the linear tagger said of held-out documents.

    Args:
        held: at least two documents, which the tagger was not trained on.
        alone: [fields, 2], the curves of its logits (`lextune.expert.logistic.fit_curves`).
        share: of the labels that have to stand in windows that pass.

    Raises:
        DataError: fewer than two documents, or no label in them.
    """
    import numpy as np

    if len(held) < 2 or not any((each.truth == 1).any() for each in held):
        raise DataError(
            "a screen is fitted on two or more held-out documents with labels",
            where="screen",
            do="give the split more validation documents, or leave the screen out",
        )
    windows = _windows(held, alone)
    fold = windows.document % min(FOLDS, len(held))
    passed = np.zeros(len(fold), bool)
    for number in range(int(fold.max()) + 1):
        own = fold == number
        limits = _limits(windows.reached[~own], windows.labelled[~own], share)
        passed[own] = (windows.reached[own] >= limits).any(axis=1)
    limits = _limits(windows.reached, windows.labelled, share)
    return Screen(
        limits=tuple(float(value) for value in limits),
        share=share,
        recall=float(windows.labelled[passed].sum() / windows.labelled.sum()),
        skipped=float(1 - passed.mean()),
        n_documents=len(held),
    )


def _windows(held: Sequence[HeldOut], alone: NDArray[np.float64]) -> _Windows:
    import numpy as np

    reached, labelled, document = [], [], []
    for number, each in enumerate(held):
        starts = np.flatnonzero(np.diff(each.window_of, prepend=-1))
        if not len(starts):
            continue
        reached.append(np.maximum.reduceat(log_odds(alone, (each.logits,)), starts, axis=0))
        labelled.append(np.logical_or.reduceat(each.truth == 1, starts, axis=0))
        document.append(np.full(len(starts), number))
    return _Windows(np.concatenate(reached), np.concatenate(labelled), np.concatenate(document))


def _limits(reached: NDArray[np.float32], labelled: NDArray[np.bool_], share: float) -> NDArray[np.float64]:
    """Return the highest limits [fields] with which a share of the labels stand in windows that pass."""
    import numpy as np

    pooled = np.sort(reached[labelled])
    own = [np.sort(reached[labelled[:, number], number]) for number in range(labelled.shape[1])]

    def at(quantile: float) -> NDArray[np.float64]:
        return np.array([_quantile(values, pooled, quantile) for values in own])

    low, high = 0.0, 1.0
    limits = at(low)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        found = at(middle)
        kept = labelled[(reached >= found).any(axis=1)].sum() / max(1, labelled.sum())
        if kept >= share:
            low, limits = middle, found
        else:
            high = middle
    return limits


def _quantile(own: NDArray[np.float32], pooled: NDArray[np.float32], quantile: float) -> float:
    """Return a quantile of a field's values together with the pooled ones, which weigh as much as PRIOR of them."""
    import numpy as np

    values = np.concatenate([own, pooled])
    weights = np.concatenate([np.ones(len(own)), np.full(len(pooled), PRIOR / max(1, len(pooled)))])
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return float(values[order][min(np.searchsorted(reached, quantile * reached[-1]), len(values) - 1)])
