"""Errors on the wire: RFC 9457 problem+json, made in one place from everything that can go wrong in a request."""

from collections.abc import Mapping
from http.client import responses
from typing import Any

import asyncpg
import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

CONTENT_TOO_LARGE = 413
MAX_ERRORS = 20  # listed in one answer
DATABASE_AWAY = ("08", "53", "57P")  # SQLSTATEs: cut off, out of room, not up yet or going down


class Problem(Exception):
    """An answer that is not the one asked for. `path` is a JSON path to the fault in what was sent."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str = "",
        path: str | None = None,
        *,
        type: str = "about:blank",  # noqa: A002 - RFC 9457's word
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(f"{status} {title}: {detail}")
        self.status, self.title, self.detail, self.path, self.type = status, title, detail, path, type
        self.headers, self.extra = dict(headers or {}), dict(extra or {})


def unavailable(detail: str, retry_after_s: int = 1) -> Problem:
    """503: the same request may well succeed a little later."""
    return Problem(503, responses[503], detail, headers={"Retry-After": str(retry_after_s)})


def problem_of(error: Exception) -> Problem:
    """What to tell the caller about an exception; of a bug, nothing but that it is one."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        errors = [{"path": _path(fault), "reason": fault["msg"]} for fault in error.errors()[:MAX_ERRORS]]
        path, reason = errors[0].values()
        return Problem(422, "Invalid request", f"{path}: {reason}", path, extra={"errors": errors})
    if isinstance(error, HTTPException):
        title = responses.get(error.status_code, "Error")
        path = "$" if error.status_code == CONTENT_TOO_LARGE else None  # the body as a whole
        return Problem(error.status_code, title, error.detail, path, headers=error.headers)
    if _is_unreachable(error):
        return unavailable("The database does not answer.")
    return Problem(500, responses[500], "This is a fault of ours; the request id finds it in the logs.")


def response_of(problem: Problem) -> Response:
    """The problem as an HTTP answer."""
    body = problem.extra | {"type": problem.type, "title": problem.title, "status": problem.status}
    body |= {"detail": problem.detail} if problem.detail else {}
    body |= {"path": problem.path} if problem.path is not None else {}
    return Response(msgspec.json.encode(body), problem.status, problem.headers, "application/problem+json")


def install(app: FastAPI) -> None:
    """Makes the app answer what is expected to go wrong; anything else reaches the app's front (web/app.py)."""

    async def answer(_request: Request, error: Exception) -> Response:
        return response_of(problem_of(error))

    for kind in (Problem, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, answer)


def _path(fault: Mapping[str, Any]) -> str:
    """FastAPI's ("body", "items", 0, "id") as $.items[0].id; of a body that is no JSON it knows only an offset."""
    places = fault["loc"][1:] if fault["type"] != "json_invalid" else ()
    return "$" + "".join(f"[{place}]" if isinstance(place, int) else f".{place}" for place in places)


def _is_unreachable(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.filename is None  # from a socket; one from a file names it
    if isinstance(error, asyncpg.InterfaceError):
        return "clos" in str(error)  # pool or connection closed or closing; its other meanings are bugs
    return isinstance(error, asyncpg.PostgresError) and str(error.sqlstate).startswith(DATABASE_AWAY)
