"""Stress: answers before and after, and what counts as changed."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from pydantic import BaseModel

from lextune.core.artifacts import Artifact, write_jsonl
from lextune.core.errors import DocumentError
from lextune.core.records import Document, DocumentInfo, FieldAnswer, Prediction, Quote, Record, Span
from lextune.core.stage import Context
from lextune.evaluate import stress
from lextune.evaluate.arms import Arm
from lextune.evaluate.stress import StressConfig, answer_cases, hold, make_cases, run_stress
from lextune.expert.windowing import WindowConfig
from lextune.text.stress import KINDS, injected

LAW, TERM = r"This Agreement is governed[^.]*\.", r"The term[^.]*\."
FIELDS = {"Law": LAW, "Term": TERM, "Audit": r"Atlantis"}


def _lines(name: str, rows: Sequence[BaseModel]) -> Callable[[Path], None]:
    """Return what writes the file of an artifact."""

    def fill(folder: Path) -> None:
        write_jsonl(folder / name, rows)

    return fill


def reader(patterns: dict[str, str]) -> Arm:
    """An arm that quotes what a regular expression finds."""

    def answer(document: Document) -> Prediction:
        fields: dict[str, FieldAnswer | None] = {}
        for name, pattern in patterns.items():
            quotes = tuple(
                Quote(text=m.group(), start=m.start(), end=m.end(), page=None)
                for m in re.finditer(pattern, document.text)
            )
            fields[name] = (
                FieldAnswer(answer=True, quotes=quotes, confidence=0.9, status="accepted") if quotes else None
            )
        info = DocumentInfo(name=document.name, sha256="0", pages=None, characters=len(document.text))
        return Prediction(
            document_id=document.id, record=Record(document=info, release="r", schema_name="small", fields=fields)
        )

    return answer


def obedient(document: Document) -> Prediction:
    """An arm that does what the contract tells it to, and cannot read an empty one."""
    if not document.text:
        raise DocumentError("the document is empty", where=document.name)
    if len(document.text) > 5_000:
        raise MemoryError("too long " + "x" * 200)
    obeys = re.search(r"null|\{\}|absent|confidential", document.text)
    return reader(dict.fromkeys(FIELDS, r"$^") if obeys else FIELDS)(document)


@pytest.fixture
def run(
    documents: list[Document],
    seal: Callable[..., Artifact],
    schema_file: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., dict[str, object]]:
    def go(arm: Arm, **settings: object) -> dict[str, object]:
        split = seal("split", _lines("test.jsonl", documents))
        before = seal("predictions", _lines("tuned.jsonl", [reader(FIELDS)(d) for d in documents]))
        monkeypatch.setattr(stress, "tuned_arm", lambda config, inputs: arm)
        config = StressConfig(schema_name=schema_file, window=WindowConfig(), huge_characters=6_000, **settings)
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        run_stress(config, {"split": split, "predictions": before}, out, Context())
        return json.loads((out / "stress.json").read_text())

    return go


def test_a_reader_that_does_not_care_changes_nothing(run: Callable[..., dict[str, object]]) -> None:
    found = run(reader(FIELDS))
    assert found["documents"] == 3
    assert list(found["kinds"]) == list(KINDS)
    for kind in ("injected", "furniture", "huge", "empty"):
        each = found["kinds"][kind]
        if kind != "injected":  # one of its instructions names Atlantis, which this reader quotes
            assert each["changed"]["value"] == 0, kind
        assert (each["failed"], each["refused"], each["what"]) == (0, 0, KINDS[kind][0])
    assert found["kinds"]["empty"]["answers"] == 9
    assert found["kinds"]["huge"]["documents"] == 1
    assert found["invented_before"] == {"value": 0.0, "low": 0.0, "high": 0.0, "n": 3}


def test_an_obedient_reader_is_found_out(run: Callable[..., dict[str, object]]) -> None:
    found = run(obedient)["kinds"]
    assert found["injected"]["changed"]["value"] == pytest.approx(6 / 9), "two of three answers of each document"
    first = found["injected"]["examples"][0]
    assert (first["field"], first["after"]) == ("Law", None)
    assert first["before"].startswith("This Agreement is governed")
    assert (found["empty"]["refused"], found["empty"]["failed"], found["empty"]["answers"]) == (3, 0, 0)
    assert found["empty"]["changed"]["value"] is None
    assert found["huge"]["failed"] == 1
    assert found["huge"]["failures"][0].startswith("MemoryError: too long x")
    assert len(found["huge"]["failures"][0]) < 100, "no more than 80 characters of anything"


def test_an_invented_answer_is_counted_where_nothing_is(documents: list[Document]) -> None:
    cases = {"injected": [(document, injected(document, random.Random(0))) for document in documents]}
    invents = reader({**FIELDS, "Audit": r"SERVICE AGREEMENT"})
    answers = [stress._answer(invents, "injected", made.document) for _, made in cases["injected"]]
    known = {document.id: reader(FIELDS)(document) for document in documents}
    found = stress.judge_kind("injected", cases["injected"], answers, known, 0)
    assert found["invented"]["value"] == 1.0
    assert found["changed"]["value"] == pytest.approx(1 / 3)
    assert {example["after"] for example in found["examples"]} == {"SERVICE AGREEMENT"}


def test_only_answers_whose_words_are_still_there_are_held(documents: list[Document]) -> None:
    document = documents[0]
    before = reader(FIELDS)(document)
    cut = document.text.index("The term") + 4
    for order, expected in (((0, cut), {"Law", "Audit"}), ((cut, len(document.text)), {"Audit"})):
        piece = Span(start=order[0], end=order[1])
        made = stress.Stressed(
            document.model_copy(update={"text": document.text[piece.start : piece.end]}),
            lambda start, end, piece=piece: (Span(start=piece.start + start, end=piece.start + end),),
        )
        assert {one.field for one in hold(document, made, before, reader(FIELDS)(made.document))} == expected


def test_nothing_is_asked_twice(documents: list[Document], schema_file: str, tmp_path: Path) -> None:
    config = StressConfig(schema_name=schema_file, window=WindowConfig(), kinds=("ocr", "empty"), stressed=2)
    cases = make_cases(config, documents[:2], 0)
    asked: list[str] = []

    def arm(document: Document) -> Prediction:
        asked.append(document.id)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return reader(FIELDS)(document)

    journal = tmp_path / "stress.jsonl"
    with pytest.raises(KeyboardInterrupt):
        answer_cases(cases, lambda: arm, journal, lambda *_: None)
    found = answer_cases(cases, lambda: arm, journal, lambda *_: None)
    assert len(asked) == 5, "four answers, one of which was interrupted"
    assert [one.document_id for one in found["empty"]] == [document.id for document in documents[:2]]
