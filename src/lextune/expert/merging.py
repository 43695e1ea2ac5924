"""What was trained as one model folder, in the precision that is served: adapter and base, or all the weights."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from lextune.core.artifacts import write_atomic
from lextune.expert.head import HEAD_FILE
from lextune.expert.weights import load_trained, read_binding, resolve_base

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


def folded(model: Any) -> Any:
    """Return the base of a PEFT model with its adapter folded in; another model as it is.

    Products are computed in float64: processors add in different orders, and all must round to the same weights.
    """
    if not hasattr(model, "peft_config"):
        return model
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.double()
    return model.merge_and_unload()


def merge(base_name: str, adapter: Path, out: Path) -> None:
    """Write base + adapter as one model folder of safetensors.

    Args:
        base_name: a name, a hub id, or a folder.
        adapter: what training wrote: a PEFT adapter, or, where all weights were trained, a model of its own.
        out: an existing folder.

    Raises:
        ModelError: the adapter was trained on another base.
    """
    import torch

    base = resolve_base(base_name)
    model = folded(load_trained(base, adapter, dtype="float32"))
    model.to(torch.bfloat16).save_pretrained(out)
    for name in TOKENIZER_FILES:
        if (base.path / name).is_file():
            shutil.copyfile(base.path / name, out / name)
    if (adapter / HEAD_FILE).is_file():
        shutil.copyfile(adapter / HEAD_FILE, out / HEAD_FILE)
    write_atomic(out / "model.json", read_binding(adapter).model_dump_json(indent=1))
