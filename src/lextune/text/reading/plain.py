"""TXT: the file's UTF-8 decoding. Newlines stay as they are; only a byte order mark is dropped."""

from __future__ import annotations

from lextune.core.errors import DocumentError
from lextune.text.reading.base import Limits, Parsed, check_characters
from lextune.text.reading.sniff import UTF8_BOM, UTF16_BOMS


def parse_txt(data: bytes, limits: Limits) -> Parsed:
    """Decode a text file.

    Raises:
        DocumentError: not UTF-8 (with the offset of the first wrong byte), or over the character limit.
    """
    skipped = len(UTF8_BOM) if data.startswith(UTF8_BOM) else 0
    try:
        text = data[skipped:].decode("utf-8")
    except UnicodeDecodeError as error:
        offset = skipped + error.start
        encoding = UTF16_BOMS.get(data[:2], "WINDOWS-1252")
        raise DocumentError(
            f"not UTF-8: byte 0x{data[offset]:02x} at offset {offset}",
            do=f"convert it, probably with `iconv -f {encoding} -t UTF-8 IN.txt > OUT.txt`",
        ) from None
    check_characters(len(text), limits)
    return Parsed(text)
