"""The child process that works on one document: `python -m lextune.text.reading.child KIND LIMITS < FILE`.

KIND is a kind of document, which is parsed; `draw` (and a JSON object: kind, page, dpi), which turns a page into
a picture; or `run` (and a command), which becomes that command under the same limits.

The answer is one line of JSON, `{"pages": [[start, end], ...], "scans": [...]}` followed by the text in UTF-8, or
`{}` followed by the picture, or `{"refused": ..., "do": ...}`. Native libraries may print: stdout is theirs to
spoil, the answer goes out on a copy of it that they do not know.
"""

from __future__ import annotations

import functools
import json
import math
import os
import resource
import sys
from collections.abc import Callable
from typing import BinaryIO

from lextune.core.errors import DocumentError
from lextune.core.machine import EXIT_MEMORY
from lextune.text.reading.base import Limits, Parsed, damaged, well_formed

Work = Callable[[bytes, Limits], Parsed | bytes]


def main() -> None:
    """Work on stdin, as argv asks."""
    kind, limits, more = sys.argv[1], Limits(**json.loads(sys.argv[2])), sys.argv[3:]
    if kind == "run":
        _limit(limits)
        os.execv(more[0], more)
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    work = _work(kind, more)  # imported before the limits hold: what fails after this is the document's doing
    _limit(limits)
    try:
        _write(answer, *_answer(work, kind, limits))
    except MemoryError:
        os._exit(EXIT_MEMORY)  # needs no memory


def _answer(work: Work, kind: str, limits: Limits) -> tuple[dict[str, object], bytes]:
    """Return the header and the body to send back."""
    try:
        done = work(sys.stdin.buffer.read(), limits)
    except DocumentError as error:
        return {"refused": error.what, "do": error.do}, b""
    except (MemoryError, ImportError):
        raise
    except Exception as error:  # a parser met what its author did not think of: the document is at fault
        refusal = damaged(kind.upper(), error)
        return {"refused": refusal.what, "do": refusal.do}, b""
    if isinstance(done, bytes):
        return {}, done
    return {"pages": done.pages, "scans": done.scans}, well_formed(done.text).encode("utf-8")


def _write(answer: BinaryIO, header: dict[str, object], body: bytes) -> None:
    with answer as stream:
        stream.write(json.dumps(header).encode() + b"\n")
        stream.write(body)


def _work(kind: str, more: list[str]) -> Work:
    """Import only what this kind needs: the child's start is paid for every document."""
    if kind == "pdf":
        from lextune.text.reading.pdf import parse_pdf

        return parse_pdf
    if kind == "docx":
        from lextune.text.reading.word import parse_docx

        return parse_docx
    if kind == "eml":
        from lextune.text.reading.mail import parse_eml

        return parse_eml
    if kind == "image":
        from lextune.text.reading.raster import parse_image

        return parse_image
    if kind == "draw":
        return _drawing(**json.loads(more[0]))
    from lextune.text.reading.html import parse_html

    return parse_html


def _drawing(kind: str, page: int, dpi: int) -> Work:
    from lextune.text.reading.raster import draw_image_page, draw_pdf_page

    draw = functools.partial(draw_pdf_page, dpi=dpi) if kind == "pdf" else draw_image_page
    return lambda data, limits: draw(data, number=page)


def _limit(limits: Limits) -> None:
    seconds = math.ceil(limits.seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # a parser has nothing to write to a file


if __name__ == "__main__":
    main()
