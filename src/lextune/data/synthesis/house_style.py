"""How one contract writes: dialect, spelling, dates, numbers, money, quotation marks, party names."""

from __future__ import annotations

import calendar
import datetime
import random
import re
from typing import Literal, NamedTuple

from lextune.data.synthesis.library import Dialect

NumberStyle = Literal["figures", "words", "both"]
_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
    "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
MONTHS = tuple(calendar.month_name[1:])

# British spelling on the left; the wording is written in it and respelt for US contracts.
_RESPELLING = {
    "licence": "license",
    "trade mark": "trademark",
    "labour": "labor",
    "colour": "color",
    "favour": "favor",
    "harbour": "harbor",
    "behaviour": "behavior",
    "organis": "organiz",
    "authoris": "authoriz",
    "realise": "realize",
    "recognis": "recogniz",
    "criticis": "criticiz",
    "sterilis": "steriliz",
    "analyse": "analyze",
    "defence": "defense",
    "fulfil": "fulfill",
    "instalment": "installment",
    "wilful": "willful",
    "centre": "center",
    "metre": "meter",
    "fibre": "fiber",
    "catalogue": "catalog",
    "co-operat": "cooperat",
    "tonne": "metric ton",
    "per cent": "percent",
    "labell": "label",
    "fortnight": "two weeks",
    "lorry": "truck",
    "jumper": "sweater",
    "adviser": "advisor",
}
_BRITISH = re.compile("|".join(_RESPELLING), re.IGNORECASE)
_TYPOGRAPHIC = str.maketrans({"'": "’"})


def respell(text: str) -> str:
    """Return British wording in American spelling, capitals kept."""
    return _BRITISH.sub(lambda match: _like(_RESPELLING[match[0].lower()], match[0]), text)


def _like(word: str, model: str) -> str:
    if model.isupper():
        return word.upper()
    return word.title() if model.istitle() else word[0].upper() + word[1:] if model[0].isupper() else word


def in_words(number: int) -> str:
    """Return a whole number under 1,000 in English words."""
    if number < len(_ONES):
        return _ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")
    hundreds, rest = divmod(number, 100)
    return f"{_ONES[hundreds]} hundred" + (f" and {in_words(rest)}" if rest else "")


def add_years(date: datetime.date, years: int) -> datetime.date:
    """Return the same day some years later; 29 February becomes 28 February."""
    try:
        return date.replace(year=date.year + years)
    except ValueError:
        return date.replace(year=date.year + years, day=28)


def numeric_date(date: datetime.date) -> str:
    """Return a date as CUAD's answers write it: m/d/yyyy."""
    return f"{date.month}/{date.day}/{date.year}"


class HouseStyle(NamedTuple):
    """The habits of one contract's drafter.

    `shall` is the word for a duty, `agreement` the word for the contract itself, `clause` that for its
    parts; `curly` says whether quotation marks are typographic.
    """

    dialect: Dialect
    shall: str
    agreement: str
    clause: str
    party: str
    numbers: NumberStyle
    money_code: bool
    curly: bool
    date_form: int

    @classmethod
    def draw(cls, rng: random.Random, dialect: Dialect) -> HouseStyle:
        """Draw a style that is usual in the dialect."""
        british = dialect == "uk"
        return cls(
            dialect=dialect,
            shall=rng.choice(("shall", "shall", "will")),
            agreement=rng.choice(("agreement", "Agreement") if british else ("Agreement",)),
            clause="clause" if british else "Section",
            party=rng.choice(("party", "Party") if not british else ("party",)),
            numbers=rng.choice(("figures", "words") if british else ("both", "both", "figures")),
            money_code=rng.random() < 0.3,
            curly=rng.random() < 0.5,
            date_form=rng.randrange(3),
        )

    def number(self, number: int) -> str:
        """Return a number as this contract writes it: `thirty`, `30` or `thirty (30)`."""
        if self.numbers == "figures":
            return str(number)
        words = in_words(number)
        return words if self.numbers == "words" else f"{words} ({number})"

    def percent(self, number: str) -> str:
        """Return a percentage as this contract writes it."""
        if self.dialect == "uk":
            return f"{number}%" if self.numbers == "figures" else f"{number} per cent"
        if self.numbers == "both" and number.isdigit():
            return f"{in_words(int(number))} percent ({number}%)"
        return f"{number}%"

    def money(self, amount: int) -> str:
        """Return an amount in the contract's currency, with thousands separators."""
        if self.dialect == "uk":
            return f"GBP {amount:,}" if self.money_code else f"£{amount:,}"
        return f"US${amount:,}" if self.money_code else f"${amount:,}"

    def date(self, date: datetime.date) -> str:
        """Return a date in words, day first in British contracts."""
        month = MONTHS[date.month - 1]
        if self.dialect == "uk":
            day = str(date.day) if self.date_form % 2 == 0 else _ordinal(date.day)
            return f"{day} {month} {date.year}"
        forms = (
            f"{month} {date.day}, {date.year}",
            f"{month} {_ordinal(date.day)}, {date.year}",
            f"the {_ordinal(date.day)} day of {month}, {date.year}",
        )
        return forms[self.date_form]

    def quoted(self, text: str) -> str:
        """Return text with straight marks, or with curly ones: the same length, so offsets hold."""
        if not self.curly:
            return text
        return re.sub(r'"', _Alternating(), text).translate(_TYPOGRAPHIC)

    def spelt(self, text: str) -> str:
        """Return text in the contract's spelling."""
        return text if self.dialect == "uk" else respell(text)


class _Alternating:
    """Opening and closing quotation marks in turn."""

    def __init__(self) -> None:
        self.opened = False

    def __call__(self, match: re.Match[str]) -> str:
        self.opened = not self.opened
        return "“" if self.opened else "”"


def _ordinal(number: int) -> str:
    if number in (11, 12, 13):
        return f"{number}th"
    return f"{number}{({1: 'st', 2: 'nd', 3: 'rd'}).get(number % 10, 'th')}"
