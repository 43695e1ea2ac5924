"""Direct preference optimisation: training goes on from the SFT adapter, which is the reference.

A pair is one row: its prompt, read once, and two branches, the chosen answer and the rejected one. What the
reference says of them is computed once, before the first step, and kept: a run that is killed and goes on never
takes a half-trained model for its reference.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lextune.core.artifacts import SCRATCH, read_jsonl, write_atomic, write_jsonl
from lextune.core.errors import DataError, ModelError, RecipeError
from lextune.core.learnt import LEARNT_FILE
from lextune.core.recipe import Config
from lextune.core.records import Drop
from lextune.core.stage import Context, Inputs, Stage, Summary
from lextune.expert.templates import Codec
from lextune.expert.weights import Base, check_binding, resolve_base, write_binding
from lextune.train.batches import Pass, Row, divide, packed, padded
from lextune.train.chat import fitting
from lextune.train.dpo_settings import TRL_LOSSES, DpoSettings
from lextune.train.preferences import Pair
from lextune.train.runs import Passes, Prepared, RunOptions
from lextune.train.settings import TrainConfig
from lextune.train.tracking import check_trackers, run_name, told

REFERENCE = "reference.json"
LONG = "prompt and answer are longer than train.max_tokens"
CHECKED = 16  # pairs whose loss is checked before the first step
TOLERANCE = {"fp32": 1e-6, "bf16": 1e-2}  # bf16: a run that goes on with other threads rounds otherwise


class DpoConfig(Config):
    """What is trained on pairs."""

    base: str
    """The base model: a name, a hub id, or a folder."""
    train: TrainConfig
    """The settings of SFT, whose adapter, precision and passes DPO has too."""
    dpo: DpoSettings
    """The settings of DPO."""


class Setup(NamedTuple):
    """What a run on pairs starts from."""

    base: Base
    """The model under the adapter."""
    config: TrainConfig
    """`dpo_train_config`'s: the SFT adapter is its `init_adapter`."""
    settings: DpoSettings
    """The loss."""


def check_train(train: TrainConfig, loss: str) -> None:
    """Refuse training settings that DPO, or its kin, cannot go on from.

    Raises:
        RecipeError: the strategy generates nothing, there is no adapter, or the loss is not computed in 4 bits.
    """
    if train.method == "qlora" and loss in TRL_LOSSES:
        raise RecipeError(
            f"the loss {loss} computes the base in whole, and with method qlora it was trained in 4 bits",
            where="dpo.loss",
            do="use loss: sigmoid, or train.method: lora",
        )
    if train.strategy == "tag":
        raise RecipeError(
            "dpo learns from what a model generates, and the strategy tag generates nothing",
            where="dpo",
            do="use train.strategy: point (or text), or leave `dpo` out",
        )
    if train.method == "full":
        raise RecipeError(
            "dpo goes on from an adapter, and with method full there is none",
            where="dpo",
            do="use train.method: lora or qlora, or leave `dpo` out",
        )


def dpo_train_config(train: TrainConfig, settings: DpoSettings, adapter: Path) -> TrainConfig:
    """Return the training settings of a DPO run that goes on from `adapter`."""
    own = {name: getattr(settings, name) for name in ("lr", "epochs", "steps", "batch", "evaluations")}
    plain = {"neftune": 0.0, "label_smoothing": 0.0, "best_by": "loss"}
    return train.model_copy(update={**own, **plain, "init_adapter": str(adapter)})


def divide_pairs(pairs: Sequence[Pair], share: float, seed: int) -> dict[str, list[Pair]]:
    """Return `train` and `validation` pairs: a document's pairs are in one part.

    Raises:
        DataError: all pairs are of one document.
    """
    documents = sorted({p.document_id for p in pairs}, key=lambda d: hashlib.sha256(f"{seed} {d}".encode()).digest())
    if len(documents) < 2:
        raise DataError(
            f"all {len(pairs)} pairs are of one document: none can be held out",
            where="dpo.kept_out",
            do="keep more documents out",
        )
    held_out = set(documents[: min(len(documents) - 1, max(1, round(share * len(documents))))])
    return {
        "train": [p for p in pairs if p.document_id not in held_out],
        "validation": [p for p in pairs if p.document_id in held_out],
    }


def pair_row(pair: Pair, codec: Codec) -> Row:
    """Return a pair as a row; a rejected answer that did not come to its end has no stop token."""
    chosen, rejected = (tuple(codec.answer(text)) for text in (pair.chosen, pair.rejected))
    if not pair.stopped:
        rejected = rejected[:-1]
    learnt = ((True,) * len(chosen), (True,) * len(rejected))
    return Row(tuple(codec.prompt(pair.messages)), (chosen, rejected), learnt, joint=True)


def passes(pad: int, config: TrainConfig) -> Passes:
    """Return how pairs become tensors: as conversations, and `reference` [pairs, 2]; a pair counts one."""
    import torch

    def tensors(rows: Pass) -> dict[str, Any]:
        inputs, learnt, _ = packed(rows) if config.packing else padded(rows, pad)
        reference = torch.tensor([row.extra or (0.0, 0.0) for row in rows])
        named = {name: torch.tensor(values) for name, values in learnt._asdict().items()}
        return {"inputs": inputs, **named, "reference": reference}

    return Passes(tensors, lambda row: 1.0, perplexity=False)


def pair_rows(pairs: dict[str, list[Pair]], codec: Codec, max_tokens: int) -> dict[str, list[Row]]:
    """Return the rows of each part's pairs that fit.

    Raises:
        DataError: of a part none does.
    """
    return {
        part: fitting([pair_row(pair, codec) for pair in each], max_tokens, f"{part} pair")
        for part, each in pairs.items()
    }


def prepare_dpo(setup: Setup, pairs: dict[str, list[Pair]], seed: int) -> Prepared:
    """Return what a run needs, but for what the reference says (`add_reference`).

    Args:
        setup: base, settings and loss.
        pairs: `train` and `validation`.
        seed: of the run.

    Raises:
        DataError: no pair of a part fits into `max_tokens`.
        ModelError: the adapter is of another base.
    """
    from transformers import set_seed

    from lextune.train.preference_model import PairModel

    base, config, settings = setup
    set_seed(seed)
    codec = Codec(base.path)
    rows = pair_rows(pairs, codec, config.max_tokens)
    model = PairModel(base, config, settings)
    learnt = [p for p in model.parameters() if p.requires_grad]
    return Prepared(model, rows, passes(codec.pad_id, config), [{"params": learnt}])


def add_reference(prepared: Prepared, setup: Setup, notes: Path) -> Prepared:
    """Return a run whose rows hold what the reference says of them, and check it.

    Args:
        prepared: its model is the reference: nothing of it is trained yet.
        setup: settings and loss.
        notes: the file with what the reference says; it is computed and written where it is not there.

    Raises:
        ModelError: the model is not the reference that the file is of: the loss is not what it is at the reference.
    """
    parts = tuple(prepared.rows)
    rows = [row for part in parts for row in prepared.rows[part]]
    if not notes.is_file():
        notes.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(notes, json.dumps(_log_probabilities(prepared, rows, setup.config)))
    found = json.loads(notes.read_text(encoding="utf-8"))
    if len(found) != len(rows):
        raise _other_reference(f"it has {len(found)} pairs, and there are {len(rows)}", notes)
    known = iter(row._replace(extra=tuple(each)) for row, each in zip(rows, found, strict=True))
    checked = prepared._replace(rows={part: [next(known) for _ in prepared.rows[part]] for part in parts})
    _check(checked, setup, notes)
    return checked


def _log_probabilities(prepared: Prepared, rows: Sequence[Row], config: TrainConfig) -> list[list[float]]:
    """Return what the model says of each row's two answers, in the order of the rows."""
    numbered = [row._replace(extra=(float(number), 0.0)) for number, row in enumerate(rows)]
    out: list[list[float]] = [[] for _ in rows]
    for one in divide(numbered, config):
        for row, each in zip(one, _evaluated(prepared, one)[0].tolist(), strict=True):
            out[int(row.extra[0])] = each
    return out


def _evaluated(prepared: Prepared, one: Pass) -> tuple[Any, Any]:
    """Return the log-probabilities of a pass and their tokens, [pairs, 2], the model in its evaluating mode."""
    import torch

    from lextune.train.trainer import on_device

    model = prepared.model
    tensors = on_device(prepared.passes.tensors(one), next(model.parameters()).device)
    pairs = len(tensors.pop("reference"))
    training = model.training
    model.eval()
    with torch.no_grad():
        found: tuple[Any, Any] = model.log_probabilities(**tensors, pairs=pairs)
    model.train(training)
    return found


def _check(prepared: Prepared, setup: Setup, notes: Path) -> None:
    """Refuse a reference that the model, before its first step, is not.

    The passes are those that the reference was computed in, and so the numbers are the same.
    """
    import torch

    from lextune.train.preference_model import loss_at_reference, preference_losses

    _, config, settings = setup
    total, count = 0.0, 0
    for one in divide([row for rows in prepared.rows.values() for row in rows], config):
        sums, tokens = _evaluated(prepared, one)
        reference = torch.tensor([row.extra for row in one], device=sums.device)
        total += preference_losses(sums, reference, tokens, settings).double().sum().item()
        count += len(one)
        if count >= CHECKED:
            break
    loss, expected = total / count, loss_at_reference(settings)
    if not abs(loss - expected) <= TOLERANCE[config.precision] * max(1.0, expected):
        raise _other_reference(f"the loss before the first step is {loss:.6f}, and must be {expected:.6f}", notes)


def _other_reference(what: str, notes: Path) -> ModelError:
    return ModelError(
        f"the reference is not the model that training goes on from: {what}",
        where=str(notes),
        do="remove this file and run the same command again: the reference is computed anew",
    )


def train_dpo(setup: Setup, pairs: dict[str, list[Pair]], out: Path, run: RunOptions) -> dict[str, Any]:
    """Train on pairs and write a PEFT adapter into `out`; continue from a checkpoint left there.

    Args:
        setup: base, settings and loss.
        pairs: `train` and `validation`.
        out: the staged artifact; checkpoints and the reference lie under `checkpoints/`.
        run: seed and progress report.

    Returns:
        what `lextune.train.trainer.train` does, and how many pairs of each part were used.

    Raises:
        DataError: no pair of a part fits into `max_tokens`.
        ModelError: the adapter is of another base, or the reference is of another adapter.
    """
    if setup.settings.loss in TRL_LOSSES:
        from lextune.train.trl_losses import train_by_trl

        return train_by_trl(setup, pairs, out, run)
    from lextune.train.trainer import train

    prepared = prepare_dpo(setup, pairs, run.seed)
    _to_device(prepared.model)
    prepared = add_reference(prepared, setup, out / SCRATCH / REFERENCE)
    result = train(prepared, setup.config, out, run)
    prepared.model.model.save_pretrained(out)
    return {**result, "pairs": {part: len(rows) for part, rows in prepared.rows.items()}}


def _to_device(model: Any) -> None:
    """Put a model on the GPU of this process, where there is one: the reference is computed there."""
    import os

    import torch

    if torch.cuda.is_available():
        model.to(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")


def run_dpo(config: DpoConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Train the SFT adapter further on pairs; the result is an adapter like it.

    Raises:
        DataError, ModelError: see `train_dpo`.
    """
    from lextune.train.plots import write_training

    check_trackers(config.train.report_to)
    base, adapter = resolve_base(config.base), inputs["adapter"].path
    binding = check_binding(adapter, base)
    mined = list(read_jsonl(inputs["pairs"].file("pairs.jsonl"), Pair))
    codec = Codec(base.path)
    long = [pair for pair in mined if pair_row(pair, codec).longest > config.train.max_tokens]
    write_jsonl(out / "drops.jsonl", (Drop(what="pair", where=p.document_id, reason=LONG) for p in long))
    pairs = divide_pairs([p for p in mined if p not in long] or mined, config.dpo.validation, context.seed)
    run = RunOptions(
        context.seed,
        lambda done, total, logs: context.progress(done, total, told(logs)),
        warn=context.warn,
        name=run_name(context.options.get("name", ""), out),
    )
    started = time.perf_counter()
    setup = Setup(base, dpo_train_config(config.train, config.dpo, adapter), config.dpo)
    result = train_dpo(setup, pairs, out, run)
    result["seconds"] = round(time.perf_counter() - started, 1)
    write_binding(out, binding)
    if LEARNT_FILE in inputs["adapter"].manifest.files:
        shutil.copyfile(inputs["adapter"].file(LEARNT_FILE), out / LEARNT_FILE)
    write_training(out, result["curves"])
    write_atomic(out / "training.json", json.dumps(result, indent=1))
    kept = {name: result[name] for name in ("steps", "tokens", "seconds", "resumed_from", "best", "pairs")}
    note = f"{result['steps']} steps on {result['pairs']['train']} pairs"
    return {"n_in": len(mined), "n_out": len(mined) - len(long), "n_dropped": len(long), **kept, "note": note}


STAGES = (Stage("dpo", 2, ("pairs", "adapter"), DpoConfig, run_dpo, "adapter"),)
