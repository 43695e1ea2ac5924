"""The generative strategies (`point`, `text`): loss on the answers alone, the stop token among them.

Conversations are tokenised here, by the template that serves them, so that no text of a document can become a
control token. Questions that are asked of one text share it: it is computed once for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lextune.core.errors import DataError
from lextune.expert.point import ChatExample
from lextune.expert.templates import Codec
from lextune.expert.weights import Base
from lextune.train.batches import Pass, Row, packed, padded, together
from lextune.train.runs import Passes, Prepared, RunOptions
from lextune.train.settings import TrainConfig

ONE_TEXT = 75  # percent of their prompts that questions of one text have in common


def chat_row(example: ChatExample, codec: Codec) -> Row:
    """Return a conversation as a row: the prompt is not learnt; the answer and the stop token are."""
    answer = tuple(codec.answer(example.completion))
    return Row(tuple(codec.prompt(example.messages)), (answer,), ((True,) * len(answer),), example.text_id)


def fitting(rows: Sequence[Row], max_tokens: int, what: str) -> list[Row]:
    """Return the rows that fit; a longer one is left out whole, never cut (preflight counts them).

    Raises:
        DataError: none fits; `what` names the rows in the message.
    """
    kept = [r for r in rows if r.longest <= max_tokens]
    if not kept:
        longest = max((r.longest for r in rows), default=0)
        raise DataError(
            f"all {len(rows)} {what} examples are longer than {max_tokens} tokens: the loss would be 0.0",
            where="train.max_tokens",
            do=f"raise it to {longest} or use smaller windows",
        )
    return kept


def passes(pad: int, config: TrainConfig) -> Passes:
    """Return how conversations become tensors: `sources`, `targets` and `owners`, each [learnt tokens]."""
    import torch

    def tensors(rows: Pass) -> dict[str, Any]:
        inputs, learnt, _ = packed(rows) if config.packing else padded(rows, pad)
        return {"inputs": inputs, **{name: torch.tensor(values) for name, values in learnt._asdict().items()}}

    return Passes(tensors, lambda row: float(sum(map(sum, row.learnt))))


def prepare_chat(base: Base, examples: dict[str, list[ChatExample]], config: TrainConfig, seed: int) -> Prepared:
    """Return what a run needs; see `train_chat`."""
    from transformers import set_seed

    from lextune.train.models import CausalModel

    set_seed(seed)
    codec = Codec(base.path)
    model = CausalModel(base, config)
    chosen = {"train": examples["train"], "validation": examples["validation"][: config.evaluation_windows]}
    rows = {part: fitting([chat_row(e, codec) for e in each], config.max_tokens, part) for part, each in chosen.items()}
    if config.packing:
        rows = {part: together(each, lambda row: row.extra, ONE_TEXT) for part, each in rows.items()}
    learnt = [p for p in model.parameters() if p.requires_grad]
    return Prepared(model, rows, passes(codec.pad_id, config), [{"params": learnt}])


def train_chat(
    base: Base,
    examples: dict[str, list[ChatExample]],
    config: TrainConfig,
    out: Path,
    run: RunOptions,
) -> dict[str, Any]:
    """Train and write a PEFT adapter, or all weights, into `out`; continue from a checkpoint left there.

    Args:
        base: the model to adapt.
        examples: `train` and `validation` conversations.
        config: settings; `steps` caps the run.
        out: the staged artifact; checkpoints lie under `checkpoints/`.
        run: seed, progress report and metric.

    Returns:
        what `lextune.train.trainer.train` does.

    Raises:
        DataError: no example of a part fits into `max_tokens`.
    """
    from lextune.train.trainer import train

    prepared = prepare_chat(base, examples, config, run.seed)
    result = train(prepared, config, out, run)
    prepared.model.model.save_pretrained(out)
    return result
