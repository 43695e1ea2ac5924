"""A document as it arrives at /v1/extract: a text in JSON, or a file in a form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from lextune.core.errors import shorten
from lextune.core.records import Document
from lextune.deploy.bodies import MAX_NAME, read_extract
from lextune.deploy.refusals import CONTENT_TYPE, INVALID, Refusal
from lextune.text.reading import Limits, document_of, read_document

if TYPE_CHECKING:
    from starlette.requests import Request

JSON, FORM = "application/json", "multipart/form-data"
FILE_PART = "file"


class Upload(NamedTuple):
    """A document as it came: a text, or the bytes of a file."""

    content: str | bytes
    name: str


def min_confidence(query: Sequence[tuple[str, str]]) -> float | None:
    """Return the query's `min_confidence`, None where it names none.

    Raises:
        Refusal: not a number from 0 to 1, or another query parameter.
    """
    least = None
    for key, value in query:
        if key != "min_confidence":
            raise Refusal(
                INVALID,
                f"unknown query parameter {shorten(key)!r}",
                do="leave it out; /v1/extract knows min_confidence",
                param=shorten(key),
            )
        try:
            least = float(value)
        except ValueError:
            least = math.nan
        if not 0 <= least <= 1:
            raise Refusal(
                INVALID,
                f"min_confidence is not a number from 0 to 1: {shorten(value)!r}",
                do="send for example ?min_confidence=0.8",
                param="min_confidence",
            )
    return least


def content_type(request: Request, offered: Sequence[str]) -> str:
    """Return which of the `offered` content types the body has.

    Raises:
        Refusal: none of them, or the body is compressed.
    """
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent not in offered:
        raise Refusal(
            CONTENT_TYPE,
            f"the content type {shorten(sent)!r} is not offered here" if sent else "no content type",
            do=f"send {' or '.join(offered)}",
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal(CONTENT_TYPE, "compressed bodies are not read", do="send it without Content-Encoding")
    return sent


async def receive_document(request: Request) -> Upload:
    """Read the body.

    Raises:
        Refusal: another content type, not JSON, or not the one text or file that is asked for.
    """
    if content_type(request, (JSON, FORM)) == JSON:
        body = read_extract(await request.body())
        return Upload(body.text, body.name)
    async with request.form(max_files=1, max_fields=1) as form:
        items = form.multi_items()
        part = items[0][1] if [name for name, _ in items] == [FILE_PART] else None
        if part is None or isinstance(part, str):
            raise Refusal(
                INVALID,
                f"the form must hold one file, named {FILE_PART!r}, and nothing else",
                do=f"send for example `curl -F {FILE_PART}=@contract.pdf`",
                param=FILE_PART,
            )
        name = part.filename or "document"
        if len(name) > MAX_NAME:
            raise Refusal(INVALID, f"the file's name has more than {MAX_NAME} characters", param=FILE_PART)
        return Upload(await part.read(), name)


def read_upload(upload: Upload, limits: Limits) -> Document:
    """Return the document. A text is taken as it is: offsets must fit what the caller holds.

    Raises:
        DocumentError: it cannot be read, has no text, or is over a limit.
    """
    if isinstance(upload.content, bytes):
        return read_document(upload.content, name=upload.name, limits=limits)
    return document_of(upload.content, upload.name, limits)
