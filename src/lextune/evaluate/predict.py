"""Predict: every arm that reads all held-out documents, through the path that is served.

The tuned model, `linear`, the trivial arms, and where the recipe asks for them other releases (a quantised one, another
base's) and, with DPO, the model as SFT alone left it. What reads fewer documents is in `predict_base`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import Field

from lextune.core.artifacts import Artifact, read_jsonl
from lextune.core.records import Document, Prediction
from lextune.core.stage import Context, Inputs, Stage, Summary
from lextune.evaluate.arms import TUNED, Arm, Making, arm_of, run_arms
from lextune.evaluate.reading import ReadConfig, tuned_expert
from lextune.evaluate.summary import SFT
from lextune.expert.answering import Expert
from lextune.expert.build import linear_expert
from lextune.expert.released import find_release, release_expert
from lextune.expert.schema import Schema, load_schema
from lextune.expert.scoring import trivial
from lextune.expert.tasks import TaskOptions
from lextune.expert.templates import Codec
from lextune.expert.thresholds import Thresholds


class PredictConfig(ReadConfig):
    """How the tuned model and the baselines read the test documents."""

    task: str
    """What the documents are used for: a task of `lextune.expert.tasks`."""
    task_options: TaskOptions = TaskOptions()
    """Settings of the task's scorer, which says how often a question is asked."""
    releases: dict[str, Path] = Field(default_factory=dict)
    """Other releases that read the same documents, by the name that their arm has."""


def run_predict(config: PredictConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Run the tuned model, and for extraction `linear` and the trivial arms, over all test documents."""
    schema = load_schema(config.schema_name)
    documents = list(read_jsonl(inputs["split"].file("test.jsonl"), Document))
    arms: dict[str, Making] = {TUNED: lambda: _model(config, inputs, "model", TUNED)}
    if "sft_model" in inputs:
        arms[SFT] = lambda: _model(config, inputs, "sft_model", SFT)
    if "linear" in inputs:
        arms["linear"] = lambda: _linear(config, inputs, schema).answer
    for name, folder in config.releases.items():
        arms[name] = _released(config, folder)
    for name, answer in trivial.ARMS.items():
        arms[name] = with_schema(answer, schema)
    return run_arms(arms, documents, out, context.progress)


def _model(config: PredictConfig, inputs: Inputs, made: str, name: str) -> Arm:
    return arm_of(tuned_expert(config, inputs, made, name), config.task, config.task_options)


def _linear(config: PredictConfig, inputs: Inputs, schema: Schema) -> Expert:
    cuts = Thresholds.load(inputs["thresholds"].file("linear.json"))
    codec, linear = Codec(inputs["model"].path), inputs["linear"]
    return linear_expert(linear.path, linear.hash, schema, cuts, codec, config.window)


def _released(config: PredictConfig, folder: Path) -> Making:
    def start() -> Arm:
        expert, _ = release_expert(Artifact.open(find_release(folder), kind="release"))
        return arm_of(expert, config.task, config.task_options)

    return start


def with_schema(answer: Callable[[Document, Schema], Prediction], schema: Schema) -> Making:
    """Return an arm that needs no model."""
    return lambda: lambda document: answer(document, schema)


STAGES = (
    Stage(
        "predict",
        4,
        ("split", "model", "sft_model", "linear", "thresholds"),
        PredictConfig,
        run_predict,
        "predictions",
    ),
)
