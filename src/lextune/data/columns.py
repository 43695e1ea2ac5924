"""What `datasets.load_dataset` takes the columns of JSON Lines for, which it guesses from the first 10 MiB.

Two guesses go wrong. A list that is always empty is taken for a list of nothing, a column of nothing but dates for one
of times, and the first row further on that says otherwise ends the reading with an error: such a row belongs among the
first. Dates are read as times all the same in every later stretch that holds nothing else, even where the features
are given; that can only be told.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import IO, Any

FIRST = 10 << 20
"""Bytes of a stretch: the default `chunksize` of `datasets`."""

_TIME = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d(:\d\d(:\d\d)?)?(Z|[+-]\d\d(:?\d\d)?)?)?", re.ASCII)
_BLOCK = 1 << 20


class Columns:
    """The columns of rows as they are written: which have shown that they hold texts, and which a date on its own."""

    def __init__(self) -> None:
        self._texts: set[str] = set()
        self._dates: set[str] = set()

    def late(self, row: dict[str, Any], offset: int) -> bool:
        """Take a row into account; return whether it belongs among the first, though its place is `offset` bytes on."""
        texts: set[str] = set()
        dates: set[str] = set()
        for path, text in _strings(row, ""):
            (dates if is_time(text) else texts).add(path)
        self._dates |= dates - texts
        new = not texts <= self._texts
        self._texts |= texts
        return new and offset >= FIRST

    def times(self, size: int) -> tuple[str, ...]:
        """Return the keys of a row whose dates may be read as times in a file of `size` bytes."""
        paths = self._dates if size > FIRST else self._dates - self._texts
        return tuple(sorted({path.split("/")[1] for path in paths}))


def is_time(text: str) -> bool:
    """Whether pyarrow's reader of JSON takes a text for a time; of days that no calendar has, it says so too."""
    return _TIME.fullmatch(text) is not None


def _strings(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield every text below a value with its column: keys after a `/`, the items of a list under one `[]`."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from _strings(below, f"{path}/{key}")
    else:
        for below in value:
            yield from _strings(below, f"{path}/[]")


def put_first(stream: IO[bytes], lines: bytes) -> None:
    """Put lines before all others in a file that is open for reading and writing."""
    end = stream.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - _BLOCK)
        stream.seek(start)
        block = stream.read(end - start)
        stream.seek(start + len(lines))
        stream.write(block)
        end = start
    stream.seek(0)
    stream.write(lines)
