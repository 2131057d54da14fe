"""What a caller is told about each thing that can go wrong."""

import errno
import json

import asyncpg
import pytest
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from common.web.problems import Problem, problem_of, response_of, unavailable


def test_a_problem_is_written_as_rfc_9457_says() -> None:
    problem = Problem(
        404,
        "No such customer",
        "The shop has no customer c-1.",
        "$.id",
        type="https://example.com/no-customer",
        headers={"X-Hint": "y"},
        extra={"customer": "c-1", "status": "never in place of the real one"},
    )
    response = response_of(problem)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-hint"] == "y"
    assert json.loads(bytes(response.body)) == {
        "type": "https://example.com/no-customer",
        "title": "No such customer",
        "status": 404,
        "detail": "The shop has no customer c-1.",
        "path": "$.id",
        "customer": "c-1",
    }


def test_a_problem_without_more_to_say_says_no_more() -> None:
    assert json.loads(bytes(response_of(Problem(409, "Conflict")).body)) == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
    }


def test_unavailable_says_when_to_come_back() -> None:
    response = response_of(unavailable("The queue is full.", retry_after_s=7))
    assert (response.status_code, response.headers["retry-after"]) == (503, "7")


@pytest.mark.parametrize(
    ("location", "kind", "path"),
    [
        (("body",), "missing", "$"),
        (("body", "items", 0, "id"), "missing", "$.items[0].id"),
        (("query", "limit"), "int_parsing", "$.limit"),
        (("path", "id"), "string_too_long", "$.id"),
        (("body", 17), "json_invalid", "$"),
    ],
)
def test_an_invalid_request_names_the_place(location: tuple[int | str, ...], kind: str, path: str) -> None:
    problem = problem_of(
        RequestValidationError([{"loc": location, "type": kind, "msg": "Wrong", "input": "13800138000"}])
    )
    assert (problem.status, problem.path, problem.detail) == (422, path, f"{path}: Wrong")
    assert problem.extra == {"errors": [{"path": path, "reason": "Wrong"}]}


def test_an_http_exception_keeps_its_status_words_and_headers() -> None:
    problem = problem_of(HTTPException(405, headers={"Allow": "GET"}))
    assert (problem.status, problem.title, problem.headers) == (405, "Method Not Allowed", {"Allow": "GET"})
    assert problem_of(HTTPException(404, "No inbox of this name.")).detail == "No inbox of this name."


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.PostgresConnectionError("lost"),
        asyncpg.ConnectionDoesNotExistError("lost"),
        asyncpg.CannotConnectNowError("starting up"),
        asyncpg.AdminShutdownError("going down"),
        asyncpg.TooManyConnectionsError("full"),
        asyncpg.InterfaceError("pool is closed"),
        asyncpg.InterfaceError("pool is closing"),
        ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
        ConnectionResetError(),
        FileNotFoundError(errno.ENOENT, "no socket of the embedded server"),
        OSError("Multiple exceptions: [Errno 111] Connect call failed"),
        TimeoutError(),
    ],
)
def test_a_database_that_is_away_is_worth_another_try(error: Exception) -> None:
    problem = problem_of(error)
    assert (problem.status, problem.headers) == (503, {"Retry-After": "1"})


@pytest.mark.parametrize(
    "error",
    [
        KeyError("13800138000"),
        asyncpg.UniqueViolationError("Key (phone)=(13800138000) already exists"),
        asyncpg.DataError("invalid input for query argument $1: '13800138000'"),
        asyncpg.InterfaceError("cannot perform operation: another operation is in progress"),
        FileNotFoundError(errno.ENOENT, "No such file", "/etc/regulars/13800138000"),
    ],
)
def test_of_a_bug_nothing_is_told(error: Exception) -> None:
    problem = problem_of(error)
    assert (problem.status, problem.headers) == (500, {})
    assert "13800138000" not in problem.detail + problem.title
