"""`lextune data import|export`: rows and contracts in, rows for other trainers out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lextune.apps.cli.console import Ray, log, out, print_json
from lextune.core.counts import counted

SHOWN = 5  # fields whose nulls are each told on a line


def import_data(
    source: Annotated[Path, typer.Argument(help="A file of rows, or a folder of contracts or documents.")],
    to: Annotated[Path, typer.Option("--out", help="Folder to write: a dataset version.")],
    format: Annotated[str, typer.Option("--format", help="What the source holds; a wrong name lists all.")] = "auto",
    schema: Annotated[str, typer.Option("--schema", help="Fields of contracts.")] = "clauses-47",
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave wrong rows out instead of stopping.")] = False,
    ignore: Annotated[list[str] | None, typer.Option("--ignore", help="A key or column to leave out.")] = None,
    arguments: Annotated[bool, typer.Option("--arguments", help="Learn function calls with their arguments.")] = False,
    ocr: Annotated[str | None, typer.Option("--ocr", help="Recognise scans in these languages, as eng+deu.")] = None,
    ray: Ray = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Import a source into a dataset version; count what was dropped, and what the null contract changed."""
    from lextune.data.importers.intake import Options, import_version
    from lextune.expert.schema import load_schema

    options = Options(load_schema(schema), tuple(ignore or ()), arguments, ocr, ray)
    artifact = import_version(source, to, options, format, skip_bad=skip_bad)
    found = {"path": str(to), "hash": artifact.hash, **artifact.manifest.summary}
    if as_json:
        print_json(found)
        return
    out.print(
        f"{found['n_out']} of {counted(found['n_in'], 'document')} in {to}, {found['n_dropped']} dropped", markup=False
    )
    _print_details(found)


def _print_details(found: dict[str, Any]) -> None:
    from lextune.data.importers.report import line

    nulls = found["nulls"]
    for field, count in nulls.items() if len(nulls) <= SHOWN else ():
        out.print(f"  {count} x {field}: a word for null, now null (nulls.json)", markup=False)
    if len(nulls) > SHOWN:
        out.print(f"  {sum(nulls.values())} words for null in {len(nulls)} fields, now null (nulls.json)", markup=False)
    for reason in found["reasons"]:
        out.print(f"  {line(reason)}", markup=False)
    untold = found["rejects"] - sum(reason["n"] for reason in found["reasons"])
    if untold:
        out.print(f"  {untold} more, for other reasons (drops.jsonl)", markup=False)
    if found["with_control_tokens"]:
        count = found["with_control_tokens"]
        hold = counted(count, "document holds", "documents hold")
        out.print(f"  {hold} control tokens of some model, which stay ordinary text", markup=False)
    if found["of_another_kind"]:
        are = counted(found["of_another_kind"], "document is", "documents are")
        out.print(
            f"  {are} of another kind than the file's name says, and read as what it is (tag read_as)", markup=False
        )


def export(
    dataset: Annotated[Path, typer.Argument(help="A dataset version, a split, or training examples.")],
    format: Annotated[str, typer.Option("--format", help="chat, alpaca, sharegpt, prompt-completion, preference.")],
    to: Annotated[Path, typer.Option("--out", help="File to write; of a split or examples: folder.")],
    chosen_only: Annotated[bool, typer.Option("--chosen-only", help="Leave rejected answers out.")] = False,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Export conversations or training examples as JSON Lines for another trainer."""
    from lextune.core.artifacts import Artifact
    from lextune.data.export import export_artifact

    done = export_artifact(Artifact.open(dataset), format, to, chosen_only=chosen_only)
    if as_json:
        print_json({str(path): found._asdict() for path, found in done.items()})
        return
    for path, found in done.items():
        out.print(f"{counted(found.rows, 'example')} in {path}", markup=False)
        if found.without_rejected:
            log.print(f"{counted(found.without_rejected, 'rejected answer')} left out", markup=False)
        if found.left_behind:
            names = ", ".join(f"{name} ({count})" for name, count in found.left_behind.items())
            log.print(f"not in the export, still in the dataset: {names}", markup=False)
        if found.times:
            what = "where nothing else stands there, load_dataset reads them as times; export as chat"
            log.print(f"dates in {', '.join(found.times)}: {what} (docs/guides/curate.md)", markup=False)
