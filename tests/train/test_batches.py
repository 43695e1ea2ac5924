"""Plans and passes: every example as often as was asked, in passes of a size, on any number of processes."""

from __future__ import annotations

import math
import random
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.expert.engines.base import WORTH_SHARING
from lextune.train.batches import (
    Plan,
    Row,
    Step,
    divide,
    packed,
    padded,
    planned_steps,
    share,
    together,
)
from lextune.train.settings import TrainConfig

PAD = 0


@st.composite
def some_rows(draw: st.DrawFn) -> list[Row]:
    """Rows that may begin alike; all other tokens differ, so that each says which example it is of."""
    number = 1

    def tokens(count: int) -> tuple[int, ...]:
        nonlocal number
        number += count
        return tuple(range(number - count, number))

    root = tokens(draw(st.sampled_from([0, 0, WORTH_SHARING, WORTH_SHARING + 5])))
    rows = []
    for _ in range(draw(st.integers(1, 8))):
        branches = [tokens(draw(st.integers(1, 9))) for _ in range(draw(st.integers(0, 4)))]
        prefix = root + tokens(draw(st.integers(0 if root and branches else 1, 30)))
        learnt = [tuple(draw(st.lists(st.booleans(), min_size=len(b), max_size=len(b)))) for b in branches]
        rows.append(Row(prefix, tuple(branches), tuple(learnt), joint=len(branches) == 2 and draw(st.booleans())))
    return rows


configs = st.builds(
    TrainConfig,
    batch=st.integers(1, 7),
    epochs=st.sampled_from([0.3, 0.5, 1.0, 1.5, 2.0, 3.25]),
    pass_tokens=st.integers(32, 90),
    packing=st.booleans(),
)


def _names(rows: list[Row]) -> Counter[int]:
    """Each example by a token of its own."""
    parts = (part for row in rows for part in ([row] if row.joint else row.apart()))
    return Counter(part.branches[0][0] if part.branches else part.prefix[-1] for part in parts)


def _in(step: Step) -> list[Row]:
    return [row for process in step.passes for one in process for row in one]


@pytest.mark.parametrize(
    ("rows", "settings", "steps"),
    [
        (80, {"batch": 8}, 10),
        (81, {"batch": 8}, 11),
        (81, {"batch": 16}, 6),
        (80, {"batch": 8, "epochs": 2.5}, 25),
        (80, {"batch": 8, "steps": 4}, 4),
        (80, {"batch": 8, "steps": 400}, 10),
        (0, {"batch": 8}, 1),
        (1, {"batch": 8, "epochs": 0.1}, 1),
    ],
)
def test_planned_steps(rows: int, settings: dict[str, Any], steps: int) -> None:
    config = TrainConfig(**settings)
    assert planned_steps(rows, config) == steps
    if rows:
        assert len(Plan([Row((1,))] * rows, config, 0)) == steps


def test_a_plan_of_nothing_is_empty() -> None:
    assert list(Plan([], TrainConfig(), 0)) == []


@given(some_rows(), configs, st.integers(0, 99))
def test_every_example_is_seen_as_often_as_the_epochs_say(rows: list[Row], config: TrainConfig, seed: int) -> None:
    plan = list(Plan(rows, config, seed))
    seen = sum((_names(_in(step)) for step in plan), Counter[int]())
    asked = _names(rows)
    assert set(seen) <= set(asked)
    assert {seen[name] for name in asked} <= {math.floor(config.epochs), math.ceil(config.epochs)}
    assert seen.total() == math.ceil(asked.total() * config.epochs)


@given(some_rows(), configs, st.integers(0, 99), st.integers(1, 9))
def test_a_step_is_a_batch_and_the_last_what_is_left(
    rows: list[Row], config: TrainConfig, seed: int, steps: int
) -> None:
    config = config.model_copy(update={"steps": steps})
    sizes = [sum(row.examples for row in _in(step)) for step in Plan(rows, config, seed)]
    wanted = math.ceil(sum(row.examples for row in rows) * config.epochs)
    whole = min(steps, wanted // config.batch)
    left = [wanted - whole * config.batch] if whole < steps and wanted % config.batch else []
    assert sizes == [config.batch] * whole + left


@given(some_rows(), configs, st.integers(0, 99), st.integers(2, 5))
def test_any_number_of_processes_computes_the_same_steps(
    rows: list[Row], config: TrainConfig, seed: int, world: int
) -> None:
    alone, shared = Plan(rows, config, seed), Plan(rows, config, seed, world)
    assert len(alone) == len(shared)
    for one, many in zip(alone, shared, strict=True):
        assert len(many.passes) == world
        assert len({len(process) for process in many.passes}) == 1, "or some would wait for others for ever"
        assert _names(_in(one)) == _names(_in(many))


@given(some_rows(), configs)
def test_a_pass_holds_no_more_than_its_tokens(rows: list[Row], config: TrainConfig) -> None:
    passes = divide(rows, config)
    assert all(passes)
    assert _names([row for one in passes for row in one]) == _names(rows)
    for one in passes:
        if config.packing:
            computed = packed(one)[0]["input_ids"].numel()
            assert computed <= sum(row.tokens for row in one)
        else:
            assert all(row.examples == 1 for row in one)
            computed = padded(one, PAD)[0]["input_ids"].numel()
        assert computed <= config.pass_tokens or len(one) == 1


@given(some_rows(), st.integers(1, 5))
def test_a_share_differs_from_another_by_at_most_a_row(rows: list[Row], world: int) -> None:
    shares = share(rows, world)
    assert sorted(row for part in shares for row in part) == sorted(rows)
    assert all([rows.index(row) for row in part] == sorted(rows.index(row) for row in part) for part in shares)
    loads = [sum(row.tokens for row in part) for part in shares]
    assert max(loads) - min(loads) <= max(row.tokens for row in rows)


def test_epochs_have_orders_of_their_own_drawn_from_the_seed() -> None:
    rows = [Row((n,)) for n in range(1, 21)]
    config = TrainConfig(batch=1, epochs=2)

    def orders(seed: int) -> list[list[int]]:
        names = [row.prefix[0] for step in Plan(rows, config, seed) for row in _in(step)]
        return [names[:20], names[20:]]

    first, second = orders(3)
    assert sorted(first) == sorted(second) == list(range(1, 21))
    assert first != second
    assert orders(3) == [first, second]
    assert orders(4) != [first, second]


def _examples(rows: list[Row]) -> list[tuple[tuple[int, ...], list[tuple[tuple[int, ...], int]]]]:
    """Each example's tokens, and (what stands before it, learnt token) of what it learns."""
    out = []
    for row in rows:
        for single in row.apart():
            branch = single.branches[0] if single.branches else ()
            whole = single.prefix + branch
            flags = (False,) * len(single.prefix) + (single.learnt[0] if single.branches else ())
            out.append((whole, [(whole[:at], token) for at, token in enumerate(whole) if flags[at]]))
    return out


@given(some_rows())
@settings(max_examples=60)
def test_a_packed_token_is_learnt_after_its_own_example(rows: list[Row]) -> None:
    inputs, learnt, starts = packed(rows)
    ids = inputs["input_ids"][0].tolist()
    root = starts[0]  # tokens that all begin with
    assert len(ids) == sum(row.tokens for row in rows) - root * (len(rows) - 1)
    assert [ids[a:b] for a, b in pairwise([*starts, len(ids)])] == [
        [*row.prefix[root:], *(token for branch in row.branches for token in branch)] for row in rows
    ]

    def before(place: int) -> tuple[int, ...]:
        (s,) = [s for s in inputs["segments"] if s.start <= place < s.end]
        return tuple(token for a, b in (*s.before, (s.start, place + 1)) for token in ids[a:b])

    found: dict[int, list[tuple[tuple[int, ...], int]]] = {n: [] for n in range(sum(r.sequences for r in rows))}
    for source, target, owner in zip(*learnt, strict=True):
        found[owner].append((before(source), target))
    expected = _examples(rows)
    assert list(found.values()) == [learns for _, learns in expected]
    assert [len(before(place)) for place in range(len(ids))] == [p + 1 for p in inputs["position_ids"][0].tolist()]
    for s in inputs["segments"]:
        assert set(inputs["lengths"][0, s.start : s.end].tolist()) == {len(before(s.end - 1))}


@given(some_rows())
@settings(max_examples=60)
def test_a_padded_token_is_learnt_after_its_own_example(rows: list[Row]) -> None:
    inputs, learnt, starts = padded(rows, PAD)
    expected = _examples(rows)
    width = max(len(whole) for whole, _ in expected)
    assert starts == [n * width for n in range(len(expected))]
    for ids, mask, lengths, (whole, _) in zip(
        inputs["input_ids"].tolist(), inputs["attention_mask"].tolist(), inputs["lengths"].tolist(), expected,
        strict=True,
    ):  # fmt: skip
        assert ids == [*whole, *[PAD] * (width - len(whole))]
        assert mask == [1] * len(whole) + [0] * (width - len(whole))
        assert set(lengths) == {len(whole)}
    flat = inputs["input_ids"].flatten().tolist()
    found: dict[int, list[tuple[tuple[int, ...], int]]] = {n: [] for n in range(len(expected))}
    for source, target, owner in zip(*learnt, strict=True):
        assert source // width == owner
        found[owner].append((tuple(flat[owner * width : source + 1]), target))
    assert list(found.values()) == [learns for _, learns in expected]


def test_a_window_is_packed_at_the_lengths_of_its_own() -> None:
    inputs, learnt, starts = packed([Row((5, 6, 7)), Row((8, 9))])
    assert inputs["lengths"].tolist() == [[3, 3, 3, 2, 2]]
    assert inputs["input_ids"].dtype == torch.int64
    assert (starts, [*map(list, learnt)]) == ([0, 3], [[], [], []])


def _asked(text: tuple[int, ...], questions: int, document: str, start: int) -> list[Row]:
    return [Row((*text, start + n), ((start + 50 + n,),), ((True,),), document) for n in range(questions)]


@pytest.mark.parametrize(("percent", "branches"), [(50, [3, 2, 1]), (89, [1, 1, 1, 2, 1]), (91, [1] * 6)])
def test_rows_that_share_a_text_are_put_together(percent: int, branches: list[int]) -> None:
    rows = [
        *_asked(tuple(range(1, 9)), 3, "a", 100),
        *_asked(tuple(range(11, 20)), 2, "b", 200),
        Row((1, 2, 3), ((300,),), ((True,),), "c"),
    ]
    made = together(rows, lambda row: row.extra, percent)
    assert [row.examples for row in made] == branches
    assert _examples(made) == _examples(rows)


def test_rows_of_other_documents_are_not_put_together() -> None:
    text = tuple(range(1, 90))
    rows = [*_asked(text, 1, "a", 100), *_asked(text, 1, "b", 200), *_asked(text, 1, "a", 300)]
    assert together(rows, lambda row: row.extra, 50) == rows


@given(st.integers(0, 999))
@settings(max_examples=40)
def test_what_is_put_together_learns_the_same(seed: int) -> None:
    """Questions whose common beginning shrinks as more come."""
    rng = random.Random(seed)
    text = tuple(rng.randrange(1, 500) for _ in range(40))
    rows = []
    for _ in range(rng.randrange(1, 7)):
        end = tuple(rng.randrange(1, 500) for _ in range(rng.randrange(1, 9)))
        answer = tuple(rng.randrange(1, 500) for _ in range(rng.randrange(1, 5)))
        rows.append(Row(text[: rng.randrange(20, 41)] + end, (answer,), ((True,) * len(answer),), "d"))
    made = together(rows, lambda row: row.extra, 60)
    assert _examples(made) == _examples(rows)
