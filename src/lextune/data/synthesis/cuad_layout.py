"""Documents written in CUAD's layout, so that one importer reads CUAD and the sample contracts."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from lextune.core.artifacts import write_atomic
from lextune.core.errors import DataError, shorten
from lextune.core.machine import disk_error
from lextune.core.records import Document, FieldLabel
from lextune.data.importers.cuad_csv import ANSWER, FILENAME, TABLE, TEXTS, TYPES
from lextune.data.importers.labels import OMITTED


def write_cuad_layout(documents: Sequence[Document], folder: Path) -> None:
    """Write `master_clauses.csv`, `contract_types.csv` and `full_contract_txt/`.

    A column of quotes is a Python list literal; quotes of one paragraph are joined by `<omitted>`, as CUAD
    does. The `-Answer` column is empty where a field is absent. Files of other documents that lie in the
    folder stay there.

    Raises:
        DataError: no documents, two with one name, or documents that were not assessed for the same fields.
        MachineError: the folder cannot be written.
    """
    fields = _common_fields(documents, folder)
    names = [_file_name(document) for document in documents]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        what = f"two documents are named {shorten(repeated[0])!r}"
        raise DataError(what, where=str(folder), do="give each an id of its own")
    header = [FILENAME, *(column for field in fields for column in (field, field + ANSWER))]
    rows = [
        [f"{name}.pdf", *(cell for field in fields for cell in _cells(document, document.labels[field]))]
        for name, document in zip(names, documents, strict=True)
    ]
    types = [[f"{name}.pdf", d.contract_type or ""] for name, d in zip(names, documents, strict=True)]
    try:
        (folder / TEXTS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, folder) from error
    for name, document in zip(names, documents, strict=True):
        write_atomic(folder / TEXTS / f"{name}.txt", document.text)
    write_atomic(folder / TABLE, _table([header, *rows]))
    write_atomic(folder / TYPES, _table([[FILENAME, "Contract Type"], *types]))


def _common_fields(documents: Sequence[Document], folder: Path) -> list[str]:
    if not documents:
        raise DataError("no documents to write", where=str(folder), do="give at least one")
    fields = list(documents[0].labels)
    for document in documents:
        if set(document.labels) != set(fields):
            raise DataError(
                "assessed for other fields than the first document; the table cannot show the difference",
                where=document.name,
                do="write documents with the same fields together",
            )
    return fields


def _file_name(document: Document) -> str:
    return document.id.removesuffix(".txt").removesuffix(".pdf").replace("/", "-")


def _cells(document: Document, label: FieldLabel) -> tuple[str, str]:
    """Return the quotes and the answer of one field as CUAD's cells."""
    quotes: list[str] = []
    end: int | None = None
    for part, spans in zip(label.parts, label.spans, strict=True):
        start = spans[0].start
        between = "" if end is None else document.text[end:start]
        if between.strip() and "\n" not in between:
            quotes[-1] += OMITTED + part
        else:
            quotes.append(part)
        end = spans[0].end
    return repr(quotes), label.answer or ""


def _table(rows: Sequence[Sequence[str]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue()
