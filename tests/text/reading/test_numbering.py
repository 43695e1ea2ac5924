"""Automatic numbers of Word, against what Word itself shows for the same definitions."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from lextune.text.reading.numbering import Numbering, in_format

SPACE = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
CONTRACT = (
    '<w:abstractNum w:abstractNumId="7">'
    '<w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="upperRoman"/><w:pStyle w:val="Article"/>'
    '<w:lvlText w:val="ARTICLE %1"/></w:lvl>'
    '<w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:isLgl/><w:pStyle w:val="Section"/>'
    '<w:lvlText w:val="%1.%2"/></w:lvl>'
    '<w:lvl w:ilvl="2"><w:start w:val="1"/><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="(%3)"/></w:lvl>'
    '<w:lvl w:ilvl="3"><w:numFmt w:val="bullet"/><w:lvlText w:val="·"/></w:lvl>'
    '<w:lvl w:ilvl="4"><w:numFmt w:val="none"/><w:lvlText w:val=""/></w:lvl>'
    "</w:abstractNum>"
    '<w:abstractNum w:abstractNumId="8"><w:numStyleLink w:val="ContractList"/></w:abstractNum>'
    '<w:num w:numId="1"><w:abstractNumId w:val="7"/></w:num>'
    '<w:num w:numId="2"><w:abstractNumId w:val="7"/>'
    '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="1"/></w:lvlOverride></w:num>'
    '<w:num w:numId="3"><w:abstractNumId w:val="8"/></w:num>'
)
IN_LIST = '<w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr>'
STYLES = (
    f'<w:style w:type="paragraph" w:styleId="Article">{IN_LIST}</w:style>'
    f'<w:style w:type="paragraph" w:styleId="Section">{IN_LIST}</w:style>'
    '<w:style w:type="paragraph" w:styleId="Child"><w:basedOn w:val="Section"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="Loop"><w:basedOn w:val="Loop"/></w:style>'
    f'<w:style w:type="numbering" w:styleId="ContractList">{IN_LIST}</w:style>'
)


def xml(name: str, content: str) -> Any:
    return etree.fromstring(f"<w:{name} {SPACE}>{content}</w:{name}>")


def item(num: int, level: int) -> Any:
    return xml("p", f'<w:pPr><w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{num}"/></w:numPr></w:pPr>')


def styled(style: str, extra: str = "") -> Any:
    return xml("p", f'<w:pPr><w:pStyle w:val="{style}"/>{extra}</w:pPr>')


@pytest.fixture
def numbering() -> Numbering:
    return Numbering(xml("numbering", CONTRACT), xml("styles", STYLES))


def test_levels_count_restart_and_show_their_parents(numbering: Numbering) -> None:
    levels = [0, 1, 1, 2, 2, 1, 2, 0, 1, 2]
    assert [numbering.label(item(1, level)) for level in levels] == [
        "ARTICLE I", "1.1", "1.2", "(a)", "(b)", "1.3", "(a)", "ARTICLE II", "2.1", "(a)",
    ]  # fmt: skip


def test_a_level_whose_parent_was_never_counted(numbering: Numbering) -> None:
    assert numbering.label(item(1, 1)) == "1.1"


def test_lists_of_one_definition_go_on_unless_they_override_the_start(numbering: Numbering) -> None:
    assert [numbering.label(item(num, 0)) for num in (1, 1, 2, 2)] == [
        "ARTICLE I", "ARTICLE II", "ARTICLE I", "ARTICLE II",
    ]  # fmt: skip


def test_a_level_that_does_not_restart_counts_on() -> None:
    levels = (
        '<w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>'
        '<w:lvl w:ilvl="1"><w:numFmt w:val="decimal"/>{}<w:lvlText w:val="%1.%2"/></w:lvl>'
        '<w:lvl w:ilvl="2"><w:lvlRestart w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="(%3)"/></w:lvl>'
    )
    labels = {}
    for restart in ("", '<w:lvlRestart w:val="0"/>', '<w:lvlRestart w:val="1"/>'):
        abstract = f'<w:abstractNum w:abstractNumId="1">{levels.format(restart)}</w:abstractNum>'
        numbering = Numbering(
            xml("numbering", f'{abstract}<w:num w:numId="1"><w:abstractNumId w:val="1"/></w:num>'), None
        )
        labels[restart] = [numbering.label(item(1, level)) for level in (0, 1, 2, 1, 2, 0, 1, 2)]
    begun = ["1.", "1.1", "(1)", "1.2", "(2)", "2.", "2.1", "(1)"]
    assert labels[""] == labels['<w:lvlRestart w:val="1"/>'] == begun
    assert labels['<w:lvlRestart w:val="0"/>'] == [*begun[:6], "2.3", "(1)"]


def test_a_list_may_define_a_level_of_its_own() -> None:
    own = (
        '<w:lvl w:ilvl="0"><w:numFmt w:val="upperRoman"/><w:pStyle w:val="Own"/><w:lvlText w:val="ARTICLE %1"/></w:lvl>'
    )
    lists = (
        '<w:abstractNum w:abstractNumId="1">'
        '<w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>'
        '<w:lvl w:ilvl="1"><w:numFmt w:val="decimal"/><w:lvlText w:val="%1.%2"/></w:lvl></w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="1"/></w:num>'
        f'<w:num w:numId="2"><w:abstractNumId w:val="1"/><w:lvlOverride w:ilvl="0">{own}</w:lvlOverride></w:num>'
    )
    numbering = Numbering(xml("numbering", lists), None)
    places = [(2, 0), (2, 1), (1, 0), (1, 1)]
    assert [numbering.label(item(*place)) for place in places] == ["ARTICLE I", "I.1", "2.", "2.1"]


def test_styles_carry_numbers(numbering: Numbering) -> None:
    paragraphs = [styled("Article"), styled("Section"), styled("Child")]
    assert [numbering.label(paragraph) for paragraph in paragraphs] == ["ARTICLE I", "1.1", "1.2"]
    off = '<w:numPr><w:numId w:val="0"/></w:numPr>'
    assert numbering.label(styled("Section", off)) == ""


def test_a_list_that_links_to_a_style(numbering: Numbering) -> None:
    assert numbering.label(item(3, 0)) == "ARTICLE I"


def test_bullets_and_empty_formats(numbering: Numbering) -> None:
    assert numbering.label(item(1, 3)) == "•"
    assert numbering.label(item(1, 4)) == ""


@pytest.mark.parametrize("paragraph", [xml("p", ""), item(9, 0), item(1, 8), styled("Loop"), styled("Absent")])
def test_no_number(numbering: Numbering, paragraph: Any) -> None:
    assert numbering.label(paragraph) == ""


def test_a_document_without_lists_or_styles() -> None:
    assert Numbering(None, None).label(item(1, 0)) == ""


@pytest.mark.parametrize(
    ("count", "style", "expected"),
    [
        (4, "decimal", "4"),
        (4, "decimalZero", "04"),
        (26, "lowerLetter", "z"),
        (27, "lowerLetter", "aa"),
        (53, "upperLetter", "AAA"),
        (1994, "upperRoman", "MCMXCIV"),
        (48, "lowerRoman", "xlviii"),
        (0, "upperRoman", "0"),
        (2, "cardinalText", "2"),
        (2, "none", ""),
    ],
)
def test_formats(count: int, style: str, expected: str) -> None:
    assert in_format(count, style) == expected
