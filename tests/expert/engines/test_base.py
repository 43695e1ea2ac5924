"""A generator with its tokenizer answers conversations, within the model's context."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from lextune.core.errors import ContextError
from lextune.core.records import Message
from lextune.expert.engines.base import Chatter, GenerateOptions, Generation, LocalChat
from lextune.expert.engines.scripted import ScriptedChat, ScriptedGenerator


class Letters:
    """A codec whose tokens are the letters of what was said."""

    def __init__(self, context: int | None) -> None:
        self.context = context

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        return [ord(letter) for message in messages for letter in message.content]


def local(context: int | None, calls: list[Any] | None = None) -> LocalChat:
    class Generator(ScriptedGenerator):
        def generate(self, prompts: Any, options: Any, grammars: Any = None) -> list[Generation]:
            if calls is not None:
                calls.append((["".join(map(chr, prompt)) for prompt in prompts], options.max_tokens, grammars))
            return super().generate(prompts, options, grammars)

    generator = Generator(lambda prompt, grammar: "".join(map(chr, prompt)).upper() * 9)
    return LocalChat(generator, Letters(context))  # type: ignore[arg-type]


def said(*texts: str) -> list[list[Message]]:
    return [[Message(role="user", content=text)] for text in texts]


def test_conversations_are_generated_together_and_answered_in_order() -> None:
    calls: list[Any] = []
    chat = local(8, calls)
    assert isinstance(chat, Chatter)
    assert chat.name == "scripted"
    answers = chat.chat(said("abc", "abcdef", "xyz"), GenerateOptions(max_tokens=4), ["g", None, "h"])
    assert [answer.text for answer in answers] == ["ABCA", "AB", "XYZX"]
    assert calls == [(["abc", "xyz"], 4, ["g", "h"]), (["abcdef"], 2, [None])]


def test_without_a_known_context_nothing_is_cut() -> None:
    (answer,) = local(None).chat(said("a" * 100), GenerateOptions(max_tokens=5))
    assert answer.text == "AAAAA"
    assert answer.written == 5


def test_a_conversation_that_fills_the_context_is_refused() -> None:
    with pytest.raises(ContextError, match="the prompt has 8 tokens, and the model reads 8 with its answer"):
        local(8).chat(said("abcdefgh"), GenerateOptions())


def test_a_name_of_its_own() -> None:
    generator = ScriptedGenerator(lambda prompt, grammar: "")
    assert LocalChat(generator, Letters(None), "base").name == "base"  # type: ignore[arg-type]


def test_the_chat_of_the_tests_counts_characters_and_cuts() -> None:
    chat = ScriptedChat(lambda messages: messages[-1].content)
    assert isinstance(chat, Chatter)
    whole, cut = chat.chat(said("ab", "abcdef"), GenerateOptions(max_tokens=3))
    assert (whole.text, whole.stopped, whole.prompt_tokens, whole.written) == ("ab", True, 2, 2)
    assert (cut.text, cut.stopped) == ("abc", False)
    assert [messages[0].content for messages in chat.seen] == ["ab", "abcdef"]
