"""What the training strategies share: steps, arguments, checkpoints, curves."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from lextune.train.common import (
    LoraSettings,
    RunOptions,
    TrainConfig,
    curves,
    last_checkpoint,
    planned_steps,
    train_or_resume,
    trainer_arguments,
)


@pytest.mark.parametrize(
    ("rows", "settings", "steps"),
    [
        (80, {"batch": 8}, 10),
        (81, {"batch": 8}, 11),
        (81, {"batch": 8, "accumulation": 2}, 6),
        (80, {"batch": 8, "epochs": 2.5}, 25),
        (80, {"batch": 8, "steps": 4}, 4),
        (80, {"batch": 8, "steps": 400}, 10),
        (0, {"batch": 8}, 1),
        (1, {"batch": 8, "epochs": 0.1}, 1),
    ],
)
def test_planned_steps(rows: int, settings: dict[str, Any], steps: int) -> None:
    assert planned_steps(rows, TrainConfig(**settings)) == steps


@pytest.mark.parametrize(
    ("steps", "warmup", "expected"), [(100, 0.1, 10), (4, 0.1, 1), (100, 0.0, 0), (1, 0.1, 0), (2, 0.9, 1)]
)
def test_warmup_never_takes_the_whole_run(tmp_path: Path, steps: int, warmup: float, expected: int) -> None:
    arguments = trainer_arguments(TrainConfig(warmup=warmup), tmp_path, seed=0, steps=steps)
    assert arguments["warmup_steps"] == expected


def test_the_trainers_arguments(tmp_path: Path) -> None:
    arguments = trainer_arguments(TrainConfig(evaluations=4, checkpoints_kept=3), tmp_path, seed=7, steps=90)
    assert arguments["eval_steps"] == 22
    assert arguments["seed"] == arguments["data_seed"] == 7
    assert arguments["save_total_limit"] == 4
    assert arguments["output_dir"] == str(tmp_path / "checkpoints")
    assert arguments["report_to"] == []
    assert math.isclose(arguments["learning_rate"], 5e-4)


def _checkpoint(out: Path, step: int, state: str | None) -> Path:
    folder = out / "checkpoints" / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "trainable.safetensors").write_bytes(b"x")
    if state is not None:
        (folder / "trainer_state.json").write_text(state)
    return folder


@pytest.mark.parametrize("state", [None, "", '{"global_step": 12', "{}", "[1]", '{"global_step": null}'])
def test_a_half_written_checkpoint_is_removed(tmp_path: Path, state: str | None) -> None:
    whole, older = _checkpoint(tmp_path, 10, '{"global_step": 10}'), _checkpoint(tmp_path, 9, '{"global_step": 9}')
    half = _checkpoint(tmp_path, 12, state)
    assert last_checkpoint(tmp_path) == whole
    assert older.is_dir()
    assert not half.exists()


def test_no_checkpoint(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path) is None
    _checkpoint(tmp_path, 1, None)
    assert last_checkpoint(tmp_path) is None


def test_checkpoints_are_ordered_by_number_not_by_name(tmp_path: Path) -> None:
    for step in (9, 100, 20):
        _checkpoint(tmp_path, step, json.dumps({"global_step": step}))
    last = last_checkpoint(tmp_path)
    assert last is not None
    assert last.name == "checkpoint-100"


class _Trainer:
    """Records what it was asked to resume from."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.state = type("State", (), {"log_history": [{"step": 3, "loss": 1.0}]})()

    def train(self, resume_from_checkpoint: str | None = None) -> None:
        self.calls.append(resume_from_checkpoint)


def test_training_starts_resumes_or_is_over(tmp_path: Path) -> None:
    trainer = _Trainer()
    assert train_or_resume(trainer, tmp_path, 4) == (trainer.state.log_history, None)
    folder = _checkpoint(tmp_path, 2, '{"global_step": 2, "log_history": []}')
    assert train_or_resume(trainer, tmp_path, 4) == (trainer.state.log_history, "checkpoint-2")
    assert trainer.calls == [None, str(folder)]
    _checkpoint(tmp_path, 4, '{"global_step": 4, "log_history": [{"step": 4, "loss": 0.5}]}')
    assert train_or_resume(trainer, tmp_path, 4) == ([{"step": 4, "loss": 0.5}], "checkpoint-4")
    assert len(trainer.calls) == 2


def test_curves_by_kind() -> None:
    history = [
        {"step": 1, "loss": 2.0, "learning_rate": 0.1},
        {"step": 1, "eval_loss": 1.5},
        {"step": 2, "train_runtime": 3.0},
    ]
    assert curves(history) == {
        "loss": [{"step": 1, "value": 2.0}],
        "eval_loss": [{"step": 1, "value": 1.5}],
        "lr": [{"step": 1, "value": 0.1}],
    }


def test_settings_have_bounds() -> None:
    for wrong in ({"lr": 0}, {"warmup": 1.0}, {"batch": 0}, {"steps": 0}, {"checkpoints_kept": 0}):
        with pytest.raises(ValueError, match=r"greater|less"):
            TrainConfig(**wrong)
    with pytest.raises(ValueError, match="greater"):
        LoraSettings(r=0)
    assert RunOptions(1).report is None
