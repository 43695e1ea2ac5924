"""The model that a recipe would train, built without weights: which layers are adapted, and how much is trained."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from lextune.train.estimate import Tokens
from lextune.train.memory import Budget, Run
from lextune.train.settings import TrainConfig
from lextune.train.shapes import config_of, shape_of

MILLION = 1_000_000


class Outline(NamedTuple):
    """What would be trained of a base."""

    parameters: int
    """Weights of the base."""
    trained: int
    """Weights that are trained: of the adapter, or all; of the head too (`tag`)."""
    adapted: dict[str, int]
    """How many layers of each name are adapted."""


def outline(base: str, config: TrainConfig, fields: int) -> Outline:
    """Build the model on torch's meta device, which holds no numbers, with its adapter; count what is there.

    Args:
        base: a name, a hub id or a folder; only its `config.json` is read.
        config: settings of the run.
        fields: of the schema, for the head of `tag`.

    Raises:
        ModelError: no layer has a name that `train.lora.target` asks for, or the base is not a model.
        MachineError: see `lextune.train.shapes.config_of`.
    """
    import torch
    from accelerate import init_empty_weights
    from peft.tuners.lora import LoraLayer
    from transformers import AutoConfig, AutoModelForCausalLM

    from lextune.train.adapter import add_lora

    settings = AutoConfig.for_model(**config_of(base))
    with init_empty_weights():
        model = AutoModelForCausalLM.from_config(settings, dtype=torch.bfloat16)
    model.tie_weights()  # out there, since each weight that is set in here becomes one of its own
    parameters = sum(p.numel() for p in model.parameters())
    if config.method != "full":
        with init_empty_weights():
            model = add_lora(model, config.lora)
    adapted = Counter(n.rsplit(".", 1)[-1] for n, m in model.named_modules() if isinstance(m, LoraLayer))
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if config.strategy == "tag":
        trained += (2 * settings.hidden_size + 1) * fields
    return Outline(parameters, trained, dict(adapted))


def run_of(base: str, config: TrainConfig, fields: int, tokens: Tokens | None) -> Run:
    """Return a run to plan for on a machine that is not this one.

    Args:
        base: a name, a hub id or a folder; only its `config.json` is read.
        config: settings of the run.
        fields: of the schema.
        tokens: of the run; None where the base's tokenizer is not here: then a million, all learnt.

    Raises:
        ModelError, MachineError: see `outline` and `lextune.train.shapes`.
    """
    shape = shape_of(config_of(base), base)
    trained = outline(base, config, fields).trained
    if tokens is None:
        return Run(shape, config, trained, config.max_tokens, Budget(MILLION, MILLION, config.max_tokens))
    return Run(
        shape, config, trained, tokens.longest, Budget(tokens.trained, tokens.learnt, tokens.mean, tokens.evaluated)
    )
