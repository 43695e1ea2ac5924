"""The ranking against a literal reading of CUAD's evaluate.py: everything recounted at every threshold."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import numpy as np
import pytest

from lextune.core.records import Candidate, Document, FieldLabel, Prediction
from lextune.expert.schema import Schema
from lextune.expert.scoring import ranking
from lextune.expert.scoring.pairs import Scored, scored

Gold, Predicted = dict[str, list[str]], dict[str, list[tuple[str, float]]]


def alike(gold: str, predicted: str, parties: bool) -> bool:
    a, b = (
        set("".join(c for c in text.lower() if c not in ".,;:").replace("/", " ").split()) for text in (gold, predicted)
    )
    return len(a & b) / len(a | b) >= 0.5 or (parties and gold in predicted)


def counted(gold: Gold, predicted: Predicted, threshold: float) -> tuple[int, int, int]:
    tp = fp = fn = 0
    for key, parts in gold.items():
        shown = {text for text, confidence in predicted.get(key, []) if confidence >= threshold}
        found = [any(alike(part, text, key.endswith("Parties")) for text in shown) for part in parts]
        tp, fn = tp + sum(found), fn + len(found) - sum(found)
        fp += sum(not any(alike(part, text, key.endswith("Parties")) for part in parts) for text in shown)
    return tp, fp, fn


def oracle(gold: Gold, predicted: Predicted) -> tuple[float, float]:
    """Return (AUPR, precision at 80 % recall) by recounting at every confidence."""
    points = [(0.0, 1.0)]
    for threshold in sorted({c for spans in predicted.values() for _, c in spans}, reverse=True):
        tp, fp, fn = counted(gold, predicted, threshold)
        points.append((tp / (tp + fn), tp / (tp + fp) if tp + fp else 1.0))
    best = [max(p for _, p in points[i:]) for i in range(len(points))]
    area = sum((points[i + 1][0] - points[i][0]) * (best[i] + best[i + 1]) / 2 for i in range(len(points) - 1))
    at = next((p for (r, _), p in zip(points, best, strict=True) if r >= 0.8), 0.0)
    return area, at


@pytest.fixture
def problem(
    schema: Schema, make_document: Callable[..., Document], make_prediction: Callable[..., Prediction]
) -> Callable[[int], tuple[Scored, Gold, Predicted]]:
    def make(seed: int) -> tuple[Scored, Gold, Predicted]:
        rng = random.Random(seed)
        documents, predictions, gold, predicted = [], [], Gold(), Predicted()
        for d in range(4):
            words = [
                rng.choice(["red", "green", "blue", "Alder", "Birch,", "of/the", "law;", "owns", "7", ".", "two"])
                for _ in range(120)
            ]
            text = " ".join(f"{word}{i}" if rng.random() < 0.3 else word for i, word in enumerate(words))
            labels, candidates = {}, []
            for name in ("Parties", "Law", "Audit"):
                parts = []
                for _ in range(rng.randrange(3)):
                    start = rng.randrange(100)
                    parts.append(" ".join(text.split()[start : start + rng.randint(1, 6)]))
                labels[name] = FieldLabel(parts=tuple(parts))
                spans = [p + rng.choice(["", " "]) for p in parts if rng.random() < 0.7 and (p + " ") in text]
                spans += [" ".join(text.split()[s : s + 5]) for s in rng.sample(range(100), 2)]
                candidates += [(name, span, rng.randrange(1, 9) / 10) for span in spans]
                gold[f"{d} {name}"] = parts
                predicted[f"{d} {name}"] = [(" ".join(s.split()), c) for f, s, c in candidates if f == name]
            documents.append(make_document(str(d), text, labels))
            predictions.append(make_prediction(documents[-1], {}, candidates=candidates))
        return scored(documents, predictions, schema), gold, predicted

    return make


@pytest.mark.parametrize("seed", range(12))
def test_against_recounting_at_every_threshold(
    problem: Callable[[int], tuple[Scored, Gold, Predicted]], seed: int
) -> None:
    data, gold, predicted = problem(seed)
    ranks, once = ranking.rank(data), np.ones((1, 4))
    area, at = oracle(gold, predicted)
    assert ranking.aupr(ranks)(once)[0] == pytest.approx(area)
    assert ranking.precision_at_recall(ranks)(once)[0] == pytest.approx(at)


def test_weights_are_copies_of_documents(problem: Callable[[int], tuple[Scored, Gold, Predicted]]) -> None:
    data, gold, predicted = problem(3)
    weights = (2, 0, 1, 1)
    copies = [(d, copy) for d, weight in enumerate(weights) for copy in range(weight)]
    repeated_gold: Gold = {}
    repeated: Predicted = {}
    for (d, copy), name in itertools.product(copies, ("Parties", "Law", "Audit")):
        repeated_gold[f"{copy} {d} {name}"] = gold[f"{d} {name}"]
        repeated[f"{copy} {d} {name}"] = predicted[f"{d} {name}"]
    ranks = ranking.rank(data)
    area, at = oracle(repeated_gold, repeated)
    assert ranking.aupr(ranks)(np.array([weights], dtype=float))[0] == pytest.approx(area)
    assert ranking.precision_at_recall(ranks)(np.array([weights], dtype=float))[0] == pytest.approx(at)


def test_chunks_change_nothing(
    problem: Callable[[int], tuple[Scored, Gold, Predicted]], monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = ranking.aupr(ranking.rank(problem(1)[0]))
    weights = np.random.default_rng(0).integers(0, 3, size=(17, 4)).astype(float)
    whole = metric(weights)
    monkeypatch.setattr(ranking, "_CHUNK", 100)
    np.testing.assert_allclose(metric(weights), whole)


def one(
    make_document: Callable[..., Document],
    make_prediction: Callable[..., Prediction],
    schema: Schema,
    labels: dict[str, FieldLabel],
    candidates: list[tuple[str, str, float]],
) -> ranking.Ranking:
    document = make_document("d", "Alder Inc. and others who sign below. The law of Utah governs.", labels)
    prediction = make_prediction(document, {}, candidates=candidates)
    return ranking.rank(scored([document], [prediction], schema))


def test_parties_match_by_containment_and_others_do_not(
    schema: Schema, make_document: Callable[..., Document], make_prediction: Callable[..., Prediction]
) -> None:
    sentence = "Alder Inc. and others who sign below."
    for name, hits in (("Parties", 1.0), ("Law", 0.0)):
        labels = {name: FieldLabel(parts=("Alder Inc.",))}
        ranks = one(make_document, make_prediction, schema, labels, [(name, sentence, 0.5)])
        assert ranks.hits.tolist() == [hits]
        assert ranks.miss.tolist() == [1.0 - hits]


def test_a_second_match_is_neither_hit_nor_miss_and_equal_texts_are_one(
    schema: Schema, make_document: Callable[..., Document], make_prediction: Callable[..., Prediction]
) -> None:
    labels = {"Law": FieldLabel(parts=("The law of Utah governs.",))}
    spans = [
        ("Law", "law of Utah governs.", 0.9),
        ("Law", "The law of Utah governs.", 0.8),
        ("Law", "who sign", 0.7),
    ]
    ranks = one(make_document, make_prediction, schema, labels, [*spans, ("Law", "who sign", 0.1)])
    assert ranks.confidence.tolist() == [0.9, 0.8, 0.7]
    assert ranks.hits.tolist() == [1.0, 0.0, 0.0]
    assert ranks.miss.tolist() == [0.0, 0.0, 1.0]


def test_no_gold_is_undefined_and_no_candidates_is_zero(
    schema: Schema, make_document: Callable[..., Document], make_prediction: Callable[..., Prediction]
) -> None:
    once = np.ones((1, 1))
    without = one(make_document, make_prediction, schema, {"Law": FieldLabel()}, [("Law", "who sign", 0.7)])
    assert np.isnan(ranking.aupr(without)(once)[0])
    assert np.isnan(ranking.precision_at_recall(without)(once)[0])
    silent = one(make_document, make_prediction, schema, {"Law": FieldLabel(parts=("Utah",))}, [])
    assert ranking.aupr(silent)(once)[0] == 0.0
    assert ranking.precision_at_recall(silent)(once)[0] == 0.0


def test_ece_by_hand(
    schema: Schema, make_document: Callable[..., Document], make_prediction: Callable[..., Prediction]
) -> None:
    labels = {"Law": FieldLabel(parts=("The law of Utah governs.",))}
    spans = [("Law", "The law of Utah governs.", 0.92), ("Law", "who sign", 0.98), ("Law", "others", 0.25)]
    ranks = one(make_document, make_prediction, schema, labels, spans)
    sums = ranking.calibration_table(ranks).sum(axis=0)
    assert ranking.ece(sums) == pytest.approx((2 * abs(0.5 - 0.95) + abs(0.0 - 0.25)) / 3)
    assert ranking.ece(np.stack([sums, sums])).shape == (2,)


def test_blank_candidates_are_no_predictions(
    schema: Schema, make_document: Callable[..., Document], make_prediction: Callable[..., Prediction]
) -> None:
    document = make_document("d", "a  b", {"Law": FieldLabel(parts=("a",))})
    prediction = make_prediction(document, {}).model_copy(
        update={"candidates": (Candidate(field="Law", start=1, end=3, confidence=1.0),)}
    )
    assert len(ranking.rank(scored([document], [prediction], schema)).row) == 0
