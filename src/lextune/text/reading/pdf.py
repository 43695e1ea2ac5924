"""PDF by PDFium: the text of each page, forms filled in, line ends and hyphens made plain."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

import pypdfium2
from pypdfium2 import raw

from lextune.core.errors import DocumentError
from lextune.text.reading.base import Limits, Parsed, check_characters, damaged

# PDFium marks a hyphen at the end of a line whose word goes on in the next one, and joins the two lines.
_MARK = "\ufffe"
_HYPHENATED = re.compile(rf"(\w+){_MARK}(\w+)")
_WORD = re.compile(r"\w+(?:-\w+)*")
# A clause number whose distance to its first word PDFium did not take for a space: "11.2In return".
_GLUED = re.compile(
    r"^((?:\d{1,2}\.){1,4}\d{1,2}\.?|\((?:[a-z]{1,2}|[ivx]{1,5}|\d{1,2})\))(?=[A-Z]|[a-z]{2})", re.MULTILINE
)
_LIGATURES = {"\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl"}
_PLAIN = str.maketrans({"\r": "\n", "\u00a0": " ", "\u0002": _MARK, "\u00ad": None, "\0": None} | _LIGATURES)


def parse_pdf(data: bytes, limits: Limits) -> Parsed:
    """Return the text of a PDF; each page's span ends where the next one's begins.

    Raises:
        DocumentError: encrypted, damaged, without text on any page, or over a limit.
    """
    pdf = _open(data)
    if len(pdf) > limits.max_pages:
        raise DocumentError(
            f"the document has {len(pdf):,} pages, more than {limits.max_pages:,}",
            do="split the document, or raise the limit max_pages",
        )
    texts: list[str] = []
    total = 0
    for text in _page_texts(pdf):
        texts.append(text)
        total += len(text) + 1
        check_characters(total - 1, limits)
    if not any(texts):
        pages = "its only page has no" if len(texts) == 1 else f"none of its {len(texts)} pages has any"
        raise DocumentError(
            f"{pages} text: this is probably a scan, and recognising text in images is not available",
            do="give a PDF with a text layer (run it through an OCR program first)",
        )
    return _join(_plain_hyphens(texts))


def _open(data: bytes) -> Any:
    try:
        pdf = pypdfium2.PdfDocument(data)
        if pdf.get_formtype() in (raw.FORMTYPE_ACRO_FORM, raw.FORMTYPE_XFA_FOREGROUND):
            pdf.init_forms()
    except pypdfium2.PdfiumError as error:
        if error.err_code in (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY):
            raise DocumentError(
                "the PDF is encrypted and needs a password", do="save a copy without a password"
            ) from None
        raise damaged("PDF", "PDFium cannot open it") from None
    return pdf


def _page_texts(pdf: Any) -> Iterator[str]:
    """Yield the text of each page; one page is held in memory at a time."""
    for number in range(len(pdf)):
        try:
            page = pdf[number]
            if page.formenv is not None:
                page.flatten()  # what was typed into a form becomes text of the page
                page.close()
                page = pdf[number]
            textpage = page.get_textpage()
            text = textpage.get_text_range()
            textpage.close()
            page.close()
        except pypdfium2.PdfiumError:
            raise damaged("PDF", f"page {number + 1} cannot be read") from None
        yield _plain(text)


def _plain(text: str) -> str:
    """Normalise one page: newlines, no-break spaces, ligatures, NFC (PDFs write U+037E for a semicolon)."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").translate(_PLAIN))
    return _GLUED.sub(r"\1 ", text).strip()


def _plain_hyphens(texts: list[str]) -> list[str]:
    """Replace every marked line-end hyphen: by a hyphen, or by nothing where the word is known without it.

    Contracts break lines at hyphens that belong to the word ("out-of-scope"), so the hyphen stays, unless the
    joined word stands elsewhere in this document and the hyphenated one does not.
    """
    if not any(_MARK in text for text in texts):
        return texts
    words = {word.lower() for text in texts for word in _WORD.findall(text)}

    def plain(match: re.Match[str]) -> str:
        left, right = match.groups()
        joined, hyphenated = left + right, f"{left}-{right}"
        return joined if joined.lower() in words and hyphenated.lower() not in words else hyphenated

    return [_HYPHENATED.sub(plain, text).replace(_MARK, "-") for text in texts]


def _join(texts: list[str]) -> Parsed:
    """Join the pages with newlines; the newline belongs to the page before it."""
    pages: list[tuple[int, int]] = []
    start = 0
    for text in texts:
        end = start + len(text) + 1
        pages.append((start, end))
        start = end
    pages[-1] = (pages[-1][0], pages[-1][1] - 1)
    return Parsed("\n".join(texts), tuple(pages))
