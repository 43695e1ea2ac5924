"""The words of a text with their places, and the names of companies among them."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from lextune.data.privacy.name_lists import fold, name_lists
from lextune.text.parties import COMPANY_SUFFIX

_WORD = re.compile(r"(?:[^\W\d_]\.){1,3}(?![^\W\d_])|[^\W\d_]+(?:['’-][^\W\d_]+)*")
_POSSESSIVE = re.compile(r"['’][sS]$")
_SPACE = re.compile(r"[ \t\u00a0]{1,3}")
_BEFORE_SUFFIX = re.compile(r"[ \t\u00a0]{0,3},?[ \t\u00a0]{0,3}(?:&[ \t\u00a0]{1,3}|\n[ \t\u00a0]{0,8})?")
_NO_COMMA = ("company", "trust", "fund", "bank")  # "Jane Roe, Company Secretary" is no company
_AMPERSAND = re.compile(r"[ \t\u00a0]{0,3},?[ \t\u00a0]{0,3}&[ \t\u00a0]{1,3}|[ \t\u00a0]{1,3}\+[ \t\u00a0]{1,3}")
_COMMA = re.compile(r",[ \t\u00a0]{1,3}")
LONGEST = 8  # words of a company's name


class Word(NamedTuple):
    """One word at [start, end), or initials with their dots; `folded` is how it is looked up."""

    start: int
    end: int
    folded: str
    capital: bool
    upper: bool
    initial: bool


def words_of(text: str) -> list[Word]:
    """Return the words of a text in order; a possessive ending belongs to none."""
    words = []
    for match in _WORD.finditer(text):
        word, start, end = match.group(), match.start(), match.end()
        if word[-2:-1] in "'’" and _POSSESSIVE.search(word):
            word, end = word[:-2], end - 2
        touched = text[start - 1 : start].isdigit() or text[end : end + 1].isdigit()  # GB82, B12
        capital = _is_capital(word) and not touched
        initial = word.endswith(".") or (len(word) == 1 and word.isupper())
        words.append(Word(start, end, fold(word), capital, word.isupper(), initial))
    return words


def _is_capital(word: str) -> bool:
    """Say whether a word begins with a capital, or with one after an Arabic article ("al-Farsi")."""
    return word[0].isupper() or (word[:3] in ("al-", "el-", "bin-") and word[3:4].isupper())


class Companies(NamedTuple):
    """Where companies' names stand in a text, and the folded words of each."""

    regions: list[tuple[int, int]]
    names: frozenset[tuple[str, ...]]

    def covers(self, start: int, end: int) -> bool:
        """Say whether [start, end) shares a character with a company's name."""
        at = bisect_right(self.regions, (end, -1)) - 1
        return any(start < last and first < end for first, last in self.regions[max(0, at - 1) : at + 1])

    def starts_with(self, name: Sequence[str]) -> bool:
        """Say whether some company's name begins with these words."""
        return any(company[: len(name)] == tuple(name) for company in self.names)


def companies_in(text: str, words: Sequence[Word]) -> Companies:
    """Find the names that end in a company's suffix: the capitalised words before it, with what joins them."""
    starts = [word.start for word in words]
    regions: list[tuple[int, int]] = []
    names = set()
    for suffix in COMPANY_SUFFIX.finditer(text):
        last = bisect_left(starts, suffix.start()) - 1
        if suffix.group().lower() in _NO_COMMA and "," in text[words[last].end if last >= 0 else 0 : suffix.start()]:
            continue
        first = _first_word(text, words, last, suffix.start())
        if first <= last:
            region = (words[first].start, suffix.end())
            if regions and region[0] < regions[-1][1]:
                region = (min(regions[-1][0], region[0]), region[1])
                regions.pop()
            regions.append(region)
            names.add(tuple(word.folded for word in words[first : last + 1]))
    return Companies(regions, frozenset(names))


def _first_word(text: str, words: Sequence[Word], last: int, suffix: int) -> int:
    """Return the index of the first word of the name that ends before a suffix; `last` + 1 where there is none."""
    if last < 0 or not words[last].capital or not _BEFORE_SUFFIX.fullmatch(text, words[last].end, suffix):
        return last + 1
    at, ampersand = last, False
    while at > 0 and last - at < LONGEST:
        gap = (words[at - 1].end, words[at].start)
        before = words[at - 1]
        if _AMPERSAND.fullmatch(text, *gap):
            ampersand = True
        elif _SPACE.fullmatch(text, *gap) and not before.capital:
            if not _joins(text, words, at - 1):
                break
            at -= 1  # the joining word; the one before it is taken too
        elif not (_SPACE.fullmatch(text, *gap) or (ampersand and _COMMA.fullmatch(text, *gap))):
            break
        if not words[at - 1].capital:
            break
        at -= 1
    return at


def _joins(text: str, words: Sequence[Word], at: int) -> bool:
    """Say whether a small word belongs to a company's name: "Bank of ...", or "and" after a single name."""
    if at < 1 or not words[at - 1].capital or not _SPACE.fullmatch(text, words[at - 1].end, words[at].start):
        return False
    lists = name_lists()
    before = words[at - 1].folded
    if words[at].folded in ("of", "for", "de", "the", "von", "van"):
        return before in lists.organisation or before in lists.never
    alone = at < 2 or not words[at - 2].capital or not _SPACE.fullmatch(text, words[at - 2].end, words[at - 1].start)
    return words[at].folded == "and" and alone
