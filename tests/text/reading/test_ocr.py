"""Scans: pictures of pages become text with a page map and confidences; limits and missing programs are told."""

from __future__ import annotations

import importlib.util
import io
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image
from rapidfuzz.distance import Levenshtein

from lextune.core.errors import DocumentError, MachineError
from lextune.text.reading import Limits, Ocr, raster, read_document
from lextune.text.reading.raster import draw_image_page, draw_pdf_page, parse_image, turn

Pdf = Callable[[list[str]], bytes]
Scan = Callable[..., bytes]
FEW = Ocr(workers=2)

needs_tesseract = pytest.mark.skipif(
    shutil.which("tesseract") is None, reason="tesseract is not installed (apt-get install tesseract-ocr)"
)
PAGES = [
    "MASTER SUPPLY AGREEMENT\n"
    "This Agreement is made on 14 March 2021 (the “Effective Date”) between\n"
    "Northwind Paper Limited (“Supplier”) and Bluebell Foods plc (“Buyer”).\n"
    "1. Term. This Agreement begins on the Effective Date and continues for\n"
    "thirty-six (36) months, unless terminated earlier under Section 9.2.\n"
    "2. Price. Buyer shall pay EUR 1,250.75 for each tonne, plus VAT at 19%.\n"
    "3. Payment. Invoices are due within 45 days of receipt; late amounts bear\n"
    "interest at 8.5% per annum from the due date until they are paid in full.",
    "4. Governing Law. The laws of England and Wales govern this Agreement.\n"
    "5. Notices. Notices go to 27 Harbour Street, Bristol BS1 4QA, by courier.\n"
    "6. Liability. Neither party is liable for more than GBP 500,000 in total,\n"
    "except for death, personal injury, fraud, or breach of Section 7(b)(ii).",
]  # fmt: skip


def error_rate(expected: str, got: str) -> float:
    """Edits to a character of the expected text; white space collapsed in both."""
    return Levenshtein.distance(" ".join(expected.split()), " ".join(got.split())) / len(" ".join(expected.split()))


@needs_tesseract
@pytest.mark.parametrize("dpi", [200, pytest.param(300, marks=pytest.mark.slow)])
def test_a_scan_reads_like_the_text_it_was_made_from(pdf_of: Pdf, scan_of: Scan, dpi: int) -> None:
    document = read_document(scan_of(pdf_of(PAGES), dpi), name="scan.pdf", ocr=FEW)
    assert len(document.pages) == 2
    for span, expected in zip(document.pages, PAGES, strict=True):
        assert error_rate(expected, document.text[span.start : span.end]) <= 0.02
    assert document.pages[-1].end == len(document.text)
    assert document.page_of(document.text.index("Governing")) == 2
    assert 0.8 < float(document.tags["ocr_confidence"]) <= 1
    first, second = document.tags["ocr_page_confidence"].split(" ")
    assert first.startswith("1:0.")
    assert second.startswith("2:0.")


@needs_tesseract
@pytest.mark.slow
def test_pages_that_lie_on_their_side_and_image_files(pdf_of: Pdf) -> None:
    """TIFF holds both pages: one upside down, one turned."""
    upright = [page.render(scale=200 / 72).to_pil().convert("L") for page in pypdfium2.PdfDocument(pdf_of(PAGES))]
    stream = io.BytesIO()
    turned = [upright[0].rotate(180), upright[1].rotate(90, expand=True)]
    turned[0].save(stream, "TIFF", save_all=True, append_images=turned[1:], compression="tiff_lzw")
    document = read_document(stream.getvalue(), name="scan.tiff", ocr=FEW)
    for span, expected in zip(document.pages, PAGES, strict=True):
        assert error_rate(expected, document.text[span.start : span.end]) <= 0.02


@needs_tesseract
@pytest.mark.slow
def test_a_scan_of_a_real_contract(cuad_dir: Path, scan_of: Scan) -> None:
    data = next((cuad_dir / "full_contract_pdf").glob("BNLFINANCIAL*")).read_bytes()
    pdf = pypdfium2.PdfDocument(data)
    few = pypdfium2.PdfDocument.new()
    few.import_pages(pdf, list(range(3)))
    stream = io.BytesIO()
    few.save(stream)
    text = read_document(stream.getvalue(), name="a.pdf").text
    assert error_rate(text, read_document(scan_of(stream.getvalue(), 200), name="b.pdf", ocr=FEW).text) <= 0.02


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a tesseract on the path that knows English and answers as a line of shell says."""

    def make(answer: str) -> None:
        program = tmp_path / "tesseract"
        languages = 'if [ "$1" = --list-langs ]; then printf "List:\\neng\\nfra\\n"; exit; fi'
        program.write_text(f"#!/bin/sh\n{languages}\n/bin/cat > /dev/null\n{answer}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return make


def say(*words: str, confidence: int = 90) -> str:
    rows = [f"5\\t1\\t1\\t1\\t1\\t{n}\\t0\\t0\\t9\\t9\\t{confidence}\\t{word}\\n" for n, word in enumerate(words)]
    return f"printf '{''.join(rows)}'"


def refusal(data: bytes, ocr: Ocr = FEW, limits: Limits = Limits()) -> str:  # noqa: B008
    with pytest.raises(DocumentError) as caught:
        read_document(data, name="a.pdf", limits=limits, ocr=ocr)
    return str(caught.value)


def test_only_pages_that_are_pictures_are_recognised(pdf_of: Pdf, scan_of: Scan, fake: Callable[[str], None]) -> None:
    import pypdf

    writer = pypdf.PdfWriter()
    for data in (pdf_of(["Page of text."]), scan_of(pdf_of(["x"]), 50), pdf_of([""])):
        writer.append(io.BytesIO(data))
    stream = io.BytesIO()
    writer.write(stream)
    fake(say("Scanned", "words"))
    document = read_document(stream.getvalue(), name="a.pdf", ocr=True)
    assert document.text == "Page of text.\nScanned words\n"
    assert document.tags == {"ocr_confidence": "0.90", "ocr_page_confidence": "2:0.90"}
    assert document.page_of(document.text.index("words")) == 2


def test_recognition_is_not_needed_for_text(pdf_of: Pdf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert read_document(pdf_of(["text"]), name="a.pdf", ocr=True).tags == {}
    assert read_document(b"text", name="a.txt", ocr=True).tags == {}


def test_what_is_not_installed_is_named(
    pdf_of: Pdf, scan_of: Scan, fake: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = scan_of(pdf_of(["x"]), 50)
    fake("exit 0")
    with pytest.raises(MachineError, match=r"no data for the language 'deu'\n  -> install it .*use one of eng, fra"):
        read_document(scan, name="a.pdf", ocr=Ocr(languages="eng+deu"))
    with pytest.raises(MachineError, match="no data for the language ''"):
        read_document(scan, name="a.pdf", ocr=Ocr(languages=""))
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(
            MachineError, match=r"reading image files needs Pillow\n  -> run `pip install lextune\[ocr\]`"
        ):
            read_document(png(Image.new("L", (9, 9))), name="a.png", ocr=True)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(
        MachineError, match=r"tesseract, which is not installed\n  -> install it: `apt-get install tess"
    ):
        read_document(scan, name="a.pdf", ocr=True)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("exit 0", "no text was recognised on its only page\n  -> look at the scan"),
        ("echo 'Error: no memory' >&2; exit 1", "page 1: tesseract gave up: 'Error: no memory'\n  -> scan the page"),
        ("kill -SEGV $$", "page 1: the document stopped its parser (SIGSEGV)"),
        (say("eleven", "chars"), "longer than 9 characters"),
    ],
)
def test_refusals(answer: str, message: str, pdf_of: Pdf, scan_of: Scan, fake: Callable[[str], None]) -> None:
    fake(answer)
    assert message in refusal(scan_of(pdf_of(["x"]), 50), limits=Limits(max_characters=9))


def test_limits_of_pages_and_time(pdf_of: Pdf, scan_of: Scan, fake: Callable[[str], None]) -> None:
    scan = scan_of(pdf_of(["x"] * 3), 50)
    fake("exec /bin/sleep 60")
    assert "the document has 3 scanned pages, more than 2\n  -> split" in refusal(scan, Ocr(max_pages=2))
    start = time.monotonic()
    assert "page 1: reading it takes more than 0.5 seconds" in refusal(scan, Ocr(page_seconds=0.5, workers=1))
    assert time.monotonic() - start < 5


def test_a_page_read_with_doubt_is_turned(pdf_of: Pdf, scan_of: Scan, fake: Callable[[str], None]) -> None:
    """Where the program cannot tell orientations (it has no such data), the page stays as it is."""
    fake(say("faint", confidence=30))
    assert read_document(scan_of(pdf_of(["x"]), 50), name="a.pdf", ocr=True).tags["ocr_confidence"] == "0.30"


def png(image: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)
    return stream.getvalue()


def pixels(pgm: bytes) -> list[list[int]]:
    head, _, grey = pgm.partition(b"\n")
    width, height = map(int, head.split()[1:3])
    assert len(grey) == width * height
    return [list(grey[start : start + width]) for start in range(0, len(grey), width)]


def test_pictures_are_turned_clockwise() -> None:
    picture = b"P5 3 2 255\n" + bytes([1, 2, 3, 4, 5, 6])
    assert pixels(turn(picture, 90)) == [[4, 1], [5, 2], [6, 3]]
    assert pixels(turn(picture, 180)) == [[6, 5, 4], [3, 2, 1]]
    assert pixels(turn(picture, 270)) == [[3, 6], [2, 5], [1, 4]]


def test_pages_of_a_pdf_are_drawn_within_a_limit(pdf_of: Pdf, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = pixels(draw_pdf_page(pdf_of(["one", "x"]), 1, 72))
    assert (len(drawn[0]), len(drawn)) == (596, 842)  # A4 in points
    assert min(map(min, drawn)) < 128 < max(map(max, drawn))
    monkeypatch.setattr(raster, "MAX_PIXELS", 10_000)
    assert len(draw_pdf_page(pdf_of(["one"]), 0, 300)) < 10_500
    with pytest.raises(DocumentError, match=r"page 8 cannot be drawn"):
        draw_pdf_page(pdf_of(["one"]), 7, 72)


def test_image_files(monkeypatch: pytest.MonkeyPatch) -> None:
    half = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    half.putpixel((0, 0), (0, 0, 0, 255))
    assert pixels(draw_image_page(png(half), 0)) == [[0, 255]]  # what is transparent is paper
    exif = Image.Exif()
    exif[0x0112] = 3  # held upside down
    assert pixels(draw_image_page(png(half, exif=exif), 0)) == [[255, 0]]
    assert parse_image(png(half), Limits()) == ("", ((0, 0),), (0,))
    for data in (b"\x89PNG\r\n\x1a\n", png(half)[:40]):
        with pytest.raises(DocumentError, match="this image file is damaged"):
            draw_image_page(data, 0)
    monkeypatch.setattr(raster, "MAX_PIXELS", 1)
    with pytest.raises(DocumentError, match=r"has 2 x 1 pixels, more than 1\n  -> scan it again at 300"):
        parse_image(png(half), Limits())
