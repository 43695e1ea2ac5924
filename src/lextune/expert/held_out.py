"""Held-out documents as a reader saw them: what thresholds, fusion and the screen are fitted on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lextune.core.records import Document, Span
from lextune.expert.readers import Passage
from lextune.expert.schema import Schema
from lextune.expert.templates import Codec
from lextune.expert.windowing import WindowConfig, cut, label

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

IGNORED = -1
"""In `HeldOut.truth`, a sentence that counts neither way."""


class LogitReader(Protocol):
    """Gives logits [sentences, fields] of windows."""

    def logits(self, passages: Sequence[Passage]) -> list[NDArray[np.float32]]:
        """Return one matrix a passage."""
        ...


@dataclass(frozen=True)
class HeldOut:
    """An annotated document that training did not see.

    `sentences` are the spans of its sentences, `window_of` the window of each; `logits` [sentences, fields] is what the
    reader said, `truth` [sentences, fields] whether a sentence answers a field: 1, 0, or `IGNORED`.
    """

    document: Document
    sentences: Sequence[Span]
    window_of: NDArray[np.intp]
    logits: NDArray[np.float32]
    truth: NDArray[np.int8]

    @property
    def starts(self) -> NDArray[np.intp]:
        """The first sentence of each window."""
        import numpy as np

        return np.flatnonzero(np.diff(self.window_of, prepend=-1))


def read_held_out(
    reader: LogitReader, documents: Iterable[Document], schema: Schema, codec: Codec, window: WindowConfig
) -> Iterator[HeldOut]:
    """Yield each document as a reader sees it, cut as it is when it is answered.

    Args:
        reader: it has not been trained on the documents.
        documents: annotated documents.
        schema: the fields, the columns of all that is yielded.
        codec: of the base model.
        window: how documents are cut.
    """
    import numpy as np

    for document in documents:
        windows = cut(document, codec, window)
        examples = list(label(document, windows, schema))
        rows = reader.logits([Passage(example.heading, example.texts) for example in examples])
        sizes = [len(example.texts) for example in examples]
        logits = np.concatenate(rows) if rows else np.zeros((0, len(schema.fields)), np.float32)
        truth = np.zeros(logits.shape, np.int8)
        for row, yes in enumerate(yes for example in examples for yes in example.positives):
            truth[row, list(yes)] = 1
        for row, skipped in enumerate(skipped for example in examples for skipped in example.ignored):
            truth[row, list(skipped)] = IGNORED
        sentences = [span for each in windows for span in each.sentences]
        yield HeldOut(document, sentences, np.repeat(np.arange(len(sizes)), sizes), logits, truth)
