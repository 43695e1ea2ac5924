"""The screen: the linear tagger looks at every window first, and the model reads only those where it sees something.

A window passes where some field's log odds reach the field's limit. The limits are fitted on held-out documents so that
a stated share of the labels stand in windows that pass: a field's limit is a quantile of what its labelled windows
reach, counted together with `PRIOR` labelled windows of all fields, and the quantile is the highest that keeps the
share. How much passes and what is missed is measured on documents that fitted neither the limits nor the log odds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict

from lextune.core.errors import DataError
from lextune.expert.held_out import HeldOut
from lextune.expert.logistic import fit_curves, log_odds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PRIOR = 20.0  # labelled windows
FOLDS = 4
_STEPS = 40  # of bisection


class Screen(BaseModel):
    """The limits, a field each in the schema's order, and what they cost and save.

    `share` is what was asked for. `recall` of the labels stand in windows that pass, a label being a field of a window,
    and `skipped` is the share of windows that do not pass; both were measured in folds, by what the others fitted.
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


class FittedScreen(NamedTuple):
    """A screen, and of each document it was fitted on which windows [windows] pass a screen fitted on others."""

    screen: Screen
    passes: list[NDArray[np.bool_]]


class _Windows(NamedTuple):
    """Of documents' windows, `reached` [windows, fields], the highest log odds, and `labelled` [windows, fields]."""

    reached: NDArray[np.float32]
    labelled: NDArray[np.bool_]


def _own_curves(held: Sequence[HeldOut]) -> NDArray[np.float64]:
    return fit_curves((held,))


def fit_screen(
    held: Sequence[HeldOut], share: float, curves: Callable[[Sequence[HeldOut]], NDArray[np.float64]] = _own_curves
) -> FittedScreen:
    """Fit the limits on what the linear tagger said of held-out documents.

    Args:
        held: documents which the tagger was not trained on, at least two of them with labels.
        share: of the labels that have to stand in windows that pass.
        curves: fits the curves [fields, 2] that make its logits log odds.

    Raises:
        DataError: fewer than two documents have a label.
    """
    import numpy as np

    labelled = [number for number, each in enumerate(held) if (each.truth == 1).any()]
    if len(labelled) < 2:
        raise DataError(
            "a screen is fitted on two or more held-out documents with labels",
            where="screen",
            do="give the split more validation documents, or leave the screen out",
        )
    order = labelled + [number for number in range(len(held)) if number not in labelled]  # so that every fold has some
    folds = min(FOLDS, len(labelled))
    passes: list[NDArray[np.bool_]] = [np.zeros(0, bool)] * len(held)
    for fold in range(folds):
        others = [held[number] for place, number in enumerate(order) if place % folds != fold]
        odds = curves(others)
        limits = _limits(*_windows(others, odds), share)
        for number in order[fold::folds]:
            passes[number] = np.asarray((_windows([held[number]], odds).reached >= limits).any(axis=1))
    odds = curves(held)
    windows, passed = _windows(held, odds), np.concatenate(passes)
    screen = Screen(
        limits=tuple(float(value) for value in _limits(*windows, share)),
        share=share,
        recall=float(windows.labelled[passed].sum() / windows.labelled.sum()),
        skipped=float(1 - passed.mean()),
        n_documents=len(held),
    )
    return FittedScreen(screen, passes)


def _windows(held: Sequence[HeldOut], curves: NDArray[np.float64]) -> _Windows:
    import numpy as np

    fields = held[0].truth.shape[1]
    reached, labelled = [np.zeros((0, fields), np.float32)], [np.zeros((0, fields), bool)]
    for each in held:
        if len(each.starts):
            reached.append(np.maximum.reduceat(log_odds(curves, (each.logits,)), each.starts, axis=0))
            labelled.append(np.logical_or.reduceat(each.truth == 1, each.starts, axis=0))
    return _Windows(np.concatenate(reached), np.concatenate(labelled))


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
