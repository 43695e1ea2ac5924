"""From confidences to quotes: which sentences answer a field, and what of them is quoted.

Serving (`lextune.expert.answering`) and the choice of operating points (`lextune.expert.operating`) take this one path,
so that what is fitted is what is answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from lextune.core.records import Document, Quote, Span, Usage
from lextune.expert.edges import PART_OF_SENTENCE, EdgeTagger, edges
from lextune.expert.schema import SchemaField
from lextune.expert.thresholds import FLOOR, Quoting
from lextune.text.spans import CollapsedText, merge_adjacent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ONE_PLACE = ("text", "date")  # fields that one place states

Parts = Mapping[tuple[int, int], Sequence[tuple[int, int]]]


class Joined(NamedTuple):
    """Neighbouring sentences that answer one field: indexes first..last, and the surest of them with its confidence."""

    first: int
    last: int
    surest: int
    confidence: float


class Placed(NamedTuple):
    """What would be quoted of joined sentences, and how sure that is.

    `spans` of the surest sentence come first; `rows` are the indexes of the sentences; `whole` says that they are
    quoted whole, and not parts of them.
    """

    spans: list[Span]
    confidence: float
    rows: range
    whole: bool


class Read(NamedTuple):
    """What a reader said of a document: `confidence` [sentences, fields], and quoted parts as in `readers.Reading`."""

    sentences: Sequence[Span]
    confidence: NDArray[np.float32]
    parts: Parts = MappingProxyType({})
    usage: Usage = Usage()


def join(confidence: NDArray[np.float32], share: float) -> Iterator[Joined]:
    """Yield groups of neighbouring sentences of one field, most confident first.

    Args:
        confidence: [sentences]. share: a neighbour joins where it has at least this share of the group's best.
    """
    import numpy as np

    free = confidence >= FLOOR
    for seed in np.argsort(-confidence, kind="stable"):
        if not free[seed]:
            if confidence[seed] < FLOOR:
                return
            continue
        first = last = int(seed)
        least = max(FLOOR, share * float(confidence[seed]))
        while first > 0 and free[first - 1] and confidence[first - 1] >= least:
            first -= 1
        while last + 1 < len(free) and free[last + 1] and confidence[last + 1] >= least:
            last += 1
        free[first : last + 1] = False
        yield Joined(first, last, int(seed), float(confidence[seed]))


def place(
    number: int, field: SchemaField, text: str, read: Read, share: float, tagger: EdgeTagger | None = None
) -> list[Placed]:
    """Return everything that could be quoted for a field, most confident first.

    Args:
        number: the field's place in the schema.
        field: it.
        text: the document's text.
        read: what was said of it.
        share: as in `join`.
        tagger: finds the edges inside sentences; None leaves them to the rules.
    """
    if not read.sentences:
        return []
    return [_placed(number, field, text, read, joined, tagger) for joined in join(read.confidence[:, number], share)]


def quoted(field: SchemaField, placed: Sequence[Placed], sentences: Sequence[Span], quoting: Quoting) -> list[Span]:
    """Return the spans that answer a field which is present, in the order of the document.

    Args:
        field: a name or a date is one span.
        placed: as `place` returns it; not empty.
        sentences: those of the document.
        quoting: how sure a place must be beside the surest, and how much is quoted around it.
    """
    least = placed[0].confidence * quoting.share
    kept = [one for one in placed if one.confidence >= least]
    if field.type in ONE_PLACE:
        kept = kept[:1]
    spans: set[tuple[int, int]] = set()
    whole: set[int] = set()
    for one in kept:
        if one.whole or quoting.extent == "sentences":
            whole |= {*range(one.rows.start - quoting.around, one.rows.stop + quoting.around)}
        elif quoting.extent == "between":
            spans.add((min(s.start for s in one.spans), max(s.end for s in one.spans)))
        else:
            wanted = one.spans[:1] if field.type in ONE_PLACE else one.spans
            spans |= {(s.start, s.end) for s in wanted}
    inside = sorted(whole & {*range(len(sentences))})
    for _, run in groupby(enumerate(inside), key=lambda item: item[1] - item[0]):
        rows = [row for _, row in run]
        spans.add((sentences[rows[0]].start, sentences[rows[-1]].end))
    return [Span(start=start, end=end) for start, end in sorted(spans)]


def stated(
    field: SchemaField, placed: Sequence[Placed], sentences: Sequence[Span], quoting: Quoting
) -> Iterator[list[Span]]:
    """Yield the spans that a value is read from, until one states it: the surest place; then all that is quoted.

    What is quoted around a place may state another length or amount. Of names and dates the surest place's parts alone
    are read.
    """
    yield quoted(field, placed[:1], sentences, Quoting())
    if field.type not in PART_OF_SENTENCE:
        yield quoted(field, placed, sentences, quoting)


def answer_quotes(document: Document, spans: Sequence[Span]) -> tuple[Quote, ...]:
    """Return spans of a document as quotes."""
    return tuple(
        Quote(text=document.text[s.start : s.end], start=s.start, end=s.end, page=document.page_of(s.start))
        for s in spans
    )


def _placed(
    number: int, field: SchemaField, text: str, read: Read, joined: Joined, tagger: EdgeTagger | None
) -> Placed:
    rows = range(joined.first, joined.last + 1)
    group = [read.sentences[row] for row in rows]
    known = [_known(text, read.sentences[row], read.parts.get((row, number), ())) for row in rows]
    if field.type in PART_OF_SENTENCE:
        rest = [whole for spans, whole in zip(known, group, strict=True) if not spans]
        spans = [s for spans in known for s in spans] + (edges(field, text, rest, tagger) if rest else [])
        surest = read.sentences[joined.surest]
        spans.sort(key=lambda span: (not surest.start <= span.start < surest.end, span.start))
        return Placed(spans, joined.confidence, rows, whole=False)
    if not any(known):
        return Placed([Span(start=group[0].start, end=group[-1].end)], joined.confidence, rows, whole=True)
    pieces = (s for spans, whole in zip(known, group, strict=True) for s in spans or [whole])
    return Placed(list(merge_adjacent(text, pieces)), joined.confidence, rows, whole=False)


def _known(text: str, sentence: Span, parts: Sequence[tuple[int, int]]) -> list[Span]:
    """Return the parts of a sentence as spans of the text; none where they are the whole sentence."""
    if not parts:
        return []
    known = CollapsedText(text[sentence.start : sentence.end])
    if list(parts) == [(0, len(known.collapsed))]:
        return []
    found = [known.span(start, end) for start, end in parts]
    return [Span(start=sentence.start + s.start, end=sentence.start + s.end) for s in found]
