"""Clause extraction: which fields of a schema a contract states, and where."""

from __future__ import annotations

from collections.abc import Iterator

from lextune.core.records import Document
from lextune.expert.point import ChatExample
from lextune.expert.schema import Schema
from lextune.expert.tasks.base import Task
from lextune.expert.templates import Codec
from lextune.expert.windowing import WindowConfig, WindowExample, cut, label


class ClauseExtraction(Task):
    """Which fields of a schema a contract states, and where."""

    name = "clause-extraction"
    strategies = ("tag", "point", "text")
    rows = False

    def examples(
        self, document: Document, schema: Schema, codec: Codec, window: WindowConfig, strategy: str
    ) -> Iterator[WindowExample | ChatExample]:
        """Yield the document's windows with their labels; `as_chats` turns them into conversations later."""
        yield from label(document, cut(document, codec, window), schema, parts=strategy == "text")
