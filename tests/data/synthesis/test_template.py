"""The template language: alternatives, slots, quotes."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.errors import DataError
from lextune.data.synthesis.template import Mark, choose, render


def test_every_alternative_is_reached_and_nested_ones_too() -> None:
    seen = {choose("a [b|c [d|e]]", random.Random(seed)) for seed in range(60)}
    assert seen == {"a b", "a c d", "a c e"}


def test_an_empty_alternative_leaves_no_double_space_behind() -> None:
    assert choose("x [|] y. []", random.Random(0)) == "x y."


def test_slots_open_a_sentence_with_a_capital_and_stay_as_they_are_inside_one() -> None:
    rendered = render("<A>{x} ends. {x} begins, and {x} goes on.</>", lambda name: "the buyer")
    assert rendered.text == "The buyer ends. The buyer begins, and the buyer goes on."
    assert rendered.marks == (Mark(("A",), 0, len(rendered.text)),)


def test_the_full_stop_of_a_company_name_ends_no_sentence() -> None:
    assert render("Acme, Inc. {x}", lambda name: "the buyer").text == "Acme, Inc. the buyer"


def test_quotes_nest_and_a_bare_tag_stands_for_the_clauses_own_field() -> None:
    rendered = render("a <>b <F, G>c</> d</> e", str, own=("Own",))
    assert rendered.text == "a b c d e"
    assert rendered.marks == (Mark(("F", "G"), 4, 5), Mark(("Own",), 2, 7))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("<A>open", "open</A>: a quote is not closed\n  -> close it with </>"),
        ("shut</>", "shut</>: a quote is closed that was not opened\n  -> remove </>"),
    ],
)
def test_unbalanced_quotes_are_refused(template: str, message: str) -> None:
    with pytest.raises(DataError) as error:
        render(template, str)
    assert str(error.value) == message.replace("open</A>", "<A>open")


@settings(max_examples=60)
@given(st.lists(st.tuples(st.text("ab .", max_size=6), st.text("xyz ", max_size=6)), max_size=6))
def test_marks_enclose_exactly_the_tagged_text(pieces: list[tuple[str, str]]) -> None:
    template = "".join(f"{before}<F>{quoted}{{s}}</>" for before, quoted in pieces)
    rendered = render(template, lambda name: "Slot")
    assert [rendered.text[m.start : m.end] for m in rendered.marks] == [q + "Slot" for _, q in pieces]
    assert rendered.text == "".join(before + quoted + "Slot" for before, quoted in pieces)
