"""Any file of rows: JSON Lines (also gzipped), a JSON array, CSV, TSV, Parquet, Excel; one row at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lextune.core.errors import DataError
from lextune.core.mistakes import Mistake
from lextune.data.importers.jsonl import read_json_array, read_json_lines
from lextune.data.importers.lines import Row, open_bytes
from lextune.data.importers.tables import read_csv, read_excel, read_parquet

ENDINGS = (".jsonl", ".jsonl.gz", ".json", ".csv", ".tsv", ".parquet", ".xlsx")
"""How the names of files of rows end."""


def is_row_file(path: Path) -> bool:
    """Say whether a file's name ends like one of rows."""
    return path.name.lower().endswith(ENDINGS)


def is_table(path: Path) -> bool:
    """Say whether all rows of a file of rows have the same keys, its columns."""
    return path.name.lower().endswith((".csv", ".tsv", ".parquet", ".xlsx"))


def read_rows(path: Path) -> Iterator[Row | Mistake]:
    """Yield a file's rows in order; a row that cannot be read is a Mistake, and reading goes on.

    Raises:
        DataError: the file cannot be read at all, or not past some place, or changed while it was read; its name
            ends like none of `ENDINGS`.
    """
    name = path.name.lower()
    if name.endswith((".jsonl", ".jsonl.gz")):
        return read_json_lines(path)
    if name.endswith(".json"):
        return read_json_array(path) if head(path).lstrip().startswith(b"[") else read_json_lines(path)
    if name.endswith(".csv"):
        return read_csv(path)
    if name.endswith(".tsv"):
        return read_csv(path, "\t")
    if name.endswith(".parquet"):
        return read_parquet(path)
    if name.endswith(".xlsx"):
        return read_excel(path)
    do = "convert it (an .xls file: save it as .xlsx)" if name.endswith(".xls") else "convert it to one of them"
    raise DataError(f"no file of rows; those end in {', '.join(ENDINGS)}", where=str(path), do=do)


def head(path: Path, size: int = 1 << 16) -> bytes:
    """Return the first bytes of a file, unpacked, without a byte order mark.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with open_bytes(path) as stream:
            return stream.read(size).removeprefix(b"\xef\xbb\xbf")
    except (OSError, EOFError):
        return b""
