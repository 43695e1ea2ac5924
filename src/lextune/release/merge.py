"""Merge: adapter into base, in fp32, stored in the precision that is served (bf16), exported for OpenVINO."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from lextune.core.artifacts import write_atomic
from lextune.core.recipe import Config
from lextune.core.stage import Context, Inputs, Stage, Summary
from lextune.expert.head import HEAD_FILE
from lextune.expert.weights import check_binding, load_backbone, resolve_base

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


class MergeConfig(Config):
    """What to merge into."""

    base: str
    """The base model: a name, a hub id, or a folder."""
    openvino: bool = True
    """Whether the model is exported for OpenVINO too."""


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


def run_merge(config: MergeConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Merge, then export what the strategy needs: a tagging graph or a generating one."""
    context.progress(0, 2, "merging")
    merge(config.base, inputs["adapter"].path, out)
    strategy = json.loads((out / "model.json").read_text(encoding="utf-8"))["strategy"]
    if config.openvino:
        from lextune.expert.engines.openvino_ import export_generator, export_tagger

        context.progress(1, 2, "exporting for OpenVINO")
        (export_tagger if strategy == "tag" else export_generator)(out, out)
    return {"strategy": strategy, "openvino": config.openvino}


STAGES = (Stage("merge", 1, ("adapter",), MergeConfig, run_merge, "model"),)
