"""The British twins of the test, read by a scripted model that knows some words of either drafting."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from pydantic import BaseModel

from lextune.core.artifacts import Artifact, write_jsonl
from lextune.core.errors import DataError
from lextune.core.records import Document, DocumentInfo, FieldAnswer, Prediction, Quote, Record
from lextune.core.stage import Context
from lextune.evaluate import twins
from lextune.evaluate.arms import Arm
from lextune.evaluate.twins import Read, TwinsConfig, choose_american, compare_twins, run_twins
from lextune.expert.schema import Schema
from lextune.expert.windowing import WindowConfig
from lextune.text.anglicise import anglicise


def _lines(name: str, rows: Sequence[BaseModel]) -> Callable[[Path], None]:
    """Return what writes the file of an artifact."""

    def fill(folder: Path) -> None:
        write_jsonl(folder / name, rows)

    return fill


def reader(schema: Schema, *patterns: str) -> Arm:
    """An arm that answers each field of the schema by a regular expression."""

    def answer(document: Document) -> Prediction:
        fields: dict[str, FieldAnswer | None] = {}
        for field, pattern in zip(schema.fields, patterns, strict=True):
            match = re.search(pattern, document.text)
            quotes = (Quote(text=match.group(), start=match.start(), end=match.end(), page=None),) if match else ()
            value = {"Ohio": "Ohio", "Maine": "Maine", "Utah": "Utah"}
            said = next((v for v in value if match and v in match.group()), True)
            fields[field.name] = (
                FieldAnswer(answer=said, quotes=quotes, confidence=0.9, status="accepted") if match else None
            )
        info = DocumentInfo(name=document.name, sha256="0", pages=None, characters=len(document.text))
        return Prediction(
            document_id=document.id, record=Record(document=info, release="r", schema_name="small", fields=fields)
        )

    return answer


@pytest.fixture
def american(documents: list[Document], schema: Schema) -> list[Document]:
    """The three contracts with sentences that a British drafter would have written otherwise, before their labels."""
    spelt = " The labor program is authorized under Section 3 of the corporation."
    return [document.model_copy(update={"text": document.text + spelt}) for document in documents]


def test_what_the_drafting_alone_costs_is_measured(
    american: list[Document],
    schema: Schema,
    seal: Callable[..., Artifact],
    tmp_path: Path,
    schema_file: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    knows_american = reader(schema, r"This Agreement is governed[^.]*\.(?=[\s\S]*labor)", r"$^", r"authorized[^.]*\.")
    made = seal("split", _lines("test.jsonl", american))
    before = seal("predictions", _lines("tuned.jsonl", [knows_american(d) for d in american]))
    monkeypatch.setattr(twins, "tuned_arm", lambda config, inputs: knows_american)
    config = TwinsConfig(schema_name=schema_file, window=WindowConfig(), twins=40)
    calls: list[tuple[int, int, str]] = []
    out = tmp_path / "out"
    out.mkdir()
    summary = run_twins(
        config, {"split": made, "predictions": before}, out, Context(0, lambda *call: calls.append(call))
    )
    found = json.loads((out / "twins.json").read_text())
    assert found["documents"] == summary["n_out"] == 3
    assert found["edits_per_document"] == 4, "labour, programme, authorised, clause"
    assert found["drafting"] == {"unknown": 3}, "the law that governs is still American"
    # three right laws, two missed terms, three invented audits: F1 = 6 / (6 + 3 + 2); nothing is found in the twins
    assert found["original"]["f1"]["value"] == pytest.approx(6 / 11)
    assert found["twin"]["f1"]["value"] == 0
    assert found["paired"]["difference"] == summary["change"] == pytest.approx(-6 / 11)
    assert found["by_field"]["Law"]["n_present"] == 3
    assert (found["by_field"]["Law"]["original"]["value"], found["by_field"]["Law"]["twin"]["value"]) == (1.0, 0.0)
    assert calls[-1][:2] == (3, 3)


def test_a_reader_who_does_not_care_loses_nothing(american: list[Document], schema: Schema) -> None:
    arm = reader(schema, r"This Agreement is governed[^.]*\.", r"The term[^.]*\.", r"$^")
    pairs = [anglicise(document).document for document in american]
    found = compare_twins(Read(american, [arm(d) for d in american]), Read(pairs, [arm(d) for d in pairs]), schema)
    assert found["original"] == found["twin"]
    assert found["original"]["jaccard"]["value"] == 1.0
    assert (found["paired"]["difference"], found["paired"]["p"]) == (0.0, 1.0)


def test_documents_are_drawn_from_those_in_american_drafting(american: list[Document]) -> None:
    british = [anglicise(document).document for document in american]
    assert choose_american([*british, *american], 40, 0) == american
    assert len(choose_american(american, 2, 0)) == 2
    with pytest.raises(DataError) as caught:
        choose_american(british, 2, 0)
    assert str(caught.value) == (
        "evaluate.twins: every test document is in British drafting, so there are no twins to read\n  -> set it to 0"
    )
