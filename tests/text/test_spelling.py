"""American words and their British spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lextune.text import drafting
from lextune.text.spelling import PAIRS, british, like

CASES = [
    ("authorized", "authorised"),
    ("ORGANIZATIONS", "ORGANISATIONS"),
    ("Harbor", "Harbour"),
    ("unfavorable", "unfavourable"),
    ("Behavioral", "Behavioural"),
    ("vigor", "vigour"),
    ("defense", "defence"),
    ("Fulfillment", "Fulfilment"),
    ("analyzing", "analysing"),
    ("fertilizer", "fertiliser"),
    ("trademark", "trade mark"),
    ("Trademarks", "Trade Marks"),
    ("PERCENT", "PER CENT"),
    *((word, None) for word in ("size", "oversized", "prizes", "seizing", "citizen", "horizon", "Pfizer", "maize")),
    *((word, None) for word in ("laboratory", "laborious", "honorarium", "vigorous", "collaborate", "judgment")),
]


@pytest.mark.parametrize(("american", "expected"), CASES)
def test_british(american: str, expected: str | None) -> None:
    assert british(american) == expected


@given(st.from_regex(r"[A-Za-z]{1,14}(?:iz(?:e|ed|ing|ation)|or(?:ed|s)?|er|ense)", fullmatch=True))
def test_a_british_word_stays(word: str) -> None:
    found = british(word)
    assert found is None or (british(found) is None and found.isupper() == word.isupper())


def test_what_tells_a_drafting_is_what_changes_it() -> None:
    for american, changed in PAIRS.items():
        assert drafting.drafting(american).evidence["spelling"].us > 0
        assert drafting.drafting(changed).evidence["spelling"].uk > 0


@pytest.mark.parametrize(
    ("model", "expected"),
    [("fees", "legal costs"), ("FEES", "LEGAL COSTS"), ("Attorneys' Fees", "Legal Costs"), ("Bad fees", "Legal costs")],
)
def test_capitals_are_kept(model: str, expected: str) -> None:
    assert like("legal costs", model) == expected
