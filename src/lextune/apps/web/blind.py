"""`lextune review blind`: the web page on which people compare two answers without knowing whose they are.

    GET  /              who are you? (a name or initials; there are no accounts)
    POST /start         take a seat, or the one of before
    GET  /items/CODE    a question and two answers
    POST /items/CODE    keep a choice, and go on to the next item that has none
    GET  /done          what is judged; every choice can still be changed
    POST /leave         let another rater in

Nothing that is sent names an arm or tells the order: a page is made of `Card`s, whose codes are drawn at random. All
works without scripts; `blind.js` adds the keys. `Fence` lets in only what comes from this page itself.
"""

from __future__ import annotations

import hmac
import ipaddress
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import parse_qsl, urlsplit

from lextune.core.errors import DataError, LextuneError, MachineError
from lextune.core.pages import page_template
from lextune.deploy.service import listen
from lextune.evaluate.answer_pairs import no_answer
from lextune.evaluate.blind.order import Place
from lextune.evaluate.blind.session import MAX_COMMENT, VERDICTS, Choice, Sitting, Verdict, by_code
from lextune.text.printable import printable

if TYPE_CHECKING:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 32_000  # bytes of a form: a comment in UTF-8, percent-encoded
MAX_FIELDS = 8
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",  # with no-referrer browsers send `Origin: null` with a form
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
STATIC = {"blind.css": "text/css", "blind.js": "text/javascript"}


class _RefusedError(Exception):
    """A request that gets a page with the reason instead of what it asked for."""

    def __init__(self, status: HTTPStatus, what: str) -> None:
        super().__init__(what)
        self.status, self.what = status, what


class _Seat(NamedTuple):
    """A rater who asks for something: the places in order, the verdicts so far by item."""

    rater: str
    places: Sequence[Place]
    last: Mapping[str, Choice]

    def open_after(self, code: str | None) -> str | None:
        """Return the code of the next place without a choice, from the start again after the last one."""
        codes = [place.code for place in self.places]
        here = codes.index(code) + 1 if code in codes else 0
        around = [*self.places[here:], *self.places[:here]]
        return next((place.code for place in around if place.item not in self.last), None)


class Fence:
    """ASGI middleware: refuses what another site sends, and puts the security headers on every answer.

    A page of another site that resolves its own name to this machine (DNS rebinding) sends that name as `Host`; only
    addresses, `localhost` and the name that was given to listen on are let in. A form of another site comes with
    another `Origin`.

    Args:
        app: the pages.
        host: the address or name that is listened on.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app, self._host = app, host.casefold()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", ()), *extra]
            await send(message)

        said = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host = said.get(b"host", "")
        app: ASGIApp = self._app
        if not self._is_ours(host):
            app = _problem(HTTPStatus.FORBIDDEN, "this address is not the one that the review is served at")
        elif scope["method"] not in ("GET", "HEAD") and said.get(b"origin") != f"{scope['scheme']}://{host}":
            app = _problem(HTTPStatus.FORBIDDEN, "this form does not come from the review's own page")
        await app(scope, receive, send_with_headers)

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            if name not in ("localhost", self._host):
                ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def create_app(session: Sitting, host: str = "127.0.0.1") -> Starlette:
    """Build the pages of one session.

    Args:
        session: open for choices.
        host: the address or name that is listened on.

    Raises:
        MachineError: the packages of the extra `serve` are not installed.
    """
    try:
        import uvicorn  # noqa: F401 - what will run the pages
        from starlette.applications import Starlette
        from starlette.exceptions import HTTPException
        from starlette.middleware import Middleware
        from starlette.routing import Route
    except ImportError as error:
        raise MachineError(
            f"the review page needs a package that is not installed: {error.name}", do="pip install 'lextune[serve]'"
        ) from None
    pages = _Pages(session)
    routes = [
        Route("/", pages.home, methods=["GET"]),
        Route("/start", pages.start, methods=["POST"]),
        Route("/leave", pages.leave, methods=["POST"]),
        Route("/items/{code}", pages.item, methods=["GET"]),
        Route("/items/{code}", pages.choose, methods=["POST"]),
        Route("/done", pages.done, methods=["GET"]),
        Route("/static/{name}", _static, methods=["GET"]),
        Route("/favicon.ico", _nothing, methods=["GET"]),
    ]
    handlers: Mapping[Any, Any] = {_RefusedError: _refused, LextuneError: _failed, HTTPException: _not_offered}
    return Starlette(routes=routes, middleware=[Middleware(Fence, host=host)], exception_handlers=handlers)


class _Pages:
    """The pages' work. Requests are handled in turn by one event loop, so that no two write at a time."""

    def __init__(self, session: Sitting) -> None:
        self._session = session
        self._cookie = f"lextune-blind-{self._digest('session')[:8]}"
        self._shown: dict[tuple[str, str], float] = {}

    async def home(self, request: Request) -> Response:
        """Ask who it is; a rater who has a seat goes on."""
        rater = self._rater(request)
        if rater is not None:
            return self._go_on(self._seat(rater))
        return _html("start", total=len(self._session.shown), token=self._token(""))

    async def start(self, request: Request) -> Response:
        """Seat a rater."""
        form = await self._form(request, "")
        try:
            rater = self._session.seat(form.get("rater", ""))
        except DataError as error:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, error.what) from None
        response = self._go_on(self._seat(rater))
        response.set_cookie(self._cookie, self._digest(f"rater:{rater}"), httponly=True, samesite="strict")
        return response

    async def leave(self, request: Request) -> Response:
        """Forget who it is; the choices stay."""
        await self._form(request, self._rater(request) or "")
        response = _redirect("/")
        response.delete_cookie(self._cookie, httponly=True, samesite="strict")
        return response

    async def item(self, request: Request) -> Response:
        """Show an item."""
        rater = self._rater(request)
        if rater is None:
            return _redirect("/")
        seat, place = self._place(request, rater)
        number = seat.places.index(place)
        around = [seat.places[n].code if 0 <= n < len(seat.places) else None for n in (number - 1, number + 1)]
        self._shown[rater, place.item] = time.monotonic()
        return _html(
            "item",
            card=self._session.card(place),
            number=number + 1,
            before=around[0],
            after=around[1],
            chosen=seat.last.get(place.item),
            **self._progress(seat),
        )

    async def choose(self, request: Request) -> Response:
        """Keep a choice."""
        rater = self._rater(request)
        if rater is None:
            return _redirect("/")
        form = await self._form(request, rater)
        _, place = self._place(request, rater)
        if form.get("choice") not in VERDICTS:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "no choice came with the form")
        since = self._shown.pop((rater, place.item), None)
        choice = Choice(
            rater=rater,
            item=place.item,
            choice=cast(Verdict, form["choice"]),
            comment=form.get("comment", "").replace("\r\n", "\n").strip()[:MAX_COMMENT],
            seconds=None if since is None else round(time.monotonic() - since, 1),
        )
        self._session.choose(choice)
        return self._go_on(self._seat(rater), place.code)

    async def done(self, request: Request) -> Response:
        """Show what is judged, and what is left."""
        rater = self._rater(request)
        if rater is None:
            return _redirect("/")
        seat = self._seat(rater)
        return _html("done", seat=seat, next=seat.open_after(None), **self._progress(seat))

    def _progress(self, seat: _Seat) -> dict[str, Any]:
        counts = {"total": len(seat.places), "judged": len(seat.last)}
        return {"rater": seat.rater, "token": self._token(seat.rater), **counts}

    def _seat(self, rater: str) -> _Seat:
        last = {item: choice for (who, item), choice in self._session.last.items() if who == rater}
        return _Seat(rater, self._session.key.raters[rater], last)

    def _place(self, request: Request, rater: str) -> tuple[_Seat, Place]:
        seat = self._seat(rater)
        place = by_code(seat.places).get(request.path_params["code"])
        if place is None:
            raise _RefusedError(HTTPStatus.NOT_FOUND, "there is no such item")
        return seat, place

    def _go_on(self, seat: _Seat, code: str | None = None) -> Response:
        after = seat.open_after(code)
        return _redirect(f"/items/{after}" if after else "/done")

    def _rater(self, request: Request) -> str | None:
        """Return the rater whom the cookie names, None where it names nobody."""
        given = request.cookies.get(self._cookie, "").encode()
        raters = self._session.key.raters
        return next((r for r in raters if hmac.compare_digest(self._digest(f"rater:{r}").encode(), given)), None)

    def _digest(self, text: str) -> str:
        return hmac.new(self._session.key.secret.encode(), text.encode(), "sha256").hexdigest()

    def _token(self, rater: str) -> str:
        """Return what a form of this rater's pages must bring along."""
        return self._digest(f"form:{rater}")

    async def _form(self, request: Request, rater: str) -> dict[str, str]:
        """Return the fields of a form, which must be one of this rater's pages'."""
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY:
                raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "that is too long")
        try:
            form = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS))
        except ValueError:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "this is no form of the review") from None
        if not hmac.compare_digest(form.get("token", "").encode(), self._token(rater).encode()):
            raise _RefusedError(HTTPStatus.FORBIDDEN, "this form is of an older page: open the review again")
        return form


def _html(name: str, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> Response:
    from starlette.responses import HTMLResponse

    template = page_template("lextune.apps.web", f"blind_{name}.html.j2", no_answer=no_answer)
    return HTMLResponse(printable(template.render(**values)), status)


def _redirect(path: str) -> Response:
    from starlette.responses import RedirectResponse

    return RedirectResponse(path, HTTPStatus.SEE_OTHER)


def _problem(status: HTTPStatus, what: str) -> Response:
    return _html("problem", status, what=what)


async def _refused(_: Request, error: _RefusedError) -> Response:
    return _problem(error.status, error.what)


async def _failed(_: Request, error: LextuneError) -> Response:
    """Say that something could not be kept; not where, because a folder's name may say what is compared."""
    return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, f"your choice was not kept: {error.what}")


async def _not_offered(_: Request, error: Any) -> Response:
    status = HTTPStatus(error.status_code)
    return _problem(status, f"there is no such page ({status.phrase.lower()})")


async def _static(request: Request) -> Response:
    from starlette.responses import Response

    name = request.path_params["name"]
    if name not in STATIC:
        raise _RefusedError(HTTPStatus.NOT_FOUND, "there is no such page")
    file = resources.files("lextune.apps.web").joinpath("static", name)
    return Response(file.read_bytes(), media_type=STATIC[name])


async def _nothing(_: Request) -> Response:
    from starlette.responses import Response

    return Response(status_code=HTTPStatus.NO_CONTENT)


def make_server(app: Starlette) -> uvicorn.Server:
    """Return the web server that will run the pages; `run(sockets=[...])` starts it."""
    import uvicorn

    return uvicorn.Server(uvicorn.Config(app, access_log=False, log_config=None, server_header=False, ws="none"))


def serve(session: Sitting, host: str, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve a session until the process is told to stop (SIGINT, SIGTERM).

    Args:
        session: open for choices.
        host: address to listen on; whoever can reach it can read the answers and choose under any name.
        port: 0 takes a free one.
        on_ready: called with the page's URL once it listens.

    Raises:
        UserError: the address is not of this machine, or the port is taken.
        MachineError: the packages of the extra `serve` are not installed.
    """
    server = make_server(create_app(session, host))
    with listen(host, port) as sock:
        shown = f"[{host}]" if ":" in host else host
        on_ready(f"http://{shown}:{sock.getsockname()[1]}")
        server.run(sockets=[sock])
