"""Score: every arm marked on the same held-out documents, and the paired tests between them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lextune.core.artifacts import read_jsonl, write_atomic, write_jsonl
from lextune.core.recipe import Config
from lextune.core.records import Document, FieldAnswer, FieldLabel, Prediction
from lextune.core.stage import Context, Inputs, Stage, Summary
from lextune.evaluate.report import Example, Reply
from lextune.evaluate.summary import ZERO_SHOT, verdict
from lextune.expert.schema import Schema, load_schema
from lextune.expert.scoring import paired, score
from lextune.expert.scoring.fields import judge
from lextune.expert.task import OUTPUT

TUNED = "tuned"
CONTEXT = 160  # characters of the document shown around an example


class ScoreConfig(Config):
    """What is scored, and how much of it the report shows."""

    schema_name: str
    """A built-in schema, or the path of a YAML file with one."""
    examples_per_kind: int = 6
    """Answers shown of each kind: right, wrong value, missed, invented."""


def run_score(config: ScoreConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Score all arms; arms that ran on fewer documents are compared with the tuned one on those same ones."""
    schema = load_schema(config.schema_name)
    documents = list(read_jsonl(inputs["split"].file("test.jsonl"), Document))
    arms = _predictions(inputs["predictions"].path)
    fewer = _predictions(inputs["base_predictions"].path)
    evaluation = evaluate_arms(documents, arms, fewer, schema, seed=context.seed)
    evaluation["model_hash"] = inputs["model"].hash
    write_atomic(out / "evaluation.json", json.dumps(evaluation, indent=1))
    examples = pick_examples(documents, arms[TUNED], schema, config.examples_per_kind)
    write_jsonl(out / "examples.jsonl", examples)
    written = schema.names == (OUTPUT,)
    write_jsonl(
        out / "replies.jsonl", pick_replies(documents, arms[TUNED], fewer.get(ZERO_SHOT, [])) if written else ()
    )
    f1 = evaluation["arms"][TUNED]["field"]["micro"]["f1"]
    return {"n_in": len(documents), "n_out": len(documents), "n_dropped": 0, "field_micro_f1": f1}


def _predictions(folder: Path) -> dict[str, list[Prediction]]:
    return {f.stem: list(read_jsonl(f, Prediction)) for f in sorted(folder.glob("*.jsonl"))}


def evaluate_arms(
    documents: Sequence[Document],
    arms: Mapping[str, Sequence[Prediction]],
    fewer: Mapping[str, Sequence[Prediction]],
    schema: Schema,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Return {arms, subset_arms, paired, tuned} in the layout the report reads.

    Args:
        documents: the held-out documents.
        arms: predictions of every document, by arm; one of them is `tuned`.
        fewer: predictions of the first documents only.
        schema: the fields.
        seed: of the bootstrap.

    Raises:
        DataError: documents and predictions do not match one to one.
    """
    tuned = arms[TUNED]
    tests = [_test(documents, TUNED, tuned, n, p, schema, seed) for n, p in arms.items() if n != TUNED]
    subset: dict[str, Any] = {}
    fewer = {n: p for n, p in fewer.items() if p}  # none where the recipe asks for no untuned arms
    if fewer:
        wanted = {p.document_id for p in next(iter(fewer.values()))}
        some = [d for d in documents if d.id in wanted]
        again = [p for p in tuned if p.document_id in wanted]
        subset = {TUNED: score(some, again, schema, seed=seed).as_json()}
        subset |= {n: score(some, list(p), schema, seed=seed).as_json() for n, p in fewer.items()}
        tests += [_test(some, TUNED, again, n, p, schema, seed) for n, p in fewer.items()]
    return {
        "tuned": TUNED,
        "arms": {n: score(documents, list(p), schema, seed=seed).as_json() for n, p in arms.items()},
        "subset_arms": subset,
        "paired": tests,
    }


def _test(  # noqa: PLR0913 - two named systems on one set of documents
    documents: Sequence[Document],
    a: str,
    first: Sequence[Prediction],
    b: str,
    second: Sequence[Prediction],
    schema: Schema,
    seed: int,
) -> dict[str, Any]:
    test = paired(documents, list(first), list(second), schema, seed=seed).as_json()
    return {"a": a, "b": b, **test, "verdict": verdict({"a": a, "b": b, **test})}


def pick_examples(
    documents: Sequence[Document], predictions: Sequence[Prediction], schema: Schema, per_kind: int
) -> list[Example]:
    """Return examples right and wrong, at most two a field in each kind, most confident first."""
    by_id = {p.document_id: p for p in predictions}
    found: list[Example] = []
    for document in documents:
        fields = by_id[document.id].record.fields
        for field in schema.fields:
            label = document.labels.get(field.name)
            if label is not None and field.name in fields:
                found += _example(document, field.name, field.type, label, fields[field.name])
    found.sort(key=lambda e: (-(e.confidence or 0.0), e.document, e.field))
    chosen: list[Example] = []
    for kind in ("right", "wrong value", "missed", "invented"):
        used: dict[str, int] = {}
        rows = [e for e in found if e.kind == kind]
        for example in rows:
            if used.get(example.field, 0) < 2 and sum(used.values()) < per_kind:
                used[example.field] = used.get(example.field, 0) + 1
                chosen.append(example)
    return chosen


def pick_replies(documents: Sequence[Document], tuned: Sequence[Prediction], base: Sequence[Prediction]) -> list[Reply]:
    """Return the prompts that both answered in free text, with both answers; of a conversation its last prompt."""
    ours, theirs = ({p.document_id: p.record.fields[OUTPUT] for p in arm} for arm in (tuned, base))
    return [
        Reply(
            document=document.name,
            prompt=document.text,
            gold=str(document.labels[OUTPUT].answer),
            tuned=_said(ours[document.id]),
            base=_said(theirs[document.id]),
        )
        for document in documents
        if document.id in theirs
    ]


def _said(answer: FieldAnswer | None) -> str | None:
    return None if answer is None else str(answer.answer)


def _example(document: Document, name: str, kind: str, label: FieldLabel, answer: FieldAnswer | None) -> list[Example]:
    if answer is None and not label.present:
        return []
    right, _, missed = judge(kind, label, answer)
    verdict_kind = "right" if right else "missed" if answer is None else "wrong value" if missed else "invented"
    place = label.spans[0][0].start if label.spans and label.spans[0] else None
    if place is None and answer is not None and answer.quotes:
        place = answer.quotes[0].start
    context = "" if place is None else document.text[max(0, place - CONTEXT) : place + 3 * CONTEXT]
    text = None
    if answer is not None:
        text = " … ".join(q.text for q in answer.quotes) or str(answer.answer)
    return [
        Example(
            document=document.name,
            field=name,
            kind=verdict_kind,
            gold=label.parts,
            answer=text,
            confidence=None if answer is None else answer.confidence,
            context=context,
        )
    ]


STAGES = (
    Stage(
        "score",
        3,
        ("split", "model", "predictions", "base_predictions"),
        ScoreConfig,
        run_score,
        "evaluation",
    ),
)
