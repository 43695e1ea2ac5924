"""Rows in tables: CSV and TSV, Parquet, Excel. The first line names the columns; a cell is a text.

Columns that hold lists or objects (`messages`, `history`, ...) are JSON in CSV and Excel, and typed in Parquet.
"""

from __future__ import annotations

import csv
import datetime
import io
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lextune.core.errors import DataError, shorten
from lextune.core.mistakes import Mistake
from lextune.data.importers.jsonl import parse_json
from lextune.data.importers.lines import MAX_LINE, Row, read_lines, stem, unchanged

STRUCTURED = frozenset(
    {"messages", "conversations", "history", "tools", "request", "response", "choices", "articles", "labels"}
)
"""Columns whose cells are JSON where a table has only text."""

MAX_UNPACKED = 1 << 30
"""Bytes that an .xlsx file may unpack to."""

BATCH = 256  # rows of a Parquet file in memory at a time
_ERRORS = frozenset({"#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!"})


def read_csv(path: Path, delimiter: str | None = None) -> Iterator[Row | Mistake]:
    """Yield the rows of a CSV file, each with the line on which it begins.

    Args:
        path: the file.
        delimiter: what parts the cells; by default what the header shows: a comma, a semicolon or a tab.

    Raises:
        DataError: the header lacks a name or has one twice, or quotation marks do not close (nothing after them
            can be read); see also `lextune.data.importers.lines.read_lines`.
    """
    csv.field_size_limit(MAX_LINE)
    columns: list[str] | None = None
    for line, cells, problem in _records(path, delimiter):
        if columns is None:
            columns = _header(cells, f"{path}:{line}", problem)
        elif problem:
            yield Mistake(f"{path.name}:{problem[0]}", problem[1])
        else:
            yield _row(columns, cells, f"{path.name}:{line}", f"{stem(path)}-{line}")


def _records(path: Path, delimiter: str | None) -> Iterator[tuple[int, list[str], tuple[int, str] | None]]:
    """Yield the lines of a table that are not empty: where each begins, its cells, what is wrong with its text."""
    feed = _Feed(path)
    head = next(feed, "")
    feed.push(head)
    reader = csv.reader(feed, delimiter=delimiter or _delimiter(head), strict=True)
    while True:
        first = feed.number + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            do = "look for an unclosed quotation mark in the row that begins there"
            raise DataError(f"not a CSV table: {error}", where=f"{path}:{first}", do=do) from None
        if cells is None:
            return
        problem, feed.problem = feed.problem, None
        if any(cells) or problem:
            yield first, cells, problem


class _Feed:
    """The lines of a file for csv.reader, counted; the last problem of a line is kept aside."""

    def __init__(self, path: Path) -> None:
        self.number = 0
        self.problem: tuple[int, str] | None = None
        self._lines = read_lines(path)
        self._again: str | None = None

    def push(self, text: str) -> None:
        """Give a line a second time."""
        if text:
            self._again, self.number = text, self.number - 1

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        if self._again is not None:
            text, self._again = self._again, None
            self.number += 1
            return text
        line = next(self._lines)
        self.number = line.number
        if line.problem:
            self.problem = (line.number, line.problem)
        return line.text


def _delimiter(head: str) -> str:
    return max(",;\t", key=lambda mark: (head.count(mark), mark == ","))


def _header(cells: Sequence[Any], where: str, problem: tuple[int, str] | None = None) -> list[str]:
    """Return the names of columns.

    Raises:
        DataError: a name is missing or there twice.
    """
    names = ["" if cell is None else str(cell).strip() for cell in cells]
    repeated = [name for name in names if name and names.count(name) > 1]
    if problem:
        what = problem[1]
    elif repeated:
        what = f"two columns have the name {shorten(repeated[0], 40)!r}"
    elif not all(names):
        what = f"column {names.index('') + 1} has no name"
    else:
        return names
    raise DataError(what, where=where, do="give every column a name of its own in the first line")


def _row(columns: Sequence[str], cells: Sequence[str], where: str, name: str) -> Row | Mistake:
    if len(cells) != len(columns):
        return Mistake(where, f"{len(cells)} cells, the header has {len(columns)}")
    values: dict[str, Any] = {}
    for column, cell in zip(columns, cells, strict=True):
        values[column] = cell
        if column in STRUCTURED and cell.strip():
            try:
                values[column] = parse_json(cell)
            except ValueError as error:
                return Mistake(f"{where}, column {column!r}", str(error))
    return Row(where, name, values)


def read_parquet(path: Path) -> Iterator[Row | Mistake]:
    """Yield the rows of a Parquet file, numbered from 1; a null is an empty text.

    Raises:
        DataError: not a Parquet file, a damaged one, two columns of one name, or changed while it was read.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        with unchanged(path), pyarrow.parquet.ParquetFile(path, pre_buffer=False) as table:
            _header(table.schema_arrow.names, str(path))
            number = 0
            for batch in table.iter_batches(batch_size=BATCH):
                for values in batch.to_pylist():
                    number += 1
                    row = {key: "" if value is None else value for key, value in values.items()}
                    yield Row(f"{path.name}:{number}", f"{stem(path)}-{number}", row)
    except (pyarrow.ArrowException, OSError) as error:
        what = f"not a Parquet file, or a damaged one ({shorten(str(error), 60)})"
        raise DataError(what, where=str(path), do="write the file again") from None


def read_excel(path: Path) -> Iterator[Row | Mistake]:
    """Yield the rows of every sheet of an .xlsx file; each sheet's first row names its columns.

    A formula counts as the value that was last shown for it. Numbers, dates and truth values are read as texts.

    Raises:
        DataError: not an .xlsx file, one that unpacks to more than `MAX_UNPACKED`, a sheet's header that lacks a
            name or has one twice, or changed while it was read.
    """
    with unchanged(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of styles and extensions, which no text depends on
        try:
            book = _open_book(path)
            for sheet in book.worksheets:
                yield from _sheet(sheet, path)
            book.close()
        except DataError:
            raise
        except Exception as error:  # openpyxl lets any error of its parsers through
            what = f"not an .xlsx file, or a damaged one ({type(error).__name__})"
            raise DataError(what, where=str(path), do="open it in Excel and save it again, as .xlsx or CSV") from None


def _open_book(path: Path) -> Any:
    import openpyxl

    raw = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(raw)) as packed:
        size = sum(entry.file_size for entry in packed.infolist())
    if size > MAX_UNPACKED:
        what = f"an .xlsx file that unpacks to {size:,} bytes; {MAX_UNPACKED:,} is the most"
        raise DataError(what, where=str(path), do="save it as CSV")
    return openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=True)


def _sheet(sheet: Any, path: Path) -> Iterator[Row | Mistake]:
    columns: list[str] | None = None
    for number, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
        filled = len(cells)
        while filled and cells[filled - 1] in (None, ""):
            filled -= 1
        where = f"{path.name}:{sheet.title}!{number}"
        if not filled:
            continue
        if columns is None:
            columns = _header(cells[:filled], where)
            continue
        wrong = next((cell for cell in cells if isinstance(cell, str) and cell in _ERRORS), None)
        if wrong is not None:
            yield Mistake(where, f"a cell holds the error {wrong}")
            continue
        texts = [_text(cell) for cell in cells[: max(filled, len(columns))]]
        texts += [""] * (len(columns) - len(texts))
        yield _row(columns, texts, where, f"{stem(path)}-{sheet.title}-{number}")


def _text(cell: Any) -> str:
    """Return a cell as Excel shows it, dates in ISO 8601."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime.datetime) and cell.time() == datetime.time.min:
        return cell.date().isoformat()
    return cell.isoformat() if isinstance(cell, datetime.date | datetime.time) else str(cell)
