"""The ceiling of ingest: a bare Starlette app that decodes what it is sent with msgspec, and answers. No sink."""

import asyncio
import gc
import os
import socket

import msgspec
import uvicorn
from msgspec import Struct, field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from common.house import GC_THRESHOLDS

FIRST = b"["[0]


class Sent(Struct):
    """One event: its envelope, and what it says."""

    id: str
    type: str
    customer_id: str = field(name="subject")
    data: dict[str, object]
    personal: dict[str, str] | None = None


class Answer(Struct):
    """As ingest answers."""

    id: str
    status: str = "accepted"


ONE = msgspec.json.Decoder(Sent)
MANY = msgspec.json.Decoder(list[Sent])


async def post(request: Request) -> Response:
    """One event or an array of them."""
    body = await request.body()
    said: Answer | dict[str, object]
    if body[0] == FIRST:
        sent = MANY.decode(body)
        said = {"accepted": len(sent), "duplicate": 0, "rejected": 0, "results": [Answer(event.id) for event in sent]}
    else:
        said = Answer(ONE.decode(body).id)
    return Response(msgspec.json.encode(said), status_code=202, media_type="application/json")


async def ready(_: Request) -> Response:
    """It always is."""
    return Response()


async def serve() -> None:
    """Under uvicorn as the services are."""
    gc.set_threshold(*GC_THRESHOLDS)
    app = Starlette(routes=[Route("/v1/events", post, methods=["POST"]), Route("/health/ready", ready)])
    listener = socket.create_server(("127.0.0.1", int(os.environ["REGULARS_PORT"])), backlog=1024)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections inherit it; else 40 ms an answer
    await uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False)).serve(sockets=[listener])


if __name__ == "__main__":
    asyncio.run(serve())
