"""The expert for tasks that write prose: the document is the prompt, the answer is the text."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from itertools import takewhile

from lextune.core.records import Document, FieldAnswer, Message, Prediction, Usage
from lextune.expert.answering import Identified, Identity
from lextune.expert.engines.base import Chatter, GenerateOptions, Generation
from lextune.expert.readers import UNKNOWN, no_number
from lextune.expert.schema import Schema
from lextune.text.values import NULL

MAX_TOKENS = 256


class WritingExpert(Identified):
    """Answers a document's text with free text, after worked examples if there are any.

    Args:
        identity: recorded in every answer.
        schema: one field, the text.
        chatter: who writes.
        shots: (prompt, answer) pairs put before the question.
    """

    def __init__(
        self,
        identity: Identity,
        schema: Schema,
        chatter: Chatter,
        shots: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.identity, self.schema = identity, schema
        self._chatter, self._shots = chatter, shots

    def answer(self, document: Document, *, min_confidence: float | None = None) -> Prediction:
        """Write the answer to one document: system messages, worked examples, earlier turns, then its text.

        Nothing is quoted, so that every answer is marked for review, whatever `min_confidence` says. The word
        `null`, which rows without an answer teach, is no answer.

        Raises:
            ContextError: the document is longer than the model's context.
            DocumentError: the engine gave no number for a token.
        """
        started = time.perf_counter()
        shots = [
            Message(role=role, content=text)
            for shot in self._shots
            for role, text in zip(("user", "assistant"), shot, strict=True)
        ]
        system = list(takewhile(lambda turn: turn.role == "system", document.turns))
        said = [*system, *shots, *document.turns[len(system) :]]
        done = self.chat([*said, Message(role="user", content=document.text)], GenerateOptions(max_tokens=MAX_TOKENS))
        if done.confidence is not None and not math.isfinite(done.confidence):
            raise no_number("a token", document.text)
        field = self.schema.names[0]
        sure = UNKNOWN if done.confidence is None else done.confidence
        text = done.text.strip()
        answer = FieldAnswer(answer=text, quotes=(), confidence=round(sure, 4), status="review")
        return Prediction(
            document_id=document.id,
            record=self._record(document, {field: None if text in ("", NULL) else answer}),
            usage=Usage(
                seconds=time.perf_counter() - started,
                prompt_tokens=done.prompt_tokens,
                generated_tokens=done.written,
                windows=1,
                cached_tokens=done.cached_tokens,
            ),
        )

    def chat(self, messages: Sequence[Message], options: GenerateOptions) -> Generation:
        """Continue a conversation.

        Raises:
            ContextError: the conversation is longer than the model's context.
        """
        return self._chatter.chat([messages], options)[0]
