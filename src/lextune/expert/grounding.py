"""Where quotes stand: edges inside a sentence, and the places of words that a model wrote.

Some fields are less than a sentence (names, dates, parties), and their quotes too. Every edge is found in the
document's own text, so a quote stays verbatim. Where nothing is found the whole sentence is quoted.

What a model writes is a claim about the text. It is looked for there, and what is quoted is what stands there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from lextune.core.records import Span
from lextune.expert.schema import SchemaField
from lextune.text.dates import find_dates
from lextune.text.spans import CollapsedText, choose, cuts_word, united

TITLE = re.compile(
    r"(?<!\w)(?!(?:This|THIS)\s)(?=[A-Z])(?:[A-Z][\w&,.'’/-]*\s+|(?:of|and|for|to|the|&)\s+){0,9}"
    r"(?:AGREEMENT|Agreement|CONTRACT|Contract|LEASE|Lease|AMENDMENT|Amendment|LICEN[SC]E|PLAN|MEMORANDUM)"
    r"(?:\s+(?:OF|of|FOR|for|AND|and)(?:\s+[A-Z][\w&'’-]*){1,5})?"
)
_NAMES_DOCUMENT = re.compile(r"\b(?:document|contract|agreement)\W+(?:name|title)\b|\btitle of\b|^title$", re.I)
# Possessive \s*+ and \s++: seven words with k spaces between them would else be tried in k**7 ways.
COMPANY = re.compile(
    r"(?<!\w)(?=[a-z]?[A-Z0-9])"
    r"(?:(?:[a-z]?[A-Z0-9][\w&.'’\-]*|of|and|the|&|de)(?:\s*+,)?\s++){0,7}?[a-z]?[A-Z0-9][\w&.'’\-]*,?\s+"
    r"(?:Inc|INC|Incorporated|Corp|CORP|Corporation|CORPORATION|LLC|L\.L\.C|LLP|L\.P|LP|Ltd|LTD|Limited|LIMITED|"
    r"Company|COMPANY|Co|PLC|plc|N\.A|GmbH|AG|S\.A|B\.V|N\.V|Bank|BANK|Trust|TRUST)\b\.?"
)
_NUMBER = re.compile(r"\d+")
ALIKE = 90.0
"""Words that are not in the text to the letter are found at this `rapidfuzz` ratio, in percent, or above."""
LONG_ENOUGH = 20
"""Characters from which on they may be: a short quote that is alike says another thing (a year, a name)."""
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ua4cf\uf900-\ufaff\U00020000-\U0003ffff]")
"""Thai, Lao, Burmese, Khmer, Chinese and Japanese: no white space shows where their words end."""
ALIAS = re.compile(r"\(\s*(?:(?:the|each|hereinafter|collectively|referred to as|a)\W+){0,4}[\"“]([^\"”]{2,40})[\"”]")


def by_rules(field: SchemaField, piece: str) -> list[tuple[int, int]]:
    """Return the parts of a sentence that answer a field, as offsets; none where nothing is found.

    Args:
        field: its type decides what is looked for (dates, parties; a title where it asks for the document's name).
        piece: the sentence.
    """
    if field.type == "parties":
        return _parties(piece)
    if field.type == "date":
        return [(0, len(piece))] if _is_rule(piece) else [(d.start, d.end) for d in find_dates(piece)][:1]
    if field.type == "text" and _NAMES_DOCUMENT.search(field.name):
        match = max(TITLE.finditer(piece), key=lambda m: (m.end() - m.start() > 14, -m.start()), default=None)
        return [match.span()] if match else []
    return []


def _is_rule(piece: str) -> bool:
    """A sentence that defines a period (`shall continue for five years from ...`) is quoted whole."""
    return bool(re.search(r"\b(?:continue|remain|expire|terminat|term of|until|anniversary|shall be effective)", piece))


def _parties(piece: str) -> list[tuple[int, int]]:
    found = [m.span() for m in COMPANY.finditer(piece)]
    found += [m.span(1) for m in ALIAS.finditer(piece)]
    found.sort()
    out: list[tuple[int, int]] = []
    for a, b in found:
        if not out or a >= out[-1][1]:
            out.append((a, b))
    return out


class Grounded(NamedTuple):
    """Where quotes stand: (sentence, start, end) in order, offsets into the sentence; and how many stand nowhere."""

    places: list[tuple[int, int, int]]
    ungrounded: int


def ground(texts: Sequence[str], quotes: Sequence[str]) -> Grounded:
    """Find quotes in sentences; one that goes over the end of a sentence has a place in each of them.

    A quote that stands in several places is taken where it probably was meant (`lextune.text.spans.choose`). One that
    stands nowhere to the letter, white space apart, may be `ALIKE` to a place with the same numbers in it. A part of
    a word (`We` in `Western`) is no place. A quote of signs only stands between white space (`.`), one of several
    (`[*]`) also beside other signs.

    Args:
        texts: the sentences, white space collapsed.
        quotes: the words to find.
    """
    text = "\n".join(texts)
    known = CollapsedText(text)
    found = [_places(known, quote) for quote in quotes]
    starts, at = [], 0
    for sentence in texts:
        starts.append(at)
        at += len(sentence) + 1
    places = {
        (row, max(0, span.start - start), min(len(sentence), span.end - start))
        for span in {spans[0] for spans in choose(found) if spans}
        for row, (start, sentence) in enumerate(zip(starts, texts, strict=True))
        if span.start < start + len(sentence) and start < span.end
    }
    return Grounded(united(places), sum(not spans for spans in found))


def _places(known: CollapsedText, quote: str) -> tuple[Span, ...]:
    """Return the places that a quote may have meant: to the letter, else the one that is alike."""
    text = known.original
    cuts = _cuts_words if any(map(str.isalnum, quote)) else _cuts_signs
    whole = tuple(span for span in known.locate(quote) if not cuts(text, span))
    return whole or _alike(known, quote)


def _parts_word(text: str, edge: int) -> bool:
    return cuts_word(text, edge) and not _UNSPACED.search(text, edge - 1, edge + 1)


def _cuts_words(text: str, span: Span) -> bool:
    return _parts_word(text, span.start) or _parts_word(text, span.end)


def _cuts_signs(text: str, span: Span) -> bool:
    """Say whether signs are part of what stands beside them: of a word, or of a row of the same sign."""
    edges = ((text[span.start - 1 : span.start], text[span.start]), (text[span.end : span.end + 1], text[span.end - 1]))
    several = span.end - span.start > 1
    return any(
        beside and not beside.isspace() and (not several or beside.isalnum() or beside == own) for beside, own in edges
    )


def _alike(known: CollapsedText, quote: str) -> tuple[Span, ...]:
    """Return the place of the text that is most like a quote, whole words; none where nothing is alike."""
    from rapidfuzz import fuzz

    text = known.collapsed
    if not LONG_ENOUGH <= len(quote) <= len(text):
        return ()
    best = fuzz.partial_ratio_alignment(quote, text, score_cutoff=ALIKE)
    if best is None:
        return ()
    borders = ((a, b) for a in _borders(text, best.dest_start) for b in _borders(text, best.dest_end))
    start, end = max(borders, key=lambda edges: fuzz.ratio(quote, text[edges[0] : edges[1]]))
    found = text[start:end]
    if fuzz.ratio(quote, found) < ALIKE or _NUMBER.findall(quote) != _NUMBER.findall(found):
        return ()
    return (known.span(end - len(found.lstrip()), start + len(found.rstrip())),)


def _borders(text: str, edge: int) -> list[int]:
    """Return the spaces around an edge, and the edge itself where it cuts no word."""
    last = text.find(" ", edge)
    around = [text.rfind(" ", 0, edge) + 1, last if last >= 0 else len(text)]
    return around if cuts_word(text, edge) else [*around, edge]
