"""The training loop: its settings, where it starts and goes on from, when it stops, and what it leaves."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lextune.expert.weights import Base
from lextune.expert.windowing import WindowExample
from lextune.train.runs import RunOptions
from lextune.train.settings import LoraSettings, TrainConfig
from lextune.train.tag import train_tag
from lextune.train.trainer import trainer_arguments

FIELDS = ("Law", "Term", "Fee")
CONFIG = TrainConfig(
    epochs=2,
    batch=4,
    pass_tokens=128,
    lr=1e-2,
    checkpoint_steps=2,
    evaluations=3,
    lora=LoraSettings(r=4, alpha=8, dropout=0.1),
    neftune=5.0,
)
Windows = dict[str, list[WindowExample]]


@pytest.mark.parametrize(
    ("steps", "warmup", "expected"), [(100, 0.1, 10), (4, 0.1, 1), (100, 0.0, 0), (1, 0.1, 0), (2, 0.9, 1)]
)
def test_warmup_never_takes_the_whole_run(tmp_path: Path, steps: int, warmup: float, expected: int) -> None:
    arguments = trainer_arguments(TrainConfig(warmup=warmup), tmp_path, seed=0, steps=steps)
    assert arguments["warmup_steps"] == expected


def test_the_trainers_arguments(tmp_path: Path) -> None:
    arguments = trainer_arguments(TrainConfig(evaluations=4, weight_decay=0.1), tmp_path, seed=7, steps=90)
    assert arguments["max_steps"] == 90
    assert arguments["eval_steps"] == 23, "four times, the last of them at the end"
    assert arguments["seed"] == arguments["data_seed"] == 7
    assert arguments["output_dir"] == str(tmp_path / "checkpoints")
    assert arguments["report_to"] == []
    assert arguments["lr_scheduler_type"] == "cosine"
    assert math.isclose(arguments["learning_rate"], 5e-4)
    assert math.isclose(arguments["weight_decay"], 0.1)
    other = trainer_arguments(TrainConfig(schedule="constant", report_to=("wandb",)), tmp_path, seed=7, steps=90)
    assert (other["lr_scheduler_type"], other["report_to"]) == ("constant_with_warmup", ["wandb"])


def _weights(out: Path) -> dict[str, Any]:
    return {**load_file(out / "adapter_model.safetensors"), **load_file(out / "tag_head.safetensors")}


def _same(a: Path, b: Path) -> bool:
    first, second = _weights(a), _weights(b)
    return list(first) == list(second) and all(torch.equal(first[n], second[n]) for n in first)


def _steps(result: dict[str, Any]) -> list[float]:
    return [point["step"] for point in result["curves"]["loss"]]


def test_a_run_starts_goes_on_or_is_over(base: Base, windows: Windows, tmp_path: Path) -> None:
    class KilledError(Exception):
        pass

    def kill(step: int, *_: object) -> None:
        if step == 5:
            raise KilledError

    with pytest.raises(KilledError):
        train_tag(base, windows, FIELDS, CONFIG, tmp_path, RunOptions(3, kill))
    goes_on = train_tag(base, windows, FIELDS, CONFIG, tmp_path, RunOptions(3))
    assert (goes_on["resumed_from"], goes_on["steps"]) == ("checkpoint-4", 5)
    over = train_tag(base, windows, FIELDS, CONFIG, tmp_path, RunOptions(3, kill))
    assert (over["resumed_from"], over["steps"]) == ("checkpoint-5", 5)
    assert _steps(over) == _steps(goes_on) == [1, 2, 3, 4, 5]


def test_checkpoints_hold_only_what_is_trained_and_the_newest_few_are_kept(
    base: Base, windows: Windows, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"checkpoint_steps": 1, "checkpoints_kept": 3})
    train_tag(base, windows, FIELDS, config, tmp_path, RunOptions(0))
    folders = sorted(f.name for f in (tmp_path / "checkpoints").iterdir() if f.is_dir())
    assert folders == ["checkpoint-3", "checkpoint-4", "checkpoint-5"]
    names = set(load_file(tmp_path / "checkpoints" / "checkpoint-5" / "trainable.safetensors"))
    assert {"head.weight", "head.bias"} < names
    assert all("lora_" in n for n in names - {"head.weight", "head.bias"})
    state = json.loads((tmp_path / "checkpoints" / "checkpoint-5" / "trainer_state.json").read_text())
    assert state["global_step"] == 5


def test_after_a_corrupt_checkpoint_the_user_is_warned_and_the_end_is_the_same(
    base: Base, windows: Windows, tmp_path: Path
) -> None:
    train_tag(base, windows, FIELDS, CONFIG, tmp_path / "undisturbed", RunOptions(3))
    train_tag(base, windows, FIELDS, CONFIG, tmp_path / "again", RunOptions(3))
    (tmp_path / "again" / "checkpoints" / "checkpoint-5" / "optimizer.pt").write_bytes(b"PK")
    said: list[str] = []
    result = train_tag(base, windows, FIELDS, CONFIG, tmp_path / "again", RunOptions(3, warn=said.append))
    assert said == ["checkpoint-5 is corrupt and passed over: optimizer.pt is not what was written"]
    assert result["resumed_from"] == "checkpoint-4"
    assert _same(tmp_path / "undisturbed", tmp_path / "again")


def test_a_run_in_vain_stops_and_a_resume_trains_no_further(
    base: Base, windows: Windows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.5, 0.7, 0.6, 0.6, 0.9])  # the best that patience waits for comes too late
    config = CONFIG.model_copy(
        update={"epochs": 6.0, "evaluations": 8, "patience": 2, "best_by": "metric", "checkpoint_steps": 50}
    )
    run = RunOptions(3, metric=lambda module: next(scores))
    stopped = train_tag(base, windows, FIELDS, config, tmp_path, run)
    assert stopped["steps"] == 8 < 15
    assert stopped["best"] == {"step": 4, "eval_loss": stopped["best"]["eval_loss"], "eval_metric": 0.7}
    weights = _weights(tmp_path)
    monkeypatch.setattr("lextune.train.trainer.StepTrainer.train", _must_not)
    again = train_tag(base, windows, FIELDS, config, tmp_path, run)
    assert (again["resumed_from"], again["steps"], again["best"]) == ("checkpoint-8", 8, stopped["best"])
    assert all(torch.equal(value, _weights(tmp_path)[name]) for name, value in weights.items())


def _must_not(*_: object, **__: object) -> None:
    raise AssertionError("it trained")


def test_the_best_weights_are_what_is_left(base: Base, windows: Windows, tmp_path: Path) -> None:
    """By a metric that says that the second of five evaluations was the best."""
    seen: list[dict[str, Any]] = []

    def metric(module: Any) -> float:
        seen.append({n: p.detach().clone() for n, p in module.named_parameters() if p.requires_grad})
        return 1.0 if len(seen) == 2 else 0.5

    config = CONFIG.model_copy(update={"evaluations": 5, "best_by": "metric"})
    result = train_tag(base, windows, FIELDS, config, tmp_path, RunOptions(3, metric=metric))
    assert result["best"]["step"] == 2
    assert len(seen) == 5
    head = load_file(tmp_path / "tag_head.safetensors")
    assert torch.equal(head["weight"], seen[1]["head.weight"])
    assert not torch.equal(head["weight"], seen[4]["head.weight"])
    assert [p["value"] for p in result["curves"]["eval_metric"]] == [0.5, 1.0, 0.5, 0.5, 0.5]


def test_what_is_logged(base: Base, windows: Windows, tmp_path: Path) -> None:
    result = train_tag(base, windows, FIELDS, CONFIG, tmp_path, RunOptions(3))
    logged = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    first = next(entry for entry in logged if "loss" in entry)
    assert {"step", "seconds", "loss", "grad_norm", "learning_rate", "tokens_per_second", "memory_mib"} <= set(first)
    assert first["tokens_per_second"] > 0
    assert first["memory_mib"] > 50
    assert "eval_perplexity" not in result["curves"], "a tagger has none"
    assert result["tokens"] > 100
