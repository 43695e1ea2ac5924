"""A source as it was when it was hashed: what is imported from it later is that, or it is said.

A state is size, time of writing and inode. A document whose file has another state once it is read is left out, so
that the hash in a dataset's manifest is of what the dataset was made of.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from lextune.core.artifacts import sha256_file, sha256_json
from lextune.core.errors import DataError
from lextune.core.mistakes import Mistake, refuse
from lextune.core.records import Document, Drop
from lextune.data.importers.report import Item
from lextune.text.reading.listing import State, place, state

CHANGED = "the file changed while the folder was read"


class Snapshot:
    """The state of a file, or of all files in a folder, and the hash of its content, or of their names and contents."""

    def __init__(self, root: Path) -> None:
        """Take it; a file of a folder that cannot be read is not in the hash."""
        self._root = root
        self._states = _states(root)
        if not root.is_dir():
            self.sha256 = sha256_file(root)
            return
        hashes = {}
        for file, _ in self._states.values():
            try:
                hashes[os.fsencode(file.relative_to(root)).hex()] = sha256_file(file)
            except OSError:
                continue
        self.sha256 = sha256_json(hashes)

    def filtered(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield what is read of the folder's documents; of those that changed or vanished since, a Drop."""
        told: set[str] = set()
        for item in items:
            name = item.source if isinstance(item, Document) else item.where
            told.add(name or "")
            if isinstance(item, Document) and name is not None and self._changed(name):
                item = Drop(what="document", where=name, reason=CHANGED)
            yield item
        for name, (file, _) in self._states.items():
            if name not in told and not file.exists():
                yield Drop(what="document", where=name, reason="the file vanished while the folder was read")

    def _changed(self, name: str) -> bool:
        file, before = self._states.get(name, (self._root / name, None))
        return state(file) != before

    def check(self) -> None:
        """Prove that the whole source is as it was.

        Raises:
            DataError: files changed, came or went since; their number and the first five.
        """
        before, now = self._states, _states(self._root)
        names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
        do = "wait until what writes there is done, or import a copy"
        if names and not self._root.is_dir():
            raise DataError("the file changed while it was read", where=str(self._root), do=do)
        if names:
            raise refuse([Mistake(name, CHANGED) for name in names], str(self._root), do)


def _states(root: Path) -> dict[str, tuple[Path, State | None]]:
    if not root.is_dir():
        return {root.name: (root, state(root))}
    files = sorted(file for file in root.rglob("*") if file.is_file())
    return {place(file, root): (file, state(file)) for file in files}
