"""Scoring: all arms on the same documents, the paired tests, and the examples that are shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lextune.core.artifacts import Artifact, write_atomic, write_jsonl
from lextune.core.errors import DataError
from lextune.core.records import Document, DocumentInfo, FieldAnswer, FieldLabel, Prediction, Quote, Record
from lextune.core.stage import Context
from lextune.evaluate.marking import ClauseMarking
from lextune.evaluate.score import ScoreConfig, evaluate_arms, pick_examples, pick_replies, run_score
from lextune.evaluate.stages import ReportConfig, run_report
from lextune.expert.schema import Schema, load_schema
from lextune.expert.scoring import trivial
from lextune.expert.tasks import instruction_document
from lextune.text.values import normalise

LAW, TERM = "This Agreement is governed by the laws of the State of {}.", "The term of this Agreement is {} years."
RIGHT = ({"Law": "Ohio", "Term": "five"}, {"Law": "Maine", "Term": "two"}, {"Law": "Utah"})


def _quoted(document: Document, text: str, answer: Any, confidence: float) -> FieldAnswer:
    start = document.text.index(text)
    quote = Quote(text=text, start=start, end=start + len(text), page=None)
    return FieldAnswer(answer=answer, quotes=(quote,), confidence=confidence, status="accepted")


def _prediction(
    document: Document, schema: Schema, given: Mapping[str, FieldAnswer | None], missing: Sequence[str] = ()
) -> Prediction:
    info = DocumentInfo(name=document.name, sha256="0" * 64, pages=None, characters=len(document.text))
    fields = {n: given.get(n) for n in schema.names if n not in missing}
    record = Record(document=info, release="r", schema_name=schema.name, fields=fields, not_assessed=tuple(missing))
    return Prediction(document_id=document.id, record=record)


@pytest.fixture
def tuned(documents: list[Document], schema: Schema) -> list[Prediction]:
    """All right."""
    out = []
    for document, right in zip(documents, RIGHT, strict=True):
        given = {"Law": _quoted(document, LAW.format(right["Law"]), normalise("jurisdiction", right["Law"]), 0.9)}
        if "Term" in right:
            value = normalise("duration", f"{right['Term']} years")
            given["Term"] = _quoted(document, TERM.format(right["Term"]), value, 0.8)
        out.append(_prediction(document, schema, given))
    return out


def _trivial(name: str, documents: Sequence[Document], schema: Schema) -> list[Prediction]:
    return [trivial.ARMS[name](d, schema) for d in documents]


def test_arms_are_scored_on_the_same_documents(
    documents: list[Document], schema: Schema, tuned: list[Prediction]
) -> None:
    arms = {"tuned": tuned, "always-null": _trivial("always-null", documents, schema)}
    fewer = {"base-zero-shot": _trivial("always-null", documents[:2], schema)}
    found = evaluate_arms(documents, arms, fewer, ClauseMarking(schema, seed=3))
    assert found["tuned"] == "tuned"
    assert {n: a["n_documents"] for n, a in found["arms"].items()} == {"tuned": 3, "always-null": 3}
    assert {n: a["n_documents"] for n, a in found["subset_arms"].items()} == {"tuned": 2, "base-zero-shot": 2}
    assert found["arms"]["tuned"]["field"]["micro"]["f1"]["value"] == 1.0
    assert found["arms"]["always-null"]["field"]["micro"]["f1"]["value"] == 0.0
    tests = {(t["a"], t["b"]): t for t in found["paired"]}
    assert set(tests) == {("tuned", "always-null"), ("tuned", "base-zero-shot")}
    assert tests["tuned", "always-null"]["difference"] == 1.0
    assert tests["tuned", "always-null"]["n_documents"] == 3
    assert tests["tuned", "base-zero-shot"]["n_documents"] == 2
    assert all(t["verdict"] and t["sentence"] for t in found["paired"])
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("fewer", [{}, {"base-zero-shot": [], "base-few-shot": []}])
def test_without_untuned_arms(
    documents: list[Document], schema: Schema, tuned: list[Prediction], fewer: dict[str, list[Prediction]]
) -> None:
    found = evaluate_arms(documents, {"tuned": tuned}, fewer, ClauseMarking(schema, seed=0))
    assert found["subset_arms"] == {}
    assert found["paired"] == []


def test_predictions_of_other_documents_are_refused(
    documents: list[Document], schema: Schema, tuned: list[Prediction]
) -> None:
    with pytest.raises(DataError):
        evaluate_arms(documents, {"tuned": tuned[:2]}, {}, ClauseMarking(schema, seed=0))


def test_examples_of_each_kind(documents: list[Document], schema: Schema) -> None:
    first, second, third = documents
    law = _quoted(first, LAW.format("Ohio"), normalise("jurisdiction", "Ohio"), 0.9)
    wrong = _quoted(second, LAW.format("Maine"), normalise("jurisdiction", "Texas"), 0.7)
    invented = _quoted(third, "Invoices are paid within thirty days.", True, 0.6)
    predictions = [
        _prediction(first, schema, {"Law": law}),
        _prediction(second, schema, {"Law": wrong}),
        _prediction(third, schema, {"Audit": invented, "Term": invented}, missing=["Law"]),
    ]
    found = pick_examples(documents, predictions, schema, 6)
    assert [(e.kind, e.document, e.field) for e in found] == [
        ("right", "contract 0", "Law"),
        ("wrong value", "contract 1", "Law"),
        ("missed", "contract 0", "Term"),
        ("missed", "contract 1", "Term"),
        ("invented", "contract 2", "Audit"),  # its law was not assessed, its term has no label
    ]
    right, _, missed, _, made_up = found
    assert right.gold == (LAW.format("Ohio"),)
    assert right.answer == LAW.format("Ohio")
    assert right.confidence == 0.9
    assert right.answer in right.context
    assert missed.answer is None
    assert missed.confidence is None
    assert TERM.format("five") in missed.context
    assert made_up.gold == ()
    assert "Invoices" in made_up.context


def test_examples_are_spread_over_fields_and_the_most_confident_come_first(
    documents: list[Document], schema: Schema, tuned: list[Prediction]
) -> None:
    found = pick_examples(documents, tuned, schema, 3)
    assert [(e.field, e.confidence) for e in found] == [("Law", 0.9), ("Law", 0.9), ("Term", 0.8)]
    assert [e.field for e in pick_examples(documents, tuned, schema, 9)] == ["Law", "Law", "Term", "Term"]
    assert pick_examples(documents, tuned, schema, 0) == []


def test_an_answer_without_a_quote_is_shown_as_it_is(schema: Schema) -> None:
    document = Document(id="d", name="d", sha256="0" * 64, text="a b c", labels={"Audit": FieldLabel()})
    answer = FieldAnswer(answer="free text", quotes=(), confidence=0.5, status="review")
    (example,) = pick_examples([document], [_prediction(document, schema, {"Audit": answer})], schema, 2)
    assert (example.kind, example.answer, example.context) == ("invented", "free text", "")


@pytest.fixture
def scored(
    documents: list[Document],
    schema: Schema,
    schema_file: str,
    tuned: list[Prediction],
    split: Artifact,
    seal: Callable[..., Artifact],
) -> Artifact:
    def predictions(arms: Mapping[str, Sequence[Prediction]]) -> Artifact:
        return seal("predictions", lambda f: [write_jsonl(f / f"{n}.jsonl", p) for n, p in arms.items()] and None)

    names = ("always-null", "always-present", "echo")
    arms = {"tuned": tuned} | {n: _trivial(n, documents, schema) for n in names}
    inputs = {
        "split": split,
        "model": seal("model", lambda f: write_atomic(f / "model.json", "{}")),
        "predictions": predictions(arms),
        "base_predictions": predictions({"base-zero-shot": _trivial("always-null", documents[:2], schema)}),
    }
    config = ScoreConfig(task="clause-extraction", schema_name=schema_file, examples_per_kind=2)
    artifact = seal("evaluation", lambda f: run_score(config, inputs, f, Context()))
    assert artifact.json("evaluation.json")["model_hash"] == inputs["model"].hash
    return artifact


def test_the_score_stage(scored: Artifact) -> None:
    evaluation = scored.json("evaluation.json")
    assert list(evaluation["arms"]) == ["always-null", "always-present", "echo", "tuned"]
    assert scored.manifest.summary["field_micro_f1"] == evaluation["arms"]["tuned"]["field"]["micro"]["f1"]
    assert scored.manifest.summary["n_in"] == scored.manifest.summary["n_out"] == 3
    assert len(scored.file("examples.jsonl").read_text().splitlines()) == 2
    assert scored.file("replies.jsonl").read_text() == "", "extraction has quotes, and no free text"


def test_the_report_stage(scored: Artifact, split: Artifact, seal: Callable[..., Artifact], tmp_path: Path) -> None:
    curves = {"loss": [{"step": 1, "value": 2.0}, {"step": 2, "value": 1.0}], "eval_loss": [], "lr": []}
    training = {"steps": 2, "seconds": 3.5, "curves": curves}
    found = {"rows": 12, "too_long": 0, "estimate": {"steps": 2, "seconds": 4.0, "tokens_per_second": 100.0}}
    inputs = {
        "evaluation": scored,
        "split": split,
        "adapter": seal("adapter", lambda f: write_atomic(f / "training.json", json.dumps(training))),
        "preflight": seal("preflight", lambda f: write_atomic(f / "preflight.json", json.dumps(found))),
    }
    config = ReportConfig(title="small: what fine-tuning gained", release="small")
    out = tmp_path / "report"
    out.mkdir()
    summary = run_report(config, inputs, out, Context())
    page = (out / "report.html").read_text()
    assert summary == {"characters": len(page)}
    assert "small: what fine-tuning gained" in page
    assert LAW.format("Ohio") in page
    assert scored.manifest.created in page
    run_report(config, inputs, out, Context())
    assert (out / "report.html").read_text() == page
    people = tmp_path / "blind.json"
    with pytest.raises(DataError) as caught:
        run_report(config.model_copy(update={"blind": people}), inputs, out, Context())
    assert str(caught.value).startswith(
        f"evaluate.blind: {people}: no result of a blind review\n  -> give the blind.json"
    )
    net = {"value": 0.25, "low": 0.0, "high": 0.5, "n": 4}
    counts = {"n_items": 4, "raters": 2, "win": 2, "tie": 1, "loss": 1, "net": net, "agreement": {}}
    people.write_text(json.dumps({"a": "tuned", "b": "base-zero-shot", **counts}))
    run_report(config.model_copy(update={"blind": people}), inputs, out, Context())
    assert "0.250" in (out / "report.html").read_text()


def test_free_text_stands_beside_the_base_models() -> None:
    asked = [instruction_document(f"r{n}", "Rewrite.", f"Clause {n}.", f"Plain {n}.") for n in range(3)]
    schema = load_schema("instruction")

    def said(document: Document, text: str | None) -> Prediction:
        answer = FieldAnswer(answer=text, quotes=(), confidence=0.5, status="review") if text else None
        return _prediction(document, schema, {"output": answer})

    tuned = [said(document, f"Tuned {document.id}.") for document in asked]
    found = pick_replies(asked, tuned, [said(asked[2], None), said(asked[0], "Base.")])
    assert [(r.document, r.gold, r.tuned, r.base) for r in found] == [
        ("r0", "Plain 0.", "Tuned r0.", "Base."),
        ("r2", "Plain 2.", "Tuned r2.", None),
    ]
    assert found[0].prompt == "Rewrite.\n\nClause 0."
