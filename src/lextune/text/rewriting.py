"""A document with its text changed: pages, labels and the way back to its source go with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from lextune.core.records import Document, FieldLabel, Span
from lextune.text.edits import Change, OffsetMap, apply, as_changes, as_edits, carried, compose, restore
from lextune.text.spans import collapse


class Rewritten(NamedTuple):
    """The document after its changes, those that were made, and the offsets between old and new text."""

    document: Document
    changes: tuple[Change, ...]
    offsets: OffsetMap


def rewrite(document: Document, changes: Iterable[Change], alone: Callable[[str], str] | None = None) -> Rewritten:
    """Change a document's text.

    A change that a page or a quoted part begins or ends inside of is not made, so that every part stays whole: the
    new text at its chosen place is the new part, but for white space where it was so before. Other places of a part
    are kept where they still read like it. Answers as annotated stay.

    Args:
        document: annotated or not.
        changes: in order and apart.
        alone: what becomes of a part that stands nowhere in the text; None leaves it.
    """
    wanted = tuple(_whole(changes, _edges(document)))
    text = apply(document.text, wanted)
    offsets = OffsetMap(as_edits(document.text, wanted, trim=False))
    pages = carried(document.pages, offsets)
    if pages and document.pages[0].start == 0:
        pages = (Span(start=0, end=pages[0].end), *pages[1:])
    source = restore(document.text, document.edits)
    edits = as_edits(source, compose(as_changes(document.text, document.edits), wanted, document.text))
    labels = {name: _label(document.text, text, label, offsets, alone) for name, label in document.labels.items()}
    update = {"text": text, "pages": pages, "edits": edits, "labels": labels}
    return Rewritten(document.model_copy(update=update), wanted, offsets)


def label_spans(document: Document) -> list[Span]:
    """Return every place of every quoted part."""
    return [span for label in document.labels.values() for places in label.spans for span in places]


def _edges(document: Document) -> list[int]:
    return sorted({offset for span in (*document.pages, *label_spans(document)) for offset in (span.start, span.end)})


def _whole(changes: Iterable[Change], edges: Sequence[int]) -> Iterable[Change]:
    at = 0
    for change in changes:
        while at < len(edges) and edges[at] <= change.start:
            at += 1
        if at == len(edges) or edges[at] >= change.end:
            yield change


def _label(old: str, new: str, label: FieldLabel, offsets: OffsetMap, alone: Callable[[str], str] | None) -> FieldLabel:
    parts, spans = [], []
    for number, part in enumerate(label.parts):
        places = label.spans[number] if number < len(label.spans) else ()
        moved = [offsets.span_to_clean(span) for span in places]
        if moved and collapse(old[places[0].start : places[0].end]) == collapse(part):
            found = new[moved[0].start : moved[0].end]
            part = found if old[places[0].start : places[0].end] == part else collapse(found)
        elif alone is not None:
            part = alone(part)
        alike = collapse(part)
        spans.append((*moved[:1], *(s for s in moved[1:] if collapse(new[s.start : s.end]) == alike)))
        parts.append(part)
    return FieldLabel(parts=tuple(parts), spans=tuple(spans), answer=label.answer)
