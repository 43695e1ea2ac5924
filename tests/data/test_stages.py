"""The data stages on small data: nothing disappears, parts do not mix, test documents stay closed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lextune.core.artifacts import Artifact, ArtifactStore, build_folder, read_jsonl, write_atomic, write_jsonl
from lextune.core.errors import DataError
from lextune.core.learnt import LOCK_FILE
from lextune.core.records import Document, Drop
from lextune.core.stage import Context
from lextune.data.lock import make_lock, text_hash
from lextune.data.sources import find_source
from lextune.data.split import SPLITS, SplitConfig
from lextune.data.stages import (
    STAGES,
    DocumentsConfig,
    ExamplesConfig,
    SplitStageConfig,
    run_documents,
    run_examples,
    run_split,
)
from lextune.expert import tasks
from lextune.expert.windowing import WindowConfig

CLAUSES = DocumentsConfig(task="clause-extraction", schema_name="clauses-47", fingerprint="")
ROWS = DocumentsConfig(task="instruction", schema_name="instruction", fingerprint="")

HEADER = {"kind": "documents", "stage": "s", "stage_version": 1, "config": {}, "seed": 0, "inputs": {}, "parents": {}}


def sealed(root: Path, kind: str, make: Callable[[Path], dict[str, Any]]) -> Artifact:
    header = {"kind": kind, "stage": kind, "stage_version": 1, "config": {}, "seed": 0, "inputs": {}, "parents": {}}
    return ArtifactStore(root).build(header, kind * 12, make)


def from_rows(file: Path, out: Path) -> dict[str, Any]:
    return run_documents(ROWS, {}, out, Context(options={"source": str(file), "why": "given"}))


def rows(tmp_path: Path, *lines: dict[str, str]) -> Path:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    return file


@pytest.fixture
def contracts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Artifact:
    """The first twelve of the package's sample contracts, imported."""
    from lextune.data import stages
    from lextune.data.importers import intake
    from lextune.data.importers.cuad import import_cuad

    def first(folder: Path, schema: Any) -> Any:
        found = import_cuad(folder, schema)
        return found._replace(documents=tuple(found.documents)[:12])

    monkeypatch.setattr(intake, "import_cuad", first)
    monkeypatch.delenv("LEXTUNE_CUAD", raising=False)
    samples = Path(stages.__file__).parents[1] / "resources" / "sample_contracts"
    context = Context(options={"source": str(samples), "why": "the samples"})
    return sealed(tmp_path, "documents", lambda out: run_documents(CLAUSES, {}, out, context))


def test_contracts_become_documents(contracts: Artifact) -> None:
    documents = list(read_jsonl(contracts.file("documents.jsonl"), Document))
    assert len(documents) == 12
    summary = contracts.manifest.summary
    assert summary["source"] == "the samples"
    assert summary["n_in"] == summary["n_out"] + summary["n_dropped"]


def test_a_contract_that_is_dropped_is_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lextune.data.importers import intake
    from lextune.data.importers.report import Imported

    document = Document(id="a", name="a", sha256="0", text="text")
    rejects = [Drop(what=what, where="x", reason="why") for what in ("contract", "quote", "quote", "column")]
    monkeypatch.setattr(intake, "import_cuad", lambda folder, schema: Imported((document,), rejects, []))
    summary = run_documents(CLAUSES, {}, tmp_path, Context(options={"source": str(tmp_path)}))
    counts = {"n_in": 2, "n_out": 1, "n_dropped": 1, "rejects": 4, "source": "given"}
    assert {name: summary[name] for name in counts} == counts
    assert list(read_jsonl(tmp_path / "drops.jsonl", Drop)) == rejects


def test_rows_become_documents(tmp_path: Path) -> None:
    file = rows(
        tmp_path,
        {"instruction": "Shorten", "input": "long text", "output": "text"},
        {"instruction": "Name it", "output": "Lease"},
        {"instruction": "", "output": "Lease"},
    )
    counts = {"n_in": 3, "n_out": 2, "n_dropped": 1, "rejects": 1, "source": "given"}
    summary = from_rows(file, tmp_path)
    assert {name: summary[name] for name in counts} == counts
    first, second = read_jsonl(tmp_path / "documents.jsonl", Document)
    assert (first.text, first.labels["output"].answer) == ("Shorten\n\nlong text", "text")
    assert (second.text, second.labels["output"].answer) == ("Name it", "Lease")


def test_data_of_another_task_are_refused(tmp_path: Path) -> None:
    file = rows(tmp_path, {"instruction": "a", "output": "b"})
    with pytest.raises(DataError) as caught:
        run_documents(CLAUSES, {}, tmp_path, Context(options={"source": str(file)}))
    assert str(caught.value) == (
        f"{file}: the task clause-extraction reads annotated contracts\n"
        "  -> give such data, or change the recipe's task"
    )
    with pytest.raises(DataError, match="the task instruction reads rows of instructions"):
        run_documents(ROWS, {}, tmp_path, Context(options={"source": str(tmp_path)}))


def test_a_version_made_from_a_split_may_not_hold_its_test(tmp_path: Path) -> None:
    rows = [Document(id=f"d{i}", name="", sha256="", text=f"Question {i}?") for i in range(3)]
    lock = make_lock({"d1": text_hash(rows[1])})

    def lock_up(out: Path) -> dict[str, Any]:
        write_atomic(out / LOCK_FILE, lock.model_dump_json())
        return {}

    split = build_folder(tmp_path / "split", HEADER | {"kind": "split"}, lock_up)
    header = HEADER | {"inputs": {"split": split.hash}, "parents": {"split": "split"}}

    def fill(out: Path) -> dict[str, Any]:
        write_jsonl(out / "documents.jsonl", rows)
        return {}

    build_folder(tmp_path / "version", header, fill)
    with pytest.raises(DataError, match="documents: 1 document is in the locked test") as caught:
        from_rows(tmp_path / "version", tmp_path)
    assert "\n  d1\n" in str(caught.value)


def test_the_packages_instructions_can_be_imported(tmp_path: Path) -> None:
    summary = from_rows(find_source(None, cache=tmp_path, task="instruction").path, tmp_path)
    assert summary["n_out"] >= 20
    assert summary["n_dropped"] == 0


def test_a_split_holds_every_document_once_and_has_a_card(contracts: Artifact, tmp_path: Path) -> None:
    config = SplitStageConfig(task="clause-extraction", split=SplitConfig(train=5, validation=3, test=2))
    made = sealed(tmp_path, "split", lambda out: run_split(config, {"documents": contracts}, out, Context()))
    parts = {name: [d.id for d in read_jsonl(made.file(f"{name}.jsonl"), Document)] for name in SPLITS}
    drops = [d.where for d in read_jsonl(made.file("drops.jsonl"), Drop)]
    everything = [d.id for d in read_jsonl(contracts.file("documents.jsonl"), Document)]
    assert Counter([*parts["train"], *parts["validation"], *parts["test"], *drops]) == Counter(everything)
    summary = {"n_in": 12, "n_out": 10, "n_dropped": 2, "train": 5, "validation": 3, "test": 2}
    card = made.json("card.json")
    assert made.manifest.summary == summary | {"test_lock": card["test_lock"]["sha256"]}
    assert card["documents"] == {"train": 5, "validation": 3, "test": 2}
    assert card["source"] == "the samples"
    assert card["import_drops"] == len(list(read_jsonl(contracts.file("drops.jsonl"), Drop)))
    for name in SPLITS:
        assert card["parts"][name]["n"] == len(parts[name])
        presence = card["parts"][name]["presence"].values()
        assert all(0 <= p["present"] <= p["assessed"] <= len(parts[name]) for p in presence)


class Example(Drop):
    @property
    def positive(self) -> bool:
        return self.what == "yes"


class OneWord(tasks.Task):
    """Teaches one example a document: positive where the text begins with `yes`."""

    name, strategies = "one-word", ("tag",)

    def examples(self, document: Document, schema: Any, codec: Any, window: Any, strategy: str) -> Any:
        yield Example(what="yes" if document.text.startswith("yes") else "no", where=document.id, reason="")


def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: list[str], negatives: float) -> Artifact:
    """Run the stage with a task of its own and no model."""
    from lextune.data import stages
    from lextune.expert.weights import Base

    base = Base(name="b", path=tmp_path, weights_sha256="", tokenizer_sha256="")
    monkeypatch.setattr(stages, "resolve_base", lambda name: base)
    monkeypatch.setattr(stages, "Codec", lambda path: None)
    monkeypatch.setitem(tasks.TASKS, "one-word", OneWord())

    def split(out: Path) -> dict[str, Any]:
        for part in ("train", "validation"):
            lines = [
                Document(id=f"{part}{i}", name="", sha256="", text=t).model_dump_json() for i, t in enumerate(texts)
            ]
            (out / f"{part}.jsonl").write_text("\n".join(lines))
        return {}

    config = ExamplesConfig(
        task="one-word",
        schema_name="clauses-47",
        base="b",
        strategy="tag",
        window=WindowConfig(),
        negatives=negatives,
    )
    inputs = {"split": sealed(tmp_path / "split", "split", split)}
    return sealed(tmp_path, "examples", lambda out: run_examples(config, inputs, out, Context(seed=1)))


def test_training_examples_are_balanced_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = examples(tmp_path, monkeypatch, ["yes"] * 4 + ["no"] * 10, 0.5)
    summary = made.manifest.summary
    assert (summary["n_in"], summary["n_out"], summary["n_dropped"]) == (14, 6, 8)
    files = ("train.jsonl", "train_all.jsonl", "validation.jsonl")
    kinds = {name: Counter(d.what for d in read_jsonl(made.file(name), Drop)) for name in files}
    assert kinds["train.jsonl"] == {"yes": 4, "no": 2}
    assert kinds["train_all.jsonl"] == kinds["validation.jsonl"] == {"yes": 4, "no": 10}


def test_the_test_part_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The split of this test has no test.jsonl at all."""
    assert examples(tmp_path, monkeypatch, ["yes"], 0.5).manifest.summary["train"] == 1


def test_examples_without_a_label_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError) as caught:
        examples(tmp_path, monkeypatch, ["no"] * 5, 0.5)
    assert str(caught.value) == "train: no training example has a label\n  -> check the labels and the schema"


def test_each_stage_takes_what_earlier_ones_make() -> None:
    assert [(s.name, s.inputs, s.kind) for s in STAGES] == [
        ("documents", (), "documents"),
        ("split", ("documents",), "split"),
        ("examples", ("split",), "examples"),
    ]
