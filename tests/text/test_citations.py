"""Citations of cases: a table of texts, what is found in them, and why."""

from __future__ import annotations

import logging
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lextune.core.records import Span
from lextune.text.citations import Citation, find_citations, known_cases

KNOWN = {"410 U.S. 113", "347 U.S. 483"}

Case = tuple[str, list[tuple[str, str, str | None, str]], str]
CASES: list[Case] = [
    ("Roe v. Wade, 410 U.S. 113 (1973).", [("410 U.S. 113", "full", "410 U.S. 113", "known")], "a case of the list"),
    ("Doe v. Poe, 411 U.S. 113 (1973).", [("411 U.S. 113", "full", "411 U.S. 113", "unknown")], "no case of the list"),
    ("347 U. S. 483 (1954)", [("347 U. S. 483", "full", "347 U.S. 483", "known")], "the reporter with a space"),
    (
        "Roe v. Wade, 410 U.S. 113 (1973). Id. at 120.",
        [("410 U.S. 113", "full", "410 U.S. 113", "known"), ("Id. at 120", "id", "410 U.S. 113", "known")],
        "id. leads to the case before it",
    ),
    (
        "Roe v. Wade, 410 U.S. 113 (1973). Roe, 410 U.S. at 115.",
        [("410 U.S. 113", "full", "410 U.S. 113", "known"), ("410 U.S. at 115", "short", "410 U.S. 113", "known")],
        "a short form leads to the case of that volume",
    ),
    (
        "Brown v. Board, 347 U.S. 483 (1954). Brown, supra, at 490.",
        [("347 U.S. 483", "full", "347 U.S. 483", "known"), ("supra, at 490", "supra", "347 U.S. 483", "known")],
        "supra leads to the case of that name",
    ),
    ("Foo, supra, at 3.", [("supra, at 3", "supra", None, "unresolved")], "supra without a case before it"),
    ("15 U.S.C. § 78j. Id. at 5.", [], "a statute is no case, and its id. is none either"),
    ("1 Minn. L. Rev. 1 (1917)", [], "an article in a journal is no case"),
    (
        "Smith v. Jones, 999 F.3d 12 (2d Cir. 1950).",
        [("999 F.3d 12", "full", "999 F.3d 12", "malformed")],
        "the third series began in 1993",
    ),
    (
        "Roe v. Wade, 410 U.S. 113, 120 (1973); Smith v. Jones, 999 F.3d 12 (2d Cir. 1950).",
        [("410 U.S. 113", "full", "410 U.S. 113", "known"), ("999 F.3d 12", "full", "999 F.3d 12", "malformed")],
        "the year is the citation's own, with a pin cite before it, and not that of the next",
    ),
    (
        "A v. B, 12 S. Ct. 5, 36 L. Ed. 6 (1892).",
        [("12 S. Ct. 5", "full", "12 S. Ct. 5", "unknown"), ("36 L. Ed. 6", "full", "36 L. Ed. 6", "unknown")],
        "parallel citations, looked up each by itself",
    ),
    ("Ex, 12 Fake. Rep. 34 (2001).", [("12 Fake. Rep. 34", "full", None, "malformed")], "there is no such reporter"),
    ("Ex, 5 Qubit App. 2d 77 (Cal. 2004).", [("5 Qubit App. 2d 77", "full", None, "malformed")], "nor such a series"),
    ("Doe, 0 U.S. 1 (1990).", [("0 U.S. 1", "full", None, "malformed")], "no volume 0"),
    ("Doe, 5000 U.S. 12 (1990).", [("5000 U.S. 12", "full", "5000 U.S. 12", "malformed")], "no volume 5000"),
    ("Doe, 12 U.S. 90000 (1815).", [("12 U.S. 90000", "full", "12 U.S. 90000", "malformed")], "no page 90000"),
    (
        "2019 WL 1234567 (S.D.N.Y. 2019).",
        [("2019 WL 1234567", "full", "2019 WL 1234567", "unknown")],
        "no printed page",
    ),
    ("410 U.S. ___ (1973)", [("410 U.S. ___", "full", "410 U.S. ___", "unchecked")], "nothing to look up yet"),
    ("On 12 Jan. 2001 (see the letter of 1999) rent fell due.", [], "a date is no citation"),
    ("Pay 300 Mr. Smith 400 crowns.", [], "no year follows"),
    ("No. 12 St. John 4 (2001)", [], "an address"),
    ("", [], "nothing"),
    ("   ", [], "white space"),
]


@pytest.mark.parametrize(("text", "expected", "reason"), CASES)
def test_citations(text: str, expected: list[tuple[str, str, str | None, str]], reason: str) -> None:
    found = find_citations(text, KNOWN.__contains__)
    assert [(c.text, c.kind, c.case, c.status) for c in found] == expected, reason
    assert all(text[c.span.start : c.span.end] == c.text for c in found)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("999 F.3d 12 (2d Cir. 1950)", "F.3d has no volume of 1950"),
        ("12 Fake. Rep. 34 (2001)", "no such reporter"),
        ("0 U.S. 1 (1990)", "no reporter has a volume 0"),
        ("5000 U.S. 12 (1990)", "no reporter has a volume 5000"),
        ("12 U.S. 90000 (1815)", "no volume has a page 90000"),
        ("Foo, supra, at 3.", "no case before it to lead to"),
    ],
)
def test_what_is_wrong_is_said(text: str, problem: str) -> None:
    assert [c.problem for c in find_citations(text)] == [problem]


def test_nothing_is_looked_up_without_a_list() -> None:
    found = find_citations("410 U.S. 113 (1973)")
    assert found == [Citation("410 U.S. 113", Span(start=0, end=12), "full", "410 U.S. 113", "unchecked")]


def test_a_list_of_cases_is_read_in_any_form() -> None:
    assert known_cases(["Roe v. Wade, 410 U. S. 113 (1973)", "no case", "3 F.3d 99"]) == (
        frozenset({"410 U.S. 113", "3 F.3d 99"}),
        ["no case"],
    )


def test_no_text_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    text = "In Brown v. Board, 347 U. S. 483 (1954), the court. Roe, 410 U.S. at 115. 2019 WL 123456 (S.D.N.Y. 2019)."
    with caplog.at_level(logging.DEBUG):
        find_citations(text)
    assert "Brown" not in caplog.text


@given(st.text(alphabet="12 U.S.FdA(),v§I'supra;\n", max_size=80))
def test_any_text_is_read(text: str) -> None:
    for citation in find_citations(text, lambda case: False):
        assert text[citation.span.start : citation.span.end] == citation.text
        assert citation.status in ("unknown", "malformed", "unresolved", "unchecked")


@pytest.mark.parametrize("pages", [", 1", " 1", ", 1-2", ", 1 n. 2"])
def test_many_pages_after_a_citation_take_no_time(pages: str) -> None:
    started = time.process_time()
    assert [c.text for c in find_citations("410 U.S. 113" + pages * 10_000)] == ["410 U.S. 113"]
    assert time.process_time() - started < 3, "quadratic, it takes ten seconds and more"


def test_a_long_line_of_capitals_takes_no_time() -> None:
    assert find_citations("12 " + "A" * 5_000 + " (2001 " + "A. " * 2_000 + "7") == []
