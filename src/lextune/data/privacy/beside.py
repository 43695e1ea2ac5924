"""A dataset's other files, rewritten as its documents are: what was dropped and why, families of near-duplicates.

A document's id and name, and its annotator, become what they became in the documents; the annotator only where the
whole string is the name, or an id or a file with it, because a name can be a common word. Beside them names are
searched with the people of the document that is spoken of: "Smith shall pay" alone does not tell that Smith is a
person.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lextune.core.artifacts import Artifact
from lextune.core.errors import DataError
from lextune.core.records import Document
from lextune.data.privacy.find import find_in_all
from lextune.data.privacy.kinds import Finding, Kind, settle
from lextune.data.privacy.pseudonyms import Keys, Namer, identify, literals
from lextune.data.privacy.rewrite import Found, Piece, keys_of, replaced

_TOKEN = re.compile(r"[^\W_]+|.", re.DOTALL)
_OF_ANNOTATOR = re.compile(r"(?:\d+-)?(?P<who>.+?)(?:\.jsonl(?::\d.*)?)?", re.DOTALL)  # 12-WHO, WHO.jsonl:3, span 1
People = Mapping[str, Keys]
"""The names of persons as a document writes them, and what they identify there."""


class Beside:
    """What documents were called and are called now, and who is in them: it grows while documents are written.

    Args:
        kinds: what to look for.
        namer: says what is written instead.
        reversible: also replace what looks like a pseudonym already.
    """

    def __init__(self, kinds: Sequence[Kind], namer: Namer, *, reversible: bool) -> None:
        self._kinds, self._namer, self._reversible = kinds, namer, reversible
        self._new: dict[str, str] = {}
        self._annotators: dict[str, str] = {}
        self._people: dict[str, People] = {}
        self._sizes: dict[str, set[int]] = {}  # of what is in the two above, by its first word

    def learn(self, old: Document, new: Document, found: Found) -> None:
        """Take in a document, what was found in it and what it became."""
        people = {value: keys for (kind, value), keys in keys_of(old, found).items() if kind == "person"}
        called = {old.id: new.id, old.name: new.name}
        for before, after in called.items():
            if before != after:
                self._new.setdefault(before, after)
                self._index(before)
        if old.annotator and new.annotator and old.annotator != new.annotator and _has_letter(old.annotator):
            self._annotators.setdefault(old.annotator, new.annotator)
        for before in called:
            if people and _has_letter(before):
                self._people.setdefault(before, people)
                self._index(before)

    def _index(self, string: str) -> None:
        first = _TOKEN.match(string)
        if first is not None:
            self._sizes.setdefault(first.group(), set()).add(len(string))

    def rewritten(self, value: Any, people: People | None = None) -> Any:
        """Return a JSON value with the personal data in its strings replaced.

        Args:
            value: a row of a file, or all of it.
            people: of documents that are spoken of around it; those that an object's own strings name are added.
        """
        people = people or {}
        if isinstance(value, str):
            return self._string(value, people)
        if isinstance(value, list):
            return [self.rewritten(item, people) for item in value]
        if isinstance(value, dict):
            strings = [item for item in value.values() if isinstance(item, str)]
            named = (self._people[s[a:b]] for s in strings for a, b in self._places(s, self._people))
            people = {name: keys for group in (*named, people) for name, keys in group.items()}
            return {k: v if _is_kind(value, k) else self.rewritten(v, people) for k, v in value.items()}
        return value

    def _places(self, text: str, among: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
        """Yield where strings of `among` stand in a text as whole words, the first and longest of them."""
        at = 0
        for token in _TOKEN.finditer(text):
            start = token.start()
            for size in sorted(self._sizes.get(token.group(), ()), reverse=True) if start >= at else ():
                end = start + size
                whole = end <= len(text) and not (text[end - 1].isalnum() and text[end : end + 1].isalnum())
                if whole and text[start:end] in among:
                    yield start, end
                    at = end
                    break

    def _string(self, text: str, people: People) -> str:
        places = [(start, end, self._new[text[start:end]]) for start, end in self._places(text, self._new)]
        places = places or list(self._annotator(text))
        found = self._find(text, people) if places else []
        parts, at = [], 0
        for start, end, new in places:
            if not any(_outdoes(finding, start, end) for finding in found):
                parts += [self._plain(text[at:start], people), new]
                at = end
        return "".join([*parts, self._plain(text[at:], people)])

    def _annotator(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Yield where a string that is of an annotator has the name, and what is written instead."""
        if text in self._annotators:
            yield 0, len(text), self._annotators[text]
            return
        match = _OF_ANNOTATOR.fullmatch(text)
        if match is not None and match["who"] in self._annotators:
            yield *match.span("who"), self._annotators[match["who"]]

    def _plain(self, text: str, people: People) -> str:
        found = self._find(text, people)
        values = [text[f.start : f.end] for f in found]
        pairs = [(f.kind, value) for f, value in zip(found, values, strict=True)]
        keys = identify([*pairs, *(("person", name) for name in people)])
        keys.update({("person", name): known for name, known in people.items()})
        return replaced(
            text,
            [
                Piece(f.start, f.end, self._namer.name(f.kind, keys[f.kind, value], value))
                for f, value in zip(found, values, strict=True)
            ],
        )

    def _find(self, text: str, people: People) -> list[Finding]:
        known = "\n".join(f"/s/ {' '.join(name.split())}" for name in people)
        found = find_in_all([text, known], self._kinds)[0]
        return settle([*found, *literals(text)]) if self._reversible else found


def _outdoes(finding: Finding, start: int, end: int) -> bool:
    """Say whether a finding is more than the name of a document in [start, end), or cuts it as a pseudonym would."""
    inside = start <= finding.start and finding.end <= end
    if inside or finding.end <= start or end <= finding.start:
        return False
    return finding.kind == "literal" or (finding.start <= start and end <= finding.end)


def _is_kind(values: Mapping[str, Any], key: str) -> bool:
    """Say whether a value is what a drop is of: a word of lextune's own, such as `row`."""
    return key == "what" and "reason" in values and isinstance(values[key], str) and values[key].isalpha()


def _has_letter(text: str) -> bool:
    return any(c.isalpha() for c in text)


def copy_others(source: Artifact, folder: Path, but: str, change: Callable[[Any], Any]) -> None:
    """Write every file of an artifact but one with the JSON values in it changed.

    What does not change keeps its bytes, so that a restored dataset has the hash of the first.

    Raises:
        DataError: a file is no JSON.
    """
    for name in source.manifest.files:
        if name == but:
            continue
        if not name.endswith((".json", ".jsonl")):
            raise DataError(
                f"no way to search {name} for personal data",
                where=str(source.path),
                do="take a dataset that lextune data made",
            )
        with (
            source.file(name).open(encoding="utf-8", newline="") as lines,
            (folder / name).open("w", encoding="utf-8", newline="") as out,
        ):
            rows = lines if name.endswith(".jsonl") else [lines.read()]
            out.writelines(_changed(row, change) for row in rows)


def _changed(row: str, change: Callable[[Any], Any]) -> str:
    """Return a JSON text with its value changed, laid out as it was where that is compact or indented by 1."""
    value = json.loads(row) if row.strip() else None
    new = change(value)
    if new == value:
        return row
    layouts: tuple[dict[str, Any], ...] = ({"separators": (",", ":")}, {"indent": 1}, {})
    body = row.rstrip("\r\n")
    same = (layout for layout in layouts if json.dumps(value, ensure_ascii=False, **layout) == body)
    return json.dumps(new, ensure_ascii=False, **next(same, {})) + row[len(body) :]


def each_string(value: Any, change: Callable[[str], str]) -> Any:
    """Return a JSON value with every string in it, but for keys, changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [each_string(item, change) for item in value]
    if isinstance(value, dict):
        return {key: each_string(item, change) for key, item in value.items()}
    return value
