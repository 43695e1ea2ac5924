"""Text files that users give, and folders that one command at a time may write."""

from __future__ import annotations

import csv
import fcntl
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from lextune.core.errors import DataError, MachineError, shorten
from lextune.core.machine import disk_error
from lextune.core.mistakes import Mistake, refuse

T = TypeVar("T", bound=BaseModel)


def read_text(path: Path) -> tuple[bytes, str]:
    """Return a file's bytes and their UTF-8 decoding: newlines untouched, a byte order mark dropped.

    Raises:
        DataError: the file cannot be read or is not UTF-8.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        do = "give a file that you may read"
        raise DataError(f"cannot read the file: {error.strerror}", where=str(path), do=do) from None
    try:
        return raw, raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"not UTF-8: byte 0x{raw[error.start]:02x}", where=f"{path}:{line}", do="save the file as UTF-8"
        ) from None


class Row(NamedTuple):
    """A row of a CSV: where it stands (file:line), and its cells by column, without white space around them."""

    where: str
    cells: Mapping[str, str]


def read_sheet(path: Path, columns: Sequence[str], what: str, do: str) -> list[Row]:
    """Return the rows of a sheet that somebody filled in; empty ones are left out, missing cells are empty.

    Args:
        path: the CSV; a comma, a semicolon or a tab between cells, as spreadsheets write it.
        columns: that its header must have, in any order and case.
        what: the sheet is, for the message: `a spot-check sheet`.
        do: what the user does where it is none.

    Raises:
        DataError: it cannot be read, or lacks a column.
    """
    text = read_text(path)[1]
    header = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count))
    try:
        names = [name.strip().casefold() for name in next(reader, [])]
        lacking = [name for name in columns if name not in names]
        if lacking:
            raise DataError(f"no column {lacking[0]!r}: not {what}", where=f"{path}:1", do=do)
        rows = [(f"{path.name}:{reader.line_num}", row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise DataError(f"not CSV: {error}", where=str(path), do="save the sheet as CSV in UTF-8") from None
    padding = [""] * len(names)
    return [Row(where, dict(zip(names, [*map(str.strip, row), *padding], strict=False))) for where, row in rows]


def read_rows(path: Path, model: type[T], do: str, *, key: str | None = None) -> list[tuple[str, T]]:
    """Return rows of JSON Lines, or of CSV where the name ends in `.csv` (an empty cell is no value), as `model`.

    Args:
        path: the file; empty lines are left out.
        model: the type of a row.
        do: what the user does where rows are wrong.
        key: the field that no two rows may have alike; None for none.

    Returns:
        where each row stands (`file:line`), and the row.

    Raises:
        DataError: the file cannot be read or has no rows, or rows are wrong or have a key twice: one error for all of
            them, with their number and the first five.
    """
    text = read_text(path)[1]
    rows, mistakes, seen = list[tuple[str, T]](), list[Mistake](), set[object]()
    for line, raw in _table(text, path) if path.suffix.lower() == ".csv" else enumerate(text.split("\n"), start=1):
        if not raw or (isinstance(raw, str) and not raw.strip()):
            continue
        where = f"{path.name}:{line}"
        try:
            row = model.model_validate_json(raw) if isinstance(raw, str) else model.model_validate(raw)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            mistakes.append(Mistake(where, ": ".join([*map(str, first["loc"][:1]), shorten(first["msg"])])))
            continue
        name = getattr(row, key) if key else None
        if key and name in seen:
            mistakes.append(Mistake(where, f"the {key} {shorten(str(name), 40)!r} occurs a second time"))
        seen.add(name)
        rows.append((where, row))
    if mistakes:
        raise refuse(mistakes, str(path), do)
    if not rows:
        raise DataError("the file has no rows", where=str(path), do=do)
    return rows


def _table(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield the line and the cells that hold something of each row of a CSV."""
    header = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count))
    try:
        for row in reader:
            yield reader.line_num, {key.strip(): cell for key, cell in row.items() if key and cell}
    except csv.Error as error:
        raise DataError(f"not CSV: {error}", where=str(path), do="save the table as CSV in UTF-8") from None


@contextmanager
def one_at_a_time(folder: Path, do: str) -> Iterator[None]:
    """Let one command at a time write to a folder, which is made where it is missing.

    Args:
        folder: where.
        do: what a second one is told to do.

    Raises:
        MachineError: another one writes there now, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / ".lock").open("w")
    except OSError as error:
        raise disk_error(error, folder) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise MachineError("another run is writing here", where=str(folder), do=do) from None
        yield
