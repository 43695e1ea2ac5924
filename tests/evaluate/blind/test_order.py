"""The order: balanced for each rater and for each item, repeatable, and not to be guessed from a code."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lextune.evaluate.blind.order import draw_places

ITEMS = st.integers(1, 60).map(lambda count: [f"item {n}" for n in range(count)])
SEEDS = st.integers(0, 2**53)


@given(ITEMS, st.integers(0, 9), SEEDS)
def test_every_rater_sees_each_item_once_and_each_arm_as_often_on_the_left(
    items: list[str], seat: int, seed: int
) -> None:
    places = draw_places(items, seat, seed)
    assert sorted(place.item for place in places) == sorted(items)
    lefts = [place.left for place in places]
    assert abs(lefts.count("a") - lefts.count("b")) == len(items) % 2
    assert len({place.code for place in places}) == len(items)


@given(ITEMS, st.integers(0, 4), SEEDS)
def test_two_raters_see_each_item_both_ways_round(items: list[str], pair: int, seed: int) -> None:
    one, other = (
        {place.item: place.left for place in draw_places(items, seat, seed)} for seat in (2 * pair, 2 * pair + 1)
    )
    assert all(one[item] != other[item] for item in items)


def test_sides_and_sequence_come_from_the_seed_and_codes_do_not() -> None:
    items = [f"item {n}" for n in range(40)]
    first, again, other = draw_places(items, 0, 7), draw_places(items, 0, 7), draw_places(items, 0, 8)
    assert [(p.item, p.left) for p in first] == [(p.item, p.left) for p in again]
    assert not {p.code for p in first} & {p.code for p in again}
    assert [p.item for p in first] != [p.item for p in other]
    assert {p.item: p.left for p in first} != {p.item: p.left for p in other}


def test_over_seeds_every_item_and_every_place_in_the_sequence_is_fair() -> None:
    items = [f"item {n}" for n in range(9)]
    drawn = [draw_places(items, 0, seed) for seed in range(400)]
    for item in items:
        on_left = sum(place.left == "a" for places in drawn for place in places if place.item == item)
        assert 140 < on_left < 260, "six standard deviations around one half of 400"
    for number in range(9):
        assert 140 < sum(places[number].left == "a" for places in drawn) < 260
