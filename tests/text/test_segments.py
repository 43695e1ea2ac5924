"""Sentences and windows: nothing lost, nothing twice, nothing longer than the model reads."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lextune.text.segments import MAX_SENTENCE, heading_of, sentences, windows

PIECES = [
    *("Inc.", "No.", "1.", "2.3", "(a) ", "(iv) ", "ARTICLE IV", "Section 9.", "Term", "The Supplier", "shall pay"),
    *(
        "; and ",
        "; ",
        ", provided ",
        ". ",
        '." ',
        "!",
        "?",
        "\n",
        "\n\n",
        "\f",
        "\r\n",
        "    ",
        "\t",
        "\u00a0",
        "\u2003",
    ),
    *("(", "漢字", "🙂", "é", "1234567890", "- ", "x" * 90, "\x1c", "\x85"),
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=80).map("".join)


def cut(text: str) -> list[str]:
    return [text[s.start : s.end] for s in sentences(text)]


def by_characters(texts: list[str]) -> list[int]:
    return [len(t) for t in texts]


def by_bytes(texts: list[str]) -> list[int]:
    return [len(t.encode("utf-8", "surrogatepass")) for t in texts]


@given(TEXTS)
@example("x" * 3000)
@example("\n" * 50)
@example("a " * 2000)
@settings(max_examples=200)
def test_every_character_is_in_exactly_one_sentence(text: str) -> None:
    spans = sentences(text)
    covered = [position for s in spans for position in range(s.start, s.end)]
    assert covered == sorted(set(covered)), "in order, without overlap"
    assert {p for p, c in enumerate(text) if not c.isspace()} <= set(covered)
    for s in spans:
        assert s.end - s.start <= MAX_SENTENCE
        assert not text[s.start].isspace()
        assert not text[s.end - 1].isspace()


@given(TEXTS, st.integers(8, 400), st.integers(1, 12))
@example("(" * 2000, 300, 40)
@example("漢" * 1500, 320, 40)
@example("🙂" * 700, 8, 2)
@settings(max_examples=150)
def test_windows_hold_each_sentence_once_within_their_limits(text: str, most: int, many: int) -> None:
    found = windows("d", text, by_bytes, max_tokens=most, max_sentences=many)
    assert [w.index for w in found] == list(range(len(found)))
    spans = [s for w in found for s in w.sentences]
    inside = [position for s in spans for position in range(s.start, s.end)]
    assert inside == sorted(set(inside))
    assert {p for p, c in enumerate(text) if not c.isspace()} <= set(inside)
    for w in found:
        assert 1 <= len(w.sentences) <= many
        assert w.tokens == sum(by_bytes([text[s.start : s.end] for s in w.sentences])) <= most
        assert (w.start, w.end) == (w.sentences[0].start, w.sentences[-1].end)


def test_dense_text_is_halved_where_a_sentence_alone_would_not_fit() -> None:
    text = "漢" * 600  # one sentence by its characters, 1,800 bytes
    assert len(sentences(text)) == 1
    naive = max(by_bytes(cut(text)))
    found = windows("d", text, by_bytes, max_tokens=320)
    assert naive == 1800
    assert max(w.tokens for w in found) <= 320
    assert "".join(text[s.start : s.end] for w in found for s in w.sentences) == text


def test_ordinary_sentences_are_cut_the_same_at_any_window() -> None:
    text = " ".join(f"The Supplier shall deliver item number {n} on time." for n in range(60))
    found = windows("d", text, by_characters, max_tokens=200)
    assert [s for w in found for s in w.sentences] == sentences(text)


@pytest.mark.parametrize(
    ("text", "expected", "reason"),
    [
        ("It ends. It begins.", ["It ends.", "It begins."], "a full stop"),
        ("Acme Inc. and Beta Corp. agree.", ["Acme Inc. and Beta Corp. agree."], "a company's suffix"),
        ("Mr. J. Smith of Acme Co. signs.", ["Mr. J. Smith of Acme Co. signs."], "a title, an initial"),
        ("See No. 5 and Art. 7, i.e. both. Done.", ["See No. 5 and Art. 7, i.e. both.", "Done."], "numbers, Latin"),
        ("On Jan. 5, 2020 it began.", ["On Jan. 5, 2020 it began."], "a month"),
        ("It costs 1.5 dollars. Pay.", ["It costs 1.5 dollars.", "Pay."], "a decimal point"),
        ("within 30. The rest", ["within 30.", "The rest"], "a number that ends a sentence"),
        ("9. Governing Law. Ohio law.", ["9. Governing Law.", "Ohio law."], "a clause's number belongs to it"),
        ('He said "stop." She did.', ['He said "stop."', "She did."], "a closing quotation mark"),
        ("Really? Yes! Fine.", ["Really?", "Yes!", "Fine."], "other final punctuation"),
        ("pay; and\nship; The end", ["pay;", "and\nship;", "The end"], "semicolons before and, or a capital"),
        ("pay; then ship", ["pay; then ship"], "a semicolon inside a sentence"),
        ("one\ntwo", ["one\ntwo"], "a line break is no end"),
        ("one\n \ntwo", ["one", "two"], "a blank line is"),
        ("one\ftwo", ["one", "two"], "a page break is"),
        ("Left part     Right part", ["Left part", "Right part"], "a wide gap is"),
        ("left part     right part", ["left part     right part"], "but not before a small letter"),
        ("as follows\n(a) first\n(b) second", ["as follows", "(a) first", "(b) second"], "lettered items"),
        ("list:\n1. One\n2.1 Two\n• Three", ["list:", "1. One", "2.1 Two", "• Three"], "numbers and bullets"),
        ("so\nARTICLE IV\nText", ["so", "ARTICLE IV\nText"], "an article"),
        ("ends on\n5 January 2020 at noon", ["ends on\n5 January 2020 at noon"], "a date is no clause 5"),
        ("so\n5 January sales", ["so", "5 January sales"], "without a year it is one"),
        ("in the year\n2019 it was", ["in the year\n2019 it was"], "a year at a line's start is no clause"),
        ("", [], "nothing"),
        (" \n\t\f ", [], "white space"),
    ],
)
def test_where_sentences_end(text: str, expected: list[str], reason: str) -> None:
    assert cut(text) == expected, reason


def test_a_long_sentence_is_cut_at_its_clauses_first() -> None:
    clause = "the Supplier shall, at its own cost, keep the goods insured against every loss"
    text = "; ".join([clause] * 12)
    pieces = cut(text)
    assert len(pieces) > 1
    assert all(piece.endswith(";") for piece in pieces[:-1])
    assert all(piece.startswith("the Supplier") for piece in pieces)


@pytest.mark.parametrize(
    ("sentence", "title"),
    [
        ("9.2 Governing Law. This Agreement is governed by Ohio law.", "Governing Law"),
        ("ARTICLE IV TERM AND TERMINATION", "TERM AND TERMINATION"),
        ("Confidentiality", "Confidentiality"),
        ("12. Limitation of Liability", "Limitation of Liability"),
        ("Section 5 Assignment: Neither party may assign.", "Assignment"),
        ("Clause 5 Assignment: Neither party may assign.", "Assignment"),
        ("CLAUSE 5 GOVERNING LAW", "GOVERNING LAW"),
        ("The Supplier shall deliver the goods by Friday.", None),
        ("the term", None),
        ("1,000,000", None),
        ("", None),
    ],
)
def test_headings(sentence: str, title: str | None) -> None:
    assert heading_of(sentence) == title


def test_a_window_stands_under_the_last_heading_before_it() -> None:
    text = "1. Term\n\nIt lasts a year.\n\n2. Governing Law\n\nOhio law governs. " + "Ohio courts decide all. " * 4
    found = windows("d", text, by_characters, max_tokens=46)
    assert [w.heading for w in found] == ["", "Term", "Governing Law", "Governing Law", "Governing Law"][: len(found)]
    assert text[found[1].start :].startswith("2. Governing Law"), "a half full window ends before a heading"


@pytest.mark.parametrize(
    "text",
    [
        ("Section" + " " * 690 + "x\n\n") * 40,
        "Section \n" * 80_000,
        "A\n" + " " * 1_000_000 + "b",
        "1. A " * 100_000,
        "1. Ⅰ " * 60_000,
        "(" * 500_000,
        "; " * 250_000,
    ],
    ids=["wide", "headings", "gap", "numbers", "numerals", "dense", "semicolons"],
)
def test_no_text_takes_long(text: str) -> None:
    started = time.process_time()
    windows("d", text[:300_000], by_characters, max_tokens=320)
    assert time.process_time() - started < 5, "each takes under a second on an idle machine"
