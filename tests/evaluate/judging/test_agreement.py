"""Judges compared with experts: the measures are the libraries', here against their definitions, and one is chosen."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lextune.core.errors import DataError
from lextune.evaluate.judging.agreement import compare_judges, read_experts, read_judges

POINTS = {str(n): float(mark) for n, mark in enumerate([0, 1, 2, 3, 3, 2, 1, 0, 2, 3, 1, 0])}


def noisy(marks: dict[str, float], share: float, seed: int = 0) -> dict[str, float]:
    drawn = random.Random(seed)
    values = sorted(set(marks.values()))
    return {item: drawn.choice(values) if drawn.random() < share else mark for item, mark in marks.items()}


def kendall(a: list[float], b: list[float]) -> float:
    """Return tau-b from all pairs."""
    pairs = [(np.sign(x - u), np.sign(y - v)) for (x, y), (u, v) in itertools.combinations(zip(a, b, strict=True), 2)]
    both = sum(one * other for one, other in pairs)
    return float(both / np.sqrt(sum(one != 0 for one, _ in pairs) * sum(other != 0 for _, other in pairs)))


def kappa(a: list[float], b: list[float]) -> float:
    """Return Cohen's kappa: observed less expected agreement, of one less expected."""
    n = len(a)
    seen = sum(x == y for x, y in zip(a, b, strict=True)) / n
    expected = sum(a.count(mark) * b.count(mark) for mark in {*a, *b}) / n**2
    return (seen - expected) / (1 - expected)


def ranks(values: list[float]) -> list[float]:
    """Return ranks, equal values sharing theirs."""
    return [sum(other < value for other in values) + (values.count(value) - 1) / 2 for value in values]


def test_measures_agree_with_their_definitions_and_the_best_is_chosen() -> None:
    judges = {"good": noisy(POINTS, 0.2, 1), "poor": noisy(POINTS, 0.9, 2), "flat": dict.fromkeys(POINTS, 3.0)}
    found = compare_judges(judges, POINTS)
    assert (found["n"], found["left_out"], found["measure"], found["best"]) == (12, 0, "spearman", "good")
    assert list(found["judges"]) == ["good", "poor", "flat"]
    truth = list(POINTS.values())
    for name in ("good", "poor"):
        marks, scores = list(judges[name].values()), found["judges"][name]
        assert scores["spearman"]["value"] == pytest.approx(np.corrcoef(ranks(marks), ranks(truth))[0, 1])
        assert scores["kendall"]["value"] == pytest.approx(kendall(marks, truth))
        assert scores["kappa"]["value"] == pytest.approx(kappa(marks, truth))
        assert all(score["low"] <= score["value"] <= score["high"] for score in scores.values())
    assert found["judges"]["flat"]["spearman"] == {"value": None, "low": None, "high": None, "n": 12}
    assert found["judges"]["flat"]["kappa"]["value"] == 0
    assert found["paired"]["low"] > 0
    assert found["reason"].startswith("good agrees most with the experts: spearman 0.")
    assert " of poor: better (difference +" in found["reason"]


def test_comparisons_are_chosen_by_kappa_and_equals_are_not_called_better() -> None:
    marks = dict(zip(map(str, range(9)), [1.0, -1.0, 0.0] * 3, strict=True))
    found = compare_judges({"b": noisy(marks, 0.3, 3), "a": noisy(marks, 0.3, 3)}, marks)
    assert (found["measure"], found["best"]) == ("kappa", "a")
    assert found["paired"]["difference"] == 0
    assert "of b: not shown to be better (difference +0.000, +0.000 to +0.000)" in found["reason"]


def test_one_judge_and_judges_that_say_nothing() -> None:
    found = compare_judges({"only": POINTS}, POINTS)
    assert found["reason"] == "only is the only judge: spearman 1.000 on 12 items"
    assert found["paired"] is None
    flat = dict.fromkeys(POINTS, 2.0)
    found = compare_judges({"flat": flat, "level": flat}, POINTS)
    assert found["reason"] == "no judge can be told from another: spearman is undefined on 12 items"
    assert found["paired"]["difference"] is None
    found = compare_judges({"flat": flat, "good": POINTS}, POINTS)
    assert found["reason"] == "good agrees most with the experts: spearman 1.000 on 12 items; flat has none"


def test_judges_are_compared_on_what_all_marked() -> None:
    some = {item: mark for item, mark in POINTS.items() if item not in ("0", "5")}
    found = compare_judges({"whole": POINTS, "some": some}, {**POINTS, "unseen": 1.0})
    assert (found["n"], found["left_out"]) == (10, 3)
    with pytest.raises(DataError, match="1 item of 2 expert marks marked by every judge"):
        compare_judges({"whole": POINTS}, {"0": 1.0, "other": 2.0})


def test_experts_marks_are_numbers_or_words(tmp_path: Path) -> None:
    table = tmp_path / "marks.csv"
    table.write_text("item;mark\n1;a\n2; Tie \n3;loss\n4;2.5\n5;0\n5;3\n5;1\n5;2\n")
    assert read_experts(table) == {"1": 1.0, "2": 0.0, "3": -1.0, "4": 2.5, "5": 1.0}
    lines = tmp_path / "marks.jsonl"
    lines.write_text('{"item": 1, "mark": 3}\n{"item": "2", "mark": "b"}\n')
    assert read_experts(lines) == {"1": 3.0, "2": -1.0}


def test_experts_who_disagree_prefer_neither(tmp_path: Path) -> None:
    marks = {"1": "ab", "2": "at", "3": "bt", "4": "aab", "5": "bba", "6": "aabt", "7": "abt", "8": "ttb"}
    words = {"a": "a", "b": "b", "t": "tie"}
    table = tmp_path / "marks.csv"
    table.write_text("item,mark\n" + "".join(f"{item},{words[one]}\n" for item in marks for one in marks[item]))
    assert read_experts(table) == {"1": 0, "2": 0, "3": 0, "4": 1, "5": -1, "6": 0, "7": 0, "8": 0}


@pytest.mark.parametrize("mark", ["good", "nan", "inf", "1,5"])
def test_a_mark_that_is_none(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "marks.jsonl"
    path.write_text(json.dumps({"item": "1", "mark": mark}))
    with pytest.raises(DataError, match=rf"marks.jsonl:1: '{mark}' is no mark\n  -> write a number, or one of a, win"):
        read_experts(path)


def test_results_of_judges(tmp_path: Path) -> None:
    def result(name: str, **values: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"judge": {"model": "m"}, "marks": [{"item": "1", "mark": 2}], **values}))
        return path

    paths = [result("one.json"), result("two.json"), result("three.json", judge={"model": "n"})]
    assert read_judges(paths) == {"m": {"1": 2.0}, "m (two.json)": {"1": 2.0}, "n": {"1": 2.0}}
    same = [result(f"r{n}/judge.json", marks=[{"item": "1", "mark": n}]) for n in range(3)]
    assert list(read_judges(same).values()) == [{"1": 0.0}, {"1": 1.0}, {"1": 2.0}]
    assert list(read_judges(same)) == ["m", "m (judge.json)", f"m ({same[2]})"]
    with pytest.raises(
        DataError, match=r"not a judge's result \(KeyError\)\n  -> give what `lextune judge --out` wrote"
    ):
        read_judges([result("bad.json", judge={})])
    with pytest.raises(DataError, match=r"not a judge's result \(FileNotFoundError\)"):
        read_judges([tmp_path / "none.json"])
