"""British twins of the test: the same contracts in another drafting, so that what a model loses is the drafting's.

The model reads the twins (`lextune.text.anglicise`) through the path that is served; what it said of the documents
themselves is at hand from `predict`. Both are marked alike, each against its own labels.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from lextune.core.artifacts import read_jsonl, write_atomic
from lextune.core.errors import DataError
from lextune.core.records import Document, Prediction
from lextune.core.stage import Context, Inputs, Stage, Summary
from lextune.evaluate.arms import TUNED, run_arms
from lextune.evaluate.reading import ServedConfig, tuned_arm
from lextune.expert.schema import Schema, load_schema
from lextune.expert.scoring import score
from lextune.expert.scoring.evaluation import Evaluation
from lextune.expert.scoring.fields import counts, f1
from lextune.expert.scoring.intervals import PairedTest, paired_test
from lextune.expert.scoring.pairs import not_assessed, scored
from lextune.text.anglicise import SUFFIX, anglicise, has_twin
from lextune.text.drafting import drafting


class TwinsConfig(ServedConfig):
    """Which documents' twins are read."""

    twins: int = Field(40, ge=1)
    """How many test documents are drawn, of those that are not in British drafting already."""


class Read(NamedTuple):
    """Annotated documents, and what was answered of them, in the same order."""

    documents: Sequence[Document]
    predictions: Sequence[Prediction]


def run_twins(config: TwinsConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Write `twins.json`, and the twins' predictions to `tuned.jsonl`."""
    documents = list(read_jsonl(inputs["split"].file("test.jsonl"), Document))
    originals = choose_american(documents, config.twins, context.seed)
    made = [anglicise(document) for document in originals]
    twins = [one.document for one in made]
    run_arms({TUNED: lambda: tuned_arm(config, inputs)}, twins, out, context.progress)
    known = {p.document_id: p for p in read_jsonl(inputs["predictions"].file(f"{TUNED}.jsonl"), Prediction)}
    before = Read(originals, [known[document.id] for document in originals])
    after = Read(twins, list(read_jsonl(out / f"{TUNED}.jsonl", Prediction)))
    found = {
        "documents": len(twins),
        "edits_per_document": sum(len(one.changes) for one in made) / len(made),
        "drafting": dict(Counter(drafting(twin.text).kind for twin in twins)),
        **compare_twins(before, after, load_schema(config.schema_name), seed=context.seed),
    }
    write_atomic(out / "twins.json", json.dumps(found, indent=1))
    difference = found["paired"]["difference"]
    return {"n_in": len(documents), "n_out": len(twins), "n_dropped": len(documents) - len(twins), "change": difference}


def choose_american(documents: Sequence[Document], count: int, seed: int) -> list[Document]:
    """Draw documents whose drafting is not British, and return them in their order.

    Raises:
        DataError: there are none.
    """
    american = [document for document in documents if has_twin(document)]
    if not american:
        raise DataError(
            "every test document is in British drafting, so there are no twins to read",
            where="evaluate.twins",
            do="set it to 0",
        )
    names = sorted(document.id for document in american)
    chosen = set(random.Random(seed).sample(names, min(count, len(names))))
    return [document for document in american if document.id in chosen]


def compare_twins(original: Read, twin: Read, schema: Schema, *, seed: int = 0) -> dict[str, Any]:
    """Return the marks of both, and the paired test of the micro field F1, twin minus original.

    Args:
        original: the documents as they came.
        twin: their twins, in the same order.
        schema: the fields.
        seed: of the resamples.
    """
    first, second = (score(each.documents, each.predictions, schema, seed=seed) for each in (original, twin))
    return {
        "original": _marks(first),
        "twin": _marks(second),
        "paired": paired_f1(twin, original, schema, seed=seed).as_json(),
        "by_field": {
            name: {
                "n_present": one.n_present,
                "original": one.field_f1.as_json(),
                "twin": second.by_field[name].field_f1.as_json(),
            }
            for name, one in first.by_field.items()
        },
    }


def _marks(evaluation: Evaluation) -> dict[str, Any]:
    marked = evaluation.contracteval
    scores = {"f1": evaluation.field.micro.f1, "contracteval_f1": marked.f1, "jaccard": marked.jaccard}
    return {name: each.as_json() for name, each in scores.items()}


def paired_f1(after: Read, before: Read, schema: Schema, *, seed: int = 0) -> PairedTest:
    """Return the paired test of the micro field F1 of the same documents read twice, `after` minus `before`.

    A twin stands beside its document, or beside itself; only pairs that were assessed in both count.
    """
    reads = (after, before)
    skip = {(name.removesuffix(SUFFIX), field) for read in reads for name, field in not_assessed(read.predictions)}
    tables = []
    for read in reads:
        left_out = frozenset(
            (document.id, field)
            for document in read.documents
            for field in schema.names
            if (document.id.removesuffix(SUFFIX), field) in skip
        )
        pairs = scored(read.documents, read.predictions, schema, skip=left_out).pairs
        tables.append(counts(pairs, len(read.documents), len(schema.fields)).sum(axis=1))
    return paired_test(tables[0], tables[1], f1, seed=seed)


STAGES = (
    Stage("twins", 3, ("split", "model", "linear", "thresholds", "predictions"), TwinsConfig, run_twins, "twins"),
)
