"""Learning from pairs, on the core that learns answers: both answers of a pair are branches of its prompt.

`forward` sums the losses of the pairs of a pass:

    sigmoid   -log sigmoid(beta h)          Rafailov et al. 2023, equation 7
    ipo       (h - 1 / (2 beta))^2          Azar et al. 2023, equation 17
    with      h = (log p(chosen) - log r(chosen)) - (log p(rejected) - log r(rejected))

where p is the model and r the reference; with length normalisation, each log-probability is a mean over tokens.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from lextune.expert.weights import Base
from lextune.train.adapter import build_model
from lextune.train.dpo_settings import DpoSettings
from lextune.train.loss import token_losses
from lextune.train.models import hidden_states
from lextune.train.settings import TrainConfig

FIGURES = ("rewards/chosen", "rewards/rejected", "rewards/margin", "rewards/accuracy", "logps/chosen", "logps/rejected")


class PairModel(torch.nn.Module):  # type: ignore[misc]
    """A language model that learns preferences; see `lextune.train.adapter.build_model`."""

    def __init__(self, base: Base, config: TrainConfig, settings: DpoSettings) -> None:
        super().__init__()
        self.model, self._settings = build_model(base, config), settings
        self._sums = {True: [0.0] * len(FIGURES), False: [0.0] * len(FIGURES)}
        self._counts = {True: 0, False: 0}

    def log_probabilities(
        self, inputs: dict[str, Any], sources: Any, targets: Any, owners: Any, pairs: int
    ) -> tuple[Any, Any]:
        """Return the summed log-probability of each answer, and its tokens: fp32 [pairs, 2], chosen first."""
        states = hidden_states(self.model, dict(inputs), 0.0)[sources]
        losses = token_losses(states, self.model.get_output_embeddings(), targets)
        sums = losses.new_zeros(2 * pairs).index_add(0, owners, -losses)
        return sums.view(pairs, 2), torch.bincount(owners, minlength=2 * pairs).view(pairs, 2)

    def forward(self, inputs: dict[str, Any], sources: Any, targets: Any, owners: Any, reference: Any) -> Any:
        """Return the summed loss of the pairs of a pass; `reference` [pairs, 2] holds the reference's sums."""
        sums, tokens = self.log_probabilities(inputs, sources, targets, owners, len(reference))
        losses = preference_losses(sums, reference, tokens, self._settings)
        self._note(sums.detach(), reference)
        if self._settings.sft_weight:
            losses = losses - self._settings.sft_weight * (sums / tokens)[:, 0]
        return losses.sum()

    def _note(self, sums: Any, reference: Any) -> None:
        rewards = self._settings.beta * (sums - reference)
        margins = rewards[:, 0] - rewards[:, 1]
        columns = [*rewards.unbind(1), margins, (margins > 0).float(), *sums.unbind(1)]
        noted = self._sums[self.training]
        self._sums[self.training] = [old + new.sum().item() for old, new in zip(noted, columns, strict=True)]
        self._counts[self.training] += len(sums)

    def figures(self) -> dict[str, float]:
        """Return the means of rewards and log-probabilities since the last call, of the mode the module is in."""
        count, sums = self._counts[self.training], self._sums[self.training]
        self._counts[self.training], self._sums[self.training] = 0, [0.0] * len(FIGURES)
        return {name: value / count for name, value in zip(FIGURES, sums, strict=True)} if count else {}


def preference_losses(sums: Any, reference: Any, tokens: Any, settings: DpoSettings) -> Any:
    """Return the loss of each pair, [pairs]; all three are [pairs, 2], chosen first."""
    ratios = sums - reference
    if settings.length_normalised:
        ratios = ratios / tokens
    h = ratios[:, 0] - ratios[:, 1]
    if settings.loss == "ipo":
        return (h - 1 / (2 * settings.beta)).square()
    return -torch.nn.functional.logsigmoid(settings.beta * h)


def loss_at_reference(settings: DpoSettings) -> float:
    """Return the loss of a model that is the reference: ln 2, and for IPO 1 / (4 beta^2)."""
    return 1 / (4 * settings.beta**2) if settings.loss == "ipo" else math.log(2)
