"""What a recipe says about the search for training settings: where to look, how long, and what for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from lextune.core.recipe import Config
from lextune.train.settings import TrainConfig

Objective = Literal["metric", "general"]
Values = dict[str, Any]
PLACES = {  # a searched setting -> where it stands in a recipe
    "lr": "train.lr",
    "r": "train.lora.r",
    "alpha": "train.lora.alpha",
    "dropout": "train.lora.dropout",
    "epochs": "train.epochs",
}


class SearchSettings(Config):
    """`lextune train search`: each trial trains with other settings, proposed by TPE (Bergstra et al. 2011).

    The recipe's own settings are the first trial where they lie in these ranges."""

    trials: int = Field(20, ge=1)
    """Trials to finish, those that were stopped early among them."""
    objectives: tuple[Objective, ...] = ("metric",)
    """`metric` (the task: `best_by`), or `metric` and `general`, so that what the base knew is not forgotten."""
    lr: tuple[float, float] = (2e-5, 5e-3)
    """Lowest and highest peak learning rate of the adapter, searched on a logarithmic scale."""
    r: tuple[int, ...] = Field((8, 16, 32, 64), min_length=1)
    """Ranks."""
    alpha: tuple[float, ...] = Field((1.0, 2.0), min_length=1)
    """Multiples of the rank: alpha / r."""
    dropout: tuple[float, ...] = Field((0.0, 0.05, 0.1), min_length=1)
    """Shares of the adapter's inputs dropped in training."""
    epochs: tuple[float, ...] = Field((1.0, 2.0, 3.0), min_length=1)
    """How many times each training token is seen; not searched where `train.steps` caps the run."""
    pruner: Literal["median", "none"] = "median"
    """Stop a trial that is worse at an evaluation than half of those before it (with two objectives: worse in both)."""
    startup: int = Field(4, ge=1)
    """Trials that are drawn at random and run to their end, before anything is proposed or stopped."""
    general_drop: float = Field(0.02, ge=0, le=1)
    """How much of the general accuracy before training may be lost in the trial that is recommended."""

    @field_validator("objectives")
    @classmethod
    def _known(cls, value: tuple[Objective, ...]) -> tuple[Objective, ...]:
        if value not in (("metric",), ("metric", "general")):
            raise ValueError("use [metric] or [metric, general]")
        return value

    @model_validator(mode="after")
    def _possible(self) -> SearchSettings:
        if not 0 < self.lr[0] < self.lr[1]:
            raise ValueError("lr: give the lowest, above 0, and then the highest")
        for name, lowest, reason in (("r", 1, "at least 1"), ("alpha", 0, "above 0"), ("epochs", 0, "above 0")):
            if any(value < lowest or value == 0 for value in getattr(self, name)):
                raise ValueError(f"{name}: each must be {reason}")
        if any(not 0 <= value < 1 for value in self.dropout):
            raise ValueError("dropout: each must be at least 0 and below 1")
        return self

    def choices(self, train: TrainConfig) -> dict[str, tuple[Any, ...]]:
        """Return what may be chosen for each setting but the learning rate, as far as it is free in a recipe."""
        free = ["dropout"] if train.init_adapter else [] if train.method == "full" else ["r", "alpha", "dropout"]
        free += [] if train.steps is not None else ["epochs"]
        return {name: getattr(self, name) for name in free}

    def own(self, train: TrainConfig) -> Values | None:
        """Return the recipe's own values; None where one of them is outside the ranges."""
        values = {
            "r": train.lora.r,
            "alpha": train.lora.alpha / train.lora.r,
            "dropout": train.lora.dropout,
            "epochs": train.epochs,
        }
        choices = self.choices(train)
        inside = self.lr[0] <= train.lr <= self.lr[1] and all(values[name] in choices[name] for name in choices)
        return {"lr": train.lr, **{name: values[name] for name in choices}} if inside else None


def settings_of(values: Mapping[str, Any]) -> Values:
    """Return the settings of a recipe, by dotted name, that a trial's values stand for."""
    alpha = {"alpha": max(1, round(values["alpha"] * values["r"]))} if "alpha" in values else {}
    return {PLACES[name]: value for name, value in {**values, **alpha}.items()}


def changed(train: TrainConfig, values: Mapping[str, Any]) -> TrainConfig:
    """Return training settings with a trial's values."""
    whole = train.model_dump()
    for place, value in settings_of(values).items():
        *above, name = place.split(".")[1:]
        (whole["lora"] if above else whole)[name] = value
    return TrainConfig.model_validate(whole)


def as_sets(values: Mapping[str, Any]) -> str:
    """Return the options of `lextune run` that give a recipe these settings, to the last digit."""
    return " ".join(f"--set {place}={value!r}" for place, value in settings_of(values).items())
