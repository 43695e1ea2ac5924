"""Weights of OpenVINO graphs in 8 or 4 bits, by NNCF, without calibration data.

The products of int8 graphs are computed in int8 where the processor can: activations are quantised as they come, in
groups of a row ("dynamic quantisation"). The groups are as large as the model's widths allow, which is fastest.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

Bits = Literal["int8", "int4"]
GROUPS = (256, 192, 128, 96, 64, 32)
INT4_GROUP = 64  # weights that share a scale


def quantize(graph: Path, bits: Bits) -> None:
    """Replace an exported graph (`.xml` with `.bin`) by one with weights in 8 or 4 bits; embeddings keep 8."""
    import logging

    import nncf
    import openvino
    import rich

    nncf.set_log_level(logging.ERROR)
    options: dict[str, Any] = {"mode": nncf.CompressWeightsMode.INT8_SYM}
    if bits == "int4":
        options = {"mode": nncf.CompressWeightsMode.INT4_SYM, "group_size": INT4_GROUP, "ratio": 1.0}
    console = rich.get_console()  # where NNCF draws its progress: on stdout, which is for results
    before, console.quiet = console.quiet, True
    try:
        model = nncf.compress_weights(openvino.Core().read_model(str(graph)), **options)
    finally:
        console.quiet = before
    staged = graph.with_name(f"quantized-{graph.name}")
    openvino.save_model(model, staged, compress_to_fp16=False)
    del model
    staged.with_suffix(".bin").replace(graph.with_suffix(".bin"))
    staged.replace(graph)


def activation_group(model: Path) -> int:
    """Return how many activations of a row share a scale: the most of GROUPS that divides the model's widths."""
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    widths = [config[name] for name in ("hidden_size", "intermediate_size") if name in config]
    return next((size for size in GROUPS if widths and all(width % size == 0 for width in widths)), GROUPS[-1])
