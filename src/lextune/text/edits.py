"""Changes to a text, and the way between the offsets of the changed text and those of its source.

While a text is worked on, its changes stand in the source's offsets (`Change`). What is kept with the result is
a tuple of `lextune.core.records.Edit`, in the result's offsets. Both are in order, and two of them never overlap.
Everything here is linear in the number of changes; an offset is looked up in logarithmic time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from lextune.core.records import Edit, Span


class Change(NamedTuple):
    """`source[start:end]` becomes `new`."""

    start: int
    end: int
    new: str


def apply(source: str, changes: Iterable[Change]) -> str:
    """Return the source with its changes made."""
    pieces, at = list[str](), 0
    for change in changes:
        pieces += (source[at : change.start], change.new)
        at = change.end
    pieces.append(source[at:])
    return "".join(pieces)


def restore(text: str, edits: Iterable[Edit]) -> str:
    """Return the source that `text` was made from, character by character."""
    return apply(text, (Change(edit.start, edit.end, edit.original) for edit in edits))


def compose(first: Sequence[Change], second: Sequence[Change], middle: str) -> list[Change]:
    """Return the one list of changes that does what `first`, and then `second`, do.

    Args:
        first: changes of the source.
        second: changes of the text that `first` makes.
        middle: that text.

    Returns:
        Changes of the source. Those that overlap have become one. Those that only touch stay two, because an offset
        between them has a place in both texts (a footer that goes, and a repaired word after it).
    """
    pieces, shift = [_Piece(*change, 0) for change in second], 0
    for start, end, new in first:
        growth = len(new) - (end - start)
        pieces.append(_Piece(start + shift, end + shift + growth, None, growth))
        shift += growth
    groups, high = list[list[_Piece]](), 0
    for piece in sorted(pieces, key=lambda piece: (piece.start, piece.end)):
        if groups and piece.start < high:
            groups[-1].append(piece)
        else:
            groups.append([piece])
        high = max(high, piece.end)
    made, after = list[Change](), 0  # what an offset into the middle is more than the same one into the source
    for group in groups:
        low, high = group[0].start, max(piece.end for piece in group)
        before, after = after, after + sum(piece.growth for piece in group)
        inside = [Change(start - low, end - low, new) for start, end, new, _ in group if new is not None]
        made.append(Change(low - before, high - after, apply(middle[low:high], inside)))
    return made


class _Piece(NamedTuple):
    """`middle[start:end]`: what the first changes made, longer by `growth` than it was, or what becomes `new`."""

    start: int
    end: int
    new: str | None
    growth: int


def as_edits(source: str, changes: Iterable[Change], *, trim: bool = True) -> tuple[Edit, ...]:
    """Return changes of the source as edits of the text they make.

    Args:
        source: what is changed.
        changes: in order, without overlap.
        trim: cut off what a change leaves as it was. Without it a span that ends where a changed word does still
            ends there, though the word has grown at its end.
    """
    edits, shift = [], 0
    for start, end, new in changes:
        old = source[start:end]
        if old != new:
            head = _shared(old, new) if trim else 0
            tail = _shared(old[head:][::-1], new[head:][::-1]) if trim else 0
            first, last = start + shift + head, start + shift + len(new) - tail
            edits.append(Edit(start=first, end=last, original=old[head : len(old) - tail]))
        shift += len(new) - len(old)
    return tuple(edits)


def _shared(a: str, b: str) -> int:
    """Return how many characters two texts begin alike with."""
    count = 0
    for one, other in zip(a, b, strict=False):
        if one != other:
            break
        count += 1
    return count


def as_changes(text: str, edits: Iterable[Edit]) -> list[Change]:
    """Return the edits of a text as changes of its source."""
    changes, shift = [], 0
    for edit in edits:
        start = edit.start - shift
        changes.append(Change(start, start + len(edit.original), text[edit.start : edit.end]))
        shift += edit.end - edit.start - len(edit.original)
    return changes


class OffsetMap:
    """The offsets of a text and of its source, both ways; made once and asked often.

    Nothing in one text answers to a piece that stands in the other only. The start of a span that lies there
    moves behind the piece and the end before it, so that a span takes no more with it than it had. An offset
    inside a piece that was rewritten goes as far into its counterpart as that reaches.
    """

    def __init__(self, edits: Iterable[Edit]) -> None:
        self._clean, self._source, shift = _Ranges([], []), _Ranges([], []), 0
        for edit in edits:
            start = edit.start - shift
            self._clean.add(edit.start, edit.end)
            self._source.add(start, start + len(edit.original))
            shift += edit.end - edit.start - len(edit.original)

    def to_original(self, offset: int, *, end: bool = False) -> int:
        """Return the source's offset for one of the text; `end` says that it is the end of a span."""
        return _moved(offset, end, self._clean, self._source)

    def to_clean(self, offset: int, *, end: bool = False) -> int:
        """Return the text's offset for one of the source; `end` says that it is the end of a span."""
        return _moved(offset, end, self._source, self._clean)

    def span_to_original(self, span: Span) -> Span:
        """Return the source's span for one of the text."""
        return _ordered(self.to_original(span.start), self.to_original(span.end, end=True))

    def span_to_clean(self, span: Span) -> Span:
        """Return the text's span for one of the source; empty where nothing of it is left."""
        return _ordered(self.to_clean(span.start), self.to_clean(span.end, end=True))


def carried(pages: Sequence[Span], offsets: OffsetMap) -> tuple[Span, ...]:
    """Return the page map of a text after its edits; pages that touched still do."""
    if not pages:
        return ()
    starts = [offsets.to_clean(page.start) for page in pages]
    touching = [a.end == b.start for a, b in pairwise(pages)]
    ends = [
        after if touches else offsets.to_clean(page.end)
        for page, after, touches in zip(pages, [*starts[1:], 0], [*touching, False], strict=True)
    ]
    return tuple(Span(start=start, end=max(start, end)) for start, end in zip(starts, ends, strict=True))


def to_original(edits: Iterable[Edit], offset: int, *, end: bool = False) -> int:
    """Return the source's offset for one of the edited text; `OffsetMap` is for many of them."""
    return OffsetMap(edits).to_original(offset, end=end)


def to_clean(edits: Iterable[Edit], offset: int, *, end: bool = False) -> int:
    """Return the edited text's offset for one of the source; `OffsetMap` is for many of them."""
    return OffsetMap(edits).to_clean(offset, end=end)


class _Ranges(NamedTuple):
    starts: list[int]
    ends: list[int]

    def add(self, start: int, end: int) -> None:
        self.starts.append(start)
        self.ends.append(end)


def _moved(offset: int, end: bool, here: _Ranges, there: _Ranges) -> int:
    edit = (bisect_left if end else bisect_right)(here.starts, offset) - 1
    if edit < 0:
        return offset
    if offset >= here.ends[edit]:
        return there.ends[edit] + offset - here.ends[edit]
    return min(there.starts[edit] + offset - here.starts[edit], there.ends[edit])


def _ordered(start: int, end: int) -> Span:
    return Span(start=min(start, end), end=end)
