"""The adapter: the fused layer beside PEFT's, PEFT's folders, every way to train, and what is refused."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file

from lextune.core.errors import MachineError, ModelError
from lextune.expert.weights import Base, Binding, load_backbone, resolve_base, write_binding
from lextune.train import chat
from lextune.train.adapter import add_lora, build_model, fuse
from lextune.train.batches import Row
from lextune.train.models import CausalModel
from lextune.train.runs import Prepared, RunOptions
from lextune.train.settings import LoraSettings, TrainConfig
from lextune.train.trainer import train

CONFIG = TrainConfig(strategy="text", precision="fp32", lora=LoraSettings(r=4, alpha=8))


def _random_b(model: torch.nn.Module) -> None:
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.05)


class Block(torch.nn.Module):
    """A linear layer with a name."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(24, 17, bias=bias)

    def forward(self, x: Any) -> Any:
        return self.layer(x)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rslora", [True, False])
@pytest.mark.parametrize("shape", [(5, 24), (1, 7, 24), (3, 2, 24)])
def test_the_fused_layer_is_pefts(bias: bool, rslora: bool, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model = get_peft_model(Block(bias), LoraConfig(r=4, lora_alpha=8, target_modules=["layer"], use_rslora=rslora))
    _random_b(model)
    x = torch.randn(shape)
    weigh = torch.randn(*shape[:-1], 17)
    found = []
    for fused in (False, True):
        assert fuse(model) if fused else True
        given = x.clone().requires_grad_()
        model.zero_grad()
        out = model(given)
        (out * weigh).sum().backward()
        learnt = {n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad}
        assert len(learnt) == 2
        found.append({"out": out.detach(), "x": given.grad, **learnt})
    for name, expected in found[0].items():
        torch.testing.assert_close(found[1][name], expected, atol=1e-5, rtol=1e-5)


def test_the_first_layer_needs_no_gradient_of_its_input() -> None:
    model = get_peft_model(Block(False), LoraConfig(r=4, target_modules=["layer"]))
    assert fuse(model)
    model(torch.randn(3, 24)).sum().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("settings", "fused"),
    [({}, True), ({"rslora": True}, True), ({"dropout": 0.1}, False), ({"dora": True}, False)],
)
def test_only_plain_layers_are_fused(settings: dict[str, Any], fused: bool, base: Base) -> None:
    model = build_model(base, CONFIG.model_copy(update={"lora": LoraSettings(r=4, **settings), "precision": "bf16"}))
    layers = [m for m in model.modules() if hasattr(m, "lora_A") and hasattr(m, "scaling")]
    assert len(layers) == 14, "seven in each of two blocks"
    assert {isinstance(layer.forward, partial) for layer in layers} == {fused}
    assert model.lextune_autocast is not fused
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    assert {p.dtype for p in model.parameters() if not p.requires_grad} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("target", "layers"), [("all-linear", 14), (("q_proj", "v_proj"), 4), (r".*\.0\..*(gate|up)_proj", 2)]
)
def test_the_layers_that_are_adapted(target: str | tuple[str, ...], layers: int, base: Base) -> None:
    model = add_lora(load_backbone(base), LoraSettings(target=target))
    assert sum("lora_A" in name for name, _ in model.named_parameters()) == layers
    assert not any("lm_head" in name for name, _ in model.named_parameters() if "lora" in name)


ROWS = [Row((5, 6, 7, 8 + n), ((9, 10 + n % 2, 2),), ((True,) * 3,)) for n in range(8)]


def _train(base: Base, config: TrainConfig, out: Path) -> tuple[CausalModel, dict[str, Any]]:
    torch.manual_seed(0)
    model = CausalModel(base, config)
    learnt = [p for p in model.parameters() if p.requires_grad]
    prepared = Prepared(model, {"train": ROWS, "validation": ROWS[:2]}, chat.passes(0, config), [{"params": learnt}])
    result = train(prepared, config, out, RunOptions(0))
    model.model.save_pretrained(out)
    binding = Binding(
        base=base.name,
        weights_sha256=base.weights_sha256,
        tokenizer_sha256=base.tokenizer_sha256,
        strategy="text",
        template="",
        fields=(),
    )
    write_binding(out, binding)
    return model, result


def _losses(result: dict[str, Any]) -> list[float]:
    return [point["value"] for point in result["curves"]["loss"]]


FAST = {"epochs": 6, "batch": 4, "lr": 2e-2}
WAYS: list[dict[str, Any]] = [
    {},
    {"lora": {"r": 4, "dropout": 0.1}},
    {"lora": {"r": 4, "dora": True}},
    {"lora": {"r": 4, "rslora": True}},
    {"lora": {"r": 4, "target": ["q_proj", "v_proj"]}},
    {"lora": {"r": 4, "dropout": 0.1}, "precision": "bf16"},
    {"lora": {"r": 4, "dora": True}, "precision": "bf16", "packing": False},
    {"neftune": 5.0, "label_smoothing": 0.1},
    {"gradient_checkpointing": True, "packing": False},
    {"schedule": "constant", "warmup": 0.0},
    {"method": "full", "lr": 2e-3},
    {"method": "full", "lr": 2e-3, "precision": "bf16"},
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(map(str, way.values())) or "lora")
def test_every_way_lowers_the_loss(way: dict[str, Any], base: Base, tmp_path: Path) -> None:
    config = TrainConfig.model_validate({"strategy": "text", "precision": "fp32", "lora": {"r": 4}, **FAST, **way})
    _, result = _train(base, config, tmp_path)
    assert _losses(result)[-1] < 0.8 * _losses(result)[0]
    assert (tmp_path / "adapter_model.safetensors").is_file() == (config.method != "full")
    assert (tmp_path / "model.safetensors").is_file() == (config.method == "full")


@pytest.mark.parametrize("settings", [{}, {"rslora": True}, {"dora": True}, {"dropout": 0.1}])
def test_pefts_own_loader_gives_the_same_outputs(settings: dict[str, Any], base: Base, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"lora": LoraSettings(r=4, **settings), **FAST})
    model, _ = _train(base, config, tmp_path)
    loaded = PeftModel.from_pretrained(load_backbone(base, dtype="float32"), tmp_path).eval()
    plain = load_backbone(base, dtype="float32").eval()
    model.model.set_attn_implementation("sdpa")
    ids = torch.tensor([[5, 6, 7, 8, 9, 10]])
    with torch.no_grad():
        trained, read, untrained = (m(input_ids=ids).logits for m in (model.eval().model, loaded, plain))
    torch.testing.assert_close(read, trained, atol=1e-4, rtol=1e-4)
    assert (read - untrained).abs().max() > 0.1
    assert {t.dtype for t in load_file(tmp_path / "adapter_model.safetensors").values()} == {torch.float32}


def test_all_weights_are_read_as_a_model(base: Base, tmp_path: Path) -> None:
    model, _ = _train(base, CONFIG.model_copy(update={"method": "full", **FAST, "lr": 2e-3}), tmp_path)
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    state = loaded.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in model.model.state_dict().items())


def test_weights_that_were_all_trained_are_no_adapter_to_go_on_from(base: Base, tmp_path: Path) -> None:
    _train(base, CONFIG.model_copy(update={"method": "full", **FAST, "lr": 2e-3}), tmp_path)
    with pytest.raises(ModelError, match=r"all weights were trained there: .*\n  -> give it as the base"):
        build_model(base, CONFIG.model_copy(update={"init_adapter": str(tmp_path)}))


def test_an_adapter_is_trained_further(base: Base, tmp_path: Path) -> None:
    first, before = _train(base, CONFIG.model_copy(update=FAST), tmp_path / "first")
    more = {**FAST, "init_adapter": str(tmp_path / "first"), "lora": LoraSettings(r=4, alpha=8, dropout=0.2)}
    goes_on = build_model(base, CONFIG.model_copy(update=more))
    started = {n: p for n, p in goes_on.named_parameters() if p.requires_grad}
    assert {f"model.{n}" for n in started} == {n for n, p in first.named_parameters() if p.requires_grad}
    assert all(torch.equal(p, dict(first.named_parameters())[f"model.{n}"]) for n, p in started.items())
    assert {m.p for m in goes_on.modules() if isinstance(m, torch.nn.Dropout)} == {0.2}, (
        "the recipe's, not the folder's"
    )
    _, after = _train(base, CONFIG.model_copy(update=more), tmp_path / "second")
    assert _losses(after)[0] < 0.8 * _losses(before)[0]
    assert _losses(after)[-1] < _losses(after)[0]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"r": 8}, "the adapter to go on from has rank 4 (asked for: 8)"),
        ({"alpha": 16}, "the adapter to go on from has alpha 8 (asked for: 16)"),
        ({"rslora": True, "dora": True}, "has rslora False (asked for: True), dora False (asked for: True)"),
        (
            {"target": ("q_proj",)},
            "has layers down_proj gate_proj k_proj o_proj q_proj up_proj v_proj (asked for: q_proj)",
        ),
    ],
)
def test_an_adapter_with_other_settings_is_refused(
    asked: dict[str, Any], message: str, base: Base, tmp_path: Path
) -> None:
    _train(base, CONFIG.model_copy(update={**FAST, "steps": 1}), tmp_path)
    lora = LoraSettings(**{"r": 4, "alpha": 8, **asked})
    with pytest.raises(ModelError) as caught:
        build_model(base, CONFIG.model_copy(update={"init_adapter": str(tmp_path), "lora": lora}))
    assert message in caught.value.what
    assert caught.value.where == f"train.init_adapter: {tmp_path}"
    assert caught.value.do == "give train.lora the adapter's own settings"


def test_an_adapter_of_another_base_is_refused(base: Base, make_tiny_base: Any, tmp_path: Path) -> None:
    _train(base, CONFIG.model_copy(update={**FAST, "steps": 1}), tmp_path)
    other = resolve_base(str(make_tiny_base(1)))
    with pytest.raises(ModelError, match="this adapter was trained on another base: weights"):
        build_model(other, CONFIG.model_copy(update={"init_adapter": str(tmp_path)}))
    (tmp_path / "lextune.json").unlink()
    with pytest.raises(ModelError, match=r"an adapter without a readable lextune\.json"):
        build_model(base, CONFIG.model_copy(update={"init_adapter": str(tmp_path)}))


@pytest.mark.parametrize("target", [("query", "value"), r".*\.attention\..*"])
def test_layers_that_are_not_there_are_refused_with_those_that_are(target: str | tuple[str, ...], base: Base) -> None:
    with pytest.raises(ModelError) as caught:
        add_lora(load_backbone(base), LoraSettings(target=target))
    assert caught.value.what.startswith(f"no layer to adapt is called {target!r} (")
    assert caught.value.where == "train.lora.target"
    assert caught.value.do == (
        "use all-linear, or some of down_proj, gate_proj, k_proj, lm_head, o_proj, q_proj, up_proj, v_proj"
    )


def test_4_bits_need_bitsandbytes(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(
        MachineError, match="bitsandbytes is not installed: the base cannot be read in 4 bits"
    ) as caught:
        build_model(base, TrainConfig(method="qlora"))
    assert caught.value.where == "train.method: qlora"
    assert caught.value.do == "pip install 'lextune[gpu]'"
