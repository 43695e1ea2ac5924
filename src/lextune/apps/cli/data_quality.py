"""`lextune data spotcheck|suspects|agreement`: how good a dataset's labels are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from lextune.apps.cli.console import Bars, log, out, print_json
from lextune.core.counts import counted

if TYPE_CHECKING:
    from lextune.data.quality import Read
    from lextune.data.quality.agreement import FieldAgreement
    from lextune.data.quality.suspects import Ranking, Suspect
    from lextune.data.quality.verdicts import SpotCheck
    from lextune.expert.scoring.intervals import Score

Dataset = Annotated[Path, typer.Argument(help="A dataset: the folder of an artifact with documents.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Draws differently.")]


def spotcheck(
    dataset: Dataset,
    n: Annotated[int, typer.Option("--n", min=1, help="Labels on the sheet.")] = 50,
    html: Annotated[Path | None, typer.Option("--html", help="Write the sheet as a page to read or print.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the sheet as a table for verdicts.")] = None,
    seed: Seed = 0,
    strata: Annotated[bool, typer.Option("--strata", help="Half present and half absent labels.")] = False,
    schema: Annotated[str, typer.Option("--schema", help="Where the fields' questions stand.")] = "clauses-47",
    read: Annotated[Path | None, typer.Option("--read", help="Read a filled-in CSV back.")] = None,
    as_json: AsJson = False,
) -> None:
    """Draw labels for a lawyer to check, or read the verdicts back: the error rate with its interval."""
    from lextune.core.artifacts import write_atomic
    from lextune.core.errors import UserError
    from lextune.data.quality.sampling import plan_sheet
    from lextune.data.quality.spotcheck import make_sheet, sheet_csv, sheet_html
    from lextune.data.quality.verdicts import read_verdicts
    from lextune.expert.schema import load_schema

    if (read is None) == (html is None and csv is None):
        raise UserError(
            "a sheet is written, or read", where="data spotcheck", do="give --html or --csv or both, or --read alone"
        )
    documents, found = _open(dataset)
    if read is not None:
        _print_check(read_verdicts(read, documents, found), as_json)
        return
    plan = plan_sheet(documents, found, n=n, seed=seed, design="strata" if strata else "random")
    sheet = make_sheet(documents, plan, load_schema(schema))
    if html is not None:
        write_atomic(html, sheet_html(sheet, dataset.resolve().name))
    if csv is not None:
        write_atomic(csv, sheet_csv(sheet))
    written = [str(path) for path in (html, csv) if path is not None]
    sizes = {"present": sum(c.present for c in plan.chosen), "absent": sum(not c.present for c in plan.chosen)}
    if as_json:
        print_json({"sheet": plan.sheet, "n": len(sheet.items), **sizes, "labels": dict(plan.sizes), "files": written})
        return
    total = sum(plan.sizes.values())
    out.print(f"{len(sheet.items)} of {counted(total, 'label')} ({sizes['present']} present, {sizes['absent']} absent)")
    out.print(f"in {' and '.join(written)}", markup=False)
    if csv is not None:
        command = f"lextune data spotcheck {dataset} --read {csv}"
        log.print(f"fill in the column verdict, then: {command}", markup=False, soft_wrap=True)


def suspects(
    dataset: Dataset,
    n: Annotated[int | None, typer.Option("--n", min=1, help="Labels listed; 50 without --share.")] = None,
    share: Annotated[float | None, typer.Option("--share", min=0, max=1, help="Share of all labels listed.")] = None,
    folds: Annotated[int, typer.Option("--folds", min=2, help="Models trained.")] = 5,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the list as a table.")] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """List the labels that a model, trained on the other documents, does not believe."""
    from lextune.core.artifacts import write_atomic
    from lextune.core.errors import UserError
    from lextune.data.quality.suspects import find_suspects, suspects_csv

    if n is not None and share is not None:
        raise UserError("both --n and --share", where="data suspects", do="give one of them")
    documents, _ = _open(dataset)
    with Bars() as bars:
        ranking = find_suspects(
            documents, folds=folds, seed=seed, progress=lambda done, total: bars("models", done, total, "")
        )
    listed = ranking.top(round(share * ranking.labels) if share is not None else n or 50)
    if csv is not None:
        write_atomic(csv, suspects_csv(listed))
        log.print(f"written: {csv}", markup=False)
    if as_json:
        print_json({**ranking.as_json(), "suspects": [suspect._asdict() for suspect in listed]})
    else:
        _print_suspects(ranking, listed)


def agreement(dataset: Dataset, seed: Seed = 0, as_json: AsJson = False) -> None:
    """Compare annotators who labelled the same texts: agreement, kappa, alpha and F1 of quotes, by field."""
    from lextune.data.quality.agreement import agreement as compare

    documents, _ = _open(dataset)
    found = compare(documents, seed=seed)
    if as_json:
        print_json(found.as_json())
        return
    who = ", ".join(f"{name} ({count})" for name, count in found.annotators.items())
    out.print(f"{counted(found.texts, 'text')} with several annotators: {who}", markup=False)
    for reason, count in found.left_out.items():
        out.print(f"{counted(count, 'document')} left out: {reason}", markup=False)
    table = Table(
        "field", "units", "agreement", "kappa", "alpha", "F1 of quotes", title="Agreement, with 95 % intervals"
    )
    for row in (found.total, *found.fields):
        table.add_row(*_agreement_row(row))
    out.print(table)


def _open(dataset: Path) -> tuple[Read, str]:
    """Return a reader of a dataset's documents, and the dataset's hash."""
    from lextune.core.artifacts import Artifact, read_jsonl
    from lextune.core.records import Document

    artifact = Artifact.open(dataset, kind="documents")
    file = artifact.file("documents.jsonl")
    return lambda: read_jsonl(file, Document), artifact.hash


def _print_check(check: SpotCheck, as_json: bool) -> None:
    found: dict[str, Any] = check.as_json()
    if as_json:
        print_json(found)
        return
    out.print(
        f"{counted(found['n'], 'label')}: {found['right']} right, {found['wrong']} wrong, {found['unsure']} unsure",
        markup=False,
    )
    out.print(f"error rate {_percent(check.error_rate)}", markup=False)
    if found["unsure"]:
        out.print(f"if all unsure ones are wrong {_percent(check.at_worst)}", markup=False)
    out.print(f"present labels {_percent(check.present)}; absent labels {_percent(check.absent)}", markup=False)
    for wrong in found["wrong_labels"]:
        what = "present" if wrong["present"] else "absent"
        note = f": {wrong['note']}" if wrong["note"] else ""
        out.print(f"  wrong: {wrong['document']}, {wrong['field']} ({what}){note}", markup=False)


def _print_suspects(ranking: Ranking, listed: list[Suspect]) -> None:
    from lextune.core.errors import shorten

    for suspect in listed:
        label = "present" if suspect.present else "absent"
        page = "" if suspect.page is None else f", page {suspect.page}"
        out.print(
            f"{suspect.disagreement:.3f} {suspect.field}, {label}: {suspect.document}{page}\n"
            f"      {shorten(suspect.text, 74)}",
            markup=False,
        )
    out.print(
        f"{ranking.judged:,} of {counted(ranking.labels, 'label')} judged by {ranking.folds} models, "
        f"trained on {ranking.trained:,} of {counted(ranking.documents, 'document')}"
    )
    for reason, count in ranking.skipped.items():
        out.print(f"{count:,} not judged: {reason}", markup=False)


def _agreement_row(row: FieldAgreement) -> list[str]:
    return [escape(row.field), f"{row.units:,}", *map(_interval, (row.agreement, row.kappa, row.alpha, row.quotes))]


def _interval(score: Score) -> str:
    if score.value is None:
        return "n/a"
    if score.low is None or score.high is None:
        return f"{score.value:.3f}"
    return f"{score.value:.3f} ({score.low:.3f} to {score.high:.3f})"


def _percent(score: Score) -> str:
    if score.value is None or score.low is None or score.high is None:
        return f"n/a (n={score.n})"
    return f"{score.value:.1%} ({score.low:.1%} to {score.high:.1%}, n={score.n})"
