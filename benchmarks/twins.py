"""What British drafting costs, and what 50 British examples repair: `python -m benchmarks.twins [--quick]`.

`recipes/demo.yaml` is run twice: on its contracts alone, and with British twins of 50 of its training contracts beside
them. Its steps see a tenth of the windows, with the twins' among them. Both models read the held-out contracts and the
twins of these. Field F1 with 95 % intervals over contracts, and paired differences. Progress goes to stderr; the last
line of stdout is one JSON object.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks._command import command, stages
from lextune.core.artifacts import read_jsonl
from lextune.core.records import Document, Prediction
from lextune.evaluate.arms import TUNED
from lextune.evaluate.twins import Read, paired_f1
from lextune.expert.schema import load_schema
from lextune.expert.scoring.intervals import PairedTest
from lextune.pipeline import read_recipe
from lextune.text.anglicise import SUFFIX, anglicise

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "demo.yaml"
EXAMPLES = 50
SETS = ("evaluate.twins=22",)
QUICK = (
    "split.train=24",
    "split.validation=6",
    "split.test=6",
    "train.steps=4",
    "train.evaluations=1",
    "train.evaluation_windows=8",
    "release.parity_windows=4",
)


class Reads(NamedTuple):
    """What a model answered of the held-out contracts that have a twin, and of the twins."""

    originals: Read
    twins: Read
    found: dict[str, Any]


def trained(examples: int, out: Path, *, quick: bool) -> Reads:
    """Run the recipe with so many British examples, and return what its model answered."""
    sets = (f"name=twins-{examples}", f"data.uk_twins={examples}", *SETS, *(QUICK if quick else ()))
    recipe = read_recipe(RECIPE, sets)
    made = stages(recipe, out, "twins")
    answers = {p.document_id: p for p in read_jsonl(made["predict"].file(f"{TUNED}.jsonl"), Prediction)}
    british = {p.document_id: p for p in read_jsonl(made["twins"].file(f"{TUNED}.jsonl"), Prediction)}
    test = read_jsonl(made["split"].file("test.jsonl"), Document)
    documents = [document for document in test if f"{document.id}{SUFFIX}" in british]
    twins = [anglicise(document).document for document in documents]
    return Reads(
        Read(documents, [answers[document.id] for document in documents]),
        Read(twins, [british[twin.id] for twin in twins]),
        made["twins"].json("twins.json"),
    )


def main() -> None:
    """Run the benchmark."""
    given = command(__doc__, "a few steps on a few contracts: shows the way, no result").parse_args()
    schema = load_schema(read_recipe(RECIPE).schema_name)
    alone, both = (trained(examples, given.out, quick=given.quick) for examples in (0, EXAMPLES))
    tests: dict[str, PairedTest] = {
        "twins minus originals": paired_f1(alone.twins, alone.originals, schema),
        f"twins minus originals, {EXAMPLES} British examples": paired_f1(both.twins, both.originals, schema),
        f"twins, {EXAMPLES} British examples minus none": paired_f1(both.twins, alone.twins, schema),
        f"originals, {EXAMPLES} British examples minus none": paired_f1(both.originals, alone.originals, schema),
    }
    shares: dict[str, Any] = {}
    for examples, reads in ((0, alone), (EXAMPLES, both)):
        for kind in ("original", "twin"):
            each = reads.found[kind]["f1"]
            shares[f"{kind}, {examples} examples"] = each
            print(
                f"{kind}, {examples} British examples: F1 {each['value']:.3f} ({each['low']:.3f} to {each['high']:.3f})"
            )
    for name, test in tests.items():
        print(f"{name}: {test.difference:+.3f} ({test.low:+.3f} to {test.high:+.3f}), p = {test.p:.3f}")
    counted = {key: alone.found[key] for key in ("documents", "edits_per_document", "drafting")}
    differences = {name: test.as_json() for name, test in tests.items()}
    print(json.dumps({"benchmark": "twins", "quick": given.quick, **counted, "f1": shares, "differences": differences}))


if __name__ == "__main__":
    main()
