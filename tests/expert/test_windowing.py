"""Windows and labels: every quoted part lands on a sentence, repeats and unassessed fields count for nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lextune.core.records import Document, FieldLabel, Span
from lextune.expert.head import tag_input
from lextune.expert.schema import Schema
from lextune.expert.templates import Codec
from lextune.expert.windowing import WindowConfig, cut, label, sentence_texts

TEXT = "Ohio law governs this.  Assignment is\nnot allowed. Ohio law governs this. The end."


def mark(text: str, *parts: str) -> FieldLabel:
    spans = []
    for part in parts:
        found, at = [], text.find(part)
        while at >= 0:
            found.append(Span(start=at, end=at + len(part)))
            at = text.find(part, at + 1)
        spans.append(tuple(found))
    return FieldLabel(parts=parts, spans=tuple(spans))


DENSE = st.sampled_from(["(", "漢", "🙂", "9", "§", "\u200b", ")(", "8,", "\U000e0001", "x ", "é"])


@given(unit=st.lists(DENSE, min_size=1, max_size=4).map("".join), times=st.integers(1, 500))
@example("\U000e0001", 700)
@example("7", 2000)
@settings(max_examples=30)
def test_no_text_makes_a_window_that_the_model_cannot_read(
    codec: Codec, document_of: Callable[[str], Document], unit: str, times: int
) -> None:
    """The trainer reads 1,024 tokens; a sentence of 700 rare characters alone has 2,800."""
    document = document_of(unit * times)
    config = WindowConfig()
    for window in cut(document, codec, config):
        item = tag_input(codec, window.heading, sentence_texts(document.text, window))
        assert window.tokens <= config.max_tokens
        assert len(item.ids) <= config.max_tokens + 3 * len(window.sentences) + 64


def test_the_dense_sentence_is_too_long_by_itself(codec: Codec) -> None:
    assert len(codec.encode_plain("\U000e0001" * 700)) == 2800


@pytest.mark.parametrize("setting", [{"max_tokens": 0}, {"max_tokens": 31}, {"max_sentences": 0}])
def test_a_window_holds_something(setting: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match="greater than or equal"):
        WindowConfig(**setting)


def test_labels(tiny_base: Path, clauses: Schema, document_of: Callable[[str], Document]) -> None:
    codec = Codec(tiny_base)
    labels = {"Governing Law": mark(TEXT, "Ohio law governs this."), "Anti-Assignment": mark(TEXT, "not allowed")}
    labels["Parties"] = FieldLabel()
    document = document_of(TEXT).model_copy(update={"labels": labels})
    (example,) = label(document, cut(document, codec, WindowConfig()), clauses)
    law, anti = clauses.names.index("Governing Law"), clauses.names.index("Anti-Assignment")
    parties = clauses.names.index("Parties")
    assert example.texts == (
        "Ohio law governs this.",
        "Assignment is not allowed.",
        "Ohio law governs this.",
        "The end.",
    )
    assert example.positives == ((law,), (anti,), (), ()), "the chosen occurrence alone"
    assert law in example.ignored[2], "the same words elsewhere count for nothing"
    assert law not in example.ignored[0]
    unassessed = {clauses.names.index(n) for n in clauses.names if n not in labels}
    assert all(unassessed <= set(row) for row in example.ignored)
    assert all(parties not in row for row in (*example.ignored, *example.positives)), "assessed and absent"
    assert example.positive


@given(start=st.integers(0, len(TEXT) - 1), length=st.integers(1, 60))
@settings(max_examples=80)
def test_no_label_is_lost_to_the_cutting(
    tiny_base: Path, clauses: Schema, document_of: Callable[[str], Document], start: int, length: int
) -> None:
    quoted = TEXT[start : start + length]
    given_label = FieldLabel(parts=(quoted,), spans=((Span(start=start, end=start + len(quoted)),),))
    document = document_of(TEXT).model_copy(update={"labels": {"Audit Rights": given_label}})
    codec = Codec(tiny_base)
    rows = [
        r for e in label(document, cut(document, codec, WindowConfig(max_sentences=2)), clauses) for r in e.positives
    ]
    assert any(rows) or not quoted.strip()


def test_offsets_lead_back_to_the_text(tiny_base: Path, document_of: Callable[[str], Document]) -> None:
    document = document_of("\ufeff 𝒜lpha  leads.\r\n\r\nBeta\tfollows.")
    (window,) = cut(document, Codec(tiny_base), WindowConfig())
    assert [document.text[s.start : s.end] for s in window.sentences] == ["\ufeff 𝒜lpha  leads.", "Beta\tfollows."]
    assert sentence_texts(document.text, window) == ["\ufeff 𝒜lpha leads.", "Beta follows."]
