"""Predict: every arm answers the same held-out documents through the path that is served.

`base` arms (the untuned model, zero-shot and few-shot by `point`) are a stage of their own, because they do
not depend on training; they run on the `documents` shortest test documents (they write an answer a
window, which takes far longer than tagging), and are compared with the tuned model on those same ones.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lextune.core.artifacts import read_jsonl, write_jsonl
from lextune.core.counts import counted
from lextune.core.recipe import Config
from lextune.core.records import Document, Prediction
from lextune.core.stage import Context, Inputs, Stage, Summary
from lextune.expert.answering import Expert, Identity
from lextune.expert.build import build_expert, load_model
from lextune.expert.engines.base import Generator
from lextune.expert.linear import LinearTagger
from lextune.expert.point import ChatExample
from lextune.expert.readers import LinearReader, PointReader
from lextune.expert.schema import Schema, load_schema
from lextune.expert.scoring import trivial
from lextune.expert.templates import Codec
from lextune.expert.thresholds import Thresholds
from lextune.expert.weights import Base, resolve_base
from lextune.expert.windowing import WindowConfig, WindowExample
from lextune.expert.writing import WritingExpert


class PredictConfig(Config):
    """How the tuned model and the baselines read the test documents."""

    task: str
    """What the documents are used for: a task of `lextune.expert.task`."""
    schema_name: str
    """A built-in schema, or the path of a YAML file with one."""
    base: str
    """The base model: a name, a hub id, or a folder."""
    window: WindowConfig
    """How documents are cut."""
    engine: str = "openvino"
    """The engine that runs the model: `openvino` or `transformers`."""


class PredictBaseConfig(Config):
    """The untuned arms: how many documents, how many worked examples."""

    task: str
    """What the documents are used for: a task of `lextune.expert.task`."""
    schema_name: str
    """A built-in schema, or the path of a YAML file with one."""
    base: str
    """The base model: a name, a hub id, or a folder."""
    window: WindowConfig
    """How documents are cut."""
    engine: str = "openvino"
    """The engine that runs the model: `openvino` or `transformers`."""
    documents: int = 8
    """How many test documents are read, the shortest first."""
    shots: int = 3
    """How many worked examples the few-shot arm is shown."""
    seed: int = 0
    """Draws the worked examples."""


Arm = Callable[[Document], Prediction]
POINTED = 0.01  # whatever the base model points at counts: it has no calibrated confidence


def predict_arm(arm: Arm, documents: Iterable[Document], path: Path, note: Callable[[Prediction], None]) -> int:
    """Write one arm's predictions, one line a document; `note` is told of each."""

    def rows() -> Iterable[Prediction]:
        for document in documents:
            prediction = arm(document)
            yield prediction
            note(prediction)

    return write_jsonl(path, rows())


def run_predict(config: PredictConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Run the tuned model, and for extraction `linear` and the trivial arms, over all test documents."""
    schema = load_schema(config.schema_name)
    documents = list(read_jsonl(inputs["split"].file("test.jsonl"), Document))
    model = load_model(inputs["model"].path, config.engine)
    identity = Identity("tuned", inputs["model"].hash, model.info["strategy"])
    cuts = Thresholds.load(inputs["thresholds"].file("model.json"))
    arms: dict[str, Arm] = {"tuned": build_expert(model, schema, cuts, config.window, identity).answer}
    if "linear" in inputs:
        arms["linear"] = _linear(config, inputs, model.codec).answer
    arms |= {name: _with_schema(arm, schema) for name, arm in trivial.ARMS.items()}
    return _run_arms(arms, documents, out, context)


def _with_schema(arm: Callable[[Document, Schema], Prediction], schema: Schema) -> Arm:
    return lambda document: arm(document, schema)


def _linear(config: PredictConfig, inputs: Inputs, codec: Codec) -> Expert:
    cuts = Thresholds.load(inputs["thresholds"].file("linear.json"))
    return Expert(
        Identity("linear", inputs["linear"].hash, "linear"),
        load_schema(config.schema_name),
        LinearReader(LinearTagger.load(inputs["linear"].path), cuts),
        codec=codec,
        thresholds=cuts,
        window=config.window,
    )


def _run_arms(arms: dict[str, Arm], documents: list[Document], out: Path, context: Context) -> Summary:
    total, done = len(arms) * len(documents), 0
    counts: dict[str, Any] = {}
    ungrounded: Counter[str] = Counter()
    for name, arm in arms.items():

        def note(prediction: Prediction, name: str = name) -> None:
            nonlocal done
            done += 1
            ungrounded[name] += prediction.usage.ungrounded
            context.progress(done, total, name)

        counts[name] = predict_arm(arm, documents, out / f"{name}.jsonl", note)
    dropped = {name: count for name, count in ungrounded.items() if count}
    said = ", ".join(f"{counted(count, 'quote')} of {name}" for name, count in dropped.items())
    return {
        **{"n_in": len(documents), "n_out": len(documents), "n_dropped": 0, "arms": counts},
        **({"ungrounded": dropped, "note": f"dropped, as not in the document: {said}"} if dropped else {}),
    }


def run_predict_base(config: PredictBaseConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Run the untuned base, zero-shot and few-shot, over the shortest test documents."""
    base = resolve_base(config.base)
    codec = Codec(base.path)
    documents = list(read_jsonl(inputs["split"].file("test.jsonl"), Document))
    documents = sorted(documents, key=lambda d: (len(d.text), d.id))[: config.documents]
    generator = base_generator(base, codec, config.engine)
    make = _writers if config.task == "instruction" else _pointers
    arms = dict(zip(("base-zero-shot", "base-few-shot"), make(config, inputs, generator, codec), strict=True))
    return _run_arms(arms, documents, out, context)


def _pointers(config: PredictBaseConfig, inputs: Inputs, generator: Generator, codec: Codec) -> list[Arm]:
    schema = load_schema(config.schema_name)
    examples = read_jsonl(inputs["examples"].file("train.jsonl"), WindowExample)
    few = choose_shots(examples, config.shots, config.seed)
    return [
        Expert(
            Identity(name, config.base, "point"),
            schema,
            PointReader(codec, generator, schema, shots=shots),
            codec=codec,
            thresholds=Thresholds(pooled=POINTED),
            window=config.window,
            generator=generator,
        ).answer
        for name, shots in (("base-zero-shot", ()), ("base-few-shot", few))
    ]


def _writers(config: PredictBaseConfig, inputs: Inputs, generator: Generator, codec: Codec) -> list[Arm]:
    schema = load_schema(config.schema_name)
    rows = list(read_jsonl(inputs["examples"].file("train.jsonl"), ChatExample))
    chosen = random.Random(config.seed).sample(rows, min(config.shots, len(rows)))
    few = [(row.messages[-1].content, row.completion) for row in chosen]
    return [
        WritingExpert(Identity(name, config.base, "text"), schema, generator, codec, shots).answer
        for name, shots in (("base-zero-shot", ()), ("base-few-shot", few))
    ]


def base_generator(base: Base, codec: Codec, engine: str) -> Generator:
    """Return an engine that generates with an untuned base; its OpenVINO export is kept in the cache."""
    if engine == "openvino":
        from lextune.expert.engines.openvino_ import OpenVinoGenerator, exported_base

        return OpenVinoGenerator(exported_base(base), codec)
    from lextune.expert.engines.transformers_ import TransformersEngine

    return TransformersEngine(base)


def choose_shots(examples: Iterable[WindowExample], count: int, seed: int) -> tuple[WindowExample, ...]:
    """Choose short worked examples from train: one empty, then windows with clauses of different fields.

    The empty one comes first: with `{}` as the last thing seen, small models answer `{}` to everything. A single
    example is one with clauses.
    """
    wanted = count - 1 if count > 1 else count
    rows = sorted(examples, key=lambda e: (e.document_id, e.index))
    random.Random(seed).shuffle(rows)
    rows = [r for r in rows if sum(len(t) for t in r.texts) < 900]
    chosen: list[WindowExample] = []
    seen: set[int] = set()
    for row in (r for r in rows if r.positive):
        fields = {f for p in row.positives for f in p}
        if len(chosen) >= wanted:
            break
        if not fields & seen:
            chosen.append(row)
            seen |= fields
    empty = [r for r in rows if not r.positive][: count - wanted]
    return (*empty, *chosen)


STAGES = (
    Stage("predict", 2, ("split", "model", "linear", "thresholds"), PredictConfig, run_predict, "predictions"),
    Stage("predict_base", 2, ("split", "examples"), PredictBaseConfig, run_predict_base, "predictions"),
)
