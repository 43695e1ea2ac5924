"""What importers hand back, and how they report many mistakes at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from lextune.core.errors import DataError
from lextune.core.records import Document, Drop

SHOWN = 5


class Mistake(NamedTuple):
    """One wrong row, cell or line: where it is (file:line, column) and what is wrong with it."""

    where: str
    what: str


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


def refuse(mistakes: Sequence[Mistake], source: str, do: str) -> DataError:
    """Return one error for all mistakes of a source: their number, and the first five.

    Args:
        mistakes: at least one.
        source: the file they are in.
        do: what the user does next.
    """
    if len(mistakes) == 1:
        return DataError(mistakes[0].what, where=mistakes[0].where, do=do)
    lines = [f"  {mistake.where}: {mistake.what}" for mistake in mistakes[:SHOWN]]
    if len(mistakes) > SHOWN:
        lines.append(f"  and {len(mistakes) - SHOWN} more")
    return DataError("\n".join([f"{len(mistakes)} mistakes", *lines]), where=source, do=do)


def summarise(rejects: Sequence[Drop]) -> str:
    """Return the rejects as text: a line for each reason with its count and its first five places."""
    counts = Counter((drop.what, drop.reason) for drop in rejects)
    lines = []
    for (what, reason), count in counts.most_common():
        places = [drop.where for drop in rejects if (drop.what, drop.reason) == (what, reason)][:SHOWN]
        more = ", ..." if count > SHOWN else ""
        lines.append(f"{count} x {what}: {reason} ({'; '.join(places)}{more})")
    return "\n".join(lines)
