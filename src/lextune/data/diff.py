"""What changed between two versions of a data set: documents added, removed, rewritten, relabelled.

    found = diff(Artifact.open("v1", kind="documents"), Artifact.open("v2", kind="documents"))
    found.relabelled                 # documents with another label
    found.by_field["Cap On Liability"]

A document is matched by its id, else by its text. Each version is read once, one document at a time, into digests
of about 20 bytes a field; what a label was and became is read again, for the first few only.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from lextune.core.artifacts import Artifact, read_jsonl
from lextune.core.counts import counted
from lextune.core.errors import DataError, shorten
from lextune.core.records import Document, FieldLabel

SHOWN = 20  # changed labels whose text is given
REJECTED = "(rejected answer)"  # a preference pair's second answer, which is compared like a field
UNKNOWN = "unknown"
KINDS = ("added", "removed", "changed", "moved", "assessed", "unassessed")
"""What became of a label: null to a value, a value to null, another value, the same value at another place;
and a field that was not assessed before, or no longer is."""

_ENTRY = struct.Struct("<H?QQ")  # field, present, hash of the value, hash of the places


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Version(_Frozen):
    """One side of the comparison."""

    name: str
    hash: str
    documents: int


class Change(_Frozen):
    """One label that changed; `before` and `after` are cut, None for null or not assessed."""

    document: str
    field: str
    kind: str
    before: str | None
    after: str | None


class Diff(_Frozen):
    """The difference. Every document of `a` is `matched` or `removed`, every one of `b` `matched` or `added`.

    `renamed` were matched by their text, `rewritten` have another text, `retyped` another contract type,
    `relabelled` another label; one document can be all of them, and `same` is none of them. `by_field` counts
    labels by `KINDS`, `by_type` documents by what happened to them, under the contract type they have in `b`
    (those removed: had in `a`). `details` holds the first changed labels in the order of `b`.
    """

    a: Version
    b: Version
    matched: int
    same: int
    added: int
    removed: int
    renamed: int
    rewritten: int
    retyped: int
    relabelled: int
    by_field: dict[str, dict[str, int]]
    by_type: dict[str, dict[str, int]]
    added_ids: tuple[str, ...]
    removed_ids: tuple[str, ...]
    details: tuple[Change, ...]


class _Digest(NamedTuple):
    """A document in a few bytes: hash of its text, number of its contract type, its labels as `_ENTRY` each."""

    text: int
    kind: int
    labels: bytes


class _Reader:
    """Turns documents into digests; fields and types are numbered alike for both versions."""

    def __init__(self) -> None:
        self.fields: dict[str, int] = {}
        self.types: dict[str, int] = {}

    def digests(self, artifact: Artifact) -> Iterator[tuple[str, _Digest]]:
        """Yield id and digest of each document.

        Raises:
            DataError: an id occurs twice.
        """
        seen: set[bytes] = set()
        for document in read_jsonl(artifact.file("documents.jsonl"), Document):
            key = hashlib.blake2b(document.id.encode("utf-8", "surrogatepass"), digest_size=12).digest()
            if key in seen:
                raise DataError(
                    f"the id {shorten(document.id, 60)!r} occurs twice",
                    where=str(artifact.path),
                    do="import the data again: every document needs an id of its own",
                )
            seen.add(key)
            yield document.id, self._digest(document)

    def _digest(self, document: Document) -> _Digest:
        said = [[turn.role, turn.content] for turn in document.turns]
        kind = self.types.setdefault(document.contract_type or UNKNOWN, len(self.types))
        entries = {name: _entry(label) for name, label in document.labels.items()}
        if document.rejected is not None:
            entries[REJECTED] = (True, _hash(document.rejected), 0)
        numbered = sorted((self.fields.setdefault(name, len(self.fields)), *rest) for name, rest in entries.items())
        return _Digest(_hash([said, document.text]), kind, b"".join(_ENTRY.pack(*entry) for entry in numbered))


def _entry(label: FieldLabel) -> tuple[bool, int, int]:
    if not label.present and label.answer is None:
        return False, 0, 0
    places = [[span.start, span.end] for occurrences in label.spans for span in occurrences[:1]]
    return label.present, _hash([label.parts, label.answer]), _hash(places)


def _hash(value: Any) -> int:
    text = json.dumps(value, ensure_ascii=True)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _labels(digest: _Digest) -> dict[int, tuple[bool, int, int]]:
    return {number: (present, value, places) for number, present, value, places in _ENTRY.iter_unpack(digest.labels)}


def diff(a: Artifact, b: Artifact, *, shown: int = SHOWN) -> Diff:
    """Compare two data sets.

    Args:
        a: the earlier version, an artifact of kind `documents`.
        b: the later one.
        shown: how many changed labels, and ids of documents added and removed, are given in full.

    Raises:
        DataError: an id occurs twice in one version.
    """
    reader, tally = _Reader(), _Tally(shown)
    before = dict(reader.digests(a))
    sizes = [len(before), 0]
    unmatched: dict[str, _Digest] = {}
    for name, new in reader.digests(b):
        sizes[1] += 1
        old = before.pop(name, None)
        if old is None:
            unmatched[name] = new
        else:
            tally.matched(name, name, old, new)
    _match_by_text(before, unmatched, tally)
    for name, new in unmatched.items():
        tally.alone("added", name, new)
    for name, old in before.items():
        tally.alone("removed", name, old)
    versions = [_version(artifact, size) for artifact, size in zip((a, b), sizes, strict=True)]
    return tally.result(versions, reader, _details(a, b, tally.pairs, reader))


def _version(artifact: Artifact, documents: int) -> Version:
    return Version(name=artifact.path.name, hash=artifact.hash, documents=documents)


def _match_by_text(before: dict[str, _Digest], after: dict[str, _Digest], tally: _Tally) -> None:
    """Match what is left by text, take it out of both, and count it; equal texts are matched in their order."""
    by_text: dict[int, list[str]] = defaultdict(list)
    for name, digest in reversed(before.items()):
        by_text[digest.text].append(name)
    for name in list(after):
        if by_text.get(after[name].text):
            old = by_text[after[name].text].pop()
            tally.matched(old, name, before.pop(old), after.pop(name))


class _Pair(NamedTuple):
    """A relabelled document that is shown: its id in `a` and in `b`, and the kind of change by field."""

    a: str
    b: str
    kinds: dict[int, str]


class _Tally:
    """The counts of a comparison as it goes on, and which documents will be shown."""

    def __init__(self, shown: int) -> None:
        self.pairs: list[_Pair] = []
        self._shown, self._left = shown, shown
        self._counts: Counter[str] = Counter()
        self._by_field: dict[int, Counter[str]] = defaultdict(Counter)
        self._by_type: dict[int, Counter[str]] = defaultdict(Counter)
        self._ids: dict[str, list[str]] = {"added": [], "removed": []}

    def matched(self, a: str, b: str, old: _Digest, new: _Digest) -> None:
        """Count a document that both versions have."""
        kinds = {} if old.labels == new.labels else _changes(old, new)
        happened = {
            "renamed": a != b,
            "rewritten": old.text != new.text,
            "retyped": old.kind != new.kind,
            "relabelled": bool(kinds),
        }
        self._counts["matched"] += 1
        self._counts["same"] += not any(happened.values())
        for what, so in happened.items():
            self._counts[what] += so
            if so:
                self._by_type[new.kind][what] += 1
        for number, kind in kinds.items():
            self._by_field[number][kind] += 1
        if kinds and self._left > 0:
            self._left -= len(kinds)
            self.pairs.append(_Pair(a, b, kinds))

    def alone(self, what: str, name: str, digest: _Digest) -> None:
        """Count a document that one version has."""
        self._counts[what] += 1
        self._by_type[digest.kind][what] += 1
        if len(self._ids[what]) < self._shown:
            self._ids[what].append(name)

    def result(self, versions: list[Version], reader: _Reader, details: list[Change]) -> Diff:
        """Return everything, with fields and types by name, sorted."""
        fields = {name: _nonzero(self._by_field[number]) for name, number in reader.fields.items()}
        types = {name: _nonzero(self._by_type[number]) for name, number in reader.types.items()}
        names = ("matched", "same", "added", "removed", "renamed", "rewritten", "retyped", "relabelled")
        return Diff(
            a=versions[0],
            b=versions[1],
            **{name: self._counts[name] for name in names},
            by_field={name: counts for name, counts in sorted(fields.items()) if counts},
            by_type={name: counts for name, counts in sorted(types.items()) if counts},
            added_ids=tuple(self._ids["added"]),
            removed_ids=tuple(self._ids["removed"]),
            details=tuple(details[: self._shown]),
        )


def _nonzero(counts: Counter[str]) -> dict[str, int]:
    return {what: count for what, count in sorted(counts.items()) if count}


def _changes(old: _Digest, new: _Digest) -> dict[int, str]:
    """Return the fields whose label differs, by number, each with what became of it.

    The places of a value count only while the text is the same: in another text they move by themselves.
    """
    before, after = _labels(old), _labels(new)
    found = {}
    for number in sorted({*before, *after}):
        kind = _kind(before.get(number), after.get(number), places=old.text == new.text)
        if kind is not None:
            found[number] = kind
    return found


def _kind(old: tuple[bool, int, int] | None, new: tuple[bool, int, int] | None, *, places: bool) -> str | None:
    if old is None or new is None:
        return "assessed" if old is None else "unassessed"
    if old[0] != new[0]:
        return "added" if new[0] else "removed"
    if old[1] != new[1]:
        return "changed"
    return "moved" if places and old[2] != new[2] else None


def _details(a: Artifact, b: Artifact, pairs: list[_Pair], reader: _Reader) -> list[Change]:
    """Read the documents that are shown again, and say what their labels were and became."""
    old = _documents(a, {pair.a for pair in pairs})
    new = _documents(b, {pair.b for pair in pairs})
    names = {number: name for name, number in reader.fields.items()}
    return [
        Change(
            document=pair.b,
            field=names[number],
            kind=kind,
            before=_said(old[pair.a], names[number], kind),
            after=_said(new[pair.b], names[number], kind),
        )
        for pair in pairs
        for number, kind in pair.kinds.items()
    ]


def _documents(artifact: Artifact, ids: set[str]) -> dict[str, Document]:
    """Return some documents of a data set, reading no further than the last of them."""
    found: dict[str, Document] = {}
    if not ids:
        return found
    for document in read_jsonl(artifact.file("documents.jsonl"), Document):
        if document.id in ids:
            found[document.id] = document
            if len(found) == len(ids):
                break
    return found


def _said(document: Document, field: str, kind: str) -> str | None:
    """Return a label as one line, None for null or not assessed."""
    if field == REJECTED:
        return None if document.rejected is None else shorten(document.rejected)
    label = document.labels.get(field)
    if label is None or not (label.present or label.answer):
        return None
    quoted = " | ".join(label.parts)
    if kind == "moved":
        starts = ", ".join(str(occurrences[0].start) for occurrences in label.spans if occurrences)
        return f"at {starts}: {shorten(quoted, 60)}"
    if label.answer is None or label.answer == quoted:
        return shorten(quoted)
    return shorten(f"{shorten(label.answer, 30)}: {quoted}" if quoted else label.answer)


def as_text(found: Diff) -> str:
    """Return a comparison as lines for a terminal."""
    lines = [
        f"{found.a.name} ({found.a.hash[:12]}): {counted(found.a.documents, 'document')}",
        f"{found.b.name} ({found.b.hash[:12]}): {counted(found.b.documents, 'document')}",
    ]
    counts = ("same", "added", "removed", "relabelled", "rewritten", "retyped", "renamed")
    lines.append(", ".join(f"{getattr(found, name):,} {name}" for name in counts))
    lines += _grid("field", found.by_field, KINDS)
    lines += _grid("contract type", found.by_type, counts[1:])
    for what, ids, count in (("added", found.added_ids, found.added), ("removed", found.removed_ids, found.removed)):
        lines += [f"{what}: {shorten(name)}" for name in ids]
        if count > len(ids):
            lines.append(f"and {count - len(ids):,} more {what}")
    for change in found.details:
        was, now = (repr(side) if side is not None else "null" for side in (change.before, change.after))
        lines.append(f"{shorten(change.document, 40)}: {change.field} {change.kind}: {was} -> {now}")
    return "\n".join(lines)


def _grid(first: str, rows: dict[str, dict[str, int]], columns: tuple[str, ...]) -> list[str]:
    """Return counts as aligned columns, without those in which nothing happened."""
    used = [name for name in columns if any(counts.get(name) for counts in rows.values())]
    if not used:
        return []
    width = max(len(first), *(len(name) for name in rows))
    out = [f"{first:<{width}}  " + "  ".join(f"{name:>{max(8, len(name))}}" for name in used)]
    for name, counts in rows.items():
        out.append(f"{name:<{width}}  " + "  ".join(f"{counts.get(n, 0):>{max(8, len(n))},}" for n in used))
    return out
