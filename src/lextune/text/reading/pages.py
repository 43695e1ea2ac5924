"""Pages of text, from a text layer or from recognition: plain characters, line-end hyphens, one text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from lextune.text.reading.base import Parsed

MARK = "\ufffe"
"""Stands for a hyphen at the end of a line whose word goes on in the next one (PDFium's mark; a noncharacter)."""
_HYPHENATED = re.compile(rf"(\w+){MARK}(\w+)")
_WORD = re.compile(r"\w+(?:-\w+)*")
_LIGATURES = {"\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl"}
_PLAIN = str.maketrans({"\r": "\n", "\u00a0": " ", "\u0002": MARK, "\u00ad": None, "\0": None} | _LIGATURES)


def plain(text: str) -> str:
    """Normalise a page: newlines, no-break spaces, ligatures, NFC (PDFs write U+037E for a semicolon)."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").translate(_PLAIN))


def plain_hyphens(texts: list[str]) -> list[str]:
    """Replace every marked line-end hyphen: by a hyphen, or by nothing where the word is known without it.

    Contracts break lines at hyphens that belong to the word ("out-of-scope"), so the hyphen stays, unless the
    joined word stands elsewhere in this document and the hyphenated one does not.
    """
    if not any(MARK in text for text in texts):
        return texts
    words = {word.lower() for text in texts for word in _WORD.findall(text)}

    def decide(match: re.Match[str]) -> str:
        left, right = match.groups()
        joined, hyphenated = left + right, f"{left}-{right}"
        return joined if joined.lower() in words and hyphenated.lower() not in words else hyphenated

    return [_HYPHENATED.sub(decide, text).replace(MARK, "-") for text in texts]


def join_pages(texts: Sequence[str], scans: Iterable[int] = ()) -> Parsed:
    """Join the pages with newlines; the newline belongs to the page before it.

    Args:
        texts: at least one page.
        scans: the pages that are pictures, counted from 0.
    """
    pages: list[tuple[int, int]] = []
    start = 0
    for text in texts:
        end = start + len(text) + 1
        pages.append((start, end))
        start = end
    pages[-1] = (pages[-1][0], pages[-1][1] - 1)
    return Parsed("\n".join(texts), tuple(pages), tuple(scans))
