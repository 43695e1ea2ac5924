"""References to provisions of a statute: `Articles 5, 6(1)(a) and 9 to 11`, `Sec. 12 para. 2`, `§§ 3-5`, `s. 7A`.

    [str(p) for p in find_provisions("Articles 5 and 6(1)(a)")]      # ["5", "6(1)(a)"]

A reference is read from its unit on (article, section, §), item by item. Roman numerals become Arabic ones, ranges
become all that they span, and a further paragraph (`Article 6(1) and (3)`) belongs to the number before it. The unit
is not kept: what is called article 5 in one edition is called section 5 in another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from lextune.core.records import Span

MAX_RANGE = 200
"""Numbers in a range at most: of a longer one only both ends are taken."""

_UNIT = re.compile(
    r"(?<![\w'’])(?:(?P<many>articles|arts\.?(?=\s*\d)|art\.?(?=\s*\d+[^\d]{0,8}(?:,|and|&|[-–]|to)\s*\d)"
    r"|sections|secs\."
    r"|ss\.?(?=\s?\d))|(?P<one>article|art\.?|section|sec\.?|s\.?(?=\s?\d)))(?![a-z])\s*|(?P<signs>§{1,2})\s*",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"(?P<number>\d{1,4}(?:\.\d{1,4})*)(?:(?P<suffix>\s?(?:bis|ter|quater)\b)|(?P<letter>[A-Za-z]{1,2}(?![A-Za-z])))?"
)
_ROMAN = re.compile(r"(?=[IVXL])(?:XC|XL|L?X{0,4})(?:IX|IV|V?I{0,4})(?![\w'’])")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)\b", re.IGNORECASE)
_PARAGRAPH = re.compile(r"\s?\(\s?(\d{1,3}[a-z]?|[a-z]{1,2}|[ivx]{1,5}|[A-Z])\s?\)")
_WORDED = re.compile(
    r",?\s*(?:paragraphs?|paras?\.?|subsections?|sub-?paragraphs?|subparas?\.?|abs\.?|points?|lit\.?|letters?)\s*"
    r"\(?\s*(\d{1,3}[a-z]?|[a-z]|[ivx]{1,5})\s*\)?(?![\w])",
    re.IGNORECASE,
)
_BEFORE = re.compile(
    r"(?:paragraphs?|paras?\.?|subsections?|sub-?paragraphs?|points?|lit\.?)\s*"
    r"((?:\(\w{1,4}\)|\d{1,3}[a-z]?|[a-z])(?:\s?\(\w{1,4}\)){0,4})"
    r"\s+(?:of|in|to)\s+(?:the\s+)?$",
    re.IGNORECASE,
)
_TO = re.compile(r"\s*(?:[-–—]|\bto\b|\bthrough\b)\s*")
_AND = re.compile(r"\s*(?:,\s*(?:and/or|and|or|&)?|;|/|\band/or\b|\band\b|\bor\b|&)\s*(?:(?:Arts?\.?|§|ss?\.)\s*)?")
_MEASURE = re.compile(
    r"\s*(?:-\s*)?(?:%|(?:per\s?cent|calendar|business|working|days?|weeks?|months?|years?|hours?|euros?|dollars?|"
    r"per|times|other|more|of the (?:parties|members)|(?:jan|febr)uary|march|april|may|june|july|august|"
    r"(?:sept|nov|dec)ember|october)\b)",
    re.IGNORECASE,
)
_ENDS = re.compile(r"\s*(?:$|[.;:)\],]|(?:of|and|or)\b)")
_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}


class Provision(NamedTuple):
    """One provision: its article (`12`, `12a`), the paragraphs within it from the outside in, and where it stands."""

    article: str
    paragraphs: tuple[str, ...]
    span: Span

    def __str__(self) -> str:
        return self.article + "".join(f"({part})" for part in self.paragraphs)


def find_provisions(text: str) -> list[Provision]:
    """Return the provisions that a text refers to, in order; those of a range share its span.

    A number after a comma or an `and` belongs to the reference where its unit is a plural (`Articles 5, 6`), where it
    has a paragraph (`Article 5(2), 6(1)`) or ends what is said (`Article 5 and 6.`), and never where it counts
    something (`Articles 5 and 30 days`). A hyphen between numbers is a range where the second is the larger and hardly
    longer (`5-7`), and part of the number where it is not (`2-207`).
    """
    found: list[Provision] = []
    position = 0
    while (unit := _UNIT.search(text, position)) is not None:
        reader = _Reader(text, unit)
        found += reader.provisions()
        position = max(reader.position, unit.end())
    return found


def read_provision(text: str) -> Provision | None:
    """Return the provision that a whole text names, with a unit or without (`12(2)`), None where it names no other."""
    stripped = text.strip()
    found = find_provisions(stripped) or find_provisions(f"Article {stripped}")
    return found[0] if len(found) == 1 else None


class _Reader:
    """Reads the items after one unit; `position` is where the reference ends."""

    def __init__(self, text: str, unit: re.Match[str]) -> None:
        self._text, self._unit = text, unit
        self.position = unit.end()
        self._many = unit["many"] is not None or unit["signs"] == "§§"
        capital = unit.group()[:1] != unit.group()[:1].lower()
        self._roman = capital and len(unit.group().strip(". ")) > 1
        before = _BEFORE.search(text[max(0, unit.start() - 60) : unit.start()])
        self._first = tuple(re.findall(r"\w+", before.group(1))) if before else ()

    def provisions(self) -> Iterator[Provision]:
        """Yield the provisions of the reference."""
        item = self._item()
        if item is None:
            return
        item = item._replace(paragraphs=(*item.paragraphs, *self._first))
        last = item
        while True:
            ended = self.position
            separator = _TO.match(self._text, ended)
            following = self._next(separator, last) if separator else None
            if following is not None:
                spanned = list(_spanned(last, following))
                yield from spanned[:-1]
                last = spanned[-1]
                continue
            yield last
            self.position = ended
            separator = _AND.match(self._text, ended)
            following = self._next(separator, last) if separator else None
            if following is None:
                self.position = ended
                return
            last = following

    def _next(self, separator: re.Match[str], last: Provision) -> Provision | None:
        """Return the item after a separator: a further paragraph of the last one, or a further number."""
        start, self.position = self.position, separator.end()
        paragraphs = self._paragraphs()
        if paragraphs and last.paragraphs:
            kept = last.paragraphs[: _depth(last.paragraphs, paragraphs[0])]
            return Provision(last.article, (*kept, *paragraphs), Span(start=separator.end(), end=self.position))
        self.position = separator.end()
        item = self._item()
        if item is None or not self._belongs(separator, last, item):
            self.position = start
            return None
        return item

    def _belongs(self, separator: re.Match[str], last: Provision, item: Provision) -> bool:
        """Whether a number after a separator is one of the reference's."""
        if _MEASURE.match(self._text, self.position):
            return False
        if separator.re is _TO:
            return self._many or _rises(last.article, item.article)
        comma = separator.group().strip() == ","
        return self._many or bool(item.paragraphs) or (not comma and bool(_ENDS.match(self._text, self.position)))

    def _item(self) -> Provision | None:
        """Read a number with its paragraphs."""
        start = self.position
        if _ORDINAL.match(self._text, start):
            return None
        article, end = self._article(start)
        if article is None:
            return None
        self.position = end
        return Provision(article, self._paragraphs(), Span(start=start, end=self.position))

    def _article(self, start: int) -> tuple[str | None, int]:
        number = _NUMBER.match(self._text, start)
        if number is not None:
            suffix = (number["suffix"] or number["letter"] or "").strip().lower()
            hyphen = re.compile(r"-(\d{1,4}[A-Za-z]?)(?!\w)").match(self._text, number.end())
            if hyphen and not suffix and not _rises(number["number"], hyphen.group(1)):
                return f"{number['number']}-{hyphen.group(1).lower()}", hyphen.end()
            return number["number"] + suffix, number.end()
        roman = _ROMAN.match(self._text, start) if self._roman else None
        if roman is not None and roman.group():
            return str(_arabic(roman.group())), roman.end()
        return None, start

    def _paragraphs(self) -> tuple[str, ...]:
        """Read `(2)(a)` or `, paragraph 2, point a` at the position, and move past it."""
        found: list[str] = []
        while match := _PARAGRAPH.match(self._text, self.position) or _WORDED.match(self._text, self.position):
            found.append(match.group(1).lower())
            self.position = match.end()
        return tuple(found)


def _rises(low: str, high: str) -> bool:
    """Whether two numbers are a range, and neither part of one number nor unrelated."""
    if not (low.isdigit() and high.isdigit()):
        return low.rstrip("abcdefghijklmnopqrstuvwxyz") == high.rstrip("abcdefghijklmnopqrstuvwxyz")
    return int(low) < int(high) and len(high) <= len(low) + 1 and int(high) - int(low) <= MAX_RANGE


def _depth(paragraphs: tuple[str, ...], first: str) -> int:
    """Return how deep a further paragraph stands: beside the last one of its kind, a number or a letter."""
    same = [i for i, part in enumerate(paragraphs) if part[0].isdigit() == first[0].isdigit()]
    return same[-1] if same else len(paragraphs)


def _spanned(low: Provision, high: Provision) -> Iterator[Provision]:
    """Yield both ends of a range and what lies between, numbers or letters, all with the span of the whole."""
    span = Span(start=low.span.start, end=high.span.end)
    if low.article == high.article and low.paragraphs[:-1] == high.paragraphs[:-1] and low.paragraphs:
        for part in _between(low.paragraphs[-1], high.paragraphs[-1]):
            yield Provision(low.article, (*low.paragraphs[:-1], part), span)
        return
    inner = list(_between(low.article, high.article))
    yield low._replace(span=span)
    yield from (Provision(article, (), span) for article in inner[1:-1])
    yield high._replace(span=span)


def _between(low: str, high: str) -> Iterator[str]:
    """Yield `low` to `high`: numbers, or letters after the same number; only both where nothing else is told."""
    if low.isdigit() and high.isdigit() and 0 < int(high) - int(low) <= MAX_RANGE:
        yield from (str(number) for number in range(int(low), int(high) + 1))
        return
    if low[:-1] == high[:-1] and low[-1:].isalpha() and high[-1:].isalpha() and low[-1] < high[-1]:
        yield from (low[:-1] + chr(code) for code in range(ord(low[-1]), ord(high[-1]) + 1))
        return
    yield low
    yield high


def _arabic(roman: str) -> int:
    values = [_VALUES[letter] for letter in roman]
    return sum(-v if i + 1 < len(values) and v < values[i + 1] else v for i, v in enumerate(values))
