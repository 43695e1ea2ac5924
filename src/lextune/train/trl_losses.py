"""KTO and ORPO: TRL's trainers, on the ids that our own template gives.

They take a text twice where our core reads it once. TRL never tokenises: no text of a document can become a control
token.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lextune.expert.templates import Codec
from lextune.expert.weights import Base, load_backbone
from lextune.train.adapter import TORCH_DTYPES
from lextune.train.batches import Row, planned_steps
from lextune.train.dpo import Setup, pair_rows
from lextune.train.preferences import Pair
from lextune.train.runs import RunOptions
from lextune.train.settings import TrainConfig
from lextune.train.team import agree

TOGETHER = 2  # pairs computed at once


def train_by_trl(setup: Setup, pairs: dict[str, list[Pair]], out: Path, run: RunOptions) -> dict[str, Any]:
    """Train by KTO or ORPO; as `lextune.train.dpo.train_dpo`.

    For KTO each answer is an example of its own, desired or not, and the reference is a copy of the SFT adapter.
    """
    from transformers import set_seed

    base, config, settings = setup
    set_seed(run.seed)
    out = Path(agree(str(out)))
    codec = Codec(base.path)
    rows = pair_rows(pairs, codec, config.max_tokens)
    steps = planned_steps(len(rows["train"]), config)
    build = _kto if settings.loss == "kto" else _orpo
    trainer = build(_model(base, config), rows, codec, _arguments(setup, out, run, steps))
    trainer.watch(out, config, steps, run)
    result = trainer.finish()
    trainer.model.save_pretrained(out, selected_adapters=["default"])
    tokens, counts = sum(row.tokens for row in rows["train"]), {part: len(each) for part, each in rows.items()}
    return {**result, "tokens": tokens, "pairs": counts}


def _model(base: Base, config: TrainConfig) -> Any:
    from peft import PeftModel

    model = load_backbone(base, dtype=TORCH_DTYPES[config.precision])
    return PeftModel.from_pretrained(model, str(config.init_adapter), is_trainable=True)


def _arguments(setup: Setup, out: Path, run: RunOptions, steps: int) -> dict[str, Any]:
    """Return what TRL's two configs have in common; `batch` pairs are accumulated, `TOGETHER` at once."""
    import os

    from lextune.train.trainer import trainer_arguments

    config = setup.config
    together = min(TOGETHER, config.batch)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    return {
        **trainer_arguments(config, out, seed=run.seed, steps=steps),
        "run_name": run.name or None,
        "per_device_train_batch_size": together,
        "per_device_eval_batch_size": together,
        "gradient_accumulation_steps": max(1, round(config.batch / together / world)),
        "gradient_checkpointing": config.gradient_checkpointing,
        "bf16": False,  # what is computed in bf16 are the base's weights
        "max_length": None,
        "beta": setup.settings.beta,
    }


def _kto(model: Any, rows: dict[str, list[Row]], codec: Codec, arguments: dict[str, Any]) -> Any:
    from datasets import Dataset
    from trl import KTOConfig, KTOTrainer
    from trl.trainer.kto_trainer import DataCollatorForUnpairedPreference

    from lextune.train.resumable import Resumable

    class Trainer(Resumable, KTOTrainer):  # type: ignore[misc]
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

    from lextune.train.resumable import Resumable

    class Trainer(Resumable, ORPOTrainer):  # type: ignore[misc]
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
