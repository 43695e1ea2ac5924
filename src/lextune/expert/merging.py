"""An adapter folded into its base: one model folder, in the precision that is served."""

from __future__ import annotations

import shutil
from pathlib import Path

from lextune.core.artifacts import write_atomic
from lextune.expert.head import HEAD_FILE
from lextune.expert.weights import check_binding, load_backbone, resolve_base

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


def merge(base_name: str, adapter: Path, out: Path) -> None:
    """Write base + adapter as one model folder of safetensors.

    Raises:
        ModelError: the adapter was trained on another base.
    """
    import torch
    from peft import PeftModel

    base = resolve_base(base_name)
    binding = check_binding(adapter, base)
    model = PeftModel.from_pretrained(load_backbone(base, dtype="float32"), adapter).merge_and_unload()
    model.to(torch.bfloat16).save_pretrained(out)
    for name in TOKENIZER_FILES:
        if (base.path / name).is_file():
            shutil.copyfile(base.path / name, out / name)
    if (adapter / HEAD_FILE).is_file():
        shutil.copyfile(adapter / HEAD_FILE, out / HEAD_FILE)
    write_atomic(out / "model.json", binding.model_dump_json(indent=1))
