"""CUAD, the Contract Understanding Atticus Dataset (CC BY 4.0), in either of its official layouts."""

from __future__ import annotations

from pathlib import Path

from lextune.core.errors import DataError
from lextune.data.importers.cuad_csv import TABLE, TEXTS, import_table
from lextune.data.importers.cuad_json import import_squad
from lextune.data.importers.report import Imported, summarise
from lextune.expert.schema import Schema

SQUAD_FILES = ("CUAD_v1.json", "CUADv1.json")
NESTED = "CUAD_v1"


def import_cuad(folder: Path, schema: Schema) -> Imported:
    """Read annotated contracts in CUAD's layout.

    Two layouts are known: `master_clauses.csv` with `full_contract_txt/` (quotes and answers), and
    `CUAD_v1.json` (quotes with offsets, no answers). The table is read where both are there, because it has
    the answers. The folder `CUAD_v1/` of the official archive may be given itself or the one around it; a
    JSON file of the second layout may be given by its own path.

    Args:
        folder: the folder, or the JSON file.
        schema: the fields wanted. Those the source knows nothing of are not in the documents' labels.

    Returns:
        The documents in the order of the source, and a Drop for every contract without a text or the other
        way round, every column that is no field, and every quote that is not in its contract. A field of
        whose quotes none was found is not in the labels: not assessed. Quotes and answers that are words for null,
        `No` without a quote among them, are reported as Normalised.

    Raises:
        DataError: neither layout is there, a file is not UTF-8, columns are missing, cells or rows are bad,
            or no contract could be read.
    """
    imported = _read(folder, schema)
    if not imported.documents:
        rejects = summarise(imported.rejects).replace("\n", "\n  ")
        raise DataError(
            f"none of the contracts could be read\n  {rejects}",
            where=str(folder),
            do="check that tables and contracts belong together",
        )
    return imported


def _read(folder: Path, schema: Schema) -> Imported:
    if folder.is_file() and folder.suffix.lower() == ".json":
        return import_squad(folder, schema)
    for place in (folder, folder / NESTED):
        if (place / TABLE).is_file() and (place / TEXTS).is_dir():
            return import_table(place, schema)
        for name in SQUAD_FILES:
            if (place / name).is_file():
                return import_squad(place / name, schema)
    do = "give the folder of CUAD, or run `lextune data fetch cuad`"
    raise DataError(_lacking(folder), where=str(folder), do=do)


def _lacking(folder: Path) -> str:
    if not folder.is_dir():
        return "a file, no folder" if folder.exists() else "no such folder"
    for place in (folder, folder / NESTED):
        if (place / TABLE).is_file():
            return f"{TABLE} is there, the folder {TEXTS}/ is missing"
        if (place / TEXTS).is_dir():
            return f"{TEXTS}/ is there, {TABLE} is missing"
    return f"neither {TABLE} with {TEXTS}/ nor {SQUAD_FILES[0]} in this folder"
