"""Perplexity on general prose (`resources/general/prose.jsonl`): how well a model still predicts everyday text.

exp(total negative log-likelihood / total tokens), in nats, over all texts together; a text's first token is given.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib import resources

import numpy as np

from lextune.expert.scoring.intervals import Array, Bootstrap, Score, ratio

Losses = Callable[[Sequence[str]], Sequence[tuple[float, int]]]
"""Gives, for each text, its negative log-likelihood (nats) and how many tokens were predicted."""


def load_prose() -> list[str]:
    """Return the texts of the package."""
    text = resources.files("lextune.resources").joinpath("general/prose.jsonl").read_text(encoding="utf-8")
    return [json.loads(line)["text"] for line in text.splitlines()]


def loss_table(texts: Sequence[str], losses: Losses) -> Array:
    """Return texts by (negative log-likelihood, tokens)."""
    return np.array(losses(texts), dtype=np.float64).reshape(len(texts), 2)


def perplexity(sums: Array) -> Array:
    """Return exp(loss / tokens) of sums (..., 2)."""
    return np.asarray(np.exp(ratio(sums[..., 0], sums[..., 1])))


def score_prose(table: Array, *, seed: int = 0) -> Score:
    """Return the perplexity with its interval, bootstrapped over texts; n counts tokens."""
    return Bootstrap(len(table), seed=seed).score(table, perplexity, int(table[:, 1].sum()))
