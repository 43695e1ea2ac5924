"""References to provisions: a table of texts, what is found in them, and why; and lists written and read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lextune.text.articles import find_provisions, read_provision

CASES: list[tuple[str, list[str], str]] = [
    ("Article 12.", ["12"], "the plain form"),
    ("article 12", ["12"], "in small letters"),
    ("ART. 12", ["12"], "abbreviated, in capitals"),
    ("Sec. 12 para. 2", ["12(2)"], "a paragraph in words"),
    ("Article 17, paragraph 2, point (b)", ["17(2)(b)"], "two levels in words"),
    ("point (b) of Article 6(1)", ["6(1)(b)"], "what is inside may stand before"),
    ("paragraph 2 of Article 12", ["12(2)"], "so may a paragraph"),
    ("§ 4.2.1", ["4.2.1"], "a dotted number"),
    ("§§ 3-5", ["3", "4", "5"], "a range of signs"),
    ("s. 7A", ["7a"], "a letter is part of the number, in small"),
    ("ss. 3 and 4", ["3", "4"], "the British plural"),
    ("Art. 12 bis", ["12bis"], "an inserted article"),
    ("Article IV", ["4"], "Roman numerals become Arabic"),
    ("Articles XIV-XVI", ["14", "15", "16"], "also in ranges"),
    ("section I think", [], "a small unit has no Roman number"),
    ("Articles 5, 6(1)(a) and 9 to 11", ["5", "6(1)(a)", "9", "10", "11"], "a list with a range"),
    ("Articles 5 – 7", ["5", "6", "7"], "an en dash"),
    ("Art. 5-7", ["5", "6", "7"], "a hyphen in a range"),
    ("Section 2-207", ["2-207"], "a hyphen in a number"),
    ("Article 12a-12c", ["12a", "12b", "12c"], "a range of letters"),
    ("Article 12(1) and (3)", ["12(1)", "12(3)"], "a further paragraph belongs to the number before"),
    ("Articles 6(1)(a), (b) and (c)", ["6(1)(a)", "6(1)(b)", "6(1)(c)"], "a further letter to the paragraph before"),
    ("Article 12(1) to (3)", ["12(1)", "12(2)", "12(3)"], "a range of paragraphs"),
    ("Article 5(2), 5(3) and 7.", ["5(2)", "5(3)", "7"], "a list after a singular, with paragraphs"),
    ("Article 5 or 6", ["5", "6"], "two after a singular, where nothing follows"),
    ("Article 5 and Article 6", ["5", "6"], "the unit said again"),
    ("Article 5; Article 6 and Section 7(b)", ["5", "6", "7(b)"], "with other units"),
    ("under Article 5, 30 days later", ["5"], "a number of days is no article"),
    ("Articles 5 and 30 days", ["5"], "not after a plural either"),
    ("from Article 3 to 30 June", ["3"], "nor is a date"),
    ("Article 3 to the parties", ["3"], "to is not always a range"),
    ("Article 21 to 2021", ["21"], "no range is that long"),
    ("Section 5th", [], "an ordinal"),
    ("the parties' 5 days", [], "a genitive is no s."),
    ("articles of association 5", [], "other articles"),
    ("Articles 5 and 6 of the Act and 7 others", ["5", "6"], "the list is over"),
    ("particle 5", [], "inside a word"),
]


@pytest.mark.parametrize(("text", "expected", "reason"), CASES)
def test_provisions(text: str, expected: list[str], reason: str) -> None:
    assert [str(p) for p in find_provisions(text)] == expected, reason


def test_each_has_its_place() -> None:
    text = "By Articles 5(2) and 9 to 11 of the Act."
    found = [(str(p), text[p.span.start : p.span.end]) for p in find_provisions(text)]
    assert found == [("5(2)", "5(2)"), ("9", "9 to 11"), ("10", "9 to 11"), ("11", "9 to 11")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("12", "12"), (" 12(2)(a) ", "12(2)(a)"), ("Article 12a", "12a"), ("§ 5", "5"), ("x", None), ("5 and 6", None)],
)
def test_one_provision(text: str, expected: str | None) -> None:
    found = read_provision(text)
    assert (str(found) if found else None) == expected


PROVISIONS = st.builds(
    lambda number, letter, parts: f"{number}{letter}" + "".join(f"({part})" for part in parts),
    st.integers(1, 999),
    st.sampled_from(["", "", "a", "b"]),
    st.sampled_from([(), (), ("1",), ("2", "b"), ("3", "a", "iv")]),
)


@given(st.lists(PROVISIONS, min_size=1, max_size=6), st.sampled_from(["Articles ", "Sections ", "§§ ", "arts. "]))
def test_a_list_is_read_back(written: list[str], unit: str) -> None:
    text = f"See {unit}{', '.join(written[:-1])}{' and ' if written[1:] else ''}{written[-1]} of the Act."
    if unit == "arts. " and len(written) == 1:
        text = text.replace("arts.", "art.")
    assert [str(p) for p in find_provisions(text)] == written


@given(st.integers(1, 900), st.integers(1, 99), st.sampled_from([" to ", "-", "–", " through "]))
def test_a_range_is_all_that_it_spans(low: int, length: int, separator: str) -> None:
    text = f"Articles {low}{separator}{low + length}"
    assert [p.article for p in find_provisions(text)] == [str(n) for n in range(low, low + length + 1)]


@given(st.text(alphabet="Articles. §12ab()IVX-,;andto\n", max_size=120))
def test_any_text_is_read(text: str) -> None:
    for provision in find_provisions(text):
        assert 0 <= provision.span.start < provision.span.end <= len(text)
        assert provision.article


def test_a_long_text_takes_no_time() -> None:
    assert find_provisions("paragraph " + "a " * 3_000 + "of Article 7")[0].article == "7"
    assert len(find_provisions("Article 1(a) " * 2_000)) == 2_000
