"""Scanned pages by tesseract: pages that are pictures become text, with a page map and a confidence each.

    parsed = recognise(data, "pdf", parsed, limits, Ocr())
      draw_in_child   a page becomes grey pixels, in a killable process (raster)
      run_limited     tesseract reads them, in another, and says words with their confidence (TSV)

The program is called itself, not through a wrapper of it: so it gets no file and no memory beyond its limits, and
its answer is read once. Pages are recognised side by side, one core each.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple

from lextune.core.errors import DocumentError, MachineError, shorten
from lextune.core.parallel import cores
from lextune.text.reading.base import Kind, Limits, Parsed, check_characters
from lextune.text.reading.isolate import draw_in_child, run_limited
from lextune.text.reading.layout import PageText, Word, page_text, read_tsv, two_columns
from lextune.text.reading.pages import join_pages, plain_hyphens
from lextune.text.reading.raster import turn

PROGRAM = "tesseract"
ROWS, BLOCKS, ORIENTATION = "4", "3", "0"  # tesseract's page segmentation modes
DOUBTFUL = 0.7  # a page read with less confidence may lie on its side or its head
_ROTATE = re.compile(rb"^Rotate: (\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Ocr:
    """How scanned pages are recognised.

    Args:
        languages: tesseract's codes, joined by `+` ("eng", "eng+deu"); each needs its language data installed.
        dpi: dots per inch at which pages of a PDF are drawn; image files keep their own.
        max_pages: scanned pages of one document.
        page_seconds: processor time, and wall-clock time, for drawing a page and for reading it, each.
        workers: pages at a time; 0 takes all cores.
    """

    languages: str = "eng"
    dpi: int = 300
    max_pages: int = 500
    page_seconds: float = 60.0
    workers: int = 0


class Recognised(NamedTuple):
    """A document's text, and the mean confidence of the words of each page that was recognised, counted from 0.

    `confidence` is the mean over all their words.
    """

    parsed: Parsed
    confidence: float
    pages: dict[int, float]


def recognise(data: bytes, kind: Kind, parsed: Parsed, limits: Limits, ocr: Ocr) -> Recognised:
    """Replace the text of every page in `parsed.scans` by what is read on its picture.

    Args:
        data: the file.
        kind: "pdf" or "image".
        parsed: what parsing the file gave.
        limits: what the document may cost; `ocr` has the time and the pages.
        ocr: languages, resolution, limits.

    Raises:
        DocumentError: over a limit, a page that cannot be drawn, or no text on any page.
        MachineError: tesseract, a language of it, or Pillow (for image files) is not installed.
    """
    command = _command(ocr)
    _check(kind, parsed, ocr)
    texts = [parsed.text[start:end].strip() for start, end in parsed.pages]
    read: dict[int, PageText] = {}
    per_page = replace(limits, seconds=ocr.page_seconds)
    for number, page in _side_by_side(data, kind, parsed.scans, per_page, ocr, command):
        read[number] = page
        texts[number] = page.text
        check_characters(sum(map(len, texts)) + len(texts) - 1, limits)
    if not any(texts):
        raise DocumentError(
            f"no text was recognised on {_pages(len(texts))}",
            do="look at the scan: it may be blank, too faint, handwritten, or in a language that was not named",
        )
    words = [confidence for page in read.values() for confidence in page.confidences]
    return Recognised(
        join_pages(plain_hyphens(texts)),
        sum(words) / len(words) if words else 0.0,
        {number: page.confidence for number, page in read.items()},
    )


def _side_by_side(
    data: bytes, kind: Kind, scans: tuple[int, ...], limits: Limits, ocr: Ocr, command: list[str]
) -> Iterator[tuple[int, PageText]]:
    """Yield the scanned pages in order; where one fails, those not yet begun are given up."""
    pool = ThreadPoolExecutor(max_workers=ocr.workers or cores())

    def read(number: int) -> PageText:
        try:
            picture = draw_in_child(data, {"kind": kind, "page": number, "dpi": ocr.dpi}, limits)
            return _read_picture(picture, limits, command)
        except DocumentError as error:
            raise DocumentError(f"page {number + 1}: {error.what}", do=error.do) from None

    try:
        yield from zip(scans, pool.map(read, scans), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


def _read_picture(picture: bytes, limits: Limits, command: list[str]) -> PageText:
    """Return the text of a picture, turned upright if need be.

    A page is read line by line, from edge to edge: a clause keeps its number, a row of a table its cells. Two
    columns of prose are then read again, column by column.
    """
    words = _words(picture, limits, command, ROWS)
    if page_text(words).confidence < DOUBTFUL and (angle := _angle(picture, limits, command)):
        picture = turn(picture, angle)
        words = _words(picture, limits, command, ROWS)
    return page_text(_words(picture, limits, command, BLOCKS) if two_columns(words) else words)


def _words(picture: bytes, limits: Limits, command: list[str], mode: str) -> list[Word]:
    done = run_limited([*command, "--psm", mode, "tsv"], picture, limits)
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise DocumentError(
            f"tesseract gave up: {shorten(last)!r}", do="scan the page again, or raise the limit memory_bytes"
        )
    return read_tsv(done.stdout.decode("utf-8", errors="replace"))


def _angle(picture: bytes, limits: Limits, command: list[str]) -> int:
    """Return by how many degrees clockwise the page must be turned; 0 where tesseract cannot tell."""
    if "osd" not in _languages(command[0]):
        return 0
    done = run_limited([*command[:3], "--psm", ORIENTATION], picture, limits)
    found = _ROTATE.search(done.stdout)
    return int(found[1]) % 360 if found else 0


def _check(kind: Kind, parsed: Parsed, ocr: Ocr) -> None:
    if kind == "image" and importlib.util.find_spec("PIL") is None:
        raise MachineError("reading image files needs Pillow", do="run `pip install lextune[ocr]`")
    if len(parsed.scans) > ocr.max_pages:
        raise DocumentError(
            f"the document has {len(parsed.scans):,} scanned pages, more than {ocr.max_pages:,}",
            do="split the document, or raise the limit max_pages of Ocr",
        )


def _command(ocr: Ocr) -> list[str]:
    """Return tesseract's command, without what differs between the ways of reading a page.

    Raises:
        MachineError: it, or a language, is not installed.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise MachineError(
            "recognising scanned pages needs tesseract, which is not installed",
            do="install it: `apt-get install tesseract-ocr` (Debian, Ubuntu) or `brew install tesseract` (macOS)",
        )
    missing = [code for code in ocr.languages.split("+") if code not in _languages(program)]
    if missing:
        raise MachineError(
            f"tesseract has no data for the language {missing[0]!r}",
            do=f"install it (Debian: tesseract-ocr-CODE), or use one of {', '.join(sorted(_languages(program)))}",
        )
    return [os.path.abspath(program), "-", "-", "-l", ocr.languages, "--dpi", str(ocr.dpi)]  # noqa: PTH100


@functools.cache
def _languages(program: str) -> frozenset[str]:
    done = subprocess.run([program, "--list-langs"], capture_output=True, text=True, check=False, timeout=60)
    return frozenset(done.stdout.splitlines()[1:])


def _pages(count: int) -> str:
    return "its only page" if count == 1 else f"any of its {count} pages"
