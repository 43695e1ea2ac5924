"""Trackers of `report_to`: whether they are there, what a run is called in them, and where one run ends.

transformers tells them what is logged. Their own settings, and keys, come from the environment and are written
nowhere. Nothing is sent anywhere unless a recipe names a tracker; W&B stays on this machine with WANDB_MODE=offline,
TensorBoard, Trackio and MLflow do unless the environment names a server.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lextune.core.errors import MachineError

PACKAGES = {  # any of these will do
    "wandb": ("wandb",),
    "mlflow": ("mlflow",),
    "trackio": ("trackio",),
    "tensorboard": ("tensorboard", "tensorboardX"),
}


def check_trackers(names: Sequence[str]) -> None:
    """Check that the packages of trackers are installed, before anything takes time.

    Raises:
        MachineError: one is not.
    """
    for name in names:
        if not any(importlib.util.find_spec(package) for package in PACKAGES[name]):
            raise MachineError(
                f"{name} is not installed", where=f"train.report_to: {name}", do=f"pip install {PACKAGES[name][-1]}"
            )


def run_name(recipe: str, out: Path) -> str:
    """Return what a run is called: the recipe, and the stage with its key (`demo sft-0123456789ab`)."""
    return f"{recipe} {out.name.strip('.').removesuffix('.partial')}".strip()


def told(logs: Mapping[str, float]) -> str:
    """Return a log as a line beside a progress bar."""
    speed = f", {logs['tokens_per_second']:,.0f} tokens/s" if "tokens_per_second" in logs else ""
    return f"loss {logs['loss']:.3f}{speed}"


@contextmanager
def tracked(trainer: Any, folder: Path, name: str) -> Iterator[None]:
    """Give the trackers of a trainer their places, and end their runs, so that the next training has its own.

    Args:
        trainer: of transformers, before it trains.
        folder: for what TensorBoard reads, unless TENSORBOARD_LOGGING_DIR names another; by run in it.
        name: of the run.
    """
    root = Path(os.environ.get("TENSORBOARD_LOGGING_DIR", folder))
    for callback in trainer.callback_handler.callbacks:
        if type(callback).__name__ == "TensorBoardCallback":
            callback.logging_dir = str(root / name.replace(" ", "-").replace("/", "-"))
    try:
        yield
    finally:
        _end_runs(trainer.args.report_to)


def _end_runs(names: Sequence[str]) -> None:
    """End what a tracker still has open, also where training was stopped: else the next would write on in it."""
    if "wandb" in names:
        import wandb

        wandb.finish()
    if "mlflow" in names:
        import mlflow

        mlflow.end_run()
    if "trackio" in names:
        import trackio

        if trackio.context_vars.current_run.get() is not None:
            trackio.finish()
