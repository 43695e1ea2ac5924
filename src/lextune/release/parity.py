"""Parity: the adapter, the merged model and the served model must say the same.

`tag`: largest change of any probability, against the adapter in fp32: 0.01 for the merged model in fp32, 0.05
for what is served in bf16. `point` and `text`: the merged model in fp32 writes the same tokens; the served one
does on at least 99 % of prompts, or parts from them only where the reference's two best tokens lie within 0.1 nat.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lextune.core.artifacts import read_jsonl, write_atomic
from lextune.core.errors import ModelError
from lextune.core.recipe import Config
from lextune.core.stage import Context, Inputs, Stage, Summary
from lextune.expert.build import load_model
from lextune.expert.engines.base import GenerateOptions
from lextune.expert.engines.transformers_ import TransformersEngine
from lextune.expert.head import Head, tag_input
from lextune.expert.point import ChatExample
from lextune.expert.schema import load_schema
from lextune.expert.task import as_chat
from lextune.expert.weights import resolve_base
from lextune.expert.windowing import WindowExample

FP32_LIMIT, SERVED_LIMIT = 0.01, 0.05
SAME_SHARE, NEAR_TIE_NATS = 0.99, 0.1


class ParityConfig(Config):
    """How many validation windows or prompts are compared."""

    schema_name: str
    """A built-in schema, or the path of a YAML file with one."""
    base: str
    """The base model: a name, a hub id, or a folder."""
    engine: str = "openvino"
    """The engine that runs the model: `openvino` or `transformers`."""
    windows: int = 24
    """How many validation windows or prompts are compared."""


def run_parity(config: ParityConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Compare adapter, merged and served; refuse a model that does not say the same.

    Raises:
        ModelError: a limit is broken.
    """
    strategy = inputs["model"].json("model.json")["strategy"]
    compare = _compare_tags if strategy == "tag" else _compare_texts
    report = compare(config, inputs, context)
    write_atomic(out / "parity.json", json.dumps(report, indent=1))
    if not report["passed"]:
        raise ModelError(
            f"parity is broken: {report['reason']}",
            where=str(inputs["model"].path.name),
            do="compare the packages' versions with the recorded ones, merge again, or raise the precision",
        )
    return report


def _compare_tags(config: ParityConfig, inputs: Inputs, context: Context) -> dict[str, Any]:
    import numpy as np

    rows = list(read_jsonl(inputs["examples"].file("validation.jsonl"), WindowExample))[: config.windows]
    served = load_model(inputs["model"].path, config.engine)
    items = [tag_input(served.codec, e.heading, e.texts) for e in rows]
    base, adapter = resolve_base(config.base), inputs["adapter"].path
    head = Head.load(adapter)

    def probabilities(logits: Sequence[Any]) -> Any:
        return 1 / (1 + np.exp(-np.concatenate([m.reshape(-1) for m in logits])))

    context.progress(0, 3, "adapter in fp32")
    reference_engine = TransformersEngine(base, adapter=adapter, dtype="float32")
    reference = probabilities([head(h, i.bounds) for h, i in zip(reference_engine.hidden(items), items, strict=True)])
    context.progress(1, 3, "merged in fp32")
    reference_engine.merge_adapter()
    merged = probabilities([head(h, i.bounds) for h, i in zip(reference_engine.hidden(items), items, strict=True)])
    context.progress(2, 3, "served")
    answers = probabilities(served.tagger().tag(items))
    fp32 = float(np.abs(reference - merged).max())
    bf16 = float(np.abs(reference - answers).max())
    reasons = [
        f"{name} changes a probability by {value:.4f}, over {limit}"
        for name, value, limit in (("merging in fp32", fp32, FP32_LIMIT), ("serving", bf16, SERVED_LIMIT))
        if not value <= limit  # a NaN is over every limit
    ]
    return {
        "strategy": "tag",
        "windows": len(rows),
        "merged_fp32_max_change": fp32,
        "served_max_change": bf16,
        "served_mean_change": float(np.abs(reference - answers).mean()),
        "engine": config.engine,
        "passed": not reasons,
        "reason": "; ".join(reasons),
    }


def _compare_texts(config: ParityConfig, inputs: Inputs, context: Context) -> dict[str, Any]:
    windows = inputs["examples"].manifest.config["task"] == "clause-extraction"
    model: Any = WindowExample if windows else ChatExample
    schema = load_schema(config.schema_name)
    rows = list(read_jsonl(inputs["examples"].file("validation.jsonl"), model))[: config.windows]
    served = load_model(inputs["model"].path, config.engine)
    prompts = [served.codec.prompt(as_chat(schema, e).messages) for e in rows]
    options = GenerateOptions(max_tokens=48)
    reference_engine = TransformersEngine(resolve_base(config.base), adapter=inputs["adapter"].path, dtype="float32")
    context.progress(0, 3, "adapter in fp32")
    reference = [g.ids for g in reference_engine.generate(prompts, options)]
    context.progress(1, 3, "merged in fp32")
    reference_engine.merge_adapter()
    merged = [g.ids for g in reference_engine.generate(prompts, options)]
    context.progress(2, 3, "served")
    answers = [g.ids for g in served.generator().generate(prompts, options)]
    gaps = [
        reference_engine.top_two_gap([*p, *r[: _first_difference(r, a)]])
        for p, r, a in zip(prompts, reference, answers, strict=True)
        if r != a
    ]
    same = 1 - len(gaps) / max(1, len(prompts))
    fp32_same = sum(r == m for r, m in zip(reference, merged, strict=True)) / max(1, len(prompts))
    wide = [g for g in gaps if g >= NEAR_TIE_NATS]
    reasons = [f"merging in fp32 changed {1 - fp32_same:.0%} of the answers"] if fp32_same < 1 else []
    if same < SAME_SHARE and wide:
        reasons.append(f"{len(wide)} served answers differ where the reference was sure (gap {max(wide):.2f} nat)")
    return {
        "strategy": inputs["model"].json("model.json")["strategy"],
        "windows": len(rows),
        "merged_fp32_same": fp32_same,
        "served_same": same,
        "near_tie_gaps": [round(g, 4) for g in gaps],
        "engine": config.engine,
        "passed": not reasons,
        "reason": "; ".join(reasons),
    }


def _first_difference(a: Sequence[int], b: Sequence[int]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


STAGES = (Stage("parity", 1, ("adapter", "model", "examples"), ParityConfig, run_parity, "parity"),)
