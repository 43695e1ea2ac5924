"""The training stages: preflight, the linear baseline, supervised fine-tuning, calibration."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from pydantic import RootModel

from lextune.core.artifacts import Artifact, read_jsonl, write_atomic
from lextune.core.recipe import Config
from lextune.core.records import Document
from lextune.core.stage import Context, Inputs, Stage, Summary
from lextune.expert.build import load_model
from lextune.expert.linear import LinearTagger, fit_linear
from lextune.expert.point import ChatExample
from lextune.expert.readers import LinearReader, TagReader
from lextune.expert.schema import Schema, load_schema
from lextune.expert.task import as_chat, get_task
from lextune.expert.templates import Codec
from lextune.expert.thresholds import Aim, Scored, Thresholds, fit_thresholds
from lextune.expert.weights import Base, Binding, resolve_base, write_binding
from lextune.expert.windowing import WindowConfig, WindowExample
from lextune.train.calibrate import read_scores, trained_fields
from lextune.train.common import RunOptions, TrainConfig

POINTED = 0.01  # a generated pointer counts whatever its confidence


class SftConfig(Config):
    """What is trained: the task, the schema, the base, and the training settings."""

    task: str
    """What the documents are used for: a task of `lextune.expert.task`."""
    schema_name: str
    """A built-in schema, or the path of a YAML file with one."""
    base: str
    """The base model: a name, a hub id, or a folder."""
    train: TrainConfig
    """The training settings."""


class LinearConfig(Config):
    """The linear baseline's schema."""

    schema_name: str
    """A built-in schema, or the path of a YAML file with one."""


class CalibrateConfig(Config):
    """Thresholds for an aim, from validation documents read by the engine that will serve."""

    schema_name: str
    """A built-in schema, or the path of a YAML file with one."""
    base: str
    """The base model: a name, a hub id, or a folder."""
    window: WindowConfig
    """How documents are cut."""
    strategy: str
    """How the model was trained: `tag`, `point` or `text`."""
    engine: str = "openvino"
    """The engine that runs the model: `openvino` or `transformers`."""
    aim: Aim = "f1"
    """What thresholds are chosen for."""


class _Example(RootModel[WindowExample | ChatExample]):
    """A line of examples: a window, or a conversation (a row, or a general instruction among windows)."""


def _examples(artifact: Artifact, part: str, strategy: str, schema: Schema) -> list[Any]:
    file = artifact.file(f"{part}.jsonl")
    if strategy == "tag":
        return list(read_jsonl(file, WindowExample))
    return [as_chat(schema, line.root) for line in read_jsonl(file, _Example)]


def run_preflight(config: SftConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Check the examples and estimate the time; refuse what could not be learnt."""
    from lextune.train.preflight import check_chat, check_windows, estimate_seconds

    get_task(config.task).check_strategy(config.train.strategy)
    base, schema = resolve_base(config.base), load_schema(config.schema_name)
    codec = Codec(base.path)
    examples = _examples(inputs["examples"], "train", config.train.strategy, schema)
    check = check_windows if config.train.strategy == "tag" else check_chat
    found = check(examples, codec, config.train)
    found |= {
        "strategy": config.train.strategy,
        "template": codec.template.name,
        "template_sha256": codec.template.sha256,
        "stop_token": codec.template.stop,
        "estimate": estimate_seconds(base, found["tokens_mean"], found["rows"] - found["too_long"], config.train),
    }
    write_atomic(out / "preflight.json", json.dumps(found, indent=1))
    estimate = found["estimate"]
    return {
        "n_in": found["rows"],
        "n_out": found["rows"] - found["too_long"],
        "n_dropped": found["too_long"],
        **estimate,
        "note": f"{estimate['steps']} steps to train, about {estimate['seconds']:.0f} s",
    }


def run_linear(config: LinearConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Fit the linear baseline on every window of the training documents."""
    schema = load_schema(config.schema_name)
    rows = list(read_jsonl(inputs["examples"].file("train_all.jsonl"), WindowExample))
    tagger = fit_linear(rows, len(schema.fields), seed=context.seed)
    tagger.save(out)
    return {"windows": len(rows), "ngrams": len(tagger.vocabulary)}


def run_sft(config: SftConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Fine-tune; the result is a PEFT adapter bound to its base, with a head for `tag`."""
    base, schema = resolve_base(config.base), load_schema(config.schema_name)
    strategy = config.train.strategy
    examples = {p: _examples(inputs["examples"], p, strategy, schema) for p in ("train", "validation")}
    run = RunOptions(context.seed, lambda done, total, loss: context.progress(done, total, f"loss {loss:.3f}"))
    started = time.perf_counter()
    if strategy == "tag":
        from lextune.train.tag import train_tag

        result = train_tag(base, examples, len(schema.fields), config.train, out, run)
    else:
        from lextune.train.chat import train_chat

        result = train_chat(base, examples, config.train, out, run)
    result["seconds"] = round(time.perf_counter() - started, 1)
    write_binding(out, _binding(base, strategy, trained_fields(examples["train"], schema, strategy)))
    estimate = inputs["preflight"].json("preflight.json")["estimate"]
    result["estimated_seconds"] = estimate["seconds"]
    write_atomic(out / "training.json", json.dumps(result, indent=1))
    kept = ("steps", "tokens", "seconds", "estimated_seconds", "resumed_from", "best")
    compared = f"{result['seconds']:.0f} s of training, {estimate['seconds']:.0f} s were estimated"
    return {**{k: result[k] for k in kept}, "note": compared}


def _binding(base: Base, strategy: str, fields: tuple[str, ...]) -> Binding:
    return Binding(
        base=base.name,
        weights_sha256=base.weights_sha256,
        tokenizer_sha256=base.tokenizer_sha256,
        strategy=strategy,
        template=Codec(base.path).template.sha256,
        fields=fields,
    )


def run_calibrate(config: CalibrateConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Fit thresholds for the model (by the engine that serves it) and for the linear baseline."""
    schema = load_schema(config.schema_name)
    codec = Codec(resolve_base(config.base).path)
    documents = list(read_jsonl(inputs["split"].file("validation.jsonl"), Document))
    trained = tuple(inputs["model"].json("model.json")["fields"])
    fitted: dict[str, Thresholds] = {}
    if config.strategy == "tag":
        loaded = load_model(inputs["model"].path, config.engine)
        reader = TagReader(codec, loaded.tagger(), Thresholds())
        fitted["model"] = _fit(read_scores(reader, documents, schema, codec, config.window, context), schema, config)
    else:
        fitted["model"] = Thresholds(aim=config.aim, pooled=POINTED, review_below=0.7)
    if "linear" in inputs:
        linear = LinearReader(LinearTagger.load(inputs["linear"].path), Thresholds())
        fitted["linear"] = _fit(read_scores(linear, documents, schema, codec, config.window, context), schema, config)
    for name, thresholds in fitted.items():
        thresholds.model_copy(update={"trained_fields": trained}).save(out, f"{name}.json")
    return {"documents": len(documents), "pooled": round(fitted["model"].pooled, 4)}


def _fit(scores: list[Scored], schema: Schema, config: CalibrateConfig) -> Thresholds:
    return fit_thresholds(scores, schema.names, aim=config.aim)


STAGES = (
    Stage("preflight", 1, ("examples",), SftConfig, run_preflight, "preflight"),
    Stage("linear", 1, ("examples",), LinearConfig, run_linear, "linear"),
    Stage("sft", 1, ("examples", "preflight"), SftConfig, run_sft, "adapter"),
    Stage("calibrate", 1, ("model", "linear", "split"), CalibrateConfig, run_calibrate, "thresholds"),
)
