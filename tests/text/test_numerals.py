from __future__ import annotations

import pytest

from lextune.text.numerals import ORDINALS, number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12", 12),
        ("1,200", 1200),
        ("twelve", 12),
        ("twenty-four", 24),
        ("One Hundred Eighty", 180),
        ("one hundred and five", 105),
        ("two thousand five hundred", 2500),
        ("one million", 1_000_000),
        ("hundred", 100),
        ("", None),
        ("a dozen", None),
        ("²", None),
    ],
)
def test_number(text: str, expected: int | None) -> None:
    assert number(text) == expected


def test_ordinals_name_every_day_of_a_month() -> None:
    assert sorted(ORDINALS.values()) == list(range(1, 32))
