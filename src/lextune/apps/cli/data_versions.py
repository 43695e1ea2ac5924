"""`lextune data diff|card`: two versions compared, and what is in one of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lextune.apps.cli.console import log, out, print_json
from lextune.core.counts import counted

if TYPE_CHECKING:
    from lextune.data.card import Card

DATASET = typer.Argument(help="A data set: the folder of an artifact with documents.")


def diff(
    a: Annotated[Path, typer.Argument(help="The earlier version: the folder of an artifact with documents.")],
    b: Annotated[Path, typer.Argument(help="The later one.")],
    limit: Annotated[int, typer.Option("--limit", min=0, help="Labels and ids shown in full.")] = 20,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Compare two versions of a data set: added, removed, rewritten, relabelled, by field and contract type."""
    from lextune.core.artifacts import Artifact
    from lextune.data.diff import as_text
    from lextune.data.diff import diff as compare

    found = compare(Artifact.open(a, kind="documents"), Artifact.open(b, kind="documents"), shown=limit)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        out.print(as_text(found), markup=False)


def card(
    dataset: Annotated[Path, DATASET],
    html: Annotated[Path | None, typer.Option("--html", help="Write the card as one HTML page.")] = None,
    md: Annotated[Path | None, typer.Option("--md", help="Write the card as Markdown.")] = None,
    base: Annotated[str | None, typer.Option("--base", help="Measure lengths in this model's tokens.")] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option("--max-tokens", min=1, help="With --base: count rows that are longer; train.max_tokens' default."),
    ] = None,
    licence: Annotated[str | None, typer.Option("--licence", help="The documents' licence, as you know it.")] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Describe a data set: counts, lengths, fields, duplicates, nulls; and warn of what practice warns of."""
    from lextune.core.artifacts import Artifact, write_atomic
    from lextune.data.card import CardOptions, make_card
    from lextune.data.card_pages import card_html, card_markdown
    from lextune.train.settings import TrainConfig

    options = CardOptions(base=base, max_tokens=max_tokens or TrainConfig().max_tokens, licence=licence)
    made = make_card(Artifact.open(dataset, kind="documents"), options)
    for path, render in ((html, card_html), (md, card_markdown)):
        if path is not None:
            write_atomic(path, render(made))
            log.print(f"written: {path}", markup=False)
    if as_json:
        print_json(made.as_json())
    else:
        _print(made)


def _print(card: Card) -> None:
    """Print the counts and the warnings of a card."""
    lengths = card.lengths
    out.print(f"{card.name} ({card.hash[:12]}): {card.documents:,} {card.unit}", markup=False)
    out.print(f"{card.n_in:,} came in, {card.n_dropped:,} were dropped", markup=False)
    out.print(
        f"{lengths.unit}: median {lengths.median:,}, 95 % have at most {lengths.p95:,}, longest {lengths.longest:,}",
        markup=False,
    )
    if card.presence:
        present = sum(row.present for row in card.presence)
        assessed = sum(row.assessed for row in card.presence)
        out.print(f"{present:,} of {counted(assessed, 'field')} present", markup=False)
    found = card.duplicates
    out.print(
        f"{found.repeated:,} repeated, {counted(found.families, 'family', 'families')} of near-duplicates", markup=False
    )
    for caution in card.warnings:
        out.print(f"warning: {caution}", markup=False)
