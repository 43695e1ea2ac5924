"""Curves against scikit-learn, a plain loop, and the single numbers that they belong to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve

from lextune.core.records import Document, FieldLabel, Prediction
from lextune.expert.schema import Schema
from lextune.expert.scoring import score
from lextune.expert.scoring.curves import Answers, aurc, draw_curves
from lextune.expert.scoring.intervals import Bootstrap
from lextune.expert.scoring.ranking import Ranking, aupr


def ranking_of(confidence: list[float], right: list[bool], missed: int = 0) -> Ranking:
    """A ranking of one document, in which every right span finds one gold part; `missed` more are never found."""
    order = np.argsort(-np.array(confidence), kind="stable")
    sure, hit = np.array(confidence)[order], np.array(right, dtype=float)[order]
    last = np.flatnonzero(np.append(sure[1:] != sure[:-1], True)[: len(sure)])
    gold = np.array([hit.sum() + missed])
    return Ranking(np.zeros(len(sure), dtype=np.intp), sure, hit, 1 - hit, last, gold)


def answers_of(confidence: list[float], wrong: list[bool]) -> Answers:
    order = np.argsort(-np.array(confidence), kind="stable")
    sure = np.array(confidence)[order]
    last = np.flatnonzero(np.append(sure[1:] != sure[:-1], True)[: len(sure)])
    return Answers(np.zeros(len(sure), dtype=np.intp), np.array(wrong, dtype=float)[order], last)


SPANS = st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=60)


@given(SPANS.filter(lambda spans: any(right for _, right in spans)))
@settings(max_examples=60)
def test_precision_by_recall_is_scikit_learns_made_monotone(spans: list[tuple[int, bool]]) -> None:
    confidence, right = [c / 20 for c, _ in spans], [r for _, r in spans]
    points = draw_curves(ranking_of(confidence, right), answers_of([], []), Bootstrap(1, seed=0)).precision_recall
    precision, recall, _ = precision_recall_curve(right, confidence)
    for at, best in points:
        assert best == pytest.approx(max(precision[recall >= at - 1e-4]), abs=1e-4)
    assert points[0] == (0.0, 1.0)
    assert points[-1][0] == 1.0


def test_recall_that_is_never_reached_is_not_drawn() -> None:
    found = ranking_of([0.9, 0.8, 0.7], [True, False, True], missed=2)
    points = draw_curves(found, answers_of([], []), Bootstrap(1, seed=0)).precision_recall
    assert points[-1] == (0.5, pytest.approx(2 / 3, abs=1e-4))
    heights = np.array([p for _, p in points])
    area = ((heights[1:] + heights[:-1]) / 2 * np.diff([r for r, _ in points])).sum()
    assert area == pytest.approx(float(aupr(found)(np.ones((1, 1)))[0]), abs=0.01)


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=40))
@settings(max_examples=60)
def test_risk_by_coverage_is_a_plain_loops(given_answers: list[tuple[int, bool]]) -> None:
    confidence, wrong = [c / 6 for c, _ in given_answers], [w for _, w in given_answers]
    points = draw_curves(ranking_of([], []), answers_of(confidence, wrong), Bootstrap(1, seed=0)).risk_coverage
    expected, area = [], 0.0
    for limit in sorted(set(confidence), reverse=True):
        let = [w for c, w in zip(confidence, wrong, strict=True) if c >= limit]
        expected.append((len(let) / len(wrong), sum(let) / len(let)))
        area += confidence.count(limit) * sum(let) / len(let) / len(wrong)
    assert points == pytest.approx([pytest.approx(point, abs=1e-4) for point in expected])
    assert aurc(answers_of(confidence, wrong))(np.ones((1, 1)))[0] == pytest.approx(area)


def test_nothing_answered_has_no_curves() -> None:
    curves = draw_curves(ranking_of([], []), answers_of([], []), Bootstrap(1, seed=0))
    assert (curves.precision_recall, curves.calibration, curves.risk_coverage) == ((), (), ())
    assert np.isnan(aurc(answers_of([], []))(np.ones((3, 1)))).all()


def test_the_curves_of_an_evaluation(
    schema: Schema, make_document: Callable[..., Document], make_prediction: Callable[..., Prediction]
) -> None:
    law, audit = "The law of Utah governs.", "Buyer may audit."
    text = f"{law} {audit}"
    documents = [make_document(n, text, {"Law": FieldLabel(parts=(law,)), "Audit": FieldLabel()}) for n in "ab"]
    sure = [("Law", law, 0.95), ("Audit", audit, 0.35)]
    predictions = [
        make_prediction(documents[0], {"Law": ("Utah", [law]), "Audit": audit}, candidates=sure),
        make_prediction(documents[1], {"Law": ("Utah", [law])}, candidates=[("Law", law, 0.92)]),
    ]
    result = score(documents, predictions, schema)
    bins = [(one.n, one.confidence, one.right) for one in result.curves.calibration]
    assert bins == [(1, pytest.approx(0.35), 0.0), (2, pytest.approx(0.935), 1.0)]
    assert (result.curves.calibration[1].low, result.curves.calibration[1].high) == (1.0, 1.0)
    assert result.curves.precision_recall[-1] == (1.0, 1.0)
    assert result.curves.risk_coverage == ((1.0, pytest.approx(1 / 3, abs=1e-4)),)  # all answers are of 0.9
    assert result.aurc.value == pytest.approx(1 / 3)
