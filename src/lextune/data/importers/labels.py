"""From an annotator's quotes and answer to a label with places in the text."""

from __future__ import annotations

from collections.abc import Sequence

from lextune.core.errors import shorten
from lextune.core.records import Drop, FieldLabel, Span
from lextune.data.importers.names import name_key
from lextune.data.importers.report import Normalised
from lextune.expert.schema import Schema
from lextune.text.spans import CollapsedText, choose, overlaps, whole_words
from lextune.text.values import is_null

OMITTED = "<omitted>"


def fields_by_key(schema: Schema) -> dict[str, str]:
    """Return the schema's field names by their keys, by which a source's names for them are found."""
    return {name_key(name): name for name in schema.names}


def null_quotes(quotes: Sequence[str], field: str, where: str) -> list[Normalised]:
    """Return the quotes that are words for null; what is merely empty is none."""
    return [Normalised(where, field, quote) for quote in quotes if quote.strip() and is_null(quote, quoted=True)]


def split_quotes(quotes: Sequence[str]) -> tuple[str, ...]:
    """Return the quoted parts: null quotes left out (the null contract), the others split at `<omitted>`."""
    said = (quote for quote in quotes if not is_null(quote, quoted=True))
    return tuple(part.strip() for quote in said for part in quote.split(OMITTED) if part.strip())


def make_label(
    text: CollapsedText,
    parts: Sequence[str],
    answer: str | None,
    where: str,
    offsets: Sequence[int] | None = None,
) -> tuple[FieldLabel | None, list[Drop]]:
    """Find every quoted part in the text.

    Args:
        text: the document.
        parts: what `split_quotes` returned, or the answers of a JSON question.
        answer: the normalised answer as annotated, None where the source has none.
        where: document and field, for the rejects.
        offsets: where each part starts, if the source says so; a wrong offset falls back on the search.

    Returns:
        The label, and a Drop for each part that is not in the text and for each offset that is wrong. The label is
        None where parts were annotated and none was found: then the field counts as not assessed, not as absent.
    """
    found, candidates, others, drops = [], list[Sequence[Span]](), list[tuple[Span, ...]](), []
    for index, part in enumerate(parts):
        everywhere = whole_words(text.original, text.locate(part))
        given = _given(text.original, part, offsets[index]) if offsets else None
        if given is None and not everywhere:
            reason = f"not in the text: {shorten(part, 60)!r}"
            drops.append(Drop(what="quote", where=where, reason=reason))
            continue
        if given is None and offsets:
            reason = f"the quote stands elsewhere in the text: {offsets[index]}, {shorten(part, 40)!r}"
            drops.append(Drop(what="offset", where=where, reason=reason))
        found.append(part)
        candidates.append(everywhere if given is None else (given,))
        others.append(() if given is None else tuple(s for s in everywhere if not overlaps(s, given)))
    if parts and not found:
        return None, drops
    spans = tuple(chosen + rest for chosen, rest in zip(choose(candidates), others, strict=True))
    answer = None if answer is None or is_null(answer, quoted=bool(found)) else answer.strip()
    return FieldLabel(parts=tuple(found), spans=spans, answer=answer), drops


def _given(text: str, part: str, start: int) -> Span | None:
    end = start + len(part)
    return Span(start=start, end=end) if start >= 0 and text[start:end] == part else None
