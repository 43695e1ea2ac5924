"""From a path or bytes to a Document."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from lextune.core.errors import DocumentError
from lextune.text.reading.base import Limits, Parsed, check_characters, well_formed
from lextune.text.reading.isolate import parse_in_child
from lextune.text.reading.ocr import Ocr, recognise
from lextune.text.reading.plain import parse_txt
from lextune.text.reading.sniff import sniff

if TYPE_CHECKING:
    from lextune.core.records import Document

TURN_ON = (
    "give a document with a text layer, which ocrmypdf makes; `lextune data import --ocr eng`, and ocr=True in Python, "
    "recognise text themselves"
)
MAX_STEM = 60  # characters of a file's name that go into its document's id


def read_document(
    source: Path | bytes,
    *,
    name: str | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    ocr: Ocr | bool = False,
) -> Document:
    """Read one TXT, PDF, DOCX, HTML or EML document; with `ocr`, scanned pages and image files as well.

    The text of a TXT is its decoding, unchanged. PDF pages are joined by a newline that belongs to the page
    before it, so `pages` covers the whole text. In DOCX, HTML and EML every paragraph, heading and table row is a
    block, and a blank line stands between blocks; `pages` is empty.

    Args:
        source: a file, or the bytes of one.
        name: the document's name; by default the file's, and "document" for bytes.
        limits: what the document may cost.
        ocr: how text in pictures is recognised; True takes the defaults of `Ocr`, False leaves it off.

    Returns:
        A Document without labels. Its id is the name's stem, reduced to [A-Za-z0-9._-], and 8 hex digits of
        the bytes' sha256: the same file gives the same id everywhere. Its tags say which pages are pictures that
        were not read (`scanned_pages`, "2 3"), or how sure the recognition is of their words, 0 to 1
        (`ocr_confidence`, "0.93") and of those of each such page (`ocr_page_confidence`, "2:0.95 3:0.91").

    Raises:
        DocumentError: missing, unreadable, unsupported, damaged, encrypted, empty, without text, or over a
            limit.
        MachineError: `ocr` is on, a page needs it, and tesseract is not installed.
    """
    from lextune.core.records import Document, Span

    where = str(source) if isinstance(source, Path) else name or "document"
    name = well_formed(name or (source.name if isinstance(source, Path) else "document"))
    try:
        data = load(source, limits)
        (text, pages, _), tags = _parse(data, name, limits, Ocr() if ocr is True else ocr or None)
    except DocumentError as error:
        raise DocumentError(error.what, where=where, do=error.do) from error.__cause__
    return Document(
        **_named(name, data),
        text=text,
        pages=tuple(Span(start=start, end=end) for start, end in pages),
        tags=tags,
    )


def document_of(text: str, name: str, limits: Limits = Limits()) -> Document:  # noqa: B008 - frozen
    """Return the document that a text is. It is taken as it stands: offsets fit what the caller holds.

    Args:
        text: whatever it looks like.
        name: the document's.
        limits: what it may cost.

    Raises:
        DocumentError: it holds white space alone, has more characters than the limit, or is no Unicode.
    """
    from lextune.core.records import Document

    try:
        check_characters(len(text), limits)
        if not text.strip():
            raise DocumentError("the document has no text", do="check that this is the text you meant")
        data = text.encode()
    except DocumentError as error:
        raise DocumentError(error.what, where=name, do=error.do) from None
    except UnicodeEncodeError as error:
        what = f"character {error.start} is half of a surrogate pair"
        raise DocumentError(what, where=name, do="read the text from its file with the right encoding") from None
    return Document(**_named(well_formed(name), data), text=text)


def _named(name: str, data: bytes) -> dict[str, Any]:
    sha256 = hashlib.sha256(data).hexdigest()
    return {"id": f"{_slug(name)}-{sha256[:8]}", "name": name, "sha256": sha256}


def _parse(data: bytes, name: str, limits: Limits, ocr: Ocr | None) -> tuple[Parsed, dict[str, str]]:
    """Return what was read, and the tags that say how."""
    from lextune.core.records import SCANNED_PAGES

    kind = sniff(data, name)
    if kind == "image" and ocr is None:
        raise DocumentError("this is an image, and recognising text in images is off", do=TURN_ON)
    parsed = parse_txt(data, limits) if kind == "txt" else parse_in_child(data, kind, limits)
    if parsed.scans and ocr is not None:
        parsed, confidence, of_pages = recognise(data, kind, parsed, limits, ocr)
        each = " ".join(f"{number + 1}:{mean:.2f}" for number, mean in of_pages.items())
        return parsed, {"ocr_confidence": f"{confidence:.2f}", "ocr_page_confidence": each}
    if not parsed.text.strip():
        raise _without_text(parsed)
    scans = " ".join(str(number + 1) for number in parsed.scans)
    return parsed, {SCANNED_PAGES: scans} if scans else {}


def _without_text(parsed: Parsed) -> DocumentError:
    if not parsed.scans:
        return DocumentError("the document has no text", do="check that this is the file you meant")
    count = len(parsed.pages)
    pages = "its only page has no" if count == 1 else f"none of its {count} pages has any"
    return DocumentError(f"{pages} text: this is probably a scan, and recognising text in images is off", do=TURN_ON)


def load(source: Path | bytes, limits: Limits) -> bytes:
    """Return the bytes of a document; at most one more than the limit is ever read.

    Raises:
        DocumentError: missing, unreadable, no regular file, empty, or over the limit.
    """
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
