"""What the training strategies share: settings, LoRA, the Trainer's arguments, checkpoints that survive a kill."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from lextune.core.artifacts import SCRATCH
from lextune.core.recipe import Config

Strategy = Literal["tag", "point", "text"]


Report = Callable[[int, int, float], None]


@dataclass(frozen=True)
class RunOptions:
    """What a run needs beside its config: the seed, and where to report step, steps and loss."""

    seed: int
    report: Report | None = None


class LoraSettings(Config):
    """The LoRA adapter (Hu et al. 2021)."""

    r: int = Field(16, ge=1)
    """Rank of each adapter matrix."""
    alpha: int = Field(32, ge=1)
    """The adapter's output is scaled by alpha / r."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the adapter's inputs dropped in training."""
    target: str = "all-linear"
    """The layers that are adapted: `all-linear`, or a name or pattern as peft reads it."""


class TrainConfig(Config):
    """Supervised fine-tuning with AdamW; learning rates follow a cosine."""

    strategy: Strategy = "tag"
    """`tag` scores sentences, `point` generates sentence numbers, `text` generates free text."""
    epochs: float = Field(1.0, gt=0)
    """Passes over the training examples."""
    steps: int | None = Field(None, ge=1)
    """The most optimizer steps, whatever the epochs; null for no limit."""
    lr: float = Field(5e-4, gt=0)
    """Peak learning rate of the adapter."""
    head_lr: float = Field(3e-3, gt=0)
    """Peak learning rate of the head (`tag`)."""
    warmup: float = Field(0.1, ge=0, lt=1)
    """Share of the steps in which the learning rate rises from 0."""
    weight_decay: float = Field(0.0, ge=0)
    """Weight decay of AdamW."""
    batch: int = Field(8, ge=1)
    """Examples in one forward pass."""
    accumulation: int = Field(1, ge=1)
    """Forward passes in one optimizer step."""
    max_tokens: int = Field(1024, ge=32)
    """Tokens in the longest example that is trained on; longer ones are left out or refused."""
    negatives: float = Field(0.5, ge=0)
    """Training windows without a clause for each window with one."""
    positive_weight: float = Field(3.0, gt=0)
    """Weight in the loss of a sentence that answers a field; others count 1 (`tag`)."""
    evaluations: int = Field(2, ge=1)
    """Evaluations on validation examples in a run; the best one's weights are kept."""
    evaluation_windows: int = Field(200, ge=1)
    """The most validation examples in one of them."""
    checkpoint_steps: int = Field(50, ge=1)
    """Optimizer steps between two checkpoints."""
    checkpoints_kept: int = Field(2, ge=1)
    """Newest whole checkpoints kept while training, beside the one being written."""
    lora: LoraSettings = LoraSettings()
    """The adapter."""


def planned_steps(rows: int, config: TrainConfig) -> int:
    """Return the optimizer steps of a run over `rows` examples."""
    per_epoch = math.ceil(rows / (config.batch * config.accumulation))
    return max(1, min(config.steps or 10**9, math.ceil(per_epoch * config.epochs)))


def add_lora(model: Any, settings: LoraSettings) -> Any:
    """Wrap a causal language model in LoRA; the adapter's weights stay in fp32 whatever the base is in."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=settings.r,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=settings.target,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def trainer_arguments(config: TrainConfig, out: Path, *, seed: int, steps: int) -> dict[str, Any]:
    """Return the settings TrainingArguments and SFTConfig share."""
    import torch

    every = max(1, steps // config.evaluations)
    gpu = torch.cuda.is_available()
    return {
        "output_dir": str(out / SCRATCH),
        "max_steps": steps,
        "per_device_train_batch_size": config.batch,
        "per_device_eval_batch_size": config.batch,
        "gradient_accumulation_steps": config.accumulation,
        "learning_rate": config.lr,
        "lr_scheduler_type": "cosine",
        "warmup_steps": _warmup_steps(steps, config.warmup),
        "weight_decay": config.weight_decay,
        "max_grad_norm": 1.0,
        "logging_steps": max(1, min(10, steps // 10)),
        "eval_strategy": "steps",
        "eval_steps": every,
        "save_strategy": "steps",
        "save_steps": config.checkpoint_steps,
        "save_total_limit": config.checkpoints_kept + 1,
        "bf16": True,
        "use_cpu": not gpu,
        "seed": seed,
        "data_seed": seed,
        "report_to": [],
        "disable_tqdm": True,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": gpu,
        "remove_unused_columns": False,
        "logging_nan_inf_filter": False,
    }


def _warmup_steps(steps: int, share: float) -> int:
    """Return the steps over which the learning rate rises from 0; a run of one step has none, or would do nothing."""
    return min(max(1, round(steps * share)), steps - 1) if share else 0


def last_checkpoint(out: Path) -> Path | None:
    """Return the newest complete checkpoint; incomplete ones (killed while writing) are removed.

    The Trainer writes `trainer_state.json` last, so a checkpoint that has a readable one is complete.
    """
    found: list[tuple[int, Path]] = []
    for folder in (out / SCRATCH).glob("checkpoint-*"):
        try:
            state = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
            found.append((int(state["global_step"]), folder))
        except (OSError, ValueError, KeyError, TypeError):
            shutil.rmtree(folder, ignore_errors=True)
    return max(found)[1] if found else None


def train_or_resume(trainer: Any, out: Path, steps: int) -> tuple[list[dict[str, float]], str | None]:
    """Train, from the last checkpoint where there is one; return the log and that checkpoint's name.

    Where the run was killed after its last step, nothing is left to train: a Trainer that resumes there in the
    middle of an epoch would take one step too many. Its best weights are kept beside the checkpoint.
    """
    checkpoint = last_checkpoint(out)
    if checkpoint is None:
        trainer.train()
        return list(trainer.state.log_history), None
    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    if state["global_step"] >= steps:
        return list(state["log_history"]), checkpoint.name
    trainer.train(resume_from_checkpoint=str(checkpoint))
    return list(trainer.state.log_history), checkpoint.name


def curves(history: list[dict[str, float]]) -> dict[str, list[dict[str, float]]]:
    """Split a Trainer's log history into training loss, evaluation loss and learning rate by step."""
    return {
        "loss": [{"step": h["step"], "value": h["loss"]} for h in history if "loss" in h],
        "eval_loss": [{"step": h["step"], "value": h["eval_loss"]} for h in history if "eval_loss" in h],
        "lr": [{"step": h["step"], "value": h["learning_rate"]} for h in history if "learning_rate" in h],
    }
