"""Parity: the adapter, the merged model and the served model must say the same.

`tag`: largest change of any probability, against the adapter in fp32: 0.01 for the merged model in fp32, 0.05
for what is served in bf16; of weights in fewer bits, whose thresholds are their own, 0.3, and 0.01 in the mean.
`point` and `text`: merging in fp32 changes no token; the engine that serves writes the same as the stored weights do in
fp32 on at least 99 % of 200 prompts or more, and parts from them only where their two best tokens lie within 0.1 nat.
How often storing in bf16 itself changes an answer is recorded as `stored_same`: it is a property of the precision
served, not of an engine.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from lextune.core.artifacts import read_jsonl, write_atomic
from lextune.core.errors import GateRefused
from lextune.core.recipe import Config
from lextune.core.stage import Context, Inputs, Stage, Summary
from lextune.expert.build import load_model
from lextune.expert.engines.base import GenerateOptions, Generator
from lextune.expert.engines.transformers_ import TransformersEngine
from lextune.expert.grammar import point_grammar
from lextune.expert.head import Head, tag_input
from lextune.expert.quoting import Absent
from lextune.expert.schema import load_schema
from lextune.expert.tasks import Example, as_chats
from lextune.expert.templates import Codec
from lextune.expert.weights import resolve_base
from lextune.expert.windowing import WindowExample

FP32_LIMIT, SERVED_LIMIT = 0.01, 0.05
QUANTIZED_LIMIT, QUANTIZED_MEAN = 0.3, 0.01
SAME_SHARE, NEAR_TIE_NATS = 0.99, 0.1
ENOUGH = 200  # prompts from which on a share of 99 % can be asked for


class ParityConfig(Config):
    """How many validation windows or prompts are compared."""

    schema_name: str
    """A built-in schema, or the path of a YAML file with one."""
    base: str
    """The base model: a name, a hub id, or a folder."""
    engine: str = "openvino"
    """The engine that runs the model: `openvino`, `openvino-f32` or `transformers`."""
    windows: int = 24
    """How many validation windows or prompts are compared."""


def run_parity(config: ParityConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Compare adapter, merged and served; refuse a model that does not say the same.

    Raises:
        GateRefused: a limit is broken.
    """
    strategy = inputs["model"].json("model.json")["strategy"]
    compare = _compare_tags if strategy == "tag" else _compare_texts
    report = compare(config, inputs, context)
    write_atomic(out / "parity.json", json.dumps(report, indent=1))
    if not report["passed"]:
        raise GateRefused(
            f"parity is broken: {report['reason']}",
            where=str(inputs["model"].path.name),
            do="compare the packages' versions with the recorded ones, merge again, "
            "or let the engine compute in fp32 (release.engine: openvino-f32)",
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
    served_change = float(np.abs(reference - answers).max())
    mean, bits = float(np.abs(reference - answers).mean()), inputs["model"].manifest.config.get("quantize")
    limits = [("merging in fp32 changes a probability", fp32, FP32_LIMIT)]
    limits.append(("serving changes a probability", served_change, QUANTIZED_LIMIT if bits else SERVED_LIMIT))
    if bits:
        limits.append((f"serving in {bits} changes probabilities in the mean", mean, QUANTIZED_MEAN))
    reasons = [
        f"{what} by {value:.4f}, over {limit}"
        for what, value, limit in limits
        if not value <= limit  # a NaN is over every limit
    ]
    return {
        "strategy": "tag",
        "windows": len(rows),
        "merged_fp32_max_change": fp32,
        "served_max_change": served_change,
        "served_mean_change": mean,
        "quantize": bits,
        "engine": config.engine,
        "passed": not reasons,
        "reason": "; ".join(reasons),
    }


def _compare_texts(config: ParityConfig, inputs: Inputs, context: Context) -> dict[str, Any]:
    served = load_model(inputs["model"].path, config.engine)
    prompts, grammars = _prompts(config, inputs, served.codec)
    options = GenerateOptions(max_tokens=48)

    def answers(engine: Generator) -> list[tuple[int, ...]]:
        return [g.ids for g in engine.generate(prompts, options, grammars)]

    context.progress(0, 4, "adapter in fp32")
    engine = TransformersEngine(resolve_base(config.base), adapter=inputs["adapter"].path, dtype="float32")
    reference = answers(engine)
    context.progress(1, 4, "merged in fp32")
    engine.merge_adapter()
    merged = answers(engine)
    context.progress(2, 4, "stored weights in fp32")
    stored_engine = TransformersEngine(served.base(), dtype="float32")
    as_stored = engine.stored_as(stored_engine)
    stored = answers(stored_engine)
    context.progress(3, 4, "served")
    given = answers(served.generator())
    gaps = [
        stored_engine.top_two_gap([*p, *r[: _first_difference(r, a)]])
        for p, r, a in zip(prompts, stored, given, strict=True)
        if r != a
    ]
    same, fp32_same = _share(stored, given), _share(reference, merged)
    wide = [g for g in gaps if not g < NEAR_TIE_NATS]
    reasons = [f"merging in fp32 changed {1 - fp32_same:.0%} of the answers"] if fp32_same < 1 else []
    if not as_stored:
        reasons.append("the stored weights are not the merged ones")
    if same < SAME_SHARE and len(prompts) >= ENOUGH:
        reasons.append(f"{1 - same:.1%} of {len(prompts)} served answers differ")
    if wide:
        reasons.append(f"{len(wide)} served answers differ where the reference was sure (gap {max(wide):.2f} nat)")
    return {
        "strategy": inputs["model"].json("model.json")["strategy"],
        "windows": len(prompts),
        "merged_fp32_same": fp32_same,
        "stored_same": _share(reference, stored),
        "served_same": same,
        "near_tie_gaps": [round(g, 4) for g in gaps],
        "engine": config.engine,
        "passed": not reasons,
        "reason": "; ".join(reasons),
    }


def _prompts(config: ParityConfig, inputs: Inputs, codec: Codec) -> tuple[list[list[int]], list[str] | None]:
    """Return validation prompts and, for pointers, the grammars they are served under."""
    schema, strategy = load_schema(config.schema_name), inputs["model"].json("model.json")["strategy"]
    lines = [line.root for line in read_jsonl(inputs["examples"].file("validation.jsonl"), Example)]
    chats = chain.from_iterable(as_chats(schema, line, strategy, Absent()) for line in lines)
    prompts = [codec.prompt(chat.messages) for chat in islice(chats, config.windows)]
    if strategy != "point":
        return prompts, None
    windows = (line for line in lines[: config.windows] if isinstance(line, WindowExample))
    return prompts, [point_grammar(schema.names, len(window.texts)) for window in windows]


def _share(a: Sequence[tuple[int, ...]], b: Sequence[tuple[int, ...]]) -> float:
    return sum(x == y for x, y in zip(a, b, strict=True)) / max(1, len(a))


def _first_difference(a: Sequence[int], b: Sequence[int]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


STAGES = (Stage("parity", 2, ("adapter", "model", "examples"), ParityConfig, run_parity, "parity"),)
