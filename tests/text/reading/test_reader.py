"""read_document: naming, sniffing, TXT, and every refusal before a parser starts."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lextune.core.errors import DocumentError
from lextune.text.reading import Limits, read_document
from lextune.text.reading.sniff import sniff

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)


@given(TEXT)
def test_a_txt_is_its_decoding(text: str) -> None:
    assume(text.strip() and not text.startswith("\ufeff"))
    data = text.encode()
    document = read_document(data, name="x.txt")
    assert document.text == text
    assert document.pages == ()
    assert document.sha256 == hashlib.sha256(data).hexdigest()


@given(TEXT)
def test_a_byte_order_mark_is_dropped(text: str) -> None:
    assume(text.strip("\ufeff \t\r\n") and text.strip())
    assert read_document(b"\xef\xbb\xbf" + text.encode(), name="x.txt").text == text


def test_newlines_are_untouched(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\r\ntwo\rthree\n\n\x0cfour\n")
    assert read_document(path).text == "one\r\ntwo\rthree\n\n\x0cfour\n"


def test_two_million_characters() -> None:
    text = "Der Lieferant schuldet § 5 – 2.000.000 €. " * 48_000
    assert read_document(text.encode(), name="long.txt").text == text
    assert len(text) > 2_000_000


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("Master Agreement (v2).txt", "Master-Agreement-v2"),
        ("ACME,INC_01_02_2020-EX-10.1.txt", "ACME-INC_01_02_2020-EX-10.1"),
        ("Überlassungsvertrag.txt", "Uberlassungsvertrag"),
        ("契約書.txt", "document"),
        ("../../etc/passwd", "passwd"),
        ("x" * 300 + ".txt", "x" * 60),
    ],
)
def test_ids_are_safe_as_file_names_and_stable(name: str, stem: str) -> None:
    document = read_document(b"text", name=name)
    assert document.id == f"{stem}-{hashlib.sha256(b'text').hexdigest()[:8]}"
    assert document.name == name


def test_the_name_defaults_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "Lease.txt"
    path.write_text("text")
    assert read_document(path).name == "Lease.txt"
    assert read_document(path, name="Other.txt").name == "Other.txt"
    assert read_document(b"text").name == "document"


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (b"%PDF-1.7 ...", "a.txt", "pdf"),
        (b"\n junk before %PDF-1.7", "a.pdf", "pdf"),
        (b"The header of a PDF is %PDF-1.7", "a.txt", "txt"),
        (b"PK\x03\x04...", "a.pdf", "docx"),
        (b"<!-- one --> <!-- two -->\n<!DOCTYPE html><p>x", "a.txt", "html"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><html>', "a", "html"),
        ("<html>".encode("utf-16"), "a", "html"),
        (b"<p>a fragment</p>", "a.htm", "html"),
        (b"<p>a fragment</p>", "a.txt", "txt"),
        (b"# Notes", "a.md", "txt"),
        (b"nul \x00 in a text", "a.txt", "txt"),
        (b"\x89PNG\r\n", "a.txt", "image"),
        (b"From: a@b.example\r\nSubject: x\r\n\r\nHello", "a.eml", "eml"),
        (b"From: a@b.example\nMIME-Version: 1.0\n\nHello", "a", "eml"),
        (b"From a@b.example Mon Jan  1\nReceived: x\n\nHello", "a.mbox", "eml"),
        (b"To: Counsel\nFrom: Board\nRe: Lease\n\nMessage-ID: none", "memo", "txt"),
        (b"From: a@b.example\nMIME-Version: 1.0\n\nHello", "a.txt", "txt"),
    ],
)
def test_content_decides_before_the_extension(data: bytes, name: str, kind: str) -> None:
    assert sniff(data, name) == kind


def test_sniffing_many_comments_takes_no_time() -> None:
    assert sniff(b"<!---->" * 500 + b"no markup", "a.txt") == "txt"


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (b"", "a.txt", "the file is empty"),
        (b" \r\n\t", "a.txt", "the document has no text"),
        (b"caf\xe9", "a.txt", "not UTF-8: byte 0xe9 at offset 3"),
        (
            b"\xef\xbb\xbfcaf\xe9",
            "a.txt",
            "at offset 6\n  -> convert it, probably with `iconv -f WINDOWS-1252 ",
        ),
        (
            "Vertrag".encode("utf-16"),
            "a.txt",
            "at offset 0\n  -> convert it, probably with `iconv -f UTF-16LE",
        ),
        (
            b"\x7fELF\x02\x01\x00",
            "a.bin",
            "none of the kinds lextune reads\n  -> give one of TXT (UTF-8), PDF, DOCX",
        ),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            "a.doc",
            "an old Word file (.doc), or a Word file with a password",
        ),
        (
            b"{\\rtf1 x}",
            "a.rtf",
            "an RTF file\n  -> save it as .docx; lextune reads TXT (UTF-8), PDF, DOCX, HTML and EML",
        ),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            "a.msg",
            "an Outlook message (.msg)\n  -> save it as .eml;",
        ),
        (
            b"\x89PNG\r\n",
            "scan.png",
            "this is an image, and recognising text in images is off\n  -> give a document with a text layer, which",
        ),
    ],
)
def test_refusals(data: bytes, name: str, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_document(data, name=name)
    assert str(caught.value).startswith(f"{name}: ")
    assert message in str(caught.value)


def test_limits_of_size() -> None:
    with pytest.raises(DocumentError, match="larger than 9 bytes"):
        read_document(b"0123456789", limits=Limits(max_bytes=9))
    with pytest.raises(DocumentError, match="longer than 9 characters"):
        read_document("ä".encode() * 10, limits=Limits(max_characters=9))


def test_a_large_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "sparse.txt"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(DocumentError, match="larger than 100 bytes"):
        read_document(path, limits=Limits(max_bytes=100))


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="this is a folder"):
        read_document(tmp_path)
    with pytest.raises(DocumentError, match="no such file") as caught:
        read_document(tmp_path / "absent.pdf")
    assert str(tmp_path / "absent.pdf") in str(caught.value)
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(DocumentError, match="not a regular file"):
        read_document(tmp_path / "pipe.txt")
    with pytest.raises(DocumentError, match="cannot be read"):
        read_document(tmp_path / ("x" * 300))


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.txt"
    path.write_text("text")

    def deny(*_: object) -> NoReturn:  # root, as which tests may run, can read what chmod forbids
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", deny)
    with pytest.raises(DocumentError, match="cannot be read: Permission denied"):
        read_document(path)
