"""`lextune review ...`: people compare answers, `blind`: without knowing whose they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from lextune.apps.cli.console import Command, log, out, print_json
from lextune.core.counts import counted

if TYPE_CHECKING:
    from lextune.evaluate.blind.results import Results

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Let people compare answers.")
NEW, OF, TO = "To make a session", "To work with it instead of serving it", "To serve it"
RESULTS, MARKS = "blind.json", "marks.jsonl"


def _option(panel: str, *names: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, **more)


Folder = Annotated[Path, typer.Argument(help="The session's folder; made by --items or --run.")]
Items = Annotated[Path | None, _option(NEW, "--items", help="Make it of JSON Lines of id, prompt, a and b.")]
Run = Annotated[Path | None, _option(NEW, "--run", help="Make it of a run's held-out documents.")]
A = Annotated[str | None, _option(NEW, "--a", help="The arm that wins and losses are of; tuned of a run.")]
B = Annotated[str | None, _option(NEW, "--b", help="The arm it is against; base-few-shot of a run.")]
N = Annotated[int | None, _option(NEW, "--n", help="So many items, by lot.", min=1)]
Seed = Annotated[int | None, _option(NEW, "--seed", help="Draws the order; secret by default.", min=0)]
Reveal = Annotated[bool, _option(OF, "--results", help="Reveal the arms: who won, and do the raters agree?")]
Export = Annotated[
    Path | None, _option(OF, "--export", help="Write what dpo.pairs.human reads.", metavar="PAIRS.jsonl")
]
Sheet = Annotated[Path | None, _option(OF, "--sheet", help="Write a rater's items to print.", metavar="OUT.html")]
Rater = Annotated[str | None, _option(OF, "--rater", help="Whose sheet it is.")]
Read = Annotated[Path | None, _option(OF, "--read", help="Read marks: rater, item, choice.", metavar="MARKS.csv")]
AsJson = Annotated[bool, _option(OF, "--json", help="Print JSON.")]


@app.callback()
def _root() -> None:
    """Let people compare answers."""


@app.command()
def blind(
    session: Folder,
    items: Items = None,
    run: Run = None,
    a: A = None,
    b: B = None,
    n: N = None,
    seed: Seed = None,
    results: Reveal = False,
    export: Export = None,
    sheet: Sheet = None,
    rater: Rater = None,
    read: Read = None,
    as_json: AsJson = False,
    host: Annotated[str, typer.Option("--host", rich_help_panel=TO)] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, rich_help_panel=TO)] = 8010,
) -> None:
    """Let people compare two answers without knowing whose they are: in the browser, or on paper."""
    from lextune.core.errors import UserError

    if sum((results, export is not None, sheet is not None, read is not None)) > 1:
        do = "give one of --results, --export, --sheet and --read"
        raise UserError("several things at once", where="review blind", do=do)
    if (sheet is None) != (rater is None):
        raise UserError("a sheet is one rater's", where="review blind", do="give --sheet and --rater together")
    if items is not None or run is not None:
        _make(session, items, run, (a, b), n, seed)
    if results:
        _reveal(session, as_json)
    elif export is not None:
        _export(session, export, as_json)
    elif sheet is not None and rater is not None:
        _print_sheet(session, sheet, rater)
    elif read is not None:
        _read(session, read, as_json)
    else:
        _serve(session, host, port)


def _make(
    folder: Path,
    items: Path | None,
    run: Path | None,
    arms: tuple[str | None, str | None],
    n: int | None,
    seed: int | None,
) -> None:
    from lextune.core.errors import UserError
    from lextune.evaluate.answer_pairs import pairs_of_run, read_pairs
    from lextune.evaluate.blind.session import make_session
    from lextune.evaluate.summary import FEW_SHOT

    if run is not None and items is not None:
        raise UserError("both --items and --run", where="review blind", do="give one of them")
    usual = ("a", "b") if run is None else ("tuned", FEW_SHOT)
    names = arms[0] or usual[0], arms[1] or usual[1]
    pairs = pairs_of_run(run, *names) if run is not None else read_pairs(items or Path())
    made = make_session(folder, pairs, names, n=n, seed=seed)
    same = len(made.items) - len(made.shown)
    left_out = f"; {counted(same, 'more')} with the same answer twice count as ties" if same else ""
    log.print(f"{counted(len(made.shown), 'item')} to judge in {folder}{left_out}", markup=False)


def _serve(folder: Path, host: str, port: int) -> None:
    from lextune.apps.web.blind import serve
    from lextune.evaluate.blind.session import sit

    with sit(folder) as session:
        serve(session, host, port, lambda url: log.print(f"serving {url} (Ctrl-C stops)", markup=False))


def _print_sheet(folder: Path, to: Path, name: str) -> None:
    from lextune.core.artifacts import write_atomic
    from lextune.evaluate.blind.paper import sheet_html
    from lextune.evaluate.blind.session import sit

    with sit(folder) as session:
        rater = session.seat(name)
        write_atomic(to, sheet_html(session, rater))
    out.print(f"{counted(len(session.shown), 'item')} for {rater} in {to}", markup=False)


def _read(folder: Path, path: Path, as_json: bool) -> None:
    from lextune.evaluate.blind.paper import read_marks
    from lextune.evaluate.blind.session import sit

    with sit(folder) as session:
        kept = read_marks(path, session)
    if as_json:
        print_json({"kept": kept})
    else:
        out.print(f"{counted(kept, 'mark')} read", markup=False)


def _export(folder: Path, to: Path, as_json: bool) -> None:
    from lextune.core.artifacts import write_atomic
    from lextune.core.errors import DataError
    from lextune.evaluate.blind.results import export
    from lextune.evaluate.blind.session import Session

    found = export(Session(folder))
    if not found.rows:
        raise DataError("no item was decided by a majority", where=str(folder), do="let raters judge more items")
    write_atomic(to, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found.rows))
    if as_json:
        print_json({"n_in": found.n_in, "n_out": len(found.rows), "left_out": dict(found.left_out)})
        return
    out.print(f"{len(found.rows)} of {counted(found.n_in, 'item')} are pairs in {to}", markup=False)
    for reason, count in found.left_out.items():
        out.print(f"{count:,} left out: {reason}", markup=False)


def _reveal(folder: Path, as_json: bool) -> None:
    """Print the result, and leave it and the votes in the session's folder."""
    from lextune.core.artifacts import write_atomic
    from lextune.evaluate.blind.results import marks, results
    from lextune.evaluate.blind.session import Session

    session = Session(folder)
    found = results(session)
    write_atomic(folder / RESULTS, json.dumps(found.as_json(), ensure_ascii=False, indent=1))
    write_atomic(folder / MARKS, "".join(json.dumps(mark, ensure_ascii=False) + "\n" for mark in marks(session)))
    if as_json:
        print_json(found.as_json())
        return
    _print_results(found)
    log.print(f"written: {folder / RESULTS}, {folder / MARKS}", markup=False)


def _print_results(found: Results) -> None:
    from lextune.evaluate.formatting import score

    out.print(
        f"{found.a} against {found.b}, {counted(found.n_items, 'item')}: "
        f"{found.win} won, {found.tie} tied, {found.loss} lost",
        markup=False,
    )
    out.print(f"net win rate {score(found.net.as_json())}", markup=False)
    for count, what in (
        (found.both_bad, "of the ties: both bad"),
        (found.identical, "of the ties: the same answer twice"),
        (found.unjudged, "left out: nobody judged them"),
    ):
        if count:
            out.print(f"{count:,} {what}", markup=False)
    out.print(f"the left answer was chosen {score(found.left.as_json())}", markup=False)
    if len(found.by_rater) > 1:
        out.print(f"Krippendorff's alpha {score(found.alpha.as_json())}, n={found.alpha.n}", markup=False)
        for pair in found.pairs:
            out.print(
                f"kappa of {' and '.join(pair.raters)} {score(pair.kappa.as_json())}, n={pair.kappa.n}", markup=False
            )
    table = Table(
        "rater", "judged", escape(found.a), escape(found.b), "no difference", "both bad", "changed", "seconds"
    )
    for one in found.by_rater:
        cells = (one.judged, one.win, one.loss, one.tie, one.both_bad, one.changed)
        table.add_row(escape(one.rater), *map(str, cells), "" if one.seconds is None else f"{one.seconds:.1f}")
    out.print(table)


def command(name: str) -> Command:
    """Return the group."""
    return typer.main.get_command(app)
