"""From a document to the windows a model reads, and, where it is annotated, to their labels.

Training, calibration, evaluation and serving cut documents by this one module.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from lextune.core.recipe import Config
from lextune.core.records import Document, Span
from lextune.expert.schema import Schema
from lextune.expert.templates import Codec
from lextune.text.segments import Window, windows
from lextune.text.spans import collapse, united


class WindowConfig(Config):
    """How documents are cut: the most that a window holds."""

    max_tokens: int = Field(320, ge=32)
    """Tokens of sentences in a window; a longer sentence is cut."""
    max_sentences: int = Field(40, ge=1)
    """Sentences in a window."""


class Part(NamedTuple):
    """What of a sentence is quoted for a field (an index into the schema): text[start:end]."""

    field: int
    start: int
    end: int


class WindowExample(BaseModel):
    """A labelled window.

    `texts[i]` is sentence i with white space collapsed. `positives[i]` lists the fields (indexes into the
    schema) that sentence i answers; `ignored[i]` lists fields that must not be counted either way there: the
    sentence repeats a quoted part whose chosen occurrence is elsewhere, or the field was not assessed. `parts[i]` are
    the quoted parts of `texts[i]`, in order; there are none of any sentence where whole sentences are learnt.
    """

    model_config = ConfigDict(frozen=True)
    document_id: str
    index: int
    heading: str
    texts: tuple[str, ...]
    positives: tuple[tuple[int, ...], ...]
    ignored: tuple[tuple[int, ...], ...]
    parts: tuple[tuple[Part, ...], ...] = ()

    @property
    def positive(self) -> bool:
        """Whether any sentence answers any field."""
        return any(self.positives)


def cut(document: Document, codec: Codec, config: WindowConfig) -> list[Window]:
    """Cut a document into windows; see `lextune.text.segments.windows`."""
    return windows(
        document.id,
        document.text,
        lambda texts: [len(ids) for ids in codec.encode_many(texts)],
        max_tokens=config.max_tokens,
        max_sentences=config.max_sentences,
    )


def sentence_texts(text: str, window: Window) -> list[str]:
    """Return a window's sentences with white space collapsed, as the model reads them."""
    return [" ".join(text[s.start : s.end].split()) for s in window.sentences]


def label(
    document: Document, window_list: Sequence[Window], schema: Schema, *, parts: bool = False
) -> Iterator[WindowExample]:
    """Yield the labelled form of each window of an annotated document, with the quoted parts where they are wanted."""
    flat = [s for w in window_list for s in w.sentences]
    positives: list[set[int]] = [set() for _ in flat]
    ignored: list[set[int]] = [set() for _ in flat]
    quoted: list[list[Part]] = [[] for _ in flat]
    for number, field in enumerate(schema.names):
        given = document.labels.get(field)
        if given is None:
            for row in ignored:
                row.add(number)
            continue
        for occurrences in given.spans:
            for rank, span in enumerate(occurrences):
                for hit in _touched(flat, span):
                    (positives if rank == 0 else ignored)[hit].add(number)
                    if parts and rank == 0:
                        quoted[hit] += _part(document.text, number, flat[hit], span)
    done = 0
    for window in window_list:
        rows = range(done, done + len(window.sentences))
        done += len(window.sentences)
        yield WindowExample(
            document_id=document.id,
            index=window.index,
            heading=window.heading,
            texts=tuple(sentence_texts(document.text, window)),
            positives=tuple(tuple(sorted(positives[i])) for i in rows),
            ignored=tuple(tuple(sorted(ignored[i] - positives[i])) for i in rows),
            parts=tuple(tuple(Part(*place) for place in united(quoted[i])) for i in rows) if parts else (),
        )


def _part(text: str, number: int, sentence: Span, span: Span) -> list[Part]:
    """Return what a span covers of a sentence, as offsets into the sentence with its white space collapsed."""
    first, last = max(sentence.start, span.start), min(sentence.end, span.end)
    before, words = text[sentence.start : first].split(), collapse(text[first:last])
    parted = text[first - 1 : first + 1].strip() != text[first - 1 : first + 1]
    start = len(" ".join(before)) + bool(before and parted)
    return [Part(number, start, start + len(words))] if words else []


def _touched(flat: Sequence[Span], span: Span) -> list[int]:
    """Return the sentences a quoted part covers: by half of the sentence, or by half of the part.

    The part's largest overlap always counts, so that no label is lost to the cutting.
    """
    low, high = 0, len(flat)
    while low < high:  # first sentence that ends after the span starts
        middle = (low + high) // 2
        if flat[middle].end <= span.start:
            low = middle + 1
        else:
            high = middle
    overlaps: list[tuple[int, int]] = []
    for index in range(low, len(flat)):
        if flat[index].start >= span.end:
            break
        overlaps.append((index, min(flat[index].end, span.end) - max(flat[index].start, span.start)))
    if not overlaps:
        return []
    largest = max(shared for _, shared in overlaps)
    return [
        index
        for index, shared in overlaps
        if shared == largest or shared * 2 >= flat[index].end - flat[index].start or shared * 2 >= span.end - span.start
    ]
