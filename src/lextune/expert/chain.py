"""A linear-chain conditional random field over three states: outside a part, its first token, a later one.

The score of a path is the sum of each token's score for its state and of each transition; its probability is the
share of the exponential of its score among all paths (Lafferty, McCallum and Pereira 2001). Weights are fitted by
L-BFGS on the penalised log-likelihood, and the best path is found by Viterbi's algorithm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

STATES = 3
OUT, FIRST, MORE = range(STATES)
START = STATES  # the row of `transition` before the first token
NEVER = -1e4  # no part begins with a later token
ITERATIONS = 60


class Fitted(NamedTuple):
    """The weights of a chain: `weight` [columns, states] and `transition` [states + start, states]."""

    weight: Array
    transition: Array


def fit_chain(features: Any, paths: Sequence[NDArray[np.int64]], *, penalty: float) -> Fitted:
    """Fit the weights of a chain.

    Args:
        features: [tokens of all sequences, columns], sparse.
        paths: the state of each token of each sequence, in the order of the rows of `features`.
        penalty: of the squared weights, halved, beside the log-likelihood of all sequences.
    """
    import numpy as np
    from scipy.optimize import minimize

    columns, transposed = features.shape[1], features.T.tocsr()
    batch = _Batch(paths)

    def loss(parameters: Array) -> tuple[float, Array]:
        weight = parameters[: columns * STATES].reshape(columns, STATES)
        transition = parameters[columns * STATES :].reshape(STATES + 1, STATES)
        likelihood, by_token, by_step = batch.gradient(features @ weight, transition + _forbidden())
        slope = np.concatenate([(transposed @ by_token).ravel(), by_step.ravel()])
        return 0.5 * penalty * float(parameters @ parameters) - likelihood, penalty * parameters - slope

    begin = np.zeros(columns * STATES + (STATES + 1) * STATES)
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS}).x
    return Fitted(
        found[: columns * STATES].reshape(columns, STATES),
        found[columns * STATES :].reshape(STATES + 1, STATES) + _forbidden(),
    )


def best_path(scores: Array, transition: Array) -> list[int]:
    """Return the states of the path with the highest score.

    Args:
        scores: [tokens, states]. transition: as in `Fitted`.
    """
    import numpy as np

    if not len(scores):
        return []
    best, back = transition[START] + scores[0], []
    for row in scores[1:]:
        through = best[:, None] + transition[:STATES]
        back.append(through.argmax(axis=0))
        best = through.max(axis=0) + row
    path = [int(np.argmax(best))]
    for step in reversed(back):
        path.append(int(step[path[-1]]))
    return path[::-1]


def _forbidden() -> Array:
    import numpy as np

    mask = np.zeros((STATES + 1, STATES))
    mask[[OUT, START], MORE] = NEVER
    return mask


class _Batch:
    """Sequences of many lengths, padded, so that each step is taken in all of them at once."""

    def __init__(self, paths: Sequence[NDArray[np.int64]]) -> None:
        import numpy as np

        lengths = np.array([len(path) for path in paths])
        self._inside = np.arange(lengths.max()) < lengths[:, None]  # [sequences, steps]
        states = np.concatenate(paths)
        self._given = np.eye(STATES)[states]  # [tokens, states]
        self._steps = np.zeros((STATES + 1, STATES))
        for path in paths:
            np.add.at(self._steps, (np.concatenate([[START], path[:-1]]), path), 1)

    def gradient(self, scores: Array, transition: Array) -> tuple[float, Array, Array]:
        """Return the log-likelihood of the given paths, and its slopes by token and state, and by transition.

        The forward and the backward sums are scaled to 1 at each step (Rabiner 1989, section V.A).

        Args:
            scores: [tokens, states]. transition: as in `Fitted`.
        """
        import numpy as np

        highest = scores.max(axis=1)
        weight = np.ones((*self._inside.shape, STATES))
        weight[self._inside] = np.exp(scores - highest[:, None])
        step = np.exp(transition)
        forward, scale = np.empty_like(weight), np.empty(self._inside.shape)
        for t in range(weight.shape[1]):
            before = step[START] if t == 0 else forward[:, t - 1] @ step[:STATES]
            unscaled = before * weight[:, t]
            scale[:, t] = unscaled.sum(axis=1)
            forward[:, t] = unscaled / scale[:, t, None]
        backward, counted = np.ones_like(weight), np.zeros_like(transition)
        for t in range(weight.shape[1] - 2, -1, -1):
            going = self._inside[:, t + 1]
            after = weight[going, t + 1] * backward[going, t + 1] / scale[going, t + 1, None]
            backward[going, t] = after @ step[:STATES].T
            counted[:STATES] += forward[going, t].T @ after
        counted[:STATES] *= step[:STATES]
        marginal = forward * backward
        counted[START] = marginal[:, 0].sum(axis=0)
        total = float(np.log(scale[self._inside]).sum() + highest.sum())
        score = float((self._given * scores).sum() + (self._steps * transition).sum())
        return score - total, self._given - marginal[self._inside], self._steps - counted
