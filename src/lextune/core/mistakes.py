"""Many mistakes of one source, reported at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lextune.core.errors import DataError

SHOWN = 5


class Mistake(NamedTuple):
    """One wrong row, cell or line: where it is (file:line, column) and what is wrong with it."""

    where: str
    what: str


def first_five(lines: Sequence[str]) -> list[str]:
    """Return the first five lines, indented, and how many more there are."""
    more = [f"  and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return [*(f"  {line}" for line in lines[:SHOWN]), *more]


def refuse(mistakes: Sequence[Mistake], source: str, do: str) -> DataError:
    """Return one error for all mistakes of a source: their number, and the first five.

    Args:
        mistakes: at least one.
        source: the file they are in.
        do: what the user does next.
    """
    if len(mistakes) == 1:
        return DataError(mistakes[0].what, where=mistakes[0].where, do=do)
    lines = first_five([f"{mistake.where}: {mistake.what}" for mistake in mistakes])
    return DataError("\n".join([f"{len(mistakes)} mistakes", *lines]), where=source, do=do)
