"""What language a text is in, and whether its drafting is American or British.

Drafting is told by three kinds of evidence: spelling, terms of law and layout, and the order of day and month.
A thing that stands n times counts log2(1 + n) times its weight, so that no single word decides.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from lextune.core.records import Document
from lextune.text.spelling import ISE, OUR, PAIRS

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

Kind = Literal["US", "UK", "unknown"]
UNKNOWN: Literal["unknown"] = "unknown"
DECIDED = 0.15  # the least |score| that names a drafting
DOUBT = 9.0  # evidence for either side that a text without any is taken to have: little evidence decides nothing
LONGEST = 200_000  # characters that are read of a text, half from each end
SLICE = 1_000  # characters read at the start, the middle and the end to tell the language
FEWEST_LETTERS = 20
SURE = 0.6  # the least probability of a language

_BRITISH_WORDS = frozenset(PAIRS.values()) | {
    *("licence", "licences", "sublicence", "sublicences", "defences", "programme", "programmes", "metre", "metres"),
    *("cheque", "cheques", "tyre", "tyres", "whilst", "amongst", "forthwith", "paralyse", "paralysed"),
}
_BRITISH_WORD = re.compile(rf"(?:{ISE})s(?:e|ed|er|ers|es|ing|ation|ations|ational)|(?:un|dis|mis)?(?:{OUR})ur\w*")
_AMERICAN_WORDS = frozenset(PAIRS) | {
    *("canceled", "canceling", "trademark", "trademarks", "checkbook", "paycheck", "paychecks"),
}
_AMERICAN_WORD = re.compile(rf"(?:un|dis|mis)?(?:{OUR})r(?!ator|io|ious)\w*")
_OXFORD_WORD = re.compile(rf"(?:{ISE})z(?:e|ed|er|ers|es|ing|ation|ations|ational)")  # American, and often British

# Each line is one thing that may be said in several ways: its weight, and the ways. Words are in lower case and
# without punctuation (`_PLAIN`).
_BRITISH_TERMS: tuple[tuple[float, tuple[str, ...]], ...] = (
    (5, ("law of england", "laws of england", "english law", "england and wales", "england & wales")),
    (5, ("law of scotland", "laws of scotland", "scots law", "law of northern ireland", "laws of northern ireland")),
    (2, ("courts of england", "english courts", "courts of scotland", "scottish courts", "lcia", "court of session")),
    (
        3,
        (
            "companies act 1985",
            "companies act 2006",
            "companies acts",
            "rights of third parties act",
            "bribery act 2010",
        ),
    ),
    (3, ("incorporated in england", "incorporated and registered in england", "registered in england")),
    (3, ("incorporated in scotland", "registered in scotland", "registered number", "company number")),
    (1.5, ("public limited company", "plc", "p l c")),
    (1.5, ("registered office",)),
    (1.5, ("vat", "value added tax")),
    (
        2,
        (
            "hmrc",
            "hm revenue",
            "her majestys",
            "his majestys",
            "companies house",
            "data protection act",
            "bribery act 2010",
        ),
    ),
    (1.5, ("sterling", "gbp")),
    (1.5, ("shall procure that", "shall procure the", "will procure that", "to procure that", "procure that")),
    (1, ("legal costs", "solicitor", "solicitors", "barrister", "senior counsel")),
    (1, ("executed as a deed", "deed of")),
    (1, ("for the time being", "save as", "save that", "save for", "save where", "per cent", "in so far as")),
    (1.5, ("clause", "clauses")),
    (0.5, ("schedule", "schedules", "winding up", "full title guarantee")),
    (1, ("united kingdom",)),
)
_AMERICAN_TERMS: tuple[tuple[float, tuple[str, ...]], ...] = (
    (5, ("laws of the state of", "laws of the commonwealth of", "delaware law", "new york law", "california law")),
    (2, ("state of", "commonwealth of", "delaware")),
    (1.5, ("limited liability company", "llc", "l l c")),
    (1, ("inc", "corp", "corporation", "incorporated")),
    (1.5, ("attorneys fees", "attorney", "attorneys")),
    (1.5, ("u s c", "uniform commercial code", "internal revenue", "federal", "c f r")),
    (1.5, ("securities act of 1933", "exchange act", "erisa", "bankruptcy code")),
    (0.5, ("united states",)),
    (1.5, ("american arbitration association", "jams", "jury", "county")),
    (1, ("witnesseth", "now therefore", "hereinabove", "in witness whereof", "whereas")),
    (1, ("sales and use tax", "sales and use taxes", "sales tax", "zip code", "u s", "percent")),
    (1, ("section", "sections")),
    (1, ("exhibit", "exhibits")),
)
_PLAIN = {code: " " for code in range(128) if not chr(code).isalnum() and chr(code) != "&"}
_PLAIN |= {ord("'"): "", ord("’"): "", ord("£"): " gbp ", ord("“"): " ", ord("”"): " ", ord("\u00a0"): " "}
_MONTH = (
    "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    "|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DAY_FIRST = re.compile(
    rf"\b\d{{1,2}}(?:st|nd|rd|th)?\s+{_MONTH}\.?,?\s+\d{{4}}\b"
    r"|\b(?:1[3-9]|2\d|3[01])[/.](?:0?[1-9]|1[0-2])[/.](?:\d\d){1,2}\b"
)
_MONTH_FIRST = re.compile(
    rf"\b{_MONTH}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+\d{{4}}\b"
    r"|\b(?:0?[1-9]|1[0-2])/(?:1[3-9]|2\d|3[01])/(?:\d\d){1,2}\b"
)
_DATES = 2.0  # the weight of one order of dates


class Evidence(NamedTuple):
    """How much of one kind was found for either drafting (weights times log2(1 + n))."""

    uk: float
    us: float


class Drafting(NamedTuple):
    """Whose drafting a text is, the score in [-1, 1] it was told by (UK over 0), and the evidence by kind."""

    kind: Kind
    score: float
    evidence: dict[str, Evidence]


def drafting(text: str) -> Drafting:
    """Tell American from British drafting, by what of either stands in an English text."""
    if len(text) > LONGEST:
        text = text[: LONGEST // 2] + "\n" + text[-LONGEST // 2 :]
    text = text.lower()
    words = text.translate(_PLAIN).split()
    plain = f" {' '.join(words)} "
    evidence = {
        "spelling": _spelling(words),
        "terms": Evidence(_weigh(plain, _BRITISH_TERMS), _weigh(plain, _AMERICAN_TERMS)),
        "dates": Evidence(*(_DATES * _worth(len(order.findall(text))) for order in (_DAY_FIRST, _MONTH_FIRST))),
    }
    uk, us = (sum(side) for side in zip(*evidence.values(), strict=True))
    score = (uk - us) / (uk + us + DOUBT)
    kind: Kind = UNKNOWN if abs(score) < DECIDED else "UK" if score > 0 else "US"
    return Drafting(kind, score, evidence)


def language(text: str) -> str:
    """Return the ISO 639-1 code of a text's language, `unknown` where there is too little of it to tell."""
    if len(text) > 3 * SLICE:
        middle = len(text) // 2
        text = " ".join((text[:SLICE], text[middle : middle + SLICE], text[-SLICE:]))
    if sum(map(str.isalpha, text)) < FEWEST_LETTERS:
        return UNKNOWN
    code, probability = _identifier().classify(text.lower())
    return str(code) if probability >= SURE else UNKNOWN


def tag(document: Document) -> Document:
    """Return the document with the tags `language` and `drafting`; drafting is told of English only."""
    found = language(document.text)
    kind = drafting(document.text).kind if found == "en" else UNKNOWN
    return document.model_copy(update={"tags": {**document.tags, "language": found, "drafting": kind}})


def _spelling(words: Sequence[str]) -> Evidence:
    uk = us = 0.0
    for word, count in Counter(words).items():
        if word in _BRITISH_WORDS or _BRITISH_WORD.fullmatch(word):
            uk += 1.5 * _worth(count)
        elif word in _AMERICAN_WORDS or _AMERICAN_WORD.fullmatch(word):
            us += _worth(count)
        elif _OXFORD_WORD.fullmatch(word):
            us += 0.5 * _worth(count)
    return Evidence(uk, us)


def _weigh(plain: str, terms: Iterable[tuple[float, Iterable[str]]]) -> float:
    return sum(weight * _worth(sum(plain.count(f" {way} ") for way in ways)) for weight, ways in terms)


def _worth(count: int) -> float:
    return math.log2(1 + count)


@functools.cache
def _identifier() -> LanguageIdentifier:
    """Return py3langid's model, which its package carries (half a second, once a process)."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
