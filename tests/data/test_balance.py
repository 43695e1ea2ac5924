"""Which windows are kept, repeated and left out."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.errors import RecipeError
from lextune.core.recipe import validate
from lextune.data.balance import CAPPED, ENOUGH, BalanceConfig, Plan, Table, make_plan
from lextune.expert.point import ChatExample
from lextune.expert.windowing import WindowExample


def window(document: str, index: int, fields: tuple[int, ...], ignored: tuple[int, ...] = (), heading: str = "") -> Any:
    return WindowExample(
        document_id=document,
        index=index,
        heading=heading,
        texts=("one", "two"),
        positives=((), fields),
        ignored=(ignored, ()),
    )


def table_of(*rows: tuple[int, str | None, WindowExample]) -> Table:
    table = Table()
    for document, kind, example in rows:
        table.add(document, kind, example)
    return table


def contract(
    document: int, fields: list[tuple[int, ...]], kind: str | None = None
) -> list[tuple[int, str | None, WindowExample]]:
    """A contract whose window i states `fields[i]`."""
    return [(document, kind, window(str(document), i, stated)) for i, stated in enumerate(fields)]


def chosen_before(rows: list[bool], negatives: float | None, seed: int) -> list[int]:
    """What the first version of the examples stage chose, by place; `rows` says which are positive."""
    order = random.Random(seed)
    positive = [r for r, so in enumerate(rows) if so]
    empty = [r for r, so in enumerate(rows) if not so]
    order.shuffle(empty)
    kept = positive + (empty if negatives is None else empty[: round(negatives * len(positive))])
    order.shuffle(kept)
    return kept


@given(st.lists(st.booleans(), max_size=60), st.sampled_from([None, 0.0, 0.3, 0.5, 1.0, 9.0]), st.integers(0, 5))
@settings(max_examples=60)
def test_the_defaults_choose_what_was_always_chosen(positive: list[bool], negatives: float | None, seed: int) -> None:
    table = table_of(*contract(0, [(1,) if so else () for so in positive]))
    plan = make_plan(table, BalanceConfig(), negatives, seed)
    assert plan.order == chosen_before(positive, negatives, seed)
    assert set(plan.dropped.values()) <= {ENOUGH}


ROW = st.tuples(
    st.integers(0, 4),
    st.sampled_from(["Lease", "License", None]),
    st.lists(st.integers(0, 3), max_size=2, unique=True),
    st.lists(st.integers(0, 3), max_size=1),
    st.sampled_from(["", "Term", "Fees"]),
)


@given(
    st.lists(ROW, max_size=40),
    st.builds(
        BalanceConfig,
        per_field=st.sampled_from([None, 0.5, 2.0]),
        near=st.sampled_from([0.0, 0.5, 1.0]),
        per_type=st.sampled_from([None, 0.7, 1.0]),
        rare=st.sampled_from([None, 3, 8]),
        repeats=st.integers(1, 3),
    ),
    st.integers(0, 3),
)
@settings(max_examples=120)
def test_every_window_is_kept_or_dropped_with_a_reason(rows: list[Any], config: BalanceConfig, seed: int) -> None:
    table = Table()
    for index, (document, kind, fields, ignored, heading) in enumerate(rows):
        table.add(document, kind, window(str(document), index, tuple(fields), tuple(ignored), heading))
    try:
        plan = make_plan(table, config, 0.3, seed)
    except RecipeError:
        assert config.per_type == 0.7  # which cannot be met where one type alone is left
        return
    assert make_plan(table, config, 0.3, seed) == plan
    kept = Counter(plan.order)
    assert sorted([*kept, *plan.dropped]) == list(range(len(rows)))
    assert plan.repeated == len(plan.order) - len(kept)
    assert max(kept.values(), default=0) <= config.repeats
    assert all(table.positive[row] for row, count in kept.items() if count > 1)
    if config.per_type is None:
        assert all(row in kept for row in range(len(rows)) if table.positive[row])
    _check_fields(table, plan, config)


def _check_fields(table: Table, plan: Plan, config: BalanceConfig) -> None:
    """The plan's own counts, made again by another way."""
    for number in range(4):
        positives = [row for row in plan.order if number in table.fields(row)]
        if not positives:
            assert number not in plan.fields
            continue
        found = plan.fields[number]
        assert found.positives == len(positives)
        assert found.repeated == len(positives) - len(set(positives))
        assert found.negatives == sum(table.is_negative(row, number) for row in plan.order)
        if config.per_field is not None and config.per_type is None and config.rare is None:
            assert found.short is not None
            assert found.negatives >= config.per_field * found.positives - found.short


def test_each_field_gets_its_negatives_the_near_ones_first() -> None:
    empty: tuple[int, ...] = ()
    rows = contract(0, [empty] * 4 + [(0,)] + [empty] * 4) + contract(1, [empty] * 20)
    plan = make_plan(table_of(*rows), BalanceConfig(per_field=4, near=0.5), 0.0, 1)
    assert len(plan.order) == 5
    assert {3, 5} <= set(plan.order)  # the windows beside the one with the field
    assert plan.fields[0]._asdict() == {"positives": 1, "repeated": 0, "negatives": 4, "near": 2, "short": 0}


def test_the_same_heading_is_near_and_no_heading_is_not() -> None:
    stated = window("0", 0, (0,), heading="Term")
    rows = [(0, None, stated)]
    rows += [(1, None, window("1", i, (), heading=" TERM" if i == 7 else "Fees" if i % 2 else "")) for i in range(30)]
    plan = make_plan(table_of(*rows), BalanceConfig(per_field=1, near=1), 0.0, 1)
    assert sorted(plan.order) == [0, 8]
    without = [(0, None, window("0", 0, (0,)))] + [(1, None, window("1", i, ())) for i in range(9)]
    short = make_plan(table_of(*without), BalanceConfig(per_field=1, near=1), 0.0, 1)
    assert short.fields[0].near == 0
    assert short.fields[0].short == 1


def test_windows_of_other_fields_are_negatives_too() -> None:
    rows = contract(0, [(0,), (1,), (1,), (1,), (), (), ()])
    plan = make_plan(table_of(*rows), BalanceConfig(per_field=1, near=0), 0.0, 1)
    assert {number: found.negatives for number, found in plan.fields.items()} == {0: 5, 1: 3}
    assert len(plan.dropped) == 1  # field 0 has three without an empty one; field 1 needs two


def test_a_field_that_was_not_assessed_has_no_negatives_there() -> None:
    rows = [(0, None, window("0", 0, (0,))), (1, None, window("1", 0, (), ignored=(0,)))]
    plan = make_plan(table_of(*rows), BalanceConfig(per_field=1, near=0), 0.0, 1)
    assert plan.order == [0]
    assert plan.fields[0].short == 1
    assert plan.dropped == {1: ENOUGH}


def test_a_type_is_cut_to_its_share_the_empty_windows_first() -> None:
    rows = contract(0, [(0,)] * 6 + [()] * 6, "Lease") + contract(1, [(0,)] * 4, "License") + contract(2, [(0,)] * 2)
    plan = make_plan(table_of(*rows), BalanceConfig(per_type=0.5), None, 1)
    assert plan.types == {"Lease": 6, "License": 4, "unknown": 2}
    assert plan.dropped == dict.fromkeys(range(6, 12), CAPPED)


def test_a_cap_that_no_choice_can_meet_is_refused() -> None:
    rows = contract(0, [(0,)] * 3, "Lease") + contract(1, [(0,)] * 3, "License") + contract(2, [(0,)] * 3, "Supply")
    with pytest.raises(RecipeError) as caught:
        make_plan(table_of(*rows), BalanceConfig(per_type=0.3), None, 1)
    assert str(caught.value) == (
        "balance.per_type: no contract type may have more than 0.3 of the windows, and there are only 3 types\n"
        "  -> raise it to 0.34 or more, or leave it out"
    )


def test_one_type_alone_cannot_be_capped() -> None:
    with pytest.raises(RecipeError, match="there is only 1 type\n  -> raise it to 1 or more"):
        make_plan(table_of(*contract(0, [(0,)] * 3, "Lease")), BalanceConfig(per_type=0.9), None, 1)


def test_rare_fields_are_repeated_up_to_the_limit() -> None:
    rows = contract(0, [(0,)] * 10 + [(1,)] * 3 + [(2,)])
    plan = make_plan(table_of(*rows), BalanceConfig(rare=8, repeats=4), 0.0, 1)
    assert {n: (f.positives, f.repeated) for n, f in plan.fields.items()} == {0: (10, 0), 1: (8, 5), 2: (4, 3)}
    times = Counter(plan.order)
    assert sorted(times[row] for row in (10, 11, 12)) == [2, 3, 3]  # in turn, not one of them alone
    assert plan.repeated == 8


def test_a_conversation_is_a_positive_without_fields() -> None:
    table = Table()
    table.add(0, "Lease", ChatExample(document_id="a", messages=(), completion="b"))
    plan = make_plan(table, BalanceConfig(per_field=2, rare=5), 0.5, 0)
    assert (plan.order, plan.fields, plan.types) == ([0], {}, {"Lease": 1})


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"per_type: input should be less than or equal to 1 \(given: '2'\)"):
        validate({"per_type": 2}, BalanceConfig, "recipe.yaml")
