"""Thresholds: the cut with the best score, pooled where a field is rare, midway between two confidences."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.errors import DataError
from lextune.expert.thresholds import FEW, FLOOR, Scored, Thresholds, _best_cut, fit_thresholds, score_document

PAIRS = st.lists(st.tuples(st.sampled_from([0.05, 0.2, 0.4, 0.6, 0.9]), st.booleans()), min_size=1, max_size=12)


def f_beta(pairs: list[tuple[float, bool]], cut: float, beta: float) -> float:
    tp = sum(gold and p >= cut for p, gold in pairs)
    fp = sum(not gold and p >= cut for p, gold in pairs)
    fn = sum(gold and p < cut for p, gold in pairs)
    bottom = (1 + beta**2) * tp + beta**2 * fn + fp
    return (1 + beta**2) * tp / bottom if bottom else 0.0


@given(pairs=PAIRS, beta=st.sampled_from([1.0, 2.0]))
@settings(max_examples=150)
def test_no_cut_scores_better_than_the_one_chosen(pairs: list[tuple[float, bool]], beta: float) -> None:
    chosen = _best_cut(pairs, beta)
    assert f_beta(pairs, chosen, beta) == pytest.approx(max(f_beta(pairs, c / 100, beta) for c in range(1, 100)))
    assert all(chosen != p for p, _ in pairs), "it does not sit on a confidence"


def documents(n: int, *, field: str = "A", seed: int = 0) -> list[Scored]:
    random = np.random.default_rng(seed)
    out = []
    for number in range(n):
        yes = number % 2 == 0
        logits = list(random.normal(-4, 1, 14)) + ([float(random.normal(3, 1))] if yes else [])
        out.append(score_document(f"d{number}", {field: logits}, {field: [False] * 14 + [True] * yes}))
    return out


def test_what_is_fitted_separates() -> None:
    fitted = fit_thresholds(documents(60), ["A"])
    low, high = fitted.confidence(np.array([-4.0, 3.0]))
    assert low < fitted.of("A") < high
    assert fitted.n_documents == 60
    assert fitted.slope > 0


def test_a_rare_field_takes_the_pooled_threshold() -> None:
    frequent, rare = documents(2 * FEW), documents(2 * FEW - 2, field="B", seed=1)
    fitted = fit_thresholds([*frequent, *rare], ["A", "B"])
    assert set(fitted.by_field) == {"A"}
    assert fitted.of("B") == fitted.of("never seen") == fitted.pooled


def test_recall_is_bought_with_precision() -> None:
    random = np.random.default_rng(3)
    rows = []
    for number in range(80):
        yes = number % 3 == 0
        rows.append(score_document(f"d{number}", {"A": [float(random.normal(yes, 1))]}, {"A": [yes]}, every=1))
    f1, recall = (fit_thresholds(rows, ["A"], aim=aim) for aim in ("f1", "recall"))
    assert recall.of("A") < f1.of("A")
    assert recall.aim == "recall"


def test_confidences_are_probabilities() -> None:
    """Sentences are weighted back to their number, so that a confidence is a share (oracle: logistic truth)."""
    random = np.random.default_rng(0)
    rows = []
    for number in range(200):
        logits = random.normal(-2, 2, 70)
        truth = random.random(70) < 1 / (1 + np.exp(-(0.7 * logits - 1)))
        rows.append(score_document(f"d{number}", {"A": list(logits)}, {"A": list(truth)}))
    fitted = fit_thresholds(rows, ["A"])
    assert fitted.slope == pytest.approx(0.7, abs=0.06)
    assert fitted.shift == pytest.approx(-1, abs=0.15)


@given(st.floats(-100, 100), st.floats(0.1, 3), st.floats(-3, 3))
def test_confidence_is_the_logistic_curve(logit: float, slope: float, shift: float) -> None:
    given_ = Thresholds(slope=slope, shift=shift).confidence(np.array([logit], dtype=np.float32))
    inner = max(-30.0, min(30.0, slope * logit + shift))
    assert given_.dtype == np.float32
    assert float(given_[0]) == pytest.approx(1 / (1 + math.exp(-inner)), rel=1e-3, abs=1e-6)


def test_a_field_can_have_a_curve_of_its_own() -> None:
    given_ = Thresholds(slope=2.0, shift=1.0, curves=((1.0, 0.0), (0.5, -1.0)))
    logits = np.array([[0.5, 4.0], [-2.0, 0.0]], dtype=np.float32)
    found = given_.confidence(logits)
    expected = [[2 * 0.5 + 1, 2 * (0.5 * 4 - 1) + 1], [2 * -2 + 1, 2 * (0.5 * 0 - 1) + 1]]
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-np.array(expected))), rtol=1e-5)


@pytest.mark.parametrize("scored", [[], documents(1)[1:], [score_document("d", {"A": [0.0]}, {"A": [False]})]])
def test_nothing_to_fit_on_is_refused(scored: list[Scored]) -> None:
    with pytest.raises(DataError, match=r"no validation document has a labelled clause\n.*more validation documents"):
        fit_thresholds(scored, ["A"])


def test_one_class_alone_leaves_the_logits_as_they_are() -> None:
    fitted = fit_thresholds([score_document("d", {"A": [2.0]}, {"A": [True]})], ["A"])
    assert (fitted.slope, fitted.shift) == (1.0, 0.0)


def test_negatives_are_thinned_and_positives_kept() -> None:
    yes = [n in (50, 51) for n in range(301)]
    scored = score_document("d", {"A": [float(n) for n in range(301)]}, {"A": yes}, every=7)
    assert [int(logit) for logit, positive in scored.sentences if positive] == [50, 51]
    rest = [int(logit) for logit, positive in scored.sentences if not positive]
    assert len({n % 7 for n in rest}) == 1
    assert len(rest) in (42, 43)
    assert scored.best == {"A": 300.0}
    firsts = [score_document(f"d{n}", {"A": [0.0]}, {"A": [False]}, every=7).sentences for n in range(700)]
    assert 60 < sum(map(bool, firsts)) < 140, "a document's first sentence stands for no more than others"
    assert score_document("d", {"A": []}, {"A": []}).best == {"A": -30.0}


def test_what_counts_neither_way_fits_nothing() -> None:
    scored = score_document("d", {"A": [1.0, 2.0, 9.0]}, {"A": [True, False, None]}, every=1)
    assert scored.sentences == ((1.0, True), (2.0, False))
    assert scored.best == {"A": 9.0}, "it is answered all the same"


def test_what_is_no_candidate_chooses_no_threshold() -> None:
    """Sentences below FLOOR are not quoted: a cut among them would promise answers that are never given."""
    noise = [score_document(f"d{n}", {"A": [-n / 50] * 700}, {"A": [n == 3] + [False] * 699}) for n in range(20)]
    fitted = fit_thresholds(noise, ["A"])
    assert fitted.confidence(np.zeros(1, np.float32)) < FLOOR
    assert fitted.of("A") == 0.5


@pytest.mark.parametrize("confidence", [0.0, 1e-9, 0.2, 0.5, 0.9, 1.0])
def test_presence_is_a_curve_of_the_surest_place(confidence: float) -> None:
    assert Thresholds().sure(1, confidence) == confidence
    sure = Thresholds(presence=((1.0, 0.0), (0.5, 2.0))).sure(1, confidence)
    odds = confidence / (1 - confidence) if 0.1 < confidence < 0.95 else (1e-7 if confidence < 0.1 else 1e7)
    assert sure == pytest.approx((odds**0.5 * np.exp(2)) / (1 + odds**0.5 * np.exp(2)), rel=1e-3)


def test_saved_and_loaded(tmp_path: Path) -> None:
    fitted = fit_thresholds(documents(40), ["A"]).model_copy(update={"trained_fields": ("A",)})
    fitted.save(tmp_path)
    assert Thresholds.load(tmp_path / "thresholds.json") == fitted
    assert list(itertools.chain(tmp_path.iterdir())) == [tmp_path / "thresholds.json"]
