"""A language model's likelihoods, against a plain forward call."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lextune.expert.language import LanguageModel
from lextune.expert.scoring.general import asked, load_items
from lextune.expert.weights import load_backbone, resolve_base


def test_likelihoods_and_losses(tiny_base: Path, own_cache: Path) -> None:
    base = resolve_base(str(tiny_base))
    model = LanguageModel(base, "float32")
    plain = load_backbone(base, dtype="float32")
    for item in asked(load_items()[::40], model.codec):
        found = model.likelihoods([item])[0]
        for answer, value in zip(item.answers, found, strict=True):
            assert value == pytest.approx(_likelihood(plain, item.prompt, answer), abs=1e-3)
    text = "It rained all night and the window was open."
    ids = model.codec.encode_plain(text)
    loss, tokens = model.losses([text])[0]
    assert tokens == len(ids) - 1
    assert loss == pytest.approx(-_likelihood(plain, tuple(ids[:1]), tuple(ids[1:])), abs=1e-3)


def _likelihood(model: torch.nn.Module, prompt: tuple[int, ...], answer: tuple[int, ...]) -> float:
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
    return sum(float(logits[len(prompt) + n - 1, token]) for n, token in enumerate(answer))
