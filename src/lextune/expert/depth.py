"""The first layers of a base, as a base of its own: `smollm2-135m@20`.

A tagging head needs no more of a model than what it learns to read from, and both training and reading take time in
proportion to the layers. The weights are those of the whole base; its final norm stands after the last layer kept.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from lextune.core.errors import ModelError

if TYPE_CHECKING:
    from lextune.expert.weights import Base

MARK = "@"


def split_depth(name: str) -> tuple[str, int] | None:
    """Return the base and the number of layers that a name asks for; None where it names a whole base."""
    base, mark, layers = name.rpartition(MARK)
    return (base, int(layers)) if mark and base and layers.isdecimal() else None


def write_first_layers(base: Base, layers: int, folder: Path) -> None:
    """Write a model folder with the first layers of a base.

    Args:
        base: the whole one.
        layers: how many are kept, from 1 up to all.
        folder: where it is to be.

    Raises:
        ModelError: the base does not have so many layers.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    has = AutoConfig.from_pretrained(base.path).num_hidden_layers
    if not 1 <= layers <= has:
        raise ModelError(
            f"{base.name} has {has} layers, and {layers} are asked for", do=f"give 1 to {has} after {MARK}"
        )
    model = AutoModelForCausalLM.from_pretrained(base.path, dtype="auto", use_safetensors=True, trust_remote_code=False)
    model.model.layers = model.model.layers[:layers]
    model.config.num_hidden_layers = layers
    if getattr(model.config, "layer_types", None):
        model.config.layer_types = model.config.layer_types[:layers]
    model.save_pretrained(folder)
    for file in base.path.glob("tokenizer*"):
        shutil.copyfile(file, folder / file.name)
