"""The arms that write an answer a window, which takes far longer than tagging, or costs money: the untuned base model
and reference models behind an endpoint.

They read the `documents` shortest test documents, and are compared with the tuned model on those same ones. None of
them depends on training.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from lextune.core.artifacts import read_jsonl
from lextune.core.recipe import Config
from lextune.core.records import Document, Prediction
from lextune.core.stage import Context, Inputs, Stage, Summary
from lextune.evaluate.arms import Arm, Making, arm_of, run_arms
from lextune.evaluate.summary import FEW_SHOT, ZERO_SHOT
from lextune.expert.answering import Expert, Identity
from lextune.expert.build import in_openvino
from lextune.expert.engines.base import Chatter, Generator, LocalChat
from lextune.expert.engines.cached import CachedChat
from lextune.expert.engines.openai_ import Endpoint, OpenAiChat
from lextune.expert.point import GENERAL, ChatExample
from lextune.expert.readers import PointReader
from lextune.expert.schema import load_schema
from lextune.expert.tasks import Example, TaskOptions, get_task
from lextune.expert.templates import Codec
from lextune.expert.thresholds import POINTED, Thresholds
from lextune.expert.weights import Base, resolve_base
from lextune.expert.windowing import WindowConfig, WindowExample
from lextune.expert.writing import WritingExpert

ANSWERS = "reference-answers.jsonl"  # beside the artifacts: what an endpoint said is paid for once


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, int) else value


Shots = Annotated[tuple[Annotated[int, Field(ge=0)], ...], BeforeValidator(_listed)]
"""How many worked examples: one number, or several to compare."""


class Reference(Config):
    """A model of somebody else's that answers the same questions."""

    endpoint: Endpoint
    """Where it is asked, and what it costs."""
    shots: int = Field(3, ge=0)
    """How many worked examples it is shown."""


class PredictBaseConfig(Config):
    """The untuned arms: how many documents, how many worked examples."""

    task: str
    """What the documents are used for: a task of `lextune.expert.tasks`."""
    task_options: TaskOptions = TaskOptions()
    """Settings of the task's scorer, which says how often a question is asked."""
    schema_name: str
    """A built-in schema, or the path of a YAML file with one."""
    base: str
    """The base model: a name, a hub id, or a folder."""
    window: WindowConfig
    """How documents are cut."""
    engine: str = "openvino"
    """The engine that runs the model: `openvino`, `openvino-f32` or `transformers`."""
    documents: int = 8
    """How many test documents are read, the shortest first."""
    shots: Shots = (3,)
    """How many worked examples the few-shot arms are shown, one arm a number."""
    references: dict[str, Reference] = Field(default_factory=dict)
    """Reference models, by the name that their arm has."""
    seed: int = 0
    """Draws the worked examples."""


def few_shot_names(shots: Iterable[int]) -> dict[str, int]:
    """Return the few-shot arms with their numbers of worked examples: named by it where there are several."""
    wanted = sorted({count for count in shots if count})
    return {FEW_SHOT if len(wanted) == 1 else f"base-{count}-shot": count for count in wanted}


def run_predict_base(config: PredictBaseConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Run the untuned base, zero-shot and few-shot, and the reference models over the shortest test documents."""
    base = resolve_base(config.base)
    codec = Codec(base.path)
    documents = list(read_jsonl(inputs["split"].file("test.jsonl"), Document))
    documents = sorted(documents, key=lambda d: (len(d.text), d.id))[: config.documents]
    started: dict[str, Chatter] = {}

    def untuned() -> Chatter:  # one engine for all arms of the base
        if not started:
            started["base"] = LocalChat(base_generator(base, codec, config.engine), codec)
        return started["base"]

    arms: dict[str, Making] = {}
    for name, count in {ZERO_SHOT: 0, **few_shot_names(config.shots)}.items():
        arms[name] = _making(config, inputs, codec, name, count, untuned)
    for name, reference in config.references.items():
        asking = functools.partial(_asking, reference.endpoint, out.parent / ANSWERS)
        arms[name] = _making(config, inputs, codec, name, reference.shots, asking)
    return run_arms(arms, documents, out, context.progress) | {"costs": _costs(config, out)}


def _asking(endpoint: Endpoint, answers: Path) -> Chatter:
    return CachedChat(OpenAiChat(endpoint), answers)


def _making(
    config: PredictBaseConfig, inputs: Inputs, codec: Codec, name: str, shots: int, start: Callable[[], Chatter]
) -> Making:
    make = _writer if get_task(config.task).rows else _pointer
    return lambda: make(config, inputs, codec, name, shots, start())


def _pointer(config: PredictBaseConfig, inputs: Inputs, codec: Codec, name: str, shots: int, chatter: Chatter) -> Arm:
    schema = load_schema(config.schema_name)
    lines = (line.root for line in read_jsonl(inputs["examples"].file("train.jsonl"), Example))
    windows = (line for line in lines if isinstance(line, WindowExample))  # the others are general instructions
    few = choose_shots(windows, shots, config.seed) if shots else ()
    reader = PointReader(chatter, schema, shots=few, constrained=isinstance(chatter, LocalChat))
    return Expert(
        Identity(name, config.base, "point"),
        schema,
        reader,
        codec=codec,
        thresholds=Thresholds(pooled=POINTED),
        window=config.window,
    ).answer


def _writer(config: PredictBaseConfig, inputs: Inputs, codec: Codec, name: str, shots: int, chatter: Chatter) -> Arm:
    lines = read_jsonl(inputs["examples"].file("train.jsonl"), ChatExample)
    rows = [line for line in lines if not line.document_id.startswith(GENERAL)]
    chosen = random.Random(config.seed).sample(rows, min(shots, len(rows)))
    few = [(row.messages[-1].content, row.completion) for row in chosen]
    expert = WritingExpert(Identity(name, config.base, "text"), load_schema(config.schema_name), chatter, few)
    return arm_of(expert, config.task, config.task_options)


def _costs(config: PredictBaseConfig, out: Path) -> dict[str, dict[str, float]]:
    """Return what each reference model was paid for: tokens in and out, and their price."""
    costs = {}
    for name, reference in config.references.items():
        usage = [row.usage for row in read_jsonl(out / f"{name}.jsonl", Prediction)]
        read, written = (sum(getattr(one, key) for one in usage) for key in ("prompt_tokens", "generated_tokens"))
        costs[name] = {"tokens_in": read, "tokens_out": written, "price": reference.endpoint.cost(read, written)}
    return costs


def base_generator(base: Base, codec: Codec, engine: str) -> Generator:
    """Return an engine that generates with an untuned base; its OpenVINO export is kept in the cache."""
    if in_openvino(engine):
        from lextune.expert.engines.openvino_ import OpenVinoGenerator, exported_base

        return OpenVinoGenerator(exported_base(base), codec, engine)
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


STAGES = (Stage("predict_base", 4, ("split", "examples"), PredictBaseConfig, run_predict_base, "predictions"),)
