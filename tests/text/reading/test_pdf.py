"""PDF: pages and their spans, forms, hyphens, encryption, scans, damage."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pypdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reportlab.pdfgen.canvas import Canvas

from lextune.core.errors import DocumentError
from lextune.text.reading import Limits, read_document
from lextune.text.reading.base import Parsed
from lextune.text.reading.pages import join_pages, plain_hyphens
from lextune.text.reading.pdf import _plain_page, parse_pdf

Pdf = Callable[[list[str]], bytes]


def refusal(data: bytes) -> str:
    with pytest.raises(DocumentError) as caught:
        parse_pdf(data, Limits())
    return str(caught.value)


def test_pages_are_joined_and_their_spans_cover_the_text(pdf_of: Pdf) -> None:
    document = read_document(pdf_of(["SUPPLY AGREEMENT\nbetween A and B", "", "Signed"]), name="a.pdf")
    assert document.text == "SUPPLY AGREEMENT\nbetween A and B\n\nSigned"
    assert [document.text[page.start : page.end] for page in document.pages] == [
        "SUPPLY AGREEMENT\nbetween A and B\n",
        "\n",
        "Signed",
    ]
    assert document.page_of(0) == 1
    assert document.page_of(document.text.index("Signed")) == 3


@given(st.lists(st.text("ab \n", max_size=8), min_size=1, max_size=6))
@settings(max_examples=60)
def test_spans_of_any_pages(texts: list[str]) -> None:
    parsed: Parsed = join_pages(texts)
    assert parsed.text == "\n".join(texts)
    assert parsed.pages[0][0] == 0
    assert parsed.pages[-1][1] == len(parsed.text)
    for (start, end), after, text in zip(parsed.pages, [*parsed.pages[1:], None], texts, strict=True):
        assert parsed.text[start:end].removesuffix("\n" if after else "") == text
        assert after is None or after[0] == end


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("one\r\ntwo\rthree", "one\ntwo\nthree"),
        ("no-break\u00a0space and soft\u00ad hyphen", "no-break space and soft hyphen"),
        ("con\ufb01dential", "confidential"),
        ("a Greek question mark\u037e as semicolon", "a Greek question mark; as semicolon"),
        ("Cafe\u0301", "Café"),
        ("11.2In return\n11.2.1keep\n(iii)information", "11.2 In return\n11.2.1 keep\n(iii) information"),
        ("11.25 and 2.5% and (a), (b)", "11.25 and 2.5% and (a), (b)"),
        ("  page  ", "page"),
    ],
)
def test_characters_are_made_plain(raw: str, expected: str) -> None:
    assert _plain_page(raw) == expected


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["out\ufffeof\ufffescope"], ["out-of-scope"]),
        (["this agree\ufffement", "The Agreement"], ["this agreement", "The Agreement"]),
        (["co\ufffeop", "a coop", "a co-op"], ["co-op", "a coop", "a co-op"]),
        (["1999\ufffe"], ["1999-"]),
        (["nothing"], ["nothing"]),
    ],
)
def test_hyphens_at_line_ends(texts: list[str], expected: list[str]) -> None:
    assert plain_hyphens(texts) == expected


def test_what_was_typed_into_a_form_is_text() -> None:
    stream = io.BytesIO()
    canvas = Canvas(stream)
    canvas.drawString(72, 700, "Governing law:")
    canvas.acroForm.textfield(name="law", value="Utopian law", x=200, y=690, width=200, height=20)
    canvas.save()
    parsed = parse_pdf(stream.getvalue(), Limits())
    assert "Governing law:" in parsed.text
    assert "Utopian law" in parsed.text


def encrypted(data: bytes, user: str, owner: str) -> bytes:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(data))
    writer.encrypt(user, owner, algorithm="RC4-128")
    stream = io.BytesIO()
    writer.write(stream)
    return stream.getvalue()


def test_a_password_is_asked_for(pdf_of: Pdf) -> None:
    with pytest.raises(DocumentError) as caught:
        read_document(encrypted(pdf_of(["secret"]), "user", "owner"), name="a.pdf")
    assert str(caught.value) == (
        "a.pdf: the PDF is encrypted and needs a password\n  -> save a copy without a password"
    )


def test_a_pdf_that_opens_without_a_password_is_read(pdf_of: Pdf) -> None:
    assert parse_pdf(encrypted(pdf_of(["open to all"]), "", "owner"), Limits()).text == "open to all"


def test_pages_without_text_are_refused_unless_they_are_pictures(pdf_of: Pdf, scan_of: Callable[..., bytes]) -> None:
    with pytest.raises(DocumentError, match="the document has no text"):
        read_document(pdf_of(["", ""]))
    with pytest.raises(DocumentError) as caught:
        read_document(scan_of(pdf_of(["one", "two"]), 50), name="a.pdf")
    assert str(caught.value) == (
        "a.pdf: none of its 2 pages has any text: this is probably a scan, and recognising text in images is off\n"
        "  -> give a document with a text layer, which ocrmypdf makes; `lextune data import --ocr eng`, "
        "and ocr=True in Python, recognise text themselves"
    )
    with pytest.raises(DocumentError, match="its only page has no text"):
        read_document(scan_of(pdf_of(["one"]), 50))


def test_pages_that_are_pictures_are_named(pdf_of: Pdf, scan_of: Callable[..., bytes]) -> None:
    """A page of a scan may carry a stamp in text; a page of text may carry a small picture."""
    pages = [pdf_of(["A page of text."]), scan_of(pdf_of(["scanned"]), 50), scan_of(pdf_of(["signed"]), 50, "Stamp 7")]
    writer = pypdf.PdfWriter()
    for page in [*pages, pdf_of([""])]:
        writer.append(io.BytesIO(page))
    stream = io.BytesIO()
    writer.write(stream)
    document = read_document(stream.getvalue(), name="a.pdf")
    assert document.tags == {"scanned_pages": "2 3"}
    assert document.text == "A page of text.\n\nStamp 7\n"


def test_damaged_files_are_refused(pdf_of: Pdf) -> None:
    assert "this PDF file is damaged (PDFium cannot open it)" in refusal(pdf_of(["x"])[:300])
    assert "damaged" in refusal(b"%PDF-1.7\n" + bytes(range(256)) * 10)


def test_a_page_that_cannot_be_read_is_named() -> None:
    objects = b"1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 2>>endobj "
    page = b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj trailer<</Root 1 0 R>>"
    assert "damaged (page 2 cannot be read)" in refusal(b"%PDF-1.4\n" + objects + page)


@given(st.integers(0, 2_000), st.binary(min_size=1, max_size=8))
@settings(max_examples=60)
def test_any_damage_gives_text_or_a_refusal(pdf_of: Pdf, place: int, junk: bytes) -> None:
    data = pdf_of(["One page of a contract."])
    place %= len(data)
    try:
        parsed = parse_pdf(data[:place] + junk + data[place + len(junk) :], Limits())
    except DocumentError as error:
        assert error.do  # noqa: PT017
    else:
        assert parsed.pages[-1][1] == len(parsed.text)


def test_real_contracts(cuad_dir: Path) -> None:
    """Against CUAD's own text: quotation marks and dashes were made plain there, and page numbers kept."""
    name = "INTERNATIONALFASTFOODCORP_04_04_1997-EX-99-FRANCHISE AGREEMENT"
    document = read_document(cuad_dir / "full_contract_pdf" / f"{name}.PDF")
    theirs = (cuad_dir / "full_contract_txt" / f"{name}.txt").read_text(encoding="utf-8")
    ours, theirs_set = shingles(document.text), shingles(theirs)
    assert len(document.pages) == 27
    assert len(ours & theirs_set) / len(theirs_set) > 0.99


def shingles(text: str, size: int = 8) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[start : start + size]) for start in range(len(words) - size + 1)}


def test_every_shared_pdf_is_read(cuad_dir: Path) -> None:
    for path in sorted((cuad_dir / "full_contract_pdf").iterdir()):
        document = read_document(path)
        assert len(document.text) > 1_000
        assert document.pages[-1].end == len(document.text)
        assert not {"\r", "\u00a0", "\ufffe", "\u037e"} & set(document.text)
