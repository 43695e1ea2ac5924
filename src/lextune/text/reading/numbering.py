"""The numbers Word counts for itself: "1.", "2.3", "(a)", "ARTICLE IV".

They stand nowhere in a paragraph's text, and contracts refer to clauses by them. Source: ECMA-376 part 1,
17.9 (numbering): a paragraph, or its style, names a list (`numId`) and a level (`ilvl`); the list points to
an abstract definition, which gives each level a start, a format and a pattern ("%1.%2").
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

_PLACE = re.compile(r"%([1-9])")
_ROMAN = [
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"),
    (50, "l"), (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
]  # fmt: skip
_DEPTH = 32  # styles based on styles; a longer chain is a loop


def local(element: Any) -> str:
    """Return an element's name without its namespace ("" for comments and entities)."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def child(element: Any | None, *path: str) -> Any | None:
    """Return the first descendant along a path of local names."""
    for name in path:
        if element is None:
            break
        element = next((item for item in element if local(item) == name), None)
    return element


def value(element: Any | None, *path: str, key: str = "val") -> str | None:
    """Return the attribute `key` of the descendant along `path`."""
    found = child(element, *path)
    if found is None:
        return None
    return next((str(text) for name, text in found.attrib.items() if name.rpartition("}")[2] == key), None)


def number(text: str | None, default: int = 0) -> int:
    """Return an attribute's integer; what is no integer of a sane size counts as absent."""
    return int(text) if text and re.fullmatch(r"-?\d{1,6}", text) else default


@dataclass(frozen=True)
class Level:
    """One level of a list: where it starts, its format, its pattern, whether it shows decimals only.

    It begins again after each paragraph of one of the first `restart` levels; None for all levels above it.
    """

    start: int = 1
    format: str = "decimal"
    pattern: str = ""
    legal: bool = False
    style: str | None = None
    restart: int | None = None


@dataclass
class _List:
    """A counter for each level of one abstract list. `restarted` names the lists that began again in it."""

    counts: dict[int, int] = field(default_factory=dict)
    restarted: set[str] = field(default_factory=set)


class Numbering:
    """The lists of one document. `label` must be asked for every paragraph, in order."""

    def __init__(self, numbering: Any | None, styles: Any | None) -> None:
        self._styles = {_id(style, "styleId"): style for style in _all(styles, "style")}
        self._default_style = next(
            (
                name
                for name, style in self._styles.items()
                if value(style, key="type") == "paragraph" and value(style, key="default") in ("1", "true")
            ),
            None,
        )
        self._nums = {_id(num, "numId"): num for num in _all(numbering, "num")}
        self._abstract = {_id(item, "abstractNumId"): item for item in _all(numbering, "abstractNum")}
        self._lists: dict[str, _List] = {}
        self._levels: dict[str, dict[int, Level]] = {}

    def label(self, paragraph: Any) -> str:
        """Count the paragraph and return its number, "" where it has none and "•" for a bullet."""
        place = self._place(paragraph)
        if place is None:
            return ""
        num_id, level_index = place
        levels, found = self._levels_of(num_id), self._list(num_id)
        if found is None or level_index not in levels:
            return ""
        self._restart(found, num_id)
        level, counts = levels[level_index], found.counts
        counts[level_index] = counts.get(level_index, level.start - 1) + 1
        for deeper in [index for index in counts if index > level_index]:
            restart = levels.get(deeper, Level()).restart
            if restart is None or level_index < restart:
                del counts[deeper]
        return _render(levels, counts, level)

    def _place(self, paragraph: Any) -> tuple[str, int] | None:
        """Return the list and level of a paragraph: its own, else its style's."""
        own = child(paragraph, "pPr", "numPr")
        style = value(paragraph, "pPr", "pStyle") or self._default_style
        num_id, level = value(own, "numId"), value(own, "ilvl")
        for _ in range(_DEPTH):
            if num_id is not None or style is None:
                break
            definition = self._styles.get(style)
            inherited = child(definition, "pPr", "numPr")
            num_id = value(inherited, "numId")
            if num_id is not None and level is None:
                level = value(inherited, "ilvl") or self._level_of_style(num_id, style)
            style = value(definition, "basedOn")
        if num_id is None or num_id == "0":
            return None
        return num_id, number(level)

    def _level_of_style(self, num_id: str, style: str) -> str | None:
        levels = self._levels_of(num_id).items()
        return next((str(index) for index, level in levels if level.style == style), None)

    def _levels_of(self, num_id: str) -> dict[int, Level]:
        """Return the levels of a list: those of its abstract definition, but for those that it defines itself."""
        if num_id not in self._levels:
            num = self._nums.get(num_id)
            abstract_id = value(num, "abstractNumId")
            shared = _all(self._definition(abstract_id), "lvl") if abstract_id else []
            own = [level for override in _all(num, "lvlOverride") for level in _all(override, "lvl")]
            self._levels[num_id] = {_index(level): _level(level) for level in (*shared, *own)}
        return self._levels[num_id]

    def _list(self, num_id: str) -> _List | None:
        """Return the counters that list `num_id` shares with the other lists of its abstract definition."""
        abstract_id = value(self._nums.get(num_id), "abstractNumId")
        if abstract_id is None:
            return None
        return self._lists.setdefault(abstract_id, _List())

    def _definition(self, abstract_id: str) -> Any | None:
        """Return an abstract list; one that only links to a list style is followed there."""
        definition = self._abstract.get(abstract_id)
        for _ in range(_DEPTH):
            link = value(definition, "numStyleLink")
            if link is None:
                break
            num_id = value(self._styles.get(link), "pPr", "numPr", "numId")
            definition = self._abstract.get(value(self._nums.get(num_id), "abstractNumId"))
        return definition

    def _restart(self, found: _List, num_id: str) -> None:
        """Begin again where a list is met for the first time that overrides its start."""
        if num_id in found.restarted:
            return
        found.restarted.add(num_id)
        for override in _all(self._nums[num_id], "lvlOverride"):
            start = value(override, "startOverride")
            if start is not None:
                found.counts[_index(override)] = number(start, 1) - 1


def _all(parent: Any | None, kind: str) -> list[Any]:
    return [] if parent is None else [item for item in parent if local(item) == kind]


def _id(element: Any, key: str) -> str | None:
    return value(element, key=key)


def _index(element: Any) -> int:
    return number(value(element, key="ilvl"))


def _level(element: Any) -> Level:
    restart = value(element, "lvlRestart")
    legal = child(element, "isLgl") is not None and value(element, "isLgl") not in ("0", "false", "off")
    return Level(
        start=number(value(element, "start"), 1),
        format=value(element, "numFmt") or "decimal",
        pattern=value(element, "lvlText") or "",
        legal=legal,
        style=value(element, "pStyle"),
        restart=None if restart is None else number(restart),
    )


def _render(levels: dict[int, Level], counts: dict[int, int], level: Level) -> str:
    if level.format == "bullet":
        return "•"
    if level.format == "none":
        return ""

    def place(match: re.Match[str]) -> str:
        index = int(match[1]) - 1
        other = levels.get(index, Level())
        count = counts.get(index, other.start)
        return in_format(count, "decimal" if level.legal else other.format)

    return _PLACE.sub(place, level.pattern).strip()


def in_format(count: int, style: str) -> str:
    """Return a count in one of Word's formats; those of other scripts and of words are written as decimals."""
    if style in ("lowerLetter", "upperLetter") and 0 < count <= 780:
        letters = chr(ord("a") + (count - 1) % 26) * ((count - 1) // 26 + 1)  # z is followed by aa, bb, ...
        return letters if style == "lowerLetter" else letters.upper()
    if style in ("lowerRoman", "upperRoman") and 0 < count < 4000:
        letters = _roman(count)
        return letters if style == "lowerRoman" else letters.upper()
    if style == "none":
        return ""
    return f"{count:02d}" if style == "decimalZero" else str(count)


def _roman(count: int) -> str:
    letters = []
    for worth, letter in _ROMAN:
        times, count = divmod(count, worth)
        letters.append(letter * times)
    return "".join(letters)
