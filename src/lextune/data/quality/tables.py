"""CSV that spreadsheets open as it is meant."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from lextune.text.printable import printable

MAX_CELL = 1_000  # characters; what is cut shows as an ellipsis
_FORMULA = ("=", "+", "-", "@")


def as_cell(text: str) -> str:
    """Return a text on one line, cut where it is long; an apostrophe comes before what looks like a formula."""
    line = printable(" ".join(text.split()))
    line = line if len(line) <= MAX_CELL else line[: MAX_CELL - 1] + "…"
    return f"'{line}" if line.startswith(_FORMULA) else line


def csv_text(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table as CSV; it begins with the mark by which spreadsheets know UTF-8."""
    out = io.StringIO(newline="")
    out.write("\ufeff")
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows([as_cell(cell) for cell in row] for row in rows)
    return out.getvalue()
