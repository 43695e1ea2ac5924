from __future__ import annotations

from collections.abc import Callable

import pytest

from lextune.core.records import Document, Span
from lextune.expert.schema import Schema
from lextune.expert.scoring.trivial import ARMS, always_null, always_present, echo

TEXT = "\n \n  Supply Agreement of June 1, 2005 \nThe law of Utah governs.\n"


@pytest.fixture
def document(make_document: Callable[..., Document]) -> Document:
    return make_document("d", TEXT, {})


def test_always_null(document: Document, schema: Schema) -> None:
    prediction = always_null(document, schema)
    assert prediction.record.release == "always-null"
    assert prediction.record.fields == dict.fromkeys(schema.names)
    assert prediction.candidates == ()


def test_always_present_quotes_the_first_line(document: Document, schema: Schema) -> None:
    record = always_present(document, schema).record
    for name, answer in record.fields.items():
        assert answer is not None
        assert [q.text for q in answer.quotes] == ["Supply Agreement of June 1, 2005"], name
    answers = {name: answer.answer for name, answer in record.fields.items() if answer is not None}
    assert answers["Audit"] is True
    assert answers["Start"] == "2005-06-01"
    assert answers["Law"] is None


def test_echo_quotes_everything(document: Document, schema: Schema) -> None:
    prediction = echo(document, schema)
    answer = prediction.record.fields["Law"]
    assert answer is not None
    assert (answer.answer, answer.quotes[0].start, answer.quotes[0].end) == ("Utah", 0, len(TEXT))
    assert {(c.field, c.start, c.end) for c in prediction.candidates} == {(n, 0, len(TEXT)) for n in schema.names}


@pytest.mark.parametrize("name", ARMS)
def test_every_arm_gives_a_whole_verbatim_record(name: str, document: Document, schema: Schema) -> None:
    paged = document.model_copy(update={"pages": (Span(start=0, end=10), Span(start=10, end=len(TEXT)))})
    prediction = ARMS[name](paged, schema)
    record = prediction.record
    assert (record.release, prediction.document_id) == (name, "d")
    assert tuple(record.fields) == schema.names
    assert record.document.model_dump() == {
        "name": "d",
        "sha256": "0" * 64,
        "pages": 2,
        "characters": len(TEXT),
        "scanned_pages": (),
    }
    for answer in record.fields.values():
        for quote in answer.quotes if answer else ():
            assert TEXT[quote.start : quote.end] == quote.text
            assert quote.page == 1


@pytest.mark.parametrize("name", ARMS)
def test_a_blank_document_has_nothing_to_quote(
    name: str, schema: Schema, make_document: Callable[..., Document]
) -> None:
    record = ARMS[name](make_document("d", " \n ", {}), schema).record
    assert record.fields == dict.fromkeys(schema.names)
    assert record.document.pages is None
