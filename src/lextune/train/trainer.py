"""The training loop: transformers' Trainer, with steps planned ahead, exact accumulation and trusted checkpoints.

The Trainer brings the optimizer, the schedule, trackers, and `accelerate` for many processes. Ours is what one
optimizer step computes (`lextune.train.batches`), how its loss is counted, and what a checkpoint is
(`lextune.train.resumable`).
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import psutil
import torch
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME

from lextune.core.artifacts import SCRATCH
from lextune.core.errors import RecipeError
from lextune.train.batches import Plan, Row, Step, divide, share
from lextune.train.distributed import deepspeed_settings, divide_when_loaded, shard, whole_optimizer
from lextune.train.resumable import Resumable
from lextune.train.runs import Passes, Prepared, RunOptions
from lextune.train.settings import TrainConfig
from lextune.train.team import agree, sharding


class StepData:
    """The steps of one process as the Trainer takes them: {passes, items}; items are those of all processes."""

    def __init__(self, plan: Sequence[Step], rank: int, passes: Passes) -> None:
        self._plan, self._rank, self._passes = plan, rank, passes

    def __len__(self) -> int:
        return len(self._plan)

    def __getitem__(self, number: int) -> dict[str, Any]:
        """Return step `number`. An empty pass is computed on another's row, so that all processes keep pace."""
        step: Step = self._plan[number]
        rows = [row for process in step.passes for one in process for row in one]
        spare = (min(rows, key=lambda row: row.tokens),)
        made = [(self._passes.tensors(one or spare), bool(one)) for one in step.passes[self._rank]]
        return {"passes": made, "items": sum(map(self._passes.items, rows))}


class StepTrainer(Resumable, Trainer):  # type: ignore[misc]
    """A Trainer whose batch is a whole optimizer step, computed pass by pass."""

    def count_by(self, passes: Passes) -> None:
        """Take how a loss is counted."""
        self._scale, self._perplexity = passes.scale, passes.perplexity and passes.scale == 1.0
        self._counted, self._since = 0, time.perf_counter()

    def get_train_dataloader(self) -> Any:
        """Return the steps in order; each process has its own share already."""
        return DataLoader(self.train_dataset, batch_size=1, shuffle=False, collate_fn=lambda steps: steps[0])

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Any:
        """Compute the gradients of one step; the loss is a mean over its items, whatever the passes."""
        model.train()
        factor = self._scale * self.args.world_size / max(inputs["items"], 1)
        total = torch.zeros((), device=self.args.device)
        for number, (tensors, counts) in enumerate(inputs["passes"], start=1):
            last = number == len(inputs["passes"])
            self.accelerator.gradient_state._set_sync_gradients(last)
            with nullcontext() if last else self.accelerator.no_sync(model):
                loss = model(**on_device(tensors, self.args.device)) * (factor if counts else 0.0)
                self.accelerator.backward(loss)
            total += loss.detach()
            self._counted += tensors["inputs"]["lengths"].numel()
        return total

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Return the loss over all held-out rows, its perplexity, and the metric where there is one."""
        step = self.eval_dataset[0]
        model = self.model_wrapped
        model.eval()
        total = torch.zeros((), device=self.args.device)
        with torch.no_grad():
            for tensors, counts in step["passes"]:
                total += model(**on_device(tensors, self.args.device)) * float(counts)
        total = self.accelerator.reduce(total, "sum") * self._scale / max(step["items"], 1)
        metrics: dict[str, float] = {"eval_loss": total.item()} | self._keeper.measure()
        metrics |= {f"eval_{name}": value for name, value in self._figures().items()}
        model.train()
        if self._perplexity:
            metrics["eval_perplexity"] = math.exp(min(metrics["eval_loss"], 700.0))
        self.log(metrics)
        self.control: Any = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        self._since, self._counted = time.perf_counter(), 0
        return metrics

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, with the tokens computed a second since the last time and the memory in use."""
        if "loss" in logs and self._counted:
            now = time.perf_counter()
            counted = self.accelerator.reduce(torch.tensor(self._counted, device=self.args.device), "sum").item()
            logs["tokens_per_second"] = round(counted / (now - self._since), 1)
            self._since, self._counted = now, 0
            logs["memory_mib"] = _memory_mib(self.args.device)
            logs |= self._figures()
        super().log(logs, None)

    def _figures(self) -> dict[str, float]:
        """Return what the module measured since the last time (of this process's share)."""
        return dict(self.model.figures()) if hasattr(self.model, "figures") else {}

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if sharding() != "fsdp":
            super()._save_optimizer_and_scheduler(output_dir)
            return
        state = whole_optimizer(self.optimizer)
        if self.args.should_save:
            torch.save(state, Path(output_dir) / OPTIMIZER_NAME)
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / SCHEDULER_NAME)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None or sharding() not in ("ddp", "fsdp"):
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        # transformers would load onto the process's device, which torch cannot where that is "cpu:0"
        for target, name in ((self.optimizer, OPTIMIZER_NAME), (self.lr_scheduler, SCHEDULER_NAME)):
            target.load_state_dict(torch.load(Path(checkpoint) / name, map_location="cpu", weights_only=True))


def train(
    prepared: Prepared, config: TrainConfig, out: Path, run: RunOptions, callbacks: Sequence[Any] = ()
) -> dict[str, Any]:
    """Train a module in place; continue from a checkpoint left under `out`; end with the best weights seen.

    Args:
        prepared: model, rows and tensors.
        config: settings; `steps` caps the run.
        out: the staged artifact; checkpoints lie under `checkpoints/`, the journal is `log.jsonl`.
        run: seed, report, metric, and where to warn of a corrupt checkpoint.
        callbacks: further callbacks of transformers.

    Returns:
        steps, tokens, loss curves, best evaluation, and the checkpoint it continued from.

    Raises:
        Followed: here ends the part of a process that another one leads.
        RecipeError: the metric cannot read with a model that is divided among processes.
    """
    out = Path(agree(str(out)))
    if run.metric is not None and sharding() not in ("alone", "ddp"):
        raise RecipeError(
            f"a model divided by {sharding()} cannot read documents while it is trained",
            where="train.best_by: metric",
            do="use --sharding ddp, or best_by: loss",
        )
    arguments = TrainingArguments(**trainer_arguments(config, out, seed=run.seed, steps=1))
    world, rank = arguments.world_size, arguments.process_index
    rows, passes, model = prepared.rows, prepared.passes, prepared.model
    plan = Plan(rows["train"], config, run.seed, world)
    arguments = TrainingArguments(
        **trainer_arguments(config, out, seed=run.seed, steps=len(plan)), run_name=run.name or None
    )
    groups = shard(model, prepared.groups, arguments.device) if sharding() == "fsdp" else prepared.groups
    optimizer = torch.optim.AdamW(groups, lr=config.lr, weight_decay=config.weight_decay)
    divide_when_loaded(optimizer)
    trainer = StepTrainer(
        model=model,
        args=arguments,
        train_dataset=StepData(plan, rank, passes),
        eval_dataset=StepData([whole(rows["validation"], config, world)], rank, passes),
        optimizers=(optimizer, None),
    )
    trainer.count_by(passes)
    trainer.watch(out, config, len(plan), run, callbacks)
    return {**trainer.finish(), "tokens": sum(row.tokens for row in rows["train"])}


def whole(rows: Sequence[Row], config: TrainConfig, world: int = 1) -> Step:
    """Return all rows as one step, for evaluation."""
    passes = [divide(part, config) for part in share(rows, world)]
    most = max(map(len, passes))
    return Step(tuple((*part, *((),) * (most - len(part))) for part in passes))


def trainer_arguments(config: TrainConfig, out: Path, *, seed: int, steps: int) -> dict[str, Any]:
    """Return the settings of transformers' TrainingArguments; precision is the model's own, not autocast's."""
    gpu = torch.cuda.is_available()
    divided = sharding()
    return {
        "ddp_backend": None if gpu or divided == "alone" else "gloo",
        "ddp_find_unused_parameters": False,  # all take part in every pass
        "deepspeed": deepspeed_settings(int(divided[-1]), config.precision) if divided.startswith("zero") else None,
        "output_dir": str(out / SCRATCH),
        "max_steps": steps,
        "per_device_train_batch_size": 1,  # a step, divided into passes
        "learning_rate": config.lr,
        "lr_scheduler_type": "constant_with_warmup" if config.schedule == "constant" else config.schedule,
        "warmup_steps": _warmup_steps(steps, config.warmup),
        "weight_decay": config.weight_decay,
        "max_grad_norm": 1.0,
        "logging_steps": max(1, min(10, steps // 10)),
        "eval_strategy": "steps",
        "eval_steps": math.ceil(steps / config.evaluations),
        "save_strategy": "steps",
        "save_steps": config.checkpoint_steps,
        "use_cpu": not gpu,
        "seed": seed,
        "data_seed": seed,
        "report_to": list(config.report_to),
        "trackio_space_id": os.environ.get("TRACKIO_SPACE_ID"),  # transformers would make a public one
        "disable_tqdm": True,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": gpu,
        "remove_unused_columns": False,
        "logging_nan_inf_filter": False,
        "label_names": [],
    }


def _warmup_steps(steps: int, share: float) -> int:
    """Return the steps over which the learning rate rises from 0; a run of one step has none, or would do nothing."""
    return min(max(1, round(steps * share)), steps - 1) if share else 0


def on_device(value: Any, device: Any) -> Any:
    """Return tensors, and dicts of tensors, on a device."""
    if isinstance(value, dict):
        return {key: on_device(each, device) for key, each in value.items()}
    return value.to(device) if hasattr(value, "to") else value


def _memory_mib(device: Any) -> float:
    """Return the memory in use: of the GPU where there is one, else of this process."""
    used = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else psutil.Process().memory_info().rss
    return float(used // 2**20)
