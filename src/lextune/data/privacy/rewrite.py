"""One document with its personal data replaced, and back: text, labels, turns, pages, edits, names, tags, hash.

A finding is cut at every edge of a label's span, a page or an edit, and at white space that is not one space, and
each piece is replaced for itself. So every offset has its place afterwards and line breaks stay where they were;
a quoted part is cut as the text that it quotes, so it is still found there.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from lextune.core.artifacts import sha256_json
from lextune.core.records import SCANNED_PAGES, Document, Edit, FieldLabel, Message, Span
from lextune.data.importers.tally import READ_AS
from lextune.data.privacy.find import find_in_all, find_personal
from lextune.data.privacy.kinds import Finding, Kind, settle
from lextune.data.privacy.pseudonyms import PSEUDONYM, Keys, Namer, Pseudonyms, identify, literals
from lextune.text.anglicise import TWIN
from lextune.text.reading.reader import MAX_STEM

TAG = "pseudonyms"
"""The tag of a document whose personal data was replaced reversibly: the id of its vault."""

_ODD_SPACE = re.compile(r"[^\S ]\s*| \s+")
OWN_TAGS = frozenset(
    (TAG, SCANNED_PAGES, "ocr_confidence", "ocr_page_confidence", READ_AS, TWIN, "language", "drafting")
)
"""Tags that lextune itself gives: they say nothing of a person, and their numbers could look like a phone's."""
IN_NAMES: tuple[Kind, ...] = ("person", "email")
SURE_IN_NAMES = 0.75
"""A document's id and name are searched for `IN_NAMES`, and for what is as sure as this, by its shape, a checksum or
a label: the other numbers in them are mostly dates and counters."""
HASH_DIGITS = 8  # of its file's hash, at the end of a document's id


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
    """Find the personal data of a document: in its text, turns, labels, edits, tags and names, all together.

    Args:
        document: what to search.
        kinds: what to look for.
        reversible: also find what looks like a pseudonym already.
    """
    others = list(dict.fromkeys(filter(None, _other_strings(document))))
    who = document.annotator or ""
    kind = _annotator_kind(who, kinds)
    mentions = {text: _mentions(document, text, kind) for text in (document.id, document.name)}
    searched = [document.text, *(_blanked(text, mentions.get(text, ())) for text in others)]
    in_text, *rows = find_in_all(searched, kinds)
    found = dict(zip(others, rows, strict=True))
    for text, row in found.items():
        if text == who and kind is not None:
            row[:] = [Finding(kind, 0, len(text), 1.0, "annotator")]
        elif text in mentions:
            row[:] = [f for f in row if f.kind in IN_NAMES or f.confidence >= SURE_IN_NAMES]
            row += mentions[text]
    if document.id and document.id != document.name:
        found[document.id] += _in_id(document, found.get(document.name, ()))
    if document.id and source_changes(document, Found(in_text, found)):
        found[document.id] += _in_hash(document)
    if reversible:
        in_text += literals(document.text)
        for text, row in found.items():
            row += literals(text)
    return Found(settle(in_text), {text: settle(row) for text, row in found.items()})


def _annotator_kind(annotator: str, kinds: Sequence[Kind]) -> Kind | None:
    """Return what an annotator is: an email or another kind, where that is all of it, else a person."""
    if not annotator:
        return None
    others = [kind for kind in kinds if kind != "person"]
    whole = (f.kind for f in find_personal(annotator, others) if f.end - f.start == len(annotator))
    return next(whole, "person" if "person" in kinds else None)


def _mentions(document: Document, text: str, kind: Kind | None) -> list[Finding]:
    """Return where the annotator stands in the document's id or name; a mere number only behind a dash of the id."""
    who = document.annotator
    if not who or kind is None:
        return []
    named = any(c.isalpha() for c in who)
    if not named and text != document.id:
        return []
    before = r"(?<![^\W_])" if named else "(?<=-)"
    pattern = rf"{before}{re.escape(who)}(?![^\W_])"
    return [Finding(kind, *match.span(), 1.0, "annotator") for match in re.finditer(pattern, text, re.IGNORECASE)]


def _blanked(text: str, places: Iterable[Finding]) -> str:
    """Return a text with empty lines at some places, so that they say nothing and every offset stays."""
    for place in places:
        text = f"{text[: place.start]}{chr(10) * (place.end - place.start)}{text[place.end :]}"
    return text


def _in_id(document: Document, in_name: Sequence[Finding]) -> Iterator[Finding]:
    """Yield where what was found in a document's name stands in its id, as it is written there, or cut at its end."""
    stem = document.id.removesuffix(f"-{document.sha256[:HASH_DIGITS]}")
    for finding in in_name:
        value = _as_in_id(document.name[finding.start : finding.end])
        if len(value) > 1:
            for match in re.finditer(rf"(?<![^\W_]){re.escape(value)}(?![^\W_])", document.id):
                yield Finding(finding.kind, *match.span(), 1.0, "in the name")
        left = next((n for n in range(len(value) - 1, 1, -1) if stem.endswith(f"-{value[:n]}")), 0)
        if left and len(stem) == MAX_STEM:
            yield Finding(finding.kind, MAX_STEM - left, MAX_STEM, 1.0, "in the name")


def _as_in_id(value: str) -> str:
    """Return a part of a file's name as `lextune.text.reading` writes it into the document's id."""
    plain = unicodedata.normalize("NFKD", value).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-.")


def source_changes(document: Document, found: Found) -> bool:
    """Say whether something was found in what a document's hash is of: whoever tries values could tell it from that."""
    parts = (*(turn.content for turn in document.turns), *(edit.original for edit in document.edits))
    return bool(found.text) or any(found.others.get(part) for part in parts)


def _in_hash(document: Document) -> Iterator[Finding]:
    """Yield where an id has the first digits of the document's hash: it gets others, of no kind of personal data."""
    digits = document.sha256[:HASH_DIGITS]
    if len(digits) == HASH_DIGITS:
        for match in re.finditer(rf"(?<=-){re.escape(digits)}(?![^\W_])", document.id):
            yield Finding("literal", *match.span(), 1.0, "hash")


def _other_strings(document: Document) -> Iterable[str]:
    yield from (turn.content for turn in document.turns)
    yield from (edit.original for edit in document.edits)
    yield from (s for s in (document.rejected, document.name, document.source, document.id, document.annotator) if s)
    yield from (value for name, value in document.tags.items() if name not in OWN_TAGS)
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


def keys_of(document: Document, found: Found) -> dict[tuple[Kind, str], Keys]:
    """Say what each string that was found in a document identifies; in its id it is written as in its name."""
    strings = [(document.text, found.text), *found.others.items()]
    keys = identify([(f.kind, text[f.start : f.end]) for text, row in strings for f in row])
    for finding in found.others.get(document.name, ()):
        value = document.name[finding.start : finding.end]
        if (finding.kind, _as_in_id(value)) in keys:
            keys[finding.kind, _as_in_id(value)] = keys[finding.kind, value]
    return keys


class _Replacing:
    """One document being rewritten."""

    def __init__(self, document: Document, found: Found, namer: Namer) -> None:
        self._old, self._found, self._namer = document, found, namer
        self._keys = keys_of(document, found)
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
        new = old.model_copy(
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
                "tags": {
                    **{name: value if name in OWN_TAGS else self._string(value) for name, value in old.tags.items()},
                    **tags,
                },
            }
        )
        if source_changes(old, self._found):
            return new.model_copy(update={"sha256": self._namer.hash(_content_hash(new), old.sha256)})
        return new

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


def _content_hash(document: Document) -> str:
    """Return the hash of a rewritten document's text, and of its turns and edits where it has any."""
    if not document.turns and not document.edits:
        return hashlib.sha256(document.text.encode()).hexdigest()
    turns = [[turn.role, turn.content] for turn in document.turns]
    return sha256_json([document.text, turns, [edit.original for edit in document.edits]])


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
            "sha256": pseudonyms.hashes.get(document.sha256, document.sha256),
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
            "tags": {
                name: value if name in OWN_TAGS else back(value) for name, value in document.tags.items() if name != TAG
            },
        }
    )
