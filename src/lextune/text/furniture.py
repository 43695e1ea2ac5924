"""Page furniture: what is printed on every page and belongs to none - headers, footers, page numbers.

Where the pages are known (a page map, or form feeds), furniture is what repeats at their edges. Where they are
not, the lines that only stand at the edge of a page show where pages end: `Source: ACME INC, 10-K, 3/1/2012`,
`Page 3 of 12`, and numbers that count up line by line and break sentences apart.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from lextune.core.records import Span
from lextune.text.edits import Change

EDGE = 3  # lines at the top and at the bottom of a page that may be furniture
LONGEST = 250  # characters of such a line
LONGEST_NUMBER = 20  # characters of a line that is a page number
SHARE, FEWEST, STREAK = 0.4, 3, 6  # furniture: on so many pages of all and so many at least, or one after another
SHORTEST_PAGE = 200  # characters between two page numbers where pages are not known
INTERRUPTED = 0.1  # the share of such numbers that must stand inside a sentence

_LINE = re.compile(r"[^\n\r\f\v\x1c-\x1e\x85\u2028\u2029]+")
_SOURCE = re.compile(r"Source: .{2,150}, [\w/ .-]{1,20}, \d{1,2}/\d{1,2}/\d{4}")  # the footer of EDGAR readers
_OF = re.compile(r"(?:page\s+)?\d{1,4}\s+of\s+\d{1,4}", re.IGNORECASE)
_DASH = r"\s*[-–—~|]{0,2}\s*"
_NUMBER = re.compile(
    rf"\[?{_DASH}(?P<style>(?:page|p\.)?[\s|]*(?:[A-Z]{{1,2}}\s?[-–]\s?)?)(?P<number>\d{{1,4}}|[ivxl]{{1,7}}){_DASH}\]?",
    re.IGNORECASE,
)
_PAGE_NUMBER = re.compile(
    r"^(?:\d{1,4}|[ivxl]{1,7})(?= )|(?:(?<=\bpage )|(?<=\bpage)|(?<=\bp\.)|(?<=\bp\. ))\d{1,4}(?!\w)"
    r"|(?<!\w)\d{1,4}(?= of \d| ?/ ?\d{1,3}\W*$)"  # of fewer pages than a year has, so no month: 1/2020
    r"|(?<!\w)(?:\d{1,4}|[ivxl]{1,7})(?=\W*$)"
)
_NOT_OF_PAGE = re.compile(  # behind it stands the number of an amount, a date or a heading
    r"(?:[$€£] ?|[,:/]|(?<!\bp)\.|\b(?:article|section|clause|exhibit|schedule|annex|appendix|part|year) )$"
)
_WORD = re.compile(r"[^\W\d_]{3,}")
_FORM = re.compile(r"_{3,}|:\s*$|^/s/")  # signature blocks and forms repeat too
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50}


class _Line(NamedTuple):
    """A line with something on it: its span, without white space at either end, and what it says."""

    start: int
    end: int
    text: str


class _Numeral(NamedTuple):
    """A line that is a number only: its place among the lines, how it is written, and its value."""

    line: int
    style: str
    value: int


def goes_on(before: str, after: str) -> bool:
    """Say whether a sentence runs over a break between two characters of a text."""
    return after.islower() or before == ","


def remove_furniture(text: str, pages: Sequence[Span]) -> list[Change]:
    """Return the changes that take page furniture out.

    The first header stays, because the title of a contract is often its running header too. What stood around
    a piece of furniture is joined by one newline where the sentence goes on after it, else by a blank line.

    Args:
        text: the source.
        pages: its page map, empty where there is none; then form feeds are taken for page ends.
    """
    lines = _lines(text)
    starts = [page.start for page in pages[1:]] or [m.end() for m in re.finditer("\f", text)]
    always = set(_always(lines))
    if starts:
        sheets = _sheets(lines, starts)
        numbers = set(_numbers_of_pages(lines, sheets, always))
    else:
        numbers = set(_numbers_between(lines, always))
        sheets = _between(len(lines), always | numbers)
    marks = always | numbers
    inner = [[i for i in sheet if i not in marks] for sheet in sheets]
    return list(_removals(text, lines, marks | _repeated(lines, inner)))


def _lines(text: str) -> list[_Line]:
    lines = []
    for match in _LINE.finditer(text):
        said = match.group().strip()
        if said:
            start = match.start() + match.group().index(said)
            lines.append(_Line(start, start + len(said), said))
    return lines


def _always(lines: Sequence[_Line]) -> Iterator[int]:
    """Yield the lines that are furniture wherever they stand; a number above EDGAR's footer is its page's."""
    for i, line in enumerate(lines):
        if _SOURCE.fullmatch(line.text):
            yield i
            if i and _numeral_at(lines, i - 1):
                yield i - 1
        elif _OF.fullmatch(line.text):
            yield i


def _sheets(lines: Sequence[_Line], starts: Sequence[int]) -> list[list[int]]:
    """Return the lines of each page; `starts` are those of all pages but the first."""
    sheets: list[list[int]] = [[] for _ in range(len(starts) + 1)]
    for number, line in enumerate(lines):
        sheets[bisect_right(starts, line.start)].append(number)
    return sheets


def _between(count: int, marks: set[int]) -> list[list[int]]:
    """Return the runs of lines between marks."""
    sheets: list[list[int]] = [[]]
    for number in range(count):
        if number not in marks:
            sheets[-1].append(number)
        elif sheets[-1]:
            sheets.append([])
    return sheets


def _numbers_of_pages(lines: Sequence[_Line], sheets: Sequence[Sequence[int]], always: set[int]) -> Iterator[int]:
    """Yield the lines at the edges of known pages that count up as the pages do."""
    page_of: dict[int, int] = {}
    for page, sheet in enumerate(sheets):
        inner = [i for i in sheet if i not in always]
        page_of |= dict.fromkeys(sorted({*inner[:EDGE], *inner[-EDGE:]}), page)

    def follows(before: int, after: int, step: int) -> bool:
        return page_of[after] - page_of[before] == step

    for chain in _chains(_numerals(lines, page_of), follows):
        if len(chain) > 1:
            yield from chain


def _numbers_between(lines: Sequence[_Line], always: set[int]) -> Iterator[int]:
    """Yield the lines that are page numbers where pages are not known.

    Clause numbers that stand alone on a line count up as well. They stand before headings, so a count of which
    no number interrupts a sentence, or is next to a footer, is none of pages.
    """

    def follows(before: int, after: int, step: int) -> bool:
        return lines[after].start - lines[before].end >= SHORTEST_PAGE

    for chain in _chains(_numerals(lines, (i for i in range(len(lines)) if i not in always)), follows):
        breaks = sum(_interrupts(lines, i) or i - 1 in always or i + 1 in always for i in chain)
        if len(chain) >= FEWEST and breaks >= INTERRUPTED * len(chain):
            yield from chain


def _numerals(lines: Sequence[_Line], places: Iterable[int]) -> Iterator[_Numeral]:
    for i in places:
        numeral = _numeral_at(lines, i)
        if numeral is not None:
            yield numeral


def _numeral_at(lines: Sequence[_Line], line: int) -> _Numeral | None:
    """Return the number that a line consists of, None where it says anything else."""
    text = lines[line].text
    match = _NUMBER.fullmatch(text) if len(text) < LONGEST_NUMBER else None
    if match is None:
        return None
    raw = match["number"]
    style = " ".join(match["style"].split()).lower()
    digit = "#" if raw.isdigit() else "I" if raw.isupper() else "i"
    return _Numeral(line, f"{style}{digit}", _value(raw))


def _value(raw: str) -> int:
    """Return the value of an Arabic or Roman number."""
    if raw.isdigit():
        return int(raw)
    values = [_ROMAN[letter] for letter in raw.lower()]
    return sum(-a if a < b else a for a, b in pairwise([*values, 0]))


def _chains(numerals: Iterable[_Numeral], follows: Callable[[int, int, int], bool]) -> list[list[int]]:
    """Return the counts: lines of one style, each one or two (the step) more than the last, and following it."""
    chains: list[list[int]] = []
    open_at: dict[tuple[str, int], list[int]] = {}  # the count that ended last in a style and value
    for line, style, value in numerals:
        for step in (1, 2):
            chain = open_at.get((style, value - step))
            if chain and follows(chain[-1], line, step):
                del open_at[style, value - step]
                break
        else:
            chain = []
            chains.append(chain)
        chain.append(line)
        if len(chain) >= len(open_at.get((style, value), ())):
            open_at[style, value] = chain
    return chains


def _interrupts(lines: Sequence[_Line], line: int) -> bool:
    if not 0 < line < len(lines) - 1:
        return False
    return lines[line - 1].text[-1].isalnum() and lines[line + 1].text[0].islower()


def _repeated(lines: Sequence[_Line], sheets: Sequence[Sequence[int]]) -> set[int]:
    """Return the lines that repeat at the tops or at the bottoms of pages, from the edge inwards."""
    found: set[int] = set()
    kept = set(next((sheet for sheet in sheets if sheet), [])[:EDGE])  # the first header
    count = sum(map(bool, sheets))
    for bottom in (False, True):
        edges = [(sheet[::-1] if bottom else sheet)[:EDGE] for sheet in sheets]
        on: dict[str, list[int]] = defaultdict(list)
        for page, edge in enumerate(edges):
            for key in {key for i in edge for key in _keys(lines[i].text, page)}:
                on[key].append(page)
        usual = {key for key, pages in on.items() if _is_usual(pages, count)}
        for page, edge in enumerate(edges):
            for i in edge:
                if i in kept or usual.isdisjoint(_keys(lines[i].text, page)):
                    break
                found.add(i)
    return found


def _keys(line: str, page: int) -> list[str]:
    """Return what a header can have in common with itself on other pages; nothing for what cannot be one.

    That is all that it says, or all but one number, which counts the pages, or all but each that does so alike.
    """
    if len(line) > LONGEST or _FORM.search(line) or not _WORD.search(line):
        return []
    said = " ".join(line.casefold().split())
    numbers = [m for m in _PAGE_NUMBER.finditer(said) if not _NOT_OF_PAGE.search(said[: m.start()])]
    alike: dict[int, list[re.Match[str]]] = defaultdict(list)
    for number in numbers:
        alike[_value(number.group()) - page].append(number)
    counting = [*([number] for number in numbers), *(group for group in alike.values() if len(group) > 1)]
    return [said, *(_without(said, group, page) for group in counting)]


def _without(said: str, numbers: Sequence[re.Match[str]], page: int) -> str:
    """Return what a line says with how far its page is from each of some numbers in their place."""
    parts, at = [], 0
    for number in numbers:
        parts += [said[at : number.start()], f"#{_value(number.group()) - page}#"]
        at = number.end()
    return "".join([*parts, said[at:]])


def _is_usual(pages: Sequence[int], count: int) -> bool:
    longest = run = 1
    for a, b in pairwise(pages):
        run = run + 1 if b - a <= 2 else 1  # headers of left and right pages can differ
        longest = max(longest, run)
    return longest >= STREAK or len(pages) >= max(FEWEST, SHARE * count)


def _removals(text: str, lines: Sequence[_Line], gone: set[int]) -> Iterator[Change]:
    """Yield a change for every run of lines that go, with the white space around it."""
    at = 0
    while at < len(lines):
        if at not in gone:
            at += 1
            continue
        first = at
        while at in gone:
            at += 1
        start = lines[first - 1].end if first else 0
        end = lines[at].start if at < len(lines) else len(text)
        between = first > 0 and at < len(lines)
        joint = ("\n" if goes_on(text[start - 1], text[end]) else "\n\n") if between else ""
        yield Change(start, end, joint)
