"""Baselines that read nothing: what any score must be seen against.

`always-null` finds nothing. `always-present` finds every field and quotes the document's first line that is
not blank. `echo` finds every field and quotes the whole document, which scores 0.485 ContractEval F1 on the
408 shared contracts. An answer is what `normalise` reads in the first 2,000 characters of the quote.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lextune.core.records import (
    Candidate,
    Document,
    DocumentInfo,
    FieldAnswer,
    Prediction,
    Quote,
    Record,
    Span,
)
from lextune.expert.schema import Schema
from lextune.text.values import normalise

READ = 2_000
_FIRST_LINE = re.compile(r"\S(?:[^\n]*\S)?")


def always_null(document: Document, schema: Schema) -> Prediction:
    """Return a prediction in which every field is null."""
    return _prediction(document, schema, "always-null", None)


def always_present(document: Document, schema: Schema) -> Prediction:
    """Return a prediction in which every field quotes the first line that is not blank."""
    line = _FIRST_LINE.search(document.text)
    span = Span(start=line.start(), end=line.end()) if line else None
    return _prediction(document, schema, "always-present", span)


def echo(document: Document, schema: Schema) -> Prediction:
    """Return a prediction in which every field quotes the whole document."""
    whole = Span(start=0, end=len(document.text)) if document.text.strip() else None
    return _prediction(document, schema, "echo", whole)


ARMS: dict[str, Callable[[Document, Schema], Prediction]] = {
    "always-null": always_null,
    "always-present": always_present,
    "echo": echo,
}
"""The trivial arms by release name."""


def _prediction(document: Document, schema: Schema, release: str, span: Span | None) -> Prediction:
    """Return the prediction that quotes `span` for every field, or nothing where there is none."""
    answers: dict[str, FieldAnswer | None] = dict.fromkeys(schema.names)
    candidates: tuple[Candidate, ...] = ()
    if span is not None:
        text = document.text[span.start : span.end]
        quote = Quote(text=text, start=span.start, end=span.end, page=document.page_of(span.start))
        values = {kind: normalise(kind, text[:READ]) for kind in {field.type for field in schema.fields}}
        for field in schema.fields:
            answers[field.name] = FieldAnswer(
                answer=values[field.type], quotes=(quote,), confidence=1.0, status="accepted"
            )
        candidates = tuple(
            Candidate(field=name, start=span.start, end=span.end, confidence=1.0) for name in schema.names
        )
    record = Record(document=DocumentInfo.of(document), release=release, schema_name=schema.name, fields=answers)
    return Prediction(document_id=document.id, record=record, candidates=candidates)
