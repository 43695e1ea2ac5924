"""Calibration: from validation documents and their labels to thresholds, fusion and the screen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lextune.core.records import Document
from lextune.core.stage import Context
from lextune.expert.edges import EdgeTagger
from lextune.expert.fusion import Fusion, fit_fusion
from lextune.expert.held_out import HeldOut, LogitReader, read_held_out
from lextune.expert.logistic import fit_curves, log_odds
from lextune.expert.operating import Limits, fit_operating
from lextune.expert.point import GENERAL
from lextune.expert.quoting import FieldQuestion
from lextune.expert.schema import Schema
from lextune.expert.screen import fit_screen
from lextune.expert.templates import Codec
from lextune.expert.thresholds import Aim, Scored, Thresholds, fit_thresholds, score_document
from lextune.expert.windowing import WindowConfig, WindowExample
from lextune.text.values import NULL


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


def read_all(
    reader: LogitReader,
    documents: Sequence[Document],
    schema: Schema,
    codec: Codec,
    window: WindowConfig,
    context: Context,
) -> list[HeldOut]:
    """Return held-out documents as a reader sees them."""
    out = []
    for done, held in enumerate(read_held_out(reader, documents, schema, codec, window), start=1):
        out.append(held)
        context.progress(done, len(documents), held.document.name[:40])
    return out


def condense(held: Sequence[HeldOut], schema: Schema) -> list[Scored]:
    """Return each document's logits condensed for fitting thresholds."""
    out = []
    for each in held:
        labelled = [(number, name) for number, name in enumerate(schema.names) if name in each.document.labels]
        logits = {name: each.logits[:, number].tolist() for number, name in labelled}
        positives = {name: (each.truth[:, number] == 1).tolist() for number, name in labelled}
        out.append(score_document(each.document.id, logits, positives))
    return out


def fit_aim(
    held: Sequence[HeldOut], schema: Schema, aim: Aim, limits: Limits, edge_tagger: EdgeTagger | None = None
) -> Thresholds:
    """Fit calibration, thresholds and how much is quoted, for an aim; `edge_tagger` will find edges inside sentences.

    Raises:
        DataError: no field is present in any document.
    """
    curves = fit_curves((held,))
    calibrated = [replace(each, logits=log_odds(curves, (each.logits,))) for each in held]
    fitted = fit_thresholds(condense(calibrated, schema), schema.names, aim=aim)
    fitted = fitted.model_copy(update={"curves": tuple(tuple(row) for row in curves.tolist())})
    if aim in ("f1", "recall"):
        return fitted
    return fit_operating(held, schema, fitted, limits, edge_tagger=edge_tagger)


def fit_beside(model: Sequence[HeldOut], linear: Sequence[HeldOut], *, fuse: bool, screen: float | None) -> Fusion:
    """Fit what the linear tagger adds to the model: its evidence, and the screen for a share of the labels.

    Raises:
        DataError: the two did not read the same documents, or a screen is asked for and there is no label.
    """
    limits = None if screen is None else fit_screen(linear, fit_curves((linear,)), screen)
    return fit_fusion(model, linear, fuse=fuse, screen=limits)
