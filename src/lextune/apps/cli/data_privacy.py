"""`lextune data personal|pseudonymise|restore`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lextune.apps.cli.console import Ray, log, out, print_json
from lextune.core.counts import counted

if TYPE_CHECKING:
    from lextune.data.privacy.kinds import Kind

Kinds = Annotated[str, typer.Option("--kinds", help="person,email,phone,id,account,address; all by default.")]
Key = Annotated[Path | None, typer.Option("--key", help="File of the key; $LEXTUNE_PRIVACY_KEY by default.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def personal(
    source: Annotated[Path, typer.Argument(help="A dataset version, or one document (PDF, DOCX, HTML, mail, text).")],
    kinds: Kinds = "",
    as_json: Json = False,
) -> None:
    """List the personal data in a dataset or a document: counts by kind, and a few values, masked."""
    from lextune.core.artifacts import Artifact, read_jsonl
    from lextune.core.records import Document
    from lextune.data.privacy.dataset import DOCUMENTS, list_personal
    from lextune.text.reading import read_document

    if source.is_file():
        documents = iter([read_document(source)])
    else:
        documents = read_jsonl(Artifact.open(source, kind="documents").file(DOCUMENTS), Document)
    found = list_personal(documents, _kinds(kinds))
    if as_json:
        print_json(found.as_json())
        return
    for kind, count in found.counts.items():
        examples = f": {', '.join(found.examples[kind])}" if count else ""
        out.print(f"{kind:<8} {count:>7} in {counted(found.documents_with[kind], 'document')}{examples}", markup=False)
    out.print(f"{sum(found.counts.values())} in {counted(found.documents, 'document')}", markup=False)


def pseudonymise(
    dataset: Annotated[Path, typer.Argument(help="A dataset version: an artifact of documents.")],
    to: Annotated[Path, typer.Option("--out", help="Folder of the new version; its vault is FOLDER.vault.")],
    key: Key = None,
    mode: Annotated[str, typer.Option("--mode", help="pseudonym (can be restored) or mask (cannot).")] = "pseudonym",
    style: Annotated[str, typer.Option("--style", help="placeholder ([PERSON_17]) or realistic.")] = "placeholder",
    kinds: Kinds = "",
    earlier: Annotated[
        Path | None, typer.Option("--vault", help="An earlier vault: its people keep their pseudonyms.")
    ] = None,
    ray: Ray = None,
    as_json: Json = False,
) -> None:
    """Replace personal data in a new version of a dataset; a key file that does not exist is made."""
    from lextune.core.artifacts import Artifact
    from lextune.data.privacy.dataset import check_options, prepared_key, pseudonymise_dataset, vault_path

    options = check_options(mode, style, _kinds(kinds), key, earlier)._replace(ray=ray)
    source = Artifact.open(dataset, kind="documents")
    with prepared_key(to, options) as new:
        made = pseudonymise_dataset(source, to, options)
    if new:
        log.print(f"a new key is in {key}: without it nothing can be restored", markup=False)
    summary = made.manifest.summary
    vault = str(vault_path(made.path)) if mode == "pseudonym" else None
    if as_json:
        print_json({"out": str(to), "vault": vault, "hash": made.hash, **summary})
        return
    counts = ", ".join(f"{count} {kind}" for kind, count in summary["found"].items())
    out.print(f"{counted(summary['n_out'], 'document')} in {to}, {summary['changed']} changed: {counts}", markup=False)
    if vault:
        out.print(f"the way back is in {vault}: keep it and its key apart from the dataset", markup=False)


def restore(
    dataset: Annotated[Path, typer.Argument(help="A pseudonymised dataset version.")],
    vault: Annotated[Path, typer.Option("--vault", help="The vault that was written beside it.")],
    to: Annotated[Path, typer.Option("--out", help="Folder to write.")],
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Write a pseudonymised dataset as it was before, to the byte."""
    from lextune.core.artifacts import Artifact
    from lextune.data.privacy.dataset import restore_dataset

    made = restore_dataset(Artifact.open(dataset, kind="documents"), vault, key, to)
    if as_json:
        print_json({"out": str(to), "hash": made.hash, **made.manifest.summary})
        return
    out.print(f"{counted(made.manifest.summary['n_out'], 'document')} restored in {to}", markup=False)


def _kinds(names: str) -> tuple[Kind, ...]:
    from lextune.data.privacy.kinds import parse_kinds

    return parse_kinds(name.strip() for name in names.split(",") if name.strip())
