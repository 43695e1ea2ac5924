"""Builders of small documents, so that no test needs a file that is not its own."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable

import docx
import pypdfium2
import pytest
from docx.document import Document as WordDocument
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas


def make_pdf(pages: list[str]) -> bytes:
    """A PDF with these pages; each line of a page is one line of text."""
    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=A4)
    for page in pages:
        for number, line in enumerate(page.split("\n")):
            canvas.drawString(72, 770 - 15 * number, line)
        canvas.showPage()
    canvas.save()
    return stream.getvalue()


def make_raw_pdf(content: bytes) -> bytes:
    """A one-page PDF whose page has this content stream, written by hand so that it may be hostile."""
    packed = zlib.compress(content, 9)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d/Filter/FlateDecode>>stream\n%s\nendstream" % (len(packed), packed),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    body = b"%PDF-1.4\n" + b"".join(b"%d 0 obj\n%s\nendobj\n" % item for item in enumerate(objects, start=1))
    return body + b"trailer<</Size 6/Root 1 0 R>>\n%%EOF"


def make_scan(pdf: bytes, dpi: int, stamp: str = "") -> bytes:
    """The PDF that a scanner would make of the pages of another; `stamp` is text on each."""
    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=A4)
    for page in pypdfium2.PdfDocument(pdf):
        picture = io.BytesIO()
        page.render(scale=dpi / 72).to_pil().convert("L").save(picture, "JPEG", quality=80)
        canvas.drawImage(ImageReader(picture), 0, 0, *A4)
        canvas.drawString(72, 20, stamp)
        canvas.showPage()
    canvas.save()
    return stream.getvalue()


def make_docx(build: Callable[[WordDocument], None]) -> bytes:
    """A Word document, as `build` fills it."""
    document = docx.Document()
    build(document)
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


@pytest.fixture(scope="session")
def pdf_of() -> Callable[[list[str]], bytes]:
    return make_pdf


@pytest.fixture(scope="session")
def raw_pdf_of() -> Callable[[bytes], bytes]:
    return make_raw_pdf


@pytest.fixture(scope="session")
def scan_of() -> Callable[..., bytes]:
    return make_scan


@pytest.fixture(scope="session")
def docx_of() -> Callable[[Callable[[WordDocument], None]], bytes]:
    return make_docx
