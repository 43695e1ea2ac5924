"""The child process that parses one document: `python -m lextune.text.reading.child KIND LIMITS < FILE`.

It writes one line of JSON, `{"pages": [[start, end], ...]}` followed by the text in UTF-8, or
`{"refused": ..., "do": ...}`. Native libraries may print: stdout is theirs to spoil, the answer goes out on
a copy of it that they do not know.
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
from collections.abc import Callable
from typing import BinaryIO

from lextune.core.errors import DocumentError
from lextune.text.reading.base import Limits, Parsed, damaged, well_formed
from lextune.text.reading.isolate import EXIT_MEMORY

Parser = Callable[[bytes, Limits], Parsed]


def main() -> None:
    """Parse stdin, as argv asks."""
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    kind, limits = sys.argv[1], Limits(**json.loads(sys.argv[2]))
    parser = _parser(kind)  # imported before the limits hold: what fails after this is the document's doing
    _limit(limits)
    try:
        _write(answer, *_answer(parser, kind, limits))
    except MemoryError:
        os._exit(EXIT_MEMORY)  # needs no memory


def _answer(parser: Parser, kind: str, limits: Limits) -> tuple[dict[str, object], str]:
    """Return the header and the text to send back."""
    try:
        parsed = parser(sys.stdin.buffer.read(), limits)
    except DocumentError as error:
        return {"refused": error.what, "do": error.do}, ""
    except (MemoryError, ImportError):
        raise
    except Exception as error:  # a parser met what its author did not think of: the document is at fault
        refusal = damaged(kind.upper(), error)
        return {"refused": refusal.what, "do": refusal.do}, ""
    return {"pages": parsed.pages}, well_formed(parsed.text)


def _write(answer: BinaryIO, header: dict[str, object], text: str) -> None:
    with answer as stream:
        stream.write(json.dumps(header).encode() + b"\n")
        stream.write(text.encode("utf-8"))


def _parser(kind: str) -> Parser:
    """Import only what this kind needs: the child's start is paid for every document."""
    if kind == "pdf":
        from lextune.text.reading.pdf import parse_pdf

        return parse_pdf
    if kind == "docx":
        from lextune.text.reading.word import parse_docx

        return parse_docx
    from lextune.text.reading.html import parse_html

    return parse_html


def _limit(limits: Limits) -> None:
    seconds = math.ceil(limits.seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # a parser has nothing to write to a file


if __name__ == "__main__":
    main()
