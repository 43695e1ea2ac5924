"""`lextune data dedupe|conflicts`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lextune.apps.cli.console import Ray, out, print_json
from lextune.core.counts import counted
from lextune.core.errors import UserError

LISTED = 20
Dataset = Annotated[Path, typer.Argument(help="A dataset version: an artifact of documents.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def dedupe(
    dataset: Dataset,
    to: Annotated[Path | None, typer.Option("--out", help="Folder of the new dataset version.")] = None,
    level: Annotated[
        str, typer.Option("--level", help="document, or clause (with --report-only: never removed).")
    ] = "document",
    threshold: Annotated[float, typer.Option(min=0.3, max=1, help="Jaccard similarity of 5-word shingles.")] = 0.8,
    report_only: Annotated[bool, typer.Option("--report-only", help="List families, write nothing.")] = False,
    ray: Ray = None,
    as_json: AsJson = False,
) -> None:
    """Keep one document of each near-duplicate family, or list the families of documents or clauses."""
    from lextune.core.artifacts import Artifact
    from lextune.data.unique import families_of

    _check(to, level, report_only)
    source = Artifact.open(dataset, kind="documents")
    if to is not None and not report_only:
        _write(source, to, threshold, ray, as_json)
        return
    found = list(families_of(source.file("documents.jsonl"), level, threshold, ray))
    if as_json:
        print_json({"level": level, "threshold": threshold, "families": found})
        return
    members = sum(family["n"] if level == "clause" else 1 + len(family["dropped"]) for family in found)
    families = counted(len(found), "family", "families")
    out.print(f"{families} of {counted(members, level)} (Jaccard >= {threshold})", markup=False)
    for family in found[:LISTED]:
        out.print(f"  {_line(family)}", markup=False)
    if len(found) > LISTED:
        out.print(f"  and {len(found) - LISTED} more (--json lists all of them)")


def _check(to: Path | None, level: str, report_only: bool) -> None:
    if to is None and not report_only:
        raise UserError("nowhere to write", where="--out", do="give --out, or --report-only to list families")
    if level == "clause" and not report_only:
        raise UserError(
            "a clause is not taken out of its document: quotes, pages and the clauses that refer to it would be wrong",
            where="--level clause",
            do="add --report-only to list repeated clauses, or use --level document",
        )


def _write(source: Any, to: Path, threshold: float, ray: str | None, as_json: bool) -> None:
    from lextune.core.artifacts import derive_folder
    from lextune.core.stage import Context
    from lextune.data.unique import STAGE, DedupeConfig

    config = DedupeConfig(threshold=threshold)
    by = (STAGE.name, STAGE.version)
    made = derive_folder(
        to,
        source,
        by,
        config.model_dump(mode="json"),
        lambda folder: STAGE.run(config, {"documents": source}, folder, Context(options={"ray": ray})),
    )
    found = made.manifest.summary
    if as_json:
        print_json({"path": str(to), "hash": made.hash, **found})
        return
    out.print(f"{found['n_out']} of {counted(found['n_in'], 'document')} in {to}", markup=False)
    if found["n_dropped"]:
        out.print(f"{counted(found['n_dropped'], 'near-duplicate')} dropped (drops.jsonl, families.json)", markup=False)


def _line(family: dict[str, Any]) -> str:
    if "text" in family:
        return f"{family['n']} x in {counted(family['documents'], 'document')}: {family['text']}"
    how = "same words" if family["same_words"] else "alike"
    names = ", ".join(family["dropped"][:3]) + (", ..." if len(family["dropped"]) > 3 else "")
    return f"{family['kept']} ({1 + len(family['dropped'])}, {how}): {names}"


def conflicts(dataset: Dataset, as_json: AsJson = False) -> None:
    """List clauses that two documents have in common and that are labelled in two ways."""
    from lextune.core.artifacts import Artifact, read_jsonl
    from lextune.core.records import Document
    from lextune.data.conflicts import conflicts as find

    path = Artifact.open(dataset, kind="documents").file("documents.jsonl")
    found = list(find(lambda: read_jsonl(path, Document)))
    if as_json:
        print_json([{**c._asdict(), "places": [place._asdict() for place in c.places]} for c in found])
        return
    out.print(f"{counted(len(found), 'conflict')} of labels")
    for conflict in found[:LISTED]:
        counts = "; ".join(f"{label} {yes} of {yes + no}" for label, (yes, no) in conflict.counts.items())
        out.print(f"  {conflict.kind}, {counted(conflict.total, 'place')} ({counts}): {conflict.text}", markup=False)
        for place in conflict.places[:2]:
            as_what = ", ".join(place.labels) or "unlabelled"
            out.print(f"    {place.document} {place.start}-{place.end}: {as_what}", markup=False)
    if len(found) > LISTED:
        out.print(f"  and {len(found) - LISTED} more (--json lists all of them)")
