"""Do long contracts cost accuracy, or more than their length? `python -m benchmarks.length [--quick] [--out RUNS]`.

Five-fold over every annotated contract: near-duplicate families stay in one fold, and
`recipes/bundled-expert-first.yaml`, with fewer layers and steps, is run five times, each with one fold as its test
part. So every contract is read once by an expert that never saw it. Reported for the expert and for `linear`:
ContractEval F1 and field F1 of the contracts over 60,000 characters minus those of the others, with 95 % intervals over
contracts, each group drawn by itself; and the seconds per 10,000 characters of the longer and the shorter half of the
contracts, and their ratio.

What is there already is reused. Progress goes to stderr; the last line of stdout is one JSON object.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._command import command, say, stages
from lextune.core.artifacts import read_jsonl, write_atomic
from lextune.core.records import Document, Prediction
from lextune.data.dedupe import LEAK, families
from lextune.evaluate.arms import TUNED
from lextune.expert.schema import Schema, load_schema
from lextune.expert.scoring import contracteval, fields
from lextune.expert.scoring.intervals import Array, Statistic, draw, percentiles
from lextune.expert.scoring.pairs import scored
from lextune.pipeline import read_recipe

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "bundled-expert-first.yaml"
FOLDS, LONG, PER = 5, 60_000, 10_000
ROUNDS = 2000
SETS = (
    "base=smollm2-135m@8",
    "train.steps=120",
    "train.evaluations=1",
    "train.evaluation_windows=64",
    "train.negatives=0.5",
    "evaluate.base_documents=1",
)
QUICK_SETS = ("train.steps=3", "train.evaluations=1", "train.evaluation_windows=8", "release.parity_windows=2")
QUICK_CONTRACTS = 40
METRICS: dict[str, tuple[Any, Statistic]] = {
    "contracteval_f1": (contracteval.counts, contracteval.f1),
    "field_f1": (fields.counts, fields.f1),
}


def folds(documents: Sequence[Document]) -> list[list[Document]]:
    """Divide documents into FOLDS parts, the largest families first, each into the part that is smallest so far."""
    known = {document.id: document for document in documents}
    parts: list[list[Document]] = [[] for _ in range(FOLDS)]
    for family in sorted(families(documents, LEAK), key=lambda family: (-len(family), family)):
        min(parts, key=len).extend(known[name] for name in family)
    return parts


def read_fold(number: int, test: Sequence[Document], out: Path, sets: Sequence[str]) -> dict[str, list[Prediction]]:
    """Train on the other folds; return what the expert and `linear` answered of this one."""
    names = out / f"fold-{number}.txt"
    write_atomic(names, "\n".join(document.name for document in test))
    official = ("split.mode=official", f"split.official_test={names}", "split.validation=0.12")
    recipe = read_recipe(RECIPE, (f"name=length-{number}", *official, *sets))
    made = stages(recipe, out, "predict")
    return {name: list(read_jsonl(made["predict"].file(f"{name}.jsonl"), Prediction)) for name in (TUNED, "linear")}


def difference(tables: tuple[Array, Array], statistic: Statistic) -> dict[str, float | None]:
    """Return the metric of the first documents minus that of the second, each resampled by itself."""
    if not all(map(len, tables)):  # --quick, or the package's own short contracts
        return dict.fromkeys(("long", "others", "difference", "low", "high"))
    value = [float(statistic(table.sum(axis=0))) for table in tables]
    drawn = [statistic(draw(len(table), seed=seed, rounds=ROUNDS) @ table) for seed, table in enumerate(tables)]
    low, high = percentiles(drawn[0] - drawn[1])
    return {"long": value[0], "others": value[1], "difference": value[0] - value[1], "low": low, "high": high}


def by_length(documents: Sequence[Document], answers: Sequence[Prediction], schema: Schema) -> dict[str, Any]:
    """Return the differences in accuracy and in seconds per 10,000 characters."""
    pairs = scored(documents, answers, schema).pairs
    long = np.array([len(document.text) > LONG for document in documents])
    found: dict[str, Any] = {"long_contracts": int(long.sum())}
    for name, (counts, statistic) in METRICS.items():
        table = counts(pairs, len(documents), len(schema.fields)).sum(axis=1)
        found[name] = difference((table[long], table[~long]), statistic)
    middle = statistics.median(len(document.text) for document in documents)
    rates: dict[str, float] = {}
    for name, wanted in (("longer_half", True), ("shorter_half", False)):
        some = [(d, a) for d, a in zip(documents, answers, strict=True) if (len(d.text) > middle) is wanted]
        characters = sum(len(document.text) for document, _ in some)
        rates[name] = PER * sum(answer.usage.seconds for _, answer in some) / characters
    found["seconds_per_10000_characters"] = {**rates, "ratio": rates["longer_half"] / rates["shorter_half"]}
    return found


def main() -> None:
    """Run the benchmark."""
    given = command(__doc__, f"{QUICK_CONTRACTS} contracts, 3 steps: shows the way").parse_args()
    recipe = read_recipe(RECIPE)
    made = stages(recipe, given.out, "documents")["documents"]
    documents = list(read_jsonl(made.file("documents.jsonl"), Document))
    if given.quick:
        documents = sorted(documents, key=lambda document: len(document.text))[:: len(documents) // QUICK_CONTRACTS]
    parts = folds(documents)
    read: list[Document] = []
    answers: dict[str, list[Prediction]] = {TUNED: [], "linear": []}
    for number, part in enumerate(parts[:1] if given.quick else parts):
        say(f"== fold {number}: {len(part)} contracts")
        found = read_fold(number, part, given.out, (*SETS, *(QUICK_SETS if given.quick else ())))
        known = {document.id: document for document in part}
        read += [known[answer.document_id] for answer in found[TUNED]]
        for name, rows in found.items():
            answers[name] += rows
    schema = load_schema(recipe.schema_name)
    results = {name: by_length(read, rows, schema) for name, rows in answers.items()}
    for name, result in results.items():
        say(f"{name}: {json.dumps(result)}")
    print(json.dumps({"benchmark": "length", "quick": given.quick, "contracts": len(read), **results}))


if __name__ == "__main__":
    main()
