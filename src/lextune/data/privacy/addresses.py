"""Postal addresses, American and British: a numbered street, what follows it, and lines that end in a code."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lextune.data.privacy.kinds import Finding

_STREET = (
    r"(?:Street|St|Avenue|Ave|Av|Road|Rd|Boulevard|Blvd|Drive|Dr|Lane|Ln|Way|Court|Ct|Place|Pl|Plaza|Square|Sq|Terrace"
    r"|Ter|Parkway|Pkwy|Highway|Hwy|Freeway|Circle|Cir|Turnpike|Pike|Trail|Crescent|Close|Gardens|Grove|Row|Mews|Hill"
    r"|Wharf|Quay|Walk|Broadway|Alley|Loop|Esplanade|Embankment|Park|Green|Rise|View|Yard|Buildings?|House|Center|Centre)"
)
_STATE = (
    r"(?:A[LKZR]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|P[AR]|RI|S[CD]|T[NX]|UT|V[AIT]"
    r"|W[AIVY]|Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Hawaii|Idaho"
    r"|Illinois|Indiana|Iowa|Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts|Michigan|Minnesota|Mississippi"
    r"|Missouri|Montana|Nebraska|Nevada|New Hampshire|New Jersey|New Mexico|New York|North Carolina|North Dakota|Ohio"
    r"|Oklahoma|Oregon|Pennsylvania|Rhode Island|South Carolina|South Dakota|Tennessee|Texas|Utah|Vermont|Virginia"
    r"|Washington|West Virginia|Wisconsin|Wyoming|D\.\s?C\.|N\.\s?[YJ]\."
    r"|Calif\.|Mass\.|Conn\.|Penn\.|Tex\.|Fla\.|Ill\.)"
)
_W = r"[ \t\u00a0]{1,3}"
_SEP = r"[,;]?[ \t\u00a0]{0,3}(?:\n[ \t\u00a0]{0,40})?"
_NAME = r"(?:[^\W\d_a-z][\w.'’-]{0,24}|\d{1,3}(?:st|nd|rd|th|ST|ND|RD|TH)|of|the|and|de|la)"
_UNIT_NAME = r"(?i:suite|ste|floor|fl|unit|apartment|apt|room|rm|building|bldg|flat)"
_UNIT = (
    rf"(?:{_SEP}(?:{_UNIT_NAME}\.?[ \t]{{0,2}}#?[\w-]{{1,8}}|#[ \t]?[\w-]{{1,6}}"
    r"|\d{1,3}(?:st|nd|rd|th)[ \t]+[Ff]loor))"
)
_CITY = rf"[^\W\d_a-z][\w.'’-]{{1,24}}(?:{_W}[^\W\d_a-z][\w.'’-]{{1,24}}){{0,3}}"
_CITY_LINE = rf"{_CITY},?[ \t\u00a0]{{1,3}}{_STATE},?[ \t\u00a0]{{0,3}}\d{{5}}(?:-\d{{4}})?(?!\d)"
_POSTCODE = r"(?:GIR ?0AA|[A-Z]{1,2}\d[A-Z\d]?[ \t\u00a0]{1,2}\d[A-Z]{2})(?![^\W_])"
_BRITISH_TAIL = rf"(?:{_SEP}{_CITY}){{0,3}}{_SEP}{_POSTCODE}"
_NUMBER = r"(?:\d{1,6}(?:[-–/]\d{1,5})?[A-Za-z]?|One|Two|Three|Four|Five|Six|Seven|Eight|Nine|Ten)"

_STREET_ADDRESS = re.compile(
    rf"(?<![\w.$€£§-])(?:(?i:flat|apartment|apt|unit|suite)\.?{_W}\w{{1,5}},?{_W})?{_NUMBER},?{_W}(?:{_NAME}{_W}){{1,5}}?"
    rf"(?i:{_STREET})\b\.?(?:{_W}(?:N|S|E|W|NE|NW|SE|SW|North|South|East|West)\b\.?)?"
    rf"{_UNIT}{{0,3}}(?:{_SEP}{_CITY_LINE}|{_BRITISH_TAIL})?"
)
_BOX = re.compile(
    rf"(?<!\w)(?i:P\.?[ ]?O\.?[ ]?Box|Post Office Box){_W}#?\d{{1,7}}(?:{_SEP}{_CITY_LINE}|{_BRITISH_TAIL})?"
)
_LINE = re.compile(rf"(?<![\w])(?:{_CITY_LINE})")
_CODE_LINE = re.compile(rf"(?<![\w])(?:{_NUMBER},?{_W})?{_CITY}(?:,{_W}{_CITY}){{0,3}}{_SEP}{_POSTCODE}")
_POST = re.compile(rf"(?<![^\W_]){_POSTCODE}")
_NO_STREET = re.compile(r"\b(?:Section|Article|Clause|Schedule|Exhibit|days?|months?|years?|percent|shares?)\b")


def addresses(text: str) -> Iterator[Finding]:
    """Yield postal addresses; a street without a town is one, and so is a town with its state and code."""
    for match in _STREET_ADDRESS.finditer(text):
        if not _NO_STREET.search(match.group()):
            yield Finding("address", *match.span(), 0.85, "address: street")
    for match in _BOX.finditer(text):
        yield Finding("address", *match.span(), 0.9, "address: box")
    for pattern, rule in ((_LINE, "address: town"), (_CODE_LINE, "address: postcode"), (_POST, "address: postcode")):
        for match in pattern.finditer(text):
            yield Finding("address", *match.span(), 0.8, rule)
