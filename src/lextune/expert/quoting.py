"""The `text` strategy's words: one field asked of one window, and the answer in the window's own words.

The window stands before the question, so that all questions of a window begin alike and it is read once for them. An
answer is `null`, or the words that state the field, those of each sentence on a line of their own.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lextune.core.artifacts import Artifact
from lextune.core.records import Message
from lextune.expert.point import ChatExample
from lextune.expert.schema import Schema, SchemaField
from lextune.expert.windowing import WindowExample
from lextune.text.values import NULL, is_null

SYSTEM = (
    "You find clauses in contracts. You are given a part of a contract and a question about it. Copy the words that "
    "answer the question, those of each sentence on a line of their own. Answer null if there are none."
)


class FieldQuestion(ChatExample):
    """A conversation that asks one field of one window."""

    index: int
    field: str

    @property
    def text_id(self) -> str:
        """What is asked about: the window."""
        return f"{self.document_id}: window {self.index}"


class Absent(NamedTuple):
    """How many of the fields that a window does not state are asked of it, and what draws them."""

    fields: int = 4
    seed: int = 0

    @classmethod
    def of(cls, artifact: Artifact) -> Absent:
        """Return those of an artifact of examples, as its manifest has them; the default where it has none."""
        return cls(artifact.manifest.config.get("absent_fields", cls().fields), artifact.manifest.seed)


def question_messages(field: SchemaField, heading: str, texts: Sequence[str]) -> list[Message]:
    """Return the conversation that asks one field of a window, the question last."""
    window = "\n".join([f"[{heading}]", *texts] if heading else texts)
    return [
        Message(role="system", content=SYSTEM),
        Message(role="user", content=f"{window}\n\n{field.name}: {field.question}"),
    ]


def quoted_answer(example: WindowExample, number: int) -> str:
    """Return the answer to learn for field `number`: the quoted words by sentence, in the text's order, or `null`."""
    lines: list[str] = []
    for row, text in enumerate(example.texts):
        if number in example.positives[row]:
            parts = example.parts[row] if example.parts else ()
            lines += [text[part.start : part.end] for part in parts if part.field == number] or [text]
    return "\n".join(lines) or NULL


def says_null(answer: str) -> bool:
    """Say whether a text means that there is none, in whatever form."""
    return answer.strip() == NULL or is_null(answer, quoted=True)


def parse_quotes(answer: str) -> list[str]:
    """Return the quotes of an answer, white space collapsed; none where it means null."""
    lines = (" ".join(line.split()) for line in answer.split("\n"))
    return [] if says_null(answer) else [line for line in lines if line]


def free_fields(schema: Schema, example: WindowExample) -> list[int]:
    """Return the fields that a window certainly does not state: they were assessed, and none of it repeats them."""
    known = {n for row in (*example.positives, *example.ignored) for n in row}
    return [n for n in range(len(schema.fields)) if n not in known]


def field_questions(schema: Schema, example: WindowExample, absent: Absent) -> Iterator[FieldQuestion]:
    """Yield a window's questions in the schema's order: every field that it states, and some drawn from the others.

    A field whose quoted words read as null ("None.") is not asked: its answer would say the opposite.
    """
    free = free_fields(schema, example)
    draw = random.Random(f"{absent.seed} absent {example.document_id} {example.index}")
    asked = {n for row in example.positives for n in row} | set(draw.sample(free, min(absent.fields, len(free))))
    for number in sorted(asked):
        field, answer = schema.fields[number], quoted_answer(example, number)
        if number in free or not says_null(answer):
            yield FieldQuestion(
                document_id=example.document_id,
                messages=tuple(question_messages(field, example.heading, example.texts)),
                completion=answer,
                index=example.index,
                field=field.name,
            )
