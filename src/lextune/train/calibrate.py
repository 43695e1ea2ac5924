"""Calibration: from validation documents and their labels to thresholds, fusion and the screen.

What turns logits into log odds is fitted on the same documents as what is decided from them. So the decisions are
fitted on log odds that were fitted without the document (`cross_fitted`), which look like those of new documents.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from lextune.core.records import Document
from lextune.core.stage import Context
from lextune.expert.edges import EdgeTagger
from lextune.expert.fusion import Fusion, fit_fusion, fuse, spare
from lextune.expert.held_out import IGNORED, HeldOut, LogitReader, read_held_out
from lextune.expert.logistic import fit_curves, fit_presence, log_odds
from lextune.expert.operating import Limits, fit_operating
from lextune.expert.point import GENERAL
from lextune.expert.quoting import FieldQuestion
from lextune.expert.schema import Schema
from lextune.expert.scoring.intervals import Array
from lextune.expert.screen import fit_screen
from lextune.expert.templates import Codec
from lextune.expert.thresholds import FLOOR, Aim, Scored, Thresholds, fit_thresholds, logit, score_document
from lextune.expert.windowing import WindowConfig, WindowExample
from lextune.text.values import NULL

FOLDS = 5
Readings = Sequence[Sequence[HeldOut]]
Sight = Callable[[Readings], list[HeldOut]]
Curves = tuple[tuple[float, float], ...]
_MEANS = {1: True, 0: False, IGNORED: None}


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


def assessed(documents: Iterable[Document], fields: Collection[str]) -> list[Document]:
    """Return documents with the labels of these fields alone: what is never answered decides nothing."""
    return [
        document.model_copy(update={"labels": {k: v for k, v in document.labels.items() if k in fields}})
        for document in documents
    ]


def condense(held: Sequence[HeldOut], schema: Schema) -> list[Scored]:
    """Return each document's logits condensed for fitting thresholds."""
    out = []
    for each in held:
        labelled = [(number, name) for number, name in enumerate(schema.names) if name in each.document.labels]
        logits = {name: each.logits[:, number].tolist() for number, name in labelled}
        positives = {name: [_MEANS[int(t)] for t in each.truth[:, number]] for number, name in labelled}
        out.append(score_document(each.document.id, logits, positives))
    return out


def cross_fitted(readings: Sequence[Sequence[HeldOut]], fit: Callable[[Readings], Sight]) -> list[HeldOut]:
    """Return held-out documents as what was fitted on others of them sees them, in `FOLDS` parts.

    Args:
        readings: for each reader, the same documents as it saw them.
        fit: from readings to a function from readings to documents with log odds.
    """
    found: dict[int, HeldOut] = {}
    for own, others in _folds(len(readings[0])):
        sight = fit([[each[n] for n in others] for each in readings])
        found |= zip(own, sight([[each[n] for n in own] for each in readings]), strict=True)
    return [found[number] for number in range(len(found))]


def _folds(count: int) -> Iterator[tuple[list[int], list[int]]]:
    """Yield each fold's documents, by number, and those that are fitted on for it: all where there are too few."""
    if count < FOLDS:
        yield list(range(count)), list(range(count))
        return
    for fold in range(FOLDS):
        yield list(range(fold, count, FOLDS)), [number for number in range(count) if number % FOLDS != fold]


def fit_curved(held: Sequence[HeldOut]) -> tuple[Curves, list[HeldOut]]:
    """Return the curves of a reader's logits, and documents with the log odds that curves of other documents give."""

    def fit(readings: Readings) -> Sight:
        curves = fit_curves(readings)
        return lambda seen: [replace(each, logits=log_odds(curves, (each.logits,))) for each in seen[0]]

    return tuple((float(slope), float(shift)) for slope, shift in fit_curves((held,))), cross_fitted((held,), fit)


def fit_beside(
    model: Sequence[HeldOut], linear: Sequence[HeldOut], *, fuse_linear: bool, screen: float | None
) -> tuple[Fusion, list[HeldOut]]:
    """Fit what the linear tagger adds to the model: its evidence, and the screen for a share of the labels.

    Returns:
        it, and documents with the log odds that a fusion and a screen of other documents give.

    Raises:
        DataError: the two did not read the same documents, or a screen is asked for and fewer than two have a label.
    """

    def fit(readings: Readings) -> Sight:
        fusion = fit_fusion(readings[0], readings[1], fuse=fuse_linear)
        return lambda seen: fuse(seen[0], seen[1], fusion)

    fusion, fused = fit_fusion(model, linear, fuse=fuse_linear), cross_fitted((model, linear), fit)
    if screen is None:
        return fusion, fused
    fitted, passes = fit_screen(linear, screen)
    _, alone = fit_curved(linear)
    return fusion.model_copy(update={"screen": fitted}), spare(fused, alone, passes)


def fit_aim(
    seen: Sequence[HeldOut],
    schema: Schema,
    aim: Aim,
    limits: Limits,
    *,
    curves: Curves = (),
    edge_tagger: EdgeTagger | None = None,
) -> Thresholds:
    """Fit thresholds and how much is quoted, for an aim.

    Args:
        seen: documents with log odds that were fitted without them.
        schema: the fields.
        aim: what is best.
        limits: and subject to what.
        curves: turn the reader's logits into such log odds; none where it gives them itself.
        edge_tagger: will find edges inside sentences.

    Raises:
        DataError: no field is present in any document.
    """
    fitted = fit_thresholds(condense(seen, schema), schema.names, aim=aim)
    if aim not in ("f1", "recall"):
        fitted, sure = with_presence(seen, schema, fitted)
        fitted = fit_operating(seen, schema, fitted, limits, edge_tagger=edge_tagger, sure=sure)
    return fitted.model_copy(update={"curves": curves})


def with_presence(seen: Sequence[HeldOut], schema: Schema, thresholds: Thresholds) -> tuple[Thresholds, Array]:
    """Return thresholds with curves of presence, and the probabilities [documents, fields] of curves of others.

    Args:
        seen: documents with log odds.
        schema: the fields.
        thresholds: what turns them into confidences.
    """
    import numpy as np

    none = np.full((1, len(schema.fields)), FLOOR, np.float32)  # what no candidate is below
    best = [np.concatenate([thresholds.confidence(each.logits), none]).max(axis=0) for each in seen]
    surest = np.array([[logit(float(p)) for p in row] for row in best])
    labels = [[each.document.labels.get(name) for name in schema.names] for each in seen]
    present = np.array([[IGNORED if one is None else one.present for one in row] for row in labels], np.int8)
    sure = np.zeros(surest.shape)
    for own, others in _folds(len(seen)):
        sure[own] = 1 / (1 + np.exp(-log_odds(fit_presence(surest[others], present[others]), (surest[own],))))
    curves = tuple((float(slope), float(shift)) for slope, shift in fit_presence(surest, present))
    return thresholds.model_copy(update={"presence": curves}), sure
