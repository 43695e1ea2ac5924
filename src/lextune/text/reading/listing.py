"""A folder of documents: which of its files may be documents, where they stand, and what is passed over and why."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from lextune.core.records import Drop
from lextune.text.reading.base import well_formed

State = tuple[int, int, int]
IMAGES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})
"""Read where scans are recognised."""
KINDS = {
    ".pdf": "pdf",
    ".docx": "docx",
    ".docm": "docx",
    ".txt": "txt",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".eml": "eml",
    **dict.fromkeys(IMAGES, "image"),
}
"""What files with these endings should be; what they are is told from their first bytes."""
_LOCK = "~$"  # how the names of Word's lock files begin


def walk(root: Path) -> Iterator[Path | Drop]:
    """Yield the files in a folder and the folders in it as they are met, and a Drop for what cannot be entered.

    Hidden files, hidden folders and Word's lock files are passed over. Links to files are followed, links to folders
    are not. Nothing is held but the folders that are still to be entered.
    """
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith((".", _LOCK)):
                        continue
                    path = Path(entry.path)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(path)
                    elif entry.is_symlink() and _leads_to_folder(path):
                        reason = "a link to a folder is not followed"
                        yield Drop(what="folder", where=place(path, root), reason=reason)
                    else:
                        yield path
        except OSError as error:
            yield Drop(what="folder", where=place(folder, root), reason=f"cannot be read: {error.strerror}")


def _leads_to_folder(link: Path) -> bool:
    try:
        return link.is_dir()
    except OSError:  # it leads to where nobody may look
        return False


def why_no_document(file: Path, *, images: bool = False) -> str | None:
    """Return why a file is none that is read, by its ending; None where it may be.

    Args:
        file: its name is enough.
        images: whether text in images is recognised.
    """
    ending = file.suffix.lower()
    if ending in IMAGES and not images:
        return "an image: recognising text in images is off"
    if ending not in KINDS:
        return f"a file that ends in {ending!r} is no document" if ending else "a file without an ending"
    return None


def state(file: Path) -> State | None:
    """Return a file's size, time of writing and inode, None where it is gone, or may not be looked at."""
    try:
        found = file.stat()
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def place(file: Path, root: Path) -> str:
    """Return the place of a file in a folder, as documents and drops name it."""
    return well_formed(file.relative_to(root).as_posix())
