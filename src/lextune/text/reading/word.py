"""DOCX: the text a reader of the page sees, in order, with the numbers that Word counts for itself.

python-docx opens the package; its paragraph and cell texts leave out content controls, tracked insertions,
text boxes, footnotes and automatic numbers, all of which carry substance in contracts, so the text is
gathered from the XML here. Deleted and hidden text is left out; a document with tracked changes reads as if
they were accepted.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from docx.opc.constants import RELATIONSHIP_TYPE as RELATION
from docx.opc.exceptions import PackageNotFoundError
from docx.oxml import parse_xml
from docx.package import Package
from lxml import etree

from lextune.core.errors import DocumentError
from lextune.text.reading.base import Limits, Parsed, damaged, join_blocks, row_blocks
from lextune.text.reading.numbering import Numbering, local

MAX_MEMBERS = 5_000
MAX_UNPACKED = 200_000_000  # bytes
MAX_RATIO = 200  # unpacked to packed; real documents stay under 60
RATIO_FROM = 10_000_000  # bytes unpacked from which the ratio counts: small parts of white space pack well
_CHUNK = 1 << 16
_SKIPPED = frozenset({
    "del", "moveFrom", "instrText", "delText", "delInstrText", "rPr", "pPr", "sectPr", "tblPr", "trPr",
    "tcPr", "sdtPr", "Fallback",
})  # fmt: skip
_LITERAL = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_CHECKBOXES = {"F0FE": "☒", "F0FD": "☒", "F052": "☑", "F0A8": "☐", "F06F": "☐", "F0FC": "✓"}  # Wingdings
_NO_BREAK_SPACE = str.maketrans({"\u00a0": " "})


def parse_docx(data: bytes, limits: Limits) -> Parsed:
    """Return the text of a Word document; it has no pages until a program lays it out.

    Raises:
        DocumentError: another kind of zip archive, a zip bomb, damaged, or over the character limit.
    """
    check_archive(data)
    main = _main_part(data)
    reader = _Reader(Numbering(_related(main, RELATION.NUMBERING), _related(main, RELATION.STYLES)))
    text = join_blocks(reader.document(_root(main), _notes(main)), limits)
    return Parsed(text.translate(_NO_BREAK_SPACE))


def check_archive(data: bytes) -> None:
    """Unpack every member, keeping nothing, and count what really comes out: headers can lie.

    Raises:
        DocumentError: damaged, not a Word document, or unpacks to too much.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > MAX_MEMBERS:
                raise _bomb(f"it has more than {MAX_MEMBERS:,} parts")
            if "[Content_Types].xml" not in archive.namelist():
                raise _not_word()
            unpacked = 0
            for member in members:
                with archive.open(member) as stream:
                    while chunk := stream.read(_CHUNK):
                        unpacked += len(chunk)
                        _check_unpacked(unpacked, len(data))
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError):
        raise damaged("DOCX", "it cannot be unpacked") from None


def _check_unpacked(unpacked: int, packed: int) -> None:
    if unpacked > MAX_UNPACKED:
        raise _bomb(f"it unpacks to more than {MAX_UNPACKED:,} bytes")
    if unpacked > RATIO_FROM and unpacked > MAX_RATIO * packed:
        raise _bomb(f"it unpacks to more than {MAX_RATIO} times its size")


def _bomb(why: str) -> DocumentError:
    return DocumentError(f"this looks like a zip bomb: {why}", do="save the document again in Word, without media")


def _not_word() -> DocumentError:
    return DocumentError("a zip archive that is not a Word document", do="save the document as .docx")


def _main_part(data: bytes) -> Any:
    try:
        main = Package.open(io.BytesIO(data)).main_document_part
    except PackageNotFoundError as error:
        raise damaged("DOCX", error) from None
    except KeyError:
        raise _not_word() from None
    except etree.XMLSyntaxError as error:
        if error.code == etree.ErrorTypes.ERR_NO_MEMORY:
            raise MemoryError from None
        raise damaged("DOCX", error) from None
    if "word" not in main.content_type:  # ...wordprocessingml..., or ms-word for documents with macros
        raise _not_word()
    return main


def _root(part: Any) -> Any:
    """Return the root element of a part; python-docx parses only the kinds of parts that it knows."""
    element = getattr(part, "element", None)
    return parse_xml(part.blob) if element is None else element


def _related(main: Any, relation: str) -> Any | None:
    try:
        return _root(main.part_related_by(relation))
    except KeyError:
        return None


def _notes(main: Any) -> list[Any]:
    """Return the footnotes and endnotes; those with a type are the lines that Word draws above them."""
    roots = [_related(main, relation) for relation in (RELATION.FOOTNOTES, RELATION.ENDNOTES)]
    return [note for root in roots if root is not None for note in root if _attribute(note, "type") is None]


class _Reader:
    """Turns elements into blocks. Counts numbers, so it reads a document once, in order.

    `begun` and `boxes` are the text, and the text boxes, of paragraphs whose end is deleted: the next one goes on
    from there, and it is the one that counts.
    """

    def __init__(self, numbering: Numbering) -> None:
        self.numbering = numbering
        self.begun: list[str] = []
        self.boxes: list[Any] = []

    def document(self, root: Any, notes: list[Any]) -> Iterator[str]:
        """Yield the blocks of the body, then those of its notes."""
        for body in root:
            if local(body) == "body":
                yield from self.blocks(body)
        for note in notes:
            yield from self.blocks(note)

    def blocks(self, container: Any) -> Iterator[str]:
        """Yield the blocks of a body, cell, text box or note."""
        yield from self._blocks(container)
        yield from self._paragraph()

    def _blocks(self, element: Any) -> Iterator[str]:
        for child in element:
            kind = local(child)
            if kind == "p":
                _inline(child, self.begun, self.boxes)
                if not _end_is_deleted(child):
                    yield from self._paragraph(self.numbering.label(child))  # counted even where empty, as Word does
            elif kind == "tbl":
                yield from self._paragraph()
                for row in _within(child, "tr"):
                    yield from row_blocks([list(self.blocks(cell)) for cell in _within(row, "tc")])
            elif kind not in _SKIPPED:  # sdt, sdtContent, ins, moveTo, customXml, smartTag, AlternateContent
                yield from self._blocks(child)

    def _paragraph(self, label: str = "") -> Iterator[str]:
        """Yield the paragraph that has begun, and its text boxes."""
        text, boxes = "".join(self.begun).strip(), self.boxes
        self.begun, self.boxes = [], []
        if text:
            yield f"{label} {text}" if label else text
        for box in boxes:
            yield from self.blocks(box)


def _within(element: Any, kind: str) -> Iterator[Any]:
    """Yield the rows of a table or the cells of a row, through content controls around them."""
    for child in element:
        found = local(child)
        if found == kind:
            if not (kind == "tr" and any(local(mark) == "del" for mark in _properties(child, "trPr"))):
                yield child
        elif found not in _SKIPPED and found not in ("p", "tbl", "tblGrid"):
            yield from _within(child, kind)


def _inline(element: Any, pieces: list[str], boxes: list[Any]) -> None:
    """Gather the text of a paragraph's descendants, and the text boxes anchored in it."""
    for child in element:
        kind = local(child)
        if kind == "t":
            pieces.append(child.text or "")
        elif kind in _LITERAL:
            pieces.append(_LITERAL[kind])
        elif kind == "sym":
            pieces.append(_CHECKBOXES.get((_attribute(child, "char") or "").upper(), ""))
        elif kind == "txbxContent":
            boxes.append(child)
        elif kind not in _SKIPPED and not (kind == "r" and _hidden(child)):
            _inline(child, pieces, boxes)


def _end_is_deleted(paragraph: Any) -> bool:
    marks = [mark for run in _properties(paragraph, "pPr") if local(run) == "rPr" for mark in run]
    return any(local(mark) in ("del", "moveFrom") for mark in marks)


def _hidden(run: Any) -> bool:
    marks = [mark for mark in _properties(run, "rPr") if local(mark) == "vanish"]
    return any(_attribute(mark, "val") not in ("0", "false", "off") for mark in marks)


def _properties(element: Any, kind: str) -> list[Any]:
    return [mark for child in element if local(child) == kind for mark in child]


def _attribute(element: Any, name: str) -> str | None:
    """Return an attribute by its local name (they carry Word's namespace)."""
    for key, value in element.attrib.items():
        if key.rpartition("}")[2] == name:
            return str(value)
    return None
