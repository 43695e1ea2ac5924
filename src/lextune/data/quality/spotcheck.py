"""The spot-check sheet: labels with what a lawyer needs to judge them, as a page to read and a CSV to fill in."""

from __future__ import annotations

import functools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from lextune.core.pages import page_template
from lextune.core.records import Document, FieldLabel, Span
from lextune.data.quality import Read
from lextune.data.quality.sampling import ABSENT, PRESENT, Chosen, Plan
from lextune.data.quality.tables import csv_text
from lextune.expert.schema import Schema
from lextune.text.printable import printable
from lextune.text.segments import sentences

if TYPE_CHECKING:
    from jinja2 import Template

Kind = Literal["quoted", "without a place", "likely", "start"]
COLUMNS = ("id", "document", "field", "label", "quote", "verdict", "note")
CONTEXT = 400  # characters shown on either side of a quote
MAX_QUOTE = 3_000  # characters of a quote on the page; what is cut is counted
STEM = 5  # letters of a word that count where a likely place is looked for: `govern` and `governed` are one word
_WORD = re.compile(r"[^\W\d_]{3,}")


class Passage(NamedTuple):
    """A piece of a document and what stands around it; `cut` characters are left out of the middle of `text`."""

    before: str
    text: str
    after: str
    page: int | None
    cut: int = 0


class Item(NamedTuple):
    """One label on the sheet.

    `kind` says what `passages` are: the quotes; quotes that have no place in the text, and after them its start; the
    place where the field would most likely stand; or the start of the text, where no sentence speaks of the field.
    """

    chosen: Chosen
    name: str
    question: str
    definition: str
    answer: str | None
    kind: Kind
    passages: tuple[Passage, ...]


class Sheet(NamedTuple):
    """A plan, and its labels with their texts, in the order of the documents."""

    plan: Plan
    items: tuple[Item, ...]


def make_sheet(read: Read, plan: Plan, schema: Schema | None = None) -> Sheet:
    """Fill a plan with the documents' texts.

    Args:
        read: the documents of the plan; read twice.
        plan: what to show.
        schema: gives questions and definitions; a field that it lacks has its name only.
    """
    wanted: dict[int, list[Chosen]] = defaultdict(list)
    for chosen in plan.chosen:
        wanted[chosen.place].append(chosen)
    questions = {field.name: (field.question, field.definition) for field in schema.fields} if schema else {}
    words = _words_of_quotes(read, {chosen.field for chosen in plan.chosen if not chosen.present})
    items = []
    for place, document in enumerate(read()):
        for chosen in wanted.get(place, ()):
            question, definition = questions.get(chosen.field, ("", ""))
            label = document.labels[chosen.field]
            about = words.get(chosen.field) or dict.fromkeys(_stems(f"{chosen.field} {question} {definition}"), 1.0)
            kind, passages = _passages(document, label, about)
            items.append(Item(chosen, document.name, question, definition, label.answer, kind, passages))
    return Sheet(plan, tuple(items))


def _words_of_quotes(read: Read, fields: set[str]) -> dict[str, dict[str, float]]:
    """Return, for each of these fields that is quoted anywhere, in what share of its quotes a word occurs."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    quotes: Counter[str] = Counter()
    for document in read() if fields else ():
        for field in fields & document.labels.keys():
            for part in document.labels[field].parts:
                counts[field].update(_stems(part))
                quotes[field] += 1
    return {field: {word: n / quotes[field] for word, n in found.items()} for field, found in counts.items()}


def _passages(document: Document, label: FieldLabel, about: Mapping[str, float]) -> tuple[Kind, tuple[Passage, ...]]:
    """Return what to show for a label, and what it is (see `Item.kind`)."""
    if label.present and len(label.spans) == len(label.parts) and all(label.spans):
        return "quoted", tuple(_passage(document, spans[0]) for spans in label.spans)
    start = _passage(document, Span(start=0, end=0))
    if label.present:
        quotes = (_shortened(part) for part in label.parts)
        return "without a place", (*(Passage("", text, "", None, cut) for text, cut in quotes), start)
    place = likely_place(document.text, about)
    return ("start", (start,)) if place is None else ("likely", (_passage(document, place),))


def _passage(document: Document, span: Span) -> Passage:
    """Return a span with its context, which begins and ends with a whole word where there is one."""
    text = document.text
    low, high = max(0, span.start - CONTEXT), min(len(text), span.end + CONTEXT)
    before, after = text[low : span.start], text[span.end : high]
    if low:
        before = "… " + (before.split(maxsplit=1)[-1] if before[:1].strip() else before)
    if high < len(text):
        after = (after.rsplit(maxsplit=1)[0] if after[-1:].strip() else after) + " …"
    quote, cut = _shortened(text[span.start : span.end])
    return Passage(before, quote, after, document.page_of(span.start), cut)


def _shortened(quote: str) -> tuple[str, int]:
    """Return a quote without its middle where it is long, and how many characters were left out."""
    cut = max(0, len(quote) - MAX_QUOTE)
    half = MAX_QUOTE // 2
    return (f"{quote[:half]} […] {quote[-half:]}", cut) if cut else (quote, 0)


def likely_place(text: str, about: Mapping[str, float]) -> Span | None:
    """Return the sentence that is most like what is looked for, None where no sentence shares a word with it.

    A sentence scores the sum of `about` times log(1 + sentences / sentences with the word) over its words, divided by
    the root of their number (and 5, so that a heading does not win by being short).

    Args:
        text: the document.
        about: how much each word counts, by its first letters: a share of other documents' quotes, or 1 for the words
            of the question.
    """
    spans = sentences(text)
    words = [_stems(text[span.start : span.end]) for span in spans]
    counts = Counter(word for found in words for word in found)
    weight = {word: about[word] * math.log(1 + len(spans) / counts[word]) for word in counts if word in about}
    scores = [math.fsum(weight.get(word, 0.0) for word in found) / math.sqrt(5 + len(found)) for found in words]
    best = max(range(len(spans)), key=scores.__getitem__, default=None)
    return spans[best] if best is not None and scores[best] > 0 else None


def _stems(text: str) -> frozenset[str]:
    return frozenset(word[:STEM].casefold() for word in _WORD.findall(text))


def sheet_csv(sheet: Sheet) -> str:
    """Return the sheet as CSV, a label a row, with `verdict` and `note` to be filled in."""
    return csv_text(COLUMNS, (_row(item) for item in sheet.items))


def _row(item: Item) -> list[str]:
    quotes = [passage.text for passage in item.passages if item.chosen.present and passage.text]
    return [*identity(item.chosen), " | ".join(quotes), "", ""]


def identity(chosen: Chosen) -> tuple[str, str, str, str]:
    """Return what names a label in the CSV: the columns id, document, field and label."""
    return chosen.id, chosen.document, chosen.field, PRESENT if chosen.present else ABSENT


def sheet_html(sheet: Sheet, source: str) -> str:
    """Return the sheet as one offline HTML page, to be read or printed.

    Args:
        sheet: what to show.
        source: what the dataset is called on the page.
    """
    return printable(_template().render(sheet=sheet, plan=sheet.plan, source=source))


@functools.cache
def _template() -> Template:
    return page_template("lextune.data.quality", "spotcheck.html.j2")
