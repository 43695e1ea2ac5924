"""Labels against scikit-learn, on random answers with labels outside the set."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from lextune.core.errors import DataError
from lextune.core.records import Usage
from lextune.expert.tasks import TaskOptions, get_task, score_task
from lextune.expert.tasks.classification import LabelScorer, prompt, tokens_saved

LABELS = ("Indemnity", "Payment", "Term", "Warranty")


@pytest.mark.parametrize("seed", range(8))
def test_scores_are_scikit_learns(seed: int, row: Any, answer: Any) -> None:
    draw = random.Random(seed)
    truth = [draw.choice(LABELS[: draw.choice((2, 4))]) for _ in range(40)]
    said = [draw.choice((label, *LABELS[:3], "none of it")) for label in truth]
    rows = [row(f"r{i}", "text", label) for i, label in enumerate(truth)]
    given = [answer(r, text) for r, text in zip(rows, said, strict=True)]
    result = score_task(LabelScorer(LABELS), rows, given)
    value = {name: score["value"] for name, score in result["scores"].items()}
    assert value["accuracy"] == pytest.approx(accuracy_score(truth, said))
    for mean in ("micro", "macro"):
        wanted = precision_recall_fscore_support(truth, said, labels=LABELS, average=mean, zero_division=np.nan)
        for name, number in zip(("precision", "recall", "f1"), wanted, strict=False):
            assert value[f"{mean}_{name}"] == pytest.approx(number), (mean, name)
    assert value["outside_rate"] == said.count("none of it") / 40
    square = confusion_matrix(truth, said, labels=[*LABELS, "none of it"])[:4]
    assert result["detail"]["confusion"] == square.tolist()
    assert len(result["detail"]["outside"]) == min(20, said.count("none of it"))


def test_calibration_is_of_the_answers_confidence(row: Any, answer: Any) -> None:
    rows = [row(f"r{i}", "text", "Term") for i in range(4)]
    sure = [(0.95, "Term"), (0.95, "Payment"), (0.15, "Payment"), (0.15, "")]
    given = [answer(r, text, confidence=c) for r, (c, text) in zip(rows, sure, strict=True)]
    ece = score_task(LabelScorer(LABELS), rows, given)["scores"]["ece"]
    by_hand = (2 * abs(0.5 - 0.95) + 1 * abs(0 - 0.15)) / 3  # null says nothing of how sure it is
    assert (ece["value"], ece["n"]) == (pytest.approx(by_hand), 3)


@pytest.mark.parametrize("said", ["governing law", " Governing  Law. ", '"Governing Law"', "`Governing Law`."])
def test_a_label_may_be_dressed(said: str, row: Any, answer: Any) -> None:
    rows = [row("r1", "text", "Governing Law")]
    assert score_task(LabelScorer(), rows, [answer(rows[0], said)])["scores"]["accuracy"]["value"] == 1.0


def test_a_sentence_around_a_label_is_outside_the_set(row: Any, answer: Any) -> None:
    rows = [row("r1", "text", "Term"), row("r2", "text", "Payment")]
    result = score_task(LabelScorer(), rows, [answer(rows[0], "It is a Term clause"), answer(rows[1], "")])
    assert result["scores"]["outside_rate"]["value"] == 1.0
    assert result["scores"]["micro_precision"]["value"] is None
    assert result["detail"]["labels"] == ["Payment", "Term", "(none of the labels)"]


def test_gold_must_be_of_the_set(row: Any, answer: Any) -> None:
    scorer = get_task("classification").scorer(TaskOptions(labels=("Term",)))
    assert scorer is not None
    wrong, silent = row("r1", "text", "Rent"), row("r2", "text", "")
    with pytest.raises(
        DataError, match=r"document r1: the label 'Rent' is none of the 1 labels\n.*task_options.labels"
    ):
        score_task(scorer, [wrong], [answer(wrong, "Term")])
    with pytest.raises(DataError, match=r"document r2: no label\n.*give every held-out row its label"):
        score_task(scorer, [silent], [answer(silent, "Term")])


def test_tokens_saved_against_a_prompted_baseline(row: Any, answer: Any) -> None:
    rows = [row(f"r{i}", "text", "Term") for i in range(10)]
    tuned = [answer(r, "Term", usage=Usage(prompt_tokens=40 + i, generated_tokens=2)) for i, r in enumerate(rows)]
    base = [answer(r, "Term", usage=Usage(prompt_tokens=400 - i, generated_tokens=8)) for i, r in enumerate(rows)]
    found = tokens_saved(tuned, base[::-1])
    assert found["tuned"]["value"] == pytest.approx(46.5)
    assert found["baseline"]["value"] == pytest.approx(403.5)
    saved = found["saved"]
    assert saved["value"] == pytest.approx(1 - 46.5 / 403.5)
    assert saved["low"] < saved["value"] < saved["high"]
    with pytest.raises(DataError, match="the two arms did not answer the same documents"):
        tokens_saved(tuned, base[1:])
    with pytest.raises(DataError, match="no predictions to compare"):
        tokens_saved([], [])


def test_the_prompt_lists_the_labels_it_is_given() -> None:
    assert prompt("A text.", ("X", "Y")).startswith("Classify this text with one of these labels:\n- X\n- Y\n\nAnswer")
    assert prompt("A text.") == "Classify this text.\n\nAnswer with the label alone.\n\nA text."
