"""Numbers that nothing but the words before them tells from other numbers: "Passport No. 533380006"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from lextune.data.privacy.kinds import Finding, Kind

DASH = "\u2010\u2011\u2012\u2013\\-"  # for a class of characters
DATE = re.compile(rf"\d{{1,2}}[/.{DASH}]\d{{1,2}}[/.{DASH}]\d{{2,4}}|\d{{4}}[/.{DASH}]\d{{1,2}}[/.{DASH}]\d{{1,2}}")
_DIGIT = re.compile(r"\d")

_NEAR = r"[^\d]{0,40}?"  # a few words without a digit
_NO_MONEY = r"[^\d$€£]{0,30}?"
_CODE = rf"(?:[A-Z]{{1,5}}[ {DASH}]?)?\d[A-Z\d]{{0,14}}(?:[ {DASH}][A-Z\d]{{0,6}}\d[A-Z\d]{{0,6}}){{0,5}}"
_S = r"[ \t\n]+"


class Labelled(NamedTuple):
    """A label, the value that follows within `between`, and the least number of digits of such a value."""

    kind: Kind
    rule: str
    pattern: re.Pattern[str]
    digits: int


def _row(kind: Kind, rule: str, labels: tuple[str, ...], value: str, digits: int) -> Labelled:
    between = _NO_MONEY if kind == "account" else _NEAR
    label = "|".join(labels)
    pattern = rf"(?<![^\W_])(?i:{label}){between}(?<![\w$€£])(?P<value>{value})(?![^\W_])"
    return Labelled(kind, f"{kind}: {rule}", re.compile(pattern), digits)


LABELLED: tuple[Labelled, ...] = (
    _row(
        "id",
        "social security",
        (r"SSN", r"S\.S\.N\.?", rf"social{_S}security", r"SIN\b", rf"social{_S}insurance"),
        r"\d{3}[ -]?\d{2,3}[ -]?\d{3,4}|[Xx*\d][Xx*\d -]{3,9}\d{4}",
        4,
    ),
    _row(
        "id",
        "tax",
        (
            rf"tax(?:payer)?(?:['’]?s)?{_S}(?:id\b|identification|reference|ref\b|I\.D\.?|no\b|number)",
            r"F?EIN\b",
            rf"employer(?:['’]s)?{_S}identification",
            r"I?TIN\b",
            r"UTR\b",
        ),
        r"(?:\d{2}-\d{7}|\d{3}-\d{2}-\d{4}|\d{9,10}|\d{5}[ -]\d{5}|\d{3} \d{3} \d{3})K?",
        8,
    ),
    _row(
        "id",
        "national insurance",
        (rf"national{_S}insurance", r"NINO\b", r"NI[ \t](?:no|number|#)"),
        r"[A-Za-z]{2}[ -]?\d{2}[ -]?\d{2}[ -]?\d{2}(?:[ -]?[A-Da-d])?",
        6,
    ),
    _row(
        "id",
        "passport",
        (r"passports?",),
        rf"[A-Z]{{0,3}}[ -]?\d{{3}}[ -]?\d{{3}}[ -]?\d{{1,3}}[A-Z]{{0,2}}|{_CODE}",
        5,
    ),
    _row(
        "id",
        "driving licence",
        (
            rf"driv(?:er|ing|ers|er['’]s|ers['’]){_S}(?:licen[cs]e|permit)",
            r"operator['’]?s['’]?[ ]licen[cs]e",
            r"DVLA",
            r"D\.?L\.?[ \t]{0,2}(?:no|number|#|:)",
        ),
        rf"[A-Z]{{1,5}}9{{0,4}}[ -]?\d{{6}}[ -]?[A-Z\d]{{2}}[ -]?\w[A-Z]{{2}}|{_CODE}|[A-Z]{{3,8}}[A-Z\d*]{{4,9}}",
        3,
    ),
    _row(
        "id",
        "health",
        (
            r"NHS[ \t]+(?:no|number|#)",
            r"medicare",
            r"medicaid",
            r"health (?:card|insurance)[ \t]+(?:no|number|id|#)",
            r"MBI\b",
        ),
        _CODE,
        5,
    ),
    _row(
        "id",
        "identity",
        (
            r"(?:identity|identification|ID|green)[ \t]+card",
            r"(?:national|state|military|personal|government|voter)[ \t]+(?:id\b|identity|identification|I\.D\.?)",
            r"(?:employee|staff|payroll|student|patient)[ \t]+(?:id\b|no\b|number|I\.D\.?)",
            r"alien[ \t]+registration",
            r"USCIS",
            r"residence permit",
            r"visa (?:no|number)",
        ),
        _CODE,
        4,
    ),
    _row(
        "account",
        "number",
        (
            r"(?:account|acct|acc|a/c)\.?[ \t\n]*(?:no\b|nos\b|number|num\b|nr\b|#|:|id\b)",
            r"(?:beneficiary|checking|savings|current|deposit|bank)[ \t]+account",
        ),
        r"\d(?:[ -]?\d){4,18}",
        5,
    ),
    _row(
        "account",
        "routing",
        (r"routing", r"ABA\b", r"transit", r"RTN\b", r"sort[ \t-]?code", r"BSB\b"),
        r"\d{2}[ -]?\d{2}[ -]?\d{2}|\d{9}|\d{4}-\d{4}-\d",
        6,
    ),
    _row(
        "account",
        "card",
        (
            r"(?:credit|debit|payment)[ \t]+card",
            r"card[ \t]+(?:no\b|number|#)",
            r"visa",
            r"mastercard",
            r"amex",
            r"american express",
        ),
        r"\d(?:[ -]?\d){11,18}",
        12,
    ),
)


def labelled(text: str, kind: Kind) -> Iterator[Finding]:
    """Yield the values of a kind that a label names; dates are no ids, though sort codes look like them."""
    for row in LABELLED:
        if row.kind != kind:
            continue
        for match in row.pattern.finditer(text):
            value = match.group("value")
            if len(_DIGIT.findall(value)) >= row.digits and (kind == "account" or not DATE.fullmatch(value)):
                yield Finding(kind, *match.span("value"), 0.9, row.rule)
