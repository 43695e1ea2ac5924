"""A folder of documents without labels: PDF, DOCX, TXT, HTML, EML and, with recognition, image files.

Every file is read in a process of its own that can be killed (`lextune.text.reading`), several at a time; nothing
that a file holds can stop the import or leave the folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from lextune.core.errors import DataError, DocumentError
from lextune.core.parallel import cores, in_order
from lextune.core.records import Document, Drop
from lextune.data.importers.report import Item
from lextune.text.reading import Limits, Ocr, read_document
from lextune.text.reading.base import well_formed

ENDINGS = frozenset({".pdf", ".docx", ".docm", ".txt", ".html", ".htm", ".xhtml", ".eml"})
IMAGES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})
"""Read where scans are recognised."""
AHEAD = 4  # files a worker that may be read before the first of them is wanted
_LOCK = "~$"  # how the names of Word's lock files begin
_T = TypeVar("_T")
_U = TypeVar("_U")


def read_folder(
    path: Path,
    *,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    workers: int = 0,
    ocr: Ocr | None = None,
) -> Iterator[Item]:
    """Yield every document in a folder and the folders in it, in the order of their paths.

    Hidden files, hidden folders and Word's lock files are passed over; every other file is a Document, whose
    `source` is its path in the folder, or a Drop. Links to files are followed, links to folders are not.

    Args:
        path: the folder.
        limits: what each document may cost.
        workers: documents read at a time; 0 takes all cores.
        ocr: how scanned pages are recognised; None leaves them.

    Raises:
        DataError: no folder, or no file in it.
        MachineError: `ocr` is asked for, and tesseract is not installed.
    """
    if not path.is_dir():
        what = "a file, no folder" if path.exists() else "no such folder"
        raise DataError(what, where=str(path), do="give a folder of documents")
    files, drops = _walk(path)
    if not files and not drops:
        raise DataError("no files in this folder", where=str(path), do="give a folder of documents")
    workers = workers or cores()
    one = ocr and replace(ocr, workers=ocr.workers or 1)  # documents are what runs side by side
    ids: dict[str, int] = {}
    yield from drops
    read = partial(_read, path, limits=limits, ocr=one)
    for _, item in in_order(ThreadPoolExecutor(workers), read, files, AHEAD * workers):
        yield _with_own_id(item, ids) if isinstance(item, Document) else item


def _walk(root: Path) -> tuple[list[Path], list[Drop]]:
    """Return the files under a folder, sorted, and what cannot be entered; loops of links are not followed."""
    files: list[Path] = []
    drops: list[Drop] = []

    def refused(error: OSError) -> None:
        place = _relative(Path(error.filename), root)
        drops.append(Drop(what="folder", where=place, reason=f"cannot be read: {error.strerror}"))

    for folder, folders, names in os.walk(root, onerror=refused):
        for name in sorted(folders):
            if (link := Path(folder, name)).is_symlink() and not _hidden(name):
                reason = "a link to a folder is not followed"
                drops.append(Drop(what="folder", where=_relative(link, root), reason=reason))
        folders[:] = [name for name in folders if not _hidden(name)]
        files.extend(Path(folder, name) for name in names if not _hidden(name))
    return sorted(files, key=lambda file: file.relative_to(root).parts), sorted(drops, key=lambda drop: drop.where)


def _hidden(name: str) -> bool:
    return name.startswith((".", _LOCK))


def _read(root: Path, file: Path, *, limits: Limits, ocr: Ocr | None) -> Document | Drop:
    """Read one file; the proof that it stayed the same meanwhile is its size, time of writing and inode."""
    place = _relative(file, root)

    def drop(reason: str) -> Drop:
        return Drop(what="document", where=place, reason=reason)

    ending = file.suffix.lower()
    if ending in IMAGES and ocr is None:
        return drop("an image: recognising text in images is off")
    if ending not in ENDINGS | IMAGES:
        return drop(f"a file that ends in {ending!r} is no document" if ending else "a file without an ending")
    before = _state(file)
    try:
        document = read_document(file, name=well_formed(file.name), limits=limits, ocr=ocr or False)
    except DocumentError as error:
        return drop(error.what if _state(file) == before else "the file changed while it was read")
    if _state(file) != before:
        return drop("the file changed while it was read")
    return document.model_copy(update={"source": place})


def _state(file: Path) -> tuple[int, int, int] | None:
    try:
        state = file.stat()
    except (OSError, ValueError):
        return None
    return state.st_size, state.st_mtime_ns, state.st_ino


def _with_own_id(document: Document, ids: dict[str, int]) -> Document:
    """Number the copies of a file: the same name and content in two folders."""
    count = ids[document.id] = ids.get(document.id, 0) + 1
    return document if count == 1 else document.model_copy(update={"id": f"{document.id}-{count}"})


def _relative(file: Path, root: Path) -> str:
    return well_formed(file.relative_to(root).as_posix())
