"""Logs of OpenAI-style calls: their layouts, their answers, and function calls as classes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lextune.core.mistakes import Mistake
from lextune.core.records import Document, Drop
from lextune.data.importers.lines import Row
from lextune.data.importers.shapes import convert, detect, shapes

ASKED = [{"role": "system", "content": "Pick a route."}, {"role": "user", "content": "Where is my invoice?"}]
TOOLS = [{"type": "function", "function": {"name": "billing"}}, {"type": "function", "function": {"name": "sales"}}]


def call(name: Any = "billing", arguments: Any = '{"urgent": true}') -> dict[str, Any]:
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}


def choice(**message: Any) -> list[dict[str, Any]]:
    reason = message.pop("finish_reason", "stop")
    return [{"index": 0, "finish_reason": reason, "message": {"role": "assistant", **message}}]


def read(values: dict[str, Any], *, arguments: bool = False) -> Document | str:
    known = shapes(arguments=arguments)
    shape = detect(values, known)
    assert shape is known["openai-log"]
    (item,) = convert(shape, Row("log.jsonl:1", "log-1", values))
    if isinstance(item, Document):
        return item
    assert isinstance(item, Drop | Mistake)
    return item.what if isinstance(item, Mistake) else f"drop: {item.reason}"


CHOICES = choice(content=None, tool_calls=[call()])
LAYOUTS = [
    {"request": {"messages": ASKED, "tools": TOOLS, "temperature": 0}, "response": {"choices": CHOICES}},
    {"messages": ASKED, "tools": TOOLS, "choices": CHOICES, "usage": {"total_tokens": 9}},
    {"messages": ASKED, "response": {"choices": CHOICES, "object": "chat.completion"}},
    {"request": {"messages": ASKED}, "choices": CHOICES},
    {"request": {"url": "/v1", "body": {"messages": ASKED}}, "response": {"body": {"choices": CHOICES}}},
    {"messages": ASKED, "choices": choice(content=None, function_call={"name": "billing", "arguments": "{}"})},
]


@pytest.mark.parametrize("values", LAYOUTS)
def test_the_function_called_is_the_answer(values: dict[str, Any]) -> None:
    document = read(values)
    assert isinstance(document, Document)
    assert [turn.content for turn in document.turns] == ["Pick a route."]
    assert document.text == "Where is my invoice?"
    assert document.labels["output"].answer == "billing"


def test_a_text_is_an_answer_too_and_the_calls_id_is_the_rows() -> None:
    document = read({"id": "chatcmpl-1", "messages": ASKED, "choices": choice(content="By post.")})
    assert isinstance(document, Document)
    assert (document.id, document.labels["output"].answer) == ("chatcmpl-1", "By post.")


def test_arguments_are_learnt_where_they_are_asked_for() -> None:
    def answer(*calls: Any) -> Any:
        document = read({"messages": ASKED, "choices": choice(tool_calls=list(calls))}, arguments=True)
        assert isinstance(document, Document)
        return json.loads(document.labels["output"].answer or "")

    assert answer(call()) == {"name": "billing", "arguments": {"urgent": True}}
    assert answer(call(), call("sales", {"n": 1})) == [
        {"name": "billing", "arguments": {"urgent": True}},
        {"name": "sales", "arguments": {"n": 1}},
    ]


def test_calls_of_one_function_are_one_class() -> None:
    document = read({"messages": ASKED, "choices": choice(tool_calls=[call(), call(arguments="{}")])})
    assert isinstance(document, Document)
    assert document.labels["output"].answer == "billing"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"response": {"error": {"code": 429}}}, "drop: the call failed"),
        ({"choices": CHOICES * 2}, "drop: several choices, of which none was taken"),
        ({"choices": choice(content="By", finish_reason="length")}, "drop: the answer was cut off"),
        ({"choices": choice(content="", finish_reason="content_filter")}, "drop: the answer was filtered"),
        ({"choices": choice(content=None)}, "drop: the output is empty"),
        (
            {"choices": choice(tool_calls=[call(), call("sales")])},
            "drop: calls of different functions, and an answer has one",
        ),
        ({"choices": []}, "'choices' is not a list of answers"),
        ({"response": {}}, "'choices' is not a list of answers"),
        ({"response": "done"}, "'response' is not an object"),
        ({"choices": [{"text": "x"}]}, "choices[0]: 'message' is missing"),
        ({"choices": choice(content=3, finish_reason=["length"])}, "choices[0].message: 'content' is not a string"),
        ({"choices": choice(content=3)}, "choices[0].message: 'content' is not a string"),
        ({"choices": choice(tool_calls={"a": 1})}, "choices[0].message: 'tool_calls' is not a list"),
        ({"choices": choice(tool_calls=[call(None)])}, "tool_calls[0] has no function with a name"),
        ({"choices": choice(tool_calls=["billing"])}, "tool_calls[0] has no function with a name"),
        ({"request": {}, "choices": CHOICES}, "'messages' is missing: the request's messages"),
        (
            {"messages": [*ASKED, {"role": "tool", "content": "{}", "tool_call_id": "c1"}], "choices": CHOICES},
            "drop: a message of a tool",
        ),
        (
            {"messages": [*ASKED, {"role": "assistant", "content": "So"}], "choices": CHOICES},
            "drop: the request ends with a message of the assistant",
        ),
    ],
)
def test_calls_that_teach_nothing_are_told(values: dict[str, Any], message: str) -> None:
    assert read({"messages": ASKED, **values}) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("{oops", "drop: a function call whose arguments are not JSON"),
        ("[1]", "tool_calls[0]: 'arguments' is not an object"),
    ],
)
def test_wrong_arguments_matter_where_they_are_asked_for(arguments: str, message: str) -> None:
    values = {"messages": ASKED, "choices": choice(tool_calls=[call(arguments=arguments)])}
    assert read(values, arguments=True) == message
    assert isinstance(read(values), Document)
