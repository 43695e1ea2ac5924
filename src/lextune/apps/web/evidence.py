"""The evidence page: a document with every quote lit, beside the answers the quotes support.

One HTML file without scripts and without anything fetched, so that it can be mailed, filed and printed. All
its text of the document stands in one element, character for character: page marks and quote numbers are
attributes that the style sheet shows.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lextune.core.errors import DocumentError, shorten
from lextune.core.pages import page_template
from lextune.core.records import Document, FieldAnswer, Record
from lextune.text.values import in_words

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

GOLDEN_ANGLE = 137.508  # degrees: neighbours in the list get hues far from one another
MAX_ANSWER = 280  # characters of an answer in the list; the quotes show the rest


@dataclass(frozen=True)
class Anchor:
    """Where a quote begins: `id` is what the list links to, `number` and `name` are its field's."""

    id: str
    number: int
    name: str


@dataclass(frozen=True)
class Piece:
    """A run of text under the same quotes, and what stands before its first character.

    `fields` are the numbers (from 1) of the fields that quote it; `pages` are the pages that begin here.
    """

    text: str
    fields: tuple[int, ...]
    anchors: tuple[Anchor, ...] = ()
    pages: tuple[int, ...] = ()


@dataclass(frozen=True)
class Row:
    """One field of the list; `found` is None where the document does not have it."""

    number: int
    name: str
    hue: int
    found: FieldAnswer | None
    links: tuple[str, ...] = ()


def render_evidence(document: Document, record: Record) -> str:
    """Return the evidence page of one document as HTML.

    Args:
        document: the document that was read.
        record: what was answered about it; its quotes are code points of `document.text`.

    Raises:
        DocumentError: the record is of another document, or quotes what does not stand there.
    """
    _check(document, record)
    rows = _rows(record)
    return _template().render(
        document=document,
        record=record,
        rows=rows,
        names={row.number: row.name for row in rows},
        hues={row.number: row.hue for row in rows},
        found=sum(row.found is not None for row in rows),
        pieces=list(split(document, rows)),
    )


def _check(document: Document, record: Record) -> None:
    if record.document.sha256 != document.sha256:
        raise DocumentError(
            "the record is of another document (their sha256 differ)",
            where=document.name,
            do="give the document that the record was made from",
        )
    for name, found in record.fields.items():
        for quote in found.quotes if found else ():
            if quote.start < 0 or not quote.text or document.text[quote.start : quote.end] != quote.text:
                raise DocumentError(
                    f"{name} quotes {shorten(quote.text, 40)!r}, which does not stand at {quote.start} to {quote.end}",
                    where=document.name,
                    do="read the document and make the record with the same version of lextune",
                )


def _rows(record: Record) -> list[Row]:
    assessed = [item for item in record.fields.items() if item[0] not in record.not_assessed]
    return [
        Row(
            number=number,
            name=name,
            hue=round((number - 1) * GOLDEN_ANGLE) % 360,
            found=found,
            links=tuple(f"q{number}-{index}" for index in range(1, len(found.quotes) + 1)) if found else (),
        )
        for number, (name, found) in enumerate(assessed, start=1)
    ]


def split(document: Document, rows: list[Row]) -> Iterator[Piece]:
    """Cut the text wherever a quote begins or ends or a page begins; the pieces joined are the text."""
    anchors: dict[int, list[Anchor]] = defaultdict(list)
    opened: dict[int, list[int]] = defaultdict(list)
    closed: dict[int, list[int]] = defaultdict(list)
    pages: dict[int, list[int]] = defaultdict(list)
    for row in rows:
        for link, quote in zip(row.links, row.found.quotes if row.found else (), strict=True):
            anchors[quote.start].append(Anchor(link, row.number, row.name))
            opened[quote.start].append(row.number)
            closed[quote.end].append(row.number)
    for number, page in enumerate(document.pages, start=1):
        pages[page.start].append(number)
    length = len(document.text)
    cuts = sorted({0, *opened, *closed, *pages} - {length})
    active: list[int] = []
    for start, end in zip(cuts, [*cuts[1:], length], strict=True):
        for number in closed[start]:
            active.remove(number)
        active.extend(opened[start])
        yield Piece(document.text[start:end], tuple(sorted(set(active))), tuple(anchors[start]), tuple(pages[start]))
    if pages[length]:  # pages without text at the end
        yield Piece("", (), pages=tuple(pages[length]))


@functools.cache
def _template() -> Template:
    return page_template(
        "lextune.apps.web",
        "evidence.html.j2",
        lstrip=False,
        exact=_exact,
        plain=lambda answer: shorten(in_words(answer), MAX_ANSWER),
        stripes=_stripes,
        shorten=shorten,
    )


def _exact(text: str) -> Markup:
    """Escape text so that an HTML parser gives it back: it would turn a bare carriage return into a newline.

    NUL cannot be written in HTML; it shows as U+FFFD, one for one.
    """
    from markupsafe import Markup, escape

    return Markup(str(escape(text)).replace("\r", "&#13;").replace("\0", "\N{REPLACEMENT CHARACTER}"))


def _stripes(fields: tuple[int, ...], hues: Mapping[int, int]) -> str:
    """Return a CSS background: one band, from top to bottom, for each field that quotes the text."""
    share = 100 / len(fields)
    bands = [
        f"hsl({hues[number]} var(--s) var(--l)) {index * share:.4g}% {(index + 1) * share:.4g}%"
        for index, number in enumerate(fields)
    ]
    return f"linear-gradient({', '.join(bands)})"
