"""Preflight: everything that can be known before spending the time of a training run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lextune.core.errors import DataError
from lextune.core.records import Message
from lextune.expert.head import tag_input
from lextune.expert.point import ChatExample
from lextune.expert.templates import Codec
from lextune.expert.windowing import WindowExample
from lextune.train.batches import Row
from lextune.train.chat import chat_row, fitting
from lextune.train.settings import TrainConfig


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
        "learnt_tokens": sum(sum(flags) for row in fit for flags in row.learnt),
        **_lengths([row.tokens for row in fit]),
    }


def check_learnt(example: ChatExample, row: Row, codec: Codec) -> None:
    """Check one row against its template: prompt, then answer and stop token, and only these two learnt.

    Raises:
        DataError: the stop token is not learnt, the prompt is not the beginning of the prompt with its answer, or
            what is learnt is not the answer.
    """
    where, bug = example.document_id, "report this: it is a bug"
    (branch,), (learnt,) = row.branches, row.learnt
    if branch[-1] != codec.stop_id or not learnt[-1]:
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
    if [*row.prefix, *branch] != codec.encode(whole) or [*branch] != answer or not all(learnt):
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
