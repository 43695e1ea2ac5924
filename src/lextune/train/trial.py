"""One trial of a search: the recipe's training with other settings, watched, and stopped where it is hopeless."""

from __future__ import annotations

import gc
import math
import shutil
import time
from pathlib import Path
from typing import Any

import torch
from transformers.trainer_callback import TrainerCallback

from lextune.core.artifacts import SCRATCH
from lextune.core.machine import out_of_memory
from lextune.core.stage import Inputs
from lextune.expert.schema import load_schema
from lextune.expert.templates import Codec
from lextune.expert.weights import resolve_base
from lextune.train.calibrate import trained_fields
from lextune.train.callbacks import DivergedError
from lextune.train.forgetting import GeneralAbility
from lextune.train.runs import RunOptions
from lextune.train.search_settings import changed
from lextune.train.stages import SftConfig, prepare, read_examples, serving_metric
from lextune.train.study import EVALUATIONS, FIRST, WHY, Study, evaluations
from lextune.train.trainer import train

BEFORE = "before"  # the study's note of the general ability before any training


class HopelessError(Exception):
    """A trial is stopped early."""


class Watcher(TrainerCallback):  # type: ignore[misc]
    """Notes the objectives at each evaluation of a trial, and stops it by the study's rule."""

    def __init__(self, study: Study, trial: Any, general: Any) -> None:
        self._study, self._trial, self._general = study, trial, general
        self._noted: dict[str, list[float]] = dict(trial.user_attrs.get(EVALUATIONS, {}))

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any) -> None:
        """Note what was found at this step.

        Raises:
            HopelessError: the trial is worth no further step.
        """
        values = [metrics.get("eval_metric", metrics["eval_loss"])]
        if self._general is not None:
            values.append(self._general().accuracy)
        if all(map(math.isfinite, values)):
            self._noted[str(state.global_step)] = values
            self._trial.set_user_attr(EVALUATIONS, self._noted)
        ahead = state.global_step < state.max_steps
        found = evaluations(self._trial)
        if ahead and found and self._study.hopeless(self._trial, found):
            raise HopelessError


DIVERGED = "the loss is not a number"


class Trials:
    """Runs trials one after another, on one machine and GPU.

    Args:
        config: the recipe's training.
        inputs: `examples`, and `split` where the metric reads documents; read once for all trials.
        study: where trials come from and their results go.
        recipe: its name, by which trackers know the trials.
    """

    def __init__(self, config: SftConfig, inputs: Inputs, study: Study, recipe: str) -> None:
        self._config, self._inputs, self._study, self._recipe = config, inputs, study, recipe
        self._base, self._schema = resolve_base(config.base), load_schema(config.schema_name)
        self._examples = read_examples(inputs["examples"], config.train, self._schema, study.seed)
        self._codec = Codec(self._base.path)

    def run(self, trial: Any, report: Any = None) -> None:
        """Train with a trial's settings and tell the study what came of it.

        A trial that runs out of memory, or whose loss is not a number, fails; the search goes on without it.
        """
        folder = self._study.folder / "trials" / str(trial.user_attrs.get(FIRST, trial.number))
        folder.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        try:
            values = self._trained(trial, folder, report)
        except HopelessError:
            trial.set_user_attr("seconds", round(time.perf_counter() - started, 1))
            self._study.tell(trial, pruned=True)
        except DivergedError:
            self._fail(trial, DIVERGED)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            self._fail(trial, "out of memory")
        else:
            trial.set_user_attr("seconds", round(time.perf_counter() - started, 1))
            if all(map(math.isfinite, values)):
                self._study.tell(trial, values)
            else:
                self._fail(trial, DIVERGED)
        shutil.rmtree(folder / SCRATCH, ignore_errors=True)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _fail(self, trial: Any, why: str) -> None:
        trial.set_user_attr(WHY, why)
        self._study.tell(trial)

    def _trained(self, trial: Any, folder: Path, report: Any) -> list[float]:
        config = self._config.model_copy(update={"train": changed(self._config.train, trial.params)})
        prepared = prepare(config, self._base, self._examples, self._schema, self._study.seed)
        ability = GeneralAbility(self._codec, config.train)
        if self._study.note(BEFORE) is None:
            self._study.note(BEFORE, ability(_placed(prepared.model)).as_json())
        two = len(self._study.ups) > 1
        watcher = Watcher(self._study, trial, (lambda: ability(prepared.model)) if two else None)
        run = RunOptions(self._study.seed, report, self._metric(config), name=f"{self._recipe} trial {trial.number}")
        result = train(prepared, config.train, folder, run, callbacks=[watcher])
        general = ability(prepared.model)
        best = {name: value for name, value in (result["best"] or {}).items() if math.isfinite(value)}
        trial.set_user_attr("best", best)
        trial.set_user_attr("steps", result["steps"])
        trial.set_user_attr("general", general.as_json())
        metric = best.get("eval_metric", best.get("eval_loss", math.nan))
        return [metric, general.accuracy] if two else [metric]

    def _metric(self, config: SftConfig) -> Any:
        if config.train.best_by == "loss":
            return None
        trained = trained_fields(self._examples["train"], self._schema, config.train.strategy)
        return serving_metric(config, self._inputs, trained)


def _placed(model: Any) -> Any:
    """Return a module on the device that it will be trained on."""
    return model.to("cuda" if torch.cuda.is_available() else "cpu")
