"""Spelling, numbers, money and dates of the two dialects."""

from __future__ import annotations

import datetime
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lextune.data.synthesis.house_style import HouseStyle, add_years, in_words, numeric_date, respell

UK = HouseStyle("uk", "shall", "agreement", "clause", "party", "words", False, True, 1)
US = HouseStyle("us", "shall", "Agreement", "Section", "party", "both", True, False, 2)


@pytest.mark.parametrize(
    ("british", "american"),
    [
        ("The licence and the Licence, LICENCE", "The license and the License, LICENSE"),
        ("Trade Mark and trade marks", "Trademark and trademarks"),
        (
            "unauthorised reorganisation, a sublicence, a catalogue",
            "unauthorized reorganization, a sublicense, a catalog",
        ),
        ("fulfil in instalments, wilful", "fulfill in installments, willful"),
        ("diameter, premises, exercise, promise", "diameter, premises, exercise, promise"),
    ],
)
def test_american_spelling(british: str, american: str) -> None:
    assert respell(british) == american
    assert (UK.spelt(british), US.spelt(british)) == (british, american)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (20, "twenty"),
        (45, "forty-five"),
        (100, "one hundred"),
        (180, "one hundred and eighty"),
    ],
)
def test_numbers_in_words(number: int, words: str) -> None:
    assert in_words(number) == words
    assert UK.number(number) == words
    assert US.number(number) == f"{words} ({number})"


def test_number_words_are_all_different() -> None:
    assert len({in_words(number) for number in range(1000)}) == 1000


def test_money_and_percentages() -> None:
    assert (UK.money(250_000), US.money(250_000)) == ("£250,000", "US$250,000")
    assert (UK.percent("2.5"), US.percent("5"), US.percent("2.5")) == (
        "2.5 per cent",
        "five percent (5%)",
        "2.5%",
    )


def test_dates_put_the_day_first_in_british_contracts() -> None:
    date = datetime.date(2021, 3, 22)
    assert UK.date(date) == "22nd March 2021"
    assert UK._replace(date_form=0).date(date) == "22 March 2021"
    assert US.date(date) == "the 22nd day of March, 2021"
    assert US._replace(date_form=0).date(date) == "March 22, 2021"
    assert US._replace(date_form=1).date(date.replace(day=11)) == "March 11th, 2021"
    assert numeric_date(date) == "3/22/2021"


def test_a_year_after_29_february_is_28_february() -> None:
    assert add_years(datetime.date(2020, 2, 29), 1) == datetime.date(2021, 2, 28)
    assert add_years(datetime.date(2020, 2, 29), 4) == datetime.date(2024, 2, 29)


@given(st.text("ab\"' ", max_size=30))
def test_quotation_marks_change_no_length(text: str) -> None:
    shown = UK.quoted(text)
    assert len(shown) == len(text)
    assert not set(shown) & set("\"'")
    assert US.quoted(text) == text


def test_british_styles_use_british_words() -> None:
    drawn = [HouseStyle.draw(random.Random(seed), "uk") for seed in range(30)]
    assert {style.clause for style in drawn} == {"clause"}
    assert {style.agreement for style in drawn} == {"agreement", "Agreement"}
    assert HouseStyle.draw(random.Random(0), "us").clause == "Section"
