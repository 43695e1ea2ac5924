"""What importers hand back, and what they left out, counted by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from lextune.core.mistakes import SHOWN, Mistake
from lextune.core.records import Document, Drop

MAX_REASONS = 1000  # different reasons of drops that are counted


class Normalised(NamedTuple):
    """A value that the null contract made null: where it stood, of which field, and what it was."""

    where: str
    field: str
    raw: str


class Imported(NamedTuple):
    """Documents that were read, every contract, column or quote that was not, and what the null contract changed."""

    documents: tuple[Document, ...]
    rejects: list[Drop]
    nulls: list[Normalised]


Item = Document | Drop | Mistake | Normalised  # what an importer that streams yields, in the order of the source


class Reasons:
    """Drops by what they are of and why: how many, and the first five, in memory that does not grow with them.

    Reasons that differ only after a colon (`not UTF-8: byte 0xe9 at ...`) are one, and what differs is told with
    each place. Drops of more than `MAX_REASONS` different reasons are counted in `total` alone.
    """

    def __init__(self) -> None:
        self.total = 0
        self._counts: Counter[tuple[str, str]] = Counter()
        self._first: dict[tuple[str, str], list[Drop]] = {}
        self._same: dict[tuple[str, str], bool] = {}

    def add(self, drop: Drop) -> None:
        """Count one."""
        self.total += 1
        key = drop.what, drop.reason.partition(": ")[0]
        if key not in self._counts and len(self._counts) == MAX_REASONS:
            return
        self._counts[key] += 1
        first = self._first.setdefault(key, [])
        if len(first) < SHOWN:
            first.append(drop)
        self._same[key] = self._same.get(key, True) and drop.reason == first[0].reason

    def rows(self, most: int | None = None) -> list[dict[str, Any]]:
        """Return the most frequent of them, or all: what, reason, n, first (their places)."""
        rows = []
        for (what, reason), n in self._counts.most_common(most):
            first, same = self._first[what, reason], self._same[what, reason]
            details = [drop.where if same else f"{drop.where}: {_detail(drop)}" for drop in first]
            rows.append({"what": what, "reason": first[0].reason if same else reason, "n": n, "first": details})
        return rows


def _detail(drop: Drop) -> str:
    return drop.reason.partition(": ")[2] or drop.reason


def line(row: dict[str, Any]) -> str:
    """Return a row of `Reasons.rows` as a line of text."""
    more = ", ..." if row["n"] > len(row["first"]) else ""
    return f"{row['n']} x {row['what']}: {row['reason']} ({'; '.join(row['first'])}{more})"


def summarise(rejects: Sequence[Drop]) -> str:
    """Return the rejects as text: a line for each reason with its count and its first five places."""
    reasons = Reasons()
    for drop in rejects:
        reasons.add(drop)
    return "\n".join(map(line, reasons.rows()))
