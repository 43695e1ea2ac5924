"""`lextune batch` and `lextune plan`: a folder of any size, and what a month of such folders takes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from lextune.apps.cli.console import commands, log, out, print_json, quiet_libraries
from lextune.apps.cli.use import EngineOption, ReleaseOption
from lextune.core.counts import counted
from lextune.core.errors import DocumentError, UserError
from lextune.deploy.batch.plan import CONTRACTS, UTILISATION, given_rate, measured_rate
from lextune.deploy.batch.plan import plan as planned
from lextune.text.reading.base import well_formed

if TYPE_CHECKING:
    from lextune.deploy.batch.running import Standing

EVERY = 30.0  # seconds between lines of progress where stderr is no terminal
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def batch(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Documents, in folders or not.")],
    to: Annotated[Path, typer.Option("--out", help="Folder of the records; run again, it goes on there.")],
    release: ReleaseOption = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Read documents again that failed before.")
    ] = False,
    machine_price: Annotated[
        float | None, typer.Option("--machine-price", min=0, help="What an hour of one machine costs.")
    ] = None,
    min_confidence: Annotated[
        float | None,
        typer.Option("--min-confidence", min=0, max=1, help="Mark for review what is less sure than this."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=0, help="Read so many more documents at most; 0: write results only.")
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Files read at a time; with --ray, processes with the model.")
    ] = 0,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="ADDRESS",
            help="Work on a Ray cluster: ray://HOST:10001, HOST:6379, auto or local. Documents are sent; the release "
            "must be at the same path on every node.",
        ),
    ] = None,
    engine: EngineOption = None,
    as_json: AsJson = False,
) -> None:
    """Read every document of a folder with a release: one record each, whatever is killed; run again, it goes on."""
    from lextune import api
    from lextune.deploy.batch.options import BatchOptions

    quiet_libraries()
    options = BatchOptions(
        min_confidence=min_confidence,
        retry_failed=retry_failed,
        limit=limit,
        machine_price=machine_price,
        workers=workers,
        ray=ray,
    )
    with Shown() as shown:
        found = api.batch(release, folder, to, engine=engine, options=options, progress=shown)
    if as_json:
        print_json(found)
    else:
        _print(found, to)
    documents = found["documents"]
    if documents["failed"] and not documents["answered"]:
        failed = counted(documents["failed"], "document")
        raise DocumentError(f"no record: {failed} could not be read", do=f"see {to / 'failures.jsonl'}")


class Shown:
    """Progress on stderr: a bar on a terminal, else a line now and then."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("batch"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} {task.fields[note]}", markup=False),
            console=log,
            transient=True,
        )
        self._task = self._bar.add_task("batch", total=None, note="")
        self._last = time.monotonic()

    def __enter__(self) -> Shown:
        if log.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if log.is_terminal:
            self._bar.stop()

    def __call__(self, standing: Standing) -> None:
        """Show how far the batch is."""
        if log.is_terminal:
            self._bar.update(self._task, completed=standing.done, total=standing.total, note=note(standing))
        elif time.monotonic() - self._last >= EVERY:
            self._last = time.monotonic()
            log.print(f"{standing.done:,} of {counted(standing.total, 'document')}, {note(standing)}", markup=False)


def note(standing: Standing) -> str:
    """Return rate, time left, cost and failures in words, those that are known."""
    said = [f"{standing.per_hour:,.0f}/h"]
    if standing.seconds_left is not None:
        said.append(f"{_duration(standing.seconds_left)} left")
    if standing.cost is not None:
        said.append(f"cost {standing.cost:,.2f}")
    if standing.failed:
        said.append(f"{standing.failed:,} failed")
    return ", ".join(said)


def _duration(seconds: float) -> str:
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _print(found: Mapping[str, Any], to: Path) -> None:
    out.print(_table(f"Fields, read by {found['release']}", "field", found["fields"]))
    out.print(_table("Types of document", "type", found["types"]))
    documents = found["documents"]
    out.print(f"{documents['answered']:,} of {counted(documents['listed'], 'document')} answered", markup=False)
    for name, text in (
        ("with_scanned_pages", "with pages that are pictures, which were not read: records.jsonl names them"),
        ("failed", f"failed: see failures.jsonl; --retry-failed reads them again ({_reasons(found['failures'])})"),
        ("left", "not read yet: run the same command again"),
        ("skipped", f"passed over: see skipped.jsonl ({_reasons(found['skipped'])})"),
        ("no_longer_listed", "answered before and no longer in the folder: their records are kept"),
    ):
        if documents[name]:
            out.print(f"{documents[name]:,} {text}", markup=False)
    for line in ledger_lines(found["ledger"]):
        out.print(line, markup=False)
    out.print(f"written to {well_formed(str(to))}", markup=False)


def _table(title: str, column: str, rows: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(title=escape(title))
    table.add_column(column, overflow="fold")
    for name in ("present", "null", "review", "null rate", "review rate"):
        table.add_column(name, justify="right")
    for name, row in rows.items():
        counts = [f"{row[key]:,}" for key in ("present", "null", "review")]
        table.add_row(escape(name), *counts, _share(row["null_rate"]), _share(row["review_rate"]))
    return table


def _share(rate: float | None) -> str:
    return "" if rate is None else f"{100 * rate:.1f} %"


def _reasons(counts: Mapping[str, int]) -> str:
    shown = [f"{reason}: {count:,}" for reason, count in list(counts.items())[:3]]
    return "; ".join(shown + (["..."] if len(counts) > 3 else []))


def ledger_lines(ledger: Mapping[str, Any]) -> list[str]:
    """Return the cost ledger in words."""
    tokens, seconds = ledger["tokens"], ledger["seconds"]
    cached = "cached not told by the engine" if tokens["cached"] is None else f"cached {tokens['cached']:,}"
    lines = [
        f"tokens: read {tokens['read']:,}, {cached}, written {tokens['written']:,}",
        f"seconds: {seconds['wall']:,.1f} by the clock, {seconds['answering']:,.1f} answering, "
        f"{seconds['reading']:,.1f} reading files",
    ]
    if ledger["contracts_per_hour"] is not None:
        lines.append(
            f"rate: {ledger['contracts_per_hour']:,.0f} contracts and "
            f"{ledger['million_characters_per_hour']:,.2f} million characters an hour"
        )
    if ledger["cost"] is None:
        lines.append("cost: not known (--machine-price is what an hour of the machine costs)")
    elif ledger["price_per_contract"] is not None:
        field = ledger["price_per_accepted_field"]
        each = "" if field is None else f", {field:.6f} an accepted field"
        lines.append(
            f"cost: {ledger['cost']:,.4f} at {ledger['machine_price']:g} an hour: "
            f"{ledger['price_per_contract']:.6f} a contract{each}"
        )
    return lines


def plan(
    ledgers: Annotated[
        list[Path] | None, typer.Argument(metavar="[LEDGER]...", help="Folders of finished batches, or ledger.json.")
    ] = None,
    machines: Annotated[
        list[str] | None,
        typer.Option("--machine", metavar="NAME=RATE[@PRICE]", help="Contracts an hour of a machine, and its price."),
    ] = None,
    contracts: Annotated[
        list[int] | None, typer.Option("--contracts", min=1, help="A month; 50,000 and 5,000,000 by default.")
    ] = None,
    machine_price: Annotated[
        float | None, typer.Option("--machine-price", min=0, help="What an hour costs, instead of the ledgers' own.")
    ] = None,
    utilisation: Annotated[
        float, typer.Option("--utilisation", min=0.01, max=1, help="Share of its time in which a machine answers.")
    ] = UTILISATION,
    as_json: AsJson = False,
) -> None:
    """Plan the machines and cost of a month's contracts, from measured rates (ledgers) or given ones (--machine)."""
    rates = [measured_rate(path, machine_price) for path in ledgers or ()] + [given_rate(m) for m in machines or ()]
    if not rates:
        raise UserError(
            "no rate to plan with", do="give the --out of a finished `lextune batch`, or --machine NAME=RATE@PRICE"
        )
    rows = [planned(rate, count, utilisation) for count in contracts or CONTRACTS for rate in rates]
    if as_json:
        print_json([row._asdict() for row in rows])
        return
    table = Table(title=f"A month, machines answering {100 * utilisation:g} % of their time")
    for column in ("contracts", "machine", "rate", "an hour", "hours", "machines", "on demand", "reserved", "each"):
        table.add_column(column, justify="left" if column in ("machine", "rate") else "right", overflow="fold")
    for row in rows:
        table.add_row(
            f"{row.contracts:,}",
            escape(row.machine),
            "measured" if row.measured else "given",
            f"{row.contracts_per_hour:,.0f}",
            f"{row.machine_hours:,.1f}",
            f"{row.machines:,}",
            *("" if cost is None else f"{cost:,.2f}" for cost in (row.on_demand, row.reserved)),
            "" if row.price_per_contract is None else f"{row.price_per_contract:.6f}",
        )
    out.print(table)


command = commands(batch=batch, plan=plan)
