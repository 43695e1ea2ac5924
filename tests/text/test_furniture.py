"""Headers, footers and page numbers go; clause numbers, signature blocks and the first header stay."""

from __future__ import annotations

import pytest

from lextune.core.records import Span
from lextune.text.edits import apply
from lextune.text.furniture import remove_furniture

BODIES = (
    "This agreement binds both parties and is made on the date\nstated in the schedule. The supplier sells the buyer",
    "all goods that are listed in the order form. The buyer shall pay the\nprice within thirty days of each invoice.",
    "Either party may end this agreement by notice.\nThe notice takes effect once the other party has received it and",
    "has had ten days to answer it. Nothing here limits\nliability for fraud. This agreement is governed by the law of",
    "the place in which the supplier has its seat.\nThe courts of that place alone decide disputes.",
)


def cleaned(text: str, pages: tuple[Span, ...] = ()) -> str:
    return apply(text, remove_furniture(text, pages))


def mapped(*sheets: str) -> tuple[str, tuple[Span, ...]]:
    """Join pages by newlines, as the PDF reader does."""
    text, pages = "", []
    for sheet in sheets:
        pages.append(Span(start=len(text), end=len(text) + len(sheet) + 1))
        text += sheet + "\n"
    return text, tuple(pages)


def bodies(text: str) -> str:
    return " ".join(text.split())


PLAIN = bodies(" ".join(BODIES))
LONG = tuple(f"{b} {b} {b}" for b in BODIES)


@pytest.mark.parametrize("number", ["{n}", "- {n} -", "Page {n}", "[{n}]", "Page {n} of 5", "A-{n}"])
def test_page_numbers_of_known_pages_go(number: str) -> None:
    text, pages = mapped(*(f"{body}\n{number.format(n=n)}" for n, body in enumerate(BODIES, start=1)))
    assert bodies(cleaned(text, pages)) == PLAIN


def test_roman_page_numbers_go() -> None:
    text, pages = mapped(
        *(f"{roman}\n{body}" for roman, body in zip(("i", "ii", "iii", "iv", "v"), BODIES, strict=True))
    )
    assert bodies(cleaned(text, pages)) == PLAIN


def test_form_feeds_are_page_ends() -> None:
    text = "\f".join(f"{body}\n{n}\n" for n, body in enumerate(BODIES, start=1))
    assert bodies(cleaned(text)) == PLAIN


def test_running_headers_and_footers_go_but_for_the_first_header() -> None:
    sheets = [f"SUPPLY AGREEMENT\n{b}\nAcme and Widget - Confidential - {n}" for n, b in enumerate(BODIES, start=1)]
    assert bodies(cleaned(*mapped(*sheets))) == f"SUPPLY AGREEMENT {PLAIN}"


def test_headers_of_left_and_right_pages_may_differ() -> None:
    heads = ("Supply of goods", "Acme to Widget")
    sheets = [f"{heads[n % 2]} {n}\n{b}" for n, b in enumerate((*BODIES, *BODIES))]
    left = bodies(cleaned(*mapped(*sheets)))
    assert left == f"Supply of goods 0 {PLAIN} {PLAIN}"


@pytest.mark.parametrize(
    "header",
    [
        "{n} Supply Agreement",
        "Page {n} of 5 Draft 2020",
        "Acme, 10-K, Page {n}",
        "Acme p.{n}",
        "Acme | A-{n}",
        "https://www.sec.gov/Archives/x.htm {n}/11",
        "License {n} / 11",
        "License p.{n} {n}/11",
        "Page{n} License",
        "Page {n} of License, Page {n}",
        "Page {n} License 9",
    ],
)
def test_a_header_may_have_the_number_of_its_page(header: str) -> None:
    sheets = [f"{header.format(n=n)}\n{body}" for n, body in enumerate(BODIES, start=7)]
    assert bodies(cleaned(*mapped(*sheets))) == f"{header.format(n=7)} {PLAIN}"


@pytest.mark.parametrize(
    "line",
    [
        "Base Rent, Lease Year {n}: ${n}1000 per month",
        "Base Rent, Lease Year {n}",
        "Base Rent per month {n}1000",
        "Base Rent per month $ {n}",
        "{n}. Reserved",
        "Section {n}",
        "SCHEDULE {n}",
        "Due on 1/1/200{n}",
        "Base Rent for {n}/2020",
        "Base Rent, Lease Year {n}: $11000 per month",
    ],
)
@pytest.mark.parametrize("mark", ["\f", ""])
def test_lines_that_differ_by_an_amount_or_by_their_clause_stay(line: str, mark: str) -> None:
    sheets = [f"{line.format(n=n)}\n{body}\n" for n, body in enumerate(BODIES, start=1)]
    text, pages = mapped(*sheets)
    kept = cleaned(mark.join(sheets)) if mark else cleaned(text, pages)
    assert [line.format(n=n) in kept for n in range(1, 6)] == [True] * 5


def test_a_sentence_goes_on_over_a_page_end_and_a_paragraph_does_not() -> None:
    first = cleaned(*mapped("The buyer shall\n1", "pay. It is so.\n2", "Next clause.\n3"))
    assert first == "The buyer shall\npay. It is so.\n\nNext clause."


def test_footers_of_edgar_go_wherever_they_stand() -> None:
    text = "One sentence ends\n\n3\n\nSource: ACME & CO., INC., 10-K/A, 3/31/2012\n\n\n\n   here. Source: of income."
    assert cleaned(text) == "One sentence ends\nhere. Source: of income."
    assert cleaned("Source: our own books, audited") == "Source: our own books, audited"


def test_page_numbers_without_a_page_map_count_up_and_break_sentences() -> None:
    text = "".join(f"{body}\n\n- {n} -\n\n\n\n" for n, body in enumerate(LONG, start=7))
    assert bodies(cleaned(text)) == bodies(" ".join(LONG))


def test_clause_numbers_alone_on_a_line_stay() -> None:
    clauses = "".join(f"{n}\n\nHeading\n\n{body}.\n\n" for n, body in enumerate(LONG, start=1))
    assert cleaned(clauses) == clauses
    items = "Items:\n1\nrice\n2\nmaize\n3\nwheat\n4\noats"
    assert cleaned(items) == items


def test_what_repeats_in_signature_blocks_stays() -> None:
    sheets = [f"{body}\nBy: ____________\nName:\nTitle:" for body in BODIES]
    text, pages = mapped(*sheets)
    assert remove_furniture(text, pages) == []


def test_lists_at_page_edges_and_numbers_that_do_not_count_pages_stay() -> None:
    sheets = [f"{body}\n{n}\nof these\n{n + 1}" for n, body in zip((4, 4, 90, 2, 31), BODIES, strict=True)]
    text, pages = mapped(*sheets)
    kept = bodies(cleaned(text, pages))
    assert [w for w in kept.split() if w.isdigit()] == ["4", "5", "4", "5", "90", "91", "2", "3", "31", "32"]


def test_pages_that_all_say_the_same_are_not_lost_altogether() -> None:
    text, pages = mapped(*["Form of notice\nSent to you"] * 8)
    assert cleaned(text, pages).split() == ["Form", "of", "notice", "Sent", "to", "you"]


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\f\f\f", "12", "Page 1 of 1"])
def test_texts_of_nothing_are_taken(text: str) -> None:
    assert cleaned(text).strip() in ("", "12")
