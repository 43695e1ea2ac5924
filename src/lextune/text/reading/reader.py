"""From a path or bytes to a Document."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from lextune.core.errors import DocumentError
from lextune.text.reading.base import Limits, Parsed
from lextune.text.reading.isolate import parse_in_child
from lextune.text.reading.plain import parse_txt
from lextune.text.reading.sniff import sniff

if TYPE_CHECKING:
    from lextune.core.records import Document

MAX_STEM = 60  # characters of a file's name that go into its document's id


def read_document(source: Path | bytes, *, name: str | None = None, limits: Limits = Limits()) -> Document:  # noqa: B008
    """Read one TXT, PDF, DOCX or HTML document.

    The text of a TXT is its decoding, unchanged. PDF pages are joined by a newline that belongs to the page
    before it, so `pages` covers the whole text. In DOCX and HTML every paragraph, heading and table row is a
    block, and a blank line stands between blocks; `pages` is empty.

    Args:
        source: a file, or the bytes of one.
        name: the document's name; by default the file's, and "document" for bytes.
        limits: what the document may cost.

    Returns:
        A Document without labels. Its id is the name's stem, reduced to [A-Za-z0-9._-], and 8 hex digits of
        the bytes' sha256: the same file gives the same id everywhere.

    Raises:
        DocumentError: missing, unreadable, unsupported, damaged, encrypted, empty, without text, or over a
            limit.
    """
    from lextune.core.records import Document, Span

    where = str(source) if isinstance(source, Path) else name or "document"
    name = name or (source.name if isinstance(source, Path) else "document")
    try:
        data = _load(source, limits)
        text, pages = _parse(data, name, limits)
    except DocumentError as error:
        raise DocumentError(error.what, where=where, do=error.do) from error.__cause__
    sha256 = hashlib.sha256(data).hexdigest()
    return Document(
        id=f"{_slug(name)}-{sha256[:8]}",
        name=name,
        sha256=sha256,
        text=text,
        pages=tuple(Span(start=start, end=end) for start, end in pages),
    )


def _parse(data: bytes, name: str, limits: Limits) -> Parsed:
    kind = sniff(data, name)
    parsed = parse_txt(data, limits) if kind == "txt" else parse_in_child(data, kind, limits)
    if not parsed.text.strip():
        raise DocumentError("the document has no text", do="check that this is the file you meant")
    return parsed


def _load(source: Path | bytes, limits: Limits) -> bytes:
    """Return the bytes; at most one more than the limit is ever read."""
    if isinstance(source, Path):
        _check_regular(source)
        try:
            with source.open("rb") as stream:
                data = stream.read(limits.max_bytes + 1)
        except OSError as error:
            raise DocumentError(
                f"cannot be read: {error.strerror or error}", do="check the file and its permissions"
            ) from error
    else:
        data = source
    if not data:
        raise DocumentError("the file is empty", do="check that this is the file you meant")
    if len(data) > limits.max_bytes:
        raise DocumentError(
            f"the file is larger than {limits.max_bytes:,} bytes",
            do="split the document, or raise the limit max_bytes",
        )
    return data


def _check_regular(path: Path) -> None:
    try:
        if path.is_dir():
            raise DocumentError("this is a folder", do="give a file, or use `lextune batch` for a folder")
        if not path.exists():
            raise DocumentError("no such file", do="check the path")
        if not path.is_file():
            raise DocumentError("not a regular file", do="copy its content into a file first")
    except (OSError, ValueError) as error:  # a name too long, a NUL in it, a folder that may not be searched
        raise DocumentError(f"cannot be read: {error}", do="check the path and its permissions") from error


def _slug(name: str) -> str:
    stem = unicodedata.normalize("NFKD", PurePath(name).stem).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.")[:MAX_STEM] or "document"
