"""Pointing: what the grammar allows is what the parser reads, and what is learnt is what is asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.expert.engines.base import GenerateOptions, Generation, LocalChat
from lextune.expert.engines.scripted import ScriptedGenerator
from lextune.expert.grammar import GrammarCompiler, point_grammar
from lextune.expert.point import parse_point, point_answer, point_example, point_messages
from lextune.expert.readers import Passage, PointReader, close_answer
from lextune.expert.schema import Schema, SchemaField
from lextune.expert.templates import Codec
from lextune.expert.windowing import WindowExample

NAMES = ("Governing Law", "Anti-Assignment", 'Odd "quoted" \\ name', "Fee [USD]:[1]", "Größe\n漢")
SCHEMA = Schema(name="s", fields=tuple(SchemaField(name=n, type="boolean", question="?") for n in NAMES))
SENTENCES = 12
ANSWERS = st.dictionaries(
    st.sampled_from(NAMES), st.lists(st.integers(1, SENTENCES), min_size=1, max_size=5), max_size=len(NAMES)
)


def write(answer: dict[str, list[int]]) -> str:
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


@pytest.fixture(scope="module")
def accepts(tiny_base: Path) -> Callable[[str], bool]:
    """Whether the compiled grammar accepts a whole text; the tokenizer plays no part."""
    import xgrammar

    compiled = GrammarCompiler(tiny_base, Codec(tiny_base)).compiled(point_grammar(NAMES, SENTENCES))

    def ask(text: str) -> bool:
        matcher = xgrammar.GrammarMatcher(compiled, terminate_without_stop_token=True)
        return bool(matcher.accept_string(text) and matcher.is_terminated())

    return ask


@given(answer=ANSWERS)
@settings(max_examples=80)
def test_every_answer_is_in_the_grammar_and_is_read_back(
    accepts: Callable[[str], bool], answer: dict[str, list[int]]
) -> None:
    assert accepts(write(answer))
    assert parse_point(SCHEMA, SENTENCES, write(answer)) == {
        name: sorted({n - 1 for n in numbers}) for name, numbers in answer.items()
    }


@given(answer=ANSWERS, at=st.integers(0, 60), junk=st.sampled_from([*'{}[]",:0193 ', "true", "12", "[1]", "\n", ""]))
@settings(max_examples=150)
def test_the_grammar_accepts_nothing_that_the_parser_refuses(
    accepts: Callable[[str], bool], answer: dict[str, list[int]], at: int, junk: str
) -> None:
    text = write(answer)
    for changed in (text[:at] + junk + text[at:], text[:at] + junk + text[at + 1 :], text[:at]):
        if accepts(changed):
            assert parse_point(SCHEMA, SENTENCES, changed) is not None


@pytest.mark.parametrize(
    "text",
    [
        *("", "null", "[]", "3", '"{}"', "{", "{}}", '{"Term":[1]}', '{"Governing Law":[]}', '{"Governing Law":1}'),
        *('{"Governing Law":[0]}', '{"Governing Law":[13]}', '{"Governing Law":[-1]}', '{"Governing Law":[true]}'),
        *('{"Governing Law":[1.0]}', '{"Governing Law":["1"]}', '{"Governing Law":{"1":1}}', '{"Governing Law":null}'),
        *('{"Governing Law":[[1]]}', "[" * 100_000, '{"Governing Law":[' + "1" * 5000 + "]}", "NaN"),
    ],
)
def test_what_is_no_answer(text: str) -> None:
    assert parse_point(SCHEMA, SENTENCES, text) is None


def test_a_field_named_twice_keeps_both(accepts: Callable[[str], bool]) -> None:
    text = '{"Governing Law":[3],"Governing Law":[1,3]}'
    assert accepts(text)
    assert json.loads(text) == {"Governing Law": [1, 3]}, "plain JSON keeps the last only; here that hides nothing"
    assert parse_point(SCHEMA, SENTENCES, '{"Governing Law":[2],"Governing Law":[1]}') == {"Governing Law": [0, 1]}


@given(answer=ANSWERS, cut=st.integers(0, 200))
@settings(max_examples=150)
def test_a_cut_answer_keeps_its_whole_pairs(answer: dict[str, list[int]], cut: int) -> None:
    text = write(answer)
    read = parse_point(SCHEMA, SENTENCES, close_answer(text[:cut]))
    whole = parse_point(SCHEMA, SENTENCES, text)
    assert read is not None
    assert whole is not None
    kept = list(read.items())
    assert kept == list(whole.items())[: len(kept)]
    if cut >= len(text):
        assert read == whole


def window(texts: Sequence[str], positives: Sequence[tuple[int, ...]]) -> WindowExample:
    return WindowExample(
        document_id="d",
        index=0,
        heading="Term",
        texts=tuple(texts),
        positives=tuple(positives),
        ignored=((),) * len(texts),
    )


def test_what_is_learnt_is_what_is_asked() -> None:
    example = window(["Ohio law.", "No assignment.", "Ohio courts."], [(0,), (1,), (0,)])
    chat = point_example(SCHEMA, example)
    assert chat.completion == '{"Governing Law":[1,3],"Anti-Assignment":[2]}'
    assert list(chat.messages) == point_messages(SCHEMA, "Term", example.texts)
    assert chat.messages[-1].content == "[Term]\n1. Ohio law.\n2. No assignment.\n3. Ohio courts."
    assert point_answer(SCHEMA, window(["x"], [()])) == "{}"
    assert parse_point(SCHEMA, 3, chat.completion) == {"Governing Law": [0, 2], "Anti-Assignment": [1]}


def test_worked_examples_come_before_the_question() -> None:
    shot = window(["Ohio law."], [(0,)])
    messages = point_messages(SCHEMA, "", ["Text."], [shot])
    assert [m.role for m in messages] == ["system", "user", "assistant", "user"]
    assert messages[2].content == '{"Governing Law":[1]}'
    assert messages[-1].content == "1. Text."


class Cut:
    """A generator that is stopped at the token limit, and knows no confidence."""

    name = "cut"

    def generate(
        self, prompts: Sequence[Sequence[int]], options: GenerateOptions, grammars: Any = None
    ) -> list[Generation]:
        text = '{"Governing Law":[2],"Anti-Assignment":[1,'
        return [Generation(text=text, ids=(1, 2), prompt_tokens=len(p), stopped=False) for p in prompts]


def test_the_reader_points(tiny_base: Path) -> None:
    codec = Codec(tiny_base)
    seen: list[str | None] = []

    def script(prompt: Sequence[int], grammar: str | None) -> str:
        seen.append(grammar)
        return '{"Governing Law":[2]}' if len(seen) == 1 else "no JSON"

    reader = PointReader(LocalChat(ScriptedGenerator(script), codec), SCHEMA)
    first, second = reader.read([Passage("", ["One.", "Ohio law."]), Passage("Term", ["Three."])])
    assert seen == [point_grammar(NAMES, 2), point_grammar(NAMES, 1)]
    assert np.argwhere(first.confidence).tolist() == [[1, 0]]
    assert first.confidence[1, 0] == pytest.approx(0.9)
    assert [(r.outputs, r.valid) for r in (first, second)] == [(1, True), (1, False)]
    assert not second.confidence.any()
    assert first.prompt_tokens == len(codec.prompt(point_messages(SCHEMA, "", ["One.", "Ohio law."])))


def test_a_free_reader_gives_no_grammar_and_repairs_nothing(tiny_base: Path) -> None:
    passage = Passage("", ["One.", "Two."])
    kept = PointReader(LocalChat(Cut(), Codec(tiny_base)), SCHEMA).read([passage])[0]
    assert kept.valid == 1
    assert np.argwhere(kept.confidence).tolist() == [[1, 0]]
    free = PointReader(LocalChat(Cut(), Codec(tiny_base)), SCHEMA, constrained=False).read([passage])[0]
    assert free.valid == 0
    assert not free.confidence.any()
