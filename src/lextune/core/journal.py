"""A journal: rows that are on disk as soon as they are added, so that a killed run goes on after the last of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel

from lextune.core.artifacts import disk_error

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
            path.touch()
            _drop_half_a_line(path)
        except OSError as error:
            raise disk_error(error, path) from error

    def __iter__(self) -> Iterator[T]:
        """Yield the rows in the order they were added."""
        with self.path.open(encoding="utf-8") as stream:
            for line in stream:
                yield self._model.model_validate_json(line)

    def add(self, row: T) -> None:
        """Append a row; when this returns it is on disk.

        Raises:
            MachineError: the disk is full or cannot be written.
        """
        try:
            with self.path.open("ab") as stream:
                stream.write(row.model_dump_json().encode() + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise disk_error(error, self.path) from error


def _drop_half_a_line(path: Path) -> None:
    with path.open("rb+") as stream:
        raw = stream.read()
        whole = raw.rfind(b"\n") + 1
        if whole < len(raw):
            stream.truncate(whole)
