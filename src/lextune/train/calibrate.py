"""Reading validation documents for calibration: raw logits of every sentence beside its labels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

from lextune.core.records import Document
from lextune.core.stage import Context
from lextune.expert.point import GENERAL
from lextune.expert.quoting import FieldQuestion
from lextune.expert.readers import Passage
from lextune.expert.schema import Schema
from lextune.expert.templates import Codec
from lextune.expert.thresholds import Scored, score_document
from lextune.expert.windowing import WindowConfig, WindowExample, cut, label
from lextune.text.values import NULL

POINTED = 0.01  # what is generated counts whatever its confidence


class LogitReader(Protocol):
    """Gives logits [sentences, fields] of windows."""

    def logits(self, passages: Sequence[Passage]) -> list[Any]:
        """Return one matrix a passage."""
        ...


def trained_fields(examples: Sequence[Any], schema: Schema, strategy: str) -> tuple[str, ...]:
    """Return the fields that the training data assessed: the others are not answered by what it makes."""
    if strategy == "text":
        asked = [e for e in examples if isinstance(e, FieldQuestion)]
        stated = {e.field for e in asked if e.completion != NULL}
        return tuple(n for n in schema.names if n in stated or not asked)
    if strategy == "point":
        text = "\n".join(e.completion for e in examples if not e.document_id.startswith(GENERAL))
        return tuple(n for n in schema.names if f"{json.dumps(n, ensure_ascii=False)}:" in text)
    rows = [e for e in examples if isinstance(e, WindowExample)]
    seen = {f for e in rows for row in e.positives for f in row}
    return tuple(name for number, name in enumerate(schema.names) if number in seen)


def read_scores(
    reader: LogitReader,
    documents: Sequence[Document],
    schema: Schema,
    codec: Codec,
    window: WindowConfig,
    context: Context,
) -> list[Scored]:
    """Return each document's logits condensed for fitting thresholds."""
    out = []
    for done, document in enumerate(documents, start=1):
        windows = list(label(document, cut(document, codec, window), schema))
        matrices = reader.logits([Passage(w.heading, w.texts) for w in windows])
        logits: dict[str, list[float]] = {}
        positives: dict[str, list[bool]] = {}
        for number, name in enumerate(schema.names):
            if name not in document.labels:
                continue
            logits[name] = [float(v) for m in matrices for v in m[:, number]]
            positives[name] = [number in row for w in windows for row in w.positives]
        out.append(score_document(document.id, logits, positives))
        context.progress(done, len(documents), document.name[:40])
    return out
