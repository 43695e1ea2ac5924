"""Spans that annotators marked in a text: checked against it, and made labels of the schema's fields.

Annotation tools count a text in different ways, and one tool in several over its versions: in code points, in
UTF-16 units as JavaScript does (a character beyond U+FFFF counts two), and either with a CRLF as one. Where the
tool quotes what was marked, the quotes decide; else the way in which the spans fit, the tool's own way first.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from lextune.core.errors import shorten
from lextune.core.mistakes import Mistake
from lextune.core.records import FieldLabel, Span
from lextune.data.importers.labels import fields_by_key, make_label
from lextune.data.importers.names import name_key
from lextune.data.importers.turns import nearest
from lextune.expert.schema import Schema
from lextune.text.spans import CollapsedText, collapse, overlaps

POINTS, UNITS = "code points", "UTF-16 units"
_Scale = Sequence[int]  # for each offset as the tool counts, the code point; -1 inside of a character


class Mark(NamedTuple):
    """One marked span as its source gives it: its place there, the field's name, offsets, the words if quoted."""

    where: str
    name: Any
    start: Any
    end: Any
    quote: Any = None


class Marking:
    """One text and the schema, by which any number of annotators' marks are read."""

    def __init__(self, text: str, schema: Schema, count: str = POINTS) -> None:
        """Prepare a text; `count` is how its tool counts: `POINTS` or `UNITS`."""
        self.text, self._schema, self._fields = text, schema, fields_by_key(schema)
        self._scales = _scales(text, count)
        self._collapsed: CollapsedText | None = None

    def labels(self, marks: Sequence[Mark]) -> dict[str, FieldLabel] | Mistake:
        """Return a label for every field of the schema; one without a mark is assessed, and absent.

        The same span marked twice counts once, and white space at its edges does not. Spans of different fields may
        overlap, those of one field may not.

        Returns:
            The labels, or the first thing that is wrong and how many there are: no such field, offsets that are no
            numbers, outside the text, of nothing or of white space, words that do not stand there, an overlap.
        """
        found: dict[str, dict[Span, Mark]] = defaultdict(dict)
        wrong: list[Mistake] = []
        scale = self._scale(marks)
        for mark in marks:
            field = self._fields.get(name_key(mark.name)) if isinstance(mark.name, str) else None
            span = self._span(mark, scale)
            if field is None:
                wrong.append(Mistake(mark.where, self._unknown(mark.name)))
            elif isinstance(span, str):
                wrong.append(Mistake(mark.where, span))
            else:
                found[field].setdefault(span, mark)
        for field, spans in found.items():
            wrong.extend(_overlaps(field, spans))
        if wrong:
            first, more = wrong[0], len(wrong) - 1
            return Mistake(first.where, first.what + (f" (and {more} more here)" if more else ""))
        return {field: self._label(field, sorted(found.get(field, ()), key=_order)) for field in self._schema.names}

    def _label(self, field: str, spans: Sequence[Span]) -> FieldLabel:
        if not spans:
            return FieldLabel()
        if self._collapsed is None:
            self._collapsed = CollapsedText(self.text)
        parts = [self.text[span.start : span.end] for span in spans]
        label, _ = make_label(self._collapsed, parts, None, field, [span.start for span in spans])
        return label or FieldLabel()

    def _unknown(self, name: Any) -> str:
        if name is None:
            return "a span without a label"
        if not isinstance(name, str):
            return f"a label that is no name but a {type(name).__name__}"
        near = nearest(name, self._schema.names)
        return f"the schema {self._schema.name} has no field {shorten(name, 40)!r}{near}"

    def _scale(self, marks: Sequence[Mark]) -> _Scale:
        """Return the way of counting in which most of the marks fit; the tool's own among equals."""
        if len(self._scales) == 1:
            return self._scales[0]
        return max(self._scales, key=lambda scale: sum(isinstance(self._span(mark, scale), Span) for mark in marks))

    def _span(self, mark: Mark, scale: _Scale) -> Span | str:
        """Return where a mark stands, or what is wrong with it."""
        start, end = mark.start, mark.end
        if type(start) is not int or type(end) is not int:
            return f"offsets that are no whole numbers: {shorten(f'{start!r}, {end!r}', 40)}"
        if start >= end:
            return f"the span {start} to {end} " + ("is empty" if start == end else "ends before it starts")
        if start < 0 or end >= len(scale):
            return f"the span {start} to {end} is not inside the text (0 to {len(scale) - 1})"
        first, last = scale[start], scale[end]
        if first < 0 or last < 0:
            return f"the span {start} to {end} cuts a character in two"
        words = self.text[first:last]
        if mark.quote is not None and (not isinstance(mark.quote, str) or collapse(mark.quote) != collapse(words)):
            quoted = shorten(str(mark.quote), 30)
            return f"the span {start} to {end} is {shorten(words, 30)!r} and not {quoted!r}, as is said there"
        left, right = len(words) - len(words.lstrip()), len(words) - len(words.rstrip())
        if left == len(words):
            return f"the span {start} to {end} is white space"
        return Span(start=first + left, end=last - right)


def _order(span: Span) -> tuple[int, int]:
    return span.start, span.end


def _overlaps(field: str, spans: dict[Span, Mark]) -> list[Mistake]:
    wrong = []
    reached: Span | None = None
    for span in sorted(spans, key=_order):
        if reached is not None and overlaps(reached, span):
            what = f"the spans {reached.start} to {reached.end} and {span.start} to {span.end} of {field!r} overlap"
            wrong.append(Mistake(spans[span].where, what))
        if reached is None or span.end > reached.end:
            reached = span
    return wrong


def _scales(text: str, count: str) -> list[_Scale]:
    """Return the ways in which a text can be counted: the tool's own first, none that is like one before it."""
    wide, breaks = any(character > "\uffff" for character in text), "\r\n" in text
    points: list[_Scale] = [range(len(text) + 1)]
    if breaks:
        points.append(_scale(text, wide=False))
    if not wide:
        return points
    units: list[_Scale] = [_scale(text, wide=True, breaks=False)]
    if breaks:
        units.append(_scale(text, wide=True))
    return units + points if count == UNITS else points + units


def _scale(text: str, *, wide: bool, breaks: bool = True) -> _Scale:
    """Count a text: with `wide`, a character beyond U+FFFF as two; with `breaks`, a CRLF as one."""
    places = array("q")
    for place, character in enumerate(text):
        if breaks and character == "\n" and place and text[place - 1] == "\r":
            continue
        places.append(place)
        if wide and character > "\uffff":
            places.append(-1)
    places.append(len(text))
    return places
