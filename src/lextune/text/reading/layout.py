"""What tesseract says of a page: its words, their places and confidences; and the page's text from them."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from lextune.text.reading.pages import MARK, plain

_WORD_LEVEL, _COLUMNS = "5", 12
_LINE_END_HYPHEN = re.compile(r"(?<=\w)-\n(?=\w)")
_GUTTER = 1.2  # of a line's height: a gap as wide parts columns, and no words
_SIDE = 3  # words on either side of the gutter: prose, not a table and not a column of clause numbers
_LINES = 8
_SHARE = 0.5


class Word(NamedTuple):
    """A word on a page; lengths in pixels, confidence 0 to 1. `line` is its block, paragraph and line."""

    text: str
    confidence: float
    left: int
    width: int
    height: int
    line: tuple[str, ...]


class PageText(NamedTuple):
    """The text of a page, lines as on the page, a blank line between paragraphs; a confidence for each word."""

    text: str
    confidences: tuple[float, ...]

    @property
    def confidence(self) -> float:
        """The mean of the words' confidences, 0 to 1; 0 where there are no words."""
        return statistics.fmean(self.confidences) if self.confidences else 0.0


def read_tsv(tsv: str) -> list[Word]:
    """Return the words in tesseract's TSV.

    Its columns: level, page, block, paragraph, line, word, left, top, width, height, confidence (0 to 100), text.
    """
    words = []
    for row in tsv.splitlines():
        cells = row.split("\t", _COLUMNS - 1)
        if len(cells) == _COLUMNS and cells[0] == _WORD_LEVEL and cells[-1].strip():
            confidence = min(max(float(cells[10]) / 100, 0.0), 1.0)
            left, width, height = int(cells[6]), int(cells[8]), int(cells[9])
            words.append(Word(cells[-1].strip(), confidence, left, width, height, tuple(cells[2:5])))
    return words


def page_text(words: Sequence[Word]) -> PageText:
    """Return the text that words make; a hyphen at the end of a line is marked (see `plain_hyphens`)."""
    paragraphs = (
        "\n".join(" ".join(word.text for word in line) for _, line in groupby(lines, key=lambda word: word.line))
        for _, lines in groupby(words, key=lambda word: word.line[:2])
    )
    text = _LINE_END_HYPHEN.sub(MARK, plain("\n\n".join(paragraphs)))
    return PageText(text, tuple(word.confidence for word in words))


def two_columns(words: Sequence[Word]) -> bool:
    """Say whether a page that was read line by line, from edge to edge, has two columns of prose.

    So it has where half of its long lines, and at least eight, leave a gap at one place, words on either side.
    """
    lines = [list(line) for _, line in groupby(words, key=lambda word: word.line)]
    long = [line for line in lines if len(line) >= 2 * _SIDE]
    gaps = [gap for line in long if (gap := _widest_gap(line))]
    if len(gaps) < _LINES:
        return False
    gutter = statistics.median((start + end) / 2 for start, end in gaps)
    return sum(start <= gutter <= end for start, end in gaps) >= max(_LINES, _SHARE * len(long))


def _widest_gap(line: Sequence[Word]) -> tuple[int, int] | None:
    """Return where the widest gap of a line begins and ends, if it may be a gutter."""
    inner = list(pairwise(line))[_SIDE - 1 : len(line) - _SIDE]
    gaps = [(left.left + left.width, right.left) for left, right in inner]
    start, end = max(gaps, key=lambda gap: gap[1] - gap[0])
    return (start, end) if end - start >= _GUTTER * max(word.height for word in line) else None
