"""Trainer callbacks: the journal of a run, and the weights of the best evaluation so far."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers.trainer_callback import PrinterCallback, TrainerCallback

from lextune.core.artifacts import write_atomic
from lextune.core.errors import ModelError
from lextune.train.distributed import settle, trainable
from lextune.train.runs import JOURNAL, Report
from lextune.train.settings import TrainConfig
from lextune.train.team import agree, leads


class Journal(TrainerCallback):  # type: ignore[misc]
    """Writes each log of the Trainer as a line of `log.jsonl`, and reports it.

    A run that goes on from a checkpoint writes the steps after it anew.
    """

    def __init__(self, out: Path, steps: int, report: Report | None) -> None:
        self._path, self._steps, self._report = out / JOURNAL, steps, report
        self._history: list[dict[str, float]] = []
        self._started = time.time()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take over the history of the checkpoint that the run goes on from."""
        self.take(state.log_history)
        self._started = time.time()

    def take(self, history: list[dict[str, float]]) -> None:
        """Begin with what an earlier process logged."""
        self._history = [entry for entry in history if "train_runtime" not in entry]
        if leads():
            write_atomic(self._path, "".join(f"{json.dumps(each)}\n" for each in self._history))

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """Keep a log; report a training loss."""
        if not state.is_world_process_zero or not logs or "train_runtime" in logs:
            return
        seconds = round(time.time() - self._started, 1)
        self._history.append({"step": state.global_step, "seconds": seconds, **logs})
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(f"{json.dumps(self._history[-1])}\n")
        if self._report is not None and "loss" in logs:
            self._report(state.global_step, self._steps, logs)

    def curves(self) -> dict[str, list[dict[str, float]]]:
        """Return each logged quantity by step."""
        names = {"learning_rate": "lr"}
        out: dict[str, list[dict[str, float]]] = {"loss": [], "eval_loss": [], "lr": []}
        for entry in self._history:
            for name, value in entry.items():
                if name not in ("step", "epoch", "seconds"):
                    out.setdefault(names.get(name, name), []).append({"step": entry["step"], "value": value})
        return out


class DivergedError(ModelError):
    """A training whose loss is no number any more."""


class BestKeeper(TrainerCallback):  # type: ignore[misc]
    """Keeps the trainable weights of the best evaluation in `folder`, where they survive a kill; stops a run in vain.

    An evaluation that is done again after a resume gives the same numbers, which are not better, so the file stays.
    """

    def __init__(
        self, model: Any, folder: Path, config: TrainConfig, metric: Callable[[Any], float] | None = None
    ) -> None:
        self._model, self._folder, self._config, self._metric = model, folder, config, metric
        self._note = folder / "best.json"
        earlier = json.loads(self._note.read_text(encoding="utf-8")) if leads() and self._note.is_file() else None
        self._best: dict[str, float] | None = agree(earlier)

    def best(self) -> dict[str, float] | None:
        """Return {step, eval_loss} and the metric, if there is one, of the best evaluation; None before the first."""
        return self._best

    def measure(self) -> dict[str, float]:
        """Return the metric of the model as it is, measured by the process that leads."""
        if self._metric is None:
            return {}
        return {"eval_metric": agree(self._metric(self._model) if leads() else None)}

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any) -> None:
        """Keep the weights where the evaluation is the best so far; stop where `patience` is at its end.

        Raises:
            DivergedError: the loss is not a number.
        """
        from safetensors.torch import save

        if not math.isfinite(metrics.get("eval_loss", 0.0)):
            raise DivergedError(
                f"the loss is not a number at step {state.global_step}", where="train.lr", do="train with a lower one"
            )
        found: dict[str, float] = {n: metrics[n] for n in ("eval_loss", "eval_metric") if n in metrics}
        if self._best is None or _better(found, self._best):
            self._best = {"step": state.global_step, **found}
            weights = trainable(self._model)
            if leads():
                self._folder.mkdir(parents=True, exist_ok=True)
                write_atomic(self._folder / "best.safetensors", save(weights))
                write_atomic(self._note, json.dumps(self._best))
        if self.in_vain([*state.log_history, {"step": state.global_step, **found}]):
            control.should_training_stop = control.should_save = True  # a resume finds that it is over

    def in_vain(self, history: list[dict[str, float]]) -> bool:
        """Return whether the last `patience` evaluations of a history were no better than the best."""
        best = self.best()
        if best is None or self._config.patience is None:
            return False
        later = {entry["step"] for entry in history if "eval_loss" in entry and entry["step"] > best["step"]}
        return len(later) >= self._config.patience

    def restore(self) -> None:
        """Put the best weights back into the model, and make it whole: to be saved, or used by this process alone."""
        from safetensors.torch import load_file

        if self.best() is None:
            settle(self._model, trainable(self._model))
        elif leads():
            settle(self._model, load_file(self._folder / "best.safetensors"))


def _better(found: dict[str, float], known: dict[str, float]) -> bool:
    if "eval_metric" in found and "eval_metric" in known:
        return (found["eval_metric"], -found["eval_loss"]) > (known["eval_metric"], -known["eval_loss"])
    return found["eval_loss"] < known["eval_loss"]


def silence(trainer: Any) -> None:
    """Keep the Trainer from printing its logs on stdout, which is for results."""
    trainer.remove_callback(PrinterCallback)
