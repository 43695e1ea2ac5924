"""A chat that keeps every answer: a run that is killed, or run again, never asks the same thing twice.

Answers are found again by the sha256 of who was asked, what, and how. Each is on disk before anyone sees it; what was
asked and had no answer yet when a run was killed is asked again.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from lextune.core.artifacts import sha256_json
from lextune.core.errors import ArtifactError, DataError
from lextune.core.journal import Journal
from lextune.core.parallel import in_order
from lextune.core.records import Message
from lextune.expert.engines.base import Chatter, GenerateOptions, Generation
from lextune.text.reading.base import well_formed


class Kept(BaseModel):
    """An answer and what it is found by."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    key: str
    answer: Generation


class CachedChat:
    """A `Chatter` before another one, which it asks only what is new.

    `asked` counts what the other one answered, `cached` what was there already.

    Args:
        chatter: who is asked; from several threads at once where it says so by an attribute `concurrency`.
        path: the JSON Lines file with the answers; it is made, and only grows.

    Raises:
        DataError: the file is something else.
        MachineError: the disk is full or cannot be written.
    """

    def __init__(self, chatter: Chatter, path: Path) -> None:
        self.name, self._chatter = chatter.name, chatter
        self.concurrency: int = getattr(chatter, "concurrency", 1)
        self.asked = self.cached = 0
        self._adding = threading.Lock()
        self._journal = Journal(path, Kept)
        try:
            self._answers = {kept.key: kept.answer for kept in self._journal}
        except ArtifactError:
            raise DataError(
                "not a file of kept answers", where=str(path), do="give another file, or delete it"
            ) from None

    def chat(self, conversations: Sequence[Sequence[Message]], options: GenerateOptions) -> list[Generation]:
        """Return one answer a conversation; the same one asked twice at once is asked once.

        Raises:
            MachineError: an answer cannot be kept. What the other chatter raises passes through, after the answers
                that came meanwhile were kept.
        """
        keys = [self._key(messages, options) for messages in conversations]
        new = {key: messages for key, messages in zip(keys, conversations, strict=True) if key not in self._answers}
        self.cached += len(conversations) - len(new)
        pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix="asking")
        for _ in in_order(pool, lambda item: self._ask(*item, options), new.items(), self.concurrency):
            pass
        return [self._answers[key] for key in keys]

    def _ask(self, key: str, messages: Sequence[Message], options: GenerateOptions) -> None:
        (answer,) = self._chatter.chat([messages], options)
        answer = answer.model_copy(update={"text": well_formed(answer.text)})
        with self._adding:
            self._journal.add(Kept(key=key, answer=answer))
            self._answers[key] = answer
            self.asked += 1

    def _key(self, messages: Sequence[Message], options: GenerateOptions) -> str:
        said = [[message.role, well_formed(message.content)] for message in messages]
        return sha256_json([self.name, said, options.model_dump()])
