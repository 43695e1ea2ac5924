"""Tagging: what is learnt from a batch, and a run of training on a tiny base."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lextune.expert.head import HEAD_FILE, Head
from lextune.expert.templates import Codec
from lextune.expert.weights import Base, load_backbone
from lextune.expert.windowing import WindowExample
from lextune.train.common import LoraSettings, RunOptions, TrainConfig
from lextune.train.tag import build_model, collate, pool, prior_bias, rows_for, train_tag

FIELDS = 3
CONFIG = TrainConfig(
    epochs=2, batch=4, lr=1e-2, head_lr=3e-2, checkpoint_steps=2, evaluations=3, lora=LoraSettings(r=4, alpha=8)
)


def test_pool_is_the_mean_beside_the_last_state() -> None:
    hidden = torch.randn(3, 11, 5, generator=torch.Generator().manual_seed(1))
    places = torch.tensor([[0, 0, 4], [0, 4, 5], [1, 2, 11], [2, 10, 11]])
    rows = []
    for row, first, end in places.tolist():
        states = [hidden[row, i].tolist() for i in range(first, end)]
        rows.append([sum(column) / len(states) for column in zip(*states, strict=True)] + states[-1])
    torch.testing.assert_close(pool(hidden, places), torch.tensor(rows), atol=1e-5, rtol=1e-5)


def test_right_padding_changes_no_representation_and_training_pools_as_serving(
    base: Base, codec: Codec, make_window: Callable[..., WindowExample]
) -> None:
    short, long = make_window(0), make_window(1, heading="A heading that makes this window longer than the other")
    rows = rows_for([short, long], codec, FIELDS)
    batch = collate(rows, codec.pad_id)
    assert batch["input_ids"].shape == (2, max(len(r["ids"]) for r in rows))
    assert batch["input_ids"][0, len(rows[0]["ids"]) :].unique().tolist() == [codec.pad_id]
    backbone = load_backbone(base, dtype="float32", head=False).eval()
    with torch.no_grad():
        together = pool(backbone(input_ids=batch["input_ids"]).last_hidden_state, batch["places"]).numpy()
        alone = [backbone(input_ids=torch.tensor([r["ids"]])).last_hidden_state[0].numpy() for r in rows]
    served = np.concatenate([Head.represent(h, r["bounds"]) for h, r in zip(alone, rows, strict=True)])
    np.testing.assert_allclose(together, served, atol=2e-5)


def test_rows_carry_targets_and_leave_out_what_is_ignored(
    codec: Codec, make_window: Callable[..., WindowExample]
) -> None:
    row = rows_for([make_window(5)], codec, FIELDS)[0]
    assert row["target"].tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert row["weight"].tolist() == [[1, 1, 0]] * 4


def test_ignored_labels_do_not_count(base: Base, codec: Codec, make_window: Callable[..., WindowExample]) -> None:
    torch.manual_seed(0)
    model = build_model(base, CONFIG, [0.0] * FIELDS)
    batch = collate(rows_for([make_window(0), make_window(1)], codec, FIELDS), codec.pad_id)
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(**batch)["loss"]
        other = model(**{**batch, "target": batch["target"] + (batch["weight"] == 0)})["loss"]
    loss.backward()
    assert loss.item() == other.item()
    assert not model.head.weight.grad[2].any()
    assert model.head.bias.grad[2] == 0
    assert model.head.weight.grad[:2].all()
    lora = [p.grad for n, p in model.named_parameters() if "lora_B" in n]
    assert lora
    assert all(g is not None and g.any() for g in lora)


def test_the_loss_is_weighted_cross_entropy_a_label(
    base: Base, codec: Codec, make_window: Callable[..., WindowExample]
) -> None:
    torch.manual_seed(0)
    model = build_model(base, CONFIG.model_copy(update={"positive_weight": 5.0}), [0.3, -0.2, 0.1])
    batch = collate(rows_for([make_window(0), make_window(1)], codec, FIELDS), codec.pad_id)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        out = model(**batch)
    total = count = 0.0
    for logits, target, weight in zip(
        out["logits"].tolist(), batch["target"].tolist(), batch["weight"].tolist(), strict=True
    ):
        for x, yes, counts in zip(logits, target, weight, strict=True):
            p = 1 / (1 + math.exp(-x))
            total += counts * (-5.0 * math.log(p) if yes else -math.log(1 - p))
            count += counts
    assert out["loss"].item() == pytest.approx(100 * total / count, rel=1e-4)


def test_the_bias_starts_at_the_share_of_positives(make_window: Callable[..., WindowExample]) -> None:
    bias = prior_bias([make_window(n) for n in range(6)], FIELDS)  # 24 sentences: 3 of law, 3 of term, none
    assert bias == pytest.approx([math.log(3.5 / 21.5), math.log(3.5 / 21.5), math.log(0.5 / 24.5)])


def test_training_lowers_the_loss_and_writes_an_adapter_and_a_head(
    base: Base, windows: dict[str, list[WindowExample]], tmp_path: Path
) -> None:
    from peft import PeftModel

    seen: list[tuple[int, int, float]] = []
    run = RunOptions(0, lambda step, steps, loss: seen.append((step, steps, loss)))
    result = train_tag(base, windows, FIELDS, CONFIG, tmp_path, run)

    losses = [point["value"] for point in result["curves"]["loss"]]
    evaluations = {p["step"]: p["value"] for p in result["curves"]["eval_loss"]}
    assert result["steps"] == 6 == seen[-1][0]
    assert [loss for _, _, loss in seen] == losses
    assert losses[-1] < 0.7 * losses[0]
    assert list(evaluations) == [2, 4, 6]
    assert result["best"]["eval_loss"] == min(evaluations.values())
    assert result["resumed_from"] is None
    head = Head.load(tmp_path)
    assert head.weight.shape == (FIELDS, 128)
    assert head.weight.dtype == np.float32
    adapted = PeftModel.from_pretrained(load_backbone(base, dtype="float32"), tmp_path)
    stored = load_file(tmp_path / "adapter_model.safetensors")
    assert any(t.any() for n, t in stored.items() if "lora_B" in n)
    assert {t.dtype for t in stored.values()} == {torch.float32}
    assert {m.r["default"] for m in adapted.modules() if hasattr(m, "lora_A") and hasattr(m, "r")} == {4}


class KilledError(Exception):
    pass


def _weights(folder: Path) -> dict[str, Any]:
    return {**load_file(folder / "adapter_model.safetensors"), **load_file(folder / HEAD_FILE)}


def _same(a: Path, b: Path) -> bool:
    first, second = _weights(a), _weights(b)
    return list(first) == list(second) and all(torch.equal(first[n], second[n]) for n in first)


@pytest.mark.parametrize(
    ("steps", "killed_at", "resumed_from"),
    [
        pytest.param(6, 1, None, id="before the first checkpoint"),
        pytest.param(6, 4, "checkpoint-2", id="in the first epoch"),
        pytest.param(6, 6, "checkpoint-4", id="in the second epoch"),
    ],
)
def test_a_killed_run_ends_with_the_same_adapter(
    steps: int,
    killed_at: int,
    resumed_from: str | None,
    base: Base,
    windows: dict[str, list[WindowExample]],
    tmp_path: Path,
) -> None:
    def kill(step: int, _: int, __: float) -> None:
        if step == killed_at:
            raise KilledError

    config = CONFIG.model_copy(update={"steps": steps})
    train_tag(base, windows, FIELDS, config, tmp_path / "undisturbed", RunOptions(3))
    with pytest.raises(KilledError):
        train_tag(base, windows, FIELDS, config, tmp_path / "killed", RunOptions(3, kill))
    torch.manual_seed(99)  # whatever happened in between
    result = train_tag(base, windows, FIELDS, config, tmp_path / "killed", RunOptions(3))
    assert result["resumed_from"] == resumed_from
    assert [p["step"] for p in result["curves"]["loss"]] == [1, 2, 3, 4, 5, 6]
    assert _same(tmp_path / "undisturbed", tmp_path / "killed")


def test_a_run_killed_after_its_last_step_trains_no_further(
    base: Base, windows: dict[str, list[WindowExample]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lextune.train.callbacks import BestKeeper

    def killed(self: BestKeeper) -> None:
        raise KilledError

    config = CONFIG.model_copy(update={"steps": 5, "evaluations": 5})  # ends inside the second epoch
    whole = train_tag(base, windows, FIELDS, config, tmp_path / "undisturbed", RunOptions(3))
    with monkeypatch.context() as patch:
        patch.setattr(BestKeeper, "restore", killed)
        with pytest.raises(KilledError):
            train_tag(base, windows, FIELDS, config, tmp_path / "killed", RunOptions(3))
    result = train_tag(base, windows, FIELDS, config, tmp_path / "killed", RunOptions(3))
    assert result["resumed_from"] == "checkpoint-5"
    assert result["best"] == whole["best"]
    assert [p["step"] for p in result["curves"]["loss"]] == [1, 2, 3, 4, 5]
    assert _same(tmp_path / "undisturbed", tmp_path / "killed")


def test_checkpoints_hold_only_what_is_trained(
    base: Base, windows: dict[str, list[WindowExample]], tmp_path: Path
) -> None:
    train_tag(base, windows, FIELDS, CONFIG, tmp_path, RunOptions(0))
    folders = sorted(f.name for f in (tmp_path / "checkpoints").glob("checkpoint-*"))
    assert folders == ["checkpoint-2", "checkpoint-4", "checkpoint-6"]
    names = set(load_file(tmp_path / "checkpoints" / "checkpoint-6" / "trainable.safetensors"))
    assert {"head.weight", "head.bias"} < names
    assert all("lora_" in n for n in names - {"head.weight", "head.bias"})
    state = json.loads((tmp_path / "checkpoints" / "checkpoint-6" / "trainer_state.json").read_text())
    assert state["global_step"] == 6
