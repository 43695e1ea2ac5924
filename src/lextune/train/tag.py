"""The `tag` strategy: LoRA on the backbone and a linear head, trained together on labelled windows.

The loss is binary cross-entropy per sentence and field; what was not assessed, and repeats of a quoted part,
count neither way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lextune.expert.head import tag_input, window_mask
from lextune.expert.templates import Codec
from lextune.expert.weights import Base
from lextune.expert.windowing import WindowExample
from lextune.train.batches import Pass, Row, packed, padded
from lextune.train.going_on import take_head
from lextune.train.runs import Passes, Prepared, RunOptions
from lextune.train.settings import TrainConfig

SCALE = 100.0  # most answers are no, so the mean loss is small; this brings it near that of a language model


class Tagged(NamedTuple):
    """What is known of a window: the token bounds of its sentences, and per sentence the fields."""

    bounds: tuple[tuple[int, int], ...]
    positives: tuple[tuple[int, ...], ...]
    ignored: tuple[tuple[int, ...], ...]


def prior_bias(examples: Sequence[WindowExample], fields: int) -> list[float]:
    """Return, for each field, the logit of its share of positive sentences (half a count added)."""
    sentences = sum(len(e.texts) for e in examples)
    counts = [0.5] * fields
    for example in examples:
        for row in example.positives:
            for field in row:
                counts[field] += 1
    return [math.log(c / (sentences + 1 - c)) for c in counts]


def rows_for(examples: Sequence[WindowExample], codec: Codec) -> list[Row]:
    """Return windows as rows without branches."""
    rows = []
    for example in examples:
        item = tag_input(codec, example.heading, example.texts)
        rows.append(Row(tuple(item.ids), extra=Tagged(item.bounds, example.positives, example.ignored)))
    return rows


def passes(fields: int, pad: int, config: TrainConfig) -> Passes:
    """Return how windows become tensors: `places` [sentences, 2], `target` and `weight` [sentences, fields]."""
    import torch

    def tensors(rows: Pass) -> dict[str, Any]:
        inputs, _, starts = packed(rows) if config.packing else padded(rows, pad)
        if config.attention == "bidirectional":
            _see_all(inputs)
        singles = rows if config.packing else tuple(single for row in rows for single in row.apart())
        places = [
            (start + a, start + b) for start, row in zip(starts, singles, strict=True) for a, b in row.extra.bounds
        ]
        target, weight = torch.zeros(len(places), fields), torch.ones(len(places), fields)
        known = ((yes, no) for row in singles for yes, no in zip(row.extra.positives, row.extra.ignored, strict=True))
        for number, (yes, ignored) in enumerate(known):
            target[number, list(yes)] = 1.0
            weight[number, list(ignored)] = 0.0
        return {"inputs": inputs, "places": torch.tensor(places), "target": target, "weight": weight}

    def items(row: Row) -> float:
        return float(sum(fields - len(ignored) for ignored in row.extra.ignored))

    return Passes(tensors, items, SCALE)


def _see_all(inputs: dict[str, Any]) -> None:
    """Let every token of a window see all of it: in segments, or by a mask [batch, 1, T, T] over what is padded."""
    if "segments" in inputs:
        inputs["segments"] = tuple(segment._replace(bidirectional=True) for segment in inputs["segments"])
    else:
        inputs["attention_mask"] = window_mask(inputs["attention_mask"])


def prepare_tag(
    base: Base, examples: dict[str, list[WindowExample]], fields: Sequence[str], config: TrainConfig, seed: int
) -> Prepared:
    """Return what a run needs; see `train_tag`."""
    from transformers import set_seed

    from lextune.train.models import TagModel

    set_seed(seed)
    codec = Codec(base.path)
    model = TagModel(base, config, prior_bias(examples["train"], len(fields)))
    if config.init_adapter is not None:
        take_head(model, fields, config)
    held_out = examples["validation"][: config.evaluation_windows]
    body = [p for n, p in model.named_parameters() if p.requires_grad and not n.startswith("head.")]
    return Prepared(
        model,
        {"train": rows_for(examples["train"], codec), "validation": rows_for(held_out, codec)},
        passes(len(fields), codec.pad_id, config),
        [{"params": body}, {"params": list(model.head.parameters()), "lr": config.head_lr}],
    )


def train_tag(
    base: Base,
    examples: dict[str, list[WindowExample]],
    fields: Sequence[str],
    config: TrainConfig,
    out: Path,
    run: RunOptions,
) -> dict[str, Any]:
    """Train and write a PEFT adapter and the head into `out`; continue from a checkpoint left there.

    Args:
        base: the model to adapt.
        examples: `train` and `validation` windows.
        fields: the names of the schema's fields.
        config: settings; `steps` caps the run.
        out: the staged artifact; checkpoints lie under `checkpoints/`.
        run: seed, progress report and metric.

    Returns:
        what `lextune.train.trainer.train` does.
    """
    from lextune.train.trainer import train

    prepared = prepare_tag(base, examples, fields, config, run.seed)
    result = train(prepared, config, out, run)
    prepared.model.model.save_pretrained(out)
    prepared.model.served_head().save(out)
    return result
