"""Merging: the weights are what LoRA's formula says, and the answers stay."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lextune.core.artifacts import Artifact
from lextune.core.errors import ModelError
from lextune.core.stage import Context
from lextune.expert.engines.base import TagInput
from lextune.expert.engines.transformers_ import TransformersEngine
from lextune.expert.templates import Codec
from lextune.expert.weights import Base
from lextune.release.merge import MergeConfig, merge, run_merge

INPUT = [TagInput(ids=tuple(range(20, 52)), bounds=((0, 16), (16, 32)))]


def test_in_fp32_merging_changes_nothing(base: Base, make_adapter: Callable[..., Artifact]) -> None:
    plain = TransformersEngine(base, dtype="float32").hidden(INPUT)[0]
    engine = TransformersEngine(base, adapter=make_adapter().path, dtype="float32")
    before = engine.hidden(INPUT)[0]
    engine.merge_adapter()
    np.testing.assert_allclose(engine.hidden(INPUT)[0], before, atol=1e-5)
    assert np.abs(before - plain).max() > 0.1  # the adapter does change the base


def test_the_merged_weights_follow_loras_formula(
    base: Base, make_adapter: Callable[..., Artifact], tmp_path: Path
) -> None:
    """W + alpha / r * B A, computed in fp32 and stored in bf16 (Hu et al. 2021, arXiv 2106.09685)."""
    adapter = make_adapter().path
    merge(base.name, adapter, tmp_path)
    merged, before = load_file(tmp_path / "model.safetensors"), load_file(base.path / "model.safetensors")
    lora = load_file(adapter / "adapter_model.safetensors")
    changed = {n.removeprefix("base_model.model.").removesuffix(".lora_A.weight") for n in lora if "lora_A" in n}
    assert len(changed) == 14  # seven linear layers in each of two blocks
    for layer in changed:
        a, b = (lora[f"base_model.model.{layer}.lora_{side}.weight"] for side in "AB")
        wanted = (before[f"{layer}.weight"].double() + 8 / 4 * (b.double() @ a.double())).float().to(torch.bfloat16)
        assert torch.equal(merged[f"{layer}.weight"], wanted), layer
    for name in set(before) - {f"{layer}.weight" for layer in changed}:
        assert torch.equal(merged[name], before[name]), name


def test_the_folder_is_complete(base: Base, make_adapter: Callable[..., Artifact], tmp_path: Path) -> None:
    adapter = make_adapter()
    summary = run_merge(MergeConfig(base=base.name, openvino=False), {"adapter": adapter}, tmp_path, Context())
    assert summary == {"strategy": "tag", "openvino": False, "quantize": None}
    names = {f.name for f in tmp_path.iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "tag_head.safetensors", "model.json"} <= names
    note = json.loads((tmp_path / "model.json").read_text())
    assert note["fields"] == ["Law", "Term"]
    assert note["weights_sha256"] == base.weights_sha256
    assert (tmp_path / "tag_head.safetensors").read_bytes() == adapter.file("tag_head.safetensors").read_bytes()
    assert Codec(tmp_path).encode_plain("a clause") == Codec(base.path).encode_plain("a clause")


def test_an_adapter_of_another_base_is_refused(
    base: Base, make_adapter: Callable[..., Artifact], make_tiny_base: Callable[[int], Path], tmp_path: Path
) -> None:
    adapter, other = make_adapter().path, make_tiny_base(1)
    with pytest.raises(ModelError, match="this adapter was trained on another base: weights") as caught:
        merge(str(other), adapter, tmp_path)
    assert caught.value.do == f"use it with {base.name}, or train it again on {other}"
    assert not list(tmp_path.glob("*.safetensors"))


def test_an_adapter_without_a_binding_is_refused(
    base: Base, make_adapter: Callable[..., Artifact], tmp_path: Path
) -> None:
    adapter = make_adapter().path
    (adapter / "lextune.json").write_text("{")
    with pytest.raises(ModelError, match=r"an adapter without a readable lextune\.json"):
        merge(base.name, adapter, tmp_path)


def test_a_model_of_which_all_weights_were_trained_is_taken_as_it_is(base: Base, tmp_path: Path) -> None:
    from lextune.expert.weights import Binding, load_backbone, write_binding

    trained, out = tmp_path / "trained", tmp_path / "out"
    trained.mkdir()
    model = load_backbone(base, dtype="float32")
    with torch.no_grad():
        model.model.norm.weight.mul_(1.5)
    model.save_pretrained(trained)
    named = {"base": base.name, "weights_sha256": base.weights_sha256, "tokenizer_sha256": base.tokenizer_sha256}
    write_binding(trained, Binding(**named, strategy="text", template="t"))
    merge(base.name, trained, out)
    stored = load_file(out / "model.safetensors")
    assert torch.equal(stored["model.norm.weight"], model.model.norm.weight.detach().to(torch.bfloat16))
    assert (out / "tokenizer.json").is_file()
