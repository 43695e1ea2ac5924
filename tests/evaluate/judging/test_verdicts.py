"""Verdicts are exactly the JSON that was asked for, or asked for once more, or counted as invalid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from lextune.core.errors import ContextError
from lextune.core.records import Message
from lextune.evaluate.judging.rubric import load_rubric
from lextune.evaluate.judging.verdicts import CHUNK, Told, ask_for, parse_marks, parse_pair
from lextune.expert.engines.base import GenerateOptions, Generation
from lextune.expert.engines.scripted import ScriptedChat

RUBRIC = load_rubric("legal")
GOOD = '{"reason": "r", "winner": "first"}'


def said(*texts: str) -> list[list[Message]]:
    return [[Message(role="user", content=text)] for text in texts]


def test_a_verdict_on_a_pair_is_strict() -> None:
    assert parse_pair(f"\n {GOOD} \n").winner == "first"
    for text in (
        *("", "first", f"```json\n{GOOD}\n```", f"{GOOD} I hope this helps.", f"{GOOD}{GOOD}", "[]", "null"),
        *('{"winner": "first"}', '{"reason": "r", "winner": "First"}', '{"reason": "r", "winner": "a"}'),
        *('{"reason": 1, "winner": "tie"}', '{"reason": "r", "winner": "tie", "score": 1}'),
    ):
        with pytest.raises(ValidationError):
            parse_pair(text)


@pytest.mark.parametrize(
    ("scores", "why"),
    [
        ('{"citation": 1, "argument": 0}', "scores must be of citation, argument, structure"),
        ('{"citation": 1, "argument": 0, "structure": 1, "style": 1}', "scores must be of"),
        ('{"citation": 2, "argument": 0, "structure": 1}', "the score of citation must be 0 to 1"),
        ('{"citation": 1, "argument": -1, "structure": 1}', "the score of argument must be 0 to 1"),
        ('{"citation": 0.5, "argument": 0, "structure": 1}', "valid integer"),
        ('{"citation": true, "argument": 0, "structure": 1}', "valid integer"),
    ],
)
def test_marks_are_strict(scores: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_marks(f'{{"reason": "r", "scores": {scores}}}', RUBRIC)


def test_marks() -> None:
    marks = parse_marks('{"reason": "r", "scores": {"structure": 1, "citation": 0, "argument": 1}}', RUBRIC)
    assert marks.scores == {"structure": 1, "citation": 0, "argument": 1}


def test_repaired_and_invalid_verdicts_are_counted() -> None:
    def script(messages: Sequence[Message]) -> str:
        what = messages[0].content
        return GOOD if what == "good" or (what == "repaired" and len(messages) == 3) else f"I say {what}"

    chat = ScriptedChat(script)
    asked = ask_for(chat, said("good", "never", "repaired", "good"), parse_pair)
    assert [one and one.winner for one in asked.verdicts] == ["first", None, "first", "first"]
    assert (asked.repaired, asked.invalid, asked.too_long) == (1, 1, 0)
    second = [messages for messages in chat.seen if len(messages) == 3]
    assert len(second) == 2
    assert [message.role for message in second[1]] == ["user", "assistant", "user"]
    assert second[1][1].content == "I say repaired"
    assert second[1][2].content.startswith("That cannot be read: Invalid JSON")
    read = sum(len(message.content) for messages in chat.seen for message in messages)
    assert asked.as_json() == {
        **{"verdicts": 4, "repaired": 1, "invalid": 1, "too_long": 0},
        "costs": {
            "tokens_in": read,
            "tokens_out": 2 * len(GOOD) + len("I say never") * 2 + len("I say repaired") + len(GOOD),
        },
    }


class Short:
    """A judge that reads 5 characters."""

    name = "short"

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def chat(self, conversations: Sequence[Sequence[Message]], options: GenerateOptions) -> list[Generation]:
        texts = [messages[0].content for messages in conversations]
        self.calls.append(texts)
        if any(len(text) > 5 for text in texts):
            raise ContextError("too long")
        return [Generation(text=GOOD, ids=(), prompt_tokens=1, generated_tokens=2) for _ in texts]


def test_what_is_too_long_for_the_judge_is_counted_and_keeps_nothing_else_back() -> None:
    judge = Short()
    asked = ask_for(judge, said("a", "b", "too long", "c", "d", "e"), parse_pair)
    assert [one is not None for one in asked.verdicts] == [True, True, False, True, True, True]
    assert (asked.invalid, asked.too_long, asked.tokens_in, asked.tokens_out) == (0, 1, 5, 10)
    assert ["d", "e"] not in judge.calls  # halves that fit stay whole
    assert ["c", "d", "e"] in judge.calls


def test_progress_and_the_length_of_a_verdict() -> None:
    told: list[tuple[int, int]] = []
    lengths: set[int] = set()

    class Judge(ScriptedChat):
        def chat(self, conversations: Any, options: GenerateOptions) -> list[Generation]:
            lengths.add(options.max_tokens)
            assert (options.temperature, options.seed) == (0, 0)
            return super().chat(conversations, options)

    told_by: Callable[[int, int], None] = lambda done, total: told.append((done, total))  # noqa: E731
    ask_for(Judge(lambda _: GOOD), said(*["x"] * (CHUNK + 1)), parse_pair, Told(50, told_by))
    assert told == [(CHUNK, CHUNK + 1), (CHUNK + 1, CHUNK + 1)]
    assert lengths == {50}
