"""Emails, phone numbers, state-given ids and accounts: what a pattern, a checksum or a label before it tells.

Each pattern is bounded, so that a long run of digits or underscores costs linear time. Checksums and number
plans are python-stdnum's and phonenumbers'. What is shaped or labelled like personal data is found even where
its checksum is wrong: people mistype.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lextune.data.privacy.kinds import Finding
from lextune.data.privacy.labels import DASH, DATE, labelled

_GAP = rf"[ \t\u00a0.{DASH}]"

# --- emails -------------------------------------------------------------------------------------------------
_AT = re.compile(r"@|\uff20|[ \t]?[\[({<][ \t]?(?:at|AT|@)[ \t]?[\])}>][ \t]?|(?<=\w) at (?=[\w-]{1,63} dot )")
_LOCAL = re.compile(r"(?:[\w.!#$%&'*+/=?^`{|}~-]{1,64}|\"[^\"\n]{1,60}\")$")
_DOT = r"(?:\.|[ \t]?[\[({][ \t]?(?:dot|DOT|\.)[ \t]?[\])}][ \t]?| dot )"
_DOMAIN = re.compile(rf"(?:[^\W_](?:[\w-]{{0,62}}){_DOT}){{1,6}}[^\W\d_]{{2,24}}|\[\d{{1,3}}(?:\.\d{{1,3}}){{3}}\]")


def emails(text: str) -> Iterator[Finding]:
    """Yield email addresses, also those written with [at] and [dot]."""
    for at in _AT.finditer(text):
        local = _LOCAL.search(text, max(0, at.start() - 64), at.start())
        domain = _DOMAIN.match(text, at.end())
        if local is None or domain is None:
            continue
        start = local.start() + len(local.group()) - len(local.group().lstrip(".'*=/_~-|"))
        if start < at.start():
            yield Finding("email", start, domain.end(), 0.99 if at.group() == "@" else 0.9, "email")


# --- phone numbers ------------------------------------------------------------------------------------------
_EXTENSION = r"(?:[ \t]{0,2},?[ \t]?(?:x|ext\.?|extension)[ \t:.]{0,2}\d{1,6})?"
_NANP = re.compile(
    rf"(?<![\w.$€£/{DASH}])(?:\+?1{_GAP}?)?(?:\(\d{{3}}\){_GAP}{{0,2}}|\d{{3}}(?:{_GAP}|/)){_GAP}?"
    rf"\d{{3}}{_GAP}{{1,2}}\d{{4}}(?![\w/]|{_GAP}?\d){_EXTENSION}"
)
_INTERNATIONAL = re.compile(
    rf"(?<![\w+])(?:\+|00{_GAP}?|011{_GAP})[1-9]\d{{0,2}}(?:(?:{_GAP}|[()/]){{0,3}}\d){{6,13}}(?!\d){_EXTENSION}"
)
_BRITISH = re.compile(
    rf"(?<![\w.$€£/{DASH}+])(?:\(0\d{{2,5}}\)|0\d{{2,5}}){_GAP}?\d{{2,4}}{_GAP}?\d{{2,4}}(?:{_GAP}?\d{{2,4}})?"
    rf"(?![\w/]|{_GAP}?\d){_EXTENSION}"
)
_BARE = re.compile(r"(?<![\w.,$€£/#-])1?[2-9]\d{2}[2-9]\d{6}(?![\w/%]|[.,]\d)")
_PHONE_LABEL = re.compile(
    r"(?<![^\W_])(?i:tele(?:phone|fax|copier|copy)|facsimile|phone|tel(?! Aviv)|fax|mobile|mob|cell(?:ular)?"
    r"|cellphone|whatsapp|direct (?:dial|line)|call|text|ph|hotline)\b"
    rf"[^\d\n+()]{{0,30}}(?P<value>[+(]?\(?\d(?:(?:{_GAP}|[()/]){{0,3}}\d){{5,16}}(?!\w)){_EXTENSION}"
)
_DIGITS = re.compile(r"\d")


def phones(text: str) -> Iterator[Finding]:
    """Yield telephone and fax numbers: North American, British, international, and whatever is labelled so."""
    for match in _NANP.finditer(text):
        if re.search(rf"[().+/{DASH}]", match.group()) or _valid(match.group(), "US"):
            yield Finding("phone", *match.span(), 0.9, "phone: north american")
    for match in _INTERNATIONAL.finditer(text):
        if match.group().startswith("+") or _possible(match.group()):
            yield Finding("phone", *match.span(), 0.95, "phone: international")
    for match in _BRITISH.finditer(text):
        long = len(_DIGITS.findall(match.group())) >= 10
        if long and not DATE.fullmatch(match.group()) and _valid(match.group(), "GB"):
            yield Finding("phone", *match.span(), 0.85, "phone: british")
    yield from _plain_phones(text)


def _plain_phones(text: str) -> Iterator[Finding]:
    """Yield numbers that are written as any number is: ten digits of the American plan, or a label before them."""
    for match in _BARE.finditer(text):
        if _valid(match.group(), "US"):
            yield Finding("phone", *match.span(), 0.5, "phone: ten digits")
    for match in _PHONE_LABEL.finditer(text):
        value = match.group("value")
        if 7 <= len(_DIGITS.findall(value)) <= 15 and not DATE.fullmatch(value):
            yield Finding("phone", match.start("value"), match.end(), 0.9, "phone: labelled")


def _valid(number: str, region: str) -> bool:
    """Say whether a number plan has such a number; those that are kept for fiction count too."""
    import phonenumbers

    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_valid_number(parsed) or (
        region == "GB" and phonenumbers.is_possible_number(parsed) and number.lstrip("(").startswith(("01", "02", "07"))
    )


def _possible(number: str) -> bool:
    """Say whether a number that begins with 00 or 011 has a country's code and a length that fits it."""
    import phonenumbers

    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(number, "US" if number.startswith("011") else "GB"))
    except phonenumbers.NumberParseException:
        return False


# --- ids ----------------------------------------------------------------------------------------------------
_SSN = re.compile(rf"(?<![\w{DASH}])(?:\d{{3}}|[Xx*]{{3}})([{DASH}])(?:\d{{2}}|[Xx*]{{2}})\1\d{{4}}(?![\w{DASH}])")
_SSN_SPACED = re.compile(r"(?<![\w.,$€£-])\d{3}([ .])\d{2}\1\d{4}(?![\w-])")
_NINO = re.compile(
    rf"(?<![^\W_]){'[A-Z]' * 2}[ {DASH}]?\d{{2}}[ {DASH}]?\d{{2}}[ {DASH}]?\d{{2}}[ {DASH}]?[A-D](?![^\W_])"
)
_DVLA = re.compile(
    r"(?<![^\W_])[A-Z](?:[A-Z]{4}|[A-Z]{3}9|[A-Z]{2}99|[A-Z]999|9999)[ -]?\d{6}[ -]?[A-Z9]{2}[ -]?\w[A-Z]{2}(?![^\W_])"
)
_NHS = re.compile(r"(?<![\w.,$€£-])\d{3}([ -])\d{3}\1\d{4}(?![\w-])")
_A_NUMBER = re.compile(r"(?<![^\W_])A[ -]?\d{3}[ -]?\d{3}[ -]?\d{2,3}(?![\w-])")


def ids(text: str) -> Iterator[Finding]:
    """Yield numbers that a state or a health service gave a person, American and British."""
    from stdnum.gb import nhs
    from stdnum.us import ssn

    for match in _SSN.finditer(text):
        yield Finding("id", *match.span(), 0.95, "id: social security")
    for match in _SSN_SPACED.finditer(text):
        if ssn.is_valid(re.sub(r"\D", "", match.group())) or "." not in match.group():
            yield Finding("id", *match.span(), 0.7, "id: social security")
    for pattern, rule in (
        (_NINO, "id: national insurance"),
        (_DVLA, "id: driving licence"),
        (_A_NUMBER, "id: identity"),
    ):
        for match in pattern.finditer(text):
            yield Finding("id", *match.span(), 0.9, rule)
    for match in _NHS.finditer(text):
        if nhs.is_valid(match.group()):
            yield Finding("id", *match.span(), 0.75, "id: health")
    yield from labelled(text, "id")


# --- accounts -----------------------------------------------------------------------------------------------
_IBAN = re.compile(r"(?<![^\W_])[A-Z]{2}\d{2}(?:[ \u00a0-]?[A-Z\d]){11,30}(?![^\W_])")
_IBAN_LABEL = re.compile(r"(?i:IBAN)[^\w\n]{0,6}(?i:no|number|is)?[^\w\n]{0,6}$")
_CARD = re.compile(r"(?<![\w.,$€£-])[2-6]\d{3}(?:[ -]?\d){8,15}(?![\w-])")


def accounts(text: str) -> Iterator[Finding]:
    """Yield bank accounts (IBAN, or labelled numbers, routing numbers and sort codes) and payment cards."""
    from stdnum import luhn

    for match in _IBAN.finditer(text):
        end = _iban_end(match.group())
        if end:
            yield Finding("account", match.start(), match.start() + end, 0.99, "account: iban")
        elif _IBAN_LABEL.search(text, max(0, match.start() - 24), match.start()):
            yield Finding("account", *match.span(), 0.8, "account: iban")
    for match in _CARD.finditer(text):
        if luhn.is_valid(re.sub(r"\D", "", match.group())):
            yield Finding("account", *match.span(), 0.95, "account: card")
    yield from labelled(text, "account")


def _iban_end(candidate: str) -> int:
    """Return how many characters of a candidate are an IBAN with a right checksum; 0 for none."""
    from stdnum import iban

    for end in range(len(candidate), 14, -1):
        if candidate[end - 1].isalnum() and iban.is_valid(candidate[:end].replace("\u00a0", " ")):
            return end
    return 0
