"""What a value is: the null contract, normalised answers by field type, and when two of them are the same.

The null contract is stated once, here, for importers, trainer, scorer and server: on input `N/A`, `none`,
`not specified`, an empty string or list and `No related clause` are null, and so is `No` without a quote;
only `null` ever leaves.

| type | a normalised answer |
| --- | --- |
| boolean | true or false |
| text | the text, its white space collapsed |
| date | ISO 8601, an X for every unknown digit (`2020-XX-XX`); `[2014-05-08,2014-08-05]` of two; `perpetual` |
| duration | `{"value": 1, "unit": "year"}`, with `"successive": true` where it repeats; or `perpetual` |
| parties | a list of `{"name": "Birch LLC", "role": "Distributor"}`; a party without a role has null there |
| jurisdiction | a state's or country's usual name; several are joined by `; ` |
| money | `{"amount": 1000000, "currency": "USD"}` |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from lextune.text.dates import NEAR, names_end, names_start, read_date, same_date
from lextune.text.durations import LABEL, end_of_term, read_duration, same_duration
from lextune.text.jurisdictions import read_jurisdiction, same_jurisdiction
from lextune.text.numerals import NUMBER_WORDS, number
from lextune.text.parties import read_roles, same_parties
from lextune.text.tokens import jaccard, tokens

NULL = "null"
"""The answer that says that there is none: the only word for it that is taught and that leaves."""

_NULLS = frozenset({"", "n/a", "none", "not specified", "no related clause", "[]"})
_YES, _NO = frozenset({"yes", "true"}), frozenset({"no", "false"})

TEXT_MATCH = 0.85
"""Two texts are the same from this token Jaccard on."""

CENT = 0.01
"""Two amounts of money are the same if they differ by less."""


def is_null(value: Any, *, quoted: bool) -> bool:
    """Say whether a value on input means that nothing was found: the null contract.

    Args:
        value: what an annotator, a model or a request gave, of any JSON type; a list is null when all it
            holds is.
        quoted: whether a quote from the document comes with it. `No` and `False` are null without one.
    """
    if value is None:
        return True
    if isinstance(value, bool):
        return not value and not quoted
    if isinstance(value, str):
        word = _word(value)
        return word in _NULLS or (word in _NO and not quoted)
    if isinstance(value, list | tuple):
        return all(is_null(item, quoted=quoted) for item in value)
    return isinstance(value, Mapping) and not value


def in_words(value: Any) -> str:
    """Return a normalised value as a reader wants it (`yes`, `Birch LLC (Distributor)`, `30 days`), none as nothing."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return "; ".join(map(in_words, value))
        case {"name": name, **others}:
            return f"{name} ({others['role']})" if others.get("role") else str(name)
        case {"value": count, "unit": unit, **others}:
            return f"{count} {unit}{'' if count == 1 else 's'}{', successive' if others.get('successive') else ''}"
        case {"amount": amount, "currency": currency}:
            return f"{currency} {amount:,}"
        case Mapping():
            return ", ".join(f"{key}: {in_words(each)}" for key, each in value.items() if each is not None)
        case _:
            return str(value)


def normalise(kind: str, text: str, *, field: str = "") -> Any | None:
    """Return the value that an annotated answer or a whole quoted passage states, None where it states none.

    Args:
        kind: the field's type, one of the table above.
        text: the answer ("6/21/1999") or the quote ("... made as of June 21, 1999, by and between ...");
            several quotes are joined by line breaks.
        field: the field's name, which chooses where a passage holds several values: the renewal or the
            notice period, the start or the end.

    Raises:
        KeyError: no such type.
    """
    read = _READERS[kind]
    if is_null(text, quoted=True):
        return None
    if kind != "parties":  # line breaks part one name from the next
        text = " ".join(text.split())
    return read(text, field)


def end_from(text: str, starts: Mapping[str, Any]) -> str | None:
    """Return the date on which a term ends that a passage counts from a start which other fields state.

    Args:
        text: the quoted passage.
        starts: the values of date fields, by name: one that names a start of effect goes before the date of signing.

    Returns:
        As `lextune.text.durations.end_of_term`; None where no field states a start.
    """
    known = [(name, date) for name, date in starts.items() if isinstance(date, str) and names_start(name)]
    known.sort(key=lambda item: "agreement" in item[0].casefold() or "sign" in item[0].casefold())
    return end_of_term(" ".join(text.split()), known[0][1]) if known else None


def same_value(kind: str, gold: Any, answer: Any) -> bool:
    """Say whether a normalised answer is right, given the normalised gold one.

    Booleans are compared exactly, texts by the token Jaccard, dates by the digits that `gold` knows,
    durations by their length, jurisdictions as sets, parties as sets of names, money by currency and cent.
    A null on either side or an answer of another shape is never right.

    Raises:
        KeyError: no such type.
    """
    shape, same = _COMPARERS[kind]
    return isinstance(gold, shape) and isinstance(answer, shape) and same(gold, answer)


_SYMBOLS = {"$": "USD", "US$": "USD", "U.S.$": "USD", "C$": "CAD", "CA$": "CAD", "A$": "AUD", "HK$": "HKD"}
_SYMBOLS |= {"AU$": "AUD", "NZ$": "NZD", "S$": "SGD", "SG$": "SGD", "R$": "BRL"}
_SYMBOLS |= {"€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR"}
_CODES = "USD|EUR|GBP|CAD|AUD|JPY|CNY|RMB|CHF|INR|HKD|SGD|SEK|NOK|DKK|NZD|KRW|BRL|MXN|ZAR|ILS|CDN"
_NAMES = {
    "dollar": "USD",
    "euro": "EUR",
    "pound": "GBP",
    "yen": "JPY",
    "renminbi": "CNY",
    "yuan": "CNY",
    "franc": "CHF",
}
_NAMES |= {"rupee": "INR"}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "lakh": 10**5, "crore": 10**7}
_SCALES |= {"k": 10**3, "m": 10**6, "mm": 10**6, "mn": 10**6, "mil": 10**6, "mio": 10**6, "mln": 10**6}
_SCALES |= {"bn": 10**9, "bln": 10**9, "tn": 10**12}
_NATIONS = {"canadian": "CAD", "australian": "AUD", "singapore": "SGD", "hong kong": "HKD", "new zealand": "NZD"}
_NATIONS |= {"us": "USD", "u.s.": "USD", "united states": "USD"}
_OTHER_NATIONS = (  # whose currency is a $ too
    "argentine|bahamian|barbadian|belizean|bermudian|brunei|caribbean|cayman|chilean|colombian|fijian|guyanese|jamaican"
    "|liberian|mexican|namibian|surinamese|taiwanese|taiwan|trinidadian|tobago|uruguayan|zimbabwean"
)
_AMOUNT = (
    r"(?P<amount{0}>(?<!\d )\d{{1,3}}(?= 000|(?: \d{{3}}){{2}})(?: \d{{3}})++(?:[.,]\d++)?(?!\d)"
    r"|\d(?:\d|[.,'’](?=\d))*)"
    r"(?:\s*(?P<scale{0}>(?:thousand|million|billion|trillion|lakh|crore)s?|mil|mio|mln|mm|mn|bln|bn|tn|[km])\b)?"
)
_SIGN = "|".join(re.escape(sign) for sign in sorted(_SYMBOLS, key=len, reverse=True))
_WORDS = "|".join(_NAMES).replace("pound", r"pound(?!s?\s+(?:of|per)\b)")  # 20 pounds of steel are no money
_NATION = "|".join(re.escape(name) for name in sorted(_NATIONS, key=len, reverse=True))
_NAMED = rf"(?:(?P<nation{{0}}>{_NATION})\s*)?(?P<name{{0}}>{_WORDS})s?\b"
_MONEY = re.compile(
    rf"(?:(?:(?<![A-Za-z])|\b(?P<before>{_CODES}|{_NATION}|{_OTHER_NATIONS})(?:(?<=cdn)\.)?\s*(?=[$¥]))(?P<sign>{_SIGN})"
    rf"|\b(?P<first>{_CODES}))\s*{_AMOUNT.format(1)}"
    rf"(?:\s*(?P<bracket>\(\s*)?(?P<after>(?:{_CODES})\b|\b(?:{_NATION})\b(?!\s*\$))"
    r"(?(bracket)(?:\s+dollars)?\s*\)))?"
    rf"|(?<![\w.,/]){_AMOUNT.format(2)}\s*(?:(?P<code>{_CODES})\b|{_NAMED.format(2)})"
    rf"|\b(?P<spelt>{NUMBER_WORDS})\s+{_NAMED.format(3)}",
    re.I,
)
_RANGE = re.compile(rf"\s*(?:[-\u2010-\u2014]|(?P<joint>to|and)\b)\s*(?:{_SIGN}|{_CODES})?\s*{_AMOUNT.format(4)}", re.I)
_MORE_WORDS = re.compile(rf"\s+(?:and\s+)?({NUMBER_WORDS})", re.I)
_COUNTED = r"\s*(?:%|per\s?cent\b|(?:hour|day|week|month|year|share|unit)s?\b)"
_DIGITS_BEFORE, _DIGITS_AFTER = re.compile(r"\d $"), re.compile(rf" \d{{3}}(?!{_COUNTED})", re.I)
_IS_COUNT = re.compile(_COUNTED, re.I)
_GROUPED = (  # an amount, what groups its digits, and what parts its cents
    (re.compile(r"(?:\d{1,15}|\d{1,3}(?:,\d{3}){1,4}|\d{1,2}(?:,\d{2}){1,4},\d{3})(?:\.\d{1,6})?"), ",", "."),
    (re.compile(r"\d{1,3}(?:\.\d{3}){2,4}|(?:\d{1,15}|\d{1,3}(?:\.\d{3}){1,4}),\d{1,2}"), ".", ","),
    (re.compile(r"\d{1,3}(?:['’]\d{3}){1,4}(?:\.\d{1,2})?"), "'’", "."),
)
_DOT_GROUPS = frozenset({"EUR", "CHF", "BRL", "SEK", "NOK", "DKK"})
_TWO_WAYS, _ROUND = re.compile(r"[1-9]\d{0,2}\.\d{3}"), re.compile(r"[1-9]\d{0,2}\.\d\d0")
_THOUSANDS_MIL = frozenset({"BRL", "MXN"})  # where "mil" is a thousand


def _read_money(text: str, _field: str) -> dict[str, Any] | None:
    match = _MONEY.search(text)
    currency = _currency(match) if match is not None else None
    if match is None or currency is None:
        return None
    if match["spelt"]:
        return {"amount": number(match["spelt"]), "currency": currency}
    which = "1" if match["amount1"] else "2"
    digits, word = match[f"amount{which}"], match[f"scale{which}"]
    scale = _scale(word, currency) if which == "2" or word else _scale_of_range(text, match, currency)
    two_ways = _is_two_ways(digits, currency, signed=match["sign"] is not None, scaled=scale != 1)
    amount = _amount(digits)
    if scale is None or amount is None or two_ways or _goes_on(text, match, which):
        return None
    amount *= scale
    return {"amount": int(amount) if amount == int(amount) else amount, "currency": currency}


def _scale(word: str | None, currency: str) -> int | None:
    """Return what an amount counts, one where no word says it; None where it cannot be told."""
    if word is None:
        return 1
    return None if word.lower() == "mil" and currency in _THOUSANDS_MIL else _SCALES[word.lower().rstrip("s")]


def _scale_of_range(text: str, match: re.Match[str], currency: str) -> int | None:
    """Return the scale that a range states at its end only, `$5-10 million`; one where there is none."""
    end = _RANGE.match(text, match.end("amount1"))
    if end is None or (end["joint"] == "and" and not text[: match.start()].rstrip().lower().endswith("between")):
        return 1
    first, last = _amount(match["amount1"]), _amount(end["amount4"])
    return _scale(end["scale4"], currency) if first is not None and last is not None and first < last else 1


def _goes_on(text: str, match: re.Match[str], which: str) -> bool:
    """Say whether more of a number stands beside an amount: `$1 0000`, `$1 million five hundred thousand`.

    So it is where groups apart by spaces may be two numbers, `Article 3 100 000 dollars`, `$2 000 365 days`.
    """
    if match[f"scale{which}"]:
        more = _MORE_WORDS.match(text, match.end(f"scale{which}"))
        return more is not None and (number(more[1]) or 0) >= 100
    start, end = match.span(f"amount{which}")
    if " " in text[start:end] and (LABEL.search(text, max(0, start - NEAR), start) or _IS_COUNT.match(text, end)):
        return True
    if re.search(r"[.,'’]", text[start:end]):
        return False
    return bool(_DIGITS_AFTER.match(text, end) or _DIGITS_BEFORE.search(text, max(0, start - 2), start))


def _is_two_ways(digits: str, currency: str, *, signed: bool, scaled: bool) -> bool:
    """Say whether an amount may be thousands, or decimals: `EUR 250.000` is a quarter of a million, or 250.

    Where a dot parts the cents by custom, `$14.575 million` and `$1.125` have decimals; `$10.000` is not said.
    """
    if currency in _DOT_GROUPS:
        return _TWO_WAYS.fullmatch(digits) is not None
    return not scaled and (_ROUND if signed else _TWO_WAYS).fullmatch(digits) is not None


def _amount(digits: str) -> float | None:
    """Return the amount, None where it is no way of writing one."""
    digits = digits.replace(" ", "")
    for pattern, groups, cents in _GROUPED:
        if pattern.fullmatch(digits):
            return float(re.sub(f"[{groups}]", "", digits).replace(cents, "."))
    return None


def _currency(match: re.Match[str]) -> str | None:
    """Return the currency of an amount: a `$` or `¥` is what a code or a country beside it says.

    None where it is the `$` of a country whose code is not known.
    """
    if match["first"]:
        return _code(match["first"])
    if not match["sign"]:
        if match["code"]:
            return _code(match["code"])
        which = "3" if match["spelt"] else "2"
        nation, name = (match[f"nation{which}"] or "").lower(), match[f"name{which}"].lower()
        return _NATIONS[nation] if nation and name == "dollar" else _NAMES[name]
    beside = (match["before"] or match["after"] or "").lower()
    if beside and match["sign"] in "$¥":
        return _code(beside) if re.fullmatch(_CODES, beside, re.I) else _NATIONS.get(beside)
    return _SYMBOLS[match["sign"].upper()]


def _code(word: str) -> str:
    return {"RMB": "CNY", "CDN": "CAD"}.get(word.upper(), word.upper())


def _read_date(text: str, field: str) -> str | None:
    return end_of_term(text) if names_end(field) else read_date(text, field)


def _word(text: str) -> str:
    return " ".join(text.split()).casefold().rstrip(".")


def _read_boolean(text: str, _field: str) -> bool:
    """Return yes or no; any other text is a quoted clause, and a clause that is quoted is there."""
    return _word(text) not in _NO


def _same_money(gold: dict[str, Any], answer: dict[str, Any]) -> bool:
    right, given = gold.get("amount"), answer.get("amount")
    if not isinstance(right, int | float) or not isinstance(given, int | float):
        return False
    return gold.get("currency") == answer.get("currency") and abs(right - given) < CENT


_READERS: dict[str, Callable[[str, str], Any]] = {
    "boolean": _read_boolean,
    "text": lambda text, _field: text,
    "date": _read_date,
    "duration": read_duration,
    "parties": lambda text, _field: read_roles(text),
    "jurisdiction": lambda text, _field: read_jurisdiction(text),
    "money": _read_money,
}
_COMPARERS: dict[str, tuple[Any, Callable[[Any, Any], bool]]] = {
    "boolean": (bool, lambda gold, answer: gold is answer),
    "text": (str, lambda gold, answer: jaccard(tokens(gold), tokens(answer)) >= TEXT_MATCH),
    "date": (str, same_date),
    "duration": ((dict, str), same_duration),
    "parties": (list | tuple, same_parties),
    "jurisdiction": (str, same_jurisdiction),
    "money": (dict, _same_money),
}
