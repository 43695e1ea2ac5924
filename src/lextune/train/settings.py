"""What a recipe says about training: every setting and its default."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from lextune.core.recipe import Config
from lextune.expert.head import Attention
from lextune.expert.quoting import Absent

Strategy = Literal["tag", "point", "text"]


class LoraSettings(Config):
    """The LoRA adapter (Hu et al. 2021)."""

    r: int = Field(16, ge=1)
    """Rank of each adapter matrix."""
    alpha: int = Field(32, ge=1)
    """The adapter's output is scaled by alpha / r."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the adapter's inputs dropped in training."""
    target: str | tuple[str, ...] = "all-linear"
    """The layers that are adapted: `all-linear`, a pattern of their names, or a list of their last names."""
    rslora: bool = False
    """Scale by alpha / sqrt(r) instead, for high ranks (Kalajdzievski 2023)."""
    dora: bool = False
    """Learn the size of each weight's columns apart from their direction (DoRA, Liu et al. 2024); slower."""


class TrainConfig(Config):
    """Supervised fine-tuning with AdamW."""

    strategy: Strategy = "tag"
    """`tag` scores sentences, `point` generates sentence numbers, `text` the words of a clause, or free text."""
    method: Literal["lora", "qlora", "full"] = "lora"
    """`lora` trains an adapter; `qlora` the same on a base in 4 bits (nf4, double quantisation); `full` all weights."""
    init_adapter: str | None = None
    """An adapter to go on from, of the same base and with the same `lora`: its folder, or that of a run or a compact
    release which has it, or `bundled` for the one of this package's expert; null for a new one."""
    attention: Attention = "causal"
    """`causal`: a token sees what stands before it, as the base learnt; `bidirectional`: its whole window (`tag`)."""
    epochs: float = Field(1.0, gt=0)
    """How many times each training token is seen."""
    steps: int | None = Field(None, ge=1)
    """The most optimizer steps, whatever the epochs; null for no limit."""
    lr: float = Field(5e-4, gt=0)
    """Peak learning rate of the adapter."""
    head_lr: float = Field(3e-3, gt=0)
    """Peak learning rate of the head (`tag`)."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls after the warm-up."""
    warmup: float = Field(0.1, ge=0, lt=1)
    """Share of the steps in which the learning rate rises from 0."""
    weight_decay: float = Field(0.0, ge=0)
    """Weight decay of AdamW."""
    batch: int = Field(8, ge=1)
    """Examples in one optimizer step, over all processes; for `text`, questions."""
    pass_tokens: int = Field(1024, ge=32)
    """Tokens computed at once: a step is divided into passes of so many; that changes its memory and not its result."""
    packing: bool = True
    """Put the examples of a pass one after another, each seeing itself alone; else pad them to the longest."""
    max_tokens: int = Field(1024, ge=32)
    """Tokens in the longest example that is trained on; longer ones are left out or refused."""
    precision: Literal["bf16", "fp32"] = "bf16"
    """Precision of the base's weights and of what is computed; the adapter's own weights are always fp32."""
    gradient_checkpointing: bool = False
    """Compute each layer again in the backward pass: less memory, about a third more time."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Share of each learnt token's probability spread over all tokens (`point`, `text`)."""
    neftune: float = Field(0.0, ge=0)
    """Size of the uniform noise on embeddings in training (NEFTune, Jain et al. 2023); 5 is usual."""
    negatives: float = Field(0.5, ge=0)
    """Training windows without a clause for each window with one."""
    absent_fields: int = Field(Absent().fields, ge=1)
    """Fields that a window does not state and that are asked of it all the same (`text`); it is asked all it states."""
    positive_weight: float = Field(3.0, gt=0)
    """Weight in the loss of a sentence that answers a field; others count 1 (`tag`)."""
    evaluations: int = Field(2, ge=1)
    """Evaluations on validation examples in a run; the best one's weights are kept."""
    evaluation_windows: int = Field(200, ge=1)
    """The most validation examples in one of them."""
    best_by: Literal["loss", "metric"] = "loss"
    """What is best: the lowest validation loss, or the best marks of validation documents that are read as in serving:
    micro F1 of fields, and for free text the share of words in common with the answer that was written (Jaccard)."""
    metric_documents: int = Field(8, ge=1)
    """How many validation documents the metric reads, the shortest first (`best_by: metric`)."""
    patience: int | None = Field(None, ge=1)
    """Stop after so many evaluations without a better one; null for never."""
    checkpoint_steps: int = Field(50, ge=1)
    """Optimizer steps between two checkpoints."""
    checkpoints_kept: int = Field(2, ge=1)
    """Newest whole checkpoints kept while training, beside the one being written."""
    report_to: tuple[Literal["wandb", "mlflow", "trackio", "tensorboard"], ...] = ()
    """Trackers that are told beside the local log and plots; their own settings come from the environment."""
    lora: LoraSettings = LoraSettings()
    """The adapter."""

    @model_validator(mode="after")
    def _possible(self) -> TrainConfig:
        if self.method == "full" and self.init_adapter is not None:
            raise ValueError("init_adapter: there is no adapter where all weights are trained (method: full)")
        if self.attention == "bidirectional" and self.strategy != "tag":
            raise ValueError("attention: only sentences that are tagged can be read in both directions")
        if self.method == "qlora" and self.precision == "fp32":
            raise ValueError("precision: qlora computes in bf16")
        return self
