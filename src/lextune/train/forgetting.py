"""General ability of the model in training: what it still knows of what the base knew.

It is read from the language model under the adapter, with the passes and kernels of training. A `tag` adapter is
trained through a head of its own; the language model's head over the same backbone still shows what became of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lextune.expert.scoring.general import Asked, General, load_items, score_general
from lextune.expert.templates import Codec
from lextune.train.batches import Row, divide
from lextune.train.settings import TrainConfig


class GeneralAbility:
    """Scores a `TagModel` or `CausalModel` as it is.

    Args:
        codec: of the base.
        config: how passes are made: `pass_tokens` and `packing`.
    """

    def __init__(self, codec: Codec, config: TrainConfig) -> None:
        self._codec, self._config, self._items = codec, config, load_items()

    def __call__(self, module: Any) -> General:
        """Return how the module does; its weights and mode stay as they are."""
        training = module.training
        module.eval()
        try:
            return score_general(self._items, self._codec, lambda items: self._likelihoods(module, items))
        finally:
            module.train(training)

    def _likelihoods(self, module: Any, items: Sequence[Asked]) -> list[list[float]]:
        import torch

        from lextune.train.chat import passes
        from lextune.train.loss import token_losses
        from lextune.train.models import hidden_states
        from lextune.train.trainer import on_device

        rows = [
            Row(item.prompt, item.answers, tuple((True,) * len(a) for a in item.answers), extra=place)
            for place, item in enumerate(items)
        ]
        tensors = passes(self._codec.pad_id, self._config).tensors
        head, device = module.model.get_output_embeddings(), next(module.parameters()).device
        found: dict[tuple[int, tuple[int, ...]], float] = {}
        with torch.no_grad():
            for one in divide(rows, self._config):
                given = on_device(tensors(one), device)
                states = hidden_states(module.model, dict(given["inputs"]), 0.0)[given["sources"]]
                losses = token_losses(states, head, given["targets"])
                answers = [(row.extra, branch) for row in one for branch in row.branches]
                sums = losses.new_zeros(len(answers)).index_add_(0, given["owners"], losses)
                found |= dict(zip(answers, (-sums).tolist(), strict=True))
        return [[found[place, answer] for answer in item.answers] for place, item in enumerate(items)]
