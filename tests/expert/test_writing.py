"""The expert that writes: the document is the prompt, the answer is the text, nothing is quoted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lextune.core.records import Document
from lextune.expert.answering import Identity
from lextune.expert.engines.base import GenerateOptions
from lextune.expert.engines.scripted import ScriptedGenerator
from lextune.expert.schema import load_schema
from lextune.expert.templates import Codec, Message
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
        return WritingExpert(identity, load_schema("instruction"), ScriptedGenerator(script), codec, shots)

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


def test_nothing_written_is_null(make: Callable[..., WritingExpert], document_of: Callable[[str], Document]) -> None:
    assert make(" \n").answer(document_of("x")).record.fields == {"output": None}


def test_min_confidence(make: Callable[..., WritingExpert], document_of: Callable[[str], Document]) -> None:
    assert make("yes").answer(document_of("x"), min_confidence=0.95).record.fields == {"output": None}


def test_it_chats(make: Callable[..., WritingExpert]) -> None:
    assert make("Hello there").chat([Message(role="user", content="Hi")], GenerateOptions(max_tokens=5)).text == "Hello"
