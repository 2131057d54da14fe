"""The app around every service: health, request ids, limits, metrics, and what happens when things go wrong."""

import io
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import httpx
import pytest
import structlog
from fastapi import APIRouter, Request
from prometheus_client import REGISTRY
from pydantic import BaseModel
from starlette.responses import StreamingResponse
from starlette.types import Message
from structlog.testing import LogCapture

from common.web.app import create_app
from common.web.paging import PlainId
from common.web.problems import Problem

MAX_BYTES = 1_000


class Order(BaseModel):
    order_id: str
    quantities: list[int]


router = APIRouter()


@router.get("/orders/{order_id}")
async def order(order_id: str) -> dict[str, str]:
    structlog.get_logger().info("read")
    if order_id == "none":
        raise Problem(404, "No such order", f"There is no order {order_id}.", "$.order_id")
    if order_id == "bug":
        raise KeyError("13800138000")
    if order_id == "outage":
        raise ConnectionRefusedError(111, "refused")
    return {"order_id": order_id}


@router.post("/orders")
async def place(order: Order) -> dict[str, int]:
    return {"lines": len(order.quantities)}


@router.post("/raw")
async def raw(request: Request) -> dict[str, int]:
    return {"bytes": len(await request.body())}


@router.get("/half")
async def half() -> StreamingResponse:
    async def body() -> AsyncIterator[bytes]:
        yield b"half of "
        raise KeyError("the rest")

    return StreamingResponse(body())


@pytest.fixture
def reasons() -> dict[str, str | None]:
    return {"ingest": None, "loyalty": None}


@pytest.fixture
async def client(reasons: dict[str, str | None]) -> AsyncIterator[httpx.AsyncClient]:
    ready = {name: lambda name=name: reasons[name] for name in reasons}
    app = create_app("test", [router], ready, MAX_BYTES)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    capture = LogCapture()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, capture])
    yield capture.entries
    structlog.reset_defaults()


def requests_counted(**labels: str) -> float:
    return REGISTRY.get_sample_value("regulars_http_requests_total", labels) or 0.0


async def test_it_lives_and_says_why_it_is_not_ready(client: httpx.AsyncClient, reasons: dict[str, str | None]) -> None:
    assert (await client.get("/health/live")).json() == {"status": "live"}
    assert (await client.get("/health/ready")).json() == {"status": "ready"}
    reasons |= {"ingest": "no database", "loyalty": "catching up: 3 s behind"}
    response = await client.get("/health/ready")
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"] == "ingest: no database; loyalty: catching up: 3 s behind"
    assert (await client.get("/health/live")).status_code == 200


async def test_the_documentation_is_on(client: httpx.AsyncClient) -> None:
    assert (await client.get("/docs")).status_code == 200
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert "/orders/{order_id}" in paths
    assert "/metrics" not in paths


@pytest.mark.parametrize(
    ("given", "kept"), [("a-1.B_2", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ("", False)]
)
async def test_a_sane_request_id_is_kept_and_any_other_replaced(
    client: httpx.AsyncClient, given: str, kept: bool
) -> None:
    answered = (await client.get("/health/live", headers={"X-Request-Id": given})).headers["x-request-id"]
    assert (answered == given) is kept
    assert len(answered) == (len(given) if kept else 16)


async def test_each_request_has_its_own_id_in_answer_and_log(client: httpx.AsyncClient, logged: list[Any]) -> None:
    ids = [(await client.get("/orders/1")).headers["x-request-id"] for _ in range(2)]
    assert [entry["request_id"] for entry in logged] == ids
    assert ids[0] != ids[1]
    assert "request_id" not in structlog.contextvars.get_contextvars()


async def test_a_problem_of_a_route_an_unknown_path_and_a_wrong_method_are_problems(client: httpx.AsyncClient) -> None:
    problem = await client.get("/orders/none")
    assert (problem.status_code, problem.json()["path"]) == (404, "$.order_id")
    for response, status in ((await client.get("/nowhere"), 404), (await client.put("/raw"), 405)):
        assert response.status_code == response.json()["status"] == status
        assert response.headers["content-type"] == "application/problem+json"
        assert "x-request-id" in response.headers
    assert (await client.put("/raw")).headers["allow"] == "POST"


async def test_an_invalid_body_is_told_with_every_path(client: httpx.AsyncClient) -> None:
    response = await client.post("/orders", json={"quantities": [1, "two"]})
    assert (response.status_code, response.json()["path"]) == (422, "$.order_id")
    assert [error["path"] for error in response.json()["errors"]] == ["$.order_id", "$.quantities[1]"]
    assert (await client.post("/orders", content=b'{"order_id')).json()["path"] == "$"


async def test_of_a_bug_the_caller_gets_the_request_id_and_the_log_the_rest(
    client: httpx.AsyncClient, logged: list[Any]
) -> None:
    response = await client.get("/orders/bug", headers={"X-Request-Id": "r-1"})
    assert response.status_code == 500
    assert response.headers["x-request-id"] == response.json()["request_id"] == "r-1"
    assert "13800138000" not in response.text
    entry = logged[-1]
    assert (entry["log_level"], entry["request_id"], entry["route"]) == ("error", "r-1", "/orders/{order_id}")
    assert entry["exc_info"]


async def test_an_outage_is_worth_another_try(client: httpx.AsyncClient, logged: list[Any]) -> None:
    response = await client.get("/orders/outage")
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert (logged[-1]["log_level"], "exc_info" in logged[-1]) == ("warning", False)


async def test_half_an_answer_is_cut_off(client: httpx.AsyncClient) -> None:
    with pytest.raises(KeyError, match="the rest"):
        await client.get("/half")


async def in_pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 100):
        yield b"x" * 100


@pytest.mark.parametrize("path", ["/raw", "/orders"])
@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_above_the_limit_is_refused_announced_or_not(
    client: httpx.AsyncClient, path: str, announced: bool
) -> None:
    response = await client.post(path, content=b"x" * (MAX_BYTES + 100) if announced else in_pieces(MAX_BYTES + 100))
    assert response.status_code == 413
    assert response.json()["detail"] == "The body is larger than 1000 bytes."
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_body_at_the_limit_is_taken(client: httpx.AsyncClient) -> None:
    assert (await client.post("/raw", content=b"x" * MAX_BYTES)).json() == {"bytes": MAX_BYTES}
    assert (await client.post("/raw", content=in_pieces(MAX_BYTES))).json() == {"bytes": MAX_BYTES}


async def test_metrics_count_by_template_and_never_by_what_a_client_made_up(client: httpx.AsyncClient) -> None:
    cases: list[tuple[str, str, Mapping[str, str]]] = [
        ("GET", "/orders/1", {"route": "/orders/{order_id}", "method": "GET", "status": "200"}),
        ("GET", "/orders/bug", {"route": "/orders/{order_id}", "method": "GET", "status": "500"}),
        ("GET", "/orders/none", {"route": "/orders/{order_id}", "method": "GET", "status": "404"}),
        ("GET", "/nowhere/13800138000", {"route": "unmatched", "method": "GET", "status": "404"}),
        ("INVENTED", "/nowhere", {"route": "unmatched", "method": "other", "status": "404"}),
    ]
    before = [requests_counted(**labels) for _, _, labels in cases]
    for method, path, _ in cases:
        await client.request(method, path)
    assert [requests_counted(**labels) for _, _, labels in cases] == [count + 1 for count in before]
    response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    assert 'regulars_http_request_seconds_bucket{le="0.001",method="GET",route="/orders/{order_id}"}' in response.text
    assert "13800138000" not in response.text
    assert "_created" not in response.text


async def test_a_client_that_leaves_is_counted_and_not_answered() -> None:
    app = create_app("test", [router], {}, MAX_BYTES)
    sent = io.StringIO()

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.write(message["type"])

    labels = {"route": "/raw", "method": "POST", "status": "499"}
    before = requests_counted(**labels)
    scope = {"type": "http", "method": "POST", "path": "/raw", "headers": [], "query_string": b"", "root_path": ""}
    await app(scope, receive, send)
    assert (sent.getvalue(), requests_counted(**labels)) == ("", before + 1)


async def test_an_open_end_takes_nothing_that_names_its_end() -> None:
    """Whichever service's routes come first."""
    one, other = APIRouter(), APIRouter()

    @one.get("/people/{name:path}")
    async def person(name: PlainId) -> dict[str, str]:
        return {"person": name}

    @other.get("/people/{name:path}/orders")
    async def orders(name: PlainId) -> dict[str, str]:
        return {"orders of": name}

    for routers in ([one, other], [other, one]):
        app = create_app("test", routers, {}, MAX_BYTES)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
            assert (await client.get("/people/a%2Fb")).json() == {"person": "a/b"}
            assert (await client.get("/people/a%2Fb/orders")).json() == {"orders of": "a/b"}
            # An id that ends like a route: what was sent as %2F is the id's own.
            assert (await client.get("/people/a%2forders")).json() == {"person": "a/orders"}
            assert (await client.get("/people/a%2Forders/orders")).json() == {"orders of": "a/orders"}
            assert (await client.get("/people/a%252Forders")).json() == {"person": "a%2Forders"}
            assert (await client.get("/people/a%2F%00")).status_code == 422
