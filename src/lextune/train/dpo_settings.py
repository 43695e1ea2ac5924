"""What a recipe says about preferences and learning from them: every setting and its default."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lextune.core.recipe import Config

Loss = Literal["sigmoid", "ipo", "kto", "orpo"]
TRL_LOSSES = ("kto", "orpo")  # that TRL's trainers compute


class PairSettings(Config):
    """Preference pairs: the gold answer, and what the model said instead."""

    windows: int = Field(1200, ge=1)
    """The most windows (or rows) of the part kept out of SFT that the model answers."""
    empty: float = Field(0.5, ge=0, le=1)
    """Share of them without a clause (or whose answer is null)."""
    samples: int = Field(2, ge=0)
    """Answers drawn for each, beside the most probable one."""
    temperature: float = Field(0.8, gt=0)
    """Temperature that they are drawn at."""
    per_kind: int = Field(200, ge=1)
    """The most pairs of one kind of mistake."""
    made: int = Field(40, ge=0)
    """Where a kind has fewer pairs than this, more are made by editing gold answers, and then as many as it takes for
    null to be refused as often as it is chosen; 0 for never."""
    human: str | None = None
    """File of people's preferences, JSON Lines of `prompt`, `chosen` and `rejected`; those with text of a test
    document are left out, all others are taken."""


class DpoSettings(Config):
    """Direct preference optimisation, going on from the SFT adapter, which is the reference (Rafailov et al. 2023)."""

    kept_out: float = Field(0.2, gt=0, lt=1)
    """Share of the training documents that SFT does not see; pairs are mined on them."""
    pairs: PairSettings = PairSettings()
    """Where pairs come from."""
    loss: Loss = "sigmoid"
    """`sigmoid` (DPO), `ipo` (Azar et al. 2023), `kto` (Ethayarajh et al. 2024), `orpo` (Hong et al. 2024)."""
    beta: float = Field(0.1, gt=0)
    """How strongly the model is held to the reference; with `ipo` its tau, with `orpo` the weight of the odds."""
    length_normalised: bool = False
    """Divide an answer's log-probability by its tokens (`sigmoid`, `ipo`; the authors of IPO do)."""
    sft_weight: float = Field(0.0, ge=0)
    """Weight of the chosen answer's own loss a token beside it (`sigmoid`, `ipo`; RPO, Pang et al. 2024)."""
    validation: float = Field(0.1, gt=0, lt=1)
    """Share of the documents with pairs that are held out to choose the best weights."""
    lr: float = Field(5e-5, gt=0)
    """Peak learning rate of the adapter."""
    epochs: float = Field(1.0, gt=0)
    """How many times each pair is seen."""
    steps: int | None = Field(None, ge=1)
    """The most optimizer steps, whatever the epochs; null for no limit."""
    batch: int = Field(8, ge=1)
    """Pairs in one optimizer step, over all processes."""
    evaluations: int = Field(2, ge=1)
    """Evaluations on held-out pairs in a run; the best one's weights are kept."""
