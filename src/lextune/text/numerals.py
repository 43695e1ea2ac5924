"""Numbers as contracts write them: `12`, `twelve`, `twenty-four`, `one hundred eighty`, `one million`."""

from __future__ import annotations

import re

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
_WORD = "|".join(sorted([*_SMALL, "hundred", *_SCALES], key=len, reverse=True))

NUMBER_WORDS = rf"(?:{_WORD})(?:[\s-]+(?:and\s+)?(?:{_WORD})){{0,9}}"
"""A regular expression for a number in words; match it with IGNORECASE, between word boundaries."""

ORDINALS = {word: value for value, word in enumerate(_ORDINALS, start=1)} | {
    f"twenty-{word}": 20 + value for value, word in enumerate(_ORDINALS[:9], start=1)
}
ORDINALS |= {"thirtieth": 30, "thirty-first": 31}
"""Days of the month in words."""


def number(text: str) -> int | None:
    """Return the whole number that `text` is (digits, or English words), None where it is none."""
    digits = text.strip().replace(",", "")
    if digits.isascii() and digits.isdigit():
        return int(digits)
    total = current = 0
    words = [word for word in re.split(r"[\s-]+", text.strip().lower()) if word != "and"]
    for word in words:
        if word in _SMALL:
            current += _SMALL[word]
        elif word == "hundred":
            current = max(current, 1) * 100
        elif word in _SCALES:
            total, current = total + max(current, 1) * _SCALES[word], 0
        else:
            return None
    return total + current if words else None
