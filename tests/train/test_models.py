"""What is trained, as modules: what sentences are read from, and what is of training alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from lextune.expert.head import Head
from lextune.expert.templates import Codec
from lextune.expert.weights import Base, load_backbone
from lextune.expert.windowing import WindowExample
from lextune.train import chat, tag
from lextune.train.adapter import noisy_embeddings
from lextune.train.batches import Row
from lextune.train.models import CausalModel, TagModel, pool
from lextune.train.settings import LoraSettings, TrainConfig

CONFIG = TrainConfig(strategy="text", precision="fp32", lora=LoraSettings(r=4))
ROWS = (Row((5, 6, 7, 8), ((9, 10, 2),), ((True,) * 3,)), Row((11, 12), ((13, 2),), ((True,) * 2,)))


def test_pool_is_the_mean_beside_the_last_state() -> None:
    hidden = torch.randn(33, 5, generator=torch.Generator().manual_seed(1))
    places = torch.tensor([[0, 4], [4, 5], [13, 22], [32, 33], [0, 33]])
    rows = []
    for first, end in places.tolist():
        states = hidden[first:end].tolist()
        rows.append([sum(column) / len(states) for column in zip(*states, strict=True)] + states[-1])
    torch.testing.assert_close(pool(hidden, places), torch.tensor(rows), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("packing", [True, False])
def test_training_reads_sentences_as_serving_does(
    packing: bool, base: Base, codec: Codec, make_window: Callable[..., WindowExample]
) -> None:
    """In a pass with others, a window's sentences are represented as they are alone, by the head that serves."""
    windows = [make_window(0), make_window(1, heading="A heading that makes this window longer than the other")]
    rows = tag.rows_for(windows, codec)
    config = CONFIG.model_copy(update={"packing": packing})
    model = TagModel(base, config, [0.1, 0.2, 0.3]).eval()
    tensors = tag.passes(3, codec.pad_id, config).tensors(tuple(rows))
    backbone = load_backbone(base, dtype="float32", head=False).eval()
    head = Head(model.head.weight.detach().numpy(), model.head.bias.detach().numpy())
    with torch.no_grad():
        together = model.logits(tensors["inputs"], tensors["places"]).numpy()
        alone = [backbone(input_ids=torch.tensor([row.prefix])).last_hidden_state[0].numpy() for row in rows]
    served = np.concatenate([head(states, row.extra.bounds) for states, row in zip(alone, rows, strict=True)])
    np.testing.assert_allclose(together, served, atol=2e-5)


def _loss(model: torch.nn.Module, config: TrainConfig, seed: int) -> float:
    torch.manual_seed(seed)
    with torch.no_grad():
        return float(model(**chat.passes(0, config).tensors(ROWS)))


@pytest.mark.parametrize(
    "changed", [{"neftune": 5.0}, {"label_smoothing": 0.2}, {"lora": LoraSettings(r=4, dropout=0.5)}]
)
@pytest.mark.parametrize("packing", [True, False])
def test_noise_smoothing_and_dropout_are_of_training_alone(changed: dict[str, Any], packing: bool, base: Base) -> None:
    config = CONFIG.model_copy(update={"packing": packing, **changed})
    torch.manual_seed(0)
    model = CausalModel(base, config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    training, again, other = (_loss(model.train(), config, seed) for seed in (1, 1, 2))
    evaluated = _loss(model.eval(), config, 1)
    assert training == again
    assert evaluated == _loss(model, config, 2)
    assert training != pytest.approx(evaluated, rel=1e-4)
    assert (training != other) == ("label_smoothing" not in changed), "only noise is drawn"
    plain = CausalModel(base, CONFIG)
    plain.load_state_dict(model.state_dict())
    assert evaluated == pytest.approx(_loss(plain.eval(), CONFIG, 1), rel=1e-5)


def test_the_noise_is_within_its_bounds(base: Base) -> None:
    """Uniform in +-size / sqrt(tokens x width) of each example (Jain et al. 2023, algorithm 1)."""
    model = load_backbone(base, dtype="float32")
    lengths = torch.tensor([[100] * 100 + [4] * 4])
    ids = torch.arange(104).unsqueeze(0) + 3
    torch.manual_seed(0)
    with torch.no_grad():
        clean = model.get_input_embeddings()(ids)
        noise = noisy_embeddings(model, ids, lengths, 5.0) - clean
        assert torch.equal(noisy_embeddings(model, ids, lengths, 0.0), clean)
    for part, length in ((noise[0, :100], 100), (noise[0, 100:], 4)):
        reach = 5.0 / (length * 64) ** 0.5
        assert part.abs().max() <= reach * (1 + 1e-4)
        assert part.abs().max() > 0.9 * reach
        assert float(part.std()) == pytest.approx(reach / 3**0.5, rel=0.15), "that of a uniform distribution"
        assert abs(float(part.mean())) < 0.2 * reach
