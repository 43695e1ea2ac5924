"""General ability of a model in training, against a plain forward call for every answer."""

from __future__ import annotations

import pytest
import torch

from lextune.expert.scoring.general import asked, load_items
from lextune.expert.templates import Codec
from lextune.expert.weights import Base, load_backbone
from lextune.train import forgetting
from lextune.train.forgetting import GeneralAbility
from lextune.train.models import CausalModel, TagModel
from lextune.train.settings import LoraSettings, TrainConfig


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "load_items", lambda: load_items()[::9])


@pytest.mark.parametrize("packing", [True, False], ids=["packed", "padded"])
@pytest.mark.parametrize("strategy", ["tag", "point"])
def test_likelihoods_are_those_of_the_language_model(strategy: str, packing: bool, base: Base, codec: Codec) -> None:
    config = TrainConfig(strategy=strategy, precision="fp32", packing=packing, lora=LoraSettings(r=2, dropout=0.5))
    model = TagModel(base, config, [0.0]) if strategy == "tag" else CausalModel(base, config)
    model.train()
    found = GeneralAbility(codec, config)(model)
    assert model.training, "as it was"
    plain = load_backbone(base, dtype="float32")
    items = asked(load_items()[::9], codec)
    for place in (0, 3, len(items) - 1):
        values = [_likelihood(plain, items[place].prompt, answer) for answer in items[place].answers]
        assert found.likelihoods[place] == pytest.approx(values[0], abs=1e-3)
        assert found.right[place] == (values[0] > max(values[1:]))


def test_a_changed_adapter_shows(base: Base, codec: Codec) -> None:
    config = TrainConfig(lora=LoraSettings(r=2))
    model = TagModel(base, config, [0.0])
    ability = GeneralAbility(codec, config)
    before = ability(model).likelihood
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.5, generator=torch.Generator().manual_seed(0))
    assert ability(model).likelihood != pytest.approx(before, abs=0.001)


def _likelihood(model: torch.nn.Module, prompt: tuple[int, ...], answer: tuple[int, ...]) -> float:
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
    return sum(float(logits[len(prompt) + n - 1, token]) for n, token in enumerate(answer))
