"""Mail (RFC 5322, `.eml`): who wrote to whom, when and about what, then the message; attachments are named.

The plain text of a message is taken where it has one, else its HTML. Attachments are not read: save them as
files of their own.
"""

from __future__ import annotations

import email
import email.errors
import email.header
import email.policy
import re
from collections.abc import Callable, Iterator
from email.message import MIMEPart
from typing import TypeVar

from lextune.core.errors import DocumentError
from lextune.text.reading.base import Limits, Parsed, damaged, join_blocks, well_formed
from lextune.text.reading.html import parse_html
from lextune.text.reading.sniff import UTF8_BOM

HEADERS = ("From", "To", "Cc", "Date", "Subject")
MAX_PARTS = 1_000
_QUOTED = re.compile(r">*")
_SIGNATURE = "-- "
# What the standard library's parsers raise for malformed headers and bodies, besides their own errors.
_FAILURES = (
    ValueError, LookupError, AttributeError, TypeError, AssertionError, RecursionError, email.errors.MessageError
)  # fmt: skip
_T = TypeVar("_T")


_Message = MIMEPart  # the class of parts; a whole mail is one of them
_Part = tuple[_Message, bool]  # a part, and whether it is of the text that is read


def parse_eml(data: bytes, limits: Limits) -> Parsed:
    """Return the headers, the message and the names of the attachments of a mail, each a block.

    Raises:
        DocumentError: no mail, nested too deeply, more than `MAX_PARTS` parts, or over the character limit.
    """
    data = data.removeprefix(UTF8_BOM)
    if data.startswith(b"From "):  # the line with which a mailbox file begins each mail
        data = data.partition(b"\n")[2]
    try:
        message = email.message_from_bytes(data, policy=email.policy.default)
        parts = _parts(message)
    except RecursionError:
        raise damaged("EML", "its parts are nested too deeply") from None
    except _FAILURES as error:
        raise damaged("EML", error) from None
    headers = [f"{name}: {value}" for name in HEADERS if (value := _header(message, name))]
    if not headers:
        raise DocumentError("a mail without a sender, a date or a subject", do="save the mail again as .eml")
    return Parsed(join_blocks(_blocks("\n".join(headers), parts, limits), limits))


def _blocks(headers: str, parts: list[_Part], limits: Limits) -> Iterator[str]:
    yield headers
    for part, shown in parts:
        if shown and not _is_attached(part):
            yield _text(part, limits)
    names = [_name(part) for part, _ in parts if _is_attached(part)]
    if names:
        yield "Attachments: " + ", ".join(names)


def _parts(message: _Message) -> list[_Part]:
    """Return the parts that hold something, in order; what is inside an attached mail is part of that mail."""
    found: list[_Part] = []
    waiting = [(message, True)]
    while waiting:
        part, shown = waiting.pop()
        if part.get_content_maintype() == "multipart" and part.is_multipart():
            inner = list(part.iter_parts())
            chosen = _chosen(inner) if part.get_content_subtype() == "alternative" else inner
            waiting.extend((child, shown and any(child is one for one in chosen)) for child in reversed(inner))
        else:
            found.append((part, shown))
        if len(found) + len(waiting) > MAX_PARTS:
            raise DocumentError(f"the mail has more than {MAX_PARTS:,} parts", do="save its attachments apart")
    return found


def _chosen(alternatives: list[_Message]) -> list[_Message]:
    """Return the alternative that is read: plain text where it says something, else the last, which says most."""
    plain = [part for part in alternatives if part.get_content_type() == "text/plain" and _content(part).strip()]
    return (plain or alternatives[-1:])[:1]


def _is_attached(part: _Message) -> bool:
    attached = _tried(part.get_content_disposition, None) == "attachment"
    return attached or _file_name(part) != "" or part.get_content_maintype() != "text"


def _file_name(part: _Message) -> str:
    return _line(_tried(part.get_filename, None) or "")


def _name(part: _Message) -> str:
    """Return an attachment's file name; an attached mail's subject; else its type."""
    name = _file_name(part)
    if not name and part.get_content_type() == "message/rfc822" and part.is_multipart():
        name = _header(next(part.iter_parts()), "Subject")
    return name or part.get_content_type()


def _content(part: _Message) -> str:
    """Return what a part holds, by its declared character set, or by UTF-8 where there is no such set."""

    def by_utf8() -> str:
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", errors="replace") if isinstance(payload, bytes) else ""

    content = _tried(part.get_content, None)
    return well_formed(content if isinstance(content, str) else _tried(by_utf8, ""))


def _text(part: _Message, limits: Limits) -> str:
    content = _content(part)
    if part.get_content_type() == "text/html":
        return parse_html(UTF8_BOM + content.encode("utf-8"), limits).text
    text = content.replace("\r\n", "\n").strip("\n")
    if _parameter(part, "format") == "flowed":
        return _reflow(text, delete=_parameter(part, "delsp") == "yes")
    return text


def _parameter(part: _Message, name: str) -> str:
    return str(_tried(lambda: part.get_param(name), None) or "").lower()


def _reflow(text: str, *, delete: bool) -> str:
    """Join the lines that a mail program broke (RFC 3676): one that ends in a space goes on in the next.

    Args:
        text: the text as sent.
        delete: whether that space was added by the program (`delsp`).
    """
    lines: list[str] = []
    open_at: int | None = None  # the depth of quotation of the line before, where it goes on
    for line in text.split("\n"):
        marks = _QUOTED.match(line)
        depth = marks.end() if marks else 0
        said = line[depth:].removeprefix(" ")
        if open_at == depth and said != _SIGNATURE:
            before = lines.pop()
            lines.append((before[:-1] if delete else before) + said)
        else:
            lines.append(f"{'>' * depth} {said}" if depth else said)
        open_at = depth if said.endswith(" ") and said != _SIGNATURE else None
    return "\n".join(lines)


def _header(message: _Message, name: str) -> str:
    """Return a header on one line, as the standard library reads it, or decoded by hand where it cannot."""

    def by_hand() -> str:
        raw = next((value for key, value in message.raw_items() if key.lower() == name.lower()), "")
        return str(email.header.make_header(email.header.decode_header(raw)))

    return _line(str(_tried(lambda: str(message[name] or ""), None) or _tried(by_hand, "")))


def _line(text: str) -> str:
    return " ".join(well_formed(text).split())


def _tried(read: Callable[[], _T], otherwise: _T) -> _T:
    """Return what `read` returns, or `otherwise` where the mail is too malformed for it."""
    try:
        return read()
    except _FAILURES:
        return otherwise
