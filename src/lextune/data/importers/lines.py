"""A file of rows, line by line: within limits, with the place of every byte that is wrong.

What is common to all row formats is here: the row itself, the limit on a line, UTF-8 checked a line at a time,
gzip unpacked as it is read, and the proof that a file stayed the same while it was read.
"""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from lextune.core.errors import DataError

MAX_LINE = 16 << 20
"""Bytes of one line at most: longer ones are refused without being held in memory."""

MAX_RATIO = 200
"""Unpacked to packed bytes of a gzip file at most, in what is read of it so far; rows seldom pack to a fiftieth."""

RATIO_FROM = 1 << 20
"""Bytes unpacked from which the ratio counts."""

_SKIP = 1 << 20  # bytes of an overlong line that are passed over at a time
_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x00\x00": "UTF-32"}
_BOM = b"\xef\xbb\xbf"


class Row(NamedTuple):
    """One row: its place (`file:line` or `file:sheet!row`), a name made of that place, its values by key."""

    where: str
    name: str
    values: dict[str, Any]


class Line(NamedTuple):
    """One line: its number from 1, its text with its end, and what is wrong with it (then the text is unsure)."""

    number: int
    text: str
    problem: str | None = None


def stem(path: Path) -> str:
    """Return a file's name without its endings: `rows` of `rows.jsonl.gz`."""
    name = path.name.removesuffix(".gz") if path.name.lower().endswith(".gz") else path.name
    return Path(name).stem


@contextlib.contextmanager
def unchanged(path: Path) -> Iterator[None]:
    """Prove that a file is the same after reading as before: its size, its time of writing, its inode.

    Raises:
        DataError: it is missing, no file, or changed meanwhile.
    """
    before = _state(path)
    yield
    if _state(path) != before:
        do = "wait until what writes it is done, or import a copy"
        raise DataError("the file changed while it was read", where=str(path), do=do)


def _state(path: Path) -> tuple[int, int, int]:
    try:
        state = path.stat()
    except OSError as error:
        raise DataError(f"cannot read the file: {error.strerror}", where=str(path), do="check the path") from None
    if not path.is_file():
        raise DataError("not a file", where=str(path), do="give a file of rows")
    return state.st_size, state.st_mtime_ns, state.st_ino


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file to read its bytes, unpacked where its name ends in `.gz`.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return cast("IO[bytes]", gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb"))
    except OSError as error:
        raise DataError(f"cannot read the file: {error.strerror}", where=str(path), do="check the path") from None


def read_lines(path: Path) -> Iterator[Line]:
    r"""Yield a file's lines, each ended by `\n` but perhaps the last; a byte order mark is dropped.

    A line that is not UTF-8, or longer than `MAX_LINE`, is yielded with its problem, and reading goes on.

    Raises:
        DataError: the file cannot be read, changed while it was read, is UTF-16 or UTF-32, or is a gzip file that
            is damaged, cut off, or unpacks to more than `MAX_RATIO` times its size.
    """
    with unchanged(path), open_bytes(path) as stream:
        number = 0
        while True:
            number += 1
            raw = _packed(stream, MAX_LINE + 1, path, number)
            if number == 1:
                raw = _without_mark(raw, path)
            if not raw:
                return
            yield _line(raw, stream, path, number)


def _packed(stream: IO[bytes], size: int, path: Path, number: int) -> bytes:
    """Read up to the end of the line, `size` bytes at most."""
    try:
        raw = stream.readline(size)
        if not isinstance(stream, gzip.GzipFile) or not _swells(stream):
            return raw
        what = f"it unpacks to more than {MAX_RATIO} times its size"
        raise DataError(what, where=f"{path}:{number}", do="if this is no bomb, unpack it with gunzip first")
    except EOFError:
        what = "the compressed file is cut off"
    except (gzip.BadGzipFile, zlib.error) as error:
        what = f"not a gzip file, or a damaged one ({error})"
    except OSError as error:
        what = f"cannot read the file: {error.strerror}"
    raise DataError(what, where=f"{path}:{number}", do="get the complete file again") from None


def _swells(stream: gzip.GzipFile) -> bool:
    unpacked = stream.tell()
    return unpacked > RATIO_FROM and unpacked > MAX_RATIO * stream.fileobj.tell()  # type: ignore[union-attr]


def _without_mark(raw: bytes, path: Path) -> bytes:
    for mark, name in _MARKS.items():
        if raw.startswith(mark):
            raise DataError(f"this is {name}, not UTF-8", where=str(path), do="save the file as UTF-8")
    return raw.removeprefix(_BOM)


def _line(raw: bytes, stream: IO[bytes], path: Path, number: int) -> Line:
    if len(raw) > MAX_LINE:
        size = len(raw)
        while not raw.endswith(b"\n") and (raw := _packed(stream, _SKIP, path, number)):
            size += len(raw)
        return Line(number, "", f"a line of {size:,} bytes; {MAX_LINE:,} is the most")
    try:
        return Line(number, raw.decode())
    except UnicodeDecodeError as error:
        problem = f"not UTF-8: byte 0x{raw[error.start]:02x} at byte {error.start + 1} of the line"
        return Line(number, raw.decode(errors="replace"), problem)
