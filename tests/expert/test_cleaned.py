"""Reading cleaned text and answering about the document as it came."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from lextune.core.errors import RequestError
from lextune.core.records import Document, Message, Span
from lextune.expert.answering import Expert, Identity
from lextune.expert.cleaned import CleanedExpert, behind_cleaning
from lextune.expert.engines.base import GenerateOptions
from lextune.expert.readers import Passage, Reading
from lextune.expert.schema import load_schema
from lextune.expert.templates import Codec
from lextune.expert.thresholds import Thresholds
from lextune.expert.windowing import WindowConfig
from lextune.text.cleaning import CleanOptions

SCHEMA = load_schema("clauses-47")
TEXT = "This agree-\nment is made.\n\nThe\u00a0\u00a0laws of  Ohio   govern this agreement.\n"


class Seen:
    """A reader that finds the governing law wherever `laws of Ohio` stands in plain spaces."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def read(self, passages: Sequence[Passage]) -> list[Reading]:
        """Return one matrix a passage."""
        found = []
        for passage in passages:
            self.texts += passage.texts
            matrix = np.zeros((len(passage.texts), len(SCHEMA.names)), dtype=np.float32)
            for row, text in enumerate(passage.texts):
                matrix[row, SCHEMA.names.index("Governing Law")] = 0.9 if "laws of Ohio" in text else 0.0
            found.append(Reading(matrix, prompt_tokens=1))
        return found


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def expert(seen: Seen, tiny_base: Path) -> CleanedExpert:
    parts = {"codec": Codec(tiny_base), "thresholds": Thresholds(), "window": WindowConfig()}
    inner = Expert(Identity("r1", "h", "tag"), SCHEMA, seen, **parts)  # type: ignore[arg-type]
    return CleanedExpert(inner, CleanOptions())


def test_it_reads_cleaned_text_and_quotes_the_original(expert: CleanedExpert, seen: Seen) -> None:
    pages = (Span(start=0, end=27), Span(start=27, end=len(TEXT)))
    document = Document(id="a", name="a", sha256="", text=TEXT, pages=pages)
    prediction = expert.answer(document, min_confidence=0.95)
    assert any("The laws of Ohio govern" in text for text in seen.texts), "the model saw plain spaces"
    law = prediction.record.fields["Governing Law"]
    assert law is not None
    (quote,) = law.quotes
    assert quote.text == "The\u00a0\u00a0laws of  Ohio   govern this agreement." == TEXT[quote.start : quote.end]
    assert (quote.page, law.status) == (2, "review")
    (candidate,) = (c for c in prediction.candidates if c.confidence > 0.5)
    assert (candidate.start, candidate.end) == (quote.start, quote.end)
    assert prediction.record.document.characters == len(TEXT)


def test_it_is_the_expert_it_wraps(expert: CleanedExpert) -> None:
    assert (expert.name, expert.release_hash, expert.strategy, expert.schema) == ("r1", "h", "tag", SCHEMA)
    with pytest.raises(RequestError, match="cannot chat"):
        expert.chat([Message(role="user", content="Hi")], GenerateOptions())


def test_what_was_not_cleaned_for_training_is_read_as_it_is(expert: CleanedExpert) -> None:
    inner = expert._expert
    assert behind_cleaning(inner, None) is inner
    found = behind_cleaning(inner, CleanOptions()).answer(Document(id="a", name="a", sha256="", text=TEXT))
    assert found.record == expert.answer(Document(id="a", name="a", sha256="", text=TEXT)).record
