"""Folders of documents: every file is a document or a drop with its reason, whatever it holds."""

from __future__ import annotations

import io
import os
import time
import zipfile
from collections import Counter
from email.message import EmailMessage
from pathlib import Path

import docx
import pytest
from reportlab.pdfgen.canvas import Canvas

from lextune.core.errors import DataError
from lextune.core.records import Document, Drop
from lextune.data.importers import folder
from lextune.data.importers.folder import read_folder
from lextune.text.reading import Limits, Ocr


def documents(path: Path) -> list[Document]:
    return [item for item in read_folder(path, workers=2) if isinstance(item, Document)]


def drops(path: Path, limits: Limits = Limits()) -> dict[str, str]:  # noqa: B008
    found = [item for item in read_folder(path, limits=limits, workers=2) if isinstance(item, Drop)]
    assert {drop.what for drop in found} <= {"document", "folder"}
    return {drop.where: drop.reason for drop in found}


def word(text: str) -> bytes:
    document = docx.Document()
    document.add_paragraph(text)
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def pdf(text: str) -> bytes:
    stream = io.BytesIO()
    canvas = Canvas(stream)
    canvas.drawString(72, 700, text)
    canvas.save()
    return stream.getvalue()


def mail(text: str) -> bytes:
    message = EmailMessage()
    message["Subject"] = "Lease"
    message.set_content(text)
    return message.as_bytes()


def write(path: Path, data: bytes = b"text") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_every_kind_is_read_in_the_order_of_paths(tmp_path: Path) -> None:
    write(tmp_path / "b" / "mail.eml", mail("by mail"))
    write(tmp_path / "b" / "lease.DOCX", word("in Word"))
    write(tmp_path / "a.pdf", pdf("in PDF"))
    write(tmp_path / "c" / "d" / "page.html", b"<p>on a page")
    write(tmp_path / "z.txt", b"in plain text")
    found = documents(tmp_path)
    assert [item.source for item in found] == ["a.pdf", "b/lease.DOCX", "b/mail.eml", "c/d/page.html", "z.txt"]
    assert [item.text for item in found] == [
        "in PDF",
        "in Word",
        "Subject: Lease\n\nby mail",
        "on a page",
        "in plain text",
    ]
    assert [item.labels for item in found] == [{}] * 5
    assert len(found[0].pages) == 1


def test_hidden_files_and_lock_files_are_passed_over(tmp_path: Path) -> None:
    for name in (".git/a.txt", ".a.txt", "~$lease.docx"):
        write(tmp_path / name)
    write(tmp_path / "a.txt")
    assert [item.name for item in documents(tmp_path)] == ["a.txt"]
    assert drops(tmp_path) == {}


def test_what_cannot_be_read_is_a_drop_and_nothing_is_lost(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", b"good")
    write(tmp_path / "bad.txt", b"caf\xe9")
    write(tmp_path / "empty.html", b"")
    write(tmp_path / "cut.pdf", pdf("x")[:200])
    write(tmp_path / "old.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
    write(tmp_path / "labels.csv")
    write(tmp_path / "README")
    write(tmp_path / "scan.png", b"\x89PNG")
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere.txt")
    (tmp_path / "loop.txt").symlink_to(tmp_path / "loop.txt")
    found = list(read_folder(tmp_path, workers=2))
    assert Counter(type(item) for item in found) == {Document: 1, Drop: 10}
    assert drops(tmp_path) == {
        "README": "a file without an ending",
        "bad.txt": "not UTF-8: byte 0xe9 at offset 3",
        "cut.pdf": "this PDF file is damaged (PDFium cannot open it)",
        "empty.html": "the file is empty",
        "gone.txt": "no such file",
        "labels.csv": "a file that ends in '.csv' is no document",
        "loop.txt": "no such file",
        "old.docx": "an old Word file (.doc), or a Word file with a password",
        "pipe.txt": "not a regular file",
        "scan.png": "an image: recognising text in images is off",
    }


def test_limits_hold_for_each_document(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", b"123")
    write(tmp_path / "b.txt", b"1234")
    assert drops(tmp_path, Limits(max_characters=3)) == {"b.txt": "the text is longer than 3 characters"}


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "in" / "sub" / "a.txt")
    (tmp_path / "in" / "sub" / "up").symlink_to(tmp_path / "in", target_is_directory=True)
    (tmp_path / "in" / "b.txt").symlink_to(tmp_path / "in" / "sub" / "a.txt")
    assert [item.source for item in documents(tmp_path / "in")] == ["b.txt", "sub/a.txt"]
    assert drops(tmp_path / "in") == {"sub/up": "a link to a folder is not followed"}


def test_a_folder_that_may_not_be_entered_is_a_drop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.txt")
    write(tmp_path / "shut" / "b.txt")
    real = os.scandir

    def scandir(folder: Path) -> object:  # root, as which tests may run, can enter what chmod forbids
        if folder.name == "shut":
            raise PermissionError(13, "Permission denied", str(folder))
        return real(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    assert drops(tmp_path) == {"shut": "cannot be read: Permission denied"}


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def cyclic() -> bytes:
    """A Word file whose parts are one another's bytes: every entry of its directory leads to the same member."""
    one = zipped({"[Content_Types].xml": b"<Types>" + b" " * 12_000_000})
    start = one.index(b"PK\x01\x02")
    end = one.index(b"PK\x05\x06")
    entry, count = one[start:end], 60
    tail = bytearray(one[end:])
    tail[8:10] = tail[10:12] = count.to_bytes(2, "little")
    tail[12:16] = (len(entry) * count).to_bytes(4, "little")
    return one[:start] + entry * count + bytes(tail)


def test_zip_bombs_and_zips_that_hold_themselves_are_one_drop_each(tmp_path: Path) -> None:
    write(tmp_path / "bomb.docx", zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": b" " * 30_000_000}))
    write(tmp_path / "cyclic.docx", cyclic())
    nested = zipped({"r/r.zip": b"the zip in it"})
    for _ in range(3):
        nested = zipped({"r/r.zip": nested})
    write(tmp_path / "quine.docx", nested)
    write(tmp_path / "z.txt")
    start = time.monotonic()
    found = drops(tmp_path)
    assert time.monotonic() - start < 10
    bomb = "this looks like a zip bomb: it unpacks to more than 200 times its size"
    assert found == {
        "bomb.docx": bomb,
        "cyclic.docx": bomb,
        "quine.docx": "a zip archive that is not a Word document",
    }


@pytest.mark.parametrize("outcome", ["read", "refused"])
def test_a_file_that_changes_while_it_is_read_is_a_drop(
    outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.txt", b"before" if outcome == "read" else b"")
    real = folder.load

    def slow(file: Path, limits: Limits) -> bytes:
        try:
            return real(file, limits)
        finally:
            file.write_bytes(b"after all")

    monkeypatch.setattr(folder, "load", slow)
    assert drops(tmp_path) == {"a.txt": "the file changed while it was read"}


def test_a_document_of_another_kind_than_its_name_says_is_tagged(tmp_path: Path) -> None:
    write(tmp_path / "a.docx", b"plain text")
    write(tmp_path / "b.txt", b"<html><body><p>Lease</p></body></html>")
    write(tmp_path / "c.docx", word("Lease"))
    assert {d.name: d.tags for d in documents(tmp_path)} == {
        "a.docx": {"read_as": "txt"},
        "b.txt": {"read_as": "html"},
        "c.docx": {},
    }


def test_copies_have_ids_of_their_own(tmp_path: Path) -> None:
    for place in ("a", "b", "c"):
        write(tmp_path / place / "lease.txt")
    first, second, third = documents(tmp_path)
    assert (second.id, third.id) == (f"{first.id}-2", f"{first.id}-3")
    assert {first.sha256} == {second.sha256, third.sha256}


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt"))).write_bytes(b"text")
    (document,) = documents(tmp_path)
    assert (document.name, document.source) == ("caf\ufffd.txt", "caf\ufffd.txt")
    document.model_dump_json()


def test_scans_are_recognised_where_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "scan.png", b"\x89PNG")
    asked: list[object] = []

    def remember(data: bytes, *, name: str, **options: object) -> Document:
        asked.append(options["ocr"])
        return Document(id="x", name=name, sha256="", text="read")

    monkeypatch.setattr(folder, "read_document", remember)
    (found,) = read_folder(tmp_path, ocr=Ocr(languages="deu"))
    assert isinstance(found, Document)
    assert asked == [Ocr(languages="deu", workers=1)]


def test_folders_that_are_none_or_hold_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("x")
    with pytest.raises(DataError, match=r"a\.txt: a file, no folder\n  -> give a folder of documents"):
        list(read_folder(file))
    with pytest.raises(DataError, match="no such folder\n  -> give a folder of documents"):
        list(read_folder(tmp_path / "absent"))
    file.unlink()
    (tmp_path / ".hidden").write_text("x")
    with pytest.raises(DataError, match="no files in this folder"):
        list(read_folder(tmp_path))
