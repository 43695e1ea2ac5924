"""A comparison of two evaluations as a page: self-contained, offline, printable, like the report."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lextune.core.counts import counted
from lextune.core.figures import SYMBOLS
from lextune.core.pages import page_template
from lextune.evaluate.compare import Comparison, Documents, Row, gains_and_losses
from lextune.evaluate.formatting import bounds, fixed, quantity, score
from lextune.evaluate.plots import Series, field_plot
from lextune.evaluate.report import cut
from lextune.evaluate.tables import NOT_RUN, Table
from lextune.text.printable import printable

if TYPE_CHECKING:
    from jinja2 import Template

DOCUMENTS_LISTED = 20


def render_comparison(found: Comparison) -> str:
    """Return the comparison as one HTML page; the same comparison gives the same bytes."""
    gained, lost = gains_and_losses(found.fields)
    page = _template().render(
        found=found,
        documents=documents_line(found.documents),
        differing=_differing(found.documents),
        tables=[
            _table(caption, rows)
            for caption, rows in (
                ("Scores", found.scores),
                ("Fields that gained most", gained),
                ("Fields that lost most", lost),
                ("What a document takes", found.costs),
            )
            if rows
        ],
        plot=field_plot(
            [row.name for row in found.fields],
            [Series("A", {row.name: row.a for row in found.fields}), Series("B", {r.name: r.b for r in found.fields})],
            label="F1 of each field of both with its 95 % interval, the largest gain on top",
        ),
        legend=[(SYMBOLS[0], f"A: {found.a}"), (SYMBOLS[1], f"B: {found.b}")],
    )
    return printable(page)


def documents_line(documents: Documents) -> str:
    """Say on which documents both were evaluated."""
    if not documents.known:
        return "Which documents both read is not known."
    if not documents.differ:
        return f"Both read the same {counted(documents.same, 'held-out document')}, with the same labels."
    return (
        f"{counted(documents.same, 'held-out document')} are the same in both; only A read"
        f" {len(documents.only_a):,}, only B {len(documents.only_b):,}; {len(documents.relabelled):,} have another text"
        " or other labels."
    )


def cells(row: Row) -> list[str]:
    """Return a row as text: name, A, B, and the difference."""
    if isinstance(row.a, dict) or isinstance(row.b, dict):
        difference = NOT_RUN if row.difference is None else fixed(row.difference, sign=True)
        return [row.name, *(NOT_RUN if one is None else score(one) for one in (row.a, row.b)), difference]
    values = [bounds(one)[0] for one in (row.a, row.b)]
    sign = "+" if (row.difference or 0.0) > 0 else ""
    difference = NOT_RUN if row.difference is None else f"{sign}{quantity(row.difference)}"
    return [row.name, *(NOT_RUN if value is None else quantity(value) for value in values), difference]


def _table(caption: str, rows: Sequence[Row]) -> Table:
    return Table.of(caption, ["", "A", "B", "B minus A"], [cells(row) for row in rows])


def _differing(documents: Documents) -> list[tuple[str, list[str], int]]:
    """Return which documents differ: how, the first names, and how many more there are."""
    kinds = (
        ("Only in A", documents.only_a),
        ("Only in B", documents.only_b),
        ("With another text or other labels", documents.relabelled),
    )
    return [
        (said, list(names[:DOCUMENTS_LISTED]), max(0, len(names) - DOCUMENTS_LISTED)) for said, names in kinds if names
    ]


@functools.cache
def _template() -> Template:
    return page_template("lextune.evaluate", "compare.html.j2", cut=cut)
