"""A folder of documents without labels: PDF, DOCX, TXT, HTML, EML and, with recognition, image files.

Every file is read in a process of its own that can be killed (`lextune.text.reading`), several at a time; nothing
that a file holds can stop the import or leave the folder. On a cluster, it is the bytes of files that are sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath
from typing import NamedTuple

from lextune.core.cluster import spread
from lextune.core.errors import DataError, DocumentError
from lextune.core.parallel import cores
from lextune.core.records import Document, Drop
from lextune.data.importers.report import Item
from lextune.data.importers.tally import READ_AS
from lextune.text.reading import Limits, Ocr, read_document
from lextune.text.reading.base import well_formed
from lextune.text.reading.listing import KINDS, place, state, walk, why_no_document
from lextune.text.reading.reader import load
from lextune.text.reading.sniff import sniff

AHEAD = 4  # files a worker that may be read before the first of them is wanted


class Taken(NamedTuple):
    """A file's place in the folder, its name, and its bytes."""

    place: str
    name: str
    data: bytes


def read_folder(
    path: Path,
    *,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    workers: int = 0,
    ocr: Ocr | None = None,
    ray: str | None = None,
) -> Iterator[Item]:
    """Yield every document in a folder and the folders in it, in the order of their paths.

    Hidden files, hidden folders and Word's lock files are passed over; every other file is a Document, whose
    `source` is its path in the folder, or a Drop. Links to files are followed, links to folders are not. A document
    of another kind than its name says (text in a `.docx`, HTML in a `.txt`) is read as what it is, and its tag
    `read_as` says so.

    Args:
        path: the folder.
        limits: what each document may cost.
        workers: documents read at a time; 0 takes all cores.
        ocr: how scanned pages are recognised; None leaves them.
        ray: the address of a cluster that reads them (`lextune.core.cluster`); its nodes need not see the folder.

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
    take, parse = partial(_take, path, limits=limits, images=ocr is not None), partial(_parse, limits=limits, ocr=one)
    pool = partial(ThreadPoolExecutor, workers)
    read = (
        spread(partial(_read, take, parse), files, pool, AHEAD * workers)
        if ray is None
        else spread(parse, map(take, files), pool, AHEAD, ray=ray)
    )
    for _, item in read:
        yield _with_own_id(item, ids) if isinstance(item, Document) else item


def _walk(root: Path) -> tuple[list[Path], list[Drop]]:
    """Return the files under a folder and what cannot be entered, both sorted."""
    found = list(walk(root))
    files = [each for each in found if isinstance(each, Path)]
    drops = [each for each in found if isinstance(each, Drop)]
    return sorted(files, key=lambda file: file.relative_to(root).parts), sorted(drops, key=lambda drop: drop.where)


def _read(take: Callable[[Path], Taken | Drop], parse: Callable[[Taken | Drop], Document | Drop], file: Path) -> Item:
    return parse(take(file))


def _take(root: Path, file: Path, *, limits: Limits, images: bool) -> Taken | Drop:
    """Load one file; the proof that it stayed the same meanwhile is its size, time of writing and inode."""
    where = place(file, root)

    def drop(reason: str) -> Drop:
        return Drop(what="document", where=where, reason=reason)

    if (reason := why_no_document(file, images=images)) is not None:
        return drop(reason)
    before = state(file)
    try:
        taken = Taken(where, well_formed(file.name), load(file, limits))
    except DocumentError as error:
        return drop(error.what if state(file) == before else "the file changed while it was read")
    return taken if state(file) == before else drop("the file changed while it was read")


def _parse(taken: Taken | Drop, *, limits: Limits, ocr: Ocr | None) -> Document | Drop:
    """Read the bytes of one file, here or on a cluster."""
    if isinstance(taken, Drop):
        return taken
    try:
        document = read_document(taken.data, name=taken.name, limits=limits, ocr=ocr or False)
        kind = sniff(taken.data, taken.name)
    except DocumentError as error:
        return Drop(what="document", where=taken.place, reason=error.what)
    said = KINDS[PurePath(taken.name).suffix.lower()]
    tags = document.tags if kind == said else {**document.tags, READ_AS: kind}
    return document.model_copy(update={"source": taken.place, "tags": tags})


def _with_own_id(document: Document, ids: dict[str, int]) -> Document:
    """Number the copies of a file: the same name and content in two folders."""
    count = ids[document.id] = ids.get(document.id, 0) + 1
    return document if count == 1 else document.model_copy(update={"id": f"{document.id}-{count}"})
