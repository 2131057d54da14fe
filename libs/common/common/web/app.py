"""The app every service is served by: health, metrics, request ids, limits and problem+json around its routers."""

import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from urllib.parse import unquote

import structlog
from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, reset_contextvars

from common.telemetry.metrics import HTTP_REQUESTS, HTTP_SECONDS
from common.web.paging import SLASH_WITHIN
from common.web.problems import Problem, install, problem_of, response_of, unavailable

SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))  # a client may invent others
ESCAPED_SLASH = re.compile("%2f", re.IGNORECASE)
CLIENT_LEFT = 499  # as nginx counts them
INTERNAL_SERVER_ERROR = 500

Endpoint = Callable[[Request], Awaitable[Response]]

log = structlog.stdlib.get_logger(__name__)


def create_app(
    title: str, routers: Iterable[APIRouter], ready: Mapping[str, Callable[[], str | None]], body_max_bytes: int
) -> FastAPI:
    """An app with the routers; each part in `ready` says why it is not ready, or None (asked at each request)."""
    app = FastAPIOffline(title=title)  # its pages come from us, not from a network the shop may not reach
    install(app)
    direct_routes = _direct_routes(routers := tuple(routers))
    app.add_middleware(Front, body_max_bytes=body_max_bytes, direct_routes={})
    all_layers = app.build_middleware_stack

    def direct_first() -> ASGIApp:
        """What is direct is answered in front of the layers that FastAPI puts around all it does."""
        return Front(all_layers(), body_max_bytes, direct_routes, others=False)

    app.build_middleware_stack = direct_first  # type: ignore[method-assign]

    @app.get("/health/live", tags=["health"])
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @app.get("/health/ready", tags=["health"])
    async def is_ready() -> dict[str, str]:
        reasons = [f"{name}: {reason}" for name, why_not in ready.items() if (reason := why_not()) is not None]
        if reasons:
            raise unavailable("; ".join(reasons))
        return {"status": "ready"}

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    routes = [route for router in routers for route in router.routes]
    app.include_router(APIRouter(routes=sorted(routes, key=_ends_open)))
    return app


def direct(endpoint: Endpoint) -> Endpoint:
    """Marks an endpoint that takes a request and gives a response: it is called past FastAPI, whose layers and
    dependencies cost it more than everything else, and declared to it for the documentation alone. Its path holds no
    parameters; it asks for its caller and its query itself, what is declared beside it documents them."""
    endpoint.direct = True  # type: ignore[attr-defined]
    return endpoint


def _ends_open(route: BaseRoute) -> bool:
    """Whether it takes whatever ends a path, as an id may hold slashes: it stands behind those that name their end."""
    return str(getattr(route, "path", "")).endswith(":path}")


def _direct_routes(routers: Iterable[APIRouter]) -> dict[tuple[str, str], APIRoute]:
    """By method and path."""
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    return {(m, r.path): r for r in routes if hasattr(r.endpoint, "direct") for m in r.methods or ()}


class Front:
    """Everything that happens around each request, in one plain ASGI layer since each layer costs every request."""

    def __init__(
        self,
        app: ASGIApp,
        body_max_bytes: int,
        direct_routes: Mapping[tuple[str, str], APIRoute],
        others: bool = True,  # whether it is the front of other routes too
    ) -> None:
        self._app, self._others = app, others
        self._body_max_bytes = body_max_bytes
        self._direct_routes = direct_routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not (self._others or (scope["method"], scope["path"]) in self._direct_routes):
            await self._app(scope, receive, send)
            return
        started_s = time.monotonic()
        if b"%2f" in (raw := scope.get("raw_path") or b"").lower():
            scope["path"] = unquote(ESCAPED_SLASH.sub(SLASH_WITHIN, raw.decode("latin-1")))
        announced_bytes, request_id = _read_head(scope)
        received_bytes = 0
        status = CLIENT_LEFT

        async def receive_bounded() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            self._check(received_bytes)
            return message

        async def send_stamped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        bound = bind_contextvars(request_id=request_id)
        try:
            self._check(announced_bytes)
            if (route := self._direct_routes.get((scope["method"], scope["path"]))) is not None:
                scope["route"] = route
                response = await _response(route.endpoint, Request(scope, receive_bounded))
                await response(scope, receive, send_stamped)
            else:
                await self._app(scope, receive_bounded, send_stamped)
        except ClientDisconnect:
            pass  # nobody is left to answer
        except Exception as error:
            problem = problem_of(error)
            if problem.status == INTERNAL_SERVER_ERROR:
                problem.extra["request_id"] = request_id
                log.exception("request failed", route=_route(scope))
            else:  # an outage needs no traceback per request
                log.warning("request refused", route=_route(scope), status=problem.status, cause=repr(error))
            if status != CLIENT_LEFT:
                raise  # half an answer is out: the server can only cut the connection
            await response_of(problem)(scope, receive, send_stamped)
        finally:
            reset_contextvars(**bound)
            path, method = _route(scope), scope["method"] if scope["method"] in METHODS else "other"
            HTTP_REQUESTS.labels(path, method, str(status)).inc()
            HTTP_SECONDS.labels(path, method).observe(time.monotonic() - started_s)

    def _check(self, body_bytes: int) -> None:
        if body_bytes > self._body_max_bytes:
            # FastAPI lets its own exception out of the reading of a body, and makes a 400 of any other.
            raise HTTPException(413, f"The body is larger than {self._body_max_bytes} bytes.")


async def _response(endpoint: Endpoint, request: Request) -> Response:
    try:
        return await endpoint(request)
    except (Problem, StarletteHTTPException) as expected:
        return response_of(problem_of(expected))


def _read_head(scope: Scope) -> tuple[int, str]:
    """The announced length of the body in bytes, 0 without one, and the request's id: the caller's or a new one."""
    announced_bytes, request_id = 0, ""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            announced_bytes = int(value[:20])
        elif name == b"x-request-id":
            request_id = value.decode("latin-1")
    return announced_bytes, request_id if SANE_REQUEST_ID.fullmatch(request_id) else secrets.token_hex(8)


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", None) or "unmatched"
