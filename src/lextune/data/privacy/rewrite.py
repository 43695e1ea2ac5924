"""One document with its personal data replaced, and back: text, labels, turns, pages, edits, names.

A finding is cut at every edge of a label's span, a page or an edit, and at white space that is not one space, and
each piece is replaced for itself. So every offset has its place afterwards and line breaks stay where they were;
a quoted part is cut as the text that it quotes, so it is still found there.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from lextune.core.records import Document, Edit, FieldLabel, Message, Span
from lextune.data.privacy.find import find_in_all
from lextune.data.privacy.kinds import Finding, Kind, settle
from lextune.data.privacy.pseudonyms import PSEUDONYM, Namer, Pseudonyms, identify, literals

TAG = "pseudonyms"
"""The tag of a document whose personal data was replaced reversibly: the id of its vault."""

_ODD_SPACE = re.compile(r"[^\S ]\s*| \s+")
IN_NAMES: tuple[Kind, ...] = ("person", "email")
"""What is looked for in a document's id and name: the numbers in them are mostly dates and counters."""


class Piece(NamedTuple):
    """`text[start:end]` and what is written there instead; `kind` and `value` are of the finding it is part of."""

    start: int
    end: int
    new: str
    kind: Kind = "literal"
    value: str = ""


class Offsets:
    """Where offsets of a text are once pieces of it are replaced."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._starts = [piece.start for piece in pieces]
        self._pieces = pieces
        self._shifts = [0]
        for piece in pieces:
            self._shifts.append(self._shifts[-1] + len(piece.new) - (piece.end - piece.start))

    def move(self, offset: int, *, end: bool = False) -> int:
        """Return the new offset; one inside a piece goes to its start, or to its end."""
        at = bisect_right(self._starts, offset) - 1
        if at < 0:
            return offset
        piece = self._pieces[at]
        if offset >= piece.end:
            return offset + self._shifts[at + 1]
        inside = offset > piece.start and end
        return piece.start + self._shifts[at] + (len(piece.new) if inside else 0)

    def span(self, span: Span) -> Span:
        """Return a span's new place."""
        return Span(start=self.move(span.start), end=self.move(span.end, end=True))


def replaced(text: str, pieces: Iterable[Piece]) -> str:
    """Return a text with pieces, in order and apart, replaced."""
    out, at = [], 0
    for piece in pieces:
        out += [text[at : piece.start], piece.new]
        at = piece.end
    return "".join([*out, text[at:]])


class Found(NamedTuple):
    """What was found in a document: in its text, and in each of its other strings by the string."""

    text: list[Finding]
    others: dict[str, list[Finding]]


def look(document: Document, kinds: Sequence[Kind], *, reversible: bool) -> Found:
    """Find the personal data of a document: in its text, turns, labels, edits and names, all taken together.

    Args:
        document: what to search.
        kinds: what to look for.
        reversible: also find what looks like a pseudonym already.
    """
    others = list(dict.fromkeys(_other_strings(document)))
    texts = [document.text, *others]
    rows = find_in_all(texts, kinds)
    for row, text in zip(rows[1:], others, strict=True):
        if text == document.annotator and "person" in kinds:
            row.append(Finding("person", 0, len(text), 1.0, "annotator"))
        elif text in (document.id, document.name):
            row[:] = [finding for finding in row if finding.kind in IN_NAMES]
    if reversible:
        rows = [settle([*row, *literals(text)]) for row, text in zip(rows, texts, strict=True)]
    return Found(rows[0], dict(zip(others, rows[1:], strict=True)))


def _other_strings(document: Document) -> Iterable[str]:
    yield from (turn.content for turn in document.turns)
    yield from (edit.original for edit in document.edits)
    yield from (s for s in (document.rejected, document.name, document.source, document.id, document.annotator) if s)
    for label in document.labels.values():
        yield from (label.answer,) if label.answer else ()
        yield from (part for number, part in enumerate(label.parts) if not _aligned(document, label, number))


def _aligned(document: Document, label: FieldLabel, number: int) -> bool:
    """Say whether a quoted part is, but for white space, what stands at its first span."""
    if number >= len(label.spans) or not label.spans[number]:
        return False
    span = label.spans[number][0]
    return _solid(document.text[max(0, span.start) : max(0, span.end)]) == _solid(label.parts[number])


def _solid(text: str) -> str:
    return "".join(text.split())


def replace_personal(document: Document, found: Found, namer: Namer, tags: dict[str, str]) -> Document:
    """Return the document with everything that was found replaced.

    Args:
        document: what `found` is of.
        found: from `look`.
        namer: says what is written instead.
        tags: added to the document's.
    """
    return _Replacing(document, found, namer).document(tags)


class _Replacing:
    """One document being rewritten."""

    def __init__(self, document: Document, found: Found, namer: Namer) -> None:
        self._old, self._found, self._namer = document, found, namer
        strings = [(document.text, found.text), *found.others.items()]
        self._keys = identify([(f.kind, text[f.start : f.end]) for text, row in strings for f in row])
        self._pieces = self._cut(document.text, found.text, _edges(document))
        self._offsets = Offsets(self._pieces)

    def _name(self, kind: Kind, value: str, surface: str) -> str:
        return self._namer.name(kind, self._keys[kind, value], surface)

    def _cut(self, text: str, findings: Sequence[Finding], edges: Sequence[int] = ()) -> list[Piece]:
        pieces = []
        for finding in findings:
            value = text[finding.start : finding.end]
            odd = [
                at
                for space in _ODD_SPACE.finditer(text, finding.start, finding.end)
                for at in (space.start(), space.end())
            ]
            first, last = bisect_right(edges, finding.start), bisect_right(edges, finding.end - 1)
            cuts = sorted({finding.start, *odd, *edges[first:last], finding.end})
            for start, end in pairwise(cuts):
                surface = text[start:end].strip()
                if surface:
                    begin = start + text[start:end].index(surface)
                    new = self._name(finding.kind, value, surface)
                    pieces.append(Piece(begin, begin + len(surface), new, finding.kind, value))
        return pieces

    def _string(self, text: str) -> str:
        return replaced(text, self._cut(text, self._found.others[text])) if text else text

    def _maybe(self, text: str | None) -> str | None:
        return None if text is None else self._string(text)

    def document(self, tags: dict[str, str]) -> Document:
        """Return the document rewritten, with these tags added."""
        old, offsets = self._old, self._offsets
        return old.model_copy(
            update={
                "id": self._string(old.id),
                "name": self._string(old.name),
                "text": replaced(old.text, self._pieces),
                "pages": tuple(map(offsets.span, old.pages)),
                "source": self._maybe(old.source),
                "annotator": self._maybe(old.annotator),
                "turns": tuple(Message(role=t.role, content=self._string(t.content)) for t in old.turns),
                "rejected": self._maybe(old.rejected),
                "edits": tuple(
                    Edit(
                        start=offsets.move(e.start),
                        end=offsets.move(e.end, end=True),
                        original=self._string(e.original),
                    )
                    for e in old.edits
                ),
                "labels": {name: self._label(label) for name, label in old.labels.items()},
                "tags": {**old.tags, **tags},
            }
        )

    def _label(self, label: FieldLabel) -> FieldLabel:
        return FieldLabel(
            parts=tuple(self._part(label, number) for number in range(len(label.parts))),
            spans=tuple(tuple(map(self._offsets.span, places)) for places in label.spans),
            answer=self._maybe(label.answer),
        )

    def _part(self, label: FieldLabel, number: int) -> str:
        part = label.parts[number]
        if not _aligned(self._old, label, number):
            return self._string(part)
        start, end = max(0, label.spans[number][0].start), label.spans[number][0].end
        inside = [piece for piece in self._pieces if start <= piece.start and piece.end <= end]
        if not inside:
            return part
        solid = (at for at, c in enumerate(self._old.text[start:end], start) if not c.isspace())
        rank = {at: number for number, at in enumerate(solid)}
        places = [at for at, c in enumerate(part) if not c.isspace()]
        moved = []
        for piece in inside:
            first, last = places[rank[piece.start]], places[rank[piece.end - 1]] + 1
            moved.append(Piece(first, last, self._name(piece.kind, piece.value, part[first:last])))
        return replaced(part, moved)


def _edges(document: Document) -> list[int]:
    """Return every offset into the text that a page, an edit or a label has, in order."""
    spans: list[Span | Edit] = [*document.pages, *document.edits]
    spans += [span for label in document.labels.values() for places in label.spans for span in places]
    return sorted({offset for span in spans for offset in (span.start, span.end)})


def restore_document(document: Document, pseudonyms: Pseudonyms) -> Document:
    """Return a document as it was before `replace_personal`; pseudonyms that are not known stay."""
    pieces = [
        Piece(match.start(), match.end(), pseudonyms.originals[match.group()])
        for match in PSEUDONYM.finditer(document.text)
        if match.group() in pseudonyms.originals
    ]
    offsets, back = Offsets(pieces), pseudonyms.restore

    def maybe(text: str | None) -> str | None:
        return None if text is None else back(text)

    return document.model_copy(
        update={
            "id": back(document.id),
            "name": back(document.name),
            "text": replaced(document.text, pieces),
            "pages": tuple(map(offsets.span, document.pages)),
            "source": maybe(document.source),
            "annotator": maybe(document.annotator),
            "turns": tuple(Message(role=t.role, content=back(t.content)) for t in document.turns),
            "rejected": maybe(document.rejected),
            "edits": tuple(
                Edit(start=offsets.move(e.start), end=offsets.move(e.end, end=True), original=back(e.original))
                for e in document.edits
            ),
            "labels": {
                name: FieldLabel(
                    parts=tuple(map(back, label.parts)),
                    spans=tuple(tuple(map(offsets.span, places)) for places in label.spans),
                    answer=maybe(label.answer),
                )
                for name, label in document.labels.items()
            },
            "tags": {name: value for name, value in document.tags.items() if name != TAG},
        }
    )
