"""`lextune data ...`: fetch, generate and check here; the other commands come from the modules `data_*`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lextune.apps.cli.console import Command, out, print_json
from lextune.apps.cli.data_clean import clean
from lextune.apps.cli.data_dedupe import conflicts, dedupe
from lextune.apps.cli.data_exchange import export, import_data
from lextune.apps.cli.data_preview import preview
from lextune.apps.cli.data_privacy import personal, pseudonymise, restore
from lextune.apps.cli.data_quality import agreement, spotcheck, suspects
from lextune.apps.cli.data_versions import card, diff
from lextune.core.counts import counted
from lextune.core.errors import UserError

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Curate documents: from any source to a dataset version."
)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="What to fetch: cuad.")],
    to: Annotated[Path | None, typer.Option("--to", help="Where to; the cache by default.")] = None,
) -> None:
    """Download the official CUAD archive, check its hash, unpack it; a broken download resumes."""
    from lextune.core.cache import cache_folder
    from lextune.data.fetch import fetch_cuad

    if name != "cuad":
        raise UserError(f"no data set {name!r}", where="data fetch", do="use: lextune data fetch cuad")
    out.print(str(fetch_cuad(to or cache_folder() / "cuad")), markup=False)


@app.command()
def synth(
    to: Annotated[Path, typer.Option("--out", help="Folder to write (CUAD's layout).")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many contracts.")] = 48,
    seed: Annotated[int, typer.Option("--seed")] = 17,
) -> None:
    """Write sample contracts with exact labels for all 47 fields."""
    from lextune.data.synthesis import generate, write_cuad_layout
    from lextune.expert.schema import load_schema

    write_cuad_layout(generate(n, seed, schema=load_schema("clauses-47")), to)
    out.print(f"{counted(n, 'contract')} in {to}", markup=False)


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(help="Contracts in CUAD's layout.")],
    schema: Annotated[str, typer.Option("--schema")] = "clauses-47",
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Import contracts without keeping them; count what would not be used, by reason."""
    from lextune.data.importers.cuad import import_cuad
    from lextune.data.importers.report import summarise
    from lextune.expert.schema import load_schema

    imported = import_cuad(folder, load_schema(schema))
    present = sum(label.present for d in imported.documents for label in d.labels.values())
    assessed = sum(len(d.labels) for d in imported.documents)
    quoted = sum(len(label.parts) for d in imported.documents for label in d.labels.values())
    found = {
        "documents": len(imported.documents),
        "pairs": assessed,
        "present": present,
        "parts": quoted,
        "rejects": [r.model_dump() for r in imported.rejects],
    }
    if as_json:
        print_json(found)
        return
    documents, parts = counted(len(imported.documents), "document"), counted(quoted, "quoted part")
    out.print(f"{documents}, {present:,} of {counted(assessed, 'field')} present, {parts}")
    rejects = counted(len(imported.rejects), "reject")
    out.print(f"{rejects}{' (--json lists all of them):' if imported.rejects else ''}")
    for line in summarise(imported.rejects).splitlines():
        out.print(f"  {line}", markup=False)


app.command("import")(import_data)
for curation in (
    *(export, preview, clean, dedupe, conflicts, spotcheck, suspects, agreement),
    *(personal, pseudonymise, restore, card, diff),
):
    app.command()(curation)


def command(name: str) -> Command:
    """Return the group."""
    return typer.main.get_command(app)
