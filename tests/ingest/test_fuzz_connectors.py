"""Whatever a platform sends, rightly signed, no door answers with a fault of ours: each connector that there is, and
every route by its own description.

As many bodies as REGULARS_FUZZ_EXAMPLES says for each (500, and 20,000 in `make nightly`).
"""

import hmac
import os
import random
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from hashlib import md5, sha256
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as searched
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from msgspec import structs
from schemathesis.core.result import Ok

from common.settings import Settings
from ingest import hooks, sources
from ingest.connectors.known import CONNECTORS
from ingest.connectors.port import Delivery
from tests.ingest.conftest import Ingest, Keys, open_ingest
from tests.ingest.near_bodies import SHAPES, deliveries, in_a_form

EXAMPLES = int(os.environ.get("REGULARS_FUZZ_EXAMPLES", "500"))
AT_ONCE = 100  # bodies searched for, then sent
SECRET = "a-secret-of-the-shop"
TIMEOUT_S = 300 if EXAMPLES <= 500 else 3_600
UNSIGNED_SHARE = 10  # one in so many comes unsigned too
FAULT = 500

T = TypeVar("T")

pytestmark = pytest.mark.timeout(TIMEOUT_S)


def mac_of(body: bytes) -> str:
    return b64encode(hmac.digest(SECRET.encode(), body, sha256)).decode()


def digest_of(body: bytes) -> str:
    return md5(body + SECRET.encode(), usedforsecurity=False).hexdigest()


def _kdniao(body: bytes) -> tuple[bytes, dict[str, str]]:
    sign = b64encode(digest_of(body).encode()).decode()
    return in_a_form("kdniao", body, RequestType="101", DataSign=sign), {}


# As the platforms sign. A connector that is not among them is tried with every signature taken for right.
SIGNERS: Mapping[str, Callable[[bytes], tuple[bytes, dict[str, str]]]] = {
    "kuaidi100": lambda body: (in_a_form("kuaidi100", body, sign=digest_of(body).upper()), {}),
    "kdniao": _kdniao,
    "aftership": lambda body: (body, {"aftership-hmac-sha256": mac_of(body)}),
    "shopify": lambda body: (body, {"x-shopify-hmac-sha256": mac_of(body)}),
    "woocommerce": lambda body: (body, {"x-wc-webhook-signature": mac_of(body)}),
}


@pytest.fixture
async def here(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ingest]:
    """Ingest without limits of addresses: wrong signatures are among what is tried."""
    signed = {
        kind: connector if kind in SIGNERS else structs.replace(connector, is_signed=lambda _delivery, _secret: True)
        for kind, connector in CONNECTORS.items()
    }
    for module in (hooks, sources):
        monkeypatch.setattr(module, "CONNECTORS", MappingProxyType(signed))
    async with open_ingest(settings.model_copy(update={"failures_per_s": 0})) as opened:
        yield opened


def found(strategy: st.SearchStrategy[T], count: int, seed_of: str) -> list[T]:
    """So many of the strategy's; a search cannot wait for answers in a running loop, so it only gathers."""
    gathered: list[T] = []

    @seed(random.Random(seed_of).getrandbits(32))
    @searched(max_examples=count, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(each=strategy)
    def gather(each: T) -> None:
        gathered.append(each)

    gather()
    return gathered


@pytest.mark.parametrize("kind", CONNECTORS)
async def test_no_delivery_brings_the_door_down(here: Ingest, keys: Keys, kind: str) -> None:
    made = await here.client.post("/v1/sources", json={"kind": kind, "secret": SECRET}, headers=keys["operator"])
    assert made.status_code == 201, f"{made.text}: a connector whose options have no defaults needs them here"
    door = f"/v1/hooks/{made.json()['source_id']}"
    statuses: Counter[int] = Counter()
    sent = 0
    strategy = deliveries(kind)
    while sent < EXAMPLES:
        for delivery in found(strategy, min(AT_ONCE, EXAMPLES - sent), f"{kind} {sent}"):
            sent += 1
            statuses[await answered(here, kind, door, delivery, signed=True)] += 1
            if sent % UNSIGNED_SHARE == 0:
                await answered(here, kind, door, delivery, signed=False)
    assert statuses[200] >= 0.9 * sum(statuses.values()), statuses  # taken, ignored or kept: the others say no more
    events = await here.pool.fetchval("SELECT count(*) FROM outbox WHERE key <> ''")
    letters = await here.pool.fetchval("SELECT count(*) FROM dead_letters")
    assert events > 0 if kind in SHAPES else events + letters > 0, "the search never got past the first look"


async def answered(here: Ingest, kind: str, door: str, delivery: Delivery, *, signed: bool) -> int:
    """The status; never one that says that we failed."""
    body, signature = SIGNERS[kind](delivery.body) if kind in SIGNERS and signed else (delivery.body, {})
    given_headers = {**delivery.headers, **signature}
    headers = [(name.encode(), value.encode("latin-1")) for name, value in given_headers.items()]
    answer = await here.client.post(f"{door}?{urlencode(delivery.query)}", content=body, headers=headers)
    assert answer.status_code < FAULT, f"{answer.status_code} for {delivery!r}: {answer.text}"
    return answer.status_code


# ---- every route, by what it says of itself


async def test_no_route_breaks_down(settings: Settings, keys: Keys) -> None:
    """What schemathesis makes of the description: what it allows, and what it does not."""
    async with open_ingest(settings.model_copy(update={"failures_per_s": 0})) as (_, client, _):
        document = (await client.get("/openapi.json")).json()
        operations = [
            found_one.ok()
            for found_one in schemathesis.openapi.from_dict(document).get_all_operations()
            if isinstance(found_one, Ok)
        ]
        each = max(10, EXAMPLES // len(operations))
        statuses: Counter[int] = Counter()
        for operation in operations:
            caller = keys["house" if operation.path.startswith("/internal/") else "admin"]
            for mode in schemathesis.GenerationMode:
                cases = operation.as_strategy(generation_mode=mode)
                try:
                    made = found(cases, each, f"{operation.label} {mode}")
                except Unsatisfiable:  # there is nothing to get wrong in it
                    continue
                for case in made:
                    answer = await case_answered(client, case, caller)
                    assert answer.status_code < FAULT, f"{case!r}: {answer.text}"
                    statuses[answer.status_code] += 1
        assert sum(statuses.values()) > len(operations) * each
        assert {200, 404, 422} <= set(statuses), statuses


async def case_answered(
    client: httpx.AsyncClient, case: schemathesis.Case[Any], caller: Mapping[str, str]
) -> httpx.Response:
    """Sent as it was made, by somebody who may."""
    made = case.as_transport_kwargs(base_url="http://test")
    body = {name: made[name] for name in ("json", "content", "data") if made.get(name) is not None}
    if isinstance(body.get("data"), bytes | str):
        body = {"content": body["data"]}
    headers = {
        name: value for name, value in dict(made.get("headers") or {}).items() if name.lower() != "authorization"
    }
    return await client.request(
        made["method"], made["url"], params=made.get("params"), headers=headers | dict(caller), **body
    )
