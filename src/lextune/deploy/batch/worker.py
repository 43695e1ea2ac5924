"""A worker: reads one document and answers it. It is the same here and in a process on a cluster."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from lextune.core.errors import ContextError, DocumentError, LextuneError, shorten
from lextune.core.machine import lacking
from lextune.core.records import Document, Prediction, Record
from lextune.deploy.batch.book import Failure
from lextune.deploy.batch.options import Answering
from lextune.deploy.batch.taking import Taken
from lextune.text.contract_types import contract_type_of
from lextune.text.reading import Limits, read_document
from lextune.text.reading.sniff import sniff

BUGS_IN_A_ROW = 3
"""So many unexpected errors without an answer between them are no longer the fault of single documents."""
TITLE = "Document Name"  # the field of a contract's title, as CUAD calls it
REPORT = "report it, with the document if you may"
Outcome = dict[str, Any]
"""The values of a `book.Row` that the document decides: kind, reading, usage, record, failure."""


class Text(NamedTuple):
    """A document that was read, or what went wrong; its kind, and the seconds that reading took."""

    document: Document | Exception
    kind: str | None
    seconds: float


class Worker:
    """Reads and answers documents; the model is loaded for the first of them.

    Args:
        start: loads the model.
        limits: what one document may cost to read.
        min_confidence: see `BatchOptions`.
    """

    def __init__(self, start: Callable[[], Answering], limits: Limits, min_confidence: float | None) -> None:
        self._start, self._limits, self._min_confidence = start, limits, min_confidence
        self._expert: Answering | None = None
        self._bugs = 0

    def started(self) -> Worker:
        """Load the model now."""
        self._expert = self._expert or self._start()
        return self

    def __call__(self, taken: Taken) -> Outcome:
        """Read a document and answer it."""
        return self.answer(self.read(taken))

    def read(self, taken: Taken) -> Text:
        """Return a file's text, or what went wrong, which `answer` raises; several threads may call this at once."""
        began = time.perf_counter()
        kind = None
        found: Document | Exception
        try:
            found = read_document(taken.data, name=taken.name, limits=self._limits)
            kind = sniff(taken.data, taken.name)
        except Exception as error:  # where it is raised it would end the thread's run, and not be judged by `answer`
            found = error
        return Text(found, kind, time.perf_counter() - began)

    def answer(self, text: Text) -> Outcome:
        """Answer a document that was read.

        Raises:
            LextuneError: the release or the machine is broken.
            Exception: an unexpected error, the third in a row.
        """
        outcome: Outcome = {"kind": text.kind, "reading": round(text.seconds, 4)}
        try:
            found = self._answered(text.document)
        except (DocumentError, ContextError) as error:
            unreadable = Failure(kind="unreadable", reason=shorten(error.what, 200), do=error.do)
            return {**outcome, "failure": unreadable}
        except (LextuneError, OSError):
            raise
        except Exception as error:
            self._bugs += 1
            if self._bugs == BUGS_IN_A_ROW or lacking(error) is not None:
                raise
            name = type(error).__name__  # its text may quote the document
            return {**outcome, "failure": Failure(kind="bug", reason=f"a bug in lextune ({name})", do=REPORT)}
        self._bugs = 0
        return {**outcome, "type": _contract_type(found.record), "record": found.record, "usage": found.usage}

    def _answered(self, document: Document | Exception) -> Prediction:
        if isinstance(document, Exception):
            raise document
        expert = self._expert = self._expert or self._start()
        return expert.answer(document, min_confidence=self._min_confidence)


def _contract_type(record: Record) -> str | None:
    """Return the contract type that the title shows which was found, or else the file's name."""
    title = record.fields.get(TITLE)
    quoted = " ".join(quote.text for quote in title.quotes) if title is not None else ""
    return contract_type_of(quoted) or contract_type_of(record.document.name)


def begin(start: Callable[[], Answering], limits: Limits, min_confidence: float | None) -> Worker:
    """Return a worker that has loaded its model: what a process on a cluster begins with."""
    return Worker(start, limits, min_confidence).started()


def lost(taken: Taken) -> Outcome:
    """Return what becomes of a document that takes down every process that works on it."""
    return {"failure": Failure(kind="lost", reason="the process that read it was killed, each time", do=REPORT)}
