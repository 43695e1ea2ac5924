"""Stress: the model reads documents that were spoilt on purpose; how many of its answers change that should not.

An answer may not change where the words that it quoted are still there together: it is held against the answer to the
document as it came, by presence and by the quoted words, led back to where they stood. What was done to the text is
in `lextune.text.stress`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from lextune.core.artifacts import SCRATCH, read_jsonl, write_atomic
from lextune.core.errors import DocumentError, shorten
from lextune.core.journal import Journal
from lextune.core.records import Document, FieldAnswer, Prediction, Span
from lextune.core.stage import Context, Inputs, Progress, Stage, Summary
from lextune.evaluate.arms import TUNED, Arm, Making
from lextune.evaluate.reading import ServedConfig, tuned_arm
from lextune.expert.scoring.intervals import Bootstrap, Score, ratio
from lextune.expert.scoring.pairs import given
from lextune.text.stress import HUGE, KINDS, Stress, Stressed, huge
from lextune.text.tokens import jaccard, tokens
from lextune.text.values import TEXT_MATCH

Kind = Literal["injected", "cut_pages", "shuffled_pages", "ocr", "furniture", "empty", "huge"]
SHOWN = 5  # examples of each kind


class StressConfig(ServedConfig):
    """What is done to how many documents."""

    stressed: int = Field(8, ge=1)
    """How many test documents are spoilt, the shortest first."""
    kinds: tuple[Kind, ...] = get_args(Kind)
    """What is done to each of them."""
    huge_documents: int = Field(1, ge=1)
    """How many of them are made huge: that takes as long as many documents."""
    huge_characters: int = Field(HUGE, ge=1)
    """Characters of a huge document, at least."""


class Answered(BaseModel):
    """What came of one spoilt document: a prediction, or why there is none."""

    model_config = ConfigDict(frozen=True)
    kind: str
    document_id: str
    prediction: Prediction | None = None
    refused: str | None = None
    failed: str | None = None


class Held(NamedTuple):
    """One answer before and after; `same` says whether it is one answer."""

    document: str
    field: str
    before: str | None
    after: str | None
    same: bool


def run_stress(config: StressConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Write `stress.json`; answers under way are kept, as those of an arm."""
    documents = list(read_jsonl(inputs["split"].file("test.jsonl"), Document))
    chosen = sorted(documents, key=lambda d: (len(d.text), d.id))[: config.stressed]
    known = {p.document_id: p for p in read_jsonl(inputs["predictions"].file(f"{TUNED}.jsonl"), Prediction)}
    cases = make_cases(config, chosen, context.seed)
    answers = answer_cases(cases, lambda: tuned_arm(config, inputs), out / SCRATCH / "stress.jsonl", context.progress)
    marks = {kind: judge_kind(kind, cases[kind], answers[kind], known, context.seed) for kind in config.kinds}
    before = _invented([(document, known[document.id]) for document in chosen], context.seed)
    found = {"documents": len(chosen), "invented_before": before.as_json(), "kinds": marks}
    write_atomic(out / "stress.json", json.dumps(found, indent=1, ensure_ascii=False))
    sizes = {"n_in": len(documents), "n_out": len(chosen), "n_dropped": len(documents) - len(chosen)}
    return {**sizes, "changed": {kind: each["changed"]["value"] for kind, each in marks.items()}}


def make_cases(
    config: StressConfig, documents: Sequence[Document], seed: int
) -> dict[str, list[tuple[Document, Stressed]]]:
    """Return the documents beside what each kind makes of them."""
    cases: dict[str, list[tuple[Document, Stressed]]] = {}
    for kind in config.kinds:
        spoil: Stress = KINDS[kind][1]
        some = documents
        if kind == "huge":
            spoil, some = partial(huge, characters=config.huge_characters), documents[: config.huge_documents]
        cases[kind] = [(one, spoil(one, random.Random(f"{seed} {kind} {one.id}"))) for one in some]
    return cases


def answer_cases(
    cases: Mapping[str, Sequence[tuple[Document, Stressed]]], making: Making, journal: Path, progress: Progress
) -> dict[str, list[Answered]]:
    """Let an arm read every spoilt document.

    A document that is refused with a clear error (`DocumentError`) is answered rightly; any other exception is a
    failure, kept with its message.
    """
    kept = Journal(journal, Answered)
    known = {(one.kind, one.document_id): one for one in kept}
    total, arm = sum(map(len, cases.values())), None
    for kind, pairs in cases.items():
        for document, stressed in pairs:
            if (kind, document.id) not in known:
                arm = arm or making()
                known[kind, document.id] = _answer(arm, kind, stressed.document)
                kept.add(known[kind, document.id])
            progress(len(known), total, kind)
    return {kind: [known[kind, document.id] for document, _ in pairs] for kind, pairs in cases.items()}


def _answer(arm: Arm, kind: str, document: Document) -> Answered:
    answered = Answered(kind=kind, document_id=document.id)
    try:
        return answered.model_copy(update={"prediction": arm(document)})
    except DocumentError as error:
        return answered.model_copy(update={"refused": shorten(str(error))})
    except Exception as error:  # whatever it is, it is what is measured here
        return answered.model_copy(update={"failed": f"{type(error).__name__}: {shorten(str(error))}"})


def judge_kind(
    kind: str,
    pairs: Sequence[tuple[Document, Stressed]],
    answers: Sequence[Answered],
    known: Mapping[str, Prediction],
    seed: int,
) -> dict[str, Any]:
    """Return the marks of one kind.

    Args:
        kind: its name.
        pairs: documents beside what it made of them.
        answers: what was answered, in the same order.
        known: predictions of the documents as they came, by id.
        seed: of the resamples.
    """
    held: list[Held] = []
    table = np.zeros((len(pairs), 2))
    read = []
    for row, ((document, stressed), answered) in enumerate(zip(pairs, answers, strict=True)):
        if answered.prediction is None:
            continue
        mine = list(hold(document, stressed, known[document.id], answered.prediction))
        table[row] = sum(not one.same for one in mine), len(mine)
        held += mine
        read.append((stressed.document, answered.prediction))
    failures = [one.failed for one in answers if one.failed is not None]
    return {
        "what": KINDS[kind][0],
        "documents": len(pairs),
        "answers": len(held),
        "changed": _share(table, seed).as_json(),
        "invented": _invented(read, seed).as_json() if read else None,
        "refused": sum(one.refused is not None for one in answers),
        "failed": len(failures),
        "failures": sorted(set(failures)),
        "examples": [one._asdict() for one in held if not one.same][:SHOWN],
    }


def hold(document: Document, stressed: Stressed, before: Prediction, after: Prediction) -> Iterator[Held]:
    """Yield the answers that should not have changed, each before and after.

    They are the null ones, and those whose quotes stand whole in the spoilt document; of an empty one all, as null.
    """
    whole = _kept(stressed)
    for field, answer in before.record.fields.items():
        first, second = given(answer), given(after.record.fields.get(field))
        if first is not None and not stressed.document.text.strip():
            first = None
        if first is not None and not all(_inside(Span(start=q.start, end=q.end), whole) for q in first.quotes):
            continue
        old = None if first is None else _words(document, [Span(start=q.start, end=q.end) for q in first.quotes], first)
        new = None
        if second is not None:
            new = _words(document, [s for q in second.quotes for s in stressed.back(q.start, q.end)], second)
        same = old == new if old is None or new is None else jaccard(tokens(old), tokens(new)) >= TEXT_MATCH
        yield Held(document.name, field, _short(old), _short(new), same)


def _kept(stressed: Stressed) -> list[Span]:
    """Return the longest spans of the source that stand in one piece in the spoilt text."""
    whole: list[Span] = []
    for span in stressed.back(0, len(stressed.document.text)):
        if whole and whole[-1].end == span.start:
            whole[-1] = Span(start=whole[-1].start, end=span.end)
        else:
            whole.append(span)
    return whole


def _inside(span: Span, whole: Sequence[Span]) -> bool:
    return any(each.start <= span.start and span.end <= each.end for each in whole)


def _words(document: Document, spans: Sequence[Span], answer: FieldAnswer) -> str:
    """Return what an answer quotes of the source; the answer itself where it quotes nothing of it."""
    return " ".join(document.text[span.start : span.end] for span in spans) or str(answer.answer)


def _short(text: str | None) -> str | None:
    return None if text is None else shorten(text)


def _share(table: Any, seed: int) -> Score:
    """Return the share (first column over second), with its interval over documents."""
    bootstrap = Bootstrap(len(table), seed=seed)
    return bootstrap.score(table, lambda sums: ratio(sums[..., 0], sums[..., 1]), int(table[:, 1].sum()))


def _invented(read: Sequence[tuple[Document, Prediction]], seed: int) -> Score:
    """Return the share of fields that the labels say are absent and that were given a value."""
    table = np.zeros((len(read), 2))
    for row, (document, prediction) in enumerate(read):
        fields = prediction.record.fields
        absent = [name for name, label in document.labels.items() if not label.present and name in fields]
        table[row] = sum(given(fields[name]) is not None for name in absent), len(absent)
    return _share(table, seed)


STAGES = (
    Stage("stress", 2, ("split", "model", "linear", "thresholds", "predictions"), StressConfig, run_stress, "stress"),
)
