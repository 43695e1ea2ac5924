"""The `point` strategy's words: the prompt that numbers sentences, and the JSON answer that points at them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from lextune.core.records import Message
from lextune.expert.schema import Schema
from lextune.expert.windowing import WindowExample

SYSTEM = "You find clauses in contracts. You answer with JSON only."
INSTRUCTION = (
    "Clause types: {names}.\n"
    "Which numbered sentences below state which clause types? Answer with one JSON object that maps a clause "
    'type to its sentence numbers, like {{"{first}":[2],"{second}":[4,5]}}. Answer {{}} if there is none.'
)


GENERAL = "general-"  # what the document ids of general instructions begin with


class ChatExample(BaseModel):
    """One training example for a generative strategy: a conversation and the answer that is learnt."""

    model_config = ConfigDict(frozen=True)
    document_id: str
    messages: tuple[Message, ...]
    completion: str

    @property
    def text_id(self) -> str:
        """What is asked about: conversations of one text that follow one another share what they begin with."""
        return self.document_id


def point_messages(
    schema: Schema, heading: str, texts: Sequence[str], shots: Sequence[WindowExample] = ()
) -> list[Message]:
    """Return the conversation that asks one window's question, after worked examples if there are any."""
    instruction = INSTRUCTION.format(names="; ".join(schema.names), first=schema.names[-1], second=schema.names[0])
    messages = [Message(role="system", content=f"{SYSTEM}\n{instruction}")]
    for shot in shots:
        messages.append(Message(role="user", content=numbered(shot.heading, shot.texts)))
        messages.append(Message(role="assistant", content=point_answer(schema, shot)))
    messages.append(Message(role="user", content=numbered(heading, texts)))
    return messages


def numbered(heading: str, texts: Sequence[str]) -> str:
    """Return a window as a prompt shows it: its heading, if it has one, and its sentences, numbered from 1."""
    lines = [f"{number}. {text}" for number, text in enumerate(texts, start=1)]
    return "\n".join([f"[{heading}]", *lines] if heading else lines)


def point_answer(schema: Schema, example: WindowExample) -> str:
    """Return the answer to learn: fields in schema order, sentence numbers from 1, `{}` for none."""
    found: dict[str, list[int]] = {}
    for number, name in enumerate(schema.names):
        rows = [i for i, fields in enumerate(example.positives, start=1) if number in fields]
        if rows:
            found[name] = rows
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"))


def parse_point(schema: Schema, sentences: int, text: str) -> dict[str, list[int]] | None:
    """Return sentence indexes (from 0) by field, None where the text is not a valid answer.

    A field that is named twice, which the grammar allows, has the sentences of both.
    """
    try:
        pairs = json.loads(text, object_pairs_hook=tuple)  # an object becomes a tuple, a list stays a list
    except (ValueError, RecursionError):
        return None
    if not isinstance(pairs, tuple):
        return None
    out: dict[str, list[int]] = {}
    for name, numbers in pairs:
        if name not in schema.names or not isinstance(numbers, list) or not numbers:
            return None
        if not all(isinstance(n, int) and not isinstance(n, bool) and 1 <= n <= sentences for n in numbers):
            return None
        out[name] = sorted({*out.get(name, ()), *(n - 1 for n in numbers)})
    return out


def point_example(schema: Schema, example: WindowExample) -> ChatExample:
    """Return a labelled window as a conversation to learn from."""
    return ChatExample(
        document_id=example.document_id,
        messages=tuple(point_messages(schema, example.heading, example.texts)),
        completion=point_answer(schema, example),
    )
