"""What every request passes first and last: the API key, the size limit, the release's hash, one log line.

The log names the route, the status and the time, and nothing that a caller sent. An unexpected error is
logged with the places it passed and at most 80 characters of its message, because messages quote documents.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
import traceback
from typing import TYPE_CHECKING

from lextune.core.errors import shorten
from lextune.deploy.refusals import BUG, GONE, MACHINE, NO_KEY, TOO_LARGE, Refusal, refusal_for

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOG = logging.getLogger("lextune.service")
RELEASE_HEADER = b"x-lextune-release"
OPEN_ROUTES = ("/health",)  # answered without a key


class Guard:
    """ASGI middleware around the whole service.

    Args:
        app: the service.
        release_hash: sent with every response.
        max_bytes: of a request's body, counted while it arrives.
        api_key: what callers must send as `Authorization: Bearer KEY`; None lets everybody in.
    """

    def __init__(self, app: ASGIApp, release_hash: str, max_bytes: int, api_key: str | None) -> None:
        self._app, self._max_bytes = app, max_bytes
        self._release = release_hash.encode()
        self._digest = None if api_key is None else hashlib.sha256(api_key.encode()).digest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.monotonic(), 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (RELEASE_HEADER, self._release)]
            await send(message)

        try:
            self._check_key(scope)
            self._check_length(_header(scope, b"content-length"))
            await self._app(scope, self._limited(receive), send_marked)
        except Exception as error:
            refusal = refusal_for(error)
            if refusal.kind is BUG:
                _log_bug(error)
            elif refusal.kind is MACHINE:
                LOG.error("a request failed: %s", refusal.what)
            if not status:
                await _send_refusal(refusal, scope, receive, send_marked)
        route = getattr(scope.get("route"), "path", "(no route)")
        took = 1000 * (time.monotonic() - started)
        LOG.info("%s %s %d %.0f ms", scope["method"], route, status, took)

    def _check_key(self, scope: Scope) -> None:
        if self._digest is None or scope["path"] in OPEN_ROUTES:
            return
        scheme, _, key = _header(scope, b"authorization").partition(b" ")
        if scheme.lower() != b"bearer" or not key:
            raise Refusal(NO_KEY, "no API key", do="send the header `Authorization: Bearer KEY`")
        if not hmac.compare_digest(hashlib.sha256(key.strip()).digest(), self._digest):
            raise Refusal(NO_KEY, "wrong API key", do="check the key with the operator of this service")

    def _check_length(self, length: bytes) -> None:
        if length.isdigit() and int(length[:20]) > self._max_bytes:
            raise self._too_large()

    def _limited(self, receive: Receive) -> Receive:
        received, whole = 0, False

        async def receive_limited() -> Message:
            nonlocal received, whole
            message = await receive()
            if message["type"] == "http.disconnect" and not whole:
                raise Refusal(GONE, "the caller closed the connection before the request was whole")
            whole = whole or not message.get("more_body", False)
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise self._too_large()
            return message

        return receive_limited

    def _too_large(self) -> Refusal:
        return Refusal(
            TOO_LARGE,
            f"the request is larger than {self._max_bytes:,} bytes",
            do="split the document, or ask the operator to raise --max-bytes",
        )


def _header(scope: Scope, name: bytes) -> bytes:
    return next((value for key, value in scope["headers"] if key == name), b"")


async def _send_refusal(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    from starlette.responses import JSONResponse

    response = JSONResponse(refusal.body(), refusal.kind.status, headers=refusal.headers())
    await response(scope, receive, send)


def _log_bug(error: Exception) -> None:
    places = "".join(traceback.format_tb(error.__traceback__))
    LOG.error("a request failed: %s: %s\n%s", type(error).__name__, shorten(str(error)), places)
