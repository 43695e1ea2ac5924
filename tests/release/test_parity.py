"""Parity: a faithful merge passes, anything else is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lextune.core.artifacts import Artifact
from lextune.core.errors import GateRefused
from lextune.core.stage import Context
from lextune.expert.build import LoadedModel
from lextune.expert.engines.scripted import ScriptedGenerator
from lextune.expert.engines.transformers_ import TransformersEngine
from lextune.expert.weights import Base
from lextune.release import parity
from lextune.release.merge import merge
from lextune.release.parity import ParityConfig, _first_difference, run_parity

Perturb = Callable[[dict[str, torch.Tensor]], None]


@pytest.fixture
def compared(
    base: Base,
    make_adapter: Callable[..., Artifact],
    make_examples: Callable[..., Artifact],
    seal: Callable[..., Artifact],
    schema_file: str,
    tmp_path: Path,
) -> Callable[..., dict[str, object]]:
    """Merge, change a weights file of the merged model, and compare; return the report."""

    def compare(
        strategy: str = "tag",
        task: str = "clause-extraction",
        file: str = "",
        perturb: Perturb | None = None,
        quantize: str | None = None,
        method: str = "lora",
    ) -> dict[str, object]:
        adapter = make_adapter(strategy, method)

        def fill(folder: Path) -> None:
            merge(base.name, adapter.path, folder)
            if perturb is not None:
                tensors = load_file(folder / file)
                perturb(tensors)
                save_file(tensors, folder / file, metadata={"format": "pt"})

        inputs = {
            "adapter": adapter,
            "model": seal("model", fill, {"quantize": quantize}),
            "examples": make_examples(task),
        }
        schema = "instruction" if task == "instruction" else schema_file
        config = ParityConfig(schema_name=schema, base=base.name, engine="transformers", windows=3)
        out = tmp_path / "out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        report = run_parity(config, inputs, out, Context())
        assert json.loads((out / "parity.json").read_text()) == report
        return report

    return compare


def _noise(tensors: dict[str, torch.Tensor]) -> None:
    torch.manual_seed(0)
    for name, weights in tensors.items():
        if "_proj" in name:
            weights += torch.randn_like(weights) * 0.3


def _not_a_number(tensors: dict[str, torch.Tensor]) -> None:
    tensors["model.norm.weight"][0] = float("nan")


def _other_bias(tensors: dict[str, torch.Tensor]) -> None:
    tensors["bias"] += 1


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_faithful_merge_passes(compared: Callable[..., dict[str, object]], method: str) -> None:
    report = compared(method=method)
    assert report["passed"] is True
    assert report["reason"] == ""
    assert report["windows"] == 3
    assert report["engine"] == "transformers"
    assert float(str(report["merged_fp32_max_change"])) < 1e-5
    assert 0 < float(str(report["served_mean_change"])) <= float(str(report["served_max_change"])) <= 0.05


@pytest.mark.parametrize(
    ("file", "perturb"),
    [
        ("model.safetensors", _noise),
        ("model.safetensors", _not_a_number),
        ("tag_head.safetensors", _other_bias),
    ],
)
def test_other_weights_or_another_head_are_refused(
    compared: Callable[..., dict[str, object]], tmp_path: Path, file: str, perturb: Perturb
) -> None:
    with pytest.raises(
        GateRefused, match=r"parity is broken: serving changes a probability by .*, over 0\.05"
    ) as caught:
        compared(file=file, perturb=perturb)
    assert caught.value.do is not None
    assert "merge again" in caught.value.do
    assert json.loads((tmp_path / "out" / "parity.json").read_text())["passed"] is False


def _slightly(tensors: dict[str, torch.Tensor]) -> None:
    tensors["bias"] += 0.5


def test_fewer_bits_may_change_more_but_not_in_the_mean(compared: Callable[..., dict[str, object]]) -> None:
    report = compared(quantize="int8")
    assert (report["passed"], report["quantize"]) == (True, "int8")
    with pytest.raises(
        GateRefused, match=r"broken: serving in int4 changes probabilities in the mean by .*, over 0\.01"
    ):
        compared(file="tag_head.safetensors", perturb=_slightly, quantize="int4")
    with pytest.raises(GateRefused, match=r"serving changes a probability by .*, over 0\.3; serving in int8 changes"):
        compared(file="model.safetensors", perturb=_noise, quantize="int8")


@pytest.mark.parametrize(
    ("strategy", "task"), [("text", "instruction"), ("point", "clause-extraction"), ("text", "clause-extraction")]
)
def test_generated_answers_stay_the_same(
    compared: Callable[..., dict[str, object]], monkeypatch: pytest.MonkeyPatch, strategy: str, task: str
) -> None:
    """Served in fp32, where a random model has no near-ties to fall on either side of."""
    start = TransformersEngine.__init__
    monkeypatch.setattr(
        TransformersEngine,
        "__init__",
        lambda self, base, **options: start(self, base, **{**options, "dtype": "float32"}),
    )
    report = compared(strategy, task)
    assert report["passed"] is True
    assert report["merged_fp32_same"] == 1.0
    assert report["strategy"] == strategy
    assert report["windows"] == 3


def test_generated_answers_of_other_weights_are_refused(compared: Callable[..., dict[str, object]]) -> None:
    with pytest.raises(GateRefused, match="the stored weights are not the merged ones"):
        compared("text", "instruction", "model.safetensors", _noise)


def test_an_engine_that_writes_something_else_is_refused(
    compared: Callable[..., dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ScriptedGenerator(lambda prompt, grammar: "something else")
    monkeypatch.setattr(LoadedModel, "generator", lambda self: other)
    monkeypatch.setattr(parity, "NEAR_TIE_NATS", 0.0)
    with pytest.raises(GateRefused, match=r"\d served answers differ where the reference was sure \(gap"):
        compared("text", "instruction")
    monkeypatch.setattr(parity, "ENOUGH", 1)
    with pytest.raises(GateRefused, match=r"100\.0% of \d served answers differ"):
        compared("text", "instruction")


def test_a_merge_that_changes_answers_is_refused(
    compared: Callable[..., dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    merge_well = TransformersEngine.merge_adapter

    def merged_badly(self: TransformersEngine) -> None:
        merge_well(self)
        with torch.no_grad():
            for weights in self._model.parameters():
                weights += torch.randn_like(weights) * 0.1

    monkeypatch.setattr(TransformersEngine, "merge_adapter", merged_badly)
    with pytest.raises(GateRefused, match=r"merging in fp32 changes a probability by .*, over 0\.01"):
        compared()
    with pytest.raises(GateRefused, match=r"merging in fp32 changed [0-9]+% of the answers"):
        compared("text", "instruction")


@pytest.mark.parametrize(
    ("a", "b", "place"), [([1, 2, 3], [1, 5, 3], 1), ([1, 2], [1, 2, 3], 2), ([], [1], 0), ([9], [1], 0)]
)
def test_the_first_difference(a: list[int], b: list[int], place: int) -> None:
    assert _first_difference(a, b) == place
    assert _first_difference(np.array(b).tolist(), a) == place
