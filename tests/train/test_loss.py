"""The chunked loss beside torch's own; its gradients are in test_equality."""

from __future__ import annotations

import pytest
import torch

from lextune.train import loss
from lextune.train.loss import CHUNK, token_losses


@pytest.mark.parametrize("tokens", [1, CHUNK, CHUNK + 1])
def test_each_token_has_its_own_loss(tokens: int) -> None:
    torch.manual_seed(1)
    head, hidden = torch.nn.Linear(8, 30), torch.randn(tokens, 8)
    targets = torch.randint(30, (tokens,))
    with torch.no_grad():
        expected = [-head(state).log_softmax(-1)[target] for state, target in zip(hidden, targets, strict=True)]
        torch.testing.assert_close(token_losses(hidden, head, targets), torch.stack(expected))


def test_smoothing_spreads_a_share_of_the_probability() -> None:
    torch.manual_seed(1)
    head, hidden, targets = torch.nn.Linear(8, 5), torch.randn(3, 8), torch.tensor([0, 4, 2])
    wanted = torch.full((3, 5), 0.2 / 5)
    wanted[range(3), targets] += 0.8
    with torch.no_grad():
        expected = -(wanted * head(hidden).log_softmax(-1)).sum(-1)
        torch.testing.assert_close(token_losses(hidden, head, targets, 0.2), expected)


def test_no_more_logits_than_a_chunk_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss, "CHUNK", 7)
    seen: list[int] = []
    head = torch.nn.Linear(4, 9)
    head.register_forward_hook(lambda *call: seen.append(len(call[2])))
    hidden = torch.randn(20, 4, requires_grad=True)
    token_losses(hidden, head, torch.zeros(20, dtype=torch.long)).sum().backward()
    assert seen == [7, 7, 6, 6, 7, 7], "forward, and once more backward"


def test_bf16_states_give_an_fp32_loss() -> None:
    head = torch.nn.Linear(4, 9, dtype=torch.bfloat16)
    found = token_losses(torch.randn(3, 4, dtype=torch.bfloat16), head, torch.tensor([1, 2, 3]))
    assert found.dtype == torch.float32
