"""What every task is, and what an example of any task becomes for a strategy that generates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

from pydantic import RootModel

from lextune.core.errors import RecipeError
from lextune.core.records import Document
from lextune.expert.point import ChatExample, point_example
from lextune.expert.quoting import Absent, field_questions
from lextune.expert.schema import Schema
from lextune.expert.tasks.options import TaskOptions
from lextune.expert.tasks.scoring import Scorer
from lextune.expert.templates import Codec
from lextune.expert.windowing import WindowConfig, WindowExample

OUTPUT = "output"  # the one field of a task that is made of rows


class Task(ABC):
    """A question, its examples, its strategies and its scorer; `rows` says that its data are rows, not contracts."""

    name: ClassVar[str]
    strategies: ClassVar[tuple[str, ...]]
    rows: ClassVar[bool]

    @abstractmethod
    def examples(
        self, document: Document, schema: Schema, codec: Codec, window: WindowConfig, strategy: str
    ) -> Iterator[WindowExample | ChatExample]:
        """Yield what one annotated document teaches."""

    def scorer(self, options: TaskOptions) -> Scorer | None:
        """Return what marks the task's answers, None for clause extraction, which `lextune.expert.scoring` marks.

        Raises:
            DataError: a file that the options name is missing or wrong.
        """
        return None

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
