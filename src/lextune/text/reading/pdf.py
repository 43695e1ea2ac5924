"""PDF by PDFium: the text of each page, forms filled in, line ends and hyphens made plain; scans told apart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pypdfium2
from pypdfium2 import raw

from lextune.core.errors import DocumentError
from lextune.text.reading.base import Limits, Parsed, check_characters, check_pages, damaged
from lextune.text.reading.pages import join_pages, plain, plain_hyphens

# A clause number whose distance to its first word PDFium did not take for a space: "11.2In return".
_GLUED = re.compile(
    r"^((?:\d{1,2}\.){1,4}\d{1,2}\.?|\((?:[a-z]{1,2}|[ivx]{1,5}|\d{1,2})\))(?=[A-Z]|[a-z]{2})", re.MULTILINE
)
STAMP = 200  # characters: a page with no more of them and a picture over half of it is a scan with a stamp on it
_HALF = 0.5
_OBJECTS = 200  # objects of a page that are looked at; a scan has few


def parse_pdf(data: bytes, limits: Limits) -> Parsed:
    """Return the text of a PDF; each page's span ends where the next one's begins.

    A page that shows something and has no text, or hardly any beside a picture, is listed in `scans`.

    Raises:
        DocumentError: encrypted, damaged, or over a limit.
    """
    pdf = open_pdf(data)
    check_pages(len(pdf), limits)
    texts: list[str] = []
    scans: list[int] = []
    total = 0
    for number, (text, scan) in enumerate(_read_pages(pdf)):
        texts.append(text)
        if scan:
            scans.append(number)
        total += len(text) + 1
        check_characters(total - 1, limits)
    return join_pages(plain_hyphens(texts), scans)


def open_pdf(data: bytes) -> Any:
    """Open a PDF, its forms ready to be drawn.

    Raises:
        DocumentError: encrypted, or damaged.
    """
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


def _read_pages(pdf: Any) -> Iterator[tuple[str, bool]]:
    """Yield the text of each page and whether it is a scan; one page is held in memory at a time."""
    for number in range(len(pdf)):
        try:
            page = pdf[number]
            if page.formenv is not None:
                page.flatten()  # what was typed into a form becomes text of the page
                page.close()
                page = pdf[number]
            textpage = page.get_textpage()
            text = _plain_page(textpage.get_text_range())
            textpage.close()
            scan = _is_scan(page, text)
            page.close()
        except pypdfium2.PdfiumError:
            raise damaged("PDF", f"page {number + 1} cannot be read") from None
        yield text, scan


def _plain_page(text: str) -> str:
    return _GLUED.sub(r"\1 ", plain(text)).strip()


def _is_scan(page: Any, text: str) -> bool:
    """Say whether a page shows what its text does not say."""
    count = raw.FPDFPage_CountObjects(page)
    if not text:
        return bool(count > 0)
    if len(text) > STAMP or count > _OBJECTS:
        return False
    images = page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=3)
    return any(_area(image.get_bounds()) > _HALF * _area(page.get_bbox()) for image in images)


def _area(box: tuple[float, float, float, float]) -> float:
    left, bottom, right, top = box
    return abs(right - left) * abs(top - bottom)
