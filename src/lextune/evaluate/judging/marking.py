"""Answers marked by a rubric, each on its own: points a criterion, and their sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lextune.evaluate.judging.items import Item
from lextune.evaluate.judging.prompts import rubric_prompt
from lextune.evaluate.judging.rubric import Rubric
from lextune.evaluate.judging.verdicts import QUIET, Asked, Marks, Told, ask_for, parse_marks
from lextune.expert.engines.base import Chatter
from lextune.expert.scoring.intervals import Array, Bootstrap, by_document, paired_test, ratio

TOTAL = "total"


class Marked(NamedTuple):
    """An item with the marks of its answers; None where there is none."""

    id: str
    a: Marks | None
    b: Marks | None
    document: str | None = None


class Marking(NamedTuple):
    """Items marked by a rubric, and what asking took. `paired` says whether they have two answers."""

    rubric: Rubric
    items: tuple[Marked, ...]
    asked: Asked[Marks]
    paired: bool

    def marks(self) -> dict[str, float]:
        """Return the total of each item's answer `a` that has one."""
        return {one.id: float(sum(one.a.scores.values())) for one in self.items if one.a is not None}

    def rows(self) -> list[dict[str, Any]]:
        """Return one row an item: the marks with their reasons."""
        return [
            {"item": one.id, "a": one.a and one.a.model_dump(), "b": one.b and one.b.model_dump()} for one in self.items
        ]

    def as_json(self, seed: int = 0) -> dict[str, Any]:
        """Return the mean points of each criterion and of the total, with intervals from resampled documents.

        `paired` compares the totals of the items whose answers both have marks.
        """
        criteria = self.rubric.criteria
        names = [each.name for each in criteria]
        arms = ("a", "b") if self.paired else ("a",)
        scores = {arm: self._scores(arm, names, seed) for arm in arms}
        rows = {
            each.name: {"points": each.points, **{arm: scores[arm][each.name] for arm in arms}} for each in criteria
        }
        both = [one for one in self.items if one.a is not None and one.b is not None]
        first, second = (_table(both, arm, names)[:, -1] for arm in ("a", "b"))
        return {
            "n_items": len(self.items),
            "n": len(both) if self.paired else len(self.marks()),
            "criteria": rows,
            "total": {"points": self.rubric.points, **{arm: scores[arm][TOTAL] for arm in arms}},
            "paired": paired_test(first, second, _mean, seed=seed).as_json() if self.paired else None,
            **self.asked.as_json(),
        }

    def _scores(self, arm: str, names: Sequence[str], seed: int) -> dict[str, Any]:
        given = [one for one in self.items if getattr(one, arm) is not None]
        table, n = _table(given, arm, names), len(given)
        bootstrap = Bootstrap(len(table), seed=seed)
        return {
            name: bootstrap.score(table[:, place], _mean, n).as_json() for place, name in enumerate([*names, TOTAL])
        }


def judge_answers(items: Sequence[Item], chatter: Chatter, rubric: Rubric, told: Told = QUIET) -> Marking:
    """Mark the answer `a` of each item, and `b` where the items have one."""
    paired = all(item.b is not None for item in items)
    arms = ("a", "b") if paired else ("a",)
    conversations = [rubric_prompt(item, getattr(item, arm) or "", rubric) for arm in arms for item in items]
    asked = ask_for(chatter, conversations, lambda text: parse_marks(text, rubric), told)
    given = [*asked.verdicts, *[None] * (2 * len(items) - len(conversations))]
    rows = zip(items, given[: len(items)], given[len(items) :], strict=True)
    return Marking(rubric, tuple(Marked(item.id, a, b, item.document) for item, a, b in rows), asked, paired)


def _table(items: Sequence[Marked], arm: str, names: Sequence[str]) -> Array:
    """Return [documents, criteria + 1, 2]: an arm's points of each criterion and their sum, and how many marks."""
    marks: list[Marks] = [getattr(one, arm) for one in items]
    rows = [[*(each.scores[name] for name in names), sum(each.scores.values())] for each in marks]
    points = np.array(rows, dtype=np.float64).reshape(len(rows), len(names) + 1)
    return by_document(np.stack([points, np.ones_like(points)], axis=-1), [one.document or one.id for one in items])


def _mean(counts: Array) -> Array:
    return ratio(counts[..., 0], counts[..., 1])
