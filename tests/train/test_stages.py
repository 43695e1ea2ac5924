"""The training stages on small artifacts: preflight, linear, sft, calibrate."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lextune.core.artifacts import Artifact, write_atomic, write_jsonl
from lextune.core.errors import RecipeError
from lextune.core.records import Document, FieldLabel, Message, Span
from lextune.core.stage import Context
from lextune.expert.head import Head
from lextune.expert.linear import LinearTagger
from lextune.expert.point import ChatExample
from lextune.expert.templates import Codec
from lextune.expert.thresholds import Thresholds
from lextune.expert.weights import Base, check_binding
from lextune.expert.windowing import WindowConfig, WindowExample
from lextune.train.common import LoraSettings, TrainConfig
from lextune.train.stages import (
    CalibrateConfig,
    LinearConfig,
    SftConfig,
    run_calibrate,
    run_linear,
    run_preflight,
    run_sft,
)

LAW = "This Agreement is governed by the laws of the State of Ohio."
SCHEMA = """name: small
fields:
  - {name: Law, type: boolean, question: "Which law?"}
  - {name: Term, type: boolean, question: "How long?"}
  - {name: Audit, type: boolean, question: "May the books be inspected?"}
"""


@pytest.fixture
def schema_file(tmp_path: Path) -> str:
    path = tmp_path / "small.yaml"
    path.write_text(SCHEMA)
    return str(path)


@pytest.fixture
def examples(windows: dict[str, list[WindowExample]], seal: Callable[..., Artifact]) -> Artifact:
    def fill(folder: Path) -> None:
        for part in ("train", "validation"):
            write_jsonl(folder / f"{part}.jsonl", windows[part])
        write_jsonl(folder / "train_all.jsonl", windows["train"])

    return seal("examples", fill, {"task": "clause-extraction"})


def _config(base: Base, schema: str, task: str = "clause-extraction", **train: Any) -> SftConfig:
    settings = TrainConfig(batch=4, steps=2, lora=LoraSettings(r=2), **train)
    return SftConfig(task=task, schema_name=schema, base=base.name, train=settings)


@pytest.mark.parametrize("strategy", ["tag", "point"])
def test_preflight_then_sft_makes_a_bound_adapter(
    strategy: str,
    base: Base,
    examples: Artifact,
    schema_file: str,
    seal: Callable[..., Artifact],
) -> None:
    config = _config(base, schema_file, strategy=strategy)
    preflight = seal("preflight", lambda f: run_preflight(config, {"examples": examples}, f, Context()))
    found = preflight.json("preflight.json")
    assert found["strategy"] == strategy
    assert found["template"] == "smollm"
    assert found["stop_token"] == "<|im_end|>"
    assert found["estimate"]["steps"] == 2
    assert preflight.manifest.summary["n_in"] == preflight.manifest.summary["n_out"] == 10

    inputs = {"examples": examples, "preflight": preflight}
    calls: list[tuple[int, int, str]] = []
    adapter = seal("adapter", lambda f: run_sft(config, inputs, f, Context(4, lambda *call: calls.append(call))))
    binding = check_binding(adapter.path, base)
    assert binding.strategy == strategy
    assert binding.fields == ("Law", "Term")
    assert binding.template == Codec(base.path).template.sha256
    assert calls[-1][:2] == (2, 2)
    assert calls[-1][2].startswith("loss ")
    training = adapter.json("training.json")
    assert training["steps"] == 2
    assert training["estimated_seconds"] == found["estimate"]["seconds"]
    assert ("tag_head.safetensors" in adapter.manifest.files) == (strategy == "tag")
    assert not (adapter.path / "checkpoints").exists()


def test_a_strategy_that_the_task_lacks_is_refused(
    base: Base, examples: Artifact, schema_file: str, tmp_path: Path
) -> None:
    config = _config(base, schema_file, strategy="text")
    with pytest.raises(RecipeError, match="the task clause-extraction has no strategy 'text'"):
        run_preflight(config, {"examples": examples}, tmp_path, Context())


def test_instructions_are_conversations_as_they_are(base: Base, seal: Callable[..., Artifact]) -> None:
    rows = [
        ChatExample(document_id=f"d{n}", messages=(Message(role="user", content=f"Is {n} even?"),), completion="Yes.")
        for n in range(6)
    ]

    def fill(folder: Path) -> None:
        write_jsonl(folder / "train.jsonl", rows)
        write_jsonl(folder / "validation.jsonl", rows[:2])

    examples = seal("examples", fill, {"task": "instruction"})
    config = _config(base, "instruction", "instruction", strategy="text")
    preflight = seal("preflight", lambda f: run_preflight(config, {"examples": examples}, f, Context()))
    assert preflight.json("preflight.json")["rows"] == 6
    inputs = {"examples": examples, "preflight": preflight}
    adapter = seal("adapter", lambda f: run_sft(config, inputs, f, Context()))
    assert check_binding(adapter.path, base).fields == ("output",)


def test_linear_then_calibrate(base: Base, examples: Artifact, schema_file: str, seal: Callable[..., Artifact]) -> None:
    config = LinearConfig(schema_name=schema_file)
    linear = seal("linear", lambda f: run_linear(config, {"examples": examples}, f, Context()))
    assert linear.manifest.summary["windows"] == 10
    assert LinearTagger.load(linear.path).bias.shape == (3,)

    def model_folder(folder: Path) -> None:
        import numpy as np

        for name in ("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(base.path / name, folder / name)
        Head(np.zeros((3, 128), np.float32), np.zeros(3, np.float32)).save(folder)
        write_atomic(folder / "model.json", json.dumps({"strategy": "tag", "fields": ["Law"]}))

    text = f"The goods are delivered in May.\n\n{LAW}\n\nInvoices are paid in June.\n"
    start = text.index(LAW)
    label = FieldLabel(parts=(LAW,), spans=((Span(start=start, end=start + len(LAW)),),), answer="Yes")
    rows = [
        Document(id=f"v{n}", name=f"v{n}", sha256="0" * 64, text=text, labels={"Law": label, "Term": FieldLabel()})
        for n in range(3)
    ]
    inputs = {
        "model": seal("model", model_folder),
        "linear": linear,
        "split": seal("split", lambda f: write_jsonl(f / "validation.jsonl", rows) * 0),
    }

    def calibrate(strategy: str, **changed: Artifact | None) -> Artifact:
        settings = CalibrateConfig(
            schema_name=schema_file,
            base=base.name,
            window=WindowConfig(),
            strategy=strategy,
            engine="transformers",
        )
        given = {k: v for k, v in {**inputs, **changed}.items() if v is not None}
        return seal("thresholds", lambda f: run_calibrate(settings, given, f, Context()))

    fitted = calibrate("tag")
    assert fitted.manifest.summary["documents"] == 3
    cuts = {n: Thresholds.load(fitted.file(f"{n}.json")) for n in ("model", "linear")}
    assert all(c.trained_fields == ("Law",) for c in cuts.values())
    assert all(c.n_documents == 3 for c in cuts.values())
    assert cuts["linear"].slope > 0

    pointed = calibrate("point", linear=None)
    assert set(pointed.manifest.files) == {"model.json"}
    assert Thresholds.load(pointed.file("model.json")).pooled == 0.01
