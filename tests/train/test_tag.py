"""Tagging: what is learnt from a pass, and a run of training on a tiny base."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lextune.core.errors import ModelError
from lextune.expert.engines.transformers_ import TransformersEngine
from lextune.expert.head import HEAD_FILE, Head, tag_input
from lextune.expert.templates import Codec
from lextune.expert.weights import Base, Binding, load_backbone, read_binding, write_binding
from lextune.expert.windowing import WindowExample
from lextune.train.models import TagModel
from lextune.train.runs import RunOptions
from lextune.train.settings import LoraSettings, TrainConfig
from lextune.train.tag import passes, prepare_tag, prior_bias, rows_for, train_tag

FIELDS = ("Law", "Term", "Fee")
CONFIG = TrainConfig(
    epochs=2.4,
    batch=4,
    pass_tokens=128,
    lr=1e-2,
    head_lr=3e-2,
    checkpoint_steps=2,
    evaluations=3,
    lora=LoraSettings(r=4, alpha=8),
)


def _tensors(windows: list[WindowExample], codec: Codec, config: TrainConfig = CONFIG) -> dict[str, Any]:
    made = passes(len(FIELDS), codec.pad_id, config)
    return made.tensors(tuple(rows_for(windows, codec)))


@pytest.mark.parametrize("packing", [True, False])
def test_a_pass_carries_targets_and_leaves_out_what_is_ignored(
    packing: bool, codec: Codec, make_window: Callable[..., WindowExample]
) -> None:
    config = CONFIG.model_copy(update={"packing": packing})
    tensors = _tensors([make_window(5), make_window(0)], codec, config)
    assert tensors["target"].tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0], [1, 0, 0], *[[0, 0, 0]] * 3]
    assert tensors["weight"].tolist() == [[1, 1, 0]] * 8
    assert passes(len(FIELDS), codec.pad_id, config).items(rows_for([make_window(0)], codec)[0]) == 8.0


@pytest.mark.parametrize("packing", [True, False])
def test_places_are_those_of_the_sentences(
    packing: bool, codec: Codec, make_window: Callable[..., WindowExample]
) -> None:
    windows = [make_window(5), make_window(0, heading="Article I")]
    tensors = _tensors(windows, codec, CONFIG.model_copy(update={"packing": packing}))
    ids = tensors["inputs"]["input_ids"].flatten().tolist()
    found = [codec.decode(ids[a:b]).strip() for a, b in tensors["places"].tolist()]
    assert found == [text for window in windows for text in window.texts]


def test_ignored_labels_do_not_count(base: Base, codec: Codec, make_window: Callable[..., WindowExample]) -> None:
    torch.manual_seed(0)
    model = TagModel(base, CONFIG, [0.0] * len(FIELDS))
    tensors = _tensors([make_window(0), make_window(1)], codec)
    loss = model(**tensors)
    other = model(**{**tensors, "target": tensors["target"] + (tensors["weight"] == 0)})
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
    model = TagModel(base, CONFIG.model_copy(update={"positive_weight": 5.0}), [0.3, -0.2, 0.1])
    windows = [make_window(0), make_window(1)]
    tensors = _tensors(windows, codec)
    with torch.no_grad():
        loss = model(**tensors).item()
        logits = model.logits(tensors["inputs"], tensors["places"]).tolist()
    total = count = 0.0
    for row, target, weight in zip(logits, tensors["target"].tolist(), tensors["weight"].tolist(), strict=True):
        for x, yes, counts in zip(row, target, weight, strict=True):
            p = 1 / (1 + math.exp(-x))
            total += counts * (-5.0 * math.log(p) if yes else -math.log(1 - p))
            count += counts
    made = passes(len(FIELDS), codec.pad_id, CONFIG)
    assert loss == pytest.approx(total, rel=1e-4)
    assert count == sum(map(made.items, rows_for(windows, codec)))
    assert made.scale == 100.0, "the mean over labels, a hundredfold"


def test_the_bias_starts_at_the_share_of_positives(make_window: Callable[..., WindowExample]) -> None:
    bias = prior_bias([make_window(n) for n in range(6)], len(FIELDS))  # 24 sentences: 3 of law, 3 of term, none
    assert bias == pytest.approx([math.log(3.5 / 21.5), math.log(3.5 / 21.5), math.log(0.5 / 24.5)])


def test_training_lowers_the_loss_and_writes_an_adapter_and_a_head(
    base: Base, windows: dict[str, list[WindowExample]], tmp_path: Path
) -> None:
    from peft import PeftModel

    seen: list[tuple[int, int, float]] = []
    run = RunOptions(0, lambda step, steps, logs: seen.append((step, steps, logs["loss"])))
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
    assert head.weight.shape == (len(FIELDS), 128)
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
    def kill(step: int, *_: object) -> None:
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


@pytest.fixture
def earlier(base: Base, windows: dict[str, list[WindowExample]], tmp_path: Path) -> Path:
    """A run whose adapter has a head of FIELDS."""
    train_tag(base, windows, FIELDS, CONFIG, tmp_path / "first", RunOptions(0))
    named = {"base": base.name, "weights_sha256": base.weights_sha256, "tokenizer_sha256": base.tokenizer_sha256}
    write_binding(tmp_path / "first", Binding(**named, strategy="tag", template="t", head_fields=FIELDS))
    (tmp_path / "run.json").write_text('{"sft": "first"}')
    return tmp_path


def test_a_run_goes_on_from_an_earlier_adapter_and_its_head(
    base: Base, windows: dict[str, list[WindowExample]], earlier: Path
) -> None:
    more, head = CONFIG.model_copy(update={"init_adapter": str(earlier)}), Head.load(earlier / "first")
    begun = prepare_tag(base, windows, FIELDS, more, 1).model
    assert np.array_equal(begun.head.weight.detach().numpy(), head.weight)
    assert np.array_equal(begun.head.bias.detach().numpy(), head.bias)
    other = more.model_copy(update={"attention": "bidirectional"})
    with pytest.raises(
        ModelError, match=r"is of a model with causal attention \(asked for: bidirectional\)\n.*train.attention"
    ):
        prepare_tag(base, windows, FIELDS, other, 1)


def test_fields_of_the_same_name_go_on_and_others_begin_anew(
    base: Base, windows: dict[str, list[WindowExample]], earlier: Path
) -> None:
    more, head = CONFIG.model_copy(update={"init_adapter": str(earlier)}), Head.load(earlier / "first")
    fields = ("Fee", "Penalty", "Law", "Renewal")
    begun, fresh = (prepare_tag(base, windows, fields, config, 1).model.head for config in (more, CONFIG))
    for row, name in enumerate(fields):
        known = name in FIELDS
        weight = head.weight[FIELDS.index(name)] if known else fresh.weight[row].detach().numpy()
        bias = head.bias[FIELDS.index(name)] if known else fresh.bias[row].detach().numpy()
        assert np.array_equal(begun.weight[row].detach().numpy(), weight)
        assert begun.bias[row].detach().numpy() == bias


def test_a_head_that_does_not_name_its_fields_is_not_gone_on_from(
    base: Base, windows: dict[str, list[WindowExample]], earlier: Path
) -> None:
    binding = read_binding(earlier / "first")
    write_binding(earlier / "first", binding.model_copy(update={"head_fields": ()}))
    with pytest.raises(ModelError) as caught:
        prepare_tag(base, windows, FIELDS, CONFIG.model_copy(update={"init_adapter": str(earlier)}), 1)
    assert str(caught.value) == (
        f"train.init_adapter: {earlier / 'first'}: the head to go on from does not say which fields it scores\n"
        "  -> train that adapter again with this version, or train without init_adapter"
    )


@pytest.mark.parametrize("attention", ["causal", "bidirectional"])
def test_an_engine_reads_windows_as_training_did(
    attention: str, base: Base, codec: Codec, windows: dict[str, list[WindowExample]], tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"attention": attention, "precision": "fp32"})
    model = prepare_tag(base, windows, FIELDS, config, 0).model.eval()
    rows = rows_for(windows["validation"], codec)
    tensors = passes(len(FIELDS), codec.pad_id, config).tensors(tuple(rows))
    with torch.inference_mode():
        trained = model.logits(tensors["inputs"], tensors["places"]).numpy()
    engine = TransformersEngine(base, dtype="float32")
    engine.head = model.served_head()
    items = [tag_input(codec, e.heading, e.texts) for e in windows["validation"]]
    np.testing.assert_allclose(np.concatenate(engine.tag(items)), trained, atol=1e-4)
    engine.head.attention = "causal" if attention == "bidirectional" else "bidirectional"
    assert np.abs(np.concatenate(engine.tag(items)) - trained).max() > 1e-3
