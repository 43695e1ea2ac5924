"""The data stages: raw files to documents, documents to a split without leaks, a split to examples."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

from lextune.core.artifacts import Artifact, read_jsonl, write_atomic, write_jsonl
from lextune.core.errors import DataError
from lextune.core.recipe import Config
from lextune.core.records import Document, Drop
from lextune.core.stage import Context, Inputs, Stage, Summary
from lextune.data.balance import BalanceConfig, Plan, make_plan
from lextune.data.examples import Pool, Written, general_documents, write_mixed
from lextune.data.importers.intake import FORMATS, Options, find_format, import_source, take_in
from lextune.data.lock import refuse_locked
from lextune.data.mix import WRITES, MixConfig, check_mix
from lextune.data.parts import write_split
from lextune.data.sources import is_version
from lextune.data.split import SplitConfig
from lextune.data.warnings import Facts, OverWindow, cautions
from lextune.expert.quoting import Absent
from lextune.expert.schema import load_schema
from lextune.expert.tasks import OUTPUT, as_chats, get_task
from lextune.expert.templates import Codec
from lextune.expert.weights import resolve_base
from lextune.expert.windowing import WindowConfig


class DocumentsConfig(Config):
    """What to import. The folder itself is found by the pipeline; the fingerprint of its content is the key."""

    task: str
    """What the documents are used for: a task of `lextune.expert.tasks`."""
    schema_name: str
    """A built-in schema, or the path of a YAML file with one."""
    fingerprint: str
    """Hash of the source's files."""


class SplitStageConfig(Config):
    """How documents are divided, and for which task."""

    task: str
    """What the documents are used for: a task of `lextune.expert.tasks`."""
    split: SplitConfig
    """How documents are divided."""


class ExamplesConfig(Config):
    """What training reads: windows of the base model's tokens."""

    task: str
    """What the documents are used for: a task of `lextune.expert.tasks`."""
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
    absent_fields: int = Absent().fields
    """Fields that a window does not state and that are asked of it all the same (`text`)."""
    balance: BalanceConfig = BalanceConfig()
    """How training windows are chosen beyond that."""
    mix: MixConfig = MixConfig()
    """General instructions among the training examples."""
    max_tokens: int | None = None
    """Tokens in the longest example that is trained on; with it, longer ones are counted and warned about."""


def run_documents(config: DocumentsConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Import the source folder or file into `documents.jsonl`; what did not go on is in `drops.jsonl`.

    A dataset version is taken as it is.
    """
    path = Path(context.options["source"])
    if is_version(path):
        return _take_version(config, path, out)
    format = "cuad" if path.is_dir() else find_format(path)
    _check_task(config.task, FORMATS[format].conversations, path)
    items = import_source(path, Options(load_schema(config.schema_name)), format)
    return {**take_in(items, out, path), "source": context.options.get("why", "given")}


def _take_version(config: DocumentsConfig, path: Path, out: Path) -> Summary:
    version = Artifact.open(path, kind="documents")
    refuse_locked({str(path): version}, read_jsonl(version.file("documents.jsonl"), Document), "documents")
    first = next(read_jsonl(version.file("documents.jsonl"), Document), None)
    _check_task(config.task, first is not None and OUTPUT in first.labels, path)
    for name in version.manifest.files:
        shutil.copyfile(version.file(name), out / name)
    summary = {key: version.manifest.summary[key] for key in ("n_in", "n_out", "n_dropped")}
    return {**summary, "source": f"dataset version {version.hash[:12]}"}


def _check_task(task: str, conversations: bool, path: Path) -> None:
    rows = get_task(task).rows
    if conversations == rows:
        return
    what = "rows of instructions" if rows else "annotated contracts"
    raise DataError(f"the task {task} reads {what}", where=str(path), do="give such data, or change the recipe's task")


def run_split(config: SplitStageConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Divide documents by family; refuse a split that leaks; lock the test; write the card of each part."""
    found = write_split(inputs["documents"].file("documents.jsonl"), config.split, out)
    card = {
        **found,
        "source": inputs["documents"].manifest.summary.get("source"),
        "import_drops": sum(1 for _ in read_jsonl(inputs["documents"].file("drops.jsonl"), Drop)),
    }
    write_atomic(out / "card.json", json.dumps(card, indent=1, ensure_ascii=False))
    sizes: dict[str, int] = found["documents"]
    dropped = sum(1 for _ in read_jsonl(out / "drops.jsonl", Drop))
    used = sum(sizes.values())
    lock = found["test_lock"]["sha256"]
    return {"n_in": used + dropped, "n_out": used, "n_dropped": dropped, **sizes, "test_lock": lock}


def run_examples(config: ExamplesConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Cut train and validation documents into examples; test documents are not opened.

    Training examples are balanced and mixed; why some are left out or repeated is in `drops.jsonl` and
    `balance.json`, what to know before training in `warnings.json`. `train_all.jsonl` holds all of them.

    Raises:
        DataError: no example has a label, or a document of the locked test is among those to learn from,
            the general instructions with them.
    """
    check_mix(config.mix, config.strategy)
    parts = (read_jsonl(inputs["split"].file(f"{part}.jsonl"), Document) for part in ("train", "validation"))
    refuse_locked(inputs, chain.from_iterable(parts), "examples")
    train = _pool(config, "train", inputs, out / "train_all.jsonl", context.seed)
    plan = make_plan(train.table, config.balance, config.negatives, context.seed)
    written = write_mixed(out / "train.jsonl", train.rows(plan.order), config.mix, context.seed)
    if config.mix.share:
        refuse_locked(inputs, general_documents(out / "train.jsonl"), f"mix.source: {config.mix.source}")
    if not plan.order:
        raise DataError("no training example has a label", where="train", do="check the labels and the schema")
    write_jsonl(out / "drops.jsonl", chain(train.drops(plan), written.dropped))
    write_atomic(out / "balance.json", json.dumps(_balance(config, plan, written), indent=1, ensure_ascii=False))
    found = cautions(_facts(config, train, plan))
    write_atomic(out / "warnings.json", json.dumps([c.as_json() for c in found], indent=1, ensure_ascii=False))
    kept = len(plan.order) - plan.repeated
    return {
        "n_in": len(train),
        "n_out": kept,
        "n_dropped": len(plan.dropped),
        "repeated": plan.repeated,
        "general": written.general,
        "general_dropped": len(written.dropped),
        "train_all": len(train),
        "train": written.lines,
        **_validation(config, inputs, out, context.seed),
        **({"note": f"warnings: {', '.join(c.code.replace('_', ' ') for c in found)}"} if found else {}),
    }


def _pool(config: ExamplesConfig, part: str, inputs: Inputs, path: Path, seed: int) -> Pool:
    """Cut the documents of one part into examples, written to `path`."""
    task, schema = get_task(config.task), load_schema(config.schema_name)
    codec = Codec(resolve_base(config.base).path)

    def is_long(example: Any) -> bool:
        if config.max_tokens is None or config.strategy not in WRITES:
            return False
        chats = as_chats(schema, example, config.strategy, Absent(config.absent_fields, seed))
        return any(len(codec.prompt(c.messages)) + len(codec.answer(c.completion)) > config.max_tokens for c in chats)

    with Pool(path, is_long) as pool:
        for document in read_jsonl(inputs["split"].file(f"{part}.jsonl"), Document):
            pool.add(document, task.examples(document, schema, codec, config.window, config.strategy))
    return pool


def _validation(config: ExamplesConfig, inputs: Inputs, out: Path, seed: int) -> dict[str, int]:
    """Write all validation examples, in a seeded order."""
    unordered = out / "validation_all.jsonl"
    pool = _pool(config, "validation", inputs, unordered, seed)
    plan = make_plan(pool.table, BalanceConfig(), None, seed)
    written = write_mixed(out / "validation.jsonl", pool.rows(plan.order), MixConfig(), seed)
    unordered.unlink()
    return {"validation_all": len(pool), "validation": written.lines}


def _balance(config: ExamplesConfig, plan: Plan, written: Written) -> dict[str, Any]:
    names = load_schema(config.schema_name).names
    return {
        "negatives": config.negatives,
        "balance": config.balance.model_dump(mode="json"),
        "mix": config.mix.model_dump(mode="json"),
        "kept": len(plan.order) - plan.repeated,
        "repeated": plan.repeated,
        "dropped": dict(Counter(plan.dropped.values())),
        "general": written.general,
        "general_share": written.general / written.lines if written.lines else 0.0,
        "fields": {names[number]: found._asdict() for number, found in plan.fields.items()},
        "contract_types": plan.types,
    }


def _facts(config: ExamplesConfig, train: Pool, plan: Plan) -> Facts:
    """Return what the warnings judge: the documents, and of the training examples those left out and too long."""
    over = None
    if config.max_tokens is not None and config.strategy in WRITES:
        over = OverWindow(sum(train.longer[row] for row in plan.order), len(plan.order), config.max_tokens)
    return train.counted.facts(over_window=over, negatives=sum(not train.table.positive[row] for row in plan.order))


STAGES = (
    Stage("documents", 4, (), DocumentsConfig, run_documents, "documents"),
    Stage("split", 5, ("documents",), SplitStageConfig, run_split, "split"),
    Stage("examples", 5, ("split",), ExamplesConfig, run_examples, "examples"),
)
