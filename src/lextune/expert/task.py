"""Tasks are data: what is asked, how it becomes training examples, which expert answers it.

A task is one small class registered by name; every stage asks the task for what differs. Clause extraction
reads windows; `instruction` (instruction, input, output) writes free text.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

from pydantic import RootModel

from lextune.core.errors import RecipeError
from lextune.core.records import Document, FieldLabel, Message
from lextune.expert.point import ChatExample, point_example
from lextune.expert.quoting import Absent, field_questions
from lextune.expert.schema import Schema
from lextune.expert.templates import Codec
from lextune.expert.windowing import WindowConfig, WindowExample, cut, label
from lextune.text.values import NULL

OUTPUT = "output"  # the one field of the instruction task


class Task(ABC):
    """A question, its examples and its strategies."""

    name: ClassVar[str]
    strategies: ClassVar[tuple[str, ...]]

    @abstractmethod
    def examples(
        self, document: Document, schema: Schema, codec: Codec, window: WindowConfig, strategy: str
    ) -> Iterator[WindowExample | ChatExample]:
        """Yield what one annotated document teaches."""

    def check_strategy(self, strategy: str) -> None:
        """Refuse a strategy that this task does not have.

        Raises:
            RecipeError: naming those it has.
        """
        if strategy not in self.strategies:
            raise RecipeError(
                f"the task {self.name} has no strategy {strategy!r}",
                where="train.strategy",
                do=f"use {' or '.join(self.strategies)}",
            )


class ClauseExtraction(Task):
    """Which fields of a schema a contract states, and where."""

    name = "clause-extraction"
    strategies = ("tag", "point", "text")

    def examples(
        self, document: Document, schema: Schema, codec: Codec, window: WindowConfig, strategy: str
    ) -> Iterator[WindowExample | ChatExample]:
        """Yield the document's windows with their labels; `as_chats` turns them into conversations later."""
        yield from label(document, cut(document, codec, window), schema, parts=strategy == "text")


class Instruction(Task):
    """Free text out: an instruction with an input, and the output that was written for it."""

    name = "instruction"
    strategies = ("text",)

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


TASKS: dict[str, Task] = {task.name: task for task in (ClauseExtraction(), Instruction())}


def get_task(name: str) -> Task:
    """Return the task registered under this name.

    Raises:
        RecipeError: there is none.
    """
    if name not in TASKS:
        raise RecipeError(f"no task {name!r}", where="task", do=f"use one of {', '.join(TASKS)}")
    return TASKS[name]


class Example(RootModel[WindowExample | ChatExample]):
    """A line of examples: a window, or a conversation (a row, or a general instruction among windows)."""


def as_chats(
    schema: Schema, example: WindowExample | ChatExample, strategy: str, absent: Absent
) -> Sequence[ChatExample]:
    """Return the conversations that an example is to a strategy that generates, those of one text in a row.

    Args:
        schema: the fields that are asked.
        example: a window, or a conversation, which is taken as it is.
        strategy: `point`, which asks all fields at once, or `text`, which asks one at a time.
        absent: which of the fields that are not there `text` asks.
    """
    if isinstance(example, ChatExample):
        return (example,)
    return tuple(field_questions(schema, example, absent)) if strategy == "text" else (point_example(schema, example),)


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
