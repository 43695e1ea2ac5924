"""Three small contracts with labels, and a schema for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lextune.core.artifacts import Artifact, write_jsonl
from lextune.core.records import Document, FieldLabel, Span
from lextune.expert.schema import Schema, load_schema

SCHEMA = """name: small
fields:
  - {name: Law, type: jurisdiction, question: "Which law governs?"}
  - {name: Term, type: duration, question: "How long?"}
  - {name: Audit, type: boolean, question: "May the books be inspected?"}
"""
TEXT = (
    "SERVICE AGREEMENT\n\nThe Provider shall keep the machines of the Customer in good order.\n\n"
    "This Agreement is governed by the laws of the State of {state}.\n\n"
    "The term of this Agreement is {years} years.\n\nInvoices are paid within thirty days.\n"
)


@pytest.fixture
def schema_file(tmp_path: Path) -> str:
    path = tmp_path / "small.yaml"
    path.write_text(SCHEMA)
    return str(path)


@pytest.fixture
def schema(schema_file: str) -> Schema:
    return load_schema(schema_file)


def _label(text: str, part: str, answer: str) -> FieldLabel:
    start = text.index(part)
    return FieldLabel(parts=(part,), spans=((Span(start=start, end=start + len(part)),),), answer=answer)


@pytest.fixture
def documents() -> list[Document]:
    """Audit is absent from all; the last document was not assessed for the term."""
    out = []
    for number, (state, years) in enumerate((("Ohio", "five"), ("Maine", "two"), ("Utah", "nine"))):
        text = TEXT.format(state=state, years=years)
        labels = {
            "Law": _label(text, f"This Agreement is governed by the laws of the State of {state}.", state),
            "Term": _label(text, f"The term of this Agreement is {years} years.", f"{years} years"),
            "Audit": FieldLabel(),
        }
        if number == 2:
            del labels["Term"]
        name = f"contract {number}"
        out.append(Document(id=name, name=name, sha256="0" * 64, text=text, labels=labels, contract_type="Service"))
    return out


@pytest.fixture
def split(documents: list[Document], seal: Callable[..., Artifact]) -> Artifact:
    def fill(folder: Path) -> None:
        write_jsonl(folder / "test.jsonl", documents)
        (folder / "card.json").write_text('{"documents": {"train": 5, "validation": 2, "test": 3}}')

    return seal("split", fill)
