"""Marks by a rubric: mean points, their intervals, and two answers compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lextune.evaluate.judging.items import Item
from lextune.evaluate.judging.marking import judge_answers
from lextune.evaluate.judging.rubric import load_rubric
from lextune.expert.engines.scripted import ScriptedChat

Judge = Callable[[Callable[[dict[str, str]], Any]], ScriptedChat]
RUBRIC = load_rubric("legal")


def script(shown: dict[str, str]) -> Any:
    """Give the points that an answer asks for, such as `110`."""
    text = shown["answer"]
    if text == "unclear":
        return "Three points."
    return {"scores": dict(zip(("citation", "argument", "structure"), map(int, text), strict=True))}


def test_two_answers_to_each_item(judge: Judge) -> None:
    given = [("111", "000"), ("110", "010"), ("100", "unclear"), ("111", "111")]
    items = [Item(id=str(n), prompt="p", a=a, b=b) for n, (a, b) in enumerate(given)]
    found = judge_answers(items, judge(script), RUBRIC)
    report = found.as_json()
    assert (report["n_items"], report["n"], report["verdicts"], report["invalid"]) == (4, 3, 8, 1)
    values = {
        name: (row["points"], row["a"]["value"], row["a"]["n"], row["b"]["value"], row["b"]["n"])
        for name, row in {**report["criteria"], "total": report["total"]}.items()
    }
    assert values == {
        "citation": (1, 1.0, 4, pytest.approx(1 / 3), 3),
        "argument": (1, 0.75, 4, pytest.approx(2 / 3), 3),
        "structure": (1, 0.5, 4, pytest.approx(1 / 3), 3),
        "total": (3, 2.25, 4, pytest.approx(4 / 3), 3),
    }
    assert report["total"]["a"]["low"] < 2.25 < report["total"]["a"]["high"]
    assert report["paired"]["difference"] == pytest.approx((3 + 1 + 0) / 3)
    assert report["paired"]["n_documents"] == 3
    assert found.marks() == {"0": 3.0, "1": 2.0, "2": 1.0, "3": 3.0}
    assert found.rows()[2]["b"] is None
    assert found.rows()[1]["a"] == {"reason": "So.", "scores": {"citation": 1, "argument": 1, "structure": 0}}


def test_items_of_one_document_are_drawn_together(judge: Judge) -> None:
    given = [("111", "000"), ("110", "010"), ("100", "011"), ("111", "111"), ("000", "010")]
    once = [Item(id=str(n), prompt=f"p{n}", a=a, b=b) for n, (a, b) in enumerate(given)]
    many = [item.model_copy(update={"id": f"{item.id} / {n}", "document": item.id}) for item in once for n in range(9)]
    alone, report = (judge_answers(items, judge(script), RUBRIC).as_json() for items in (once, many))
    assert (report["n"], report["total"]["a"]["n"], report["paired"]["n_documents"]) == (45, 45, 5)
    for bound in ("value", "low", "high"):
        assert report["total"]["a"][bound] == pytest.approx(alone["total"]["a"][bound])
    assert report["paired"] == pytest.approx(alone["paired"])


def test_a_judge_that_gives_no_marks(judge: Judge) -> None:
    report = judge_answers([Item(id="1", prompt="p", a="unclear", b="unclear")], judge(script), RUBRIC).as_json()
    assert (report["n"], report["invalid"], report["total"]["a"]["value"]) == (0, 2, None)
    assert report["paired"]["difference"] is None


def test_one_answer_to_each_item(judge: Judge) -> None:
    items = [Item(id="1", prompt="p", a="101"), Item(id="2", prompt="p", a="unclear", b="111")]
    chat = judge(script)
    report = judge_answers(items, chat, RUBRIC).as_json()
    assert (report["n_items"], report["n"], report["verdicts"], report["invalid"]) == (2, 1, 2, 1)
    assert report["paired"] is None
    assert report["total"] == {"points": 3, "a": {"value": 2.0, "low": None, "high": None, "n": 1}}
    assert len(chat.seen) == 3
