"""Which of two answers is better: asked in both orders, so that the judge's liking for a place falls out.

Let q be the probability that a judge prefers a by merit, and d what the first place adds to it. In one order it prefers
a with q + d, in the other with q - d. A win needs both, a loss neither, and all else is a tie, so that wins less losses
are (q + d)(q - d) - (1 - q - d)(1 - q + d) = 2q - 1 for every d: the net win rate is unbiased, where that of one order
alone is 2q - 1 + 2d. A judge that often looks at the place *instead* of the merit makes more ties, which draw the net
win rate towards 0 and never beyond it; the position-flip rate shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lextune.evaluate.judging.items import Item
from lextune.evaluate.judging.prompts import pairwise_prompt
from lextune.evaluate.judging.rubric import Rubric
from lextune.evaluate.judging.verdicts import QUIET, Asked, PairVerdict, Told, ask_for, parse_pair
from lextune.expert.engines.base import Chatter
from lextune.expert.scoring.intervals import Array, Bootstrap, by_document, ratio

WIN, LOSS, ITEMS, FLIPS, FIRST, SECOND = range(6)  # counts of an item
BY_PLACE = {"first": 1, "second": -1, "tie": 0}


class Compared(NamedTuple):
    """An item with the verdicts of both orders, `a` first and `b` first; None where there is none."""

    id: str
    a_first: PairVerdict | None
    b_first: PairVerdict | None
    document: str | None = None

    @property
    def both(self) -> tuple[int, int] | None:
        """What each order says: 1 for `a`, -1 for `b`, 0 for neither; None without both verdicts."""
        if self.a_first is None or self.b_first is None:
            return None
        return BY_PLACE[self.a_first.winner], -BY_PLACE[self.b_first.winner]

    @property
    def mark(self) -> int | None:
        """1 where both orders prefer `a`, -1 where both prefer `b`, else 0; None without both verdicts."""
        if self.both is None:
            return None
        one, other = self.both
        return one if one == other else 0

    def as_json(self) -> dict[str, Any]:
        """Return the verdicts with their reasons."""
        orders = {"a_first": self.a_first, "b_first": self.b_first}
        return {"item": self.id, "mark": self.mark, **{n: v and v.model_dump() for n, v in orders.items()}}


class Comparison(NamedTuple):
    """Two answers to each item compared by a rubric, and what asking took."""

    rubric: Rubric
    items: tuple[Compared, ...]
    asked: Asked[PairVerdict]

    def marks(self) -> dict[str, float]:
        """Return the mark of each item that has one: 1 for `a`, -1 for `b`, 0 for neither."""
        return {one.id: float(one.mark) for one in self.items if one.mark is not None}

    def rows(self) -> list[dict[str, Any]]:
        """Return one row an item: both verdicts with their reasons."""
        return [one.as_json() for one in self.items]

    def as_json(self, seed: int = 0) -> dict[str, Any]:
        """Return counts and scores as plain JSON types; see `judge_pairs` for what they mean."""
        table = self._table()
        bootstrap = Bootstrap(len(table), seed=seed)
        win, loss, n, _, first, second = (int(count) for count in table.sum(axis=0))

        scores = {
            "net": bootstrap.score(table, lambda c: ratio(c[..., WIN] - c[..., LOSS], c[..., ITEMS]), n),
            "flip_rate": bootstrap.score(table, lambda c: ratio(c[..., FLIPS], c[..., ITEMS]), n),
            "position_bias": bootstrap.score(
                table, lambda c: ratio(c[..., FIRST], c[..., FIRST] + c[..., SECOND]) - 0.5, first + second
            ),
        }
        return {
            "n_items": len(self.items),
            "n": n,
            **{"win": win, "tie": n - win - loss, "loss": loss},
            **{name: score.as_json() for name, score in scores.items()},
            **self.asked.as_json(),
        }

    def _table(self) -> Array:
        """Return counts [documents with items that have both verdicts, 6]."""
        rows, documents = [], []
        for one in self.items:
            if one.both is not None:
                mark, (a_first, b_first) = one.mark, one.both
                by_place = (a_first, -b_first)
                flipped = a_first != b_first
                rows.append([mark == 1, mark == -1, True, flipped, by_place.count(1), by_place.count(-1)])
                documents.append(one.document or one.id)
        return by_document(np.array(rows, dtype=np.float64).reshape(len(rows), SECOND + 1), documents)


def judge_pairs(items: Sequence[Item], chatter: Chatter, rubric: Rubric, told: Told = QUIET) -> Comparison:
    """Compare the answers `a` and `b` of each item, in both orders.

    Of the result's scores, all with intervals from resampled documents: `net` is (wins - losses) / n, seen from `a`;
    `flip_rate` the share of items whose verdict changes with the order; `position_bias` the share of verdicts for the
    first place among those that name a winner, less one half. Items without two verdicts that can be read are left
    out of all three: n_items = n + those, which are counted by verdict as `invalid` and `too_long`.
    """
    conversations = [pairwise_prompt(item, rubric, swapped=swapped) for item in items for swapped in (False, True)]
    asked = ask_for(chatter, conversations, parse_pair, told)
    pairs = zip(asked.verdicts[::2], asked.verdicts[1::2], strict=True)
    compared = (Compared(item.id, *pair, item.document) for item, pair in zip(items, pairs, strict=True))
    return Comparison(rubric, tuple(compared), asked)
