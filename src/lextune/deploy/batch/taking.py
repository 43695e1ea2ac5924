"""Files of a folder: each known by its content and its name, and looked at only as it comes.

A document is its bytes, under its name in the folder: an edited file is another document, and a file that is moved too.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lextune.core.errors import DataError, DocumentError, UserError
from lextune.core.records import Drop
from lextune.deploy.batch.book import Failure
from lextune.text.reading import Limits
from lextune.text.reading.base import SUPPORTED
from lextune.text.reading.listing import place, state, walk, why_no_document
from lextune.text.reading.reader import load

KEY_BYTES = 16
CHANGED = "the file changed while it was read"


class Taken(NamedTuple):
    """One file: its key, its name in the folder, its content and that content's hash.

    Where it cannot be read `failure` says why, `data` is empty and `sha256` None.
    """

    key: bytes
    name: str
    data: bytes
    sha256: str | None
    failure: Failure | None = None


class Folder:
    """A folder of documents, and the folders in it.

    Args:
        root: the folder.
        out: a folder that is passed over where it lies inside.
        limits: what one document may cost.
        configuration: the hash of what answers: a part of every key.
    """

    def __init__(self, root: Path, out: Path, limits: Limits, configuration: str) -> None:
        self._root, self._out, self._limits = root, os.path.realpath(out), limits
        self._configuration = configuration.encode()

    def count(self) -> int:
        """Return how many documents there are.

        Raises:
            DataError: no folder, or no document in it.
            UserError: the results are to be in the folder itself, or it lies among results.
        """
        if not self._root.is_dir():
            what = "a file, no folder" if self._root.exists() else "no such folder"
            raise DataError(what, where=str(self._root), do="give a folder of documents")
        if _is_in(os.path.realpath(self._root), self._out):
            raise UserError(
                "the results cannot lie where the documents are", where=str(self._out), do="choose another --out"
            )
        documents = others = 0
        for file in self._files():
            if isinstance(file, Path) and why_no_document(file) is None:
                documents += 1
            else:
                others += 1
        if not documents:
            found = f"none of its {others} files is one" if others > 1 else "its only file is none" if others else ""
            what = f"no document in this folder: {found}" if found else "no files in this folder"
            raise DataError(what, where=str(self._root), do=f"give a folder with files of {SUPPORTED}")
        return documents

    def take(self) -> Iterator[Taken | Drop]:
        """Yield every file, in no order: a document with its bytes, or what is passed over."""
        for file in self._files():
            if isinstance(file, Drop):
                yield file
            elif (reason := why_no_document(file)) is not None:
                yield Drop(what="file", where=place(file, self._root), reason=reason)
            else:
                yield self._take(file)

    def _files(self) -> Iterator[Path | Drop]:
        inside = _is_in(self._out, os.path.realpath(self._root))
        for found in walk(self._root):
            # Path.resolve raises where a link leads to itself
            if not (inside and isinstance(found, Path) and _is_in(os.path.realpath(found), self._out)):
                yield found

    def _take(self, file: Path) -> Taken | Drop:
        name, before = place(file, self._root), state(file)
        try:
            data = load(file, self._limits)
        except DocumentError as error:
            if state(file) != before or not os.path.lexists(file):
                return Drop(what="file", where=name, reason=CHANGED)
            failure = Failure(kind="unreadable", reason=error.what, do=error.do)
            return Taken(self._key(file, repr(before)), name, b"", None, failure)
        if state(file) != before:
            return Drop(what="file", where=name, reason=CHANGED)
        sha256 = hashlib.sha256(data).hexdigest()
        return Taken(self._key(file, sha256), name, data, sha256)

    def _key(self, file: Path, content: str) -> bytes:
        """Return the key of a document; the name is taken as the file system has it, so that no two are alike."""
        name = os.fsencode(file.relative_to(self._root))
        parts = b"\0".join((self._configuration, content.encode(), name))
        return hashlib.sha256(parts).digest()[:KEY_BYTES]


def _is_in(path: str, folder: str) -> bool:
    return Path(path).is_relative_to(folder)
