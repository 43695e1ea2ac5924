"""`lextune data clean`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lextune.apps.cli.console import Bars, Ray, out, print_json
from lextune.core.counts import counted
from lextune.core.errors import UserError


def clean(
    dataset: Annotated[Path, typer.Argument(help="A dataset version: an artifact of documents.")],
    to: Annotated[Path, typer.Option("--out", help="Folder of the new dataset version.")],
    encoding: Annotated[bool, typer.Option(help="Repair text that was decoded wrongly.")] = True,
    spaces: Annotated[bool, typer.Option(help="Make white space plain.")] = True,
    hyphenation: Annotated[bool, typer.Option(help="Join words that were broken at line ends.")] = True,
    furniture: Annotated[bool, typer.Option(help="Remove headers, footers and page numbers.")] = True,
    tags: Annotated[bool, typer.Option(help="Tag the language, and the drafting as US or UK.")] = True,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one a core by default.")] = None,
    ray: Ray = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Clean a dataset's texts into a new version; labels, quotes and pages follow, the originals stay."""
    from lextune.core.artifacts import Artifact, derive_folder
    from lextune.core.stage import Context
    from lextune.data.clean import STAGE, CleanConfig

    if workers is not None and ray is not None:
        raise UserError("processes of this machine, and a cluster works", where="--workers", do="leave it out")
    source = Artifact.open(dataset, kind="documents")
    config = CleanConfig(encoding=encoding, spaces=spaces, hyphenation=hyphenation, furniture=furniture, tags=tags)
    with Bars() as bars:
        context = Context(
            progress=lambda done, total, note: bars("clean", done, total, note),
            options={"workers": workers, "ray": ray},
        )
        made = derive_folder(
            to,
            source,
            (STAGE.name, STAGE.version),
            config.model_dump(mode="json"),
            lambda folder: STAGE.run(config, {"documents": source}, folder, context),
        )
    summary = made.manifest.summary
    if as_json:
        print_json({"out": str(to), "hash": made.hash, **summary})
        return
    out.print(f"{counted(summary['n_out'], 'document')} in {to}, {summary['changed']} changed", markup=False)
    if summary["rejects"]:
        out.print(
            f"{summary['n_dropped']} dropped, {counted(summary['quotes_lost'], 'quote')} lost (drops.jsonl)",
            markup=False,
        )
