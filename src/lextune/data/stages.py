"""The data stages: raw files to documents, documents to a split without leaks, a split to examples."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from lextune.core.artifacts import read_jsonl, write_atomic, write_jsonl
from lextune.core.errors import DataError
from lextune.core.recipe import Config
from lextune.core.records import Document, Drop
from lextune.core.stage import Context, Inputs, Stage, Summary
from lextune.data.dedupe import LEAK, families
from lextune.data.importers.cuad import import_cuad
from lextune.data.importers.jsonl import import_jsonl
from lextune.data.split import SPLITS, SplitConfig, check_leakage, left_out, split_documents
from lextune.expert.schema import load_schema
from lextune.expert.task import get_task, instruction_document
from lextune.expert.templates import Codec
from lextune.expert.weights import resolve_base
from lextune.expert.windowing import WindowConfig

WHOLE = ("contract", "row")  # a Drop of these is a document; the others are parts of one that goes on


class DocumentsConfig(Config):
    """What to import. The folder itself is found by the pipeline; the fingerprint of its content is the key."""

    task: str
    """What the documents are used for: a task of `lextune.expert.task`."""
    schema_name: str
    """A built-in schema, or the path of a YAML file with one."""
    fingerprint: str
    """Hash of the source's files."""


class SplitStageConfig(Config):
    """How documents are divided, and for which task."""

    task: str
    """What the documents are used for: a task of `lextune.expert.task`."""
    split: SplitConfig
    """How documents are divided."""


class ExamplesConfig(Config):
    """What training reads: windows of the base model's tokens."""

    task: str
    """What the documents are used for: a task of `lextune.expert.task`."""
    schema_name: str
    """A built-in schema, or the path of a YAML file with one."""
    base: str
    """The base model, whose tokens windows are measured in."""
    strategy: str
    """How the model will be trained: `tag`, `point` or `text`."""
    window: WindowConfig
    """How documents are cut."""
    negatives: float = 0.3
    """Training windows without a clause for each window with one."""


def run_documents(config: DocumentsConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Import the source folder or file into `documents.jsonl`; what did not go on is in `drops.jsonl`."""
    path = Path(context.options["source"])
    rows = path.is_file() and path.suffix.lower() == ".jsonl"
    if rows != (config.task == "instruction"):
        what = "a .jsonl file of instructions" if config.task == "instruction" else "contracts in CUAD's layout"
        raise DataError(
            f"the task {config.task} reads {what}", where=str(path), do="give such data, or change the recipe's task"
        )
    if rows:
        imported = import_jsonl(path)
        documents = [instruction_document(r.id, r.instruction, r.input, r.output) for r in imported.rows]
        drops: Sequence[Drop] = imported.rejects
    else:
        contracts = import_cuad(path, load_schema(config.schema_name))
        documents, drops = list(contracts.documents), contracts.rejects
    write_jsonl(out / "documents.jsonl", documents)
    write_jsonl(out / "drops.jsonl", drops)
    dropped = sum(d.what in WHOLE for d in drops)
    return {
        "n_in": len(documents) + dropped,
        "n_out": len(documents),
        "n_dropped": dropped,
        "rejects": len(drops),
        "source": context.options.get("why", "given"),
    }


def run_split(config: SplitStageConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Divide documents by family; refuse a split that leaks; write the card of each part."""
    documents = list(read_jsonl(inputs["documents"].file("documents.jsonl"), Document))
    groups = families(documents, LEAK)
    assignment = split_documents(documents, groups, config.split)
    check_leakage(documents, assignment)
    for name in SPLITS:
        write_jsonl(out / f"{name}.jsonl", (d for d in documents if assignment.get(d.id) == name))
    unused = left_out(documents, assignment)
    write_jsonl(out / "drops.jsonl", unused)
    write_atomic(out / "assignment.json", json.dumps(assignment, indent=0, sort_keys=True))
    sizes: dict[str, int] = {name: sum(a == name for a in assignment.values()) for name in SPLITS}
    card: dict[str, Any] = {
        "documents": sizes,
        "families": [list(g) for g in groups if len(g) > 1],
        "leakage": "none found (Jaccard >= 0.5 or containment >= 0.7 of 5-word shingles)",
        "source": inputs["documents"].manifest.summary.get("source"),
        "import_drops": sum(1 for _ in read_jsonl(inputs["documents"].file("drops.jsonl"), Drop)),
        "parts": {name: _card([d for d in documents if assignment.get(d.id) == name]) for name in SPLITS},
    }
    write_atomic(out / "card.json", json.dumps(card, indent=1, ensure_ascii=False))
    return {"n_in": len(documents), "n_out": len(assignment), "n_dropped": len(unused), **sizes}


def _card(documents: Sequence[Document]) -> dict[str, Any]:
    lengths = [len(d.text) for d in documents] or [0]
    present = Counter(f for d in documents for f, label in d.labels.items() if label.present)
    assessed = Counter(f for d in documents for f in d.labels)
    return {
        "n": len(documents),
        "characters": {"mean": mean(lengths), "median": median(lengths), "max": max(lengths)},
        "contract_types": dict(Counter(d.contract_type or "unknown" for d in documents).most_common()),
        "fields_per_document": sum(present.values()) / max(1, len(documents)),
        "presence": {f: {"present": present[f], "assessed": assessed[f]} for f in assessed},
    }


def run_examples(config: ExamplesConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Cut train and validation documents into examples; test documents are not opened."""
    task, schema = get_task(config.task), load_schema(config.schema_name)
    codec = Codec(resolve_base(config.base).path)
    counts: dict[str, int] = {}
    for part in ("train", "validation"):
        documents = read_jsonl(inputs["split"].file(f"{part}.jsonl"), Document)
        rows = [e for d in documents for e in task.examples(d, schema, codec, config.window, config.strategy)]
        counts[f"{part}_all"] = len(rows)
        chosen = _balanced(rows, config.negatives if part == "train" else None, context.seed)
        counts[part] = write_jsonl(out / f"{part}.jsonl", chosen)
        if part == "train":
            write_jsonl(out / "train_all.jsonl", rows)
    if not counts["train"]:
        raise DataError("no training example has a label", where="train", do="check the labels and the schema")
    dropped = counts["train_all"] - counts["train"]
    return {"n_in": counts["train_all"], "n_out": counts["train"], "n_dropped": dropped, **counts}


def _balanced(rows: Sequence[Any], negatives: float | None, seed: int) -> Iterator[Any]:
    """Yield all positives and `negatives` times as many empty examples, in a seeded order."""
    order = random.Random(seed)
    positive = [r for r in rows if getattr(r, "positive", True)]
    empty = [r for r in rows if not getattr(r, "positive", True)]
    order.shuffle(empty)
    kept = positive + (empty if negatives is None else empty[: round(negatives * len(positive))])
    order.shuffle(kept)
    yield from kept


STAGES = (
    Stage("documents", 1, (), DocumentsConfig, run_documents, "documents"),
    Stage("split", 1, ("documents",), SplitStageConfig, run_split, "split"),
    Stage("examples", 1, ("split",), ExamplesConfig, run_examples, "examples"),
)
