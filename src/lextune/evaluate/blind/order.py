"""The order that hides whose an answer is: which one stands on the left, and which item comes when."""

from __future__ import annotations

import random
import secrets
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

Side = Literal["a", "b"]
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # without those that look alike on paper
_LENGTH = 6


class Place(BaseModel):
    """One item as one rater meets it: `code` names it without telling anything, `left` is the answer on the left."""

    model_config = ConfigDict(frozen=True)
    code: str
    item: str
    left: Side


def draw_places(items: Sequence[str], seat: int, seed: int) -> list[Place]:
    """Draw the order in which the rater on a seat (0, 1, ...) sees the items, and what stands on the left of each.

    Of a rater's items, `a` stands on the left in one half (give or take one), so that a liking for one side favours
    no arm. The raters on seats 2i and 2i + 1 see each item the other way round, so that it is balanced too. Codes do
    not depend on the seed: nobody can work the order out from them.
    """
    draw = random.Random(f"{seed}:{seat // 2}")
    pair: list[Side] = ["a", "b"]
    draw.shuffle(pair)
    sides = [pair[number % 2] for number in range(len(items))]
    draw.shuffle(sides)
    if seat % 2:
        sides = [other_side(side) for side in sides]
    left = dict(zip(items, sides, strict=True))
    shown = list(items)
    random.Random(f"{seed}:{seat}:sequence").shuffle(shown)
    return [Place(code=f"{number}-{_code()}", item=item, left=left[item]) for number, item in enumerate(shown, start=1)]


def other_side(side: Side) -> Side:
    """Return `b` for `a`, and `a` for `b`."""
    return "b" if side == "a" else "a"


def _code() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
