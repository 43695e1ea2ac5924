"""The (document, field) pairs that are scored: gold beside answer.

A pair is scored where the document has a label for the field and the release assessed it: a field in the
record's `not_assessed` is no null and counts neither as missed nor as right; how many pairs were left out
that way is reported as `n_not_assessed`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lextune.core.errors import DataError, shorten
from lextune.core.records import Document, FieldAnswer, FieldLabel, Prediction, Quote, Span
from lextune.expert.schema import Schema, SchemaField
from lextune.text.spans import merge_adjacent
from lextune.text.values import is_null

Skipped = frozenset[tuple[str, str]]
"""(document id, field name) of pairs that are not scored."""


@dataclass(frozen=True)
class Pair:
    """One scored (document, field).

    `row` and `column` are the places of document and field in the count tables; `answer` is None for null;
    `text` is what ContractEval marks: the quotes in the order of the document, adjacent ones merged, joined
    by line breaks, empty for null.
    """

    row: int
    column: int
    field: SchemaField
    label: FieldLabel
    answer: FieldAnswer | None
    text: str


@dataclass(frozen=True)
class Scored:
    """Documents with their predictions, and the pairs that are scored on them."""

    documents: tuple[Document, ...]
    predictions: tuple[Prediction, ...]
    fields: tuple[SchemaField, ...]
    pairs: tuple[Pair, ...]
    n_not_assessed: int


def scored(
    documents: Sequence[Document],
    predictions: Sequence[Prediction],
    schema: Schema,
    *,
    skip: Skipped | None = None,
) -> Scored:
    """Put gold and answers side by side.

    Args:
        documents: annotated documents.
        predictions: one for each document, in any order.
        schema: its fields are the columns.
        skip: pairs to leave out besides, as `not_assessed` returns them.

    Raises:
        DataError: no documents, or documents and predictions do not match one to one.
    """
    by_id = matched(documents, predictions)
    skipped = not_assessed(predictions) | (skip or frozenset())
    pairs, left_out = [], 0
    for row, document in enumerate(documents):
        record, texts = by_id[document.id].record, dict[tuple[Quote, ...], str]()
        for column, field in enumerate(schema.fields):
            label = document.labels.get(field.name)
            if label is None:
                continue
            if (document.id, field.name) in skipped:
                left_out += 1
                continue
            answer = given(record.fields.get(field.name))
            text = ""
            if answer is not None:
                text = texts.get(answer.quotes) or answer_text(document, answer)
                texts[answer.quotes] = text
            pairs.append(Pair(row, column, field, label, answer, text))
    ordered = tuple(by_id[document.id] for document in documents)
    return Scored(tuple(documents), ordered, schema.fields, tuple(pairs), left_out)


def not_assessed(predictions: Sequence[Prediction]) -> Skipped:
    """Return the pairs that the records leave unassessed."""
    return frozenset((p.document_id, name) for p in predictions for name in p.record.not_assessed)


def given(answer: FieldAnswer | None) -> FieldAnswer | None:
    """Return the answer, None where it is null by the null contract: no quote, and no value of its own."""
    if answer is None or any(quote.text.strip() for quote in answer.quotes):
        return answer
    return None if is_null(answer.answer, quoted=False) else answer


def grounded(document: Document, quote: Quote) -> bool:
    """Say whether a quote is verbatim where it says it is."""
    return bool(quote.text) and document.text[quote.start : quote.end] == quote.text


def answer_text(document: Document, answer: FieldAnswer) -> str:
    """Return an answer's text for ContractEval.

    Quotes are sorted by offset; those with only white space between are merged; spans are joined by a line
    break. Quotes that are not in the document stand in the order given; without quotes the value stands.
    """
    places = [Span(start=q.start, end=q.end) for q in answer.quotes if grounded(document, q)]
    spans = merge_adjacent(document.text, places)
    parts = [document.text[span.start : span.end] for span in spans]
    parts += [quote.text for quote in answer.quotes if not grounded(document, quote)]
    if not parts:
        parts = [answer.answer if isinstance(answer.answer, str) else str(answer.answer)]
    return "\n".join(parts)


def matched(documents: Sequence[Document], predictions: Sequence[Prediction]) -> dict[str, Prediction]:
    """Return the predictions by the id of their document.

    Raises:
        DataError: no documents, or documents and predictions do not match one to one.
    """
    if not documents:
        raise DataError("no documents to score", where="score", do="give at least one annotated document")
    ids, answered = [document.id for document in documents], [p.document_id for p in predictions]
    for what, names in (("document", ids), ("prediction for document", answered)):
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise DataError(f"the {what} {shorten(twice[0])!r} occurs twice", where="score", do="keep one of them")
    by_id = dict(zip(answered, predictions, strict=True))
    for name in ids:
        if name not in by_id:
            raise DataError(
                f"no prediction for document {shorten(name)!r}",
                where="score",
                do="predict every document, then score",
            )
    known = set(ids)
    for name in answered:
        if name not in known:
            raise DataError(
                f"a prediction for {shorten(name)!r}, which is no document here",
                where="score",
                do="score predictions with the documents they were made from",
            )
    return by_id
