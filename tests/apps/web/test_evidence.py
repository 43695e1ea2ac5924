"""The evidence page: the text exactly, every quote lit, every field listed, nothing fetched."""

from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.apps.web.evidence import render_evidence
from lextune.core.errors import DocumentError
from lextune.core.records import Document, DocumentInfo, FieldAnswer, Quote, Record, Span

TEXT = "SUPPLY AGREEMENT between ACME Ltd and Bolt plc. This agreement is governed by the law of Utopia."


class Page(HTMLParser):
    """Reads the page back: the text of #text, and for each of its characters the fields that light it."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.everything = "", ""
        self.lit: list[frozenset[str]] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._inside, self._fields = False, frozenset[str]()
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if attributes.get("id") == "text":
            self._inside = True
        if tag == "mark":
            self._fields = frozenset((attributes["title"] or "").split("; "))

    def handle_endtag(self, tag: str) -> None:
        if tag == "div":
            self._inside = False
        if tag == "mark":
            self._fields = frozenset()

    def handle_data(self, data: str) -> None:
        self.everything += data
        if self._inside:
            self.text += data
            self.lit += [self._fields] * len(data)

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]


def record_of(document: Document, spans: dict[str, list[tuple[int, int]] | None], **changes: Any) -> Record:
    fields = {
        name: None
        if places is None
        else FieldAnswer(
            answer=True,
            quotes=tuple(Quote(text=document.text[a:b], start=a, end=b, page=document.page_of(a)) for a, b in places),
            confidence=0.914,
            status="accepted",
        )
        for name, places in spans.items()
    }
    info = DocumentInfo.of(document)
    values = {"document": info, "release": "r1", "schema_name": "clauses-47", "fields": fields, **changes}
    return Record(**values)


def document_of(text: str = TEXT, pages: tuple[tuple[int, int], ...] = ()) -> Document:
    spans = tuple(Span(start=start, end=end) for start, end in pages)
    return Document(id="x", name="Supply <1>.pdf", sha256="ab" * 32, text=text, pages=spans)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Document, dict[str, list[tuple[int, int]] | None]]:
    """Any text, any cut into pages, any quotes of up to four fields, overlapping as they like."""
    alphabet = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    text = draw(st.text(st.one_of(alphabet, st.sampled_from("<>&\"'\r\n\t ;")), min_size=1, max_size=60))
    inner = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    edges = [0, *inner, len(text)]
    pages = tuple(itertools.pairwise(edges)) if draw(st.booleans()) else ()
    span = st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).filter(lambda pair: pair[0] < pair[1])
    spans = draw(st.dictionaries(st.sampled_from("ABCD"), st.none() | st.lists(span, max_size=3), max_size=4))
    return document_of(text, pages), spans


@given(cases())
@settings(max_examples=150)
def test_the_text_is_exact_and_every_quote_is_lit(
    case: tuple[Document, dict[str, list[tuple[int, int]] | None]],
) -> None:
    document, spans = case
    page = Page(render_evidence(document, record_of(document, spans)))
    assert page.text == document.text
    for offset, lit in enumerate(page.lit):
        quoting = {name for name, places in spans.items() for a, b in places or () if a <= offset < b}
        assert lit == quoting
    marks = [item["aria-label"] for item in page.of("span") if item.get("class") == "page"]
    assert marks == [f"Page {number}" for number in range(1, len(document.pages) + 1)]


@given(cases())
@settings(max_examples=40)
def test_every_link_leads_somewhere_and_ids_are_unique(
    case: tuple[Document, dict[str, list[tuple[int, int]] | None]],
) -> None:
    document, spans = case
    page = Page(render_evidence(document, record_of(document, spans)))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {(attributes["href"] or "").removeprefix("#") for attributes in page.of("a")}
    assert targets <= set(ids)
    quotes = sum(len(places or ()) for places in spans.values())
    assert len([item for item in page.of("a") if item.get("class") == "at"]) == quotes


def sample() -> tuple[Document, Record]:
    document = document_of(pages=((0, 48), (48, len(TEXT))))
    law = TEXT.index("governed")
    record = record_of(
        document,
        {"Parties": [(25, 33), (38, 46)], "Cap on Liability": None, "Governing Law": [(law, len(TEXT))]},
        not_assessed=("Force Majeure",),
    )
    return document, record


def test_the_list_shows_every_field_in_order() -> None:
    page = Page(render_evidence(*sample()))
    shown = " ".join(page.everything.split())
    assert "2 of 3 fields found · 96 characters · 2 pages · release r1 · schema clauses-47" in shown
    assert "1 Parties yes 91 % confident · accepted “ACME Ltd” page 1 “Bolt plc” page 1" in shown
    assert "2 Cap on Liability – not found" in shown
    assert "3 Governing Law yes 91 % confident · accepted “governed by the law of Utopia.” page 2" in shown
    assert "Not assessed by this release Force Majeure" in shown


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (False, "no"),
        ("2020-01", "2020-01"),
        (["ACME Ltd", "Bolt plc"], "ACME Ltd; Bolt plc"),
        ({"amount": 2, "unit": "years", "note": None}, "amount: 2, unit: years"),
        (None, ""),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("long " * 100, ("long " * 56)[:279] + "…"),
    ],
)
def test_answers_of_every_type(answer: object, shown: str) -> None:
    document = document_of()
    found = FieldAnswer(
        answer=answer,
        quotes=(Quote(text="SUPPLY", start=0, end=6, page=None),),
        confidence=0.5,
        status="review",
    )
    page = Page(render_evidence(document, record_of(document, {}, fields={"X": found})))
    assert f"{shown} 50 % confident · review “SUPPLY”".strip() in " ".join(page.everything.split())
    assert not page.of("script")


def test_nothing_is_fetched_and_nothing_runs() -> None:
    markup = render_evidence(*sample())
    page = Page(markup)
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "link", "img", "iframe", "object", "form"})
    assert not re.search(r"https?:|url\(|@import|\bsrc=|\son\w+=", markup)
    assert "default-src 'none'" in markup


def test_landmarks_language_and_keyboard() -> None:
    page = Page(render_evidence(*sample()))
    assert page.of("html") == [{"lang": "en"}]
    for landmark in ("header", "nav", "main", "h1"):
        assert len(page.of(landmark)) == 1
    assert page.of("nav")[0]["aria-label"] == "Fields"
    assert page.of("a")[0] == {"class": "skip", "href": "#document"}  # first in the order of tabs
    assert all(item.get("href") for item in page.of("a"))


def test_colours_depend_on_the_place_in_the_list_only() -> None:
    document, record = sample()
    other = record_of(document, {"Parties": None, "Cap on Liability": None, "Governing Law": [(0, 6)]})
    colours = [re.findall(r"hsl\((\d+) ", render_evidence(document, item)) for item in (record, other)]
    assert set(colours[1]) == {"275"}  # twice the golden angle
    assert set(colours[0]) == {"0", "275"}


def luminance(rgb: tuple[float, float, float]) -> float:
    """Relative luminance, WCAG 2.1."""
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("saturation", "lightness", "ink"), [(0.85, 0.84, "1a1a1a"), (0.45, 0.27, "f0f0f2")])
def test_text_on_every_hue_has_contrast(saturation: float, lightness: float, ink: str) -> None:
    import colorsys

    markup = render_evidence(*sample())
    assert f"--s: {saturation:.0%}; --l: {lightness:.0%}; --ink: #{ink}" in markup
    red, green, blue = (int(ink[place : place + 2], 16) / 255 for place in (0, 2, 4))
    text = luminance((red, green, blue))
    for hue in range(360):
        behind = luminance(colorsys.hls_to_rgb(hue / 360, lightness, saturation))
        assert (max(text, behind) + 0.05) / (min(text, behind) + 0.05) >= 4.5


def test_a_record_of_another_document_is_refused() -> None:
    document, record = sample()
    with pytest.raises(DocumentError, match=r"the record is of another document \(their sha256 differ\)"):
        render_evidence(document.model_copy(update={"sha256": "cd" * 32}), record)


def test_a_quote_that_does_not_stand_there_is_refused() -> None:
    document, record = sample()
    with pytest.raises(DocumentError, match="Parties quotes 'ACME Ltd', which does not stand at 25 to 33"):
        render_evidence(document.model_copy(update={"text": "x" + TEXT}), record)


def test_nul_shows_as_a_replacement_character() -> None:
    document = document_of("a\0b")
    assert Page(render_evidence(document, record_of(document, {}))).text == "a\ufffdb"
