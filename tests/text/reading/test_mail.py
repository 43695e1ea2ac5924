"""EML: headers, the message, the names of attachments; nothing a stranger sends gives more than a refusal."""

from __future__ import annotations

from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.errors import DocumentError
from lextune.text.reading import Limits, mail, read_document
from lextune.text.reading.base import Parsed
from lextune.text.reading.mail import parse_eml

HEAD = b"From: a@b.example\nSubject: Lease\n"


def letter() -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Ada Öz <ada@example.org>"
    message["To"] = "Bo <bo@example.org>, Cy <cy@example.org>"
    message["Cc"] = "di@example.org"
    message["Date"] = "Mon, 02 Mar 2020 10:00:00 +0000"
    message["Subject"] = "Lease – signed"
    message["X-Spam"] = "no"
    message.set_content("Dear Bo,\n\nthe lease is attached.\n")
    return message


def text_of(message: EmailMessage | bytes) -> str:
    return parse_eml(message if isinstance(message, bytes) else message.as_bytes(), Limits()).text


def body_of(data: bytes) -> str:
    """The text of a mail that has the two headers of `HEAD`."""
    return text_of(data).removeprefix("From: a@b.example\nSubject: Lease\n\n")


def test_headers_message_and_attachments() -> None:
    message = letter()
    message.add_attachment(b"%PDF-", maintype="application", subtype="pdf", filename="Mietvertrag Öz.pdf")
    message.add_attachment(b"\x89PNG", maintype="image", subtype="png", disposition="inline")
    forwarded = EmailMessage()
    forwarded["Subject"] = "The old lease"
    forwarded.set_content("not of this mail")
    message.add_attachment(forwarded)
    document = read_document(message.as_bytes(), name="Lease.eml")
    assert document.text == (
        "From: Ada Öz <ada@example.org>\nTo: Bo <bo@example.org>, Cy <cy@example.org>\nCc: di@example.org\n"
        "Date: Mon, 02 Mar 2020 10:00:00 +0000\nSubject: Lease – signed\n\n"
        "Dear Bo,\n\nthe lease is attached.\n\n"
        "Attachments: Mietvertrag Öz.pdf, image/png, The old lease"
    )
    assert document.pages == ()


def test_plain_text_is_preferred_and_html_is_read_where_there_is_none() -> None:
    both = letter()
    both.add_alternative("<p>Dear <b>Bo</b></p>", subtype="html")
    assert "the lease is attached." in text_of(both)
    assert "<b>" not in text_of(both)
    html = letter()
    html.set_content("<p>Caf\u00e9&nbsp;1</p><script>x</script><p>two", subtype="html", charset="iso-8859-1")
    assert text_of(html).endswith("Café 1\n\ntwo")
    blank = letter()
    blank.set_content(" \n")
    blank.add_alternative("<p>said in HTML</p>", subtype="html")
    assert text_of(blank).endswith("said in HTML")


def test_an_attachment_beside_an_alternative_that_is_not_read_is_named() -> None:
    message = letter()
    message.add_alternative("<p>x</p>", subtype="html")
    message.get_payload(1).add_attachment("a,b", filename="rent.csv")
    assert text_of(message).endswith("the lease is attached.\n\nAttachments: rent.csv")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"\nOne\r\ntwo\r\n", "One\ntwo"),
        (b"Content-Type: text/plain; charset=latin-1\n\ncaf\xe9", "café"),
        (b"Content-Type: text/plain; charset=klingon\n\ncaf\xc3\xa9", "café"),
        (b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\nY2Fmw6k=", "café"),
        (b"Content-Type: text/plain; charset=utf-8\n\nbad \xff byte", "bad \ufffd byte"),
        (b"Content-Type: text/plain; format=flowed\n\none \ntwo\nthree\n-- \nme", "one two\nthree\n-- \nme"),
        (b"Content-Type: text/plain; format=flowed\n\n> one \n> two\n>> deep \nend", "> one two\n>> deep \nend"),
        (b"Content-Type: text/plain; format=flowed; delsp=yes\n\nSupp \nlier", "Supplier"),
        (b"Content-Type: application/pdf\n\n%PDF", "Attachments: application/pdf"),
        (b"Content-Type: multipart/mixed\n\nno boundary", "Attachments: multipart/mixed"),
    ],
)
def test_bodies(body: bytes, expected: str) -> None:
    assert body_of(HEAD + body) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"Subject: =?utf-8?q?Caf=C3=A9?=", "Subject: Café"),
        (b"Subject: one\n two", "Subject: one two"),
        (b"Subject: caf\xc3\xa9", "Subject: café"),
        (b"Subject: caf\xe9", "Subject: caf\ufffd"),
        (b"From: =?utf-8?q?", "From: =?utf-8?q?"),
        (b"Date: never", "Date: never"),
    ],
)
def test_headers_however_malformed(header: bytes, expected: str) -> None:
    assert text_of(header + b"\n\nbody") == f"{expected}\n\nbody"


def test_a_header_nested_too_deeply_for_its_parser() -> None:
    assert text_of(b"From: " + b"(" * 2_000 + b"\nSubject: x\n\nbody").endswith("((\nSubject: x\n\nbody")


def test_a_mail_from_a_mailbox_file() -> None:
    assert body_of(b"From a@b.example Mon Jan  1 00:00:00 2020\n" + HEAD + b"\nHello") == "Hello"
    assert body_of(b"\xef\xbb\xbf" + HEAD + b"\nHello") == "Hello"


def test_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        DocumentError, match=r"without a sender, a date or a subject\n  -> save the mail again as \.eml"
    ):
        parse_eml(b"just words", Limits())
    with pytest.raises(DocumentError, match="longer than 20 characters"):
        parse_eml(HEAD + b"\n" + b"x" * 30, Limits(max_characters=20))
    boundaries = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(3_000))
    with pytest.raises(DocumentError, match=r"damaged \(its parts are nested too deeply\)"):
        parse_eml(HEAD + boundaries, Limits())
    monkeypatch.setattr(mail, "MAX_PARTS", 3)
    parts = b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 5 + b"--b--\n"
    with pytest.raises(DocumentError, match="more than 3 parts\n  -> save its attachments apart"):
        parse_eml(HEAD + parts, Limits())


PIECES = st.sampled_from([
    "From: ", "To: ", "Subject: ", "Date: ", "Content-Type: ", "Content-Disposition: ", "attachment; filename*=",
    "multipart/mixed; boundary=b", 'multipart/alternative; boundary="', "text/plain; charset=", "text/html",
    "message/rfc822", "utf-8", "hex", "=?utf-8?", "b?", "q?", "?=", "utf-8''%ff", "\n", "\r\n", "\n\n", "--b\n",
    "--b--", "<", ">", "@", "[", "(", ")", ";", ",", ":", "\\", '"', "Content-Transfer-Encoding: base64", "uuencode",
    "begin 644 x\n", "\x00", "\ud800",
])  # fmt: skip


@given(st.lists(st.one_of(PIECES, st.text(max_size=6)), max_size=30))
@settings(max_examples=150)
def test_any_mail_gives_text_or_a_refusal(pieces: list[str]) -> None:
    data = "".join(pieces).encode("utf-8", "surrogatepass")
    try:
        parsed = parse_eml(HEAD + data, Limits())
    except DocumentError as error:
        assert error.do  # noqa: PT017
    else:
        assert isinstance(parsed, Parsed)
        parsed.text.encode()


@given(st.binary(max_size=200))
@settings(max_examples=50)
def test_any_bytes_give_text_or_a_refusal(data: bytes) -> None:
    for start in (b"", HEAD, HEAD + b"Content-Type: "):
        try:
            parse_eml(start + data, Limits()).text.encode()
        except DocumentError as error:
            assert error.do  # noqa: PT017
