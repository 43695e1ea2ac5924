"""The generative strategies (`point`, `text`): TRL's SFT with LoRA, loss on the answer alone.

Conversations are tokenised here, by the template that serves them, so that no text of a document can become a
control token; TRL gets ids and the mask of what is learnt. The stop token is part of the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lextune.core.artifacts import SCRATCH
from lextune.expert.point import ChatExample
from lextune.expert.templates import Codec
from lextune.expert.weights import Base, load_backbone
from lextune.train.common import (
    RunOptions,
    TrainConfig,
    add_lora,
    curves,
    last_checkpoint,
    planned_steps,
    trainer_arguments,
)


def chat_row(example: ChatExample, codec: Codec) -> dict[str, list[int]]:
    """Return {input_ids, completion_mask}: the prompt unlearnt, then the answer and the stop token."""
    prompt = codec.prompt(example.messages)
    answer = [*codec.encode_plain(example.completion), codec.stop_id]
    return {"input_ids": prompt + answer, "completion_mask": [0] * len(prompt) + [1] * len(answer)}


def fitting(rows: Sequence[dict[str, list[int]]], max_tokens: int) -> list[dict[str, list[int]]]:
    """Return the rows that fit; a longer one is left out whole, never cut (preflight counts them)."""
    return [r for r in rows if len(r["input_ids"]) <= max_tokens]


def train_chat(
    base: Base,
    examples: dict[str, list[ChatExample]],
    config: TrainConfig,
    out: Path,
    run: RunOptions,
) -> dict[str, Any]:
    """Train and write a PEFT adapter into `out`; continue from a checkpoint left there.

    Args:
        base: the model to adapt.
        examples: `train` and `validation` conversations.
        config: settings; `steps` caps the run.
        out: the staged artifact; checkpoints lie under `checkpoints/`.
        run: seed and progress report.

    Returns:
        steps, tokens, loss curves, best evaluation loss and the checkpoint it continued from.
    """
    from datasets import Dataset
    from transformers import set_seed
    from trl import SFTConfig, SFTTrainer
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    from lextune.train.callbacks import BestKeeper, StepReport, silence

    set_seed(run.seed)
    codec = Codec(base.path)
    model = add_lora(load_backbone(base), config.lora)
    rows = {
        part: fitting([chat_row(e, codec) for e in chosen], config.max_tokens)
        for part, chosen in (
            ("train", examples["train"]),
            ("validation", examples["validation"][: config.evaluation_windows]),
        )
    }
    steps = planned_steps(len(rows["train"]), config)
    keeper = BestKeeper(model, out / SCRATCH)
    arguments = SFTConfig(
        **trainer_arguments(config, out, seed=run.seed, steps=steps),
        max_length=None,
        packing=False,
        completion_only_loss=True,
        dataset_kwargs={"skip_prepare_dataset": True},
        prediction_loss_only=True,
        gradient_checkpointing=False,
    )
    trainer = SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(rows["train"]),
        eval_dataset=Dataset.from_list(rows["validation"]),
        processing_class=_tokenizer(base, codec),
        data_collator=DataCollatorForLanguageModeling(pad_token_id=codec.pad_id, completion_only_loss=True),
        callbacks=[StepReport(steps, run.report), keeper],
    )
    silence(trainer)
    checkpoint = last_checkpoint(out)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    keeper.restore()
    model.save_pretrained(out)
    return {
        "steps": steps,
        "tokens": sum(len(r["input_ids"]) for r in rows["train"]),
        "curves": curves(trainer.state.log_history),
        "best": keeper.best(),
        "resumed_from": checkpoint.name if checkpoint else None,
    }


def _tokenizer(base: Base, codec: Codec) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base.path)
    tokenizer.pad_token_id = codec.pad_id
    return tokenizer
