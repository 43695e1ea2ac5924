"""Records: pages by offset, and the public layout."""

from __future__ import annotations

import pytest

from lextune.core.records import Document, DocumentInfo, FieldAnswer, FieldLabel, Quote, Record, Span
from lextune.core.stage import Context


def document(*pages: tuple[int, int]) -> Document:
    spans = tuple(Span(start=a, end=b) for a, b in pages)
    return Document(id="a", name="a.pdf", sha256="0", text="x" * 30, pages=spans)


def test_pages_are_counted_from_one() -> None:
    paged = document((0, 10), (10, 20), (20, 30))
    assert [paged.page_of(i) for i in (0, 9, 10, 29, 30)] == [1, 1, 2, 3, 3]
    assert document().page_of(0) is None


def test_a_label_without_parts_is_null() -> None:
    assert not FieldLabel(answer="No").present
    assert FieldLabel(parts=("x",)).present


def test_the_public_record_names_its_schema_schema() -> None:
    quote = Quote(text="x", start=0, end=1, page=None)
    answer = FieldAnswer(answer=True, quotes=(quote,), confidence=0.5, status="review")
    info = DocumentInfo(name="a", sha256="0", pages=None, characters=1)
    record = Record(document=info, release="r", schema_name="s", fields={"B": None, "A": answer}, not_assessed=("C",))
    shown = record.as_json()
    assert list(shown) == ["document", "release", "schema", "fields", "not_assessed"]
    assert list(shown["fields"]) == ["B", "A"]
    assert shown["fields"]["A"]["quotes"] == [{"text": "x", "start": 0, "end": 1, "page": None}]


@pytest.mark.parametrize(("tag", "pages"), [("2 3", (2, 3)), ("", ()), ("two 3.5 4", (4,))])
def test_a_record_says_which_pages_were_not_read(tag: str, pages: tuple[int, ...]) -> None:
    document = Document(id="a", name="a.pdf", sha256="0", text="abc", tags={"scanned_pages": tag})
    info = DocumentInfo.of(document)
    assert info.scanned_pages == pages
    assert (info.name, info.pages, info.characters) == ("a.pdf", None, 3)


def test_a_context_reports_to_nobody_by_default() -> None:
    Context().progress(1, 2, "x")
    assert Context().options == {}
