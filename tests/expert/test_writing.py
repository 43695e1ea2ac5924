"""The expert that writes: the document is the prompt, the answer is the text, nothing is quoted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError

from lextune.core.errors import ContextError, DocumentError
from lextune.core.records import Document, FieldAnswer, Message
from lextune.expert.answering import Identity
from lextune.expert.engines.base import GenerateOptions, Generation, LocalChat
from lextune.expert.engines.scripted import ScriptedGenerator
from lextune.expert.schema import load_schema
from lextune.expert.templates import Codec
from lextune.expert.writing import WritingExpert


@pytest.fixture
def seen() -> list[str]:
    return []


@pytest.fixture
def make(tiny_base: Path, seen: list[str]) -> Callable[..., WritingExpert]:
    codec = Codec(tiny_base)

    def write(answer: str, shots: Sequence[tuple[str, str]] = ()) -> WritingExpert:
        def script(prompt: Sequence[int], grammar: str | None) -> str:
            seen.append(codec.decode(prompt))
            return answer

        identity = Identity("w", "h", "text")
        return WritingExpert(identity, load_schema("instruction"), LocalChat(ScriptedGenerator(script), codec), shots)

    return write


def test_it_writes(make: Callable[..., WritingExpert], seen: list[str], document_of: Callable[[str], Document]) -> None:
    expert = make("  A short summary.\n", [("Summarise: x", "X.")])
    prediction = expert.answer(document_of("Summarise: y"))
    answer = prediction.record.fields["output"]
    assert answer is not None
    assert (answer.answer, answer.quotes, answer.status) == ("A short summary.", (), "review")
    assert seen[0].index("Summarise: x") < seen[0].index("X.") < seen[0].index("Summarise: y")
    assert (prediction.usage.windows, prediction.usage.generated_tokens) == (1, 19)
    assert (expert.name, expert.release_hash, expert.strategy) == ("w", "h", "text")


@pytest.mark.parametrize("written", ["", " \n", "null", " null\n"])
def test_null_is_no_answer(
    make: Callable[..., WritingExpert], document_of: Callable[[str], Document], written: str
) -> None:
    assert make(written).answer(document_of("Which law?")).record.fields == {"output": None}


def test_earlier_turns_come_after_worked_examples_and_system_messages_first(
    make: Callable[..., WritingExpert], seen: list[str], document_of: Callable[[str], Document]
) -> None:
    said = [("system", "Be brief."), ("user", "Who signs?"), ("assistant", "Acme."), ("system", "Be exact.")]
    turns = tuple(Message(role=role, content=text) for role, text in said)
    make("In May.", [("Summarise: x", "X.")]).answer(document_of("And when?").model_copy(update={"turns": turns}))
    places = [seen[0].index(text) for text in ("Be brief.", "Summarise: x", "Who signs?", "Be exact.", "And when?")]
    assert places == sorted(places)


def test_nothing_written_is_null(make: Callable[..., WritingExpert], document_of: Callable[[str], Document]) -> None:
    assert make(" \n").answer(document_of("x")).record.fields == {"output": None}


def test_what_nothing_proves_is_always_reviewed(
    make: Callable[..., WritingExpert], document_of: Callable[[str], Document]
) -> None:
    answer = make("yes").answer(document_of("x"), min_confidence=0.0).record.fields["output"]
    assert answer is not None
    assert answer.status == "review"


def test_an_answer_whose_confidence_is_no_number_is_refused(
    tiny_base: Path, document_of: Callable[[str], Document]
) -> None:
    class Broken:
        def chat(self, conversations: Sequence[Sequence[Message]], options: GenerateOptions) -> list[Generation]:
            return [Generation(text="x", ids=(1,), prompt_tokens=1, confidence=float("nan"))]

    expert = WritingExpert(Identity("w", "h", "text"), load_schema("instruction"), Broken())
    with pytest.raises(DocumentError) as caught:
        expert.answer(document_of("Summarise: y"))
    assert str(caught.value) == (
        "the part 'Summarise: y': the model gave no number for a token\n"
        "  -> read the document with --engine openvino-f32"
    )
    with pytest.raises(ValidationError):
        FieldAnswer(answer="x", quotes=(), confidence=float("nan"), status="review")


def test_it_chats(make: Callable[..., WritingExpert]) -> None:
    assert make("Hello there").chat([Message(role="user", content="Hi")], GenerateOptions(max_tokens=5)).text == "Hello"


def test_an_answer_ends_where_the_context_does(make: Callable[..., WritingExpert], tiny_base: Path) -> None:
    context = Codec(tiny_base).context
    assert context is not None
    one, options = make("x" * 100), GenerateOptions(max_tokens=64)

    def asked(words: int) -> list[Message]:
        return [Message(role="user", content=" a" * words)]

    fixed = len(Codec(tiny_base).prompt(asked(0)))
    assert len(one.chat(asked(context - fixed - 3), options).ids) == 3
    with pytest.raises(ContextError) as caught:
        one.chat(asked(context - fixed), options)
    assert str(caught.value) == (
        f"the prompt has {context} tokens, and the model reads {context} with its answer\n"
        "  -> shorten it, or leave out earlier turns"
    )
