"""Cleaning: what each operation does, and that the source always comes back."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.records import Edit, Span
from lextune.text.cleaning import CleanOptions, clean, clean_message
from lextune.text.edits import OffsetMap, restore

OFF = CleanOptions(encoding=False, spaces=False, hyphenation=False, furniture=False)


def only(name: str) -> CleanOptions:
    return OFF.model_copy(update={name: True})


ENCODING = [
    ("the â€œSellerâ€\x9d", "the “Seller”", "UTF-8 read as Windows-1252"),
    ("CafÃ© MÃ¼ller", "Café Müller", "the same, letters"),
    ("Ã¢â‚¬Å“twiceÃ¢â‚¬Å“", "“twice“", "the same, twice"),
    ("\x93Seller\x94 \x96 a\x92s", "“Seller” – a’s", "controls that Windows-1252 has signs for"),
    ("ﬁle the aﬀidavit", "file the affidavit", "typographic ligatures"),
    ("Cafe\u0301", "Café", "a letter and its accent apart"),
    ("Müller “x” – § 5 ® 中文合同 Ärzte £5", "Müller “x” – § 5 ® 中文合同 Ärzte £5", "nothing to repair"),
]

SPACES = [
    ("a\u00a0b\tc\u2003d", "a b c d", "special spaces and tabs"),
    ("a  b   c", "a b c", "runs"),
    ("a      b", "a    b", "a wide gap parts columns, and stays one"),
    ("a \t\n  b", "a\nb", "ends and beginnings of lines"),
    ("a\r\nb\rc\u2028d", "a\nb\nc\nd", "other line ends"),
    ("a\n\n \n\nb\u2029c", "a\n\nb\n\nc", "blank lines"),
    ("Sec\u200btion \ufeff5\x00.", "Section 5.", "invisible characters"),
    ("the buyer\fpays", "the buyer\npays", "a form feed inside a sentence"),
    ("the end.\f\nNext", "the end.\n\nNext", "a form feed between paragraphs"),
    ("\n\n a b \n\n", "a b\n", "both ends of the text"),
    ("می\u200cخواهم", "می\u200cخواهم", "a joiner that belongs to the spelling"),
    ("\t ", "", "nothing but white space"),
]

HYPHENS = [
    ("this agree-\nment", "this agreement", "a known word"),
    ("a zorb-\nling; the zorbling", "a zorbling; the zorbling", "a word that stands elsewhere"),
    ("a third-\nparty claim; third-party", "a third-party claim; third-party", "a compound that stands elsewhere"),
    ("an indemni-\r\n  fication", "an indemnification", "no word that is known: its end is none"),
    ("a zorb-\npayment", "a zorb-payment", "no word that is known: its end is one"),
    ("an out-of-\nscope item", "an out-of-scope item", "a compound goes on"),
    ("Anglo-\nAmerican", "Anglo-American", "a name"),
    ("LICEN-\nSEE and licensee", "LICENSEE and licensee", "capitals"),
    ("agree\u00ad\nment", "agreement", "a soft hyphen at a line end"),
    ("in\u00addem\u00adnity", "indemnity", "soft hyphens"),
    ("the agree\u00adment", "the agreement", "one soft hyphen in a known word"),
    ("the Mid\u00adTier, Y\u00ad3", "the Mid-Tier, Y-3", "a soft hyphen that is a real one"),
    ("- a\n- b\n5-\n6 -\n", "- a\n- b\n5-\n6 -\n", "lists and numbers"),
]


@pytest.mark.parametrize(
    ("operation", "text", "expected", "reason"),
    [("encoding", *case) for case in ENCODING]
    + [("spaces", *case) for case in SPACES]
    + [("hyphenation", *case) for case in HYPHENS],
)
def test_operations(operation: str, text: str, expected: str, reason: str) -> None:
    made = clean(text, (), only(operation))
    assert made.text == expected, reason
    assert restore(made.text, made.edits) == text
    assert clean(made.text, (), only(operation)).text == expected, "cleaning what is clean changes nothing"


def test_each_operation_can_be_left_out() -> None:
    text = "the  â€œagree-\nment\n\nSource: ACME, 10-K, 1/2/2012\n\nis â€œthe agreement"
    assert clean(text, (), OFF) == (text, (), ())
    for name, kept in {"encoding": "â€œ", "spaces": "  ", "hyphenation": "agree-\n", "furniture": "Source:"}.items():
        assert kept in clean(text, (), CleanOptions().model_copy(update={name: False})).text
        assert kept not in clean(text).text


def test_a_word_that_a_page_end_breaks_is_joined() -> None:
    text = "By this agree-\n1\nment the buyer, which\n2\npays, is bound.\n3\n"
    pages = (Span(start=0, end=17), Span(start=17, end=41), Span(start=41, end=len(text)))
    made = clean(text, pages)
    assert made.text == "By this agreement the buyer, which\npays, is bound."
    sheets = [made.text[page.start : page.end] for page in made.pages]
    assert sheets == ["By this agree", "ment the buyer, which\n", "pays, is bound."]


@pytest.mark.parametrize(
    ("text", "expected"), [("a\n\n    b\u200b  \tâ€œ", "a\n\n    b  \t“"), ("\x00x", "x"), ("", "")]
)
def test_messages_keep_their_layout(text: str, expected: str) -> None:
    made = clean_message(text)
    assert made.text == expected
    assert restore(made.text, made.edits) == text
    assert clean_message(text, OFF).text == text


PIECES = st.sampled_from(
    ["word ", "agree-\n", "ment ", "\u00ad", "  ", "\t", "\u00a0", "\n", "\n\n\n", "\r\n", "\f", "\u200b", "\u200c",
     "Header", "Page 1 of 3", "1", "2", "3", "\n1\n", "\n2\n", "- 3 -", "iv", "Source: ACME, 10-K, 1/2/2012", "â€œ",
     "Ã©", "Ã ", "\x93", "\u0301", "中文", "e", ",", ".", "X"]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=60)
OPTIONS = st.builds(
    CleanOptions, encoding=st.booleans(), spaces=st.booleans(), hyphenation=st.booleans(), furniture=st.booleans()
)


@settings(max_examples=250)
@given(TEXTS, st.lists(st.integers(0, 60), max_size=4), OPTIONS)
def test_the_source_comes_back_and_pages_stay_whole(text: str, cuts: list[int], options: CleanOptions) -> None:
    bounds = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    pages = tuple(Span(start=a, end=b) for a, b in pairwise(bounds))
    made = clean(text, pages, options)
    assert restore(made.text, made.edits) == text
    assert all(isinstance(edit, Edit) for edit in made.edits)
    assert len(made.pages) == len(pages)
    assert all(a.end == b.start for a, b in pairwise(made.pages))
    assert all(0 <= p.start <= p.end <= len(made.text) for p in made.pages)
    offsets = OffsetMap(made.edits)
    there = [offsets.to_original(i) for i in range(len(made.text) + 1)]
    assert there == sorted(there)


@pytest.mark.parametrize("unit", ["a  ", "a\u00ad", "ag-\n", " ", "- ", "a-", "1\n", "\u200b", ": ", "â€œ ", "中"])
def test_time_grows_with_the_length_only(unit: str) -> None:
    def seconds(length: int) -> float:
        text = unit * (length // len(unit))
        started = time.process_time()
        clean(text)
        return time.process_time() - started

    seconds(1_000)
    long, short = (min(seconds(length) for _ in range(3)) for length in (80_000, 10_000))  # one alone can be disturbed
    assert long < 24 * max(short, 0.005)


def test_real_contracts_come_back(cuad_dir: object) -> None:
    from pathlib import Path

    for file in sorted((Path(str(cuad_dir)) / "full_contract_txt").glob("*.txt"))[:20]:
        text = file.read_text(encoding="utf-8")
        made = clean(text)
        assert restore(made.text, made.edits) == text
        assert "\nSource: " not in made.text
