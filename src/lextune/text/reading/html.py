"""HTML by lxml: its text in blocks, as a browser shows it; scripts, styles, hidden and deleted parts left out."""

from __future__ import annotations

import codecs
import re
from typing import Any

from lxml import etree

from lextune.text.reading.base import Limits, Parsed, damaged, join_blocks, row_blocks
from lextune.text.reading.numbering import in_format, number
from lextune.text.reading.sniff import HEAD, UTF8_BOM, UTF16_BOMS

_DROPPED = frozenset({
    "head", "script", "style", "noscript", "template", "title", "meta", "link", "iframe", "object",
    "embed", "svg", "canvas", "audio", "video", "select", "del", "s", "strike",
})  # fmt: skip
_INLINE = frozenset({
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "dfn", "em",
    "font", "i", "img", "ins", "kbd", "label", "mark", "nobr", "q", "ruby", "samp", "small",
    "span", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr",
})  # fmt: skip
_CHARSET = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([A-Za-z0-9_.:-]+)""", re.IGNORECASE)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_UNMARKED = re.compile(r"list-style(?:-type)?\s*:[^;]*\bnone\b", re.IGNORECASE)
_FORMATS = {"a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}  # <ol type>
_SPACE = re.compile(r"[ \t\r\n\f\u00a0]+")
_BREAK, _BLANK = "\x1e", "\x1f"  # <br>, and the newlines and spaces of <pre>, while white space is collapsed
_PRE = str.maketrans({"\n": _BREAK, " ": _BLANK, "\u00a0": _BLANK, "\t": _BLANK * 8})


def parse_html(data: bytes, limits: Limits) -> Parsed:
    """Return the text of an HTML page, block by block.

    Raises:
        DocumentError: no markup that can be parsed, or over the character limit.
    """
    root = _parse(_decode(data).encode("utf-8"))
    return Parsed(join_blocks(_Blocks().read(root), limits) if root is not None else "")


def _parse(markup: bytes) -> Any | None:
    """Return the root element. libxml2 repairs what it can, and logs where it gave up instead of raising."""
    parser = etree.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=True)
    try:
        root = etree.fromstring(markup, parser)
    except etree.XMLSyntaxError:
        root = None
    problems = {entry.type for entry in parser.error_log}
    if etree.ErrorTypes.ERR_NO_MEMORY in problems:
        raise MemoryError
    if etree.ErrorTypes.ERR_RESOURCE_LIMIT in problems:
        raise damaged("HTML", "its elements are nested too deeply")
    return root


def _decode(data: bytes) -> str:
    """Decode as a browser does: byte order mark, declared character set, UTF-8, Windows-1252."""
    if data.startswith(UTF8_BOM):
        return data.decode("utf-8-sig", errors="replace")
    if data[:2] in UTF16_BOMS:
        return data.decode("utf-16", errors="replace")
    declared = _CHARSET.search(data[:HEAD])
    if declared:
        try:
            encoding = codecs.lookup(declared[1].decode("ascii")).name
        except LookupError:
            encoding = "utf-8"
        # browsers read Latin-1 as Windows-1252; a UTF-16 declared in bytes that are not is no UTF-16
        encoding = {"iso8859-1": "cp1252", "ascii": "cp1252", "utf-16": "utf-8"}.get(encoding, encoding)
        return _replacing(data, encoding)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _replacing(data, "cp1252")


def _replacing(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding, errors="replace")
    except (LookupError, ValueError):  # a codec that is not for text, such as "hex"
        return data.decode("utf-8", errors="replace")


class _Blocks:
    """Walks a tree without recursion (markup may be nested deeply) and gathers its blocks.

    `run` is the text of the block that is open; `rows` holds, for every table row that is open, the cells
    gathered so far, a cell being a list of blocks; `pre` counts the open <pre>. `lists` holds, for every list that
    is open, its next number and how it is written, None where it has none; `number` is that of the item whose first
    block is to come.
    """

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self.run: list[str] = []
        self.rows: list[list[list[str]]] = []
        self.pre = 0
        self.lists: list[tuple[int, str] | None] = []
        self.number = ""

    def read(self, root: Any) -> list[str]:
        """Return the blocks of the tree under `root`."""
        events = etree.iterwalk(root, events=("start", "end"))
        for event, element in events:
            if event == "start":
                if _skipped(element):
                    events.skip_subtree()
                else:
                    self._start(element)
                    self._text(element.text)
            else:
                if not _skipped(element):
                    self._end(element.tag)
                if element is not root:
                    self._text(element.tail)
        self._flush()
        return self.blocks

    def _start(self, element: Any) -> None:
        tag = element.tag
        if tag == "br":
            self.run.append(_BREAK)
        elif tag not in _INLINE:
            self._flush()
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append([])
        elif tag == "pre":
            self.pre += 1
        elif tag in ("ol", "ul"):
            numbered = tag == "ol" and "reversed" not in element.attrib and _is_marked(element)
            style = _FORMATS.get(element.get("type", ""), "decimal")
            self.lists.append((number(element.get("start"), 1), style) if numbered else None)
        elif tag == "li":
            self._item(element)

    def _item(self, item: Any) -> None:
        """Count an item of a numbered list."""
        if not self.lists or self.lists[-1] is None:
            return
        count, style = self.lists[-1]
        count = number(item.get("value"), count)
        self.lists[-1] = count + 1, style
        if _is_marked(item):
            self.number = f"{self.number} {in_format(count, style)}.".strip()  # after that of one that begins with it

    def _end(self, tag: str) -> None:
        if tag not in _INLINE and tag != "br":
            self._flush()
        if tag == "tr" and self.rows:
            for block in row_blocks(self.rows.pop()):
                self._add(block)
        elif tag == "pre":
            self.pre -= 1
        elif tag in ("ol", "ul"):
            self.lists.pop()
        elif tag == "li":
            self.number = ""

    def _text(self, text: str | None) -> None:
        if not text:
            return
        self.run.append(text.replace("\r\n", "\n").translate(_PRE) if self.pre else text)

    def _flush(self) -> None:
        """End the running block."""
        text = _SPACE.sub(" ", "".join(self.run))
        self.run.clear()
        lines = [line.strip(" ").replace(_BLANK, " ").rstrip() for line in text.split(_BREAK)]
        self._add("\n".join(lines).strip())

    def _add(self, block: str) -> None:
        if not block:
            return
        if self.number:
            block, self.number = f"{self.number} {block}", ""
        if self.rows and self.rows[-1]:
            self.rows[-1][-1].append(block)
        else:
            self.blocks.append(block)


def _is_marked(element: Any) -> bool:
    return not _UNMARKED.search(element.get("style", ""))


def _skipped(element: Any) -> bool:
    return (
        not isinstance(element.tag, str)
        or element.tag in _DROPPED
        or "hidden" in element.attrib
        or bool(_HIDDEN.search(element.get("style", "")))
    )
