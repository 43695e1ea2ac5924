"""From tesseract's words to the text of a page."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.text.reading.layout import Word, page_text, read_tsv, two_columns
from lextune.text.reading.pages import plain_hyphens

HEAD = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext"


def row(place: str, text: str, confidence: float = 90.0, level: int = 5) -> str:
    block, paragraph, line, word = place.split(".")
    return f"{level}\t1\t{block}\t{paragraph}\t{line}\t{word}\t10\t20\t30\t12\t{confidence}\t{text}"


def test_lines_paragraphs_and_confidences() -> None:
    rows = [
        HEAD,
        row("1.1.0.0", "", -1, level=3),
        row("1.1.1.1", "1.1"),
        row("1.1.1.2", "Con\ufb01dential", 70.5),
        row("1.1.1.3", "  "),
        row("1.1.2.1", '"agree-'),
        row("1.1.3.1", 'ment"'),
        row("1.2.1.1", "of\u00a0it", 101),
        row("2.1.1.1", "re-"),
        row("2.2.1.1", "entry"),
        "cut\toff",
    ]
    page = page_text(read_tsv("\n".join(rows)))
    assert page.text == '1.1 Confidential\n"agree\ufffement"\n\nof it\n\nre-\n\nentry'
    assert plain_hyphens([page.text, "agreement"])[0].startswith('1.1 Confidential\n"agreement"')
    assert page.confidences == (0.9, 0.705, 0.9, 0.9, 1.0, 0.9, 0.9)
    assert page.confidence == pytest.approx(6.205 / 7)


def test_a_page_without_words() -> None:
    page = page_text(read_tsv(HEAD))
    assert (page.text, page.confidence) == ("", 0.0)


@given(st.lists(st.tuples(st.integers(1, 3), st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1))))
@settings(max_examples=60)
def test_no_word_is_lost(words: list[tuple[int, str]]) -> None:
    words = sorted(words, key=lambda word: word[0])
    page = page_text([Word(text, 1.0, 0, 1, 1, ("1", "1", str(line))) for line, text in words if text.isascii()])
    spaceless = "".join(page.text.split()).replace("\ufffe", "-")
    assert spaceless == "".join(text for _, text in words if text.isascii())


def line(number: int, starts: list[int], width: int = 40) -> list[Word]:
    return [Word("word", 1.0, left, width, 12, ("1", "1", str(number))) for left in starts]


PROSE = [50, 100, 150, 200, 400, 450, 500, 550]  # four words, the gutter, four words
WIDE = [50, 100, 150, 200, 250, 300, 350, 400]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([PROSE] * 10, True),
        ([WIDE, *[PROSE] * 10, WIDE], True),
        ([PROSE] * 7, False),  # too few to be sure
        ([PROSE] * 10 + [WIDE] * 30, False),  # a table in a page of prose
        ([[50, 300, 350, 400, 450, 500, 550]] * 10, False),  # clause numbers stand apart
        ([[50, 100, 150, 500]] * 10, False),  # a table of contents
        ([[50 * k + 60 * (k > 3 + n % 5) for k in range(12)] for n in range(12)], False),  # gaps here and there
        ([], False),
    ],
)
def test_two_columns_of_prose(lines: list[list[int]], expected: bool) -> None:
    words = [word for number, starts in enumerate(lines) for word in line(number, starts)]
    assert two_columns(words) is expected
