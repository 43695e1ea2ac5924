"""The loss of what is learnt, without ever holding the logits of a whole pass."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

CHUNK = 512  # learnt tokens whose logits exist at one time


def token_losses(hidden: Any, head: Any, targets: Any, smoothing: float = 0.0) -> Any:
    """Return the cross-entropy of each target, fp32 [tokens].

    Args:
        hidden: [tokens, width], the states that predict.
        head: the language model's output layer, from width to vocabulary.
        targets: [tokens], ids.
        smoothing: share of the probability spread over the vocabulary (Szegedy et al. 2016, section 7).

    The logits of at most `CHUNK` tokens exist at one time, in the backward pass too, where they are computed again.
    """

    def of(states: Any, ids: Any) -> Any:
        logits = head(states).float()
        return torch.nn.functional.cross_entropy(logits, ids, reduction="none", label_smoothing=smoothing)

    pairs = zip(hidden.split(CHUNK), targets.split(CHUNK), strict=True)
    return torch.cat([checkpoint(of, states, ids, use_reentrant=False) for states, ids in pairs])
