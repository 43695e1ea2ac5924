"""Rows and answers for the tasks' scorers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from lextune.core.records import Document, DocumentInfo, FieldAnswer, FieldLabel, Prediction, Record, Usage

MakeRow = Callable[..., Document]
MakeAnswer = Callable[..., Prediction]


def make_row(name: str, text: str, output: str, **labels: Sequence[str]) -> Document:
    gold = {"output": FieldLabel(parts=(output,), answer=output) if output else FieldLabel()}
    gold |= {key: FieldLabel(parts=tuple(parts)) for key, parts in labels.items()}
    return Document(id=name, name=name, sha256="", text=text, labels=gold)


def make_answer(
    document: Document,
    text: str,
    *,
    confidence: float = 0.5,
    usage: Usage = Usage(),  # noqa: B008 - frozen
    attempts: Sequence[str] = (),
) -> Prediction:
    given = FieldAnswer(answer=text, quotes=(), confidence=confidence, status="review") if text else None
    record = Record(
        document=DocumentInfo(name=document.name, sha256="", pages=None, characters=len(document.text)),
        release="r",
        schema_name="instruction",
        fields={"output": given},
    )
    return Prediction(document_id=document.id, record=record, usage=usage, attempts=tuple(attempts))


@pytest.fixture(scope="session")
def row() -> MakeRow:
    """Makes a row: its name, prompt, answer, and further labels."""
    return make_row


@pytest.fixture(scope="session")
def answer() -> MakeAnswer:
    """Makes the prediction that answers a row with a text; none for null."""
    return make_answer
