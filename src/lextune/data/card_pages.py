"""A data card for readers: one offline HTML page with plots, or Markdown for a repository or a hub.

Both are made from the same tables. Nothing is fetched and nothing runs; names and places from documents are
escaped wherever they stand.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from lextune.core.errors import shorten
from lextune.core.pages import page_template
from lextune.data.card import Bin, Card
from lextune.data.card_plots import bars, columns
from lextune.data.warnings import percent

if TYPE_CHECKING:
    from jinja2 import Template

TYPES_SHOWN = 8  # contract types with a column of their own
ROWS_SHOWN = 100  # of a table; how many more there are is said
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#&])")


class Table(NamedTuple):
    """Rows under a header; the first cell of each names it, the others are numbers unless `words`."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    more: int = 0
    words: bool = False


class Plot(NamedTuple):
    """An image as a data URI, and the same in words."""

    uri: str
    alt: str


class Section(NamedTuple):
    """One part of the card: sentences, a plot, tables."""

    title: str
    said: tuple[str, ...]
    tables: tuple[Table, ...] = ()
    plot: Plot | None = None


def card_html(card: Card) -> str:
    """Return the card as one HTML page."""
    page = _template().render(card=card, first=_first(card), sections=list(sections(card, plots=True)))
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", page)


def card_markdown(card: Card) -> str:
    """Return the card as Markdown (tables as GitHub reads them)."""
    out = [f"# Data card: {_plain(card.name)}", "", _plain(_first(card)), ""]
    if card.warnings:
        out += ["## Warnings", ""]
        out += [f"- **{_plain(caution.what)}**: {_plain(caution.do)}." for caution in card.warnings] + [""]
    for section in sections(card, plots=False):
        out += [f"## {section.title}", ""]
        for sentence in section.said:
            out += [_plain(sentence), ""]
        for table in section.tables:
            out += [*_markdown_table(table), ""]
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", "\n".join(out))


def _plain(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def _markdown_table(table: Table) -> Iterator[str]:
    yield "| " + " | ".join(map(_plain, table.header)) + " |"
    yield "| --- |" + (" --- |" if table.words else " ---: |") * (len(table.header) - 1)
    for row in table.rows:
        yield "| " + " | ".join(map(_plain, row)) + " |"
    if table.more:
        yield ""
        yield f"and {table.more:,} more."


def _first(card: Card) -> str:
    lengths = card.lengths
    lost = f"; {card.n_dropped:,} of {card.n_in:,} were dropped" if card.n_dropped else ""
    return (
        f"{card.documents:,} {card.unit} of {lengths.mean:,.0f} {lengths.unit} on average "
        f"({lengths.total:,} in all){lost}."
    )


def sections(card: Card, *, plots: bool) -> Iterator[Section]:
    """Yield the parts of a card in order; with `plots`, drawn ones too."""
    yield _source(card)
    yield _counts(card)
    yield _lengths(card, plots)
    if card.presence:
        yield _fields(card, plots)
        yield _presence(card, plots)
    yield _types(card, plots)
    yield _duplicates(card)
    yield _nulls(card)
    yield _tags(card)


def _source(card: Card) -> Section:
    facts = [("Content hash", card.hash), ("Made by the stage", card.stage)]
    facts += [(f"Made of: {name}", value) for name, value in card.made_of.items()]
    facts += [("Chosen as the source because", card.source)] if card.source else []
    people = (_shares("Annotator", card.annotators, card.documents),)
    origin = (_shares("Source", card.sources, card.documents), _shares("Licence", card.licences, card.documents))
    return Section("Source and licence", (), (_table(("", "Value"), facts, words=True), *origin, *people))


def _counts(card: Card) -> Section:
    said = [f"{card.n_in:,} came in, {card.documents:,} went on, {card.n_dropped:,} were dropped."]
    if card.preferences:
        said.append(f"{card.preferences:,} rows have a second, worse answer (preference pairs).")
    rows = [(d.what, d.reason, f"{d.count:,}", "; ".join(shorten(p, 60) for p in d.places)) for d in card.dropped]
    if not rows:
        return Section("What was dropped", (*said, "No reason for a drop is recorded."))
    header = ("What", "Reason", "Count", "First places")
    return Section("What was dropped", tuple(said), (_table(header, rows, words=True),))


def _lengths(card: Card, plots: bool) -> Section:
    lengths = card.lengths
    of = f" of {lengths.base}" if lengths.base else ""
    said = [
        f"In {lengths.unit}{of}: median {lengths.median:,}, mean {lengths.mean:,.1f}, "
        f"95 % have at most {lengths.p95:,}, the longest {lengths.longest:,}."
    ]
    if card.over_window is not None:
        over = card.over_window
        said.append(f"{over.longer:,} of {over.of:,} are longer than {over.tokens:,} tokens.")
    counts = {_range(each): each.count for each in lengths.bins}
    rows = [(name, f"{count:,}") for name, count in counts.items()]
    plot = _column_plot(counts, lengths.unit, card.unit, f"{card.unit} by length in {lengths.unit}") if plots else None
    return Section("Length", tuple(said), (_table((lengths.unit.capitalize(), card.unit.capitalize()), rows),), plot)


def _range(each: Bin) -> str:
    return f"{each.low:,}" if each.high - each.low <= 1 else f"{each.low:,}-{each.high - 1:,}"


def _fields(card: Card, plots: bool) -> Section:
    counts = {str(number): count for number, count in card.fields_per_document.items()}
    total = sum(card.fields_per_document.values())
    mean = sum(number * count for number, count in card.fields_per_document.items()) / max(1, total)
    rows = [(number, f"{count:,}") for number, count in counts.items()]
    every = range(min(card.fields_per_document, default=0), max(card.fields_per_document, default=-1) + 1)
    drawn = {str(number): card.fields_per_document.get(number, 0) for number in every}
    plot = _column_plot(drawn, "fields present", card.unit, f"{card.unit} by fields present") if plots else None
    said = f"A document states {mean:.1f} of {len(card.presence)} fields on average."
    return Section("Fields per document", (said,), (_table(("Fields present", card.unit.capitalize()), rows),), plot)


def _presence(card: Card, plots: bool) -> Section:
    types = list(card.contract_types)[:TYPES_SHOWN]
    rows = []
    for row in card.presence:
        others = sum(count for kind, count in row.by_type.items() if kind not in types)
        share = percent(row.present / row.assessed) if row.assessed else "-"
        by_type = [f"{row.by_type.get(kind, 0):,}" for kind in types]
        rest = [f"{others:,}"] if len(card.contract_types) > len(types) else []
        rows.append((row.field, f"{row.present:,}", f"{row.assessed:,}", share, *by_type, *rest))
    header = (
        "Field",
        "Present",
        "Assessed",
        "Share",
        *types,
        *(["Others"] if len(card.contract_types) > TYPES_SHOWN else []),
    )
    drawn = {row.field: (row.present, row.assessed) for row in card.presence[:ROWS_SHOWN]}
    alt = "; ".join(f"{row.field} {row.present} of {row.assessed}" for row in card.presence[:5])
    plot = Plot(bars(drawn, unit=card.unit), f"Presence of each field, most frequent first: {alt}") if plots else None
    said = ["How many documents state each field, of those in which it was assessed; then by contract type."]
    said += ["In the plot, dark is present, and light is assessed and absent."] if plots else []
    return Section("Presence of each field", tuple(said), (_table(header, rows),), plot)


def _types(card: Card, plots: bool) -> Section:
    drawn = {kind: (count, count) for kind, count in list(card.contract_types.items())[:ROWS_SHOWN]}
    alt = "; ".join(f"{kind} {count}" for kind, (count, _) in list(drawn.items())[:5])
    plot = (
        Plot(bars(drawn, unit=card.unit), f"{card.unit} by contract type: {alt}") if plots and len(drawn) > 1 else None
    )
    return Section("Contract types", (), (_shares("Contract type", card.contract_types, card.documents),), plot)


def _duplicates(card: Card) -> Section:
    found = card.duplicates
    said = [
        f"{found.repeated:,} {card.unit} have the same words in the same order as an earlier one.",
        f"{found.families:,} families of near-duplicates (Jaccard similarity of five-word shingles at least "
        f"{found.threshold:g}) hold {found.in_families:,} {card.unit}; the largest has {found.largest:,}."
        if found.families
        else f"No two are near-duplicates (Jaccard similarity of five-word shingles at least {found.threshold:g}).",
    ]
    return Section("Near-duplicates", tuple(said))


def _nulls(card: Card) -> Section:
    said = "Values such as “N/A” or “none” that were read as null, by field."
    if not card.nulls:
        return Section("Nulls normalised", ("No value was read as null that was written as something else.",))
    rows = [(name, f"{count:,}") for name, count in card.nulls.items()]
    return Section("Nulls normalised", (said,), (_table(("Field", "Values"), rows),))


def _tags(card: Card) -> Section:
    if not card.tags:
        return Section("Tags", ("No tags: language and drafting were not looked for.",))
    tables = tuple(_shares(name.capitalize(), counts, card.documents) for name, counts in card.tags.items())
    return Section("Tags", (), tables)


def _shares(what: str, counts: Mapping[str, int], of: int) -> Table:
    rows = [(name, f"{count:,}", percent(count / of) if of else "-") for name, count in counts.items()]
    return _table((what, "Documents", "Share"), rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], *, words: bool = False) -> Table:
    shown = tuple(tuple(row) for row in rows[:ROWS_SHOWN])
    return Table(tuple(header), shown, len(rows) - len(shown), words)


def _column_plot(counts: Mapping[str, int], label: str, unit: str, what: str) -> Plot | None:
    if not counts:
        return None
    top = max(counts, key=lambda name: counts[name])
    return Plot(columns(counts, label=label, unit=unit), f"{what}; most ({counts[top]:,}) have {top} {label}")


@functools.cache
def _template() -> Template:
    return page_template("lextune.data", "card.html.j2")
