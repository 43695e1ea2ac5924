"""Preflight: everything that can be known before spending the time of a training run."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from lextune.core.errors import DataError
from lextune.core.records import Message
from lextune.expert.head import tag_input
from lextune.expert.point import ChatExample
from lextune.expert.templates import Codec
from lextune.expert.weights import Base
from lextune.expert.windowing import WindowExample
from lextune.train.chat import NOT_LEARNT, chat_row, fitting
from lextune.train.common import TrainConfig, planned_steps

PROBE_ROWS = 4


def check_chat(examples: Sequence[ChatExample], codec: Codec, config: TrainConfig) -> dict[str, Any]:
    """Check conversations: every row learns its answer and stop token after the prompt that serving sends.

    Rows that are too long are counted.

    Raises:
        DataError: a row has no answer, its stop token is not learnt, its prompt changes once it is answered, it
            learns other tokens than its answer's, or every row is too long.
    """
    rows = []
    for example in examples:
        row = chat_row(example, codec)
        if not example.completion.strip():
            raise DataError("a training example without an answer", where=example.document_id, do="remove the row")
        check_learnt(example, row, codec)
        rows.append(row)
    fit = fitting(rows, config.max_tokens, "train")
    return {
        "rows": len(rows),
        "too_long": len(rows) - len(fit),
        "learnt_tokens": sum(label != NOT_LEARNT for row in fit for label in row["labels"]),
        **_lengths([len(row["input_ids"]) for row in fit]),
    }


def check_learnt(example: ChatExample, row: Mapping[str, Sequence[int]], codec: Codec) -> None:
    """Check one row against its template: prompt, then answer and stop token, and only these two learnt.

    Raises:
        DataError: the stop token is not learnt, the prompt is not the beginning of the prompt with its answer, or
            what is learnt is not the answer.
    """
    where, bug = example.document_id, "report this: it is a bug"
    if row["labels"][-1] != codec.stop_id:
        raise DataError("the stop token is not learnt", where=where, do=bug)
    answered = [*example.messages, Message(role="assistant", content=example.completion)]
    prompt = codec.template.pieces(example.messages, answer_next=True)
    whole = codec.template.pieces(answered, answer_next=False)
    if whole[: len(prompt)] != prompt:
        raise DataError(
            "the prompt changes once it is answered",
            where=where,
            do="let a user's message be the last before the answer",
        )
    answer = codec.encode(whole[len(prompt) :])
    asked = len(row["input_ids"]) - len(answer)
    if [*row["input_ids"]] != codec.encode(whole) or [*row["labels"]] != [NOT_LEARNT] * asked + answer:
        raise DataError("the answer is not what is learnt", where=where, do=bug)


def check_windows(examples: Sequence[WindowExample], codec: Codec, config: TrainConfig) -> dict[str, Any]:
    """Check labelled windows: at least one positive, nothing over the model's window.

    Raises:
        DataError: no window has a label, or windows are longer than `max_tokens`.
    """
    positives = sum(e.positive for e in examples)
    if not positives:
        raise DataError("no training window has a label: the loss would teach nothing", where="examples")
    lengths = [len(tag_input(codec, e.heading, e.texts).ids) for e in examples]
    too_long = sum(n > config.max_tokens for n in lengths)
    if too_long:
        raise DataError(
            f"{too_long} of {len(lengths)} windows are longer than {config.max_tokens} tokens",
            where="train.max_tokens",
            do=f"raise it to {max(lengths)} or use smaller windows",
        )
    return {"rows": len(lengths), "too_long": 0, "positive_rows": positives, **_lengths(lengths)}


def _lengths(lengths: Sequence[int]) -> dict[str, int]:
    ordered = sorted(lengths) or [0]
    return {
        "tokens": sum(ordered),
        "tokens_mean": round(sum(ordered) / len(ordered)),
        "tokens_p95": ordered[min(len(ordered) - 1, math.floor(0.95 * len(ordered)))],
        "tokens_max": ordered[-1],
    }


def estimate_seconds(base: Base, mean_tokens: int, rows: int, config: TrainConfig) -> dict[str, float]:
    """Time two optimizer steps' worth of forward and backward passes and scale them to the run.

    Args:
        base: the model.
        mean_tokens: of a row.
        rows: training rows, which with the config give the number of steps.
        config: settings of the run.

    Returns:
        steps, tokens_per_second and seconds.
    """
    import torch

    from lextune.expert.weights import load_backbone
    from lextune.train.common import add_lora

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = add_lora(load_backbone(base), config.lora).to(device).train()
    batch = min(config.batch, PROBE_ROWS)
    ids = torch.randint(model.config.vocab_size, (batch, max(8, mean_tokens)), device=device)
    best = math.inf
    for _ in range(2):
        started = time.perf_counter()
        with torch.autocast(device, torch.bfloat16):
            hidden = model.get_base_model().model(input_ids=ids, use_cache=False).last_hidden_state
        hidden.float().pow(2).mean().backward()
        model.zero_grad()
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    speed = batch * max(8, mean_tokens) / best
    steps = planned_steps(rows, config)
    tokens = steps * config.batch * config.accumulation * mean_tokens
    return {"steps": steps, "tokens_per_second": round(speed, 1), "seconds": round(tokens / speed, 1)}
