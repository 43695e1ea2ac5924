"""What a file is, told from its bytes; the extension decides only where the bytes do not."""

from __future__ import annotations

import re
from pathlib import PurePath

from lextune.core.errors import DocumentError
from lextune.text.reading.base import SUPPORTED, Kind

HEAD = 4096  # bytes looked at
UTF8_BOM = b"\xef\xbb\xbf"
UTF16_BOMS = {b"\xff\xfe": "UTF-16LE", b"\xfe\xff": "UTF-16BE"}
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_IMAGES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\x00", b"MM\x00*")
_COMMENT = re.compile(r"<!--.*?-->|<\?xml[^>]*>", re.DOTALL)
_HTML_START = re.compile(r"\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
# A header line of a mail; and one that programs write and letters and memos, which begin alike, do not have.
_MAIL_HEADER = re.compile(rb"(?:From [^\r\n]*\r?\n)?[!-9;-~]{1,70}:[ \t\r\n]")
_MACHINE_HEADER = re.compile(
    rb"^(?:message-id|mime-version|received|return-path|delivered-to|dkim-signature|x-mailer):", re.MULTILINE | re.I
)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def sniff(data: bytes, name: str) -> Kind:
    """Return the kind of document that `data` holds; `name` is its file name.

    Raises:
        DocumentError: none of the supported kinds.
    """
    suffix = PurePath(name).suffix.lower()
    if _is_pdf(data, suffix):
        return "pdf"
    if data.startswith(_ZIP):
        return "docx"  # or another zip archive: told apart where it is unpacked, in the child
    _refuse_known(data, suffix)
    if data.startswith(_IMAGES):
        return "image"
    if _is_mail(data, suffix):
        return "eml"
    if _HTML_START.match(_COMMENT.sub("", _decoded_head(data))) or suffix in (".html", ".htm", ".xhtml"):
        return "html"
    if suffix == ".txt" or not _is_binary(data):
        return "txt"
    raise _unsupported("the file is none of the kinds lextune reads")


def _is_pdf(data: bytes, suffix: str) -> bool:
    """Readers accept a PDF whose header stands anywhere in the first 1,024 bytes; a text may quote one."""
    head = data[:1024]
    return head.lstrip().startswith(b"%PDF-") or (b"%PDF-" in head and suffix == ".pdf")


def _is_mail(data: bytes, suffix: str) -> bool:
    """A text file stays one: a memo begins like a mail, and a mail that was saved as text is read as it stands."""
    if suffix == ".txt" or not _MAIL_HEADER.match(data.removeprefix(UTF8_BOM)):
        return suffix == ".eml"
    head = data[:HEAD].replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    return suffix == ".eml" or _MACHINE_HEADER.search(head) is not None


def _refuse_known(data: bytes, suffix: str) -> None:
    if data.startswith(_OLE) and suffix == ".msg":
        raise _unsupported("an Outlook message (.msg)", "save it as .eml")
    if data.startswith(_OLE):
        raise _unsupported(
            "an old Word file (.doc), or a Word file with a password", "save it as .docx without a password"
        )
    if data.startswith(b"{\\rtf"):
        raise _unsupported("an RTF file", "save it as .docx")


def _decoded_head(data: bytes) -> str:
    encoding = UTF16_BOMS.get(data[:2], "utf-8")
    return data[:HEAD].decode(encoding, errors="replace").lstrip("\ufeff")


def _is_binary(data: bytes) -> bool:
    return data[:2] not in UTF16_BOMS and _CONTROL.search(data[:HEAD]) is not None


def _unsupported(what: str, do: str | None = None) -> DocumentError:
    advice = f"{do}; lextune reads {SUPPORTED}" if do else f"give one of {SUPPORTED}"
    return DocumentError(what, do=advice)
