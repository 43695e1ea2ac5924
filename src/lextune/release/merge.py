"""Merge: adapter into base, in fp32, stored in the precision that is served (bf16), exported for OpenVINO."""

from __future__ import annotations

import json
from pathlib import Path

from lextune.core.recipe import Config
from lextune.core.stage import Context, Inputs, Stage, Summary
from lextune.expert.engines.openvino_ import export
from lextune.expert.engines.quantized import Bits
from lextune.expert.merging import merge

__all__ = ["STAGES", "MergeConfig", "merge", "run_merge"]


class MergeConfig(Config):
    """What to merge into."""

    base: str
    """The base model: a name, a hub id, or a folder."""
    openvino: bool = True
    """Whether the model is exported for OpenVINO too."""
    quantize: Bits | None = None
    """The bits of the weights of what is exported; null for the precision it is stored in."""


def run_merge(config: MergeConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Merge, then export what the strategy needs: a tagging graph or a generating one."""
    context.progress(0, 2, "merging")
    merge(config.base, inputs["adapter"].path, out)
    strategy = json.loads((out / "model.json").read_text(encoding="utf-8"))["strategy"]
    if config.openvino:
        context.progress(1, 2, "exporting for OpenVINO")
        export(out, strategy, config.quantize)
    return {"strategy": strategy, "openvino": config.openvino, "quantize": config.quantize}


STAGES = (
    Stage("merge", 2, ("adapter",), MergeConfig, run_merge, "model"),
    Stage("merge_sft", 2, ("adapter",), MergeConfig, run_merge, "model"),  # what DPO is compared with
)
