"""`lextune compare`: two runs, releases or evaluations side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from lextune.apps.cli.console import commands, log, out, print_json
from lextune.core.artifacts import write_atomic
from lextune.evaluate.compare import Comparison, Row, compare_runs, gains_and_losses
from lextune.evaluate.compare_page import cells, documents_line, render_comparison

Side = Annotated[Path, typer.Argument(help="A run, a release, an evaluation's folder, or an evaluation.json.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the comparison as one JSON object.")]
Html = Annotated[Path | None, typer.Option("--html", help="Write the comparison as a page.")]


def compare(a: Side, b: Side, as_json: AsJson = False, html: Html = None) -> None:
    """Say what B gained over A on the same held-out documents, and whether that is more than chance."""
    found = compare_runs(a, b)
    if html is not None:
        write_atomic(html, render_comparison(found))
        log.print(f"page: {html}", markup=False)
    if as_json:
        print_json(found.as_json())
        return
    out.print(found.sentence, markup=False)
    out.print(documents_line(found.documents), markup=False)
    _print(found)


def _print(found: Comparison) -> None:
    gained, lost = gains_and_losses(found.fields)
    for title, rows in (
        ("scores", found.scores),
        ("fields that gained most", gained),
        ("fields that lost most", lost),
        ("cost", found.costs),
    ):
        if rows:
            out.print(_table(title, rows))


def _table(title: str, rows: tuple[Row, ...] | list[Row]) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, title_justify="left")
    table.add_column("", no_wrap=True)
    for name in ("A", "B", "B - A"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(escape, cells(row)))
    return table


command = commands(compare=compare)
