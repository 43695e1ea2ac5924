"""The `tag` strategy: LoRA on the backbone and a linear head, trained together on labelled windows.

The loss is binary cross-entropy per sentence and field; what was not assessed, and repeats of a quoted part,
count neither way. Batches are padded on the right, where a causal model cannot look.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lextune.core.artifacts import SCRATCH
from lextune.expert.head import Head, tag_input
from lextune.expert.templates import Codec
from lextune.expert.weights import Base, load_backbone
from lextune.expert.windowing import WindowExample
from lextune.train.common import (
    RunOptions,
    TrainConfig,
    add_lora,
    curves,
    planned_steps,
    train_or_resume,
    trainer_arguments,
)


def prior_bias(examples: Sequence[WindowExample], fields: int) -> list[float]:
    """Return, for each field, the logit of its share of positive sentences (half a count added)."""
    sentences = sum(len(e.texts) for e in examples)
    counts = [0.5] * fields
    for example in examples:
        for row in example.positives:
            for field in row:
                counts[field] += 1
    return [math.log(c / (sentences + 1 - c)) for c in counts]


def rows_for(examples: Sequence[WindowExample], codec: Codec, fields: int) -> list[dict[str, Any]]:
    """Return training rows: ids, sentence bounds, targets and weights, each [sentences, fields]."""
    import torch

    rows = []
    for example in examples:
        item = tag_input(codec, example.heading, example.texts)
        target = torch.zeros(len(example.texts), fields)
        weight = torch.ones(len(example.texts), fields)
        for i, (yes, ignore) in enumerate(zip(example.positives, example.ignored, strict=True)):
            target[i, list(yes)] = 1.0
            weight[i, list(ignore)] = 0.0
        rows.append({"ids": item.ids, "bounds": item.bounds, "target": target, "weight": weight})
    return rows


def collate(rows: Sequence[dict[str, Any]], pad: int) -> dict[str, Any]:
    """Batch rows: ids padded on the right; sentences of all rows in one list with their row and bounds."""
    import torch

    width = max(len(r["ids"]) for r in rows)
    ids = torch.tensor([list(r["ids"]) + [pad] * (width - len(r["ids"])) for r in rows])
    places = [(row, a, b) for row, r in enumerate(rows) for a, b in r["bounds"]]
    return {
        "input_ids": ids,
        "places": torch.tensor(places),
        "target": torch.cat([r["target"] for r in rows]),
        "weight": torch.cat([r["weight"] for r in rows]),
    }


def build_model(base: Base, config: TrainConfig, bias: Sequence[float]) -> Any:
    """Return the module that is trained: backbone under LoRA, and the head (fp32, bias at the prior)."""
    import torch
    from peft.helpers import disable_input_dtype_casting

    class TagModel(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = add_lora(load_backbone(base), config.lora)
            width = self.model.config.hidden_size
            self.head = torch.nn.Linear(2 * width, len(bias))
            torch.nn.init.normal_(self.head.weight, std=0.01)
            with torch.no_grad():
                self.head.bias.copy_(torch.tensor(bias))

        def forward(self, input_ids: Any, places: Any, target: Any, weight: Any) -> dict[str, Any]:
            backbone = self.model.get_base_model().model  # the language model's own head is not needed
            with disable_input_dtype_casting(self.model):
                hidden = backbone(input_ids=input_ids, use_cache=False).last_hidden_state.float()
            with torch.autocast(hidden.device.type, enabled=False):
                logits = self.head(pool(hidden, places))
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                logits,
                target,
                weight=weight,
                pos_weight=logits.new_tensor(config.positive_weight),
                reduction="sum",
            )
            return {"loss": loss / weight.sum().clamp(min=1) * 100, "logits": logits}

    return TagModel()


def pool(hidden: Any, places: Any) -> Any:
    """Return [sentences, 2 * hidden] from hidden states [batch, tokens, hidden]: mean beside last state.

    `places` is [sentences, 3]: row, first token, one past the last token. The mean is a difference of
    running sums, in fp32.
    """
    import torch

    row, first, end = places.unbind(1)
    sums = torch.nn.functional.pad(hidden.cumsum(1), (0, 0, 1, 0))
    mean = (sums[row, end] - sums[row, first]) / (end - first).unsqueeze(1)
    return torch.cat([mean, hidden[row, end - 1]], dim=1)


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
        run: seed and progress report.

    Returns:
        steps, tokens, loss curves, best evaluation loss and the checkpoint it continued from.
    """
    from transformers import TrainingArguments, set_seed

    from lextune.train.callbacks import BestKeeper, StepReport, silence

    set_seed(run.seed)
    codec = Codec(base.path)
    model = build_model(base, config, prior_bias(examples["train"], fields))
    rows = rows_for(examples["train"], codec, fields)
    steps = planned_steps(len(rows), config)
    keeper = BestKeeper(model, out / SCRATCH)
    trainer = _trainer_class()(
        model=model,
        args=TrainingArguments(
            **trainer_arguments(config, out, seed=run.seed, steps=steps),
            label_names=["target"],
            prediction_loss_only=True,
        ),
        train_dataset=rows,
        eval_dataset=rows_for(examples["validation"][: config.evaluation_windows], codec, fields),
        data_collator=lambda batch: collate(batch, codec.pad_id),
        optimizers=(_optimizer(model, config), None),
        callbacks=[StepReport(steps, run.report), keeper],
    )
    silence(trainer)
    history, resumed_from = train_or_resume(trainer, out, steps)
    keeper.restore()
    model.model.save_pretrained(out)
    head = model.head.to("cpu")
    Head(head.weight.detach().float().numpy().copy(), head.bias.detach().float().numpy().copy()).save(out)
    return {
        "steps": steps,
        "tokens": sum(len(r["ids"]) for r in rows),
        "curves": curves(history),
        "best": keeper.best(),
        "resumed_from": resumed_from,
    }


def _optimizer(model: Any, config: TrainConfig) -> Any:
    """AdamW with a higher rate for the head, which starts from nothing."""
    import torch

    body = [p for n, p in model.named_parameters() if p.requires_grad and not n.startswith("head.")]
    groups = [
        {"params": body, "lr": config.lr},
        {"params": list(model.head.parameters()), "lr": config.head_lr},
    ]
    return torch.optim.AdamW(groups, weight_decay=config.weight_decay)


def _trainer_class() -> Any:
    from safetensors.torch import load_file, save_file
    from transformers import Trainer

    from lextune.train.callbacks import trainable

    class AdapterTrainer(Trainer):  # type: ignore[misc]
        """A Trainer whose checkpoints hold only what is trained."""

        def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
            folder = Path(output_dir or self.args.output_dir)
            folder.mkdir(parents=True, exist_ok=True)
            save_file(trainable(self.model), folder / "trainable.safetensors")

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            weights = load_file(Path(resume_from_checkpoint) / "trainable.safetensors")
            (model or self.model).load_state_dict(weights, strict=False)

    return AdapterTrainer
