"""What rows mean: every shape gives the same conversation, and what is wrong with a row is said in its words."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from lextune.core.mistakes import Mistake
from lextune.core.records import Document, Drop, FieldLabel, Message
from lextune.data.importers.lines import Row
from lextune.data.importers.report import Item, Normalised
from lextune.data.importers.shapes import convert, detect, no_shape, shapes


def items(values: dict[str, Any], shape: str | None = None, **options: Any) -> list[Item]:
    known = shapes(**options)
    found = known[shape] if shape else detect(values, known)
    assert found is not None
    return convert(found, Row("rows.jsonl:1", "rows-1", values))


def document(values: dict[str, Any], shape: str | None = None) -> Document:
    (found,) = items(values, shape)
    assert isinstance(found, Document), found
    return found


def said(values: dict[str, Any], shape: str | None = None) -> str:
    """What a row is not taken for: a mistake, or after `drop:` the reason of a drop."""
    (found,) = items(values, shape)
    assert isinstance(found, Drop | Mistake)
    assert found.where == "rows.jsonl:1"
    return found.what if isinstance(found, Mistake) else f"drop: {found.reason}"


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def bot(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def system(text: str) -> dict[str, str]:
    return {"role": "system", "content": text}


TURNS = (
    Message(role="system", content="Be brief."),
    Message(role="user", content="Hi"),
    Message(role="assistant", content="Hello"),
)
LONG = [system("Be brief."), user("Hi"), bot("Hello"), user("What law?"), bot("New York")]
SHARED = {"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}, {"from": "human", "value": "What law?"}
SAME = [
    {"messages": LONG},
    {"messages": [{"role": "developer", "content": "Be brief."}, *LONG[1:]], "tools": None},
    {"messages": [*LONG[:-1], {**bot("New York"), "tool_calls": None, "refusal": None, "audio": {}}]},
    {"messages": [*LONG[:3], {"role": "user", "content": [{"type": "text", "text": "What law?"}]}, LONG[4]]},
    {"conversations": [{"from": "system", "value": "Be brief."}, *SHARED, {"from": "gpt", "value": "New York"}]},
    {"system": "Be brief.", "conversations": [*SHARED, {"from": "gpt", "value": "New York"}]},
    {"prompt": LONG[:-1], "completion": LONG[-1:]},
    {"prompt": LONG[:2], "completion": LONG[2:]},
    {
        "instruction": "What law?",
        "input": "",
        "output": "New York",
        "system": "Be brief.",
        "history": [["Hi", "Hello"]],
    },
    {"request": {"model": "m", "messages": LONG[:-1]}, "response": {"choices": [{"message": LONG[-1]}]}},
]  # fmt: skip


@pytest.mark.parametrize("values", SAME)
def test_every_shape_holds_the_same_conversation(values: dict[str, Any]) -> None:
    found = document(values)
    assert (found.turns, found.text, found.rejected) == (TURNS, "What law?", None)
    assert found.labels == {"output": FieldLabel(parts=("New York",), answer="New York")}
    assert found == document(SAME[0])
    assert (found.id, found.name) == ("rows-1", "rows-1")
    assert document({**values, "id": "mine"}).id == "mine"
    assert document({**values, "id": 7}).id == "7"


def test_an_instruction_is_joined_with_its_input() -> None:
    found = document({"instruction": "Shorten", "input": "long text", "output": "text"})
    assert found.text == "Shorten\n\nlong text"
    assert found.sha256 == hashlib.sha256(found.text.encode()).hexdigest()
    assert document({"instruction": "Name it", "input": None, "output": "Lease", "history": None}).text == "Name it"


def test_empty_cells_of_optional_columns_are_no_values() -> None:
    asked = document({"instruction": "Which law?", "output": "Ohio", "input": "", "system": "", "history": ""})
    assert (asked.text, asked.turns) == ("Which law?", ())
    assert document({"instruction": "Which law?", "output": "Ohio", "history": " "}).turns == ()
    better, worse = [user("Which law?"), bot("Ohio")], [user("Which law?"), bot("Texas")]
    pair = document({"prompt": "", "chosen": better, "rejected": worse})
    assert (pair.text, pair.turns, pair.rejected) == ("Which law?", (), "Texas")


def test_a_prompt_and_its_completion_are_texts_too() -> None:
    found = document({"prompt": "What law?", "completion": "New York"})
    assert (found.turns, found.text, found.labels["output"].answer) == ((), "What law?", "New York")


PAIRS = [
    {"prompt": "What law?", "chosen": "New York", "rejected": "None at all"},
    {"prompt": [user("What law?")], "chosen": [bot("New York")], "rejected": [bot("None at all")]},
    {"chosen": [user("What law?"), bot("New York")], "rejected": [user("What law?"), bot("None at all")]},
    {
        "prompt": "What law?",
        "chosen": [user("What law?"), bot("New York")],
        "rejected": [user("What law?"), bot("None at all")],
    },
]


@pytest.mark.parametrize("values", PAIRS)
def test_a_preference_has_a_rejected_answer(values: dict[str, Any]) -> None:
    found = document(values)
    assert (found.turns, found.text, found.rejected) == ((), "What law?", "None at all")
    assert found.labels["output"].answer == "New York"


@pytest.mark.parametrize(
    ("chosen", "rejected", "reason"),
    [
        ([user("Q"), bot("A")], [user("R"), bot("B")], "drop: chosen and rejected differ before their last answers"),
        ([user("Q"), bot("A")], [user("Q"), bot("A")], "drop: chosen and rejected are the same"),
        ([user("Q"), bot("A")], [user("Q"), bot(" ")], "drop: the rejected answer is empty"),
        ([user("Q"), bot("A")], "B", "'chosen' and 'rejected' are not both texts or both lists of messages"),
        ("A", "B", "'prompt' is missing, which texts without messages need"),
        (
            [user("Q")],
            [user("Q"), bot("B")],
            "'chosen' ends with a message of the user, an assistant's answer is needed",
        ),
        ([], [], "'chosen' is empty"),
    ],
)
def test_a_preference_that_is_none_is_told(chosen: Any, rejected: Any, reason: str) -> None:
    assert said({"chosen": chosen, "rejected": rejected}) == reason


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"instruction": "Q"}, "'output' is missing"),
        ({"instruction": "Q", "output": None}, "'output' is not a string"),
        ({"instruction": 3, "output": "A"}, "'instruction' is not a string"),
        ({"instruction": "Q", "output": "A", "inptu": "x"}, "unknown key 'inptu'; did you mean 'input'?"),
        ({"instruction": "Q", "ouput": "A"}, "unknown key 'ouput'; did you mean 'output'?"),
        ({"instruction": "Q", "output": "A", "zzz": "x"}, "unknown key 'zzz'"),
        ({"instruction": "Q", "output": "A", "id": 1.5}, "'id' is not a string"),
        ({"instruction": "Q", "output": "A", "id": True}, "'id' is not a string"),
        ({"instruction": "Q", "output": "A", "history": [["a"]]}, "history[0] is not a pair of texts"),
        ({"instruction": "Q", "output": "A", "history": 5}, "'history' is not a list of pairs of texts"),
        ({"instruction": "Q", "output": "A", "history": "ab"}, "'history' is not a list of pairs of texts"),
        ({"instruction": "Q", "output": "A\ud83d"}, "half a character: the lone surrogate U+D83D"),
        ({"instruction": "Q", "output": "A", "id": "\udc00"}, "half a character: the lone surrogate U+DC00"),
        ({"instruction": " ", "output": "A"}, "drop: the instruction is empty"),
        ({"instruction": "Q", "output": " \n"}, "drop: the output is empty"),
    ],
)
def test_a_wrong_instruction_is_told(values: dict[str, Any], message: str) -> None:
    assert said(values, "instruction") == message


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ("Hi", "'messages' is not a list of messages"),
        ([], "'messages' is empty"),
        (["Hi"], "messages[0] is not an object with role and content"),
        ([user("Q")], "'messages' ends with a message of the user, an assistant's answer is needed"),
        ([bot("A")], "no message of a user before the answer"),
        ([system("S"), bot("A")], "no message of a user before the answer"),
        ([user("Q"), user("R"), bot("A")], "message 2 is of the user, the assistant's turn it is"),
        ([system("S"), bot("A"), user("Q"), bot("A")], "message 2 is of the assistant, the user's turn it is"),
        ([user("Q"), system("S"), bot("A")], "message 2 is of the system, whose place is the first"),
        ([user("Q"), bot("A"), user(" "), bot("A")], "drop: the question is empty"),
        ([{"role": "usr", "content": "Q"}, bot("A")], "messages[0]: unknown role 'usr'; did you mean 'user'?"),
        ([{"role": 3, "content": "Q"}, bot("A")], "messages[0]: 'role' is not a string"),
        ([{"role": ["user"], "content": "Q"}, bot("A")], "messages[0]: 'role' is not a string"),
        ([{"content": "Q"}, bot("A")], "messages[0]: 'role' is missing"),
        ([{"role": "user"}, bot("A")], "messages[0]: 'content' is missing"),
        ([{"role": "user", "content": None}, bot("A")], "messages[0]: 'content' is not a string"),
        ([{"role": "user", "content": []}, bot("A")], "messages[0]: 'content' is not a string"),
        ([{**user("Q"), "contnet": "R"}, bot("A")], "messages[0]: unknown key 'contnet'; did you mean 'content'?"),
        ([user("Q"), {"role": "tool", "content": "3"}, bot("A")], "drop: a message of a tool"),
        ([user("Q"), {**bot(""), "tool_calls": [{}]}], "drop: a message with function calls"),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, bot("A")],
            "drop: a message with more than text",
        ),
    ],
)
def test_a_wrong_conversation_is_told(messages: Any, message: str) -> None:
    assert said({"messages": messages}) == message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"messages": LONG, "tools": [{"type": "function"}]}, "drop: a conversation with tools"),
        ({"conversations": [SHARED[0]], "tools": "[{}]"}, "drop: a conversation with tools"),
        (
            {"conversations": [{"from": "humn", "value": "x"}]},
            "conversations[0]: unknown from 'humn'; did you mean 'human'?",
        ),
        (
            {"prompt": "Q", "completion": [bot("A")]},
            "'prompt' and 'completion' are not both texts or both lists of messages",
        ),
        ({"prompt": 3, "completion": [bot("A")]}, "'prompt' is not a list of messages"),
    ],
)
def test_other_wrong_rows_are_told(values: dict[str, Any], message: str) -> None:
    assert said(values) == message


@pytest.mark.parametrize("answer", ["N/A", "none", " Not specified.", "No related clause", "NULL", "[]"])
def test_a_word_for_null_becomes_null_and_is_reported(answer: str) -> None:
    found, changed = items({"prompt": "Which law?", "completion": answer})
    assert isinstance(found, Document)
    assert found.labels == {"output": FieldLabel()}
    assert changed == Normalised("rows.jsonl:1", "output", answer)


def test_null_is_null_and_no_is_an_answer() -> None:
    assert document({"prompt": "Which law?", "completion": "null"}).labels == {"output": FieldLabel()}
    assert document({"prompt": "Is it?", "completion": "No"}).labels["output"].answer == "No"


def test_control_tokens_are_ordinary_text() -> None:
    found = document({"prompt": "<|im_end|>[/INST]</s>", "completion": "<|eot_id|>"})
    assert (found.text, found.labels["output"].answer) == ("<|im_end|>[/INST]</s>", "<|eot_id|>")


@pytest.mark.parametrize(
    ("values", "tags"),
    [
        ({"tags": {"tenant": " north ", "year": ""}}, {"tenant": "north"}),
        ({"tags.tenant": "north", "tags.year": None}, {"tenant": "north"}),
        ({"tags": {"year": "2020"}, "tags.tenant": "north"}, {"year": "2020", "tenant": "north"}),
        ({"tags": None}, {}),
    ],
)
def test_a_row_of_any_shape_may_have_tags(values: dict[str, Any], tags: dict[str, str]) -> None:
    assert document({"instruction": "Which law?", "output": "New York", **values}).tags == tags
    assert document({"messages": [user("Which law?"), bot("New York")], **values}).tags == tags


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tags": "north"}, "'tags' is not an object of texts"),
        ({"tags": {"tenant": 3}}, "the tag 'tenant' is not a string"),
        ({"tags.tenant": ["north"]}, "the tag 'tenant' is not a string"),
        ({"tags": {"tenant": "\ud800"}}, "half a character: the lone surrogate U+D800"),
        ({"tags": {"\ud800": "north"}}, "half a character: the lone surrogate U+D800"),
    ],
)
def test_wrong_tags_are_told(values: dict[str, Any], message: str) -> None:
    assert said({"instruction": "Which law?", "output": "New York", **values}) == message


def test_keys_can_be_ignored() -> None:
    row = Row("rows.jsonl:1", "rows-1", {"prompt": "Q", "completion": "A", "score": 3})
    assert [type(item) for item in convert(shapes()["prompt-completion"], row)] == [Mistake]
    assert [type(item) for item in convert(shapes()["prompt-completion"], row, ("score",))] == [Document]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"instructon": "Q", "output": "A"},
            "rows of no known shape: their keys are 'instructon', 'output'; "
            "nearest is instruction (instruction, output); unknown key 'instructon'; did you mean 'instruction'?",
        ),
        ({"zzz": 1}, "rows of no known shape: their keys are 'zzz'"),
        ({}, "rows of no known shape: their keys are none"),
    ],
)
def test_rows_of_no_shape_are_told(values: dict[str, Any], message: str) -> None:
    assert detect(values, shapes()) is None
    assert str(no_shape(values, "rows.jsonl:1")).splitlines() == [
        f"rows.jsonl:1: {message}",
        "  -> rename the keys, or say --format openai-log|preference|chat|sharegpt|prompt-completion|instruction"
        "|multiple-choice|statute-qa|translation|classification",
    ]
