"""What the service says when it does not answer: one JSON error, in the shape OpenAI's clients read.

    {"error": {"message": ..., "type": ..., "param": ..., "code": ...}}

Everything raised while a request is handled becomes a `Refusal` (`refusal_for`), the unexpected included; no
message carries more than 80 characters of what the caller sent.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from lextune.core.errors import ContextError, DocumentError, LextuneError, MachineError, RequestError, shorten
from lextune.core.machine import lacking


class Kind(NamedTuple):
    """A kind of refusal: the HTTP status, OpenAI's type, and a code for programs."""

    status: int
    type: str
    code: str


_CALLER, _SERVER = "invalid_request_error", "server_error"
INVALID = Kind(400, _CALLER, "invalid_request")
UNSUPPORTED = Kind(400, _CALLER, "unsupported_parameter")
TOO_LONG = Kind(400, _CALLER, "context_length_exceeded")
NO_KEY = Kind(401, "authentication_error", "invalid_api_key")
NO_ROUTE = Kind(404, _CALLER, "not_found")
NO_MODEL = Kind(404, _CALLER, "model_not_found")
NO_METHOD = Kind(405, _CALLER, "method_not_allowed")
SLOW_UPLOAD = Kind(408, _CALLER, "upload_timeout")
NOT_OFFERED = Kind(409, _CALLER, "not_offered")
TOO_LARGE = Kind(413, _CALLER, "request_too_large")
CONTENT_TYPE = Kind(415, _CALLER, "unsupported_content_type")
DOCUMENT = Kind(422, _CALLER, "unreadable_document")
QUEUE_FULL = Kind(429, "rate_limit_error", "queue_full")
GONE = Kind(499, _CALLER, "client_closed_request")
BUG = Kind(500, _SERVER, "internal_error")
MACHINE = Kind(503, _SERVER, "machine_error")
TIMEOUT = Kind(504, _SERVER, "timeout")
_KINDS = (
    (DocumentError, DOCUMENT),
    (ContextError, TOO_LONG),
    (RequestError, NOT_OFFERED),
    (MachineError, MACHINE),
)


class Refusal(RequestError):  # noqa: N818 - a refusal is what callers get
    """A request that gets no answer.

    Args:
        kind: one of the kinds above.
        what: what is wrong, one sentence without a final full stop.
        do: what the caller can do.
        param: the parameter at fault.
        retry_after: seconds after which the same request may succeed.
    """

    def __init__(
        self,
        kind: Kind,
        what: str,
        *,
        do: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(what, do=do)
        self.kind, self.param, self.retry_after = kind, param, retry_after

    def body(self) -> dict[str, Any]:
        """Return the JSON error."""
        message = f"{self.what}; {self.do}" if self.do else self.what
        error = {"message": message, "type": self.kind.type, "param": self.param, "code": self.kind.code}
        return {"error": error}

    def headers(self) -> dict[str, str]:
        """Return the headers that go with it; without `retry_after` clients are told not to try again."""
        if self.retry_after is not None:
            return {"retry-after": str(math.ceil(self.retry_after))}
        headers = {"x-should-retry": "false"}  # OpenAI's clients would send 408, 409 and 5xx again
        if self.kind is NO_KEY:
            headers["www-authenticate"] = "Bearer"
        return headers


def refusal_for(error: Exception) -> Refusal:
    """Return what the caller is told of any error; a bug's own message stays in the log."""
    if isinstance(error, Refusal):
        return error
    error = lacking(error) or error
    if isinstance(error, LextuneError):
        kind = next((kind for cls, kind in _KINDS if isinstance(error, cls)), BUG)
        place = f"{shorten(error.where)}: " if error.where else ""
        return Refusal(kind, f"{place}{error.what}", do=error.do)
    return Refusal(
        BUG,
        f"the service failed on this request ({type(error).__name__}), which is a bug in it",
        do="tell the operator: the service's log says where it happened",
    )


def refusal_for_status(status: int, detail: str) -> Refusal:
    """Return the refusal for a status that the web framework chose: no route, wrong method, broken form."""
    if status == NO_ROUTE.status:
        return Refusal(
            NO_ROUTE,
            "no such route",
            do="use /v1/extract, /v1/chat/completions, /v1/models or /health",
        )
    if status == NO_METHOD.status:
        return Refusal(
            NO_METHOD,
            "this route does not take that method",
            do="POST to /v1/extract and /v1/chat/completions, GET /v1/models and /health",
        )
    return Refusal(INVALID, shorten(detail))
