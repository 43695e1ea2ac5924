"""Small annotated documents and predictions for the scoring tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from lextune.core.records import (
    Candidate,
    Document,
    DocumentInfo,
    FieldAnswer,
    FieldLabel,
    Prediction,
    Quote,
    Record,
    Usage,
)
from lextune.expert.schema import Schema, SchemaField

Given = str | tuple[Any, Sequence[str]] | None


@pytest.fixture(scope="session")
def schema() -> Schema:
    kinds = {
        "Title": "text",
        "Parties": "parties",
        "Start": "date",
        "Term": "duration",
        "Law": "jurisdiction",
    }
    kinds |= {"Audit": "boolean", "Price": "money"}
    fields = (SchemaField(name=name, type=kind, question=f"{name}?") for name, kind in kinds.items())
    return Schema(name="small", fields=tuple(fields))


@pytest.fixture(scope="session")
def make_document() -> Callable[..., Document]:
    def make(name: str, text: str, labels: Mapping[str, FieldLabel], kind: str | None = None) -> Document:
        return Document(id=name, name=name, sha256="0" * 64, text=text, labels=dict(labels), contract_type=kind)

    return make


@pytest.fixture(scope="session")
def make_prediction(schema: Schema) -> Callable[..., Prediction]:
    def make(
        document: Document,
        answers: Mapping[str, Given],
        *,
        candidates: Sequence[tuple[str, str, float]] = (),
        not_assessed: Sequence[str] = (),
        usage: Usage | None = None,
    ) -> Prediction:
        """Answers are a quote (answer True), or (answer, quotes); candidates (field, text, confidence)."""
        fields: dict[str, FieldAnswer | None] = {n: None for n in schema.names if n not in not_assessed}
        for name, value in answers.items():
            answer, quotes = (True, [value]) if isinstance(value, str) else value or (None, [])
            found = tuple(
                Quote(text=q, start=max(0, document.text.find(q)), end=document.text.find(q) + len(q), page=None)
                for q in quotes
            )
            fields[name] = FieldAnswer(answer=answer, quotes=found, confidence=0.9, status="accepted")
        info = DocumentInfo(name=document.name, sha256="0" * 64, pages=None, characters=len(document.text))
        record = Record(
            document=info, release="r", schema_name="small", fields=fields, not_assessed=tuple(not_assessed)
        )
        spans = tuple(
            Candidate(field=f, start=document.text.index(t), end=document.text.index(t) + len(t), confidence=c)
            for f, t, c in candidates
        )
        return Prediction(document_id=document.id, record=record, candidates=spans, usage=usage or Usage())

    return make
