"""An expert that was trained on cleaned documents: it reads every document as cleaning leaves it.

What it answers refers to the document as it came: offsets and quotes are led back over the edits.
"""

from __future__ import annotations

from collections.abc import Sequence

from lextune.core.records import Candidate, Document, Edit, FieldAnswer, Message, Prediction, Quote, Span
from lextune.expert.answering import Expert
from lextune.expert.engines.base import GenerateOptions, Generation
from lextune.expert.schema import Schema
from lextune.expert.writing import WritingExpert
from lextune.text.cleaning import CleanOptions, clean
from lextune.text.edits import OffsetMap


def cleaned(document: Document, options: CleanOptions) -> tuple[Document, Sequence[Edit]]:
    """Return a document as cleaning leaves it, and what was changed."""
    found = clean(document.text, document.pages, options)
    return document.model_copy(update={"text": found.text, "pages": found.pages}), found.edits


class CleanedExpert:
    """An expert behind the cleaning that its training documents went through.

    Args:
        expert: answers cleaned documents.
        options: the operations, as they were for training.
    """

    def __init__(self, expert: Expert, options: CleanOptions) -> None:
        self._expert, self._options = expert, options

    @property
    def name(self) -> str:
        """The release's name."""
        return self._expert.name

    @property
    def release_hash(self) -> str:
        """The hash of the release."""
        return self._expert.release_hash

    @property
    def strategy(self) -> str:
        """`tag` or `point`."""
        return self._expert.strategy

    @property
    def schema(self) -> Schema:
        """The fields it answers."""
        return self._expert.schema

    def answer(self, document: Document, *, min_confidence: float | None = None) -> Prediction:
        """Answer every field from one document; see `Expert.answer`."""
        read, edits = cleaned(document, self._options)
        prediction = self._expert.answer(read, min_confidence=min_confidence)
        back = OffsetMap(edits)
        record = prediction.record
        info = record.document.model_copy(update={"characters": len(document.text)})
        fields = {name: answer and _moved(answer, document, back) for name, answer in record.fields.items()}
        return prediction.model_copy(
            update={
                "record": record.model_copy(update={"document": info, "fields": fields}),
                "candidates": tuple(_moved_candidate(one, back) for one in prediction.candidates),
            }
        )

    def chat(self, messages: Sequence[Message], options: GenerateOptions) -> Generation:
        """Continue a conversation; see `Expert.chat`."""
        return self._expert.chat(messages, options)


def behind_cleaning(
    expert: Expert | WritingExpert, options: CleanOptions | None
) -> Expert | WritingExpert | CleanedExpert:
    """Return an expert behind the cleaning that its training documents went through, if any; one that writes as it is.

    Args:
        expert: what reads.
        options: of the cleaning; None for none.
    """
    return CleanedExpert(expert, options) if options is not None and isinstance(expert, Expert) else expert


def _moved(answer: FieldAnswer, document: Document, back: OffsetMap) -> FieldAnswer:
    spans = [back.span_to_original(Span(start=quote.start, end=quote.end)) for quote in answer.quotes]
    quotes = tuple(
        Quote(text=document.text[s.start : s.end], start=s.start, end=s.end, page=document.page_of(s.start))
        for s in spans
    )
    return answer.model_copy(update={"quotes": quotes})


def _moved_candidate(one: Candidate, back: OffsetMap) -> Candidate:
    span = back.span_to_original(Span(start=one.start, end=one.end))
    return one.model_copy(update={"start": span.start, "end": span.end})
