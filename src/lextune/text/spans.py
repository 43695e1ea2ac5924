"""Where a quote stands in a text, whatever its white space. Offsets are code points, end exclusive.

Annotators' quotes and contracts differ in their line breaks, so both are compared with every run of white
space (`str.isspace`) collapsed to one space; the spans returned are offsets into the original text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from lextune.core.records import Span

_WORD = re.compile(r"\S+")  # \s of `re` and str.isspace agree on every code point


def collapse(text: str) -> str:
    """Return `text` with runs of white space as one space, and none at either end."""
    return " ".join(text.split())


class CollapsedText:
    """A text with its white space collapsed once, and the way back to the original offsets.

    Made once for a document and asked for every quote: building is linear in the text, a look-up is one
    `str.find` an occurrence.
    """

    def __init__(self, text: str) -> None:
        self.original = text
        words, self._starts, self._origins, at = [], list[int](), list[int](), 0
        for match in _WORD.finditer(text):
            word = match.group()
            words.append(word)
            self._starts.append(at)
            self._origins.append(match.start())
            at += len(word) + 1
        self.collapsed = " ".join(words)

    def locate(self, quote: str) -> tuple[Span, ...]:
        """Return every occurrence of `quote`, in order and without overlaps (as `str.count` counts).

        A span starts and ends on a character that is not white space. A quote of white space only has none.
        """
        wanted = collapse(quote)
        if not wanted:
            return ()
        spans, at = [], self.collapsed.find(wanted)
        while at >= 0:
            end = at + len(wanted)
            spans.append(self.span(at, end))
            at = self.collapsed.find(wanted, end)
        return tuple(spans)

    def span(self, start: int, end: int) -> Span:
        """Return where `collapsed[start:end]` stands in the original; neither edge of it may be a space."""
        return Span(start=self._origin(start), end=self._origin(end - 1) + 1)

    def _origin(self, offset: int) -> int:
        """Return the original offset of the collapsed offset of a character that is not white space."""
        word = bisect_right(self._starts, offset) - 1
        return self._origins[word] + offset - self._starts[word]


def locate(text: str, quote: str) -> tuple[Span, ...]:
    """Return every occurrence of `quote` in `text`; see `CollapsedText`, which is for many quotes."""
    return CollapsedText(text).locate(quote)


def whole_words(text: str, spans: Sequence[Span]) -> tuple[Span, ...]:
    """Keep the spans that cut no word at either edge; where all of them do, keep them all.

    "We" is found in "Western" too; an annotator who marked "We" did not mean that one.
    """
    whole = tuple(span for span in spans if not (cuts_word(text, span.start) or cuts_word(text, span.end)))
    return whole or tuple(spans)


def cuts_word(text: str, edge: int) -> bool:
    """Say whether a word stands on both sides of an edge."""
    return 0 < edge < len(text) and text[edge - 1].isalnum() and text[edge].isalnum()


def overlaps(a: Span, b: Span) -> bool:
    """Say whether two spans share a character."""
    return a.start < b.end and b.start < a.end


def gap(a: Span, b: Span) -> int:
    """Return how many characters lie between two spans; 0 where they touch or overlap."""
    return max(0, a.start - b.end, b.start - a.end)


def choose(parts_spans: Sequence[Sequence[Span]]) -> tuple[tuple[Span, ...], ...]:
    """Put the occurrence that was probably meant first, for every quoted part of one field.

    A part that occurs once is where it is. A repeated one takes the occurrence nearest another span of the
    field, and the first where there is no other; an occurrence inside a span that another part has taken
    comes last, because annotators do not mark the same words twice. Parts with the fewest occurrences
    choose first.

    Args:
        parts_spans: the occurrences of each part, in the order of the text.

    Returns:
        The same occurrences for each part: the chosen one, then the others in the order of the text.
    """
    chosen: dict[int, Span] = {}
    for part in sorted(range(len(parts_spans)), key=lambda i: (len(parts_spans[i]), i)):
        if parts_spans[part]:
            chosen[part] = _nearest(parts_spans[part], tuple(chosen.values()))
    return tuple(
        (chosen[part], *(span for span in spans if span != chosen[part])) if spans else ()
        for part, spans in enumerate(parts_spans)
    )


def _nearest(candidates: Sequence[Span], taken: Sequence[Span]) -> Span:
    if not taken:
        return candidates[0]

    def rank(span: Span) -> tuple[bool, int]:
        return any(overlaps(span, other) for other in taken), min(gap(span, other) for other in taken)

    return min(candidates, key=rank)


def merge_adjacent(text: str, spans: Iterable[Span]) -> tuple[Span, ...]:
    """Merge spans that overlap, touch, or have only white space between them; return them in order."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start, s.end)):
        last = merged[-1] if merged else None
        if last is not None and (span.start <= last.end or text[last.end : span.start].isspace()):
            merged[-1] = Span(start=last.start, end=max(last.end, span.end))
        else:
            merged.append(span)
    return tuple(merged)


def united(places: Iterable[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Return places (what they are of, start, end) in order, those of one thing that overlap as one."""
    out: list[tuple[int, int, int]] = []
    for key, start, end in sorted(places):
        if out and out[-1][0] == key and start < out[-1][2]:
            out[-1] = (key, out[-1][1], max(out[-1][2], end))
        else:
            out.append((key, start, end))
    return out
