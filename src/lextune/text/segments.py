"""Sentences, headings and windows: how a contract is cut into what a model reads at once.

Every cut is a span of code points of the document's own text; nothing is rewritten. A *sentence* is the unit
that is numbered, labelled and quoted; a *window* is a run of sentences that fits the model, with the heading
it stands under.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from pydantic import BaseModel, ConfigDict

from lextune.core.records import Span

MAX_SENTENCE = 700  # characters; a longer one is cut at its clauses
_BLANK = re.compile(r"\n[ \t\r\f\v\u00a0]*(?:\n\s*)+|\f\s*")
_GAP = re.compile(r"(?<=\S)[ \t\u00a0]{4,}(?=[A-Z\d(\"“])")
_DATE = (
    r"\d{1,2}\s+(?:January|February|March|April|May|June|July|August|September|October|November|December)"
    r"\s+\d{4}\b"  # as the British write it: no clause 5 about January
)
_STARTS_CLAUSE = re.compile(
    r"[ \t\u00a0]*(?:"
    r"(?:ARTICLE|Article|SECTION|Section|Clause|CLAUSE|SCHEDULE|Schedule|EXHIBIT|Exhibit|ANNEX|Annex)\s+[\dIVXLA-Z]+\b"
    rf"|(?!{_DATE})\d{{1,2}}(?:\.\d{{1,2}}){{0,3}}[.)]?\s+(?=[A-Z\"“(])"
    r"|\(?(?:[a-z]{1,2}|[ivxl]{1,5}|\d{1,2})\)\s+"
    r"|[•●▪○*-]\s+)"
)
_ENDS_SENTENCE = re.compile(r"[.!?][\"”’)\]]*(?=\s)|;(?=\s+(?:and\b|or\b|\(|[A-Z]))")
_NO_END = re.compile(
    r"(?:\b(?:Inc|Corp|Co|Ltd|Mr|Mrs|Ms|Dr|No|Nos|Sec|Art|St|vs?|al|etc|Jr|Sr|Esq|cf|i\.e|e\.g|approx|Fig|Vol|pp?"
    r"|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|[A-Z]|\d{1,2})|^\s*[\dIVXivx().]+)\.$"
)
_SOFT = re.compile(r"(?<=[;:])\s+|(?<=,)\s+(?=(?:and|or|provided|except|which|unless|including)\b)")
# Possessive \s*+ below: optional parts with white space on both sides would be tried in cubic many ways.
_HEADING = re.compile(
    r"^\s*+(?:ARTICLE|Article|SECTION|Section|CLAUSE|Clause)?\s*+[\dIVXL]{0,5}(?:\.\d+){0,3}[.):]?\s*+"
    r"(?P<title>[A-Z][A-Za-z&,/'’\- ]{2,58}?)\s*+[.:]?\s*+$"
)
_LEAD = re.compile(
    r"^\s*+(?:ARTICLE\s++\w+|(?:Section|Clause)\s++)?\s*+[\dIVXL]{0,5}(?:\.\d+){0,3}[.)]?\s*+"
    r"(?P<title>[A-Z][A-Za-z&,/'’\- ]{2,58}?)\s*+[.:]\s"
)


class Window(BaseModel):
    """What a model reads at once: numbered sentences of one document, under a heading.

    `sentences[i]` is the span of sentence number i + 1; `tokens` is the length of the sentences in tokens.
    """

    model_config = ConfigDict(frozen=True)
    document_id: str
    index: int
    heading: str
    sentences: tuple[Span, ...]
    tokens: int

    @property
    def start(self) -> int:
        """Where its first sentence starts, in code points."""
        return self.sentences[0].start

    @property
    def end(self) -> int:
        """One past the last code point of its last sentence."""
        return self.sentences[-1].end


def sentences(text: str) -> list[Span]:
    """Cut a text into sentences, in order, without overlap; white space between them belongs to none.

    A sentence ends at a blank line or a wide gap (where a PDF's paragraphs were joined), before a numbered
    clause on a new line, and after final punctuation that is no abbreviation; one longer than `MAX_SENTENCE`
    is cut again at its clauses, at last at white space. Every character that is not white space is in exactly
    one sentence.
    """
    out: list[Span] = []
    for block in _blocks(text):
        for span in _by_punctuation(text, block):
            out.extend(_shorten(text, span))
    return out


def _blocks(text: str) -> list[Span]:
    cuts = {0, len(text)}
    for match in _BLANK.finditer(text):
        cuts.add(match.end())
    cuts.update(match.end() for match in _GAP.finditer(text))
    position = text.find("\n")
    while position != -1:
        if _STARTS_CLAUSE.match(text, position + 1):
            cuts.add(position + 1)
        position = text.find("\n", position + 1)
    return _spans(text, sorted(cuts))


def _by_punctuation(text: str, block: Span) -> list[Span]:
    cuts = [block.start]
    lettered, searched = False, block.start  # whether a letter stands between the last cut and `searched`
    for match in _ENDS_SENTENCE.finditer(text, block.start, block.end):
        before = text[max(cuts[-1], match.start() - 12) : match.start() + 1]
        lettered = lettered or any(c.isalpha() for c in text[searched : match.start()])
        searched = match.end()
        if text[match.start()] == "." and _NO_END.search(before) and match.end() < block.end:
            following = text[match.end() : match.end() + 40].lstrip()[:1]
            if not (before[-2:-1] in "0123456789" and following.isupper() and lettered):
                continue
        cuts.append(match.end())
        lettered = False
    cuts.append(block.end)
    return _spans(text, cuts)


def _shorten(text: str, span: Span) -> list[Span]:
    if span.end - span.start <= MAX_SENTENCE:
        return [span]
    return [piece for half in _halve(text, span) for piece in _shorten(text, half)]


def _halve(text: str, span: Span) -> list[Span]:
    """Cut a span in two: at the clause nearest its middle, else at white space, else in the middle of a word."""
    middle = (span.start + span.end) // 2
    inner = range(span.start + 60, span.end - 60)
    soft = [m.end() for m in _SOFT.finditer(text, span.start, span.end) if m.end() in inner]
    if not soft:
        soft = [m.end() for m in re.compile(r"\s+").finditer(text, span.start, span.end) if m.end() in inner]
    cut = min(soft, key=lambda c: abs(c - middle)) if soft else middle
    return _spans(text, [span.start, cut, span.end])


def _spans(text: str, cuts: Sequence[int]) -> list[Span]:
    """Turn cut positions into spans without the white space at their ends; empty ones are left out."""
    out = []
    for left, right in pairwise(cuts):
        start, end = left, right
        while start < end and text[start].isspace():
            start += 1
        while end > start and text[end - 1].isspace():
            end -= 1
        if start < end:
            out.append(Span(start=start, end=end))
    return out


def heading_of(sentence: str) -> str | None:
    """Return the title a sentence is or begins with (`9.2 Governing Law. This ...`), None where it has none."""
    if len(sentence) <= 80:
        match = _HEADING.match(sentence)
        if match and (sentence[:1].isdigit() or match["title"].istitle() or match["title"].isupper()):
            return match["title"].strip()
    match = _LEAD.match(sentence)
    if match and sum(w[:1].isupper() for w in match["title"].split()) * 2 > len(match["title"].split()):
        return match["title"].strip()
    return None


def windows(
    document_id: str,
    text: str,
    count_tokens: Callable[[list[str]], list[int]],
    *,
    max_tokens: int,
    max_sentences: int = 40,
) -> list[Window]:
    """Cut a document into windows of whole sentences.

    Args:
        document_id: recorded in every window.
        text: the document.
        count_tokens: gives the length in tokens of each of many sentences.
        max_tokens: the most tokens of sentences in a window; a longer sentence (a table of digits, a row of
            symbols) is halved until it fits.
        max_sentences: the most sentences in a window.

    Returns:
        Windows in order; each sentence of the document is in exactly one. A window that is at least half full
        ends before a heading.
    """
    spans, counts = _fitting(text, sentences(text), count_tokens, max_tokens)
    texts = [text[s.start : s.end] for s in spans]
    out: list[Window] = []
    run: list[int] = []
    total, heading, run_heading = 0, "", ""
    for i, piece in enumerate(texts):
        title = heading_of(piece)
        full = total + counts[i] > max_tokens or len(run) >= max_sentences
        if run and (full or (title is not None and total * 2 >= max_tokens)):
            out.append(_window(document_id, len(out), run_heading, [spans[j] for j in run], total))
            run, total = [], 0
        if not run:
            run_heading = heading
        heading = title or heading
        run.append(i)
        total += counts[i]
    if run:
        out.append(_window(document_id, len(out), run_heading, [spans[j] for j in run], total))
    return out


def _fitting(
    text: str, spans: list[Span], count_tokens: Callable[[list[str]], list[int]], max_tokens: int
) -> tuple[list[Span], list[int]]:
    """Return spans of at most `max_tokens` tokens (or one character) that cover the given ones, and their lengths."""
    out: list[Span] = []
    lengths: list[int] = []
    for span, length in zip(spans, count_tokens([text[s.start : s.end] for s in spans]), strict=True):
        if length <= max_tokens or span.end - span.start == 1:
            out.append(span)
            lengths.append(length)
        else:
            halves = _fitting(text, _halve(text, span), count_tokens, max_tokens)
            out += halves[0]
            lengths += halves[1]
    return out, lengths


def _window(document_id: str, index: int, heading: str, spans: list[Span], tokens: int) -> Window:
    return Window(document_id=document_id, index=index, heading=heading, sentences=tuple(spans), tokens=tokens)
