"""What all commands share: the two consoles, progress bars, and turning functions into commands."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Annotated, Any, TypeAlias

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

Command: TypeAlias = Any  # typer's commands are of a private copy of click, which has no public name
out = Console(soft_wrap=True, highlight=False)
log = Console(stderr=True, highlight=False)
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Work on a Ray cluster with lextune on its nodes: ray://HOST:10001, HOST:6379, auto or local. "
        "Documents are sent, so no folder need be shared.",
    ),
]
SHOWN_OF_A_TASK = 4  # scores
FIRST_SCORE = 2  # its place in a row of scores, after arm and documents


def commands(**functions: Callable[..., None]) -> Callable[[str], Command]:
    """Return the `command(name)` that a CLI module must have, for these functions."""

    def command(name: str) -> Command:
        app = typer.Typer(add_completion=False)
        app.command(name)(functions[name])
        made = typer.main.get_command(app)
        made.name = name
        return made

    return command


def print_json(value: Any, *, indent: int | None = None) -> None:
    """Print a value as JSON on stdout, nothing else on its line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=indent) + "\n")
    sys.stdout.flush()


def quiet_libraries() -> None:
    """Keep other libraries' progress bars, telemetry and advice off our two streams."""
    import logging
    import warnings

    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    warnings.simplefilter("ignore")
    for name in ("transformers", "optimum", "nncf", "openvino", "trl", "peft", "bitsandbytes"):
        logging.getLogger(name).setLevel(logging.ERROR)


@contextmanager
def request_log() -> Iterator[None]:
    """Write the service's log to stderr: a line a request, and what failed."""
    import logging

    from lextune.deploy.guard import LOG

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    try:
        yield
    finally:
        LOG.removeHandler(handler)


SHOWN_SCORES = {  # of a table of scores, what 80 columns have room for, under names that wrap
    "arm": "arm",
    "documents": "docs",
    "field F1": "field\nF1",
    "ContractEval F1": "Contract-\nEval F1",
    "Jaccard": "Jaccard",
    "false-null": "false-\nnull",
    "contracts/hour": "contracts\n/hour",
}


def score_table(header: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> Table:
    """Return scores as a table that fits 80 columns: the interval of the first score, the others' values alone.

    Args:
        header: arm, documents, then the scores.
        rows: cells like `0.573 (0.519 to 0.620)`; all scores and intervals are in the report.
        title: printed above.
    """
    table = Table(title=escape(title), box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    shown = [place for place, name in enumerate(header) if name in SHOWN_SCORES]
    if FIRST_SCORE not in shown:  # of a task with scores of its own: the first of them
        shown = list(range(min(len(header), FIRST_SCORE + SHOWN_OF_A_TASK)))
    for place in shown:
        name = SHOWN_SCORES.get(header[place], header[place].replace(" ", "\n"))
        table.add_column(name, no_wrap=True, justify="left" if place == 0 else "right")
        if place == FIRST_SCORE:
            table.add_column("95 %", no_wrap=True)
    for row in rows:
        values = [row[place].partition(" (")[0] for place in shown]
        interval = row[FIRST_SCORE].partition(" (")[2].rstrip(")")
        values.insert(FIRST_SCORE + 1, "" if interval.startswith("n=") else interval.replace(" to ", "-"))
        table.add_row(*map(escape, values))
    return table


class Bars:
    """One progress bar a stage, on stderr; use as a context manager and call like a function."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<14}", markup=False),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} {task.fields[note]}", markup=False),
            TimeRemainingColumn(),
            console=log,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._progress.stop()

    def __call__(self, stage: str, done: int, total: int, note: str) -> None:
        """Show that a stage has done so much."""
        if stage not in self._tasks:
            for task in self._tasks.values():
                self._progress.update(task, visible=False)
            self._tasks[stage] = self._progress.add_task(stage, total=total, note=note)
        self._progress.update(self._tasks[stage], completed=done, total=total, note=note[:40])
