"""The training stages on small artifacts: preflight, linear, sft, calibrate."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lextune.core.artifacts import Artifact, write_atomic, write_jsonl
from lextune.core.errors import DataError, RecipeError
from lextune.core.records import Document, FieldLabel, Message, Span
from lextune.core.stage import Context
from lextune.expert.edges import EdgeTagger
from lextune.expert.engines.scripted import ScriptedTagger
from lextune.expert.fusion import FusedReader, Fusion
from lextune.expert.head import Head
from lextune.expert.linear import LinearTagger
from lextune.expert.point import ChatExample
from lextune.expert.readers import LinearReader, Passage, TagReader
from lextune.expert.templates import Codec
from lextune.expert.thresholds import Thresholds
from lextune.expert.weights import Base, check_binding
from lextune.expert.windowing import WindowConfig, WindowExample
from lextune.train import stages
from lextune.train.settings import LoraSettings, TrainConfig
from lextune.train.stages import (
    CalibrateConfig,
    LinearConfig,
    PreflightConfig,
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


def _config(base: Base, schema: str, task: str = "clause-extraction", **train: Any) -> PreflightConfig:
    settings = TrainConfig(batch=4, steps=2, lora=LoraSettings(r=2), **train)
    return PreflightConfig(task=task, schema_name=schema, base=base.name, window=WindowConfig(), train=settings)


@pytest.mark.parametrize("strategy", ["tag", "point", "text"])
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
    assert preflight.manifest.summary["estimate"]["steps"] == 2
    rows = 20 if strategy == "text" else 10  # each window is asked what it states, and the one other field it may be
    assert preflight.manifest.summary["n_in"] == preflight.manifest.summary["n_out"] == rows

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
    assert training["estimated_seconds"] == preflight.manifest.summary["estimate"]["seconds"]
    assert ("tag_head.safetensors" in adapter.manifest.files) == (strategy == "tag")
    assert not (adapter.path / "checkpoints").exists()


def test_the_time_of_one_process_is_divided_among_several(
    base: Base,
    examples: Artifact,
    schema_file: str,
    seal: Callable[..., Artifact],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lextune.train import estimate

    timed = estimate.Seconds(start=3.0, training=100.0, evaluation=10.0, saving=1.0)
    monkeypatch.setattr(estimate, "estimate_run", lambda *_, **__: (2, timed))
    monkeypatch.setenv("WORLD_SIZE", "4")
    config = _config(base, schema_file)
    summary = seal("preflight", lambda f: run_preflight(config, {"examples": examples}, f, Context())).manifest.summary
    assert summary["processes"] == 4
    assert summary["estimated_parts"] == {"start": 3.0, "training": 25.0, "evaluation": 2.5, "saving": 1.0}
    assert summary["tokens_per_second"] == pytest.approx(summary["tokens"] / 25, abs=0.1)
    assert summary["dpo"] is None


def _contracts(count: int) -> list[Document]:
    """Contracts that state a law and no term; the later the longer."""
    rows = []
    for number in range(count):
        text = f"The goods are delivered in May.\n\n{LAW}\n\nInvoices are paid in June.\n" + "They are paid.\n" * number
        start = text.index(LAW)
        law = FieldLabel(parts=(LAW,), spans=((Span(start=start, end=start + len(LAW)),),), answer="Yes")
        labels = {"Law": law, "Term": FieldLabel()}
        rows.append(Document(id=f"v{number}", name=f"v{number}", sha256="0" * 64, text=text, labels=labels))
    return rows


@pytest.mark.parametrize("strategy", ["tag", "point", "text"])
def test_sft_is_best_by_documents_read_as_in_serving(
    strategy: str, base: Base, examples: Artifact, schema_file: str, seal: Callable[..., Artifact]
) -> None:
    settings: dict[str, Any] = {"strategy": strategy, "best_by": "metric", "metric_documents": 2}
    config = _config(base, schema_file, **settings)
    preflight = seal("preflight", lambda f: run_preflight(config, {"examples": examples}, f, Context()))
    split = seal("split", lambda f: write_jsonl(f / "validation.jsonl", reversed(_contracts(4))) * 0)
    inputs = {"examples": examples, "preflight": preflight, "split": split}
    adapter = seal("adapter", lambda f: run_sft(config, inputs, f, Context()))
    training = adapter.json("training.json")
    scores = [point["value"] for point in training["curves"]["eval_metric"]]
    assert len(scores) == 2
    assert all(0 <= score <= 1 for score in scores)
    assert training["best"]["eval_metric"] == max(scores)

    nothing = seal(
        "split", lambda f: write_jsonl(f / "validation.jsonl", [_contracts(1)[0].model_copy(update={"labels": {}})]) * 0
    )
    with pytest.raises(DataError, match="nothing is to be found in the 1 validation documents of the metric") as caught:
        seal("adapter", lambda f: run_sft(config, {**inputs, "split": nothing}, f, Context()))
    assert caught.value.where == "train.best_by: metric"
    assert caught.value.do == "raise train.metric_documents, or use best_by: loss"


def test_a_strategy_that_the_task_lacks_is_refused(
    base: Base, examples: Artifact, schema_file: str, tmp_path: Path
) -> None:
    config = _config(base, schema_file, "instruction", strategy="tag")
    with pytest.raises(RecipeError, match="the task instruction has no strategy 'tag'"):
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


def test_edges_are_learnt_beside_the_linear_baseline(
    examples: Artifact, tmp_path: Path, seal: Callable[..., Artifact]
) -> None:
    schema = tmp_path / "dates.yaml"
    schema.write_text('name: dates\nfields: [{name: Signed, type: date, question: "When?"}]\n')
    rows = []
    for number in range(1, 31):
        date = f"{number} Frimaire {1800 + number}"  # of a calendar that no rule knows
        text = f"Made at Rouen on {date} by the parties."
        span = Span(start=text.index(date), end=text.index(date) + len(date))
        labels = {"Signed": FieldLabel(parts=(date,), spans=((span,),))}
        rows.append(Document(id=f"d{number}", name="d", sha256="", text=text, labels=labels))
    split = seal("split", lambda f: write_jsonl(f / "train.jsonl", rows) * 0)
    config = LinearConfig(schema_name=str(schema))
    inputs = {"examples": examples, "split": split}
    linear = seal("linear", lambda f: run_linear(config, inputs, f, Context()))
    assert linear.manifest.summary["edges"] == ["Signed"]
    tagger = EdgeTagger.load(linear.path)
    assert tagger is not None
    sentence = "Made at Rouen on 9 Frimaire 1840 by the parties."
    assert [sentence[a:b] for a, b in tagger.find("Signed", sentence)] == ["9 Frimaire 1840"]


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

    rows = _contracts(3)
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


def test_a_corrupt_checkpoint_is_said_by_the_stage(
    base: Base, examples: Artifact, schema_file: str, seal: Callable[..., Artifact], tmp_path: Path
) -> None:
    config = _config(base, schema_file, checkpoint_steps=1)
    preflight = seal("preflight", lambda f: run_preflight(config, {"examples": examples}, f, Context()))
    inputs = {"examples": examples, "preflight": preflight}
    said: list[str] = []
    (tmp_path / "out").mkdir()
    run_sft(config, inputs, tmp_path / "out", Context(warn=said.append))
    assert said == []
    (tmp_path / "out" / "checkpoints" / "checkpoint-2" / "scheduler.pt").write_bytes(b"")
    run_sft(config, inputs, tmp_path / "out", Context(warn=said.append))
    assert said == ["checkpoint-2 is corrupt and passed over: scheduler.pt is not what was written"]


def test_what_stands_beside_the_model_is_kept_with_its_thresholds(
    base: Base,
    examples: Artifact,
    schema_file: str,
    seal: Callable[..., Artifact],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The thresholds are fitted on what model and linear tagger say together, by the aim of the recipe."""

    class Blind:
        folder = base.path

        def tagger(self) -> ScriptedTagger:
            return ScriptedTagger(lambda item: np.zeros((len(item.bounds), 3), np.float32))

    monkeypatch.setattr(stages, "load_model", lambda folder, engine: Blind())
    linear = LinearConfig(schema_name=schema_file)
    inputs = {
        "linear": seal("linear", lambda f: run_linear(linear, {"examples": examples}, f, Context())),
        "model": seal("model", lambda f: write_atomic(f / "model.json", json.dumps({"fields": ["Law"]}))),
        "split": seal("split", lambda f: write_jsonl(f / "validation.jsonl", _contracts(4)) * 0),
    }
    settings = {"schema_name": schema_file, "base": base.name, "window": WindowConfig(max_sentences=1)}
    config = CalibrateConfig(**settings, strategy="tag", aim="contracteval", fuse_linear=True, screen=0.9)
    made = seal("thresholds", lambda f: run_calibrate(config, inputs, f, Context()))
    assert set(made.manifest.files) == {"model.json", "linear.json", "fusion.json"}
    fusion, cuts = Fusion.load(made.path), Thresholds.load(made.file("model.json"))
    assert fusion.screen is not None
    assert fusion.screen.share == 0.9
    assert made.manifest.summary["screen"] == {"recall": fusion.screen.recall, "skipped": fusion.screen.skipped}
    assert (cuts.aim, cuts.n_documents, set(cuts.quoting)) == ("contracteval", 4, {"Law", "Term", "Audit"})
    reader = FusedReader(
        TagReader(Codec(base.path), Blind().tagger(), Thresholds()),
        LinearReader(LinearTagger.load(inputs["linear"].path), Thresholds()),
        fusion,
        cuts,
    )
    (law,), (other,) = (reader.read([Passage("", [text])]) for text in (LAW, "Invoices are sent in June."))
    assert law.confidence[0, 0] > cuts.of("Law") > other.confidence[0, 0], "the model saw nothing: linear did"
