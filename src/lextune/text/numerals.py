"""Numbers as contracts write them: `12`, `twelve`, `twenty-four`, `one hundred eighty`, `one million`."""

from __future__ import annotations

import re
from collections.abc import Iterable

_UNITS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINALS = (
    *("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"),
    *("eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth"),
    *("eighteenth", "nineteenth", "twentieth"),
)
_SMALL = {word: value for value, word in enumerate(_UNITS)} | {
    word: 10 * value for value, word in enumerate(_TENS, start=2)
}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_GAP = r"[\s\-\u2010-\u2013]"  # hyphens, and what stands for them


def _one_of(words: Iterable[str]) -> str:
    return f"(?:{'|'.join(sorted(words, key=len, reverse=True))})"


_AND = rf"{_GAP}+(?:and{_GAP}+)?"
_TO_99 = rf"(?:{_one_of(_TENS)}(?:{_GAP}+{_one_of(_UNITS[1:10])})?\b|{_one_of(_UNITS)})\b"
_TO_999 = rf"(?:(?:{_TO_99}{_GAP}+)?hundred(?:{_AND}{_TO_99})?|{_TO_99})\b"
_GROUP = rf"{_TO_999}{_GAP}+{_one_of(_SCALES)}\b"

NUMBER_WORDS = rf"(?:{_GROUP}(?:{_AND}{_GROUP}){{0,2}}(?:{_AND}{_TO_999})?|{_TO_999})"
"""A regular expression for a number in words, `two one-year terms` being two; match it with IGNORECASE from a word's
beginning."""
_NUMBER = re.compile(NUMBER_WORDS, re.I)

_DAYS = {word: value for value, word in enumerate(_ORDINALS, start=1)} | {
    f"twenty-{word}": 20 + value for value, word in enumerate(_ORDINALS[:9], start=1)
}
_DAYS |= {"thirtieth": 30, "thirty-first": 31}

ORDINAL_WORDS = "|".join(word.replace("-", f"{_GAP}+") for word in sorted(_DAYS, key=len, reverse=True))
"""A regular expression for `first` to `thirty-first`; match it with IGNORECASE."""


def number(text: str) -> int | None:
    """Return the whole number that `text` is (digits, or English words), None where it is none."""
    digits = text.strip().replace(",", "")
    if digits.isascii() and digits.isdigit():
        return int(digits)
    if not _NUMBER.fullmatch(text.strip()):
        return None
    total = current = 0
    for word in re.split(f"{_GAP}+", text.strip().lower()):
        if word in _SMALL:
            current += _SMALL[word]
        elif word == "hundred":
            current = max(current, 1) * 100
        elif word in _SCALES:
            total, current = total + current * _SCALES[word], 0
    return total + current


def ordinal(text: str) -> int | None:
    """Return the day that an ordinal in words names, 1 to 31, None where it is none."""
    return _DAYS.get(re.sub(f"{_GAP}+", "-", text.strip().lower()))
