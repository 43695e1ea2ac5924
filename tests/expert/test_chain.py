"""The chain's likelihood, slopes and best path are those of counting every path."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from lextune.expert.chain import FIRST, MORE, NEVER, OUT, START, STATES, _Batch, best_path, fit_chain


def allowed(length: int) -> list[tuple[int, ...]]:
    paths = itertools.product(range(STATES), repeat=length)
    return [p for p in paths if p[0] != MORE and (OUT, MORE) not in itertools.pairwise(p)]


def scored(path: tuple[int, ...], scores: np.ndarray, transition: np.ndarray) -> float:
    steps = transition[START, path[0]] + sum(transition[a, b] for a, b in itertools.pairwise(path))
    return float(steps + sum(scores[t, state] for t, state in enumerate(path)))


@pytest.fixture
def transition() -> np.ndarray:
    found = np.random.default_rng(1).normal(size=(STATES + 1, STATES))
    found[[OUT, START], MORE] = NEVER
    return found


@pytest.mark.parametrize("length", [1, 2, 5])
@pytest.mark.parametrize("seed", range(4))
def test_the_best_path_is_the_best_of_all(length: int, seed: int, transition: np.ndarray) -> None:
    scores = np.random.default_rng(seed).normal(scale=3, size=(length, STATES))
    best = max(allowed(length), key=lambda path: scored(path, scores, transition))
    assert tuple(best_path(scores, transition)) == best


def test_no_tokens_no_path(transition: np.ndarray) -> None:
    assert best_path(np.zeros((0, STATES)), transition) == []


def test_likelihood_and_slopes_are_those_of_all_paths(transition: np.ndarray) -> None:
    given = [(OUT, FIRST, MORE, OUT), (FIRST,), (OUT, OUT, FIRST)]
    scores = np.random.default_rng(3).normal(size=(sum(map(len, given)), STATES))
    batch = _Batch([np.array(path) for path in given])

    def likelihood(scores: np.ndarray, transition: np.ndarray) -> float:
        total, at = 0.0, 0
        for path in given:
            here = scores[at : at + len(path)]
            at += len(path)
            every = [scored(other, here, transition) for other in allowed(len(path))]
            total += scored(path, here, transition) - float(np.log(np.exp(every).sum()))
        return total

    value, by_token, by_step = batch.gradient(scores, transition)
    assert value == pytest.approx(likelihood(scores, transition))
    step = 1e-6
    for place in np.ndindex(*scores.shape):
        moved = scores.copy()
        moved[place] += step
        assert (likelihood(moved, transition) - value) / step == pytest.approx(by_token[place], abs=1e-4)
    for place in np.ndindex(*transition.shape):
        if transition[place] != NEVER:
            moved = transition.copy()
            moved[place] += step
            assert (likelihood(scores, moved) - value) / step == pytest.approx(by_step[place], abs=1e-4)


def test_scores_far_apart_do_not_overflow(transition: np.ndarray) -> None:
    batch = _Batch([np.array([FIRST, MORE]), np.array([OUT])])
    value, by_token, _ = batch.gradient(np.array([[-900.0, 900, 0], [0, 0, 900], [5, 0, 0]]), transition)
    assert np.isfinite(value)
    assert np.isfinite(by_token).all()


def test_what_is_told_by_features_is_learnt() -> None:
    paths = [np.array([OUT, FIRST, MORE, OUT]) for _ in range(20)]
    features = csr_matrix(np.eye(STATES)[np.concatenate(paths)] + 0.01)
    fitted = fit_chain(features, paths, penalty=0.1)
    assert best_path(np.eye(STATES)[[OUT, OUT, FIRST, MORE]] @ fitted.weight, fitted.transition) == [0, 0, 1, 2]
    assert fitted.transition[START, MORE] < NEVER / 2
