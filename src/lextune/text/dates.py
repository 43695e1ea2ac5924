"""Dates as contracts and annotators write them, as ISO 8601 with an `X` for every digit that is not known.

`June 21, 1999` is `1999-06-21`; `[]/[]/2020` and `____ day of ____, 2020` are `2020-XX-XX`; `March 5` is
`XXXX-03-05`; `20[]` is `20XX` (the unspecified digits of ISO 8601-2, also known as EDTF). A contract that
runs until somebody ends it expires on the "date" `perpetual`.

`5/8/2014` can be read two ways. Its value is then the set of both, `[2014-05-08,2014-08-05]` ("one of a set" of ISO
8601-2), the month-first reading of the United States before the other; `5.8.2014` has the day first. A numeric date
beside it that can be read one way only decides it.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from lextune.text.numerals import NUMBER_WORDS, ORDINAL_WORDS, ordinal

PERPETUAL = "perpetual"
NEAR = 150  # characters before a value in which a word says what it is
START, END = "Effective Date", "Expiration Date"
UNKNOWN = "XXXX-XX-XX"

_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
_MONTHS |= {name[:3]: number for name, number in _MONTHS.items()} | {"sept": 9}
_MONTH = (
    "(?P<month>"
    + "|".join(
        f"(?:{name.title()}|{name.upper()}" + ("" if name in ("may", "march", "mar") else f"|{name}") + ")"
        for name in sorted(_MONTHS, key=len, reverse=True)
    )
    + r")\b\.?"
)
_BLANK = r"(?:\[(?:[^\w\[\]]|_)*+\]|(?<!_)_++|(?<![●•·…])[●•·…]++|(?<!\*)\*{2,}+|(?<!\.)\.{3,}+)"
_BLANKS = rf"(?>{_BLANK}(?:\s*{_BLANK}){{0,20}})"  # bounded and atomic: forms have long rules of underscores
_DAY = rf"\(?(?P<day>\d{{1,2}}|(?i:{ORDINAL_WORDS}))\s?(?:s\s?t|n\s?d|r\s?d|t\s?h)?\b\)?"  # "1s t": scanned text
_YEAR = rf"(?P<year>(?:1[6-9]|20)\d{{2}}(?!\d)|(?:19|20)\d?\s?{_BLANKS}|(?:19|20)\d?(?=\W*$))"
_PART = rf"(?:\d{{1,2}}|{_BLANKS})"
_ANY_YEAR = rf"(?:\d{{4}}(?!\d)|\d{{2,3}}{_BLANKS}|\d{{2}}(?!\d)|{_BLANKS})"

_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        r"\b(?P<year>\d{4}|\d{3}X|\d\dXX|XXXX)-(?P<month>\d\d|XX)-(?P<day>\d\d|XX)\b",
        rf"(?<![\w/])(?P<first>{_PART})(?P<sep>[/-])(?P<second>{_PART})(?P=sep)(?P<year>{_ANY_YEAR})",
        r"(?<![\d.])(?P<first>\d{1,2})(?P<sep>\.)(?P<second>\d{1,2})\.(?P<year>(?:19|20)\d{2})(?![\d.])",
        rf"(?<!\w){_DAY}\s*(?i:day\s*)?(?i:of\b)?[\s-]*(?:{_MONTH}|{_BLANKS})\s*,?\s*"
        rf"(?:(?:of|in the year)\s+)?{_YEAR}",
        rf"(?:{_BLANKS}(?:st|nd|rd|th)?|\bday of)\s*(?:day\s*)?(?:of\b)?\s*(?:{_MONTH}|{_BLANKS})?"
        rf"\s*,?\s*{_YEAR}",
        rf"(?<!\w){_DAY}\s*(?i:day\s*)?(?i:of\b)?\s*{_MONTH}(?!\s*,?\s*\d)",
        rf"\b{_MONTH}\s*(?:(?:the\s+)?(?:{_DAY}|{_BLANKS}))?\s*(?:,|of|in the year)?\s*{_YEAR}",
        rf"(?<!\b\d\s)(?<!\b\d\d\s)(?<!\d(?:st|nd|rd|th)\s)\b{_MONTH}\s+{_DAY}(?!\s*,?\s*\d)",
        rf"^\W*{_YEAR}\W*$",
    )
)
DAY_FIRST, MONTH_FIRST = "day first", "month first"
_NUMERIC = re.compile(r"(?<![\w/-])(\d{1,2})([/.-])(\d{1,2})\2(?:(?:19|20)\d{2}|(?<!\.)\d{2})")
_ONE_OF = re.compile(r"\[[\dX]{4}-[\dX]{2}-[\dX]{2}(?:,[\dX]{4}-[\dX]{2}-[\dX]{2})+\]")
_FOR_EVER = re.compile(
    r"\bperpetual(?:ly)?\b|\bin perpetuity\b|\bindefinite(?:ly)?\b|\bunlimited (?:period|term|duration)\b",
    re.I,
)
_UNTIL_ENDED = re.compile(
    r"\b(?:until|unless and until|when)\s+(?:it is |this agreement is |such time as )?(?:earlier |sooner )?"
    r"(?:terminated|canceled|cancelled)\b|\buntil\s+(?:either|one|any|a) part(?:y|ies)\b",
    re.I,
)
_LENGTH = re.compile(r"\b(?:years?|months?|anniversary)\b", re.I)
_START_FIELD = re.compile(r"effective|agreement date|commence|start|sign", re.I)
_END_FIELD = re.compile(r"expir|terminat|\bend", re.I)
_START_CUE = re.compile(r"\b(?:effective|commenc\w*|begin\w*|start\w*|from|in force)\b[^.;]{0,60}$", re.I)
_END_CUE = re.compile(
    r"\b(?:until|through|thru|up to|to|expir\w*|end(?:s|ed|ing)?|terminat\w*|conclud\w*)\b[^.;]{0,40}$", re.I
)
_COUNTED = re.compile(
    r"(?:\b(?:days?|weeks?|months?|quarters?|years?|anniversary)\b[^.;]{0,40}"
    r"\b(?:after|following|before|preceding|prior\s+to)"
    rf"|(?:\banniversary|(?:\b{NUMBER_WORDS}|\d)\)?[\s-]*(?:\w+\s+)?(?:days?|weeks?|months?|quarters?|years?))"
    r"\s+of)\s+(?:the\s+)?(?:(?:\w+\s+)?date\s+of\s+)?$",
    re.I,
)
_SINCE = re.compile(
    r"['’]?(?:\s+anniversary)?\s+(?:after|following|of)\s+(?:the\s+)?(?:(?:\w+\s+)?date\s+of\s+)?", re.I
)
_ENDS_EFFECTIVE = re.compile(r"\b(?:terminat|expir|end)\w*[\s,]+(?:be\s+)?effective\b[^.;]{0,40}$", re.I)


class FoundDate(NamedTuple):
    """One date in a text: ISO 8601 with X for unknown digits, and where it stands.

    `other` is the date that it also can be, day and month changed; empty where it can be read one way only.
    """

    value: str
    start: int
    end: int
    other: str = ""

    @property
    def stated(self) -> str:
        """The value as it leaves: the date, or the set of both readings."""
        return one_of((self.value, self.other) if self.other else (self.value,))

    @property
    def has_year(self) -> bool:
        """Say whether at least the century is known."""
        return self.value[:2] != "XX"


def number_orders(text: str) -> set[str]:
    """Return the orders that the numeric dates of a text show: of 01/31/2020 and 31/01/2020 one is certain each."""
    pairs = [(int(m[1]) > 12, int(m[3]) > 12) for m in _NUMERIC.finditer(text)]
    return {DAY_FIRST if first else MONTH_FIRST for first, second in pairs if first != second}


def find_dates(text: str) -> list[FoundDate]:
    """Return every date in `text`, in order and without overlaps; the longest reading of a place wins."""
    found = sorted(_readings(text), key=lambda date: (date.start, -date.end))
    dates: list[FoundDate] = []
    for date in found:
        if not dates or date.start >= dates[-1].end:
            dates.append(date)
    return dates


def one_of(dates: Iterable[str]) -> str:
    """Return the value that is one of some dates, the likeliest first: the date itself where there is one only."""
    different = list(dict.fromkeys(dates))
    return different[0] if len(different) == 1 else f"[{','.join(different)}]"


def readings(value: str) -> tuple[str, ...]:
    """Return the dates that a value can be, the likeliest first."""
    return tuple(value.strip("[]").split(","))


def read_date(text: str, field: str = "") -> str | None:
    """Return the date that a quote or an annotated answer states, None where it states none.

    Args:
        text: a whole answer or a whole quoted sentence, its white space collapsed.
        field: the field's name. Where several dates stand in `text`, an expiration takes the one after
            "until", "ending" and the like, an effective date the one after "effective", "commencing" and
            the like, and any other field the first; a date with a year goes before one without.
    """
    if _ONE_OF.fullmatch(text):
        return text
    dates = find_dates(text)
    dates = [date for date in dates if date.has_year] or dates
    if names_end(field):
        return _end(text, dates)
    if _START_FIELD.search(field):
        return _start(text, dates)
    return dates[0].stated if dates else PERPETUAL if is_perpetual(text) else None


def names_start(field: str) -> bool:
    """Say whether a field with this name asks for the date on which something begins."""
    return _START_FIELD.search(field) is not None and not names_end(field)


def names_end(field: str) -> bool:
    """Say whether a field with this name asks for the date on which something ends."""
    return _END_FIELD.search(field) is not None


def is_perpetual(text: str) -> bool:
    """Say whether `text` names no end: in perpetuity, or until somebody terminates and no length given."""
    return bool(_FOR_EVER.search(text) or (_UNTIL_ENDED.search(text) and not _LENGTH.search(text)))


def same_date(gold: str, answer: str) -> bool:
    """Say whether `answer` has every digit that `gold` knows; what `gold` leaves open is not compared.

    Of a date that can be read two ways the likelier reading is compared.
    """
    gold, answer = readings(gold)[0], readings(answer)[0]
    if PERPETUAL in (gold, answer) or len(gold) != len(answer):
        return gold == answer
    return all(wanted in ("X", given) for wanted, given in zip(gold, answer, strict=True))


def counted_from(text: str, end: int) -> str | None:
    """Return the date after which a length of time is counted, "five years after January 1, 2019"; None where none is.

    Args:
        text: a whole quoted passage, its white space collapsed.
        end: where the length ends; the date follows it directly.
    """
    since = _SINCE.match(text, end)
    if since is None:
        return None
    return next((date.stated for date in find_dates(text) if date.start == since.end() and date.has_year), None)


def runs_until_ended(text: str) -> bool:
    """Say whether `text` lets something run until somebody ends it."""
    return _UNTIL_ENDED.search(text) is not None


def _start(text: str, dates: list[FoundDate]) -> str | None:
    since, others = 0, []
    for date in dates:
        before = text[max(since, date.start - NEAR) : date.start]
        ends = _END_CUE.search(before)
        starts = _START_CUE.search(before)
        if starts and not (ends and ends.start() > starts.start()):
            return date.stated
        if not ends:
            others.append(date.stated)
        since = date.end
    return others[0] if others else None


def _end(text: str, dates: list[FoundDate]) -> str | None:
    ends = _named_end(text, dates)
    if ends is not None:
        return ends
    if is_perpetual(text):
        return PERPETUAL
    before = {date: text[max(0, date.start - NEAR) : date.start] for date in dates}
    others = [date for date in dates if not _START_CUE.search(before[date]) and not _COUNTED.search(before[date])]
    return others[-1].stated if others and not _LENGTH.search(text) else None


def _named_end(text: str, dates: list[FoundDate]) -> str | None:
    """Return the first date that follows a word for an end, with no other date and no word for a start between them.

    A date that a length is counted from is none.
    """
    since = 0
    for date in dates:
        before = text[max(since, date.start - NEAR) : date.start]
        since = date.end
        if _COUNTED.search(before):
            continue
        ends, starts = _END_CUE.search(before), _START_CUE.search(before)
        if _ENDS_EFFECTIVE.search(before) or (ends and not (starts and starts.start() > ends.start())):
            return date.stated
    return None


def _readings(text: str) -> Iterator[FoundDate]:
    orders = number_orders(text)
    for pattern in _PATTERNS:
        for match in pattern.finditer(text):
            parts = match.groupdict()
            value, other = _value(parts), None
            sep = parts.get("sep")
            if sep is not None and "X" not in (value or ""):  # 5/8/2014: which of the two is the month is not said
                day_first = orders == {DAY_FIRST} or (sep == "." and orders != {MONTH_FIRST})
                other = _value(parts | {"first": parts["second"], "second": parts["first"]})
                value, other = (other, value) if day_first else (value, other)
            if value is not None:
                yield FoundDate(value, match.start(), match.end(), "" if orders or other in (None, value) else other)


def _value(parts: dict[str, str | None]) -> str | None:
    """Return the ISO form of one match, None where it is no date of the calendar."""
    year = _year(parts.get("year"))
    if "first" in parts:
        month, day = _two(parts["first"], _plain), _two(parts["second"], _plain)
        if month.isdigit() and int(month) > 12:  # 31/01/2025: the day is written first
            month, day = day, month
    else:
        month, day = _two(parts.get("month"), _month), _two(parts.get("day"), _day)
    value = f"{year}-{month}-{day}"
    return value if value != UNKNOWN and _exists(year, month, day) else None


def _exists(year: str, month: str, day: str) -> bool:
    if month.isdigit() and not 1 <= int(month) <= 12:
        return False
    if not day.isdigit():
        return True
    if not month.isdigit():
        return 1 <= int(day) <= 31
    last = calendar.monthrange(int(year) if year.isdigit() and int(year) else 2000, int(month))[1]
    return 1 <= int(day) <= last


def _year(text: str | None) -> str:
    digits = re.sub(r"[^\dX]", "", text or "")
    if len(digits) == 2 and text is not None and text.strip().isdigit():
        return ("20" if digits < "50" else "19") + digits
    return digits.ljust(4, "X")


def _two(text: str | None, read: Callable[[str], int | None]) -> str:
    number = read(text.lower()) if text else None
    return "XX" if number is None else f"{number:02d}"


def _plain(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _month(text: str) -> int | None:
    return _MONTHS.get(text, _plain(text))


def _day(text: str) -> int | None:
    return ordinal(text) or _plain(text)
