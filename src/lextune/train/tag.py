"""The `tag` strategy: LoRA on the backbone and a linear head, trained together on labelled windows.

The loss is binary cross-entropy per sentence and field; what was not assessed, and repeats of a quoted part,
count neither way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lextune.core.errors import ModelError
from lextune.expert.head import HEAD_FILE, Head, tag_input, window_mask
from lextune.expert.released import find_adapter
from lextune.expert.templates import Codec
from lextune.expert.weights import Base
from lextune.expert.windowing import WindowExample
from lextune.train.batches import Pass, Row, packed, padded
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
    base: Base, examples: dict[str, list[WindowExample]], fields: int, config: TrainConfig, seed: int
) -> Prepared:
    """Return what a run needs; see `train_tag`."""
    from transformers import set_seed

    from lextune.train.models import TagModel

    set_seed(seed)
    codec = Codec(base.path)
    model = TagModel(base, config, prior_bias(examples["train"], fields))
    if config.init_adapter is not None:
        _take_head(model, find_adapter(Path(config.init_adapter)), config)
    held_out = examples["validation"][: config.evaluation_windows]
    body = [p for n, p in model.named_parameters() if p.requires_grad and not n.startswith("head.")]
    return Prepared(
        model,
        {"train": rows_for(examples["train"], codec), "validation": rows_for(held_out, codec)},
        passes(fields, codec.pad_id, config),
        [{"params": body}, {"params": list(model.head.parameters()), "lr": config.head_lr}],
    )


def _take_head(model: Any, folder: Path, config: TrainConfig) -> None:
    """Go on from the head of an earlier adapter, where it was one of the `tag` strategy.

    Raises:
        ModelError: its head has other fields, or reads windows in another way.
    """
    import torch

    if not (folder / HEAD_FILE).is_file():
        return
    head = Head.load(folder)
    if head.attention != config.attention:
        raise ModelError(
            f"the head to go on from is of a model with {head.attention} attention (asked for: {config.attention})",
            where=f"train.init_adapter: {folder}",
            do=f"set train.attention to {head.attention}, or train without init_adapter",
        )
    if head.weight.shape != model.head.weight.shape:
        raise ModelError(
            f"the head to go on from scores {head.fields} fields, and the schema has {model.head.out_features}",
            where=f"train.init_adapter: {folder}",
            do="train with the schema of that adapter, or without init_adapter",
        )
    with torch.no_grad():
        model.head.weight.copy_(torch.from_numpy(head.weight))
        model.head.bias.copy_(torch.from_numpy(head.bias))


def train_tag(
    base: Base,
    examples: dict[str, list[WindowExample]],
    fields: int,
    config: TrainConfig,
    out: Path,
    run: RunOptions,
) -> dict[str, Any]:
    """Train and write a PEFT adapter and the head into `out`; continue from a checkpoint left there.

    Args:
        base: the model to adapt.
        examples: `train` and `validation` windows.
        fields: number of fields of the schema.
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
