"""HTML: blocks as a browser shows them; hidden parts, scripts and bombs do not count."""

from __future__ import annotations

import html

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.errors import DocumentError
from lextune.text.reading import Limits, read_document
from lextune.text.reading.html import parse_html


def blocks(markup: str | bytes) -> list[str]:
    data = markup.encode() if isinstance(markup, str) else markup
    return parse_html(data, Limits()).text.split("\n\n")


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("<h1>NDA</h1><p>One\n two</p><p>Three", ["NDA", "One two", "Three"]),
        ("Lead <b>bo</b>ld<div>in</div>tail", ["Lead bold", "in", "tail"]),
        ("<p>one<br>two<br/>three</p>", ["one\ntwo\nthree"]),
        ("<ul><li>one<li>two</ul>", ["one", "two"]),
        ("<p>&sect;&nbsp;2 &amp; &lt;3&gt; &#8220;q&#8221;</p>", ["§ 2 & <3> “q”"]),
        ("<table><tr><th>A<td>B</tr><tr><td><p>x</p><td>y</table>", ["A\tB", "x\ty"]),
        ("<table><tr><td><p>eins<p>zwei<td>one</table>", ["eins", "zwei", "one"]),
        ("<table><tr><td>a<table><tr><td>b<td>c</table></td><td>d</table>", ["a", "b\tc", "d"]),
        ("<pre>1. Term\n   2 years</pre>", ["1. Term\n   2 years"]),
        ("<head><title>T</title></head><body>x<script>s()</script><style>p{}</style>y", ["xy"]),
        ("a<!-- c -->b<?pi?><p hidden>h</p><p style='DISPLAY : none'>n</p><p>z", ["ab", "z"]),
        ("<p>a<span style='display:none'>hidden</span>b", ["ab"]),
        ("pay <del>$100</del><ins>$200</ins> <s>now</s> or <strike>never</strike>later", ["pay $200 or later"]),
        ("<ol><li>one<li>two</ol><p>x<ol start=4><li>four</ol>", ["1. one", "2. two", "x", "4. four"]),
        (
            "<ol type=A><li>one<ol type=i><li>two<li>three</ol><li>four</ol>",
            ["A. one", "i. two", "ii. three", "B. four"],
        ),
        ("<ol><li><p>one<p>more</li><li><ol type=a><li>two</ol><li>three", ["1. one", "more", "2. a. two", "3. three"]),
        ("<ol><li>one<li value=5>five<li><li>seven</ol>", ["1. one", "5. five", "7. seven"]),
        ("<ol><li>one<ul><li>dot</ul><li><table><tr><td>a<td>b</table></ol>", ["1. one", "dot", "2. a\tb"]),
        ("<ol style='list-style: none'><li>1.1 one</ol><li>none</li>", ["1.1 one", "none"]),
        ('<ol><li style="list-style:none">a</li></ol>', ["a"]),
        ("<ol><li>one<li style='list-style-type: none'>two<li>three</ol>", ["1. one", "two", "3. three"]),
        ("<ol reversed><li>last<li>first</ol>", ["last", "first"]),
        ("<ol hidden><li>x</ol><ol type=I start=x><li>one</ol>", ["I. one"]),
        ("<td>no row</td><p>x", ["no row", "x"]),
    ],
)
def test_blocks(markup: str, expected: list[str]) -> None:
    assert blocks(markup) == expected


@pytest.mark.parametrize(
    "data",
    [
        "<p>Größe – “x”".encode(),
        "<p>Größe – “x”".encode("utf-8-sig"),
        "<p>Größe – “x”".encode("utf-16"),
        "<p>Größe – “x”".encode("cp1252"),
        '<meta charset="iso-8859-1"><p>Größe – “x”'.encode("cp1252"),
        '<?xml version="1.0" encoding="utf-8"?><html><p>Größe – “x”'.encode(),
        '<meta charset="nonsense"><p>Größe – “x”'.encode(),
        '<meta charset="utf-16"><p>Größe – “x”'.encode(),
        '<meta charset="hex"><p>Größe – “x”'.encode(),
    ],
)
def test_encodings(data: bytes) -> None:
    assert blocks(data) == ["Größe – “x”"]


def test_entity_bombs_do_not_expand() -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE html [<!ENTITY e0 "ha">{entities}]><html><body><p>before &e11; after</body></html>'
    document = read_document(bomb.encode(), name="bomb.html")
    assert len(document.text) < 1_000
    assert document.text.endswith("after")


def test_deep_nesting_is_refused_and_not_cut_short() -> None:
    assert blocks("<div>" * 1_000 + "deep") == ["deep"]
    with pytest.raises(DocumentError, match=r"damaged \(its elements are nested too deeply\)"):
        blocks("<div>" * 10_000 + "deep")


def test_markup_without_text() -> None:
    for data in (b"<html></html>", b"<html><script>x</script></html>", b"<!-- -->"):
        with pytest.raises(DocumentError, match="the document has no text"):
            read_document(data, name="a.html")


def test_the_character_limit_holds() -> None:
    with pytest.raises(DocumentError, match="longer than 5 characters"):
        parse_html(b"<p>one<p>two", Limits(max_characters=5))
    assert parse_html(b"<p>one<p>two", Limits(max_characters=8)).text == "one\n\ntwo"


WORDS = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=12)


@given(st.lists(st.lists(WORDS, min_size=1, max_size=5), min_size=1, max_size=6))
@settings(max_examples=80)
def test_any_paragraphs_come_back(paragraphs: list[list[str]]) -> None:
    texts = [" ".join(words) for words in paragraphs]
    assert blocks("".join(f"<p>{html.escape(text)}</p>\n" for text in texts)) == texts


@given(st.binary(max_size=200))
@settings(max_examples=80)
def test_any_bytes_give_text_or_a_refusal(data: bytes) -> None:
    try:
        parse_html(b"<html>" + data, Limits()).text.encode()
    except DocumentError as error:
        assert error.do  # noqa: PT017
