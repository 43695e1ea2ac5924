"""Marking: one way to score and compare arms, whatever the task is.

Clause extraction is marked by `lextune.expert.scoring`, every other task by the scorer that stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from lextune.core.records import Document, Prediction
from lextune.expert.schema import Schema
from lextune.expert.scoring import PairedTest, paired, score
from lextune.expert.scoring.pairs import not_assessed, scored
from lextune.expert.scoring.slices import TAGS
from lextune.expert.tasks import Scorer, TaskOptions, get_task, paired_task, score_task

YES_OR_NO = ("accuracy", "exact_match")  # metrics whose value for one document is right or wrong

Predictions = Sequence[Prediction]
Right = Mapping[str, Sequence[bool]]
"""Whether each yes/no item was answered right, by what was asked."""


class Marking(Protocol):
    """What scores an arm, and compares two on the same documents."""

    metric: str

    def score(self, documents: Sequence[Document], arm: Predictions, beside: Predictions = ()) -> dict[str, Any]:
        """Return all scores of an arm as plain JSON types; what `beside` did not assess is left out of them."""
        ...

    def paired(self, documents: Sequence[Document], a: Predictions, b: Predictions) -> PairedTest:
        """Return the paired test of `metric`, `a` minus `b`."""
        ...

    def right(self, documents: Sequence[Document], a: Predictions, b: Predictions) -> tuple[Right, Right]:
        """Return which yes/no items each of two arms has right, of those that both answered, in the same order."""
        ...


class ClauseMarking:
    """Field F1 over pairs of contract and field; yes or no is asked of every field: is it there?"""

    metric = "field F1"

    def __init__(self, schema: Schema, seed: int, tags: Sequence[str] = TAGS) -> None:
        self._schema, self._seed, self._tags = schema, seed, tags

    def score(self, documents: Sequence[Document], arm: Predictions, beside: Predictions = ()) -> dict[str, Any]:
        """Return `Evaluation.as_json()`."""
        skip = not_assessed(beside)
        return score(documents, list(arm), self._schema, seed=self._seed, tags=self._tags, skip=skip).as_json()

    def paired(self, documents: Sequence[Document], a: Predictions, b: Predictions) -> PairedTest:
        """Return the paired test of micro field F1."""
        return paired(documents, list(a), list(b), self._schema, seed=self._seed)

    def right(self, documents: Sequence[Document], a: Predictions, b: Predictions) -> tuple[Right, Right]:
        """Return for every field in which documents each arm says rightly that it is there, or not."""
        skip = not_assessed(a) | not_assessed(b)
        first, second = (self._present(documents, arm, skip) for arm in (a, b))
        return first, second

    def _present(self, documents: Sequence[Document], arm: Predictions, skip: frozenset[tuple[str, str]]) -> Right:
        said: dict[str, list[bool]] = {}
        for pair in scored(documents, arm, self._schema, skip=skip).pairs:
            said.setdefault(pair.field.name, []).append(pair.label.present == (pair.answer is not None))
        return said


class TaskMarking:
    """The scorer of a task that is made of rows."""

    def __init__(self, scorer: Scorer, seed: int, tags: Sequence[str] = TAGS) -> None:
        self.metric, self._scorer, self._seed, self._tags = scorer.primary, scorer, seed, tags

    def score(self, documents: Sequence[Document], arm: Predictions, beside: Predictions = ()) -> dict[str, Any]:
        """Return what `score_task` does; every row is answered by every arm."""
        return score_task(self._scorer, documents, arm, seed=self._seed, tags=self._tags)

    def paired(self, documents: Sequence[Document], a: Predictions, b: Predictions) -> PairedTest:
        """Return the paired test of the scorer's primary metric."""
        return paired_task(self._scorer, documents, a, b, seed=self._seed)

    def right(self, documents: Sequence[Document], a: Predictions, b: Predictions) -> tuple[Right, Right]:
        """Return which documents each arm has right, by every metric of the scorer that is yes or no."""
        first, second = (self._right(documents, arm) for arm in (a, b))
        return first, second

    def _right(self, documents: Sequence[Document], arm: Predictions) -> Right:
        by_id = {prediction.document_id: prediction for prediction in arm}
        table = self._scorer.counts(documents, [by_id[document.id] for document in documents])
        return {
            name: [bool(value == 1) for value in self._scorer.metrics[name](table)]
            for name in YES_OR_NO
            if name in self._scorer.metrics
        }


def marking_of(task: str, schema: Schema, options: TaskOptions, seed: int, tags: Sequence[str] = TAGS) -> Marking:
    """Return what marks a task's answers.

    Args:
        task: its name.
        schema: its fields.
        options: of its scorer.
        seed: of the resamples behind the intervals.
        tags: of documents, by which they are scored in parts too.

    Raises:
        DataError: a file that the options name is missing or wrong.
    """
    scorer = get_task(task).scorer(options)
    return ClauseMarking(schema, seed, tags) if scorer is None else TaskMarking(scorer, seed, tags)
