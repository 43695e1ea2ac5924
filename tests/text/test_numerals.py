from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lextune.text.numerals import NUMBER_WORDS, ORDINAL_WORDS, number, ordinal

UNITS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
TEENS = ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
DAYS = (
    *("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh"),
    *("twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth"),
    "twentieth",
)


def spelt(value: int, *, hyphen: str = "-", and_: str = " and ") -> str:
    """Write a number of 1 to 999,999,999 in words."""
    for scale, name in ((10**6, "million"), (1000, "thousand"), (100, "hundred")):
        if value >= scale:
            rest = value % scale
            join = and_ if rest < 100 or scale == 100 else " "
            options = {"hyphen": hyphen, "and_": and_}
            return f"{spelt(value // scale, **options)} {name}" + (join + spelt(rest, **options) if rest else "")
    if value >= 20:
        return TENS[value // 10 - 2] + (hyphen + UNITS[value % 10 - 1] if value % 10 else "")
    return (UNITS + TEENS)[value - 1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12", 12),
        ("1,200", 1200),
        ("twelve", 12),
        ("twenty-four", 24),
        ("One Hundred Eighty", 180),
        ("one hundred and five", 105),
        ("two thousand five hundred", 2500),
        ("twenty-five hundred", 2500),
        ("one million", 1_000_000),
        ("hundred", 100),
        ("two one", None),  # `two one-year terms`: a count, and a length
        ("thirty and sixty", None),
        ("twenty eleven", None),
        ("million", None),
        ("", None),
        ("a dozen", None),
        ("²", None),
    ],
)
def test_number(text: str, expected: int | None) -> None:
    assert number(text) == expected


@given(st.integers(1, 999_999_999), st.sampled_from(["-", " ", "\u2011", "\u2013"]), st.sampled_from([" ", " and "]))
def test_every_number_is_read_from_its_words(value: int, hyphen: str, and_: str) -> None:
    words = spelt(value, hyphen=hyphen, and_=and_)
    assert number(words) == value
    found = re.search(rf"\b{NUMBER_WORDS}", f"for {words} years", re.I)
    assert found is not None
    assert found.group() == words


@pytest.mark.parametrize("gap", ["-", " ", "\u2011", "\u2013", "  "])
def test_ordinals_name_every_day_of_a_month(gap: str) -> None:
    days = [*DAYS, *(f"twenty{gap}{word}" for word in DAYS[:9]), "thirtieth", f"thirty{gap}first"]
    assert [ordinal(day) for day in days] == list(range(1, 32))
    assert all(re.fullmatch(ORDINAL_WORDS, day) for day in days)
    assert ordinal(f"thirty{gap}second") is None
