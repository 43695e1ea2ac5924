"""Labelled spans as annotation tools export them: Label Studio (JSON, JSON-MIN) and doccano (JSON Lines).

Every annotation becomes a document of its own, with its `annotator`: a text that two people labelled is two
documents with the same sha256, which is how their agreement is measured. The schema must be what they were asked:
a field without a span is absent, not unassessed. Either export may be a JSON array or JSON Lines, which has no
limit on its size (`jq -c '.[]' export.json > export.jsonl` makes the one of the other).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lextune.core.errors import DataError, shorten
from lextune.core.mistakes import Mistake
from lextune.core.records import Document, Drop
from lextune.data.importers.lines import Row
from lextune.data.importers.marked import UNITS, Mark, Marking
from lextune.data.importers.report import Item
from lextune.data.importers.rows import read_rows
from lextune.data.importers.tally import Seen, repeated_id
from lextune.expert.schema import Schema
from lextune.text.reading.base import well_formed

LABEL_STUDIO, DOCCANO = "label-studio", "doccano"
_NAMES = ("name", "title", "filename", "file_name")  # under which a task's data may name its document
_TEXTS = ("text", "data")  # of a row of doccano, newest name first
_SPANS = ("label", "labels", "entities")
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_label_studio(path: Path, schema: Schema) -> Iterator[Item]:
    """Yield what an export of Label Studio holds: spans of type `labels` on one text a task.

    A document's id is `TASK-ANNOTATOR`. A task that nobody annotated and an annotation that was cancelled are
    Drops, and so is, as a part of its document, a result of another type (choices, relations).

    Args:
        path: an export as JSON, where tasks have `data` and `annotations`, or as JSON-MIN.
        schema: the fields by which the spans are labelled.

    Raises:
        DataError: see `lextune.data.importers.rows.read_rows`.
    """
    ids = Seen()
    for row in read_rows(path):
        if isinstance(row, Mistake):
            yield row
            continue
        task = _task_name(row)
        where = f"{row.where}, task {shorten(task, 40)}"
        data = row.values.get("data", row.values)
        text = _only_text(data)
        if text is None:
            yield Mistake(where, "no text: a task's data needs one, under `text`")
        elif problem := _unusable(text):
            yield Mistake(where, problem)
        elif data is row.values:
            yield from _once(_minimal(row.values, Marking(text, schema), where, task), where, ids)
        else:
            yield from _once(_task(row.values, Marking(text, schema), where, task), where, ids)


def _once(items: Iterable[Item], where: str, ids: Seen) -> Iterator[Item]:
    """Yield the items; a document whose id has occurred is a Mistake."""
    for item in items:
        if isinstance(item, Document) and ids.add(item.id):
            item = Mistake(where, repeated_id(item.id))
        yield item


def _task(values: Mapping[str, Any], marking: Marking, where: str, task: str) -> Iterator[Item]:
    annotations = values.get("annotations", [])
    if not isinstance(annotations, list) or not all(isinstance(one, dict) for one in annotations):
        yield Mistake(where, "`annotations` is not a list of objects")
        return
    if not annotations:
        yield Drop(what="task", where=where, reason="nobody annotated it")
    taken: set[str] = set()
    for number, annotation in enumerate(annotations, start=1):
        place = f"{where}, annotation {number}"
        results = annotation.get("result", [])
        if annotation.get("was_cancelled"):
            yield Drop(what="annotation", where=place, reason="its annotator cancelled it")
            continue
        if not isinstance(results, list):
            yield Mistake(place, "`result` is not a list")
            continue
        annotator = _annotator(annotation.get("completed_by"))
        name = _id(task, annotator)
        if name in taken:  # one person annotated the task twice
            name = f"{name}-{annotation.get('id', number)}"
        taken.add(name)
        said = [one for n, result in enumerate(results, 1) for one in _results(result, f"{place}, result {n}")]
        yield from (one for one in said if isinstance(one, Drop))
        marks = [one for one in said if isinstance(one, Mark)]
        yield _document(marking, marks, _Facts(name, _title(values["data"], task), LABEL_STUDIO, annotator))


def _results(result: Any, where: str) -> Sequence[Mark | Drop]:
    """Return the marks of one result, or why it has none."""
    value = result.get("value") if isinstance(result, dict) else None
    if isinstance(value, dict) and result.get("type") == "labels":
        return _marks(value, where)
    kind = shorten(str(result.get("type") if isinstance(result, dict) else None), 40)
    return [Drop(what="label", where=where, reason=f"a result of type {kind!r}, no span of text")]


def _marks(value: Mapping[str, Any], where: str) -> list[Mark]:
    """Return a mark for each label of a span; one of no name where it has none."""
    names = value.get("labels") or [None]
    return [
        Mark(where, name, value.get("start"), value.get("end"), value.get("text"))
        for name in (names if isinstance(names, list) else [names])
    ]


def _minimal(values: Mapping[str, Any], marking: Marking, where: str, task: str) -> Iterator[Item]:
    """Read a task of JSON-MIN: a list of spans stands beside the text, under the name its labelling has there."""
    marks: list[Mark] = []
    for key, value in values.items():
        for index, span in enumerate(value if isinstance(value, list) else [], start=1):
            if isinstance(span, dict) and "labels" in span:
                marks.extend(_marks(span, f"{where}, {key} {index}"))
    annotator = _annotator(values.get("annotator"))
    yield _document(marking, marks, _Facts(_id(task, annotator), _title(values, task), LABEL_STUDIO, annotator))


def read_doccano(path: Path, schema: Schema) -> Iterator[Item]:
    """Yield what an export of doccano's sequence labelling holds.

    Args:
        path: a file with `text` (or `data`), and `label`, `labels` or `entities`: `[start, end, name]`, or objects
            with `start_offset`, `end_offset` and `label`. Or the folder that doccano exports where annotators work
            apart: a file `NAME.jsonl` of each.
        schema: the fields by which the spans are labelled.

    Raises:
        DataError: a folder without such files, or see `lextune.data.importers.rows.read_rows`.
    """
    if not path.is_dir():
        yield from _doccano(path, schema, None)
        return
    files = sorted(path.glob("*.jsonl"))
    if not files:
        raise DataError("no .jsonl file in this folder", where=str(path), do="unpack doccano's export there")
    for file in files:
        yield from _doccano(file, schema, file.stem)


def _doccano(path: Path, schema: Schema, annotator: str | None) -> Iterator[Item]:
    ids = Seen()
    for row in read_rows(path):
        if isinstance(row, Mistake):
            yield row
            continue
        values = row.values
        text = next((values[key] for key in _TEXTS if isinstance(values.get(key), str)), None)
        spans = next((values[key] for key in _SPANS if key in values), None)
        if text is None:
            yield Mistake(row.where, "no text: a row needs one, under `text`")
        elif problem := _unusable(text):
            yield Mistake(row.where, problem)
        elif not isinstance(spans, list):
            yield Mistake(row.where, "no list of spans: a row needs one, under `label`")
        else:
            marks = [_doccano_mark(span, f"{row.where}, span {n}") for n, span in enumerate(spans, start=1)]
            if values.get("relations"):
                yield Drop(what="label", where=row.where, reason="relations between spans, no spans of text")
            task = _task_name(row)
            facts = _Facts(_id(task, annotator), _title(values, task), DOCCANO, annotator)
            yield from _once([_document(Marking(text, schema, UNITS), marks, facts)], row.where, ids)


def _doccano_mark(span: Any, where: str) -> Mark:
    if isinstance(span, dict):
        return Mark(where, span.get("label"), span.get("start_offset"), span.get("end_offset"))
    start, end, name = span if isinstance(span, list) and len(span) == 3 else (None, None, span)
    return Mark(where, name, start, end)


class _Facts(NamedTuple):
    """Who labelled which document with which tool."""

    id: str
    name: str
    source: str
    annotator: str | None


def _document(marking: Marking, marks: list[Mark], facts: _Facts) -> Document | Mistake:
    labels = marking.labels(marks)
    if isinstance(labels, Mistake):
        return labels
    return Document(
        id=well_formed(facts.id),
        name=well_formed(facts.name),
        sha256=hashlib.sha256(marking.text.encode()).hexdigest(),
        text=marking.text,
        source=facts.source,
        annotator=facts.annotator and well_formed(facts.annotator),
        labels=labels,
    )


def _only_text(data: Any) -> str | None:
    """Return a task's text: `text`, or the only string there is, whatever its name."""
    if not isinstance(data, dict):
        return None
    if isinstance(data.get("text"), str):
        return str(data["text"])
    texts = [value for value in data.values() if isinstance(value, str)]
    return texts[0] if len(texts) == 1 else None


def _unusable(text: str) -> str | None:
    if not text.strip():
        return "the text is empty"
    return "the text holds half a character (a lone surrogate)" if _SURROGATE.search(text) else None


def _annotator(value: Any) -> str | None:
    """Return who it was: a name, an address or a number, or an object with one."""
    if isinstance(value, dict):
        value = value.get("email") or value.get("username") or value.get("id")
    return None if value in (None, "") else str(value)


def _task_name(row: Row) -> str:
    """Return a row's id, after its place where it has none."""
    given = row.values.get("id")
    return row.name if given in (None, "") else str(given)


def _id(task: str, annotator: str | None) -> str:
    return task if annotator is None else f"{task}-{annotator}"


def _title(data: Mapping[str, Any], task: str) -> str:
    return next((str(data[key]) for key in _NAMES if isinstance(data.get(key), str) and data[key]), task)
