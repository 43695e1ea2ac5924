"""What fewer bits cost and gain: `python -m benchmarks.bits [--quick] [--release R] [--out RUNS]`.

Held-out contracts of `recipes/bundled-expert.yaml` are answered by the release with its weights in bf16, int8 and int4;
thresholds, fusion and screen are the release's own, whatever bits it was calibrated in. The three take turns, one
contract after another. `f1_minus_bf16` is the paired difference in ContractEval F1, with its 95 % interval over
contracts; `speed_over_bf16` the median over contracts of bf16's seconds over those of these bits.

`--quick` reads the eight shortest. Progress goes to stderr; the last line of stdout is one JSON object.
"""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks._command import command, in_turns, say, stages
from lextune.api import Release, load
from lextune.core.artifacts import read_jsonl
from lextune.core.records import Document
from lextune.evaluate.marking import marking_of
from lextune.expert.answering import Expert, Identity
from lextune.expert.beside import Beside
from lextune.expert.build import build_expert, load_model
from lextune.expert.engines.openvino_ import export
from lextune.expert.engines.quantized import Bits
from lextune.expert.scoring import contracteval
from lextune.expert.scoring.intervals import Array, paired_test
from lextune.expert.scoring.pairs import scored
from lextune.expert.tasks import TaskOptions
from lextune.expert.thresholds import THRESHOLDS_FILE, Thresholds
from lextune.expert.windowing import WindowConfig
from lextune.pipeline import read_recipe

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "bundled-expert.yaml"
QUICK_CONTRACTS = 8
BF16 = "bf16"
WEIGHTS: dict[str, Bits | None] = {BF16: None, "int8": "int8", "int4": "int4"}


def in_bits(release: Release, name: str, folder: Path) -> Expert:
    """Return the release's expert with its weights in other bits, exported to `folder`."""
    copied = folder / name
    shutil.copytree(release.path, copied)
    export(copied, "tag", WEIGHTS[name])
    expert = build_expert(
        load_model(copied, release.info["engine"]),
        release.schema,
        Thresholds.load(copied / THRESHOLDS_FILE),
        WindowConfig(**release.info["window"]),
        Identity(name, release.key, "tag"),
        Beside.load(copied, copied),
    )
    assert isinstance(expert, Expert)
    return expert


def measure(release: Release, documents: Sequence[Document]) -> dict[str, Any]:
    """Return the scores and the speed of each number of bits, and both beside bf16."""
    with tempfile.TemporaryDirectory() as folder:
        experts = {name: in_bits(release, name, Path(folder)) for name in WEIGHTS}
        answers, seconds = in_turns(experts, documents)
    marking = marking_of(release.info["task"], release.schema, TaskOptions(), seed=0)
    found: dict[str, Any] = {}
    tables: dict[str, Array] = {}
    for name, arm in answers.items():
        scores = marking.score(documents, arm)
        pairs = scored(documents, arm, release.schema).pairs
        tables[name] = contracteval.counts(pairs, len(documents), len(release.schema.fields)).sum(axis=1)
        found[name] = {
            **scores["contracteval"],
            "field_f1": scores["field"]["micro"]["f1"],
            "contracts_per_hour": 3600 * len(documents) / sum(seconds[name]),
            "speed_over_bf16": statistics.median(a / b for a, b in zip(seconds[BF16], seconds[name], strict=True)),
            "f1_minus_bf16": paired_test(tables[name], tables[BF16], contracteval.f1, seed=0).as_json(),
        }
    return found


def main() -> None:
    """Run the benchmark."""
    parser = command(__doc__, f"the {QUICK_CONTRACTS} shortest")
    parser.add_argument("--release", type=Path, help="a tag release; by default this package's expert")
    given = parser.parse_args()
    recipe = read_recipe(RECIPE)
    made = stages(recipe, given.out, "split")
    documents = sorted(read_jsonl(made["split"].file("test.jsonl"), Document), key=lambda d: len(d.text))
    documents = documents[:QUICK_CONTRACTS] if given.quick else documents
    found = measure(load(given.release), documents)
    for name, value in found.items():
        say(f"{name:<6} {json.dumps(value)}")
    print(json.dumps({"benchmark": "bits", "quick": given.quick, "contracts": len(documents), **found}))


if __name__ == "__main__":
    main()
