"""Tasks: what each teaches, and what each refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lextune.core.errors import RecipeError
from lextune.core.records import Document, FieldLabel, Message, Span
from lextune.expert.point import ChatExample
from lextune.expert.quoting import Absent
from lextune.expert.schema import Schema, load_schema
from lextune.expert.tasks import TASKS, as_chats, get_task, instruction_document
from lextune.expert.templates import Codec
from lextune.expert.windowing import WindowConfig, WindowExample


def test_clauses_teach_by_window(tiny_base: Path, clauses: Schema, document_of: Callable[[str], Document]) -> None:
    law = FieldLabel(parts=("Ohio law governs.",), spans=((Span(start=0, end=17),),))
    document = document_of("Ohio law governs. The end.").model_copy(update={"labels": {"Governing Law": law}})
    task = get_task("clause-extraction")
    (example,) = task.examples(document, clauses, Codec(tiny_base), WindowConfig(), "point")
    assert isinstance(example, WindowExample)
    (chat,) = as_chats(clauses, example, "point", Absent())
    assert chat.completion == '{"Governing Law":[1]}'
    for strategy in ("point", "text"):
        assert as_chats(clauses, chat, strategy, Absent()) == (chat,)


def test_clauses_teach_by_question(tiny_base: Path, clauses: Schema, document_of: Callable[[str], Document]) -> None:
    law = FieldLabel(parts=("Ohio law",), spans=((Span(start=0, end=8),),))
    document = document_of("Ohio law governs. The end.").model_copy(
        update={"labels": {name: law if name == "Governing Law" else FieldLabel() for name in clauses.names}}
    )
    (example,) = get_task("clause-extraction").examples(document, clauses, Codec(tiny_base), WindowConfig(), "text")
    chats = as_chats(clauses, example, "text", Absent(2))
    assert [chat.completion for chat in chats if chat.completion != "null"] == ["Ohio law"]
    assert len(chats) == 3


def test_an_instruction_teaches_its_output(tiny_base: Path) -> None:
    schema = load_schema("instruction")
    document = instruction_document("r1", "Summarise.", "A contract.", "Short.")
    assert document.text == "Summarise.\n\nA contract."
    assert instruction_document("r2", "Say yes.", "", "Yes.").text == "Say yes."
    (example,) = get_task("instruction").examples(document, schema, Codec(tiny_base), WindowConfig(), "text")
    assert isinstance(example, ChatExample)
    assert (example.messages[0].role, example.completion) == ("user", "Short.")
    null = document.model_copy(update={"labels": {"output": FieldLabel()}})  # assessed: there is no answer
    (taught,) = get_task("instruction").examples(null, schema, Codec(tiny_base), WindowConfig(), "text")
    assert isinstance(taught, ChatExample)
    assert taught.completion == "null"
    silent = instruction_document("r3", "Say nothing.", "", "")
    assert not list(get_task("instruction").examples(silent, schema, Codec(tiny_base), WindowConfig(), "text"))


def test_an_instruction_comes_after_what_was_said_before(tiny_base: Path) -> None:
    turns = (
        Message(role="system", content="You are brief."),
        Message(role="user", content="Who signs?"),
        Message(role="assistant", content="Acme."),
    )
    document = instruction_document("r1", "And when?", "", "In May.").model_copy(update={"turns": turns})
    schema = load_schema("instruction")
    (example,) = get_task("instruction").examples(document, schema, Codec(tiny_base), WindowConfig(), "text")
    assert isinstance(example, ChatExample)
    assert example.messages == (*turns, Message(role="user", content="And when?"))


def test_no_such_task() -> None:
    with pytest.raises(RecipeError, match=r"task: no task 'summary'\n.*clause-extraction, instruction, classification"):
        get_task("summary")


@pytest.mark.parametrize(
    ("task", "strategy", "known"),
    [
        ("clause-extraction", "prose", "tag or point or text"),
        ("instruction", "tag", "text"),
        ("translation", "point", "text"),
    ],
)
def test_no_such_strategy(task: str, strategy: str, known: str) -> None:
    message = rf"train.strategy: the task {task} has no strategy '{strategy}'\n.*use {known}"
    with pytest.raises(RecipeError, match=message):
        TASKS[task].check_strategy(strategy)
    for each in TASKS[task].strategies:
        TASKS[task].check_strategy(each)
