"""Instruction data: one JSON object a line, {"instruction": ..., "input": ..., "output": ...}."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lextune.core.errors import DataError
from lextune.core.records import Drop
from lextune.data.importers.labels import read_text
from lextune.data.importers.report import Mistake, refuse

DO = 'write every line as {"instruction": "...", "input": "...", "output": "..."}'


class InstructionRow(BaseModel):
    """One example: what is asked, of which text (may be empty), and the answer wanted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    id: str
    instruction: str
    input: str = Field(default="")
    output: str


class ImportedRows(NamedTuple):
    """Rows that were read, and those that were not, each with its reason."""

    rows: tuple[InstructionRow, ...]
    rejects: list[Drop]


def import_jsonl(path: Path) -> ImportedRows:
    """Read instruction rows.

    A row without an `id` is named after file and line. Rows that are well formed and of no use - an empty
    instruction or output, a repeated row, another output for a question already answered - are rejects.

    Raises:
        DataError: the file is missing, not UTF-8 or without rows; or lines are not JSON objects, lack a key,
            have an unknown one, a value that is no string, or an id that occurred before (one error for all
            of them, with their number and the first five).
    """
    _, text = read_text(path)
    rows: dict[str, InstructionRow] = {}
    answered: dict[tuple[str, str], InstructionRow] = {}
    mistakes, rejects = list[Mistake](), []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path.name}:{number}"
        row = _parse(line, f"{path.stem}-{number}")
        if isinstance(row, str):
            mistakes.append(Mistake(where, row))
        elif row.id in rows:
            mistakes.append(Mistake(where, f"the id {row.id!r} occurs a second time"))
        elif reason := _useless(row, answered):
            rejects.append(Drop(what="row", where=where, reason=reason))
        else:
            rows[row.id] = answered[row.instruction, row.input] = row
    if mistakes:
        raise refuse(mistakes, str(path), DO)
    if not rows:
        raise DataError("no usable rows in the file", where=str(path), do=DO)
    return ImportedRows(tuple(rows.values()), rejects)


def _parse(line: str, name: str) -> InstructionRow | str:
    """Return the row on a line, or what is wrong with it."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        what, column = getattr(error, "msg", "nested too deeply"), getattr(error, "colno", 1)
        return f"not JSON: {what} at column {column}"
    if not isinstance(value, dict):
        return f"not a JSON object but a {type(value).__name__}"
    try:
        return InstructionRow.model_validate({"id": name, **value})
    except ValidationError as error:
        first = error.errors()[0]
        key = first["loc"][0]
        if first["type"] == "missing":
            return f"{key!r} is missing"
        return f"unknown key {key!r}" if first["type"] == "extra_forbidden" else f"{key!r} is not a string"


def _useless(row: InstructionRow, answered: dict[tuple[str, str], InstructionRow]) -> str | None:
    if not row.instruction.strip():
        return "the instruction is empty"
    if not row.output.strip():
        return "the output is empty"
    before = answered.get((row.instruction, row.input))
    if before is None:
        return None
    return "a repeated row" if before.output == row.output else "another output for the same question"
