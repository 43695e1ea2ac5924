"""Edges inside a sentence: some fields are less than a sentence (names, dates, parties), and their quotes too.

Every edge is found in the document's own text, so a quote stays verbatim. Where nothing is found the whole
sentence is quoted.
"""

from __future__ import annotations

import re

from lextune.core.records import Span
from lextune.expert.schema import SchemaField
from lextune.text.dates import find_dates

_TITLE = re.compile(
    r"(?<!\w)(?!(?:This|THIS)\s)(?=[A-Z])(?:[A-Z][\w&,.'’/-]*\s+|(?:of|and|for|to|the|&)\s+){0,9}"
    r"(?:AGREEMENT|Agreement|CONTRACT|Contract|LEASE|Lease|AMENDMENT|Amendment|LICEN[SC]E|PLAN|MEMORANDUM)"
    r"(?:\s+(?:OF|of|FOR|for|AND|and)(?:\s+[A-Z][\w&'’-]*){1,5})?"
)
_NAMES_DOCUMENT = re.compile(r"\b(?:document|contract|agreement)\W+(?:name|title)\b|\btitle of\b|^title$", re.I)
# Possessive \s*+ and \s++: seven words with k spaces between them would else be tried in k**7 ways.
_COMPANY = re.compile(
    r"(?<!\w)(?=[a-z]?[A-Z0-9])"
    r"(?:(?:[a-z]?[A-Z0-9][\w&.'’\-]*|of|and|the|&|de)(?:\s*+,)?\s++){0,7}?[a-z]?[A-Z0-9][\w&.'’\-]*,?\s+"
    r"(?:Inc|INC|Incorporated|Corp|CORP|Corporation|CORPORATION|LLC|L\.L\.C|LLP|L\.P|LP|Ltd|LTD|Limited|LIMITED|"
    r"Company|COMPANY|Co|PLC|plc|N\.A|GmbH|AG|S\.A|B\.V|N\.V|Bank|BANK|Trust|TRUST)\b\.?"
)
_ALIAS = re.compile(r"\(\s*(?:(?:the|each|hereinafter|collectively|referred to as|a)\W+){0,4}[\"“]([^\"”]{2,40})[\"”]")


def edges(field: SchemaField, text: str, sentence: Span) -> list[Span]:
    """Return the parts of a sentence that answer a field; the sentence itself where none is smaller.

    Args:
        field: its type decides what is looked for (dates, parties; a title where it asks for the document's name).
        text: the document's text.
        sentence: span of the sentence in `text`.
    """
    piece = text[sentence.start : sentence.end]
    if field.type == "parties":
        found = _parties(piece)
    elif field.type == "date" and not _is_rule(piece):
        found = [(d.start, d.end) for d in find_dates(piece)][:1]
    elif field.type == "text" and _NAMES_DOCUMENT.search(field.name):
        match = max(_TITLE.finditer(piece), key=lambda m: (m.end() - m.start() > 14, -m.start()), default=None)
        found = [match.span()] if match else []
    else:
        found = []
    spans = [Span(start=sentence.start + a, end=sentence.start + b) for a, b in found if b > a]
    return spans or [sentence]


def _is_rule(piece: str) -> bool:
    """A sentence that defines a period (`shall continue for five years from ...`) is quoted whole."""
    return bool(re.search(r"\b(?:continue|remain|expire|terminat|term of|until|anniversary|shall be effective)", piece))


def _parties(piece: str) -> list[tuple[int, int]]:
    found = [m.span() for m in _COMPANY.finditer(piece)]
    found += [m.span(1) for m in _ALIAS.finditer(piece)]
    found.sort()
    out: list[tuple[int, int]] = []
    for a, b in found:
        if not out or a >= out[-1][1]:
            out.append((a, b))
    return out
