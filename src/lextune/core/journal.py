"""A journal: rows that are on disk as soon as they are added, so that a killed run goes on after the last of them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from lextune.core.artifacts import sync
from lextune.core.errors import ArtifactError
from lextune.core.machine import disk_error

BLOCK = 1 << 16  # bytes read at a time in search of the last whole line
T = TypeVar("T", bound=BaseModel)


class Journal(Generic[T]):
    """A JSON Lines file that only grows. A last line that a kill cut off is dropped when the file is opened.

    Args:
        path: the file; its folder is made.
        model: the type of a row.

    Raises:
        MachineError: the disk is full or cannot be written.
    """

    def __init__(self, path: Path, model: type[T]) -> None:
        self.path, self._model = path, model
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.touch()
                sync(path.parent)
            _drop_half_a_line(path)
        except OSError as error:
            raise disk_error(error, path) from error

    def __iter__(self) -> Iterator[T]:
        """Yield the rows in the order they were added.

        Raises:
            ArtifactError: a row was changed since.
        """
        with self.path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                try:
                    row = self._model.model_validate_json(line)
                except ValidationError:
                    raise ArtifactError(
                        "a damaged journal: this row is none",
                        where=f"{self.path}:{number}",
                        do="take the line out of the file: what it said is done again",
                    ) from None
                yield row

    def add(self, row: T) -> None:
        """Append a row; when this returns it is on disk.

        Raises:
            MachineError: the disk is full or cannot be written; the row is not in the file then.
        """
        size: int | None = None
        try:
            with self.path.open("ab") as stream:
                size = stream.tell()
                stream.write(row.model_dump_json().encode() + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            if size is not None:
                with contextlib.suppress(OSError):  # half a row would spoil the next one
                    os.truncate(self.path, size)
            raise disk_error(error, self.path) from error


def _drop_half_a_line(path: Path) -> None:
    with path.open("rb+") as stream:
        end = place = stream.seek(0, os.SEEK_END)
        while place:
            start = max(0, place - BLOCK)
            stream.seek(start)
            newline = stream.read(place - start).rfind(b"\n")
            if newline >= 0:
                place = start + newline + 1
                break
            place = start
        if place < end:
            stream.truncate(place)
