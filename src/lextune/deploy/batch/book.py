"""The journal of a batch: a row for every document that was answered or failed, on disk before the next one.

A document is finished by its answer, or by a failure that no answer followed. Only keys are held in memory.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from lextune.core.artifacts import write_atomic
from lextune.core.errors import UserError
from lextune.core.journal import Journal
from lextune.core.provenance import package_versions
from lextune.core.records import Record, Usage
from lextune.deploy.batch.deaths import Deaths
from lextune.deploy.batch.ledger import Ledger, Spent
from lextune.deploy.batch.options import configuration_hash

NOTE, JOURNAL, AT_WORK = "batch.json", "journal.jsonl", ".at_work.json"


class Failure(BaseModel):
    """Why a document has no record.

    `kind` is `unreadable` (the document's own fault, or the file's), `bug` (ours) or `lost` (it took down the process
    that worked on it, each time).
    """

    model_config = ConfigDict(frozen=True)
    kind: Literal["unreadable", "bug", "lost"]
    reason: str
    do: str | None = None


class Row(BaseModel):
    """What became of a document: its record, or its failure.

    `key` is in hexadecimal digits. `type` is the contract's, where its title or the file's name shows one; `kind` that
    of the file, where that is known. `run` counts the runs that worked, `wall` its seconds so far, on `machines`
    machines; `reading` is how long the file took to become text.
    """

    model_config = ConfigDict(frozen=True)
    key: str
    name: str
    sha256: str | None
    run: int
    wall: float
    machines: int = 1
    type: str | None = None
    kind: str | None = None
    reading: float = 0.0
    usage: Usage = Usage()
    record: Record | None = None
    failure: Failure | None = None


class Book:
    """What is finished, and what it took.

    Args:
        out: the batch's folder; nobody else may write there.

    Attributes:
        answered: keys of documents with a record.
        failed: how many times each of the others failed.
        deaths: of processes that answered a document.
        ledger: what all rows took.

    Raises:
        MachineError: the disk is full or cannot be written.
        ArtifactError: the journal was changed.
    """

    def __init__(self, out: Path) -> None:
        self._journal = Journal(out / JOURNAL, Row)
        self.deaths = Deaths(out / AT_WORK)
        self.answered, self.failed, self.ledger = set[bytes](), dict[bytes, int](), Ledger()
        for row in self._journal:
            self._enter(row)
        for key in self.answered:
            self.deaths.finished(key)
        self._run = self.ledger.runs + 1
        self._started = time.monotonic()
        self.machines = 1

    def __iter__(self) -> Iterator[Row]:
        """Yield what each document came to, once: its first record, or its last failure where there is none."""
        written, left = set[bytes](), dict(self.failed)
        for row in self._journal:
            key = bytes.fromhex(row.key)
            if row.record is not None:
                if key not in written:
                    written.add(key)
                    yield row
            elif key in left:
                left[key] -= 1
                if not left[key]:
                    yield row

    def add(self, row: Mapping[str, Any]) -> None:
        """Keep what became of a document; when this returns it is on disk.

        Args:
            row: the values of a `Row`, but for `run`, `wall` and `machines`.

        Raises:
            MachineError: the disk is full or cannot be written.
        """
        wall = round(time.monotonic() - self._started, 3)
        made = Row(**row, run=self._run, wall=wall, machines=self.machines)
        self._journal.add(made)
        self._enter(made)
        self.deaths.finished(bytes.fromhex(made.key))

    def _enter(self, row: Row) -> None:
        key = bytes.fromhex(row.key)
        again = key in self.answered
        if row.record is not None:
            self.answered.add(key)
            self.failed.pop(key, None)
        elif not again:
            self.failed[key] = self.failed.get(key, 0) + 1
        accepted = [a for a in row.record.fields.values() if a and a.status == "accepted"] if row.record else ()
        characters = row.record.document.characters if row.record else 0
        answered = row.record is not None and not again
        self.ledger.add(
            Spent(row.run, row.wall, row.machines, row.reading, row.usage),
            answered=answered,
            accepted=len(accepted) if answered else 0,
            characters=characters if answered else 0,
        )


def settle(out: Path, values: Mapping[str, Any]) -> None:
    """Make a folder that of a batch with this configuration, or prove that it is.

    As long as no row stands in its journal, it may become that of another: the first may have failed for its settings.

    Raises:
        UserError: it holds another batch, or something else.
        MachineError: it cannot be written.
    """
    note, journal = out / NOTE, out / JOURNAL
    if not note.is_file():
        if any(not path.name.startswith(".") for path in out.iterdir()):
            raise UserError("this folder holds something else", where=str(out), do="choose another --out")
        other = list(values)
    else:
        try:
            known = json.loads(note.read_text(encoding="utf-8"))
        except ValueError:
            known = None
        if not isinstance(known, dict) or "configuration" not in known:
            raise UserError(f"unreadable {NOTE}", where=str(out), do="choose another --out")
        other = [name for name in values if known.get(name) != values[name] and name != "release"]
        if other and journal.is_file() and _has_rows(journal):
            said = "; ".join(f"{name} {_short(known.get(name))}, not {_short(values[name])}" for name in other)
            raise UserError(
                f"this folder holds a batch with other settings: {said}",
                where=str(out),
                do="choose another --out, or give the release and options that it was begun with",
            )
    if other:
        made = {**values, "configuration": configuration_hash(dict(values)), "packages": package_versions()}
        write_atomic(note, json.dumps(made, indent=1))


def _has_rows(journal: Path) -> bool:
    with journal.open("rb") as stream:  # a kill may have cut off the first
        return any(line.endswith(b"\n") for line in stream)


def _short(value: Any) -> str:
    return value[:12] if isinstance(value, str) else "null" if value is None else str(value)
