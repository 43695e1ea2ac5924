"""Short instructions whose written answers a program can check (`resources/general/written.jsonl`).

Where the choice items (`lextune.expert.scoring.general`) ask what a model knows, these ask whether it still does what
it is told: the exact number, so many words, one of these words, this order, valid JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from lextune.core.records import Message
from lextune.expert.engines.base import Chatter, GenerateOptions
from lextune.expert.scoring.intervals import Array, Bootstrap, ratio

LONGEST = 64  # tokens of an answer: every one that is asked for is shorter

Check = Literal["equals", "contains", "without", "regex", "json_keys", "words", "lines", "order"]


class Written(BaseModel):
    """An instruction and how its answer is checked.

    `want` is, by `check`: `equals` the answers that are right, `contains` what must all stand in it, `without` what
    must not, `regex` the expression that all of it matches, `json_keys` the keys of the JSON object, `words` and
    `lines` the least and the largest number of them, `order` what must come one after another.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: str
    instruction: str
    check: Check
    want: tuple[str | int, ...]


class WrittenScores(NamedTuple):
    """Of each item its kind, whether it was right, and what was written."""

    kinds: tuple[str, ...]
    right: tuple[bool, ...]
    answers: tuple[str, ...]

    @property
    def table(self) -> Array:
        """Items by (right, 1)."""
        import numpy as np

        return np.array([[float(yes), 1.0] for yes in self.right])

    def as_json(self) -> dict[str, Any]:
        """Return the share that was right with its interval over items, and that of each kind of item."""
        bootstrap = Bootstrap(len(self.right), seed=0)
        score = bootstrap.score(self.table, lambda sums: ratio(sums[..., 0], sums[..., 1]), len(self.right))
        of = {
            kind: [yes for own, yes in zip(self.kinds, self.right, strict=True) if own == kind] for kind in self.kinds
        }
        return {"right": score.as_json(), "kinds": {k: round(sum(v) / len(v), 4) for k, v in sorted(of.items())}}


def load_written() -> list[Written]:
    """Return the items of the package."""
    text = resources.files("lextune.resources").joinpath("general/written.jsonl").read_text(encoding="utf-8")
    return [Written.model_validate_json(line) for line in text.splitlines()]


def ask_written(items: Sequence[Written], chatter: Chatter) -> WrittenScores:
    """Ask each item once, greedily, by the model's own template."""
    conversations = [[Message(role="user", content=item.instruction)] for item in items]
    answers = [done.text.strip() for done in chatter.chat(conversations, GenerateOptions(max_tokens=LONGEST))]
    right = tuple(is_right(item, answer) for item, answer in zip(items, answers, strict=True))
    return WrittenScores(tuple(item.kind for item in items), right, tuple(answers))


def is_right(item: Written, answer: str) -> bool:
    """Say whether an answer is right. Capitals, a final stop and marks around the whole of it do not count.

    An empty answer is never right.
    """
    return bool(answer.strip()) and _CHECKS[item.check](answer.strip(), item.want)


def _plain(text: str | int) -> str:
    return " ".join(str(text).casefold().split()).strip(" .!\"'“”*`")


def _holds(answer: str, wanted: str | int) -> re.Match[str] | None:
    return re.search(rf"(?<!\w){re.escape(_plain(wanted))}(?!\w)", _plain(answer))


def _in_order(answer: str, want: Sequence[str | int]) -> bool:
    places = [_holds(answer, word) for word in want]
    starts = [place.start() for place in places if place is not None]
    return len(starts) == len(want) and starts == sorted(starts)


def _json_keys(answer: str, want: Sequence[str | int]) -> bool:
    fenced = re.fullmatch(r"```(?:json)?\s*(.*?)\s*```", answer, re.DOTALL)
    try:
        found = json.loads(fenced[1] if fenced else answer)
    except ValueError:
        return False
    return isinstance(found, dict) and set(found) == set(want)


def _between(count: int, want: Sequence[str | int]) -> bool:
    return int(want[0]) <= count <= int(want[-1])


_CHECKS: dict[str, Callable[[str, Sequence[str | int]], bool]] = {
    "equals": lambda answer, want: _plain(answer) in map(_plain, want),
    "contains": lambda answer, want: all(_holds(answer, word) for word in want),
    "without": lambda answer, want: not any(_holds(answer, word) for word in want),
    "regex": lambda answer, want: re.fullmatch(str(want[0]), answer) is not None,
    "json_keys": _json_keys,
    "words": lambda answer, want: _between(len(re.findall(r"[\w’'-]+", answer)), want),
    "lines": lambda answer, want: _between(len([line for line in answer.splitlines() if line.strip()]), want),
    "order": _in_order,
}
