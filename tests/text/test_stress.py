"""Spoilt documents: what each kind does, where its words stood, and which labels are left."""

from __future__ import annotations

import random
import re
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lextune.core.records import Document, FieldLabel, Span
from lextune.text.spans import collapse
from lextune.text.stress import (
    CUT,
    INJECTIONS,
    INSTRUCTIONS,
    KINDS,
    OCR_RATE,
    PAGE,
    cut_pages,
    emptied,
    furnished,
    huge,
    injected,
    misread,
    pages_of,
    shuffled_pages,
)

SPOIL = {kind: spoil for kind, (_, spoil) in KINDS.items()} | {"huge": partial(huge, characters=10_000)}
LINES = [f"Clause {number} obliges the modern supplier to deliver {number} loads.\n\n" for number in range(30)]


def _document(pages: int = 6) -> Document:
    text, per = "".join(LINES), len(LINES) // pages
    edges = [len("".join(LINES[: per * n])) for n in range(pages)] + [len(text)]
    labels = {}
    for number in range(0, len(LINES), 3):
        part = LINES[number].strip()
        start = text.index(part)
        labels[f"F{number}"] = FieldLabel(
            parts=(part,), spans=((Span(start=start, end=start + len(part)),),), answer=str(number)
        )
    labels["None"] = FieldLabel()
    spans = tuple(Span(start=a, end=b) for a, b in pairwise(edges))
    return Document(id="d", name="d.pdf", sha256="0", text=text, pages=spans, labels=labels)


@pytest.mark.parametrize("kind", SPOIL)
def test_labels_go_with_their_words_and_back_again(kind: str) -> None:
    document = _document()
    made = SPOIL[kind](document, random.Random(3))
    assert made.document == SPOIL[kind](document, random.Random(3)).document
    assert made.document.text != document.text
    assert made.document.labels["None"] == FieldLabel()
    for name, label in made.document.labels.items():
        for part, spans in zip(label.parts, label.spans, strict=True):
            for span in spans:
                assert made.document.text[span.start : span.end] == part
                home = made.back(span.start, span.end)
                source = "".join(document.text[s.start : s.end] for s in home)
                assert source == document.labels[name].parts[0]


@given(st.sampled_from(sorted(SPOIL)), st.integers(0, 50), st.integers(1, 10))
def test_every_place_of_the_result_leads_into_the_source(kind: str, seed: int, pages: int) -> None:
    document = _document(pages)
    made = SPOIL[kind](document, random.Random(seed))
    size = len(made.document.text)
    for start in range(0, min(size, 2_000), 197):
        for span in made.back(start, min(size, start + 60)):
            assert 0 <= span.start < span.end <= len(document.text)
    for page in made.document.pages:
        assert 0 <= page.start <= page.end <= size


def test_instructions_stand_between_paragraphs_and_in_no_quote() -> None:
    document = _document()
    text = injected(document, random.Random(0)).document.text
    assert sum(text.count(each) for each in INSTRUCTIONS) == INJECTIONS
    for line in LINES:
        assert line.strip() in text
    bare = document.model_copy(update={"text": "One line.", "pages": (), "labels": {}})
    assert injected(bare, random.Random(0)).document.text.startswith("One line.\n\n")


def test_pages_are_cut_and_what_stood_on_them_is_absent() -> None:
    made = cut_pages(_document(), random.Random(0))
    gone = [name for name, label in made.document.labels.items() if name != "None" and not label.present]
    assert len(made.document.pages) == 6 - round(CUT * 6)
    assert gone == [f"F{n}" for n in range(0, len(LINES), 3) if LINES[n] not in made.document.text]
    assert gone
    assert len(cut_pages(_document(1), random.Random(0)).document.text) == len("".join(LINES))


def test_a_quote_over_a_page_that_is_cut_cannot_be_told() -> None:
    document = _document()
    edge = document.pages[1].start
    across = FieldLabel(parts=("x",), spans=((Span(start=edge - 5, end=edge + 5),),))
    for seed in range(12):
        made = cut_pages(document.model_copy(update={"labels": {"A": across}}), random.Random(seed))
        kept = {s.start for s in made.back(0, len(made.document.text))}
        both = 0 in kept and edge in kept
        assert ("A" not in made.document.labels) == (len(kept & {0, edge}) == 1 or both)


def test_pages_are_shuffled_and_nothing_is_lost() -> None:
    made = shuffled_pages(_document(), random.Random(0))
    assert sorted(made.document.text) == sorted("".join(LINES))
    assert all(label.present for name, label in made.document.labels.items() if name != "None")


def test_some_words_are_misread() -> None:
    document = _document()
    words = len(re.findall(r"\w+", document.text))
    changed = []
    for seed in range(40):
        made = misread(document, random.Random(seed))
        before, after = document.text.split(), made.document.text.replace("-\n", "").split()
        changed.append(sum(a != b for a, b in zip(before, after, strict=True)))
    assert 0.2 * OCR_RATE < sum(changed) / 40 / words <= OCR_RATE


def test_headers_and_footers_stand_between_pages() -> None:
    made = furnished(_document(), random.Random(0))
    assert [f"Page {n} of 6" in made.document.text for n in range(1, 7)] == [True] * 5 + [False]
    assert collapse(
        re.sub(r"Page \d of 6|(?:CONFIDENTIAL|EXECUTION VERSION|Draft of 3 March) - d.pdf", "", made.document.text)
    ) == collapse("".join(LINES))


def test_nothing_is_left_of_an_empty_document() -> None:
    made = emptied(_document(), random.Random(0))
    assert (made.document.text, made.document.pages) == ("", ())
    assert not any(label.present for label in made.document.labels.values())
    assert made.back(0, 0) == ()


def test_a_huge_document_repeats_itself() -> None:
    document = _document()
    made = huge(document, random.Random(0), characters=5 * len(document.text) - 7)
    assert made.document.text == document.text * 5
    assert [len(spans) for spans in made.document.labels["F0"].spans] == [5]
    size = len(document.text)
    assert made.back(size - 3, size + 4) == (Span(start=size - 3, end=size), Span(start=0, end=4))


def test_a_text_without_pages_is_cut_at_line_ends() -> None:
    text = "".join(f"line {n} of a long text\n" for n in range(800))
    pages = pages_of(Document(id="d", name="d", sha256="0", text=text))
    assert [pages[0].start, pages[-1].end] == [0, len(text)]
    assert all(a.end == b.start and text[b.start - 1] == "\n" for a, b in pairwise(pages))
    assert all(page.end - page.start < PAGE + 100 for page in pages[:-1])
    assert len(pages) > 4
