"""The generative strategies (`point`, `text`): TRL's SFT with LoRA, loss on the answer alone.

Conversations are tokenised here, by the template that serves them, so that no text of a document can become a
control token; TRL gets ids and the mask of what is learnt. The stop token is part of the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lextune.core.artifacts import SCRATCH
from lextune.core.errors import DataError
from lextune.expert.point import ChatExample
from lextune.expert.templates import Codec
from lextune.expert.weights import Base, load_backbone
from lextune.train.common import (
    RunOptions,
    TrainConfig,
    add_lora,
    curves,
    planned_steps,
    train_or_resume,
    trainer_arguments,
)

NOT_LEARNT = -100  # the label that cross-entropy leaves out


def chat_row(example: ChatExample, codec: Codec) -> dict[str, list[int]]:
    """Return {input_ids, labels}: the prompt is not learnt (-100); the answer and the stop token are."""
    prompt = codec.prompt(example.messages)
    answer = codec.answer(example.completion)
    return {"input_ids": prompt + answer, "labels": [NOT_LEARNT] * len(prompt) + answer}


def fitting(rows: Sequence[dict[str, list[int]]], max_tokens: int, what: str) -> list[dict[str, list[int]]]:
    """Return the rows that fit; a longer one is left out whole, never cut (preflight counts them).

    Raises:
        DataError: none fits; `what` names the rows in the message.
    """
    kept = [r for r in rows if len(r["input_ids"]) <= max_tokens]
    if not kept:
        longest = max((len(r["input_ids"]) for r in rows), default=0)
        raise DataError(
            f"all {len(rows)} {what} examples are longer than {max_tokens} tokens: the loss would be 0.0",
            where="train.max_tokens",
            do=f"raise it to {longest} or use smaller windows",
        )
    return kept


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
    from trl import SFTTrainer
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    from lextune.train.callbacks import BestKeeper, StepReport, silence

    set_seed(run.seed)
    codec = Codec(base.path)
    model = add_lora(load_backbone(base), config.lora)
    rows = {
        part: fitting([chat_row(e, codec) for e in chosen], config.max_tokens, part)
        for part, chosen in (
            ("train", examples["train"]),
            ("validation", examples["validation"][: config.evaluation_windows]),
        )
    }
    steps = planned_steps(len(rows["train"]), config)
    keeper = BestKeeper(model, out / SCRATCH)
    trainer = SFTTrainer(
        model=model,
        args=_arguments(config, out, run.seed, steps),
        train_dataset=Dataset.from_list(rows["train"]),
        eval_dataset=Dataset.from_list(rows["validation"]),
        processing_class=_tokenizer(base, codec),
        data_collator=DataCollatorForLanguageModeling(pad_token_id=codec.pad_id),
        callbacks=[StepReport(steps, run.report), keeper],
    )
    silence(trainer)
    history, resumed_from = train_or_resume(trainer, out, steps)
    keeper.restore()
    model.save_pretrained(out)
    return {
        "steps": steps,
        "tokens": sum(len(r["input_ids"]) for r in rows["train"]),
        "curves": curves(history),
        "best": keeper.best(),
        "resumed_from": resumed_from,
    }


def _arguments(config: TrainConfig, out: Path, seed: int, steps: int) -> Any:
    """Return the SFTConfig for rows that are ids already: trl is to cut, pack and mask nothing."""
    from trl import SFTConfig

    return SFTConfig(
        **trainer_arguments(config, out, seed=seed, steps=steps),
        max_length=None,
        packing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        prediction_loss_only=True,
        gradient_checkpointing=False,
    )


def _tokenizer(base: Base, codec: Codec) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base.path)
    tokenizer.pad_token_id = codec.pad_id
    return tokenizer
