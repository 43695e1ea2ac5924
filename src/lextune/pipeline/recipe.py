"""The Recipe: everything about one expert, composed of the settings of the stages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self, TypeVar

from pydantic import Field, field_validator, model_validator

from lextune.core.recipe import Config, load_recipe
from lextune.data.balance import BalanceConfig
from lextune.data.clean import CleanConfig
from lextune.data.mix import MixConfig
from lextune.data.split import SplitConfig
from lextune.data.twins import TwinConfig
from lextune.evaluate.gate import GateConfig
from lextune.evaluate.judging.stage import JudgeConfig
from lextune.evaluate.predict_base import Reference, Shots
from lextune.evaluate.summary import check_arm_name
from lextune.expert.engines.quantized import Bits
from lextune.expert.scoring.slices import TAGS
from lextune.expert.tasks import TaskOptions
from lextune.expert.thresholds import Aim
from lextune.expert.weights import SMOLLM2
from lextune.expert.windowing import WindowConfig
from lextune.train.dpo_settings import DpoSettings
from lextune.train.search_settings import SearchSettings
from lextune.train.settings import TrainConfig

T = TypeVar("T")


class DataSettings(TwinConfig):
    """Where documents come from, and what is made of them."""

    source: str = "auto"
    """`auto` (what is at hand, else the package's own), a dataset version, a folder in CUAD's layout, or a file of rows
    or of labelled spans."""


class EvaluateSettings(Config):
    """What the untuned arms are given."""

    base_documents: int = Field(8, ge=0)
    """How many held-out documents the untuned arms read, the shortest first."""
    shots: Shots = (3,)
    """How many worked examples the few-shot arm is shown; a list makes an arm of each number."""
    references: dict[str, Reference] = Field(default_factory=dict)
    """Models of others that answer the same documents, by the name of their arm."""
    releases: dict[str, Path] = Field(default_factory=dict)
    """Other releases that read all held-out documents, by the name of their arm: a quantised one, another base's."""
    machine_price: float = Field(0.0, ge=0)
    """What an hour of this machine costs, for the price of a contract."""
    slice_tags: tuple[str, ...] = TAGS
    """Tags of contracts by which they are scored in parts, beside type, drafting, length and year."""
    judge: JudgeConfig | None = None
    """A language model that compares or marks what two arms answered; null for none."""
    blind: Path | None = None
    """The `blind.json` of a finished blind review of this run's answers, which the report shows; null for none."""
    forgetting: bool = False
    """Whether base and tuned model are asked what has nothing to do with law, for what tuning made the model forget."""
    lm_eval: tuple[str, ...] = ()
    """With `forgetting`, tasks of lm-eval that both do too, by name; their data comes from the hub."""
    lm_eval_limit: int | None = Field(None, ge=1)
    """How many examples of each of these tasks; null for all."""
    stressed: int = Field(0, ge=0)
    """How many held-out contracts are spoilt in every way that stress knows (made huge: one), the shortest first."""
    twins: int = Field(0, ge=0)
    """How many held-out contracts are read in British drafting too, drawn from those in American."""

    @field_validator("references", "releases")
    @classmethod
    def _name_arms(cls, named: dict[str, T]) -> dict[str, T]:
        for name in named:
            check_arm_name(name)
        return named

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        both = sorted(self.references.keys() & self.releases.keys())
        if both:
            raise ValueError(f"{both[0]!r} names a reference and a release: give each arm a name of its own")
        return self


class ReleaseSettings(Config):
    """What is shipped, and how it is checked."""

    engine: Literal["openvino", "openvino-f32", "transformers"] = "openvino"
    """The engine that thresholds and metrics are measured with: `openvino` computes in bf16 where the processor has it,
    `openvino-f32` in fp32."""
    quantize: Bits | None = None
    """With an OpenVINO engine, the bits of the weights that are served: `int8`, `int4`, or null for bf16. Thresholds
    and metrics are those of what is served."""
    fuse_linear: bool = False
    """With strategy `tag`, whether `linear`'s evidence is added to the model's."""
    screen: float | None = Field(None, gt=0, le=1)
    """With strategy `tag`, the share of the labels that must be in windows the model reads, the others being left to
    `linear`; null for all windows."""
    credit: str | None = None
    """Who made the training data and its licence, as the release's card says it."""
    parity_windows: int = Field(24, ge=1)
    """How many validation windows or prompts the parity check compares."""


class Recipe(Config):
    """Everything about one expert, from data to release."""

    name: str = Field(pattern=r"^\w[\w.-]*$")
    """The expert's name; its artifacts are in a folder of this name."""
    task: str = "clause-extraction"
    """What documents are used for: `clause-extraction`, `instruction`, `classification`, `multiple-choice`,
    `statute-qa` or `translation`."""
    task_options: TaskOptions = TaskOptions()
    """What the task's scorer is told."""
    schema_name: str = "clauses-47"
    """The fields to extract: a built-in schema, or the path of a YAML file with one."""
    base: str = SMOLLM2
    """The model to fine-tune: `smollm2-135m`, a hub id, or a folder; `smollm2-135m@20` is its first 20 layers."""
    seed: int = 0
    """Draws what is random in training, sampling of examples, and the intervals of scores."""
    data: DataSettings = DataSettings()
    """Where documents come from."""
    clean: CleanConfig | None = None
    """How documents are cleaned before they are divided, and later whatever the release reads; null for not at all."""
    split: SplitConfig = SplitConfig()
    """How documents are divided into train, validation and test."""
    window: WindowConfig = WindowConfig()
    """How documents are cut into what the model reads at once."""
    balance: BalanceConfig = BalanceConfig()
    """Which training windows are kept, repeated and left out."""
    mix: MixConfig = MixConfig()
    """General instructions among the training examples, against forgetting."""
    train: TrainConfig = TrainConfig()
    """How the model is fine-tuned."""
    dpo: DpoSettings | None = None
    """Whether it learns from its own mistakes after that, with strategy `point` or `text`; null for not at all."""
    search: SearchSettings = SearchSettings()
    """Where `lextune train search` looks for better training settings; a run does not read it."""
    aim: Aim = "f1"
    """What thresholds are chosen for: `f1`; `recall` (F2, which counts a missed clause for more); `contracteval` (the
    best ContractEval F1 with at least the Jaccard and the recall below); `precision_at_recall`."""
    jaccard_at_least: float = Field(0.5, ge=0, le=1)
    """With the aim `contracteval`, the least mean Jaccard."""
    recall_at_least: float = Field(0.8, ge=0, le=1)
    """With the aims `contracteval` and `precision_at_recall`, the least share of present fields that are answered."""
    evaluate: EvaluateSettings = EvaluateSettings()
    """What the fine-tuned model is compared with."""
    gate: GateConfig = GateConfig()
    """What a release must hold; without limits it is released ungated."""
    release: ReleaseSettings = ReleaseSettings()
    """What is shipped."""


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file with overrides; see `lextune.core.recipe.load_recipe`."""
    return load_recipe(path, Recipe, overrides)
