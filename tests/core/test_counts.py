"""Numbers in messages."""

from __future__ import annotations

import pytest

from lextune.core.counts import counted


@pytest.mark.parametrize(
    ("number", "noun", "plural", "said"),
    [
        (0, "document", "", "0 documents"),
        (1, "document", "", "1 document"),
        (2, "document", "", "2 documents"),
        (1204, "row", "", "1,204 rows"),
        (1, "family", "families", "1 family"),
        (3, "family", "families", "3 families"),
    ],
)
def test_a_noun_follows_its_number(number: int, noun: str, plural: str, said: str) -> None:
    assert counted(number, noun, plural) == said
