"""General ability: the items of the package, and how answers are chosen by their likelihood."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import pytest

from lextune.core.records import Message
from lextune.expert.scoring.general import Asked, Item, asked, load_items, score_general
from lextune.expert.templates import Codec

ITEMS = [
    Item(kind="sums", question="What is 1 + 1?", answer="2", others=("1", "3", "4")),
    Item(kind="sums", question="What is 2 + 2?", answer="4", others=("2", "3", "5")),
    Item(kind="words", question="What is the opposite of up?", answer="Down", others=("Left", "High", "Up")),
]


def test_the_items_are_well_formed_and_not_trained_on() -> None:
    items = load_items()
    assert len(items) >= 150
    assert len({item.question for item in items}) == len(items)
    assert min(Counter(item.kind for item in items).values()) >= 30
    assert all(len({item.answer, *item.others}) == 4 for item in items)
    text = resources.files("lextune.resources").joinpath("general_instructions.jsonl").read_text(encoding="utf-8")
    learnt = {json.loads(line)["instruction"].casefold() for line in text.splitlines()}
    assert not [item.question for item in items if item.question.casefold() in learnt]


def test_items_are_asked_as_the_model_is_served(tiny_base: Path) -> None:
    codec = Codec(tiny_base)
    first = asked(ITEMS, codec)[0]
    assert first.prompt == tuple(codec.prompt([Message(role="user", content="What is 1 + 1?")]))
    assert [codec.decode(answer) for answer in first.answers] == ["2", "1", "3", "4"]
    assert not [answer for answer in first.answers if codec.stop_id in answer]


def test_the_most_likely_answer_is_chosen_and_a_tie_is_wrong(tiny_base: Path) -> None:
    given = [[-1.0, -2.0, -3.0, -4.0], [-2.0, -2.0, -3.0, -4.0], [-9.0, -1.0, -2.0, -3.0]]

    def likelihoods(items: Sequence[Asked]) -> list[list[float]]:
        assert len(items) == 3
        return given

    found = score_general(ITEMS, Codec(tiny_base), likelihoods)
    assert found.right == (True, False, False)
    assert found.accuracy == pytest.approx(1 / 3)
    assert found.likelihood == pytest.approx(-4.0)
    shown = found.as_json()
    assert shown["kinds"] == {"sums": 0.5, "words": 0.0}
    assert shown["accuracy"]["n"] == 3
    assert shown["accuracy"]["low"] <= shown["accuracy"]["value"] <= shown["accuracy"]["high"]
