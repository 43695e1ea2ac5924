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
from lextune.evaluate.arms import TUNED, read_predictions
from lextune.evaluate.comparing import compared, yes_or_no
from lextune.evaluate.marking import Marking, marking_of
from lextune.evaluate.report import Example, Reply
from lextune.evaluate.summary import ZERO_SHOT
from lextune.expert.schema import Schema, load_schema
from lextune.expert.scoring.fields import judge
from lextune.expert.scoring.slices import TAGS
from lextune.expert.tasks import OUTPUT, TaskOptions, get_task

CONTEXT = 160  # characters of the document shown around an example


class ScoreConfig(Config):
    """What is scored, and how much of it the report shows."""

    task: str
    """What the documents are used for: a task of `lextune.expert.tasks`."""
    schema_name: str
    """A built-in schema, or the path of a YAML file with one."""
    task_options: TaskOptions = TaskOptions()
    """Settings of the task's scorer."""
    slice_tags: tuple[str, ...] = TAGS
    """Tags of documents by which they are scored in parts, beside the standing ones."""
    machine_price: float = 0.0
    """What an hour of the machine that the arms ran on costs."""
    examples_per_kind: int = 6
    """Answers shown of each kind: right, wrong value, missed, invented."""


Arms = Mapping[str, Sequence[Prediction]]


def run_score(config: ScoreConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Score all arms; arms that ran on fewer documents are compared with the tuned one on those same ones."""
    schema = load_schema(config.schema_name)
    documents = list(read_jsonl(inputs["split"].file("test.jsonl"), Document))
    arms = read_predictions(inputs["predictions"].path)
    fewer = read_predictions(inputs["base_predictions"].path)
    marking = marking_of(config.task, schema, config.task_options, context.seed, config.slice_tags)
    evaluation = evaluate_arms(documents, arms, fewer, marking)
    evaluation |= {"task": config.task, "model_hash": inputs["model"].hash}
    paid = inputs["base_predictions"].manifest.summary.get("costs", {})
    evaluation["costs"] = costs({**fewer, **arms}, paid, config.machine_price)
    write_atomic(out / "evaluation.json", json.dumps(evaluation, indent=1))
    rows = get_task(config.task).rows
    examples = [] if rows else pick_examples(documents, arms[TUNED], schema, config.examples_per_kind)
    write_jsonl(out / "examples.jsonl", examples)
    write_jsonl(out / "replies.jsonl", pick_replies(documents, arms[TUNED], fewer.get(ZERO_SHOT, [])) if rows else ())
    return {"n_in": len(documents), "n_out": len(documents), "n_dropped": 0, **_headline(evaluation)}


def _headline(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    tuned = evaluation["arms"][TUNED]
    if "primary" in tuned:
        return {tuned["primary"]: tuned["scores"][tuned["primary"]]}
    return {"field_micro_f1": tuned["field"]["micro"]["f1"]}


def evaluate_arms(documents: Sequence[Document], arms: Arms, fewer: Arms, marking: Marking) -> dict[str, Any]:
    """Return {tuned, arms, subset_arms, paired, mcnemar} in the layout the report reads.

    Args:
        documents: the held-out documents.
        arms: predictions of every document, by arm; one of them is `tuned`.
        fewer: predictions of the same few documents, by arm.
        marking: scores and compares them.

    Raises:
        DataError: documents and predictions do not match one to one.
    """
    tuned = (TUNED, arms[TUNED])
    others = [(name, arm) for name, arm in arms.items() if name != TUNED]
    found: dict[str, Any] = {
        "tuned": TUNED,
        "arms": {name: marking.score(documents, arm, arms[TUNED]) for name, arm in arms.items()},
        "subset_arms": {},
        "paired": [compared(marking, documents, tuned, other) for other in others],
        "mcnemar": [row for other in others for row in yes_or_no(marking, documents, tuned, other)],
    }
    fewer = {n: p for n, p in fewer.items() if p}  # none where the recipe asks for no untuned arms
    if fewer:
        wanted = {p.document_id for p in next(iter(fewer.values()))}
        some = [d for d in documents if d.id in wanted]
        again = (TUNED, [p for p in arms[TUNED] if p.document_id in wanted])
        found["subset_arms"] = {n: marking.score(some, p, again[1]) for n, p in (again, *fewer.items())}
        for other in fewer.items():
            found["paired"].append(compared(marking, some, again, other))
            found["mcnemar"] += yes_or_no(marking, some, again, other)
    return found


def costs(arms: Arms, paid: Mapping[str, Mapping[str, float]], machine_price: float) -> dict[str, dict[str, float]]:
    """Return {arm: {tokens_in, tokens_out, price}}: tokens in all, and the price of one document.

    Args:
        arms: predictions by arm.
        paid: what reference models were paid for all their documents, by arm.
        machine_price: of an hour of the machine, for arms that ran on it.
    """
    table = {}
    for name, arm in arms.items():
        usage = [prediction.usage for prediction in arm]
        price = paid[name]["price"] if name in paid else sum(one.seconds for one in usage) / 3600 * machine_price
        table[name] = {
            "tokens_in": sum(one.prompt_tokens for one in usage),
            "tokens_out": sum(one.generated_tokens for one in usage),
            "price": price / max(1, len(arm)),
        }
    return table


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
            page=None if place is None else document.page_of(place),
        )
    ]


STAGES = (
    Stage(
        "score",
        5,
        ("split", "model", "predictions", "base_predictions"),
        ScoreConfig,
        run_score,
        "evaluation",
    ),
)
