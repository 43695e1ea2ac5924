"""Measure what DPO changes: `python -m benchmarks.dpo [--quick] [--sft ADAPTER --dpo ADAPTER] [--out RUNS]`.

Both adapters, SFT's and the one that DPO made of it, read whole test contracts, at least 500 windows, without a
grammar. Shown with 95 % intervals over contracts, and the paired difference:

- validity: share of the answers that end and are valid;
- invented: share of the fields absent from a contract that are answered all the same;
- answered_empty: share of the windows without a clause that are answered;
- field F1 by window: right is a field whose sentences have Jaccard >= 0.5 with the gold ones; a wrong place is one
  false positive and one false negative.

Without adapters, `recipes/point-dpo.yaml` is run until they are there; what is there already is reused. Progress
goes to stderr; the last line of stdout is one JSON object.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks._command import command, say, stages
from lextune.core.artifacts import read_jsonl
from lextune.core.records import Document
from lextune.expert.build import load_model
from lextune.expert.engines.base import GenerateOptions
from lextune.expert.merging import merge
from lextune.expert.point import parse_point, point_messages
from lextune.expert.readers import PointReader
from lextune.expert.schema import Schema, load_schema
from lextune.expert.scoring.intervals import Array, Bootstrap, Statistic, paired_test, ratio
from lextune.expert.templates import Codec
from lextune.expert.weights import resolve_base
from lextune.expert.windowing import WindowExample, cut, label
from lextune.pipeline import Recipe, read_recipe

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "point-dpo.yaml"
WINDOWS, QUICK_WINDOWS = 500, 40
SAME_PLACE = 0.5
QUICK = (
    "name=point-dpo-quick",
    "split.train=24",
    "split.validation=6",
    "split.test=8",
    "train.steps=6",
    "train.evaluations=1",
    "train.evaluation_windows=8",
    "dpo.pairs.windows=32",
    "dpo.pairs.samples=1",
    "dpo.pairs.made=8",
    "dpo.steps=3",
    "dpo.batch=4",
    "dpo.evaluations=1",
)
VALID, ANSWERS, INVENTED, ABSENT, EMPTY_ANSWERED, EMPTY, TP, FP, FN = range(9)
METRICS: dict[str, Statistic] = {
    "validity": lambda c: ratio(c[..., VALID], c[..., ANSWERS]),
    "invented": lambda c: ratio(c[..., INVENTED], c[..., ABSENT]),
    "answered_empty": lambda c: ratio(c[..., EMPTY_ANSWERED], c[..., EMPTY]),
    "field_f1": lambda c: ratio(2 * c[..., TP], 2 * c[..., TP] + c[..., FP] + c[..., FN]),
}


class Read(NamedTuple):
    """What an adapter answered: for each contract its counts, and how long all took."""

    counts: Array
    windows_a_minute: float


def contracts(split: Path, recipe: Recipe, codec: Codec, schema: Schema, least: int) -> list[list[WindowExample]]:
    """Return the labelled windows of test contracts, drawn until there are `least` windows."""
    documents = list(read_jsonl(split / "test.jsonl", Document))
    random.Random(recipe.seed).shuffle(documents)
    out: list[list[WindowExample]] = []
    for document in documents:
        if sum(map(len, out)) >= least:
            break
        out.append(list(label(document, cut(document, codec, recipe.window), schema)))
    return out


def answer(base: str, adapter: Path, windows: Sequence[Sequence[WindowExample]], schema: Schema) -> Read:
    """Merge an adapter, export it, and let it answer every window without a grammar."""
    from lextune.expert.engines.openvino_ import export_generator

    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        merge(base, adapter, model)
        export_generator(model, model)
        loaded = load_model(model, "openvino")
        generator = loaded.generator()
        options = GenerateOptions(max_tokens=PointReader.MAX_TOKENS)
        rows, seconds = [], 0.0
        for number, contract in enumerate(windows, start=1):
            prompts = [loaded.codec.prompt(point_messages(schema, w.heading, w.texts)) for w in contract]
            started = time.perf_counter()
            done = generator.generate(prompts, options)
            seconds += time.perf_counter() - started
            found = [
                parse_point(schema, len(w.texts), g.text) if g.stopped else None
                for w, g in zip(contract, done, strict=True)
            ]
            rows.append(count(contract, found, schema))
            say(f"  {number}/{len(windows)} contracts, {sum(map(len, windows[:number]))} windows, {seconds:.0f} s")
    return Read(np.array(rows, dtype=float), 60 * sum(map(len, windows)) / seconds)


def count(contract: Sequence[WindowExample], found: Sequence[dict[str, list[int]] | None], schema: Schema) -> list[int]:
    """Return the counts of one contract; what an annotator left open is not counted."""
    out = [0] * 9
    present: set[str] = set()
    answered: set[str] = set()
    open_everywhere = {n for i, n in enumerate(schema.names) if all(i in row for w in contract for row in w.ignored)}
    for window, pointed in zip(contract, found, strict=True):
        gold = {
            n: rows
            for i, n in enumerate(schema.names)
            if (rows := {r for r, fields in enumerate(window.positives) if i in fields})
        }
        given = {
            n: rows
            for n, all_rows in (pointed or {}).items()
            if (rows := {r for r in all_rows if schema.names.index(n) not in window.ignored[r] or r in gold.get(n, ())})
        }
        out[ANSWERS] += 1
        out[VALID] += pointed is not None
        out[EMPTY] += not gold
        out[EMPTY_ANSWERED] += not gold and bool(given)
        for name in gold | given:
            right = len(gold.get(name, set()) & given.get(name, set())) >= SAME_PLACE * len(
                gold.get(name, set()) | given.get(name, set())
            )
            out[TP] += right
            out[FP] += not right and name in given
            out[FN] += not right and name in gold
        present |= gold.keys()
        answered |= given.keys()
    absent = set(schema.names) - present - open_everywhere
    out[ABSENT], out[INVENTED] = len(absent), len(absent & answered)
    return out


def compare(before: Array, after: Array, seed: int) -> dict[str, Any]:
    """Return each metric of both with its interval, and the paired difference (DPO minus SFT)."""
    bootstrap = Bootstrap(len(before), seed=seed)
    units = {"validity": ANSWERS, "invented": ABSENT, "answered_empty": EMPTY, "field_f1": TP}
    return {
        name: {
            "sft": bootstrap.score(before, metric, int(before[:, units[name]].sum())).as_json(),
            "dpo": bootstrap.score(after, metric, int(after[:, units[name]].sum())).as_json(),
            "difference": paired_test(after, before, metric, seed=seed).as_json(),
        }
        for name, metric in METRICS.items()
    }


def aims(metrics: dict[str, Any]) -> dict[str, bool | None]:
    """Return which aims are met: validity 99.2 %, invention halved or at most 1 %, F1 not lower."""
    values = {name: (each["sft"]["value"], each["dpo"]["value"]) for name, each in metrics.items()}
    before, after = values["invented"]
    difference = metrics["field_f1"]["difference"]["difference"]
    return {
        "validity": values["validity"][1] >= 0.992,
        "invented": None if after is None else after <= max(0.01, (before or 0.0) / 2),
        "field_f1": None if difference is None else difference >= 0,
    }


def table(metrics: dict[str, Any]) -> str:
    """Return the metrics as a table in Markdown."""

    def cell(found: dict[str, Any], key: str = "value") -> str:
        if found[key] is None:
            return "n/a"
        between = "" if found["low"] is None else f" ({found['low']:.3f} to {found['high']:.3f})"
        return f"{found[key]:.3f}{between}"

    lines = ["| metric | SFT | DPO | difference |", "| --- | --- | --- | --- |"]
    for name, each in metrics.items():
        difference = cell(each["difference"], "difference")
        lines.append(f"| {name} | {cell(each['sft'])} | {cell(each['dpo'])} | {difference} |")
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark."""
    parser = command(__doc__, "a few steps, and 40 windows")
    parser.add_argument("--sft", type=Path, help="adapter of SFT")
    parser.add_argument("--dpo", type=Path, help="adapter of DPO")
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    parser.add_argument("--windows", type=int, help="test windows, at least")
    given = parser.parse_args()
    if (given.sft is None) != (given.dpo is None):
        parser.error("give both --sft and --dpo, or neither")
    recipe = read_recipe(given.recipe, QUICK if given.quick else ())
    made = stages(recipe, given.out, "split" if given.sft else "dpo")
    schema = load_schema(recipe.schema_name)
    least = given.windows or (QUICK_WINDOWS if given.quick else WINDOWS)
    codec = Codec(resolve_base(recipe.base).path)
    windows = contracts(made["split"].path, recipe, codec, schema, least)
    reads = {}
    for name, adapter in (("sft", given.sft), ("dpo", given.dpo)):
        say(f"{name}: {sum(map(len, windows))} windows of {len(windows)} test contracts")
        reads[name] = answer(recipe.base, adapter or made[name].path, windows, schema)
    metrics = compare(reads["sft"].counts, reads["dpo"].counts, recipe.seed)
    print(table(metrics))
    result: dict[str, Any] = {
        "benchmark": "dpo",
        "quick": given.quick,
        "contracts": len(windows),
        "windows": sum(map(len, windows)),
        "windows_a_minute": {name: round(read.windows_a_minute, 1) for name, read in reads.items()},
        "aims": aims(metrics),
        "metrics": metrics,
    }
    if "preferences" in made:
        result["pairs"] = made["preferences"].json("pairs.json")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
