"""KTO and ORPO: TRL's trainers, on the ids that our own template gives.

They take a text twice where our core reads it once, and their checkpoints are those of transformers. TRL never
tokenises: no text of a document can become a control token.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lextune.core.artifacts import SCRATCH
from lextune.expert.templates import Codec
from lextune.expert.weights import Base, load_backbone
from lextune.train.adapter import TORCH_DTYPES
from lextune.train.batches import Row
from lextune.train.chat import fitting
from lextune.train.dpo import pair_row
from lextune.train.dpo_settings import DpoSettings
from lextune.train.preferences import Pair
from lextune.train.runs import RunOptions
from lextune.train.settings import TrainConfig

TOGETHER = 2  # pairs computed at once


def train_by_trl(
    base: Base,
    pairs: dict[str, list[Pair]],
    config: TrainConfig,
    settings: DpoSettings,
    out: Path,
    run: RunOptions,
) -> dict[str, Any]:
    """Train by KTO or ORPO; as `lextune.train.dpo.train_dpo`.

    For KTO each answer is an example of its own, desired or not, and the reference is a copy of the SFT adapter.
    """
    from transformers import set_seed
    from transformers.trainer_utils import get_last_checkpoint

    from lextune.train.callbacks import BestKeeper, Journal, silence

    set_seed(run.seed)
    codec = Codec(base.path)
    rows = {
        part: fitting([pair_row(p, codec) for p in each], config.max_tokens, f"{part} pair")
        for part, each in pairs.items()
    }
    steps = max(1, min(config.steps or 10**9, math.ceil(len(rows["train"]) * config.epochs / config.batch)))
    build = _kto if settings.loss == "kto" else _orpo
    trainer = build(_model(base, config), rows, codec, _arguments(config, settings, out, run.seed, steps))
    keeper = BestKeeper(trainer.model, out / SCRATCH, config)
    journal = Journal(out, steps, run.report)
    for callback in (keeper, journal):
        trainer.add_callback(callback)
    silence(trainer)
    scratch = out / SCRATCH
    checkpoint = get_last_checkpoint(str(scratch)) if scratch.is_dir() else None
    trainer.train(resume_from_checkpoint=checkpoint)
    keeper.restore()
    trainer.model.save_pretrained(out, selected_adapters=["default"])
    return {
        "steps": trainer.state.global_step,
        "tokens": sum(row.tokens for row in rows["train"]),
        "curves": journal.curves(),
        "best": keeper.best(),
        "resumed_from": Path(checkpoint).name if checkpoint else None,
        "pairs": {part: len(each) for part, each in rows.items()},
    }


def _model(base: Base, config: TrainConfig) -> Any:
    from peft import PeftModel

    model = load_backbone(base, dtype=TORCH_DTYPES[config.precision])
    return PeftModel.from_pretrained(model, str(config.init_adapter), is_trainable=True)


def _arguments(config: TrainConfig, settings: DpoSettings, out: Path, seed: int, steps: int) -> dict[str, Any]:
    """Return what TRL's two configs have in common; `batch` pairs are accumulated, `TOGETHER` at once."""
    import os

    from lextune.train.trainer import trainer_arguments

    together = min(TOGETHER, config.batch)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    return {
        **trainer_arguments(config, out, seed=seed, steps=steps),
        "per_device_train_batch_size": together,
        "per_device_eval_batch_size": together,
        "gradient_accumulation_steps": max(1, round(config.batch / together / world)),
        "gradient_checkpointing": config.gradient_checkpointing,
        "save_total_limit": config.checkpoints_kept,
        "bf16": False,  # what is computed in bf16 are the base's weights
        "max_length": None,
        "beta": settings.beta,
    }


def _kto(model: Any, rows: dict[str, list[Row]], codec: Codec, arguments: dict[str, Any]) -> Any:
    from datasets import Dataset
    from trl import KTOConfig, KTOTrainer
    from trl.trainer.kto_trainer import DataCollatorForUnpairedPreference

    class Trainer(KTOTrainer):  # type: ignore[misc]
        """Takes ids as they are; each completion also stands after another prompt, for the estimate of KL."""

        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

    size = 2 * arguments["per_device_train_batch_size"]
    arguments |= {"per_device_train_batch_size": size, "per_device_eval_batch_size": size}

    def data(part: Sequence[Row]) -> Any:
        examples = [
            {"prompt_ids": list(row.prefix), "completion_ids": list(answer), "label": label}
            for row in part
            for answer, label in zip(row.branches, (True, False), strict=True)
        ]
        # the completions of a batch, moved on by one prompt, as in TRL's own preparation
        for start in range(0, len(examples), size):
            batch = examples[start : start + size]
            for example, other in zip(batch, [batch[-1], *batch[:-1]], strict=True):
                example["KL_completion_ids"] = other["completion_ids"]
        return Dataset.from_list(examples)

    return Trainer(
        model=model,
        args=KTOConfig(**arguments),
        train_dataset=data(rows["train"]),
        eval_dataset=data(rows["validation"]),
        processing_class=_tokenizer(codec, model),
        data_collator=DataCollatorForUnpairedPreference(pad_token_id=codec.pad_id),
    )


def _orpo(model: Any, rows: dict[str, list[Row]], codec: Codec, arguments: dict[str, Any]) -> Any:
    from datasets import Dataset
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    class Trainer(ORPOTrainer):  # type: ignore[misc]
        """Takes ids as they are."""

        def tokenize_row(self, feature: dict[str, Any], model: Any = None) -> dict[str, Any]:
            return feature

    def data(part: Sequence[Row]) -> Any:
        return Dataset.from_list([_orpo_example(row) for row in part])

    arguments["max_length"] = max(row.longest for part in rows.values() for row in part)
    return Trainer(
        model=model,
        args=ORPOConfig(**arguments),
        train_dataset=data(rows["train"]),
        eval_dataset=data(rows["validation"]),
        processing_class=_tokenizer(codec, model),
    )


def _orpo_example(row: Row) -> dict[str, Any]:
    prompt = list(row.prefix)
    out: dict[str, Any] = {"prompt": "", "chosen": "", "rejected": "", "prompt_input_ids": prompt}
    out["prompt_attention_mask"] = [1] * len(prompt)
    for name, answer in zip(("chosen", "rejected"), row.branches, strict=True):
        ids = prompt + list(answer)
        out[f"{name}_input_ids"], out[f"{name}_attention_mask"] = ids, [1] * len(ids)
        out[f"{name}_labels"] = [-100] * len(prompt) + list(answer)
    return out


def _tokenizer(codec: Codec, model: Any) -> Any:
    """Return the base's tokenizer, which TRL wants to know the pad token of."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model.config.name_or_path)
    tokenizer.pad_token_id = codec.pad_id
    return tokenizer
