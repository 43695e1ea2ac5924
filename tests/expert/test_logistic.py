"""Curves of evidence: what generated the labels is found, and a field with few of them stays at the pooled curve."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lextune.core.records import Document
from lextune.expert.held_out import IGNORED, HeldOut
from lextune.expert.logistic import EVERY, fit_curves, fit_presence, log_odds

Curve = tuple[float, float, float]


@pytest.fixture
def drawn(document_of: Callable[[str], Document]) -> Callable[..., tuple[list[HeldOut], list[HeldOut]]]:
    def make(curves: list[Curve], sentences: int, *, seed: int = 0) -> tuple[list[HeldOut], list[HeldOut]]:
        """Two readers of one document; labels drawn from the log odds a * first + b * second + c of each field."""
        random = np.random.default_rng(seed)
        shape = sentences, len(curves)
        first, second = (random.normal(0, 2, shape).astype(np.float32) for _ in range(2))
        a, b, c = np.array(curves).T
        truth = (random.random(shape) < 1 / (1 + np.exp(-(a * first + b * second + c)))).astype(np.int8)
        window_of = np.zeros(sentences, np.intp)
        one, other = (HeldOut(document_of("x"), [], window_of, logits, truth) for logits in (first, second))
        return [one], [other]

    return make


def test_the_curve_that_drew_the_labels_is_found(drawn: Callable[..., tuple[list[HeldOut], list[HeldOut]]]) -> None:
    curves = [(1.0, 0.5, -3.0), (0.4, 0.9, -2.0)]
    found = fit_curves(drawn(curves, 60_000))
    np.testing.assert_allclose(found, curves, atol=0.12)


def test_it_is_logistic_regression(drawn: Callable[..., tuple[list[HeldOut], list[HeldOut]]]) -> None:
    """With one field the prior is centred on the answer itself: the unpenalised fit, as scikit-learn gives it."""
    from sklearn.linear_model import LogisticRegression

    readings = drawn([(0.8, 0.3, -2.0)], 7_000)
    truth = readings[0][0].truth[:, 0]
    kept = (truth == 1) | (np.arange(len(truth)) % EVERY == 0)
    x = np.stack([each[0].logits[kept, 0] for each in readings], axis=1)
    weight = np.where(truth[kept] == 1, 1.0, EVERY)
    oracle = LogisticRegression(C=1e6, tol=1e-10).fit(x, truth[kept], sample_weight=weight)
    np.testing.assert_allclose(fit_curves(readings)[0], [*oracle.coef_[0], oracle.intercept_[0]], atol=2e-3)


def test_a_rare_field_is_drawn_to_the_pooled_curve(
    drawn: Callable[..., tuple[list[HeldOut], list[HeldOut]]],
) -> None:
    """Of two fields with another curve than the rest, the one with few sentences moves less towards its own."""
    curves = [(1.0, 0.0, -2.0)] * 6 + [(0.0, 1.0, -2.0)] * 2
    readings = drawn(curves, 8_000)
    rare = readings[0][0].truth[:, 7]
    rare[60:] = IGNORED
    found = fit_curves(readings)
    assert found[7, 0] > found[6, 0] + 0.1
    assert found[6, 1] > found[7, 1] > found[0, 1]


def test_a_field_that_nobody_answers_has_the_pooled_curve(
    drawn: Callable[..., tuple[list[HeldOut], list[HeldOut]]],
) -> None:
    readings = drawn([(1.0, 0.5, -2.0)] * 3, 4_000)
    readings[0][0].truth[:, 2] = IGNORED
    found = fit_curves(readings)
    np.testing.assert_allclose(found[2], found[:2].mean(axis=0), atol=0.3)


def test_without_two_classes_evidence_is_taken_as_it_is(
    drawn: Callable[..., tuple[list[HeldOut], list[HeldOut]]],
) -> None:
    for constant in (-40.0, 40.0):
        found = fit_curves(drawn([(0.0, 0.0, constant)] * 2, 50))
        assert found.tolist() == [[1, 0, 0], [1, 0, 0]]


def test_classes_that_are_apart_have_a_curve_all_the_same(
    drawn: Callable[..., tuple[list[HeldOut], list[HeldOut]]],
) -> None:
    found = fit_curves(drawn([(50.0, 0.0, 0.0)], 400))
    assert np.isfinite(found).all()
    assert found[0, 0] > 1


def test_log_odds_are_a_weighted_sum() -> None:
    first, second = np.array([[1, 2], [3, 4]], np.float32), np.array([[10, 20], [30, 40]], np.float32)
    found = log_odds(np.array([[1, 0.1, 5], [0, 1, -1]]), (first, second))
    assert found.tolist() == [[7, 19], [11, 39]]
    assert found.dtype == np.float32


def test_the_curve_of_presence_is_found_and_a_rare_field_is_drawn_to_the_others() -> None:
    """Fields share a slope; each has a shift of its own, of which six documents know little."""
    random = np.random.default_rng(0)
    curves = np.array([[0.8, -1.0], [0.8, 1.5], [0.8, -1.0]])
    surest = random.normal(0, 3, (4_000, 3))
    present = (random.random(surest.shape) < 1 / (1 + np.exp(-(surest * curves[:, 0] + curves[:, 1])))).astype(np.int8)
    present[6:, 2] = IGNORED
    found = fit_presence(surest, present)
    np.testing.assert_allclose(found[:2], curves[:2], atol=0.15)
    present[:6, 2] = 1
    assert -1.0 < fit_presence(surest, present)[2, 1] < 3.0
    np.testing.assert_array_equal(fit_presence(surest, np.full_like(present, IGNORED)), [[1, 0]] * 3)
