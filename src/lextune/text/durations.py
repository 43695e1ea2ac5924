"""Lengths of time: `one (1) year`, `successive 12-month periods`, `thirty (30) days`, `perpetual`.

A duration is `{"value": 1, "unit": "year"}`, with `"successive": true` where it repeats, or `"perpetual"`.
"""

from __future__ import annotations

import calendar
import datetime
import re
from typing import Any, NamedTuple

from lextune.text.dates import (
    END,
    NEAR,
    PERPETUAL,
    START,
    counted_from,
    is_perpetual,
    one_of,
    read_date,
    readings,
    runs_until_ended,
)
from lextune.text.numerals import NUMBER_WORDS, ORDINAL_WORDS, number, ordinal

DAYS = {
    "day": 1.0,
    "business day": 7 / 5,
    "week": 7.0,
    "month": 365.25 / 12,
    "quarter": 365.25 / 4,
    "year": 365.25,
}
"""Days of each unit; months and years are those of the Julian calendar."""

_MONTHS, _WHOLE_DAYS = {"month": 1, "quarter": 3, "year": 12}, {"day": 1, "week": 7}

TOLERANCE = 0.02
"""Two lengths are the same within 2 %: 30 days are a month, 180 days six; 4 weeks are no month."""

_BRACKETS = rf"(?:\s*(?:\(\s*(?:[\d./½]{{1,7}}|{NUMBER_WORDS})\s*\)|\)))?"
_ANY_NUMBER = rf"(?:\b(?>{NUMBER_WORDS})|(?<![\d.,$])(?<!\d[/:])\d{{1,3}}){_BRACKETS}"
_THAN = (
    r"(?:(?:in\s+no\s+event|not?)\s+)?"
    r"(?:(?:more|less|fewer|greater|longer|later|earlier)\s+than|at\s+(?:least|most)|up\s+to)\s+"
)
_JOINT = rf"(?:\s*(?P<dash>[-\u2010-\u2014])\s*|,?\s+(?:to|or|nor|but|(?P<and>and))\s+(?P<than>{_THAN})?)"
_OTHERS = rf"(?P<others>(?:{_ANY_NUMBER}\s*,\s*){{0,3}}{_ANY_NUMBER}{_JOINT})"  # "three (3), five (5) or" ten years
_FRACTION = r"\d{1,3}/\d{1,3}|\d{0,3}\s?[¼½¾]|(?:\b(?:one|an?)[\s-]+)?\bhalf(?:[\s-]+(?:of\s+)?an?)?\b"
_NUMBER = rf"(?:\b(?P<words>{NUMBER_WORDS})|(?<![\d.,])(?<!\d/)(?:(?P<digits>\d{{1,4}})|(?P<fraction>{_FRACTION})))"
_BEGINS = rf"(?=[\d¼½¾]|\b(?:{NUMBER_WORDS}|half|an?)\b)"  # what is no number is passed over at once
_KIND = r"(?:(?:full|calendar|consecutive|additional|successive|contract|business|working|banking)[\s-]+)*"
_UNIT = r"(?P<unit>days?|weeks?|months?|quarters?|years?)\b"
_DURATION = re.compile(rf"{_BEGINS}{_OTHERS}?{_NUMBER}{_BRACKETS}[\s~-]*(?P<kind>{_KIND}){_UNIT}", re.I)
_STATED = re.compile(rf"\b{NUMBER_WORDS}|\d+(?:[./]\d+|½)?", re.I)
_AND_MORE = re.compile(rf"\s*(?P<joint>,|and|,\s*and)\s+{_DURATION.pattern}", re.I)
_AND_HALF = re.compile(r"\s+and\s+(?:an?|one)[\s-]+half\b(?!\s+of\b)", re.I)
_BETWEEN, _BARE = re.compile(r"\bbetween\s+$", re.I), re.compile(r"[\d\s,]+(?:and\s+)?", re.I)
LABEL = re.compile(
    rf"(?:\b(?:{'|'.join(calendar.month_name[1:])}|section|article|clause|paragraph|exhibit|schedule|annex|appendix"
    r"|phase|version|part|item|lot|step|stage|tier|level|option|table|chapter|attachment|addendum|amendment|milestone"
    r"|page|line|rule|form|number|(?<!each )(?<!every )(?<!per )(?<!any )(?<!a )year)(?:e?s)?|\bnos?\.|[§#])\s*$",
    re.I,
)
"""What stands before a number that is the name of a thing: `Section 9`, `June 1`."""
_PERIODIC = re.compile(
    r"\b(?P<unit>year|month|quarter|week)[- ]to[- ](?P=unit)\b|\b(?:each|every|per|an?|another)"
    r"\s+(?:calendar\s+)?(?P<each>year|month|quarter)\b(?![\s-]to\b)|\b(?P<adverb>annual|yearly|monthly|quarterly)"
    r"\s+(?:basis|periods?|terms?|renewals?)|\b(?P<ly>annually|yearly|monthly|quarterly)\b",
    re.I,
)
_NO_PERIOD = re.compile(r"\b(?:half|semi|bi)[\s-]*(?:of\s+)?$", re.I)
_ONE_PERIOD = re.compile(r"\b(?:period|term)\s+of\s+$", re.I)
_ANNIVERSARY = re.compile(
    rf"\b(?P<nth>{ORDINAL_WORDS}|\d{{1,2}}(?=\s?[snrt]\s?[tdh]\b))[^\W\d]{{0,2}}\s*(?:\([^()]*\)\s*)?(?:year\s+)?anniversary",
    re.I,
)
_IS_YEAR = re.compile(r"(?:19|20)\d\d")
_SUCCESSIVE = re.compile(r"\bsucc?c?e?s{1,2}ive\b|\bconsecutive\b|\brenewals\b|\bsubsequent\b", re.I)
_RENEWAL_FIELD, _NOTICE_FIELD = re.compile(r"renewal term|extension", re.I), re.compile(r"notice", re.I)
_RENEWAL_CUE = re.compile(
    r"\b(?:renew\w*|exten\w*|additional|another|further|thereafter|subsequent|succ?c?e?s{1,2}ive|consecutive)\b"
    r"[^.;]{0,90}$",
    re.I,
)
_REPEATS = re.compile(r"renew|\w-to-|\w to ", re.I)
_BEFORE_NOTICE = re.compile(r"\b(?:at least|less than|later than|fewer than|minimum of|within|upon)\W+$", re.I)
_TERM = re.compile(r"\W+(?:terms?|periods?)\b", re.I)
_AFTER_NOTICE = re.compile(
    r"^['’]?\W{0,3}(?:(?:written|of|in|an?|advanced?|days)\W+){0,3}?(?:prior|before|notice|notification|advance)\b",
    re.I,
)


class _Found(NamedTuple):
    """A length in a text: the least of the numbers stated for it, None of a fraction; not sure where there are more."""

    value: int | None
    unit: str
    start: int
    end: int
    sure: bool = True


def read_duration(text: str, field: str = "") -> Any | None:
    """Return the length of time that a quote or an annotated answer states, None where it states none.

    Of a range, of alternatives and of words and digits at odds the least counts for a notice; any other length
    cannot be told then, nor one with a fraction.

    Args:
        text: a whole answer or a whole quoted sentence, its white space collapsed.
        field: the field's name. Where several lengths stand in `text`, a notice period takes the one by
            "prior", "notice" and the like, a renewal term the one after "renew", "additional" and the like
            that is no notice period, and any other field the first.
    """
    found = _find(text)
    if _NOTICE_FIELD.search(field):
        candidates = [one for one in found if _is_notice(text, one)] or found
    elif _RENEWAL_FIELD.search(field):
        candidates = _renewals(text, found)
    else:
        candidates = found or _periodic(text)
    chosen = candidates[0] if candidates else None
    if chosen is None:
        return PERPETUAL if is_perpetual(text) or runs_until_ended(text) else None
    notice = _NOTICE_FIELD.search(field) or _AFTER_NOTICE.search(text[chosen.end : chosen.end + NEAR])
    if not chosen.value or not (chosen.sure or notice):
        return None
    duration: dict[str, Any] = {"value": chosen.value, "unit": chosen.unit}
    if _SUCCESSIVE.search(text[max(0, chosen.start - 60) : chosen.end]) or _is_periodic(text, chosen):
        duration["successive"] = True
    return duration


def days(duration: Any) -> float | None:
    """Return a duration in days, infinity for `perpetual`, None where it is no duration."""
    if duration == PERPETUAL:
        return float("inf")
    if not isinstance(duration, dict) or duration.get("unit") not in DAYS:
        return None
    value = duration.get("value")
    return value * DAYS[duration["unit"]] if isinstance(value, int | float) else None


def same_duration(gold: Any, answer: Any) -> bool:
    """Say whether two durations are equally long, within `TOLERANCE`; whether they repeat is not compared.

    CUAD's annotators are not of one mind about "successive", so it says nothing about who is right.
    """
    a, b = days(gold), days(answer)
    if a is None or b is None:
        return False
    return a == b or abs(a - b) <= TOLERANCE * min(a, b)


def end_of_term(text: str, start: str | None = None) -> str | None:
    """Return the date on which the term that a quote describes ends.

    The date that is named; else the length of the term counted from its start, `five (5) years from the
    Effective Date` from `2010-03-01` to `2015-03-01`, as CUAD's annotators count; else `perpetual` where it
    runs until somebody ends it.

    Args:
        text: the quoted passage, its white space collapsed.
        start: the date from which the term runs, for a passage that does not name it.

    Returns:
        An ISO 8601 date or `perpetual`, None where it cannot be told.
    """
    named = read_date(text, END)
    if named is not None:
        return named
    lengths = [one for one in _find(text) if not _is_notice(text, one)]
    lengths += [_Found(_ordinal(m["nth"]), "year", m.start(), m.end()) for m in _ANNIVERSARY.finditer(text)]
    if not lengths:
        return None
    term = min(lengths, key=lambda one: one.start)
    if term.value is None or not term.sure:
        return None
    since = counted_from(text, term.end) or read_date(text, START) or start or ""
    return end_of(since, {"value": term.value, "unit": term.unit})


def end_of(start: str, duration: Any) -> str | None:
    """Return the date one duration after `start`: `1999-06-21` and one year give `2000-06-21`.

    Args:
        start: an ISO 8601 date; a partial one gives a partial end where whole years are added to a known
            year, and whole months to a known month.
        duration: as `read_duration` returns it. A month's last day stays the last day of a shorter month.

    Returns:
        The date, `perpetual` after a perpetual duration, None where it cannot be told.
    """
    if duration == PERPETUAL:
        return PERPETUAL
    ends = [end for one in readings(start) if (end := _end_of(one, duration)) is not None]
    return one_of(ends) if ends else None


def _end_of(start: str, duration: dict[str, Any]) -> str | None:
    months, days_more = (
        _MONTHS.get(duration["unit"], 0) * duration["value"],
        _WHOLE_DAYS.get(duration["unit"], 0),
    )
    if not months and not days_more:
        return None
    try:
        year, month, day = start.split("-")
        if days_more:
            last = datetime.date.fromisoformat(start) + datetime.timedelta(days=days_more * duration["value"])
            return last.isoformat()
        if month == "XX" and months % 12 == 0:
            return f"{int(year) + months // 12:04d}-XX-{day}"
        more, index = divmod(int(month) - 1 + months, 12)
        year_then = int(year) + more
        if day != "XX":
            day = f"{min(int(day), calendar.monthrange(year_then, index + 1)[1]):02d}"
        return f"{year_then:04d}-{index + 1:02d}-{day}"
    except (ValueError, OverflowError, calendar.IllegalMonthError):
        return None


def _ordinal(text: str) -> int:
    return ordinal(text) or int(text)


def _find(text: str) -> list[_Found]:
    found, at = [], 0
    while match := _DURATION.search(text, at):
        one = _read(match)
        if one is not None:
            one = _with_more(text, one)
            found.append(one)
        at = one.end if one is not None else match.end()
    return found


def _read(match: re.Match[str]) -> _Found | None:
    if match["digits"] and match["unit"].lower() == "year" and _IS_YEAR.fullmatch(match["digits"]):
        return None  # "the 2019 calendar year"
    unit = match["unit"].lower().rstrip("s")
    if unit == "day" and re.search("business|working|banking", match["kind"], re.I):
        unit = "business day"
    start = match.start()
    if match["others"] and not _are_alternatives(match):
        start = match.end("others")
    if match["fraction"]:
        return _Found(None, unit, start, match.end())
    stated = [number(one) for one in _STATED.findall(match.string, start, match.start("kind"))]
    known = [one for one in stated if one is not None]
    if not any(known):
        return None
    return _Found(min(known), unit, start, match.end(), len(set(stated)) == 1)


def _are_alternatives(match: re.Match[str]) -> bool:
    """Say whether the numbers before a length are alternatives to its own: no `June 1 and`, no `2-` of 1-year terms.

    Bare digits before an "and" are none, unless it goes on with "no more than" and the like, or begins with "between".
    """
    before = match.string, max(0, match.start() - NEAR), match.start()
    if LABEL.search(*before):
        return False
    if match["and"] and not match["than"] and _BARE.fullmatch(match["others"]) and not _BETWEEN.search(*before):
        return False
    if not match["dash"] or match["fraction"]:
        return True
    counts, own = map(number, _STATED.findall(match["others"])), number(match["words"] or match["digits"])
    return any(count is not None and own is not None and count < own for count in counts)


def _with_more(text: str, one: _Found) -> _Found:
    """Return a length with what "and" adds to it: years and months as months, anything else as what cannot be told."""
    if half := _AND_HALF.match(text, one.end):
        return one._replace(value=None, end=half.end())
    match = _AND_MORE.match(text, one.end)
    more = _read(match) if match is not None else None
    if match is None or more is None:
        return one
    if (one.unit, more.unit) == ("year", "month"):
        months = 12 * one.value + more.value if one.value and more.value and one.sure and more.sure else None
        return _Found(months, "month", one.start, more.end)
    if match["joint"] == "," or _is_notice(text, more):
        return one
    return one._replace(value=None, end=more.end)


def _renewals(text: str, found: list[_Found]) -> list[_Found]:
    """Return the lengths a renewal can have, best first; none where it runs until somebody ends it."""
    lengths, periodic = [one for one in found if not _is_notice(text, one)], _periodic(text)
    cued = [
        one
        for one in sorted([*lengths, *periodic], key=lambda one: one.start)
        if _RENEWAL_CUE.search(_before(text, one)) or _REPEATS.search(text, one.start, one.end)
    ]
    return cued or ([] if not periodic and runs_until_ended(text) else lengths or periodic)


def _before(text: str, one: _Found) -> str:
    return text[max(0, one.start - NEAR) : one.start]


def _is_notice(text: str, one: _Found) -> bool:
    if _AFTER_NOTICE.search(text[one.end : one.end + 60]):
        return True
    return bool(_BEFORE_NOTICE.search(_before(text, one))) and not _TERM.match(text, one.end)


def _periodic(text: str) -> list[_Found]:
    found = []
    for match in _PERIODIC.finditer(text):
        if _NO_PERIOD.search(text, max(0, match.start() - NEAR), match.start()):
            continue
        word = (match["unit"] or match["each"] or match["adverb"] or match["ly"]).lower().removesuffix("ly")
        found.append(_Found(1, "year" if word == "annual" else word, match.start(), match.end()))
    return found


def _is_periodic(text: str, one: _Found) -> bool:
    if _ONE_PERIOD.search(text, max(0, one.start - NEAR), one.start):
        return False
    return _PERIODIC.fullmatch(text[one.start : one.end]) is not None
