"""Quotes of what a model wrote stand where they are."""

from __future__ import annotations

import pytest

from lextune.expert.grounding import ground

SENTENCES = (
    "This Agreement is governed by the laws of the State of Ohio.",
    "It runs for 12 months from June 1, 1999.",
    "Ohio is a state. The State of Ohio is one too.",
)


@pytest.mark.parametrize(
    ("quotes", "places", "reason"),
    [
        (["the laws of the State of Ohio"], [(0, 30, 59)], "to the letter"),
        (["the  laws\tof the State"], [(0, 30, 51)], "white space apart"),
        (["State of Ohio. It runs"], [(0, 46, 60), (1, 0, 7)], "over the end of a sentence"),
        (["State of Ohio", "State of Ohio"], [(0, 46, 59), (2, 21, 34)], "once for each time that it is quoted"),
        (["Ohio is a state", "State of Ohio"], [(2, 0, 15), (2, 21, 34)], "the one beside another quote"),
        (["state"], [(2, 10, 15)], "case is kept"),
        (["laws of the State", "the State of Ohio"], [(0, 34, 59)], "what overlaps is one"),
        (["This agreement is governed by the law of the State of Ohio."], [(0, 0, 60)], "alike"),
        (["Agreement is governed by the laws of te State"], [(0, 5, 51)], "alike, by whole words"),
        (["It runs for 13 months from June 1, 1999."], [], "another number"),
        (["It runs for 12 months from June 1, 1998."], [], "another year"),
        (["State of Iowa"], [], "too short to be alike"),
        (["This Agreement is governed by the laws of France and of Spain."], [], "not alike enough"),
        (["The fee is ten dollars a month for each seat."], [], "not there at all"),
        ([" ".join([*SENTENCES, "And much more than the text itself has."])], [], "longer than the text"),
        (["hio"], [], "the end of a word only"),
        (["This", "12", "."], [(0, 0, 4), (1, 12, 14)], "words and numbers, and a sign that says nothing"),
        (["greement is governed by the laws of the Sta"], [(0, 5, 51)], "long, and found with the words that it cuts"),
        ([], [], "nothing"),
    ],
)
def test_where_quotes_stand(quotes: list[str], places: list[tuple[int, int, int]], reason: str) -> None:
    found = ground(SENTENCES, quotes)
    assert found.places == places, reason
    assert found.ungrounded == (len(quotes) if not places else quotes.count("."))


def test_what_is_not_there_is_counted() -> None:
    assert ground(SENTENCES, ["laws", "no such words", "nor these"]) == ([(0, 34, 38)], 2)
    assert ground([], ["laws"]) == ([], 1)


@pytest.mark.parametrize(
    ("text", "quotes"),
    [
        ("The Western region is the Territory.", ["We"]),
        ("The Licensee shall CANCEL the order.", ["CA", ".", "l"]),
        ("It ends on 12/31/2020.", ["2/31/2020", "/", "202"]),
        ("Acme Inc. and Beta[*].", [".", "[*]"]),
        ("Fee of _____.", ["___"]),
    ],
)
def test_parts_of_words_and_signs_stand_nowhere(text: str, quotes: list[str]) -> None:
    assert ground([text], quotes) == ([], len(quotes))


@pytest.mark.parametrize(
    ("text", "quote", "start"),
    [
        ("see [*].", "[*]", 4),
        ("amount: $____.", "$____", 8),
        ("(***)", "***", 1),
        ("(_____)", "_____", 1),
        ("**** (***)", "***", 6),
    ],
)
def test_redactions_stand_before_punctuation(text: str, quote: str, start: int) -> None:
    assert ground([text], [quote]) == ([(0, start, start + len(quote))], 0)


def test_signs_that_stand_by_themselves_are_found() -> None:
    assert ground(["As of [*] the fee", "—"], ["[*]", "—", "]"]) == ([(0, 6, 9), (1, 0, 1)], 1)


def test_scripts_without_spaces_have_no_word_to_cut() -> None:
    assert ground(["本合同受中国法律管辖。"], ["中国法律"]) == ([(0, 4, 8)], 0)
    assert ground(["甲方是ACME公司。"], ["ACME", "ACM"]) == ([(0, 3, 7)], 1)
