"""Multiple choice: which of the lettered choices answers the question, asked several times.

At each attempt the choices move on by one place, so that a model that prefers a place gains nothing from it: with as
many attempts as choices, the right one has stood in every place once. The mean over attempts is the accuracy, their
standard deviation the spread. An answer is the letter (`B`, `(b)`, `B.`), the letter with its choice, or the choice
word for word; anything else cannot be read, is wrong, and is counted.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from lextune.core.errors import DataError, shorten
from lextune.core.records import Document, Prediction, Usage
from lextune.expert.scoring.intervals import Array, ratio
from lextune.expert.tasks.base import OUTPUT
from lextune.expert.tasks.instruction import Instruction
from lextune.expert.tasks.options import TaskOptions
from lextune.expert.tasks.scoring import Metric, Scorer, gold, written

CHOICES = "choices"
LETTERS = string.ascii_uppercase
_ANSWER = re.compile(r"\(?([A-Za-z])(?:[.):]+|\b)\s*(.*)", re.DOTALL)


def prompt(question: str, choices: Sequence[str]) -> str:
    """Return the question with its choices, which asks for a letter."""
    return f"{question}\n\n{render(choices)}\n\nAnswer with the letter alone."


def render(choices: Sequence[str]) -> str:
    """Return choices with their letters, one a line."""
    return "\n".join(f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=False))


class MultipleChoice(Instruction):
    """Which of the lettered choices answers the question."""

    name = "multiple-choice"

    def scorer(self, options: TaskOptions) -> Scorer:
        """Return the scorer for the options' number of attempts."""
        return ChoiceScorer(options.attempts)


def rotated(document: Document, attempt: int) -> Document:
    """Return a question with its choices moved on by `attempt` places.

    Raises:
        DataError: the question does not state its choices once.
    """
    choices = _choices(document)
    stated = render(choices)
    if document.text.count(stated) != 1:
        raise DataError(
            f"the question states its choices {document.text.count(stated)} times",
            where=f"document {shorten(document.id, 40)}",
            do="state them once, a line each: `A. ...`; rows with question, choices and answer are written so",
        )
    return document.model_copy(update={"text": document.text.replace(stated, render(_moved(choices, attempt)))})


def read_choice(answer: str, choices: Sequence[str]) -> int | None:
    """Return the place of the choice that an answer names, None where it cannot be read."""
    keys = [_key(choice) for choice in choices]
    if keys.count(_key(answer)) == 1:
        return keys.index(_key(answer))
    match = _ANSWER.fullmatch(answer.strip())
    place = LETTERS.find(match.group(1).upper()) if match else len(choices)
    if match is None or place >= len(choices):
        return None
    return place if not match.group(2).strip() or _key(match.group(2)) == keys[place] else None


class Answering(Protocol):
    """Whatever answers a document."""

    def answer(self, document: Document, *, min_confidence: float | None = None) -> Prediction:
        """Answer one document."""
        ...


class Repeated:
    """Asks a question several times, its choices moved on each time.

    Args:
        expert: what answers; the same question in the same order is asked once.
        attempts: how often.
    """

    def __init__(self, expert: Answering, attempts: int) -> None:
        self._expert, self._attempts = expert, attempts

    def answer(self, document: Document, *, min_confidence: float | None = None) -> Prediction:
        """Return the first attempt's prediction with the answers of all, and what all of them took.

        Raises:
            DataError: the question does not state its choices once.
        """
        n = min(self._attempts, len(_choices(document)))
        done = [self._expert.answer(rotated(document, i), min_confidence=min_confidence) for i in range(n)]
        usage = Usage.of([prediction.usage for prediction in done])
        said = tuple(written(done[i % n]) for i in range(self._attempts))
        return done[0].model_copy(update={"attempts": said, "usage": usage})


class ChoiceScorer(Scorer):
    """Marks choices.

    A prediction without attempts was asked once, in the order of the row.

    Args:
        attempts: how often each question is asked.
    """

    primary = "accuracy"

    def __init__(self, attempts: int = 1) -> None:
        self.attempts = attempts

        def by_attempt(sums: Array) -> Array:
            return ratio(sums[..., :attempts], sums[..., attempts : 2 * attempts])

        def mean(sums: Array) -> Array:
            return ratio(sums[..., :attempts].sum(axis=-1), sums[..., attempts : 2 * attempts].sum(axis=-1))

        def spread(sums: Array) -> Array:
            values = by_attempt(sums)
            asked = np.count_nonzero(~np.isnan(values), axis=-1)
            centre = np.where(np.isnan(values), 0.0, values).sum(axis=-1) / np.maximum(asked, 1)
            squares = np.where(np.isnan(values), 0.0, (values - centre[..., None]) ** 2).sum(axis=-1)
            return np.sqrt(ratio(squares, np.maximum(asked - 1, 0).astype(np.float64)))

        def unread(sums: Array) -> Array:
            return ratio(sums[..., -1], sums[..., attempts : 2 * attempts].sum(axis=-1))

        def asked(sums: Array) -> Array:
            return np.asarray(sums[..., attempts : 2 * attempts].sum(axis=-1))

        self.metrics = {
            "accuracy": Metric(mean, asked),
            "spread": Metric(spread, lambda sums: np.count_nonzero(sums[..., attempts : 2 * attempts], axis=-1)),
            "unreadable_rate": Metric(unread, asked),
        }

    def counts(self, documents: Sequence[Document], predictions: Sequence[Prediction]) -> Array:
        """Return documents x (right of each attempt, asked of each attempt, unreadable).

        Raises:
            DataError: a document without choices or without a right one among them.
        """
        table = np.zeros((len(documents), 2 * self.attempts + 1))
        for row, (document, prediction) in enumerate(zip(documents, predictions, strict=True)):
            chosen, truth = self._chosen(document, prediction), _right(document)
            for attempt, choice in enumerate(chosen):
                table[row, [attempt, self.attempts + attempt]] = choice == truth, 1
                table[row, -1] += choice is None
        return table

    def _chosen(self, document: Document, prediction: Prediction) -> list[str | None]:
        """Return the choice of each attempt, None where the answer cannot be read."""
        choices, chosen = _choices(document), []
        said = prediction.attempts or (written(prediction),)
        for attempt, answer in enumerate(said[: self.attempts]):
            order = _moved(choices, attempt)
            place = read_choice(answer, order)
            chosen.append(None if place is None else order[place])
        return chosen

    def detail(self, documents: Sequence[Document], predictions: Sequence[Prediction]) -> dict[str, Any]:
        """Return {attempts: accuracy of each, letters: how often each was chosen, same: share of one choice only}.

        Where a place is preferred, one letter is chosen far more often than the others; `same` is the share of
        questions, asked more than once, for which every attempt chose the same.
        """
        table = self.counts(documents, predictions).sum(axis=0)
        letters = dict.fromkeys(LETTERS[: max(len(_choices(document)) for document in documents)], 0)
        same = 0
        for document, prediction in zip(documents, predictions, strict=True):
            chosen = self._chosen(document, prediction)
            same += len(chosen) > 1 and len(set(chosen)) == 1 and None not in chosen
            for attempt, choice in enumerate(chosen):
                if choice is not None:
                    letters[LETTERS[_moved(_choices(document), attempt).index(choice)]] += 1
        right, asked = table[: self.attempts], table[self.attempts : 2 * self.attempts]
        rates = [float(r / n) if n else None for r, n in zip(right, asked, strict=True)]
        return {"attempts": rates, "letters": letters, "same": same / len(documents)}


def _moved(choices: Sequence[str], attempt: int) -> list[str]:
    """Return choices moved on by some places; the one that falls off the end comes first."""
    places = attempt % len(choices)
    return [*choices[len(choices) - places :], *choices[: len(choices) - places]]


def _key(text: str) -> str:
    return " ".join(text.split()).removesuffix(".").casefold()


def _choices(document: Document) -> tuple[str, ...]:
    choices = gold(document, CHOICES)
    if 2 <= len(choices) <= len(LETTERS) and len({_key(choice) for choice in choices}) == len(choices):
        return choices
    raise DataError(
        f"{len(choices)} choices; two to {len(LETTERS)} that differ are needed",
        where=f"document {shorten(document.id, 40)}",
        do="give rows with question, choices and answer",
    )


def _right(document: Document) -> str:
    choices = _choices(document)
    place = read_choice(next(iter(gold(document, OUTPUT)), ""), choices)
    if place is None:
        what, do = "the answer is none of the choices", "answer with the letter or the text of one"
        raise DataError(what, where=f"document {shorten(document.id, 40)}", do=do)
    return choices[place]
