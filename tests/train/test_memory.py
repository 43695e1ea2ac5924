"""Shapes, memory and time: against models that are built, passes that are run, and numbers worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lextune.core.errors import MachineError, ModelError
from lextune.expert.weights import SMOLLM2, Base
from lextune.train.gpus import Machine, find_machine
from lextune.train.memory import GIB, Budget, Run, advise, flops, layer_bytes, memory, plan, weight_bytes
from lextune.train.outline import outline, run_of
from lextune.train.settings import LoraSettings, TrainConfig
from lextune.train.shapes import KNOWN, Shape, config_of, shape_of

MISTRAL, LLAMA_70B = "mistralai/Mistral-7B-Instruct-v0.3", "meta-llama/Llama-3.3-70B-Instruct"
ADAPTER = {MISTRAL: 41_943_040, LLAMA_70B: 207_093_760}  # of rank 16, all linear
PUBLISHED = {  # parameters, as each model's page gives them
    SMOLLM2: 134_515_008,
    MISTRAL: 7_248_023_552,
    "meta-llama/Llama-3.2-1B-Instruct": 1_235_814_400,
    "meta-llama/Llama-3.1-8B-Instruct": 8_030_261_248,
    LLAMA_70B: 70_553_706_496,
    "Qwen/Qwen2.5-7B-Instruct": 7_615_616_512,
    "Qwen/Qwen2.5-72B-Instruct": 72_706_203_648,
}


def _text(**values: Any) -> TrainConfig:
    return TrainConfig.model_validate({"strategy": "text", **values})


def _run(base: str, config: TrainConfig, *, longest: int = 1024) -> Run:
    return Run(KNOWN[base][1], config, ADAPTER[base], longest, Budget(1_000_000, 100_000, 500.0))


# shapes


@pytest.mark.parametrize("base", PUBLISHED)
def test_a_known_shape_has_the_published_parameters(base: str) -> None:
    assert KNOWN[base][1].parameters == PUBLISHED[base]


@pytest.mark.parametrize("base", [SMOLLM2, MISTRAL, LLAMA_70B, "Qwen/Qwen2.5-7B-Instruct"])
def test_a_model_without_weights_counts_the_same(base: str) -> None:
    found = outline(base, _text(), 1)
    shape = KNOWN[base][1]
    assert found.parameters == shape.parameters
    assert found.adapted == dict.fromkeys(shape.linear, shape.layers)
    assert found.trained == shape.layers * 16 * sum(a + b for a, b in shape.linear.values())
    assert found.trained == ADAPTER.get(base, found.trained)


def test_an_outline_counts_what_is_asked_for(tiny_base: Path) -> None:
    some = outline(str(tiny_base), _text(lora=LoraSettings(r=4, target=("q_proj", "down_proj"))), 1)
    assert some.adapted == {"q_proj": 2, "down_proj": 2}
    assert some.trained == 2 * 4 * ((64 + 64) + (128 + 64))
    head = outline(str(tiny_base), TrainConfig(lora=LoraSettings(r=4, target=("q_proj",))), 3)
    assert head.trained == 2 * 4 * (64 + 64) + (2 * 64 + 1) * 3
    full = outline(str(tiny_base), _text(method="full"), 1)
    assert (full.trained, full.adapted) == (full.parameters, {})
    with pytest.raises(ModelError, match="no layer to adapt is called"):
        outline(MISTRAL, _text(lora=LoraSettings(target=("query",))), 1)


def test_a_folders_own_config_gives_its_shape(tiny_base: Path, tmp_path: Path) -> None:
    config = config_of(str(tiny_base))
    assert shape_of(config, "tiny") == Shape(2, 64, 128, 4, 2, 16, 1000, tied=True)
    assert shape_of(config, "tiny").parameters == outline(str(tiny_base), _text(), 1).parameters
    assert shape_of({**config, "num_key_value_heads": None, "head_dim": None}, "t").keys == 64
    with pytest.raises(ModelError, match="a model folder without config"):
        config_of(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(ModelError, match="the memory of a model of type 'gpt2' cannot be estimated"):
        shape_of(config_of(str(tmp_path)), "gpt2")


def test_a_model_that_cannot_be_asked_about_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def offline(*_: Any, **__: Any) -> str:
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    with pytest.raises(MachineError, match="the shape of the model is not known here and the hub cannot be reached"):
        config_of("nobody/nothing")
    monkeypatch.undo()
    with pytest.raises(ModelError, match="not a model"):
        config_of("a b/c/d")


# memory


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"precision": "fp32"},
        {"packing": False},
        {"method": "full"},
        {"method": "full", "precision": "fp32"},
        {"method": "qlora"},
        {"lora": {"r": 4, "dropout": 0.1}},
        {"lora": {"r": 4, "target": ["q_proj", "v_proj"]}},
    ],
    ids=str,
)
def test_a_layer_keeps_what_a_real_pass_keeps(base: Base, values: dict[str, Any]) -> None:
    """The bytes that autograd saves in a forward pass, each tensor once, weights and their copies left out."""
    import torch

    from lextune.train.adapter import build_model
    from lextune.train.batches import Row, packed, padded
    from lextune.train.models import hidden_states

    config, tokens = _text(**{"lora": {"r": 4}, **values}), 300
    shape = shape_of(config_of(base.name), base.name)
    model = build_model(base, config)
    model.train()
    sizes = {tuple(p.shape) for p in model.parameters()} | {tuple(reversed(p.shape)) for p in model.parameters()}
    saved: dict[int, Any] = {}

    def keep(tensor: Any) -> Any:
        if tuple(tensor.shape) not in sizes:
            saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    row = Row(tuple(i % 900 for i in range(tokens)))
    inputs = (packed([row]) if config.packing else padded([row], 0))[0]
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        hidden_states(model, dict(inputs), 0.0)
    kept = sum(t.untyped_storage().nbytes() for t in saved.values()) / tokens
    full, size = config.method == "full", 2 if config.precision == "bf16" else 4
    # of a frozen embedding the first norm keeps nothing, as much as the last norm keeps
    last_norm, angles = (8 if full else 0) * shape.hidden, 2 * (4 if full else size) * shape.head_width
    expected = shape.layers * layer_bytes(shape, config) + last_norm + angles
    if config.lora.dropout and not full:  # a CPU's masks have 4 bytes, a GPU's 1
        expected += 3 * shape.layers * (5 * shape.hidden + shape.queries + shape.inner)
        expected -= 4 * 3 * shape.hidden  # the first queries, keys and values: nothing before them is learnt
    assert kept == pytest.approx(expected, rel=0.03)


def test_weights_have_the_size_of_their_precision() -> None:
    shape = KNOWN[LLAMA_70B][1]
    assert weight_bytes(shape, _text()) == 2 * shape.parameters
    assert weight_bytes(shape, _text(method="full")) == 4 * shape.parameters
    in_4_bits = weight_bytes(shape, _text(method="qlora"))
    outside = 2 * (2 * 128256 * 8192 + 161 * 8192)
    assert (in_4_bits - outside) * 8 / shape.in_layers == pytest.approx(4.127, abs=1e-3), "QLoRA gives 0.127 beside 4"


def test_what_is_trained_has_adams_states() -> None:
    shape = KNOWN[MISTRAL][1]
    assert memory(shape, _text(), 10**6, 64).trained == (4 + 2 + 12) * 10**6
    assert memory(shape, _text(precision="fp32"), 10**6, 64).trained == 16 * 10**6
    assert memory(shape, _text(), 10**6, 64, world=4, sharding="zero2").trained == (4 + 2 + 3) * 10**6
    assert memory(shape, _text(), 10**6, 64, world=4, sharding="fsdp").trained == (1 + 2 + 3) * 10**6
    whole = memory(shape, _text(), 10**6, 64)
    assert memory(shape, _text(), 10**6, 64, world=4, sharding="ddp") == whole
    layers = 2 * 2 * shape.in_layers / 32
    assert memory(shape, _text(), 10**6, 64, world=4, sharding="zero3").weights == whole.weights / 4 + layers


def test_a_pass_is_as_long_as_its_longest_example() -> None:
    shape, config = KNOWN[MISTRAL][1], _text(pass_tokens=1024)
    one = memory(shape, config, 0, 1024)
    assert memory(shape, config, 0, 64) == one
    assert memory(shape, config, 0, 4096).activations == 4 * one.activations
    again = memory(shape, config.model_copy(update={"gradient_checkpointing": True}), 0, 1024)
    assert again.activations < one.activations / 10
    assert one.logits == 512 * 32768 * 16
    assert memory(shape, TrainConfig(), 0, 64).logits == 0, "a tagger computes none"
    assert one.total == pytest.approx(1.05 * (one.weights + one.trained + one.activations + one.logits) + GIB)


# time


def test_operations_are_those_of_six_n_d() -> None:
    """Full training of short texts costs 6 operations a weight and token (Kaplan et al. 2020)."""
    shape = KNOWN[MISTRAL][1]
    budget = Budget(1000, 1000, 1.0)
    six = 6.0 * (shape.in_layers + shape.embedding) * 1000
    full = flops(shape, _text(method="full"), shape.parameters, budget)
    again = 2.0 * shape.embedding * 1000  # the head's logits are computed again
    assert full == pytest.approx(six + again, rel=1e-3)
    frozen = flops(shape, _text(), 0, budget)
    assert frozen == pytest.approx(six * 2 / 3 + again, rel=1e-3), "frozen weights need no gradient of their own"
    twice = flops(shape, _text(gradient_checkpointing=True), 0, budget)
    assert twice - frozen == pytest.approx(2.0 * shape.in_layers * 1000, rel=1e-3)
    read = flops(shape, _text(), 0, budget._replace(evaluated=500))
    assert read - frozen == pytest.approx(2.0 * shape.in_layers * 500, rel=1e-3)


def test_a_plan_costs_its_hours() -> None:
    run = _run(MISTRAL, _text(pass_tokens=4096))
    made = plan(run, find_machine("H100"), "ddp")
    compute = flops(run.shape, run.config, run.trained, run.budget) / (989.4e12 * 0.4)
    assert made.seconds == pytest.approx(compute + 30 + 2 * PUBLISHED[MISTRAL] / 1e9)
    assert made.dollars == pytest.approx(made.seconds / 3600 * 3.0)
    assert plan(run, find_machine("H100"), "ddp", price=1.0).dollars == pytest.approx(made.dollars / 3)
    four = plan(run, find_machine("4xH100"), "fsdp")
    assert four.tokens_per_second == pytest.approx(made.tokens_per_second * 4 * 0.8)
    assert four.memory.total < made.memory.total
    slow = plan(run._replace(config=run.config.model_copy(update={"pass_tokens": 32}), longest=32), made.machine, "ddp")
    read = 2 * (1_000_000 / 32) * 2 * PUBLISHED[MISTRAL] / 3350e9
    assert 1_000_000 / slow.tokens_per_second == pytest.approx(read), "small passes wait for the weights"


# advice


@pytest.mark.parametrize(
    ("base", "values", "gpu", "expected"),
    [
        (MISTRAL, {"pass_tokens": 4096}, "RTX-4090", ["--set train.pass_tokens=1024"]),
        (MISTRAL, {"pass_tokens": 16384}, "A100-80GB", ["--set train.pass_tokens=8192"]),
        (
            MISTRAL,
            {"pass_tokens": 2048},
            "RTX-3060",
            ["--set train.method=qlora", "--set train.gradient_checkpointing=true"],
        ),
        (
            LLAMA_70B,
            {"pass_tokens": 4096},
            "H100",
            ["--set train.method=qlora", "--set train.pass_tokens=1024"],
        ),
    ],
)
def test_the_advice_fits_and_changes_little(base: str, values: dict[str, Any], gpu: str, expected: list[str]) -> None:
    run, machine = _run(base, _text(**values)), find_machine(gpu)
    assert not plan(run, machine, "ddp").fits
    advice = advise(run, machine, "ddp")
    assert advice is not None
    assert advice.lines == expected
    assert advice.plan.fits
    changed = {name.removeprefix("train."): value for name, value in advice.settings.items()}
    again = run._replace(config=run.config.model_copy(update=changed))
    assert plan(again, machine, "ddp") == advice.plan, "what is advised is what was planned"


def test_a_pass_is_not_made_smaller_than_its_longest_example() -> None:
    advice = advise(_run(MISTRAL, _text(pass_tokens=4096), longest=4096), find_machine("A100-40GB"), "ddp")
    assert advice is not None
    assert advice.lines == ["--set train.gradient_checkpointing=true"]


def test_a_base_that_no_setting_brings_in_needs_another_machine() -> None:
    run = _run(LLAMA_70B, _text(method="qlora"))
    advice = advise(run, find_machine("RTX-3060"), "ddp")
    assert advice is not None
    assert advice.plan.fits
    assert advice.plan.machine.gpu.gib * advice.plan.machine.gpus > 45
    huge = run._replace(shape=run.shape._replace(layers=8000))
    assert advise(huge, Machine(find_machine("L4").gpu), "ddp") is None


def test_a_run_is_planned_without_its_tokenizer() -> None:
    run = run_of(MISTRAL, _text(max_tokens=2048), 1, None)
    assert (run.trained, run.longest) == (ADAPTER[MISTRAL], 2048)
    assert run.budget == Budget(1_000_000, 1_000_000, 2048)
