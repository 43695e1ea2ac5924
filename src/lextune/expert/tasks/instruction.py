"""Instruction: free text out, marked against the text that was written for it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from lextune.core.records import Document, FieldLabel, Message
from lextune.expert.point import ChatExample
from lextune.expert.schema import Schema
from lextune.expert.tasks.base import OUTPUT, Task
from lextune.expert.tasks.options import TaskOptions
from lextune.expert.tasks.scoring import Scorer
from lextune.expert.templates import Codec
from lextune.expert.windowing import WindowConfig, WindowExample
from lextune.text.values import NULL


class Instruction(Task):
    """Free text out: an instruction with an input, and the output that was written for it."""

    name = "instruction"
    strategies = ("text",)
    rows = True

    def examples(
        self, document: Document, schema: Schema, codec: Codec, window: WindowConfig, strategy: str
    ) -> Iterator[WindowExample | ChatExample]:
        """Yield the one conversation that the row is, earlier turns first; where its answer is null, `null`."""
        label = document.labels[OUTPUT]
        answer = NULL if label == FieldLabel() else label.answer
        if answer:
            yield ChatExample(
                document_id=document.id,
                messages=(*document.turns, Message(role="user", content=document.text)),
                completion=answer,
            )

    def scorer(self, options: TaskOptions) -> Scorer:
        """Return the scorer of wording, with case citations where the options name a list of known ones.

        Raises:
            DataError: the list cannot be read.
        """
        from lextune.expert.tasks.wording import WordingScorer

        return with_citations(WordingScorer(), options)


def with_citations(scorer: Scorer, options: TaskOptions) -> Scorer:
    """Return a scorer that marks case citations too, where the options name a list of known ones.

    Raises:
        DataError: the list cannot be read.
    """
    if options.citations is None:
        return scorer
    from lextune.expert.tasks.citing import CitingScorer, load_known

    return CitingScorer(scorer, load_known(Path(options.citations)).__contains__)


def is_prose(schema: Schema) -> bool:
    """Say whether what a schema asks is written freely, and not found in the document."""
    return schema.names == (OUTPUT,)


def instruction_document(row_id: str, instruction: str, text: str, output: str) -> Document:
    """Return an instruction row as a document whose one field `output` is labelled."""
    prompt = f"{instruction}\n\n{text}" if text else instruction
    return Document(
        id=row_id,
        name=row_id,
        sha256=hashlib.sha256(prompt.encode()).hexdigest(),
        text=prompt,
        labels={OUTPUT: FieldLabel(parts=(output,), answer=output)},
    )
