"""The records that travel between stages. Offsets are Unicode code points, end exclusive, everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

SCANNED_PAGES = "scanned_pages"  # the tag of a document with the numbers of its pages that are pictures: "2 3"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Span(_Frozen):
    """A half-open range [start, end) of code points into one document's text."""

    start: int
    end: int


class FieldLabel(_Frozen):
    """What an annotator said of one field of one document.

    `parts` are the quoted texts (CSV cells split at `<omitted>`); `spans[i]` holds every occurrence of
    `parts[i]` in the text, chosen one first; `answer` is the normalised answer as annotated (raw string),
    None where there is none. No parts means null (the null contract).
    """

    parts: tuple[str, ...] = ()
    spans: tuple[tuple[Span, ...], ...] = ()
    answer: str | None = None

    @property
    def present(self) -> bool:
        """Whether the document answers the field."""
        return bool(self.parts)


class Message(_Frozen):
    """One turn of a conversation; `role` is system, user or assistant."""

    role: str
    content: str


class Edit(_Frozen):
    """A place where cleaning changed a text: `text[start:end]` stands where the source had `original`."""

    start: int
    end: int
    original: str


class Document(_Frozen):
    """One document: text, page map and, where it is annotated, labels.

    `pages[i]` is the span of page i + 1 in `text`; empty where the source has no pages. `labels` holds a
    FieldLabel for every field that was assessed; a field that is missing from it was not assessed.
    `sha256` is of the source's bytes. `edits`, in order without overlap, lead from a cleaned text back to the source's.
    `tags` says what was found out about the text (`language`, `drafting`); `annotator` who labelled it, None where
    the source does not say.

    A row of a conversation is a document too: `text` is the last question, `turns` what was said before it, the
    label `output` the answer, and `rejected` an answer that was thought worse, None where there is none.
    """

    id: str
    name: str
    sha256: str
    text: str
    pages: tuple[Span, ...] = ()
    contract_type: str | None = None
    source: str | None = None
    annotator: str | None = None
    turns: tuple[Message, ...] = ()
    rejected: str | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    edits: tuple[Edit, ...] = ()
    labels: dict[str, FieldLabel] = Field(default_factory=dict)

    def page_of(self, offset: int) -> int | None:
        """Return the 1-based page that holds code point `offset`, None where there are no pages."""
        for number, page in enumerate(self.pages, start=1):
            if offset < page.end:
                return number
        return len(self.pages) or None


class Preference(_Frozen):
    """A person's preference: of two answers to a conversation the better one, from this line of a file."""

    line: int
    messages: tuple[Message, ...]
    chosen: str
    rejected: str


class Drop(_Frozen):
    """One thing that did not go on: n_in = n_out + n_dropped, each with its reason."""

    what: str
    where: str
    reason: str


class Quote(_Frozen):
    """A verbatim piece of the document: document_text[start:end] == text."""

    text: str
    start: int
    end: int
    page: int | None


class FieldAnswer(_Frozen):
    """The public answer for one field that is present. `status` is `accepted` or `review`."""

    answer: Any
    quotes: tuple[Quote, ...]
    confidence: FiniteFloat
    status: str


class DocumentInfo(_Frozen):
    """Identity of the document that was read; `pages` is None where the source has none.

    `scanned_pages` are pictures, counted from 1: nothing on them was read.
    """

    name: str
    sha256: str
    pages: int | None
    characters: int
    scanned_pages: tuple[int, ...] = ()

    @classmethod
    def of(cls, document: Document) -> DocumentInfo:
        """Return what identifies a document."""
        scanned = document.tags.get(SCANNED_PAGES, "").split()
        return cls(
            name=document.name,
            sha256=document.sha256,
            pages=len(document.pages) or None,
            characters=len(document.text),
            scanned_pages=tuple(int(page) for page in scanned if page.isdecimal()),
        )


class Record(_Frozen):
    """The public record of one document: every field of the schema is a key of `fields`, in order."""

    document: DocumentInfo
    release: str
    schema_name: str = Field(serialization_alias="schema")
    fields: dict[str, FieldAnswer | None]
    not_assessed: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the record as plain JSON types, in the public layout."""
        return self.model_dump(mode="json", by_alias=True)


class Candidate(_Frozen):
    """A quoted place that could answer `field`, with its calibrated confidence, before any threshold."""

    field: str
    start: int
    end: int
    confidence: float


def total(counts: Iterable[int | None]) -> int | None:
    """Return the sum of counts; None where one of them is not known."""
    known = list(counts)
    return None if None in known else sum(count or 0 for count in known)


class Usage(_Frozen):
    """What answering one document took.

    `outputs` counts generations, `valid` those that parsed; `ungrounded` the quotes that a model wrote and that do not
    stand in what it read: they are dropped. `skipped` counts the windows that the screen spared the model.
    `cached_tokens` are those of `prompt_tokens` that the engine had in its cache; None where it does not tell.
    """

    seconds: float = 0.0
    prompt_tokens: int = 0
    generated_tokens: int = 0
    windows: int = 0
    outputs: int = 0
    valid: int = 0
    ungrounded: int = 0
    skipped: int = 0
    cached_tokens: int | None = None

    @classmethod
    def of(cls, usages: Sequence[Usage]) -> Usage:
        """Return what several took together."""
        return cls(**{name: total(getattr(each, name) for each in usages) for name in cls.model_fields})


class Prediction(_Frozen):
    """One arm's answer for one document: the public record, and what scoring needs beside it.

    `attempts` are the texts written where a question was asked several times, the record's own first.
    """

    document_id: str
    record: Record
    candidates: tuple[Candidate, ...] = ()
    usage: Usage = Usage()
    attempts: tuple[str, ...] = ()
