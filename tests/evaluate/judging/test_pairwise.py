"""Pairs are judged in both orders: a judge's liking for a place is found, and falls out of the net win rate."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lextune.evaluate.judging.items import Item
from lextune.evaluate.judging.pairwise import Compared, Comparison, judge_pairs
from lextune.evaluate.judging.rubric import load_rubric
from lextune.evaluate.judging.verdicts import Asked, PairVerdict
from lextune.expert.engines.scripted import ScriptedChat

Judge = Callable[[Callable[[dict[str, str]], Any]], ScriptedChat]
RUBRIC = load_rubric("legal")
WINNERS = st.sampled_from(["first", "second", "tie", None])
LIKING = 0.3  # what the first place adds to the probability of winning


def verdict(winner: str | None) -> PairVerdict | None:
    return None if winner is None else PairVerdict(reason="r", winner=winner)  # type: ignore[arg-type]


def comparison(pairs: list[tuple[str | None, str | None]]) -> Comparison:
    items = tuple(Compared(str(n), verdict(one), verdict(other)) for n, (one, other) in enumerate(pairs))
    return Comparison(RUBRIC, items, Asked((), 0, 0, 0, 0, 0))


def items(count: int) -> list[Item]:
    return [Item(id=str(n), prompt=f"question {n}", a=f"a{n}", b=f"b{n}") for n in range(count)]


def test_every_pair_is_judged_in_both_orders(judge: Judge) -> None:
    seen = []

    def script(shown: dict[str, str]) -> Any:
        seen.append((shown["first"], shown["second"]))
        if shown["question"] == "question 3":
            return "I cannot say."
        better = {"question 0": "a0", "question 1": "b1"}.get(shown["question"])
        return {"winner": "first" if better in (None, shown["first"]) else "second"}

    found = judge_pairs(items(4), judge(script), RUBRIC)
    assert seen[:4] == [("a0", "b0"), ("b0", "a0"), ("a1", "b1"), ("b1", "a1")]
    assert found.marks() == {"0": 1.0, "1": -1.0, "2": 0.0}
    report = found.as_json()
    counts = {"n_items": 4, "n": 3, "win": 1, "tie": 1, "loss": 1, "verdicts": 8, "invalid": 2, "repaired": 0}
    assert counts.items() <= report.items()
    assert report["net"]["value"] == 0
    assert report["flip_rate"]["value"] == pytest.approx(1 / 3)
    assert report["position_bias"]["value"] == pytest.approx(4 / 6 - 0.5)
    assert report["position_bias"]["n"] == 6
    rows = found.rows()
    assert rows[0]["a_first"] == {"reason": "So.", "winner": "first"}
    assert rows[3] == {"item": "3", "mark": None, "a_first": None, "b_first": None}


@given(st.lists(st.tuples(WINNERS, WINNERS), max_size=12))
def test_scores_agree_with_counting_by_hand(pairs: list[tuple[str | None, str | None]]) -> None:
    report = comparison(pairs).as_json()
    whole = [pair for pair in pairs if None not in pair]
    wins, losses = whole.count(("first", "second")), whole.count(("second", "first"))
    same = wins + losses + whole.count(("tie", "tie"))
    places = [winner for pair in whole for winner in pair if winner != "tie"]
    assert (report["n_items"], report["n"], report["win"], report["loss"]) == (len(pairs), len(whole), wins, losses)
    assert report["win"] + report["tie"] + report["loss"] == report["n"]
    if not whole:
        assert report["net"]["value"] is report["flip_rate"]["value"] is None
    else:
        assert report["net"]["value"] == pytest.approx((wins - losses) / len(whole))
        assert report["flip_rate"]["value"] == pytest.approx((len(whole) - same) / len(whole))
    if places:
        assert report["position_bias"]["value"] == pytest.approx(places.count("first") / len(places) - 0.5)
    else:
        assert report["position_bias"]["value"] is None
    for name in ("net", "flip_rate", "position_bias"):
        if report[name]["low"] is not None:
            assert report[name]["low"] <= report[name]["value"] <= report[name]["high"]


def test_items_of_one_document_are_drawn_together() -> None:
    drawn = random.Random(3)
    once = [(drawn.choice(["first", "second", "tie"]), drawn.choice(["first", "second", "tie"])) for _ in range(15)]
    alone = comparison(once).as_json()  # type: ignore[arg-type]
    rows = [(f"{n} / {field}", n, pair) for n, pair in enumerate(once) for field in range(20)]
    twenty = tuple(Compared(name, verdict(one), verdict(other), str(n)) for name, n, (one, other) in rows)
    report = Comparison(RUBRIC, twenty, Asked((), 0, 0, 0, 0, 0)).as_json()
    assert (report["n"], report["win"]) == (300, 20 * alone["win"])
    for name in ("net", "flip_rate", "position_bias"):
        assert [report[name][bound] for bound in ("value", "low", "high")] == pytest.approx(
            [alone[name][bound] for bound in ("value", "low", "high")]
        )


def test_the_items_know_their_documents(judge: Judge) -> None:
    given = [Item(id="1", prompt="p", a="x", b="y", document="d"), Item(id="2", prompt="p", a="x", b="y")]
    found = judge_pairs(given, judge(lambda shown: {"winner": "tie"}), RUBRIC)
    assert [one.document for one in found.items] == ["d", None]


def merits(count: int, seed: int) -> list[float]:
    """Return for each item the probability that a judge without a liking prefers `a`: 0.54 in the mean."""
    drawn = random.Random(seed)
    return [drawn.uniform(0.4, 0.68) for _ in range(count)]


def test_a_judge_that_likes_the_first_place_is_found_out_and_its_liking_falls_out(judge: Judge) -> None:
    count = 1_500
    q, drawn = merits(count, 1), random.Random(2)
    truth = float(np.mean([2 * each - 1 for each in q]))

    def script(shown: dict[str, str]) -> Any:
        number = int(shown["first"][1:])
        a_first = shown["first"].startswith("a")
        prefers_a = drawn.random() < q[number] + (LIKING if a_first else -LIKING)
        return {"winner": "first" if prefers_a == a_first else "second"}

    found = judge_pairs(items(count), judge(script), RUBRIC)
    report = found.as_json()
    bias = report["position_bias"]
    assert bias["low"] > 0.2  # far from 0
    assert bias["low"] < LIKING < bias["high"]
    assert report["net"]["low"] < truth < report["net"]["high"]
    assert abs(report["net"]["value"] - truth) < 0.06
    one_order = np.mean([1 if one.a_first.winner == "first" else -1 for one in found.items if one.a_first])
    assert one_order - truth > 0.5  # 2 x LIKING: what a judge asked once would have said
    assert report["flip_rate"]["value"] > 0.5


@pytest.mark.parametrize("liking", [0.0, 0.15, LIKING])
def test_the_net_win_rate_is_unbiased_and_its_interval_holds(liking: float) -> None:
    rounds, count = 200, 80
    errors, held, found_out = [], 0, 0
    for seed in range(rounds):
        drawn = random.Random(f"{seed} {liking}")
        q = merits(count, seed)
        pairs: list[tuple[str | None, str | None]] = [
            (
                "first" if drawn.random() < each + liking else "second",
                "second" if drawn.random() < each - liking else "first",
            )
            for each in q
        ]
        report = comparison(pairs).as_json()
        truth = float(np.mean([2 * each - 1 for each in q]))
        errors.append(report["net"]["value"] - truth)
        held += report["net"]["low"] <= truth <= report["net"]["high"]
        found_out += report["position_bias"]["low"] > 0
    assert abs(np.mean(errors)) < 3 * np.std(errors) / np.sqrt(rounds)
    assert held >= 0.9 * rounds
    assert found_out <= 0.06 * rounds if liking == 0 else found_out >= 0.95 * rounds


def test_a_judge_that_looks_at_the_place_instead_of_the_merit_makes_ties_and_turns_nothing_round() -> None:
    drawn = random.Random(5)
    pairs: list[tuple[str | None, str | None]] = []
    for number in range(2_000):
        better = "a" if number % 10 < 7 else "b"
        lazy = [drawn.random() < LIKING for _ in range(2)]
        pairs.append(
            (
                "first" if lazy[0] or better == "a" else "second",
                "first" if lazy[1] or better == "b" else "second",
            )
        )
    report = comparison(pairs).as_json()
    assert report["net"]["low"] < (1 - LIKING) * 0.4 < report["net"]["high"] < 0.4
    assert report["flip_rate"]["value"] == pytest.approx(LIKING, abs=0.03)
    assert report["position_bias"]["value"] == pytest.approx(LIKING / 2, abs=0.02)


def test_nothing_to_judge(judge: Judge) -> None:
    report = judge_pairs([], judge(lambda shown: {}), RUBRIC).as_json()
    assert (report["n"], report["net"]["value"], report["position_bias"]["value"]) == (0, None, None)
