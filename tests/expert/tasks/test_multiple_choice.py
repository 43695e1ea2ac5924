"""Choices that move, answers read strictly, and a model that prefers a place gaining nothing."""

from __future__ import annotations

import statistics
from typing import Any

import pytest

from lextune.core.errors import DataError
from lextune.core.records import Document, Prediction, Usage
from lextune.expert.tasks import TaskOptions, get_task, score_task
from lextune.expert.tasks.multiple_choice import ChoiceScorer, Repeated, prompt, read_choice, rotated

CHOICES = ("one day", "two days", "three days", "four days")


def question(row: Any, name: str, right: str) -> Document:
    made: Document = row(name, prompt("How long is the notice?", CHOICES), right, choices=CHOICES)
    return made


@pytest.mark.parametrize(
    ("answer", "place"),
    [
        ("B", 1),
        ("b", 1),
        ("(B)", 1),
        ("B.", 1),
        ("B) two days", 1),
        ("B. Two  days.", 1),
        ("two days", 1),
        ("Two days.", 1),
        ("B. three days", None),
        ("E", None),
        ("The answer is B", None),
        ("A or B", None),
        ("Beneficial", None),
        ("five days", None),
        ("", None),
    ],
)
def test_answers_are_read_strictly(answer: str, place: int | None) -> None:
    assert read_choice(answer, CHOICES) == place


def test_every_choice_stands_in_every_place_once(row: Any) -> None:
    seen = [rotated(question(row, "q", "A"), attempt).text for attempt in range(4)]
    for choice in CHOICES:
        assert sorted(letter for text in seen for letter in "ABCD" if f"{letter}. {choice}" in text) == list("ABCD")
    assert rotated(question(row, "q", "A"), 4).text == seen[0]


class Fixed:
    """Answers whatever is asked by a rule."""

    def __init__(self, row: Any, answer: Any, rule: Any) -> None:
        self._answer, self._rule, self.asked = answer, rule, 0

    def answer(self, document: Document, *, min_confidence: float | None = None) -> Prediction:
        self.asked += 1
        usage = Usage(seconds=1.0, prompt_tokens=7, generated_tokens=1)
        made: Prediction = self._answer(document, self._rule(document.text), usage=usage)
        return made


def test_a_preferred_place_gains_nothing(row: Any, answer: Any) -> None:
    rows = [question(row, f"q{i}", "A") for i in range(8)]  # the right one always stands first
    expert = Fixed(row, answer, lambda text: "A")
    repeated = Repeated(expert, 4)
    given = [repeated.answer(r) for r in rows]
    assert expert.asked == 32
    assert given[0].attempts == ("A",) * 4
    assert given[0].usage.prompt_tokens == 28
    once = score_task(ChoiceScorer(1), rows, [expert.answer(r) for r in rows])
    result = score_task(ChoiceScorer(4), rows, given)
    assert once["scores"]["accuracy"]["value"] == 1.0
    assert result["scores"]["accuracy"]["value"] == 0.25
    assert result["scores"]["spread"]["value"] == pytest.approx(statistics.stdev([1, 0, 0, 0]))
    assert result["detail"] == {"attempts": [1, 0, 0, 0], "letters": {"A": 32, "B": 0, "C": 0, "D": 0}, "same": 0.0}


def test_knowing_the_answer_is_right_in_every_place(row: Any, answer: Any) -> None:
    rows = [question(row, "q1", "C"), question(row, "q2", "three days")]
    knows = Fixed(row, answer, lambda text: next(letter for letter in "ABCD" if f"{letter}. three days" in text))
    result = score_task(ChoiceScorer(6), rows, [Repeated(knows, 6).answer(r) for r in rows])
    assert knows.asked == 8  # a greedy model says the same to the same question
    assert result["scores"]["accuracy"] == {"value": 1.0, "low": 1.0, "high": 1.0, "n": 12}
    assert result["scores"]["spread"]["value"] == 0.0
    assert result["detail"]["same"] == 1.0


def test_what_cannot_be_read_is_counted(row: Any, answer: Any) -> None:
    rows = [question(row, "q1", "A"), question(row, "q2", "B")]
    given = [answer(rows[0], "A", attempts=("A", "I think B")), answer(rows[1], "", attempts=("", "C"))]
    scores = score_task(ChoiceScorer(2), rows, given)["scores"]
    assert (scores["unreadable_rate"]["value"], scores["unreadable_rate"]["n"]) == (0.5, 4)
    assert scores["accuracy"]["value"] == 0.5  # C is the second choice once all moved on by one


def test_one_attempt_has_no_spread(row: Any, answer: Any) -> None:
    rows = [question(row, "q1", "A")]
    scorer = get_task("multiple-choice").scorer(TaskOptions(attempts=4))
    assert scorer is not None
    assert scorer.attempts == 4
    scores = score_task(scorer, rows, [answer(rows[0], "A")])["scores"]
    assert (scores["accuracy"]["n"], scores["spread"]["value"]) == (1, None)


def test_rows_that_are_no_questions(row: Any, answer: Any) -> None:
    few, none = row("q1", "Q?", "A", choices=("yes",)), question(row, "q2", "E")
    other = row("q3", "Which?\n\nX or Y", "A", choices=CHOICES)
    with pytest.raises(DataError, match=r"document q1: 1 choices; two to 26 that differ are needed"):
        score_task(ChoiceScorer(), [few], [answer(few, "A")])
    with pytest.raises(DataError, match=r"document q2: the answer is none of the choices"):
        score_task(ChoiceScorer(), [none], [answer(none, "A")])
    with pytest.raises(DataError, match=r"document q3: the question states its choices 0 times"):
        rotated(other, 1)
