"""Reading validation documents for thresholds, and which fields count as trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from lextune.core.records import Document, FieldLabel, Span
from lextune.core.stage import Context
from lextune.expert.engines.base import TagInput
from lextune.expert.engines.scripted import ScriptedTagger
from lextune.expert.held_out import IGNORED, HeldOut
from lextune.expert.operating import Limits
from lextune.expert.point import point_example
from lextune.expert.quoting import Absent, field_questions
from lextune.expert.readers import Passage, TagReader
from lextune.expert.schema import Schema, SchemaField
from lextune.expert.templates import Codec
from lextune.expert.thresholds import Aim, Thresholds
from lextune.expert.windowing import WindowConfig, WindowExample
from lextune.train.calibrate import (
    FOLDS,
    Readings,
    Sight,
    assessed,
    condense,
    cross_fitted,
    fit_aim,
    fit_beside,
    fit_curved,
    read_all,
    trained_fields,
    with_presence,
)

LAW = "This Agreement is governed by the laws of Ohio."
TEXT = f"The goods are delivered in May.\n\n{LAW}\n\nInvoices are paid in June.\n"


@pytest.fixture
def schema() -> Schema:
    names = ("Law", "Term", "Audit")
    return Schema(name="small", fields=tuple(SchemaField(name=n, type="boolean", question=n) for n in names))


def _document() -> Document:
    start = TEXT.index(LAW)
    law = FieldLabel(parts=(LAW,), spans=((Span(start=start, end=start + len(LAW)),),), answer="Yes")
    return Document(id="d", name="a contract", sha256="0" * 64, text=TEXT, labels={"Law": law, "Term": FieldLabel()})


@pytest.mark.parametrize("max_sentences", [40, 1])
def test_logits_stand_beside_their_labels(codec: Codec, schema: Schema, max_sentences: int) -> None:
    """The script gives sentence i of the document the logits i, 10 + i and 20 + i, however it is cut."""
    seen = 0

    def script(item: TagInput) -> np.ndarray:
        nonlocal seen
        rows = np.arange(seen, seen + len(item.bounds), dtype=np.float32)
        seen += len(item.bounds)
        return np.stack([rows, 10 + rows, 20 + rows], axis=1)

    reader = TagReader(codec, ScriptedTagger(script), Thresholds())
    progress: list[tuple[int, int, str]] = []
    context = Context(0, lambda *call: progress.append(call))
    window = WindowConfig(max_sentences=max_sentences)
    held = read_all(reader, [_document()], schema, codec, window, context)
    (scored,) = condense(held, schema)
    assert scored.document_id == "d"
    assert scored.gold == {"Law": True, "Term": False}  # Audit was not assessed
    assert scored.best == {"Law": seen - 1, "Term": 10 + seen - 1}
    assert [logit for logit, yes in scored.sentences if yes] == [1.0]
    assert progress == [(1, 1, "a contract")]
    assert held[0].window_of.tolist() == ([0] * seen if max_sentences > 1 else list(range(seen)))
    assert held[0].truth.tolist() == [[int(row == 1), 0, IGNORED] for row in range(seen)]


class Lawful:
    """Says 2 of the law's sentence and -2 of others, to each field."""

    def logits(self, passages: Sequence[Passage]) -> list[np.ndarray]:
        return [np.array([[2.0 if t == LAW else -2.0] * 3 for t in p.texts], np.float32) for p in passages]


@pytest.fixture
def held(codec: Codec, schema: Schema) -> list[HeldOut]:
    documents = [_document().model_copy(update={"id": f"d{n}"}) for n in range(4)]
    return read_all(Lawful(), documents, schema, codec, WindowConfig(max_sentences=1), Context())


@pytest.mark.parametrize("aim", ["f1", "recall", "contracteval", "precision_at_recall"])
def test_every_aim_finds_what_is_there(held: list[HeldOut], schema: Schema, aim: Aim) -> None:
    curves, seen = fit_curved(held)
    fitted = fit_aim(seen, schema, aim, Limits(), curves=curves)
    low, high = fitted.confidence(np.array([[-2.0] * 3, [2.0] * 3], np.float32))[:, 0]
    assert fitted.aim == aim
    assert low < fitted.of("Law") <= high
    assert bool(fitted.quoting) == (aim in ("contracteval", "precision_at_recall"))


def test_fields_that_are_never_answered_decide_nothing() -> None:
    (kept,) = assessed([_document()], ("Term",))
    assert kept.labels == {"Term": FieldLabel()}
    assert _document().labels.keys() == {"Law", "Term"}


@pytest.mark.parametrize("count", [FOLDS - 1, 3 * FOLDS])
def test_presence_is_decided_on_curves_of_other_documents(held: list[HeldOut], schema: Schema, count: int) -> None:
    """The one document without the law has curves that never saw such a one, where there are folds."""
    documents = [replace(held[0]) for _ in range(count)]
    absent = held[0].document.model_copy(update={"labels": {"Law": FieldLabel()}})
    documents[0] = replace(held[0], document=absent)
    fitted, sure = with_presence(documents, schema, Thresholds())
    assert sure.shape == (count, len(schema.fields))
    own = fitted.sure(0, float(fitted.confidence(held[0].logits)[:, 0].max()))
    assert sure[0, 0] == pytest.approx(own) if count < FOLDS else sure[0, 0] > own + 0.01
    assert len(fitted.presence) == len(schema.fields)


def test_what_stands_beside_the_model_is_fitted_together(held: list[HeldOut]) -> None:
    fusion, seen = fit_beside(held, held, fuse_linear=True, screen=1.0)
    assert fusion.screen is not None
    assert (fusion.screen.recall, fusion.screen.skipped) == pytest.approx((1, 2 / 3)), "the law's window of three"
    assert [each.document for each in seen] == [each.document for each in held]
    alone, _ = fit_beside(held, held, fuse_linear=False, screen=None)
    assert (alone.screen, alone.both[0][1]) == (None, 0.0)


@pytest.mark.parametrize("count", [FOLDS - 1, FOLDS, FOLDS + 2, 3 * FOLDS])
def test_a_document_is_seen_by_what_was_fitted_on_others(held: list[HeldOut], count: int) -> None:
    """Fitting here is to remember; fewer documents than folds are seen by what was fitted on all."""
    documents = [replace(held[0], document=held[0].document.model_copy(update={"id": f"d{n}"})) for n in range(count)]

    def fit(known: Readings) -> Sight:
        known_ids = {each.document.id for one in known for each in one}

        def sight(seen: Readings) -> list[HeldOut]:
            inside = [a.document.id in known_ids for a, _ in zip(*seen, strict=True)]
            return [replace(a, logits=np.full((1, 1), yes)) for a, yes in zip(seen[0], inside, strict=True)]

        return sight

    seen = cross_fitted((documents, documents), fit)
    assert [each.document.id for each in seen] == [each.document.id for each in documents]
    assert {bool(each.logits[0, 0]) for each in seen} == {count < FOLDS}


def test_trained_fields_are_those_with_a_label(make_window: Callable[..., WindowExample], schema: Schema) -> None:
    windows = [make_window(0), make_window(2)]
    assert trained_fields(windows, schema, "tag") == ("Law",)
    assert trained_fields([*windows, make_window(1)], schema, "tag") == ("Law", "Term")
    assert trained_fields([point_example(schema, make_window(1))], schema, "point") == ("Term",)
    assert trained_fields([], schema, "point") == ()
    assert trained_fields([], schema, "text") == schema.names, "free text has one field"
    questions = field_questions(schema, make_window(1), Absent(9))
    assert trained_fields(list(questions), schema, "text") == ("Term",), "asked of all, stated for one"


def test_a_field_name_with_quotes_is_found_in_an_answer(make_window: Callable[..., WindowExample]) -> None:
    fields = tuple(SchemaField(name=n, type="boolean", question=n) for n in ('The "Law"', "Term", "Nothing"))
    schema = Schema(name="quoted", fields=fields)
    assert trained_fields([point_example(schema, make_window(0))], schema, "point") == ('The "Law"',)
