"""Trainer callbacks: progress, and the weights of the best evaluation so far."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers.trainer_callback import PrinterCallback, TrainerCallback

from lextune.core.artifacts import write_atomic
from lextune.train.common import Report


class StepReport(TrainerCallback):  # type: ignore[misc]
    """Calls `report(step, steps, loss)` whenever the Trainer logs a loss."""

    def __init__(self, steps: int, report: Report | None) -> None:
        self._steps, self._report = steps, report

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """Report a logged training loss."""
        if self._report is not None and logs and "loss" in logs:
            self._report(state.global_step, self._steps, logs["loss"])


class BestKeeper(TrainerCallback):  # type: ignore[misc]
    """Keeps the trainable weights of the lowest evaluation loss in `folder`; they survive a kill.

    An evaluation that is done again after a resume gives the same loss, which is not lower, so the file stays.
    """

    def __init__(self, model: Any, folder: Path) -> None:
        self._model, self._folder = model, folder

    @property
    def _note(self) -> Path:
        return self._folder / "best.json"

    def best(self) -> dict[str, float] | None:
        """Return {step, eval_loss} of the best evaluation, None before the first."""
        if not self._note.is_file():
            return None
        note: dict[str, float] = json.loads(self._note.read_text(encoding="utf-8"))
        return note

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any) -> None:
        """Keep the weights where the evaluation loss fell."""
        from safetensors.torch import save

        known, loss = self.best(), metrics["eval_loss"]
        if known is not None and loss >= known["eval_loss"]:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self._folder / "best.safetensors", save(trainable(self._model)))
        write_atomic(self._note, json.dumps({"step": state.global_step, "eval_loss": loss}))

    def restore(self) -> None:
        """Put the best weights back into the model."""
        from safetensors.torch import load_file

        if self.best() is not None:
            self._model.load_state_dict(load_file(self._folder / "best.safetensors"), strict=False)


def trainable(model: Any) -> dict[str, Any]:
    """Return the parameters that are trained, by name."""
    return {n: p.detach().clone().contiguous() for n, p in model.named_parameters() if p.requires_grad}


def silence(trainer: Any) -> None:
    """Keep the Trainer from printing its logs on stdout, which is for results."""
    trainer.remove_callback(PrinterCallback)
