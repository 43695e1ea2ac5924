"""The clauses of many documents as places: what is compared below the level of documents, without holding texts."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from lextune.core.errors import shorten
from lextune.core.records import Document
from lextune.data.dedupe import wording
from lextune.text.segments import sentences

MIN_WORDS = 8  # shorter sentences are headings and stock phrases, and mean what stands around them
_WORD = re.compile(r"\w+")


def clauses(document: Document) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and text of each sentence of at least `MIN_WORDS` words; of a conversation, the whole row."""
    if document.turns or is_row(document):
        yield 0, len(document.text), wording(document)
        return
    for span in sentences(document.text):
        text = document.text[span.start : span.end]
        if len(_WORD.findall(text)) >= MIN_WORDS:
            yield span.start, span.end, text


def is_row(document: Document) -> bool:
    """Say whether labels are answers to the whole text: some are given, and none quotes the text."""
    present = [label for label in document.labels.values() if label.present]
    return bool(present) and not any(label.spans for label in present)


@dataclass
class Places:
    """Where texts stand: for each the number of its document, start and end; and the documents' ids."""

    documents: array[int] = field(default_factory=lambda: array("q"))
    starts: array[int] = field(default_factory=lambda: array("q"))
    ends: array[int] = field(default_factory=lambda: array("q"))
    ids: list[str] = field(default_factory=list)

    def open(self, document: Document) -> None:
        """Note that the next places are in this document."""
        self.ids.append(document.id)

    def add(self, start: int, end: int) -> None:
        """Note a place in the document that was opened last."""
        self.documents.append(len(self.ids) - 1)
        self.starts.append(start)
        self.ends.append(end)

    def id_of(self, place: int) -> str:
        """Return the id of the document of a place."""
        return self.ids[self.documents[place]]

    def visit(self, documents: Iterable[Document], wanted: Iterable[int]) -> Iterator[tuple[Document, list[int]]]:
        """Yield the documents that some places are in, each with those places.

        Args:
            documents: the same ones, in the same order.
            wanted: places.
        """
        by_document: dict[int, list[int]] = {}
        for place in wanted:
            by_document.setdefault(self.documents[place], []).append(place)
        for position, document in enumerate(documents):
            if position in by_document:
                yield document, by_document[position]

    def excerpt(self, document: Document, place: int) -> str:
        """Return the beginning of the text at a place."""
        return shorten(document.text[self.starts[place] : self.ends[place]])
