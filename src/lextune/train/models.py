"""What is trained, as modules that give a loss: a language model that learns answers, and a tagger of sentences.

Both take a pass as `lextune.train.batches` lays it out, and return the sum of the losses of what is learnt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from lextune.expert.head import Head
from lextune.expert.weights import Base
from lextune.train.adapter import build_model, noisy_embeddings
from lextune.train.loss import token_losses
from lextune.train.settings import TrainConfig


def hidden_states(model: Any, inputs: dict[str, Any], neftune: float) -> Any:
    """Return the last hidden states of a pass, [batch * T, width]; the language model's head is not computed."""
    lengths = inputs.pop("lengths")
    if neftune and model.training:
        inputs["inputs_embeds"] = noisy_embeddings(model, inputs.pop("input_ids"), lengths, neftune)
    backbone = model.get_base_model().model if hasattr(model, "get_base_model") else model.model
    with torch.autocast(model.device.type, torch.bfloat16, enabled=model.lextune_autocast):
        hidden = backbone(**inputs, use_cache=False).last_hidden_state
    return hidden.reshape(-1, hidden.shape[-1])


class CausalModel(torch.nn.Module):  # type: ignore[misc]
    """A language model that learns answers; see `lextune.train.adapter.build_model`."""

    def __init__(self, base: Base, config: TrainConfig) -> None:
        super().__init__()
        self.model, self._config = build_model(base, config), config

    def forward(self, inputs: dict[str, Any], sources: Any, targets: Any, owners: Any) -> Any:
        """Return the summed cross-entropy of `targets`, each predicted at its place in `sources`."""
        states = hidden_states(self.model, dict(inputs), self._config.neftune)[sources]
        smoothing = self._config.label_smoothing if self.training else 0.0
        return token_losses(states, self.model.get_output_embeddings(), targets, smoothing).sum()


class TagModel(torch.nn.Module):  # type: ignore[misc]
    """A backbone under LoRA, and the head (fp32, its bias at the prior), which scores sentences."""

    def __init__(self, base: Base, config: TrainConfig, bias: Sequence[float]) -> None:
        super().__init__()
        self.model, self._config = build_model(base, config), config
        unused = self.model.get_output_embeddings()
        if unused.weight is not self.model.get_input_embeddings().weight:
            unused.requires_grad_(False)  # DDP waits for the gradient of whatever is trained
        self.head = torch.nn.Linear(2 * self.model.config.hidden_size, len(bias))
        torch.nn.init.normal_(self.head.weight, std=0.01)
        with torch.no_grad():
            self.head.bias.copy_(torch.tensor(bias))

    def served_head(self) -> Head:
        """Return a copy of the head as it is served."""
        weight, bias = (p.detach().float().cpu().numpy().copy() for p in (self.head.weight, self.head.bias))
        return Head(weight, bias, self._config.attention)

    def logits(self, inputs: dict[str, Any], places: Any) -> Any:
        """Return logits [sentences, fields]."""
        states = pool(hidden_states(self.model, dict(inputs), self._config.neftune).float(), places)
        return self.head(states.to(self.head.weight.dtype)).float()

    def forward(self, inputs: dict[str, Any], places: Any, target: Any, weight: Any) -> Any:
        """Return the summed, weighted binary cross-entropy of `target` [sentences, fields]."""
        logits = self.logits(inputs, places)
        return torch.nn.functional.binary_cross_entropy_with_logits(
            logits, target, weight=weight, pos_weight=logits.new_tensor(self._config.positive_weight), reduction="sum"
        )


def pool(hidden: Any, places: Any) -> Any:
    """Return [sentences, 2 * width] from hidden states [tokens, width]: mean beside last state.

    `places` is [sentences, 2]: first token, one past the last. The mean is a difference of running sums, in fp32.
    """
    first, end = places.unbind(1)
    sums = torch.nn.functional.pad(hidden.cumsum(0), (0, 0, 1, 0))
    mean = (sums[end] - sums[first]) / (end - first).unsqueeze(1)
    return torch.cat([mean, hidden[end - 1]], dim=1)
