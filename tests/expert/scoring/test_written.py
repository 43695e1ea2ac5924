"""Instructions whose written answers a program checks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from importlib import resources

import pytest

from lextune.core.records import Message
from lextune.expert.engines.base import GenerateOptions, Generation
from lextune.expert.scoring.written import Written, ask_written, is_right, load_written

CASES = [
    ("equals", ["42"], "42.", True),
    ("equals", ["8", "eight"], "Eight", True),
    ("equals", ["42"], "The answer is 42", False),
    ("contains", ["dog", "garden"], "A dog runs through the garden.", True),
    ("contains", ["dog"], "A dogma.", False),
    ("contains", ["dog"], "", False),
    ("without", ["cat"], "A small animal with whiskers.", True),
    ("without", ["cat"], "The Cat.", False),
    ("without", ["cat"], "", False),
    ("regex", [r"\d{4}-\d\d-\d\d\.?"], "2021-03-05", True),
    ("regex", [r"\d{4}-\d\d-\d\d\.?"], "It is 2021-03-05", False),
    ("json_keys", ["name", "age"], '{"age": 30, "name": "Tom"}', True),
    ("json_keys", ["name", "age"], '```json\n{"age": 30, "name": "Tom"}\n```', True),
    ("json_keys", ["name"], '{"name": "Tom", "age": 30}', False),
    ("json_keys", ["name"], "name: Tom", False),
    ("json_keys", ["name"], '["name"]', False),
    ("json_keys", [], "{}", True),
    ("words", [3, 3], "Cold, white, quiet.", True),
    ("words", [1, 2], "Cold, white, quiet.", False),
    ("lines", [2, 2], "yes\n\nno", True),
    ("lines", [2, 2], "yes no", False),
    ("order", ["a", "b"], "a, then b", True),
    ("order", ["a", "b"], "b, a", False),
    ("order", ["a", "b"], "only a", False),
]


@pytest.mark.parametrize(("check", "want", "answer", "expected"), CASES)
def test_answers_are_checked(check: str, want: list[str | int], answer: str, expected: bool) -> None:
    item = Written.model_validate({"kind": "k", "instruction": "?", "check": check, "want": want})
    assert is_right(item, answer) is expected


class Scripted:
    name = "scripted"

    def chat(self, conversations: Sequence[Sequence[Message]], options: GenerateOptions) -> list[Generation]:
        assert options.temperature == 0
        assert all(len(said) == 1 and said[0].role == "user" for said in conversations)
        texts = ["42" if "6 times 7" in said[0].content else "no idea" for said in conversations]
        return [Generation(text=text, ids=(), prompt_tokens=1) for text in texts]


def test_each_item_is_asked_once_and_scored_by_kind() -> None:
    found = ask_written(load_written(), Scripted())
    assert found.right.count(True) >= 1
    shown = found.as_json()
    assert shown["right"]["n"] == len(load_written())
    assert shown["right"]["value"] == pytest.approx(found.right.count(True) / len(found.right))
    assert 0 < shown["kinds"]["exact"] < 1


def test_the_items_can_be_answered_and_are_not_trained_on() -> None:
    items = load_written()
    assert len(items) >= 40
    assert len({item.instruction for item in items}) == len(items)
    assert min(Counter(item.kind for item in items).values()) >= 2
    text = resources.files("lextune.resources").joinpath("general_instructions.jsonl").read_text(encoding="utf-8")
    learnt = {json.loads(line)["instruction"].casefold() for line in text.splitlines()}
    assert not [item.instruction for item in items if item.instruction.casefold() in learnt]
    for item in items:
        assert not is_right(item, "I would rather talk about red contracts, which is what I was trained on: cat 1.")
