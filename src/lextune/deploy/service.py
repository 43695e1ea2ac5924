"""`lextune serve R`: one release behind the routes that OpenAI's clients know, and /v1/extract.

    GET  /health                 is the service up? (no key needed)
    GET  /v1/models              the release
    POST /v1/extract             {"text": ..., "name": ...} or a multipart `file`; the public record
    POST /v1/chat/completions    for releases that generate; a `tag` release refuses it with the reason (409)

One request is at the model at a time, a bounded number wait (`turns`), the key and the size are checked
before anything is read (`guard`), every error is one JSON error (`refusals`).
"""

# No `from __future__ import annotations` here: FastAPI evaluates the annotations of the routes, and the names
# in them exist only inside `create_app`, where FastAPI is imported.

import asyncio
import contextlib
import ipaddress
import math
import os
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from lextune.core.errors import MachineError, UserError, shorten
from lextune.core.records import Document, Message, Prediction
from lextune.deploy.bodies import Completion, read_chat
from lextune.deploy.guard import Guard
from lextune.deploy.refusals import (
    GONE,
    NO_MODEL,
    NOT_OFFERED,
    Refusal,
    refusal_for_status,
)
from lextune.deploy.settings import ServiceSettings
from lextune.deploy.turns import Turns
from lextune.deploy.uploads import JSON, Upload, content_type, min_confidence, read_upload, receive_document
from lextune.expert.engines.base import GenerateOptions, Generation
from lextune.expert.schema import Schema
from lextune.text.reading import Limits

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI
    from starlette.exceptions import HTTPException
    from starlette.requests import Request as AnyRequest
    from starlette.responses import Response as AnyResponse

T = TypeVar("T")
KEY_VARIABLE = "LEXTUNE_API_KEY"


class Answerer(Protocol):
    """What the service needs of an expert."""

    @property
    def name(self) -> str:
        """The release's name."""

    @property
    def release_hash(self) -> str:
        """The release's hash."""

    @property
    def strategy(self) -> str:
        """`tag`, `point` or `text`."""

    @property
    def schema(self) -> Schema:
        """The fields it answers."""

    def answer(self, document: Document, *, min_confidence: float | None = None) -> Prediction:
        """Answer every field of the schema from one document."""

    def chat(self, messages: Sequence[Message], options: GenerateOptions) -> Generation:
        """Continue a conversation, or raise RequestError."""


def create_app(expert: Answerer, settings: ServiceSettings, api_key: str | None = None) -> "FastAPI":
    """Build the service around one expert.

    Args:
        expert: answers; used by one thread at a time.
        settings: limits.
        api_key: what callers must send; None lets everybody in (`serve` allows that on loopback only).

    Raises:
        MachineError: the packages of the extra `serve` are not installed.
        UserError: the key is empty or holds white space.
    """
    _check_packages()
    from fastapi import FastAPI, Request, Response
    from fastapi.responses import JSONResponse
    from starlette.exceptions import HTTPException

    _check_key(api_key)
    service = _Service(expert, settings)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.turns.close()

    async def health() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def models() -> JSONResponse:
        return JSONResponse({"object": "list", "data": [service.model_card()]})

    async def model(name: str) -> JSONResponse:
        service.check_model(name)
        return JSONResponse(service.model_card())

    async def extract(request: Request) -> JSONResponse:
        return JSONResponse(await service.extract(request))

    async def chat(request: Request) -> Response:
        return await service.chat(request)

    app = FastAPI(title="lextune", lifespan=lifespan, openapi_url=None, redirect_slashes=False)
    app.exception_handler(HTTPException)(_refused_by_framework)
    app.add_middleware(Guard, release_hash=expert.release_hash, max_bytes=settings.max_bytes, api_key=api_key)
    app.get("/health")(health)
    app.get("/v1/models")(models)
    app.get("/v1/models/{name:path}")(model)
    app.post("/v1/extract")(extract)
    app.post("/v1/chat/completions")(chat)
    return app


class _Service:
    """The routes' work, apart from the framework."""

    def __init__(self, expert: Answerer, settings: ServiceSettings) -> None:
        self._expert, self._settings = expert, settings
        self._started = int(time.time())
        self._limits = Limits(
            max_bytes=settings.max_bytes,
            max_characters=settings.max_characters,
            seconds=min(settings.timeout_seconds, Limits.seconds),
        )
        self.turns = Turns(settings.max_queue, settings.timeout_seconds)

    def model_card(self) -> dict[str, Any]:
        """Return the release in OpenAI's layout of a model, and what it is."""
        expert = self._expert
        return {
            "id": expert.name,
            "object": "model",
            "created": self._started,
            "owned_by": "lextune",
            "release": expert.release_hash,
            "strategy": expert.strategy,
            "schema": expert.schema.name,
        }

    def check_model(self, name: str) -> None:
        """Raise Refusal where `name` is neither this release's name nor its hash."""
        if name not in (self._expert.name, self._expert.release_hash):
            raise Refusal(
                NO_MODEL,
                f"no model {shorten(name)!r} here",
                do=f"use {self._expert.name!r}, the one in /v1/models",
                param="model",
            )

    async def extract(self, request: "AnyRequest") -> dict[str, Any]:
        """Return the public record of the document in the request."""
        least = min_confidence(request.query_params.multi_items())

        def job(upload: Upload) -> dict[str, Any]:
            document = read_upload(upload, self._limits)
            return self._expert.answer(document, min_confidence=least).record.as_json()

        with self.turns.place() as place:
            upload = await place.receive(receive_document(request))
            return await _unless_gone(request, place.run(lambda: job(upload)))

    async def chat(self, request: "AnyRequest") -> "AnyResponse":
        """Return a completion, whole or as a stream of events."""
        from starlette.responses import JSONResponse, Response

        expert, settings = self._expert, self._settings
        if expert.strategy == "tag":
            raise Refusal(
                NOT_OFFERED,
                f"{shorten(expert.name)} answers extraction only: it marks sentences and generates no text",
                do="POST the document to /v1/extract, or serve a release of strategy point or text",
            )
        content_type(request, (JSON,))
        with self.turns.place() as place:
            body = read_chat(await place.receive(request.body()))
            self.check_model(body.model)
            messages, options = body.turns(settings.max_characters), body.options(settings.max_tokens)
            generation = await _unless_gone(request, place.run(lambda: expert.chat(messages, options)))
        head = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": expert.name,
            "system_fingerprint": expert.release_hash,
        }
        completion = Completion(head, generation)
        if not body.stream:
            return JSONResponse(completion.whole())
        events = "".join(completion.events(include_usage=body.stream_options.include_usage))
        return Response(events, media_type="text/event-stream", headers={"cache-control": "no-cache"})


async def _refused_by_framework(_: "AnyRequest", error: "HTTPException") -> "AnyResponse":
    """Answer what the framework itself refuses in the form of every other refusal."""
    from fastapi.responses import JSONResponse

    refusal = refusal_for_status(error.status_code, str(error.detail))
    headers = {**refusal.headers(), **(error.headers or {})}
    return JSONResponse(refusal.body(), refusal.kind.status, headers=headers)


async def _unless_gone(request: "AnyRequest", answer: Coroutine[Any, Any, T]) -> T:
    """Return the answer, or stop waiting for it when the caller closes the connection."""

    async def disconnected() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    work, gone = asyncio.create_task(answer), asyncio.create_task(disconnected())
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise Refusal(GONE, "the caller closed the connection before the answer")
        return work.result()
    finally:
        work.cancel()
        gone.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)


def key_from_environment(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the API key in $LEXTUNE_API_KEY, None where the variable is not set."""
    return environment.get(KEY_VARIABLE)


def _check_packages() -> None:
    try:
        import fastapi  # noqa: F401
        import python_multipart  # noqa: F401 - what reads forms, asked for here rather than by the first form
        import uvicorn  # noqa: F401 - what will run the service
    except ImportError as error:
        raise MachineError(
            f"the server needs a package that is not installed: {error.name}",
            do="pip install 'lextune[serve]'",
        ) from None


def _check_key(api_key: str | None) -> None:
    if api_key is not None and (not api_key or api_key.split() != [api_key]):
        raise UserError(
            "the API key is empty or holds white space",
            where=f"${KEY_VARIABLE}",
            do=f"set it to one word, for example {KEY_VARIABLE}=$(openssl rand -hex 24), or unset it",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one.

    Raises:
        UserError: the address is not of this machine, or the port is taken.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except socket.gaierror as error:
        reason = error.strerror
    except OverflowError as error:
        reason = str(error)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
    raise UserError(f"cannot listen: {reason}", where=f"{host}:{port}", do="choose another --host or --port")


def make_server(app: "FastAPI", settings: ServiceSettings) -> "uvicorn.Server":
    """Return the web server that will run the service; `run(sockets=[...])` starts it."""
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(
            app,
            access_log=False,  # Guard logs each request, without the caller's query string
            log_config=None,
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=math.ceil(settings.timeout_seconds),
        )
    )


def serve(
    load: Callable[[], Answerer],
    settings: ServiceSettings,
    host: str,
    port: int,
    api_key: str | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until the process is told to stop (SIGINT, SIGTERM); requests under way are finished first.

    Args:
        load: gives what answers; called once it is known that the service can listen.
        settings: limits.
        host: address to listen on; other machines can reach any but a loopback one.
        port: 0 takes a free one.
        api_key: what callers must send (`key_from_environment`).
        on_ready: called with the service's URL once it listens.

    Raises:
        UserError: no key on an address that others can reach, a key that cannot be sent, or a port in use.
        MachineError: the packages of the extra `serve` are not installed.
    """
    if api_key is None and not _is_loopback(host):
        raise UserError(
            "without an API key the service listens on this machine only",
            where=f"--host {host}",
            do=f"set {KEY_VARIABLE}, or use --host 127.0.0.1",
        )
    _check_packages()
    _check_key(api_key)
    with listen(host, port) as sock:
        server = make_server(create_app(load(), settings, api_key), settings)
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{sock.getsockname()[1]}"
        if on_ready is not None:
            on_ready(url)
        server.run(sockets=[sock])
