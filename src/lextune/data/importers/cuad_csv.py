"""CUAD as a table: `master_clauses.csv` (quotes and answers) beside `full_contract_txt/` (the contracts).

Contract types come from `contract_types.csv` (Filename, Contract Type) where there is one, else from the
folder of the contract's PDF in `full_contract_pdf/`, else from its file name. Where there is a
`document_tags.csv` (Filename, and columns of the user's own: tenant, year, ...) its cells are the contracts' tags.
"""

from __future__ import annotations

import ast
import csv
import hashlib
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lextune.core.errors import DataError, shorten
from lextune.core.files import read_text
from lextune.core.mistakes import Mistake, refuse
from lextune.core.records import Document, Drop, FieldLabel
from lextune.data.importers.labels import fields_by_key, make_label, null_quotes, split_quotes
from lextune.data.importers.names import NO_TEXT, match_names, name_key
from lextune.data.importers.report import Imported, Normalised
from lextune.data.importers.turns import nearest
from lextune.expert.schema import Schema
from lextune.text.contract_types import contract_type_of
from lextune.text.reading.base import well_formed
from lextune.text.spans import CollapsedText

TABLE, TEXTS = "master_clauses.csv", "full_contract_txt"
TYPES, PDFS, TAGS = "contract_types.csv", "full_contract_pdf", "document_tags.csv"
FILENAME, ANSWER = "Filename", "-Answer"
NO_CONTRACT = "no contract that was read has this name"
Quotes = dict[str, tuple[str, ...]]  # of one contract, by field, as its cells hold them
_LIST = re.compile(r"\s*\[\s*(['\"]|\]\s*$)")


class Row(NamedTuple):
    """One line of a table: its first line in the file, its cells by column."""

    line: int
    cells: Mapping[str, str]


def import_table(folder: Path, schema: Schema) -> Imported:
    """Read the CSV layout of CUAD; see `lextune.data.importers.cuad.import_cuad`."""
    path = folder / TABLE
    columns, rows = read_table(path, (FILENAME,))
    fields, drops = _fields(columns, schema, path)
    quotes = _read_cells(path, rows, fields)
    files = sorted(file for file in (folder / TEXTS).iterdir() if file.suffix.lower() == ".txt")
    names = [row.cells[FILENAME] for row in rows]
    available = [file.name for file in files]
    matches = match_names(names, available)
    types, (tags, untold) = _contract_types(folder, available), _document_tags(folder, available)
    documents, nulls, unread, do = [], list[Normalised](), list[Mistake](), ""
    for index, row in enumerate(rows):
        where = f"{path.name}:{row.line}, {shorten(names[index], 60)}"
        if index in matches.failures:
            drops.append(Drop(what="contract", where=where, reason=matches.failures[index]))
            continue
        file = files[matches.pairs[index]]
        try:
            raw, text = read_text(file)
        except DataError as error:
            unread.append(Mistake(str(error.where), error.what))
            do = do or str(error.do)
            continue
        if not text.strip():
            drops.append(Drop(what="contract", where=where, reason="its text is empty"))
            continue
        answers = {field: row.cells[column + ANSWER] for column, field in fields.items()}
        document, lost, changed = _document(file.name, (raw, text), quotes[index], answers, types.get(file.name))
        documents.append(document.model_copy(update={"tags": tags.pop(file.name, {})}))
        drops.extend(lost)
        nulls.extend(changed)
    if unread:
        raise refuse(unread, str(folder / TEXTS), do)
    used = set(matches.pairs.values())
    drops.extend(
        Drop(what="contract", where=f"{TEXTS}/{well_formed(file.name)}", reason=f"no row of {TABLE} names this file")
        for place, file in enumerate(files)
        if place not in used
    )
    untold += tags  # of contracts that were left out
    drops.extend(Drop(what="tags", where=f"{TAGS}, {well_formed(name)}", reason=NO_CONTRACT) for name in untold)
    return Imported(tuple(documents), drops, nulls)


def read_table(path: Path, required: Sequence[str]) -> tuple[list[str], list[Row]]:
    """Read a CSV file with a header.

    Raises:
        DataError: not UTF-8, not CSV, a required column is missing, a row is too long or too short, no rows.
    """
    _, text = read_text(path)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, mistakes, end = [], list[Mistake](), 0
    columns: list[str] = []
    try:
        columns = [name.strip() for name in next(reader, [])]
        end = reader.line_num
        for cells in reader:
            line, end = end + 1, reader.line_num
            if len(cells) == len(columns):
                rows.append(Row(line, dict(zip(columns, cells, strict=True))))
            elif cells:
                what = f"{len(cells)} cells, the header has {len(columns)}"
                mistakes.append(Mistake(f"{path.name}:{line}", what))
    except csv.Error as error:
        do = "look for an unclosed quotation mark in the row that begins there"
        raise DataError(f"not a CSV table: {error}", where=f"{path}:{end + 1}", do=do) from None
    missing = [name for name in required if name not in columns]
    if missing:
        raise missing_columns(path, missing)
    repeated = next((name for name in columns if columns.count(name) > 1), None)
    if repeated is not None:
        what = f"two columns have the name {shorten(repeated, 40)!r}"
        raise DataError(what, where=f"{path}:1", do="give every column a name of its own in the first line")
    if mistakes:
        raise refuse(mistakes, str(path), "give every row as many cells as the header has")
    if not rows:
        raise DataError("a table without rows", where=str(path), do="give the complete file")
    return columns, rows


def missing_columns(path: Path, missing: Sequence[str]) -> DataError:
    """Return the error for columns that a table lacks."""
    listed = ", ".join(repr(name) for name in missing[:5]) + (", ..." if len(missing) > 5 else "")
    what = f"missing column{'s' if len(missing) > 1 else ''} {listed}"
    return DataError(what, where=f"{path}:1", do="give the table in CUAD's layout")


def _fields(columns: Sequence[str], schema: Schema, path: Path) -> tuple[dict[str, str], list[Drop]]:
    """Return the schema's field of each column of quotes, and a Drop for each column that has none."""
    known = fields_by_key(schema)
    fields, drops = dict[str, str](), []
    for column in columns:
        field = known.get(name_key(column.removesuffix(ANSWER)))
        if column == FILENAME or (field and column.endswith(ANSWER)):
            continue
        if field in fields.values():
            what = f"two columns are the field {field!r}; the second is {shorten(column, 40)!r}"
            raise DataError(what, where=f"{path}:1", do="leave one of them, with its answers")
        if field:
            fields[column] = field
        else:
            near = nearest(column.removesuffix(ANSWER), schema.names)
            reason = f"the schema {schema.name} has no field of this name{near}"
            drops.append(Drop(what="column", where=f"{path.name}, {column}", reason=reason))
    missing = [column + ANSWER for column in fields if column + ANSWER not in columns]
    missing += [
        column.removesuffix(ANSWER)
        for column in columns
        if column.endswith(ANSWER)
        and name_key(column.removesuffix(ANSWER)) in known
        and column.removesuffix(ANSWER) not in columns
    ]
    if missing:
        raise missing_columns(path, missing)
    if not fields:
        raise DataError(
            f"no column is a field of the schema {schema.name}",
            where=f"{path}:1",
            do=f"name the columns like the fields: {', '.join(repr(n) for n in schema.names[:3])}, ...",
        )
    return fields, drops


def _read_cells(path: Path, rows: Sequence[Row], fields: Mapping[str, str]) -> list[Quotes]:
    """Return the quotes of every row; all bad cells make one error."""
    quotes, mistakes = [], list[Mistake]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a backslash in a contract is no concern of the user's
        for row in rows:
            of_row: Quotes = {}
            for column, field in fields.items():
                try:
                    of_row[field] = parse_cell(row.cells[column])
                except ValueError:
                    what = f"not a Python list of quotes: {shorten(row.cells[column], 40)!r}"
                    mistakes.append(Mistake(f"{path.name}:{row.line}, column {column!r}", what))
            quotes.append(of_row)
    if mistakes:
        raise refuse(mistakes, str(path), "write such a cell as ['first quote', 'second quote'], or []")
    return quotes


def parse_cell(cell: str) -> tuple[str, ...]:
    """Return the quotes in a cell: those of a Python list literal, or the cell itself where it is plain text.

    Raises:
        ValueError: it begins like a list of strings and is none.
    """
    if not _LIST.match(cell):
        return (cell,)
    try:
        value = ast.literal_eval(cell.strip())
    except (SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError(str(error)) from None
    if not isinstance(value, list) or not all(isinstance(quote, str) for quote in value):
        raise ValueError("not a list of strings")
    return tuple(value)


def _document(
    name: str, read: tuple[bytes, str], quotes: Quotes, answers: Mapping[str, str], kind: str | None
) -> tuple[Document, list[Drop], list[Normalised]]:
    raw, text = read
    name = well_formed(name)
    collapsed = CollapsedText(text)
    labels: dict[str, FieldLabel] = {}
    drops, nulls = [], list[Normalised]()
    for field, said in quotes.items():
        where, answer = f"{name}, {field}", answers[field].strip()
        label, lost = make_label(collapsed, split_quotes(said), answer, where)
        drops.extend(lost)
        nulls.extend(null_quotes(said, field, where))
        if label is not None:
            labels[field] = label
            if answer and label.answer is None:
                nulls.append(Normalised(where, field, answer))
    document = Document(
        id=Path(name).stem,
        name=name,
        sha256=hashlib.sha256(raw).hexdigest(),
        text=text,
        contract_type=kind or contract_type_of(name),
        source="cuad",
        labels=labels,
    )
    return document, drops, nulls


def _contract_types(folder: Path, files: Sequence[str]) -> dict[str, str]:
    """Return what the source itself says of the contracts' types, by the names of their files.

    Raises:
        DataError: see `_rows_of`.
    """
    if (folder / TYPES).is_file():
        found, _ = _rows_of(folder / TYPES, (FILENAME, "Contract Type"), files)
        return {name: cells["Contract Type"].strip() for name, cells in found.items()}
    said: dict[str, set[str]] = {}
    for path in sorted((folder / PDFS).rglob("*")):
        kind = contract_type_of(path.parent.name)
        if path.suffix.lower() == ".pdf" and kind is not None:
            said.setdefault(name_key(path.name), set()).add(kind)
    return {name: kind for name in files for kind in said.get(name_key(name), ()) if len(said[name_key(name)]) == 1}


def _document_tags(folder: Path, files: Sequence[str]) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Return what the user says of the contracts, by the names of their files, and the names that no file has.

    Empty cells say nothing.

    Raises:
        DataError: see `_rows_of`.
    """
    if not (folder / TAGS).is_file():
        return {}, []
    found, unknown = _rows_of(folder / TAGS, (FILENAME,), files)
    tags = {
        name: {column: cell.strip() for column, cell in cells.items() if column not in ("", FILENAME) and cell.strip()}
        for name, cells in found.items()
    }
    return tags, unknown


def _rows_of(
    path: Path, required: Sequence[str], files: Sequence[str]
) -> tuple[dict[str, Mapping[str, str]], list[str]]:
    """Return the cells of each contract that a table names, by the name of its file, and the names that no file has.

    Raises:
        DataError: see `read_table`; or a row may mean several contracts, or several rows one.
    """
    _, rows = read_table(path, required)
    names = [row.cells[FILENAME] for row in rows]
    matches = match_names(names, files)
    unclear = [
        Mistake(f"{path.name}:{rows[index].line}", f"{shorten(names[index], 60)!r} is an {reason}")
        for index, reason in matches.failures.items()
        if reason != NO_TEXT
    ]
    if unclear:
        raise refuse(unclear, str(path), "give each contract one row, with the name of its file")
    found = {files[place]: rows[index].cells for index, place in matches.pairs.items()}
    return found, [names[index] for index in matches.failures]
