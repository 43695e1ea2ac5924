"""What the readers of all formats share: limits, what a parser returns, and how blocks become text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from lextune.core.errors import DocumentError

Kind = Literal["txt", "pdf", "docx", "html", "eml", "image"]
SUPPORTED = "TXT (UTF-8), PDF, DOCX, HTML and EML"
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Limits:
    """What one document may cost.

    Args:
        max_bytes: size of the file.
        max_pages: pages of a PDF or an image file.
        max_characters: code points of the text that comes out.
        seconds: processor time, and wall-clock time, for parsing all but TXT.
        memory_bytes: address space of the process that parses them.
    """

    max_bytes: int = 50_000_000
    max_pages: int = 3_000
    max_characters: int = 5_000_000
    seconds: float = 60.0
    memory_bytes: int = 1 << 30


class Parsed(NamedTuple):
    """A document's text and, where the source has pages, their spans (start, end) in code points.

    `scans` are the pages, counted from 0, that are pictures of text.
    """

    text: str
    pages: tuple[tuple[int, int], ...] = ()
    scans: tuple[int, ...] = ()


def check_characters(count: int, limits: Limits) -> None:
    """Raise DocumentError where a text of `count` code points (or more) is over the limit."""
    if count > limits.max_characters:
        raise DocumentError(
            f"the text is longer than {limits.max_characters:,} characters",
            do="split the document, or raise the limit max_characters",
        )


def check_pages(count: int, limits: Limits) -> None:
    """Raise DocumentError where a document of `count` pages is over the limit."""
    if count > limits.max_pages:
        raise DocumentError(
            f"the document has {count:,} pages, more than {limits.max_pages:,}",
            do="split the document, or raise the limit max_pages",
        )


def damaged(kind: str, error: Exception | str) -> DocumentError:
    """The error for a file that says it is a `kind` and cannot be parsed as one."""
    cause = error if isinstance(error, str) else type(error).__name__
    return DocumentError(
        f"this {kind} file is damaged ({cause})",
        do="open it in the program it comes from and save it again",
    )


def join_blocks(blocks: Iterable[str], limits: Limits) -> str:
    """Join blocks (paragraphs, headings, table rows) with one blank line; empty ones are left out.

    Raises:
        DocumentError: the text grows over `limits.max_characters`.
    """
    kept: list[str] = []
    total = 0
    for block in blocks:
        text = block.strip()
        if text:
            kept.append(text)
            total += len(text) + 2
            check_characters(total - 2, limits)
    return "\n\n".join(kept)


def row_blocks(cells: list[list[str]]) -> list[str]:
    """Return the blocks of a table row, given the blocks of each of its cells.

    A row of short cells is one block, its cells parted by tabs; where a cell holds several paragraphs (two
    languages side by side), the cells follow one another, each paragraph a block.
    """
    if all(len(cell) <= 1 and "\n" not in "".join(cell) for cell in cells):
        return ["\t".join(cell[0] if cell else "" for cell in cells)]
    return [block for cell in cells for block in cell]


def well_formed(text: str) -> str:
    """Replace lone surrogates by U+FFFD, one for one, so that the text can be written as UTF-8."""
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
