"""QLoRA with bitsandbytes on this machine's CPU: the base stays in 4 bits, the rest in bf16, and it learns."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lextune.core.records import Message
from lextune.expert.point import ChatExample
from lextune.expert.weights import SMOLLM2, Base, resolve_base
from lextune.train.adapter import build_model
from lextune.train.chat import prepare_chat
from lextune.train.memory import weight_bytes
from lextune.train.runs import RunOptions
from lextune.train.settings import LoraSettings, TrainConfig
from lextune.train.shapes import KNOWN, config_of, shape_of
from lextune.train.trainer import train

CONFIG = TrainConfig(
    strategy="text", method="qlora", steps=2, epochs=9, batch=4, lr=2e-3, warmup=0, evaluations=2,
    lora=LoraSettings(r=4, alpha=8),
)  # fmt: skip


def _examples(count: int) -> list[ChatExample]:
    asked = [Message(role="user", content=f"Is clause {n} about liability?") for n in range(count)]
    return [ChatExample(document_id=f"d{n}", messages=(m,), completion="No clause.") for n, m in enumerate(asked)]


def _bytes(model: torch.nn.Module) -> int:
    """What a base takes: its 4-bit weights with their constants, and the rest."""
    total = 0
    for name, parameter in model.named_parameters():
        if "lora_" not in name:
            total += parameter.numel() * parameter.element_size()
            state = getattr(parameter, "quant_state", None)
            if state is not None:
                tables = (state.absmax, state.state2.absmax)
                total += sum(table.numel() * table.element_size() for table in tables)
    return total


def test_what_is_not_in_4_bits_stays_in_bf16(base: Base) -> None:
    """PEFT's own preparation makes it fp32: embeddings, head and norms."""
    from peft import prepare_model_for_kbit_training

    from lextune.train.adapter import load_in_4_bits

    ours = build_model(base, CONFIG)
    rest = [p for n, p in ours.named_parameters() if "lora_" not in n and type(p).__name__ != "Params4bit"]
    assert {p.dtype for p in rest} == {torch.bfloat16}
    assert not any(p.requires_grad for p in rest)
    naive = prepare_model_for_kbit_training(load_in_4_bits(base), use_gradient_checkpointing=False)
    assert naive.get_input_embeddings().weight.dtype == torch.float32
    shape = shape_of(config_of(base.name), base.name)
    assert _bytes(ours) == pytest.approx(weight_bytes(shape, CONFIG), rel=0.01)


def _gradient(model: torch.nn.Module) -> torch.Tensor:
    model.train().zero_grad()
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    model(input_ids=ids, labels=ids).loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.requires_grad])


def test_an_evaluation_does_not_stop_the_gradient(base: Base) -> None:
    """Where the CPU computes in bf16, bitsandbytes packs weights in an evaluation for good, and they cannot learn."""
    from bitsandbytes.functional import has_avx512bf16
    from bitsandbytes.nn import Linear4bit

    config = CONFIG.model_copy(update={"packing": False})
    torch.manual_seed(0)
    ours = build_model(base, config)
    before = _gradient(ours)
    with torch.no_grad():
        ours.eval()(input_ids=torch.tensor([[5, 6, 7]]))
    assert torch.equal(_gradient(ours), before)
    for layer in ours.modules():
        if isinstance(layer, Linear4bit):
            layer.support_avx512bf16_for_cpu = has_avx512bf16()
    with torch.no_grad():
        ours.eval()(input_ids=torch.tensor([[5, 6, 7]]))
    if has_avx512bf16():
        with pytest.warns(UserWarning, match="silently incorrect"):
            assert not torch.allclose(_gradient(ours), before, rtol=0.1)


@pytest.mark.slow
def test_smollm2_learns_in_4_bits_on_a_cpu(tmp_path: Path) -> None:
    from bitsandbytes.nn import Linear4bit

    base = resolve_base(SMOLLM2)
    prepared = prepare_chat(base, {"train": _examples(8), "validation": _examples(4)}, CONFIG, 0)
    layers = [m for m in prepared.model.modules() if isinstance(m, Linear4bit)]
    before = [layer.weight.detach().view(torch.uint8).clone() for layer in layers]
    assert len(layers) == 7 * 30
    result = train(prepared, CONFIG, tmp_path, RunOptions(0))
    assert result["steps"] == 2
    first, last = (point["value"] for point in result["curves"]["eval_loss"])
    assert last < first
    for layer, weight in zip(layers, before, strict=True):
        state = layer.weight.quant_state
        assert (state.quant_type, state.nested) == ("nf4", True)
        assert layer.weight.numel() * layer.weight.element_size() * 2 == state.shape.numel(), "4 bits a weight"
        assert torch.equal(layer.weight.detach().view(torch.uint8), weight), "and these bits are the same"
    assert _bytes(prepared.model.model) == pytest.approx(weight_bytes(KNOWN[SMOLLM2][1], CONFIG), rel=0.01)
    prepared.model.model.save_pretrained(tmp_path)
    assert (tmp_path / "adapter_model.safetensors").stat().st_size < 10e6
