"""DOCX: everything a reader of the page sees, in order; zip bombs and other archives refused."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable

import pytest
from docx.document import Document as WordDocument
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from docx.text.paragraph import Paragraph

from lextune.core.errors import DocumentError
from lextune.text.reading import Limits, read_document, word
from lextune.text.reading.word import check_archive, parse_docx

Docx = Callable[[Callable[[WordDocument], None]], bytes]
RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"
P = "<w:p><w:r><w:t>{}</w:t></w:r></w:p>"


def insert(paragraph: Paragraph, xml: str) -> None:
    """Append an element to a paragraph; `xml` may use the prefix w."""
    paragraph._p.append(parse_xml(xml.replace(">", f" {nsdecls('w')}>", 1)))


def refusal(data: bytes) -> str:
    with pytest.raises(DocumentError) as caught:
        parse_docx(data, Limits())
    return str(caught.value)


def test_paragraphs_headings_and_tables_in_order(docx_of: Docx) -> None:
    def build(document: WordDocument) -> None:
        document.add_heading("LEASE AGREEMENT", 0)
        document.add_paragraph("between A and B")
        table = document.add_table(2, 2)
        for cell, text in zip(table._cells, ["Rent", "EUR\u00a0900", "Deutsch\nzwei", "English"], strict=True):
            cell.text = text
        document.add_paragraph("Signed\ton a day")

    document = read_document(docx_of(build), name="Lease.docx")
    assert document.text.split("\n\n") == [
        "LEASE AGREEMENT",
        "between A and B",
        "Rent\tEUR 900",
        "Deutsch\nzwei",
        "English",
        "Signed\ton a day",
    ]
    assert document.pages == ()


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        ('<w:ins w:id="1" w:author="a"><w:r><w:t>inserted</w:t></w:r></w:ins>', "Text inserted"),
        ('<w:del w:id="1" w:author="a"><w:r><w:delText>deleted</w:delText></w:r></w:del>', "Text"),
        ('<w:moveFrom w:id="1" w:author="a"><w:r><w:t>moved away</w:t></w:r></w:moveFrom>', "Text"),
        ("<w:sdt><w:sdtContent><w:r><w:t>ACME Ltd</w:t></w:r></w:sdtContent></w:sdt>", "Text ACME Ltd"),
        ('<w:hyperlink w:anchor="x"><w:r><w:t>a link</w:t></w:r></w:hyperlink>', "Text a link"),
        ("<w:r><w:t>Non</w:t><w:noBreakHyphen/><w:t>Disclosure</w:t></w:r>", "Text Non-Disclosure"),
        ("<w:r><w:t>one</w:t><w:br/><w:t>two</w:t></w:r>", "Text one\ntwo"),
        ("<w:r><w:instrText>PAGEREF x</w:instrText></w:r>", "Text"),
        ("<w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r>", "Text"),
        ('<w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t>shown</w:t></w:r>', "Text shown"),
        ('<w:r><w:sym w:font="Wingdings" w:char="F0FE"/><w:t> yes</w:t></w:r>', "Text ☒ yes"),
        (
            f"<w:r><w:pict><w:txbxContent>{P.format('a box')}</w:txbxContent></w:pict></w:r>",
            "Text\n\na box",
        ),
    ],
)
def test_what_python_docx_would_leave_out_or_show(docx_of: Docx, xml: str, expected: str) -> None:
    data = docx_of(lambda document: insert(document.add_paragraph("Text "), xml))
    assert parse_docx(data, Limits()).text == expected


def marked(text: str, mark: str = "", numbered: bool = False) -> str:
    """A paragraph whose end may have a tracked change."""
    number = '<w:pStyle w:val="ListNumber"/>' if numbered else ""
    end = f'<w:rPr><w:{mark} w:id="1" w:author="a"/></w:rPr>' if mark else ""
    return f"<w:p><w:pPr>{number}{end}</w:pPr>{text}</w:p>"


def run(text: str, change: str = "") -> str:
    """A run of text, which may be a tracked change."""
    written = "delText" if change == "del" else "t"
    made = f'<w:r><w:{written} xml:space="preserve">{text}</w:{written}></w:r>'
    return f'<w:{change} w:id="1" w:author="a">{made}</w:{change}>' if change else made


TABLE = f"<w:tbl><w:tr><w:tc>{marked(run('Ce'), 'del')}{marked(run('ll'))}</w:tc></w:tr></w:tbl>"


@pytest.mark.parametrize(
    ("paragraphs", "expected", "reason"),
    [
        (
            [
                marked(run("First"), numbered=True),
                marked(run("Gone", "del"), "del", numbered=True),
                marked(run("Second"), numbered=True),
            ],
            ["1. First", "2. Second"],
            "a deleted paragraph is not counted",
        ),
        (
            [marked(run("Away", "moveFrom"), "moveFrom", numbered=True), marked(run("Here", "moveTo"), numbered=True)],
            ["1. Here"],
            "nor is one that was moved away",
        ),
        (
            [marked(run("One"), "ins", numbered=True), marked(run("Two"), numbered=True)],
            ["1. One", "2. Two"],
            "an inserted one is",
        ),
        (
            [
                marked(run("This Agreement shall be "), "del"),
                marked(run("gone", "del"), "del"),
                '<w:bookmarkEnd w:id="3"/>',
                marked(run("governed by law.")),
            ],
            ["This Agreement shall be governed by law."],
            "what a deleted end parted is one",
        ),
        (
            [
                marked(run("One "), "del", numbered=True),
                marked(run("and two"), numbered=True),
                marked(run("3"), numbered=True),
            ],
            ["1. One and two", "2. 3"],
            "and counted once",
        ),
        (
            [marked(run("Before"), "del"), TABLE, marked(run("after"), "del")],
            ["Before", "Cell", "after"],
            "with nothing to join",
        ),
    ],
)
def test_paragraphs_whose_end_is_deleted(
    docx_of: Docx, paragraphs: list[str], expected: list[str], reason: str
) -> None:
    def build(document: WordDocument) -> None:
        for place, paragraph in enumerate(paragraphs):
            document.element.body.insert(place, parse_xml(re.sub(r"(?=/?>)", f" {nsdecls('w')}", paragraph, count=1)))

    assert parse_docx(docx_of(build), Limits()).text.split("\n\n") == expected, reason


def test_content_controls_around_paragraphs_and_rows(docx_of: Docx) -> None:
    def build(document: WordDocument) -> None:
        inner, cell = P.format("In a control"), f"<w:tc>{P.format('Cell')}</w:tc>"
        row = f"<w:tr>{cell}</w:tr>"
        gone = f'<w:tr><w:trPr><w:del w:id="1" w:author="a"/></w:trPr>{cell}</w:tr>'
        body = document.element.body
        spaces = nsdecls("w")
        body.insert(0, parse_xml(f"<w:sdt {spaces}><w:sdtContent>{inner}</w:sdtContent></w:sdt>"))
        body.insert(1, parse_xml(f"<w:tbl {spaces}><w:sdt><w:sdtContent>{row}</w:sdtContent></w:sdt>{gone}</w:tbl>"))

    assert parse_docx(docx_of(build), Limits()).text == "In a control\n\nCell"


def test_footnotes_follow_the_text(docx_of: Docx) -> None:
    data = docx_of(lambda document: document.add_paragraph("Text"))
    notes = (
        f"<w:footnotes {nsdecls('w')}>"
        f'<w:footnote w:type="separator" w:id="0">{P.format("--")}</w:footnote>'
        f'<w:footnote w:id="1">{P.format("As amended.")}</w:footnote></w:footnotes>'
    )
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
    data = rewritten(
        data,
        {
            "word/footnotes.xml": lambda _: notes,
            "[Content_Types].xml": lambda xml: xml.replace(
                "</Types>", f'<Override PartName="/word/footnotes.xml" ContentType="{kind}"/></Types>'
            ),
            "word/_rels/document.xml.rels": lambda xml: xml.replace(
                "</Relationships>",
                f'<Relationship Id="rId99" Type="{RELATION}" Target="footnotes.xml"/></Relationships>',
            ),
        },
    )
    assert parse_docx(data, Limits()).text == "Text\n\nAs amended."


def rewritten(data: bytes, changes: dict[str, Callable[[str], str]]) -> bytes:
    """The archive with some of its members changed, or added."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(stream, "w") as target:
        for name in [*source.namelist(), *(set(changes) - set(source.namelist()))]:
            xml = source.read(name) if name in source.namelist() else b""
            target.writestr(name, changes[name](xml.decode()) if name in changes else xml)
    return stream.getvalue()


def test_documents_with_macros_are_read(docx_of: Docx) -> None:
    data = rewritten(
        docx_of(lambda document: document.add_paragraph("Text")),
        {
            "[Content_Types].xml": lambda xml: xml.replace(
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml",
                "application/vnd.ms-word.document.macroEnabled.main+xml",
            )
        },
    )
    assert parse_docx(data, Limits()).text == "Text"


def test_entities_are_not_expanded(docx_of: Docx) -> None:
    bomb = "<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;'>]>"
    data = rewritten(
        docx_of(lambda document: document.add_paragraph("Text")),
        {"word/document.xml": lambda xml: xml.replace("<w:document", bomb + "<w:document", 1).replace("Text", "T&b;")},
    )
    assert parse_docx(data, Limits()).text == "T"


def archive(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in members.items():
            target.writestr(name, content)
    return stream.getvalue()


def test_other_archives_are_refused(docx_of: Docx) -> None:
    assert "a zip archive that is not a Word document" in refusal(archive({"a.txt": b"x"}))
    sheet = rewritten(
        docx_of(lambda document: None),
        {"[Content_Types].xml": lambda xml: xml.replace("wordprocessingml.document.main", "spreadsheetml.sheet.main")},
    )
    assert "a zip archive that is not a Word document" in refusal(sheet)


def test_damaged_archives_are_refused(docx_of: Docx) -> None:
    data = docx_of(lambda document: document.add_paragraph("Text"))
    middle = data.index(b"word/document.xml") + 200
    for damage in (data[:-100], data[:middle] + bytes(50) + data[middle + 50 :]):
        assert "this DOCX file is damaged (it cannot be unpacked)" in refusal(damage)
    cut = rewritten(data, {"word/document.xml": lambda xml: xml[:-50]})
    assert "this DOCX file is damaged (XMLSyntaxError)" in refusal(cut)
    with pytest.raises(DocumentError, match=r"this DOCX file is damaged \(AttributeError\)"):
        read_document(archive({"[Content_Types].xml": b"<Types/>"}), name="a.docx")


def test_zip_bombs_are_refused_before_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    types = {"[Content_Types].xml": b""}
    bomb = archive({**types, "word/document.xml": bytes(word.RATIO_FROM + 1_000_000)})
    assert len(bomb) < 15_000
    assert "zip bomb: it unpacks to more than 200 times its size" in refusal(bomb)
    monkeypatch.setattr(word, "MAX_UNPACKED", 5_000_000)
    assert "zip bomb: it unpacks to more than 5,000,000 bytes" in refusal(bomb)
    monkeypatch.setattr(word, "MAX_MEMBERS", 2)
    assert "zip bomb: it has more than 2 parts" in refusal(archive({**types, "a": b"", "b": b""}))


def test_a_header_that_lies_about_the_size_does_not_help(docx_of: Docx) -> None:
    data = bytearray(archive({"[Content_Types].xml": b"", "word/document.xml": bytes(20_000_000)}))
    true, lie = (20_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little")
    assert data.count(true) == 2  # in the local header and in the central directory
    with pytest.raises(DocumentError):
        check_archive(bytes(data.replace(true, lie)))


def test_a_document_that_needs_more_memory_than_allowed(docx_of: Docx) -> None:
    data = rewritten(
        docx_of(lambda document: document.add_paragraph("Text")),
        {"word/document.xml": lambda xml: xml.replace("<w:p>", P.format("x") * 200_000 + "<w:p>", 1)},
    )
    with pytest.raises(DocumentError, match="reading it needs more than 100 MiB of memory"):
        read_document(data, name="a.docx", limits=Limits(memory_bytes=100 << 20))


def test_the_character_limit_holds(docx_of: Docx) -> None:
    data = docx_of(lambda document: document.add_paragraph("0123456789"))
    with pytest.raises(DocumentError, match="longer than 9 characters"):
        parse_docx(data, Limits(max_characters=9))
    assert parse_docx(data, Limits(max_characters=10)).text == "0123456789"
