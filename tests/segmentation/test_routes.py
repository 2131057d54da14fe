"""All of segmentation's routes together, as the service opens them: none breaks down, none hides another, and every
example in their description is one."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import asyncpg
import httpx
import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as searched
from hypothesis.errors import Unsatisfiable
from schemathesis.core.result import Ok

from common.clock import FrozenClock
from common.contracts.ingest import OrderPaid, Visit
from common.house import House
from common.money import Money
from common.settings import Settings
from common.shops import Shop
from common.web.app import create_app
from common.web.auth import KeyRing, create_key
from segmentation import presets
from segmentation.app import open_service, service
from segmentation.domain.models.rfm_scale import Bound, Scale
from segmentation.models import rfm_scales
from tests.laws.streams import event
from tests.segmentation.telling import tell

SHOPS = {"shop": Shop("shop", "Asia/Shanghai", "CNY", "en")}
BOOKS = presets.load(SHOPS)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
EXAMPLES = 15  # of each route, by its description and against it
THOSE_THERE_ARE = {"customer_id": "ann", "segment": "prospect"}  # else hardly anything that is asked for would be there
FAULT = 500


@pytest.fixture
async def client(pool: asyncpg.Pool, settings: Settings, fresh_database: str) -> AsyncIterator[httpx.AsyncClient]:
    """The routes of a service whose loops do not run, for somebody who may do everything."""
    admin = await asyncpg.connect(fresh_database)
    key = await create_key(admin, "shop", ["admin"])
    await admin.close()
    await tell(
        service(BOOKS),
        pool,
        event(1, "ann", Visit(item_id="mug"), NOON),
        event(2, "ann/b", OrderPaid("o1", Money(129_00, "CNY")), NOON),
    )
    async with open_service(House(settings, FrozenClock(NOON), SHOPS)) as part:
        app = create_app("test", [part.router], {}, settings.body_max_bytes)
        app.state.key_ring = KeyRing(part.pool)
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app, raise_app_exceptions=False), base_url="http://test", headers=headers
        ) as client:
            yield client


async def test_no_route_breaks_down(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    statuses: Counter[int] = Counter()
    for made in schemathesis.openapi.from_dict(document).get_all_operations():
        assert isinstance(made, Ok)
        for mode in schemathesis.GenerationMode:
            for case in cases(made.ok(), mode):
                answer = await answered(client, case)
                assert answer.status_code < FAULT, f"{case!r}: {answer.status_code} {answer.text}"
                statuses[answer.status_code] += 1
                given_there = {name: THOSE_THERE_ARE[name] for name in case.path_parameters if name in THOSE_THERE_ARE}
                if given_there:
                    case.path_parameters |= given_there
                    answer = await answered(client, case)
                    assert answer.status_code < FAULT, f"{case!r}: {answer.status_code} {answer.text}"
                    statuses[answer.status_code] += 1
    assert {200, 404, 422} <= set(statuses), statuses


def cases(operation: Any, mode: schemathesis.GenerationMode) -> list[Any]:
    """Some for the operation; a search cannot wait for answers in a running loop, so it only gathers."""
    gathered: list[Any] = []

    @seed(random.Random(f"{operation.label} {mode}").getrandbits(32))
    @searched(max_examples=EXAMPLES, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def gather(case: Any) -> None:
        gathered.append(case)

    try:
        gather()
    except Unsatisfiable:  # there is nothing to get wrong in it
        return []
    return gathered


async def answered(client: httpx.AsyncClient, case: Any) -> httpx.Response:
    """Sent as it was made, by somebody who may."""
    made = case.as_transport_kwargs(base_url="http://test")
    body = {name: made[name] for name in ("json", "content", "data") if made.get(name) is not None}
    if isinstance(body.get("data"), bytes | str):
        body = {"content": body["data"]}
    headers = {
        name: value for name, value in dict(made.get("headers") or {}).items() if name.lower() != "authorization"
    }
    return await client.request(made["method"], made["url"], params=made.get("params"), headers=headers, **body)


async def test_what_is_named_is_not_taken_for_a_segment_or_a_customer(client: httpx.AsyncClient) -> None:
    overlap = (await client.get("/v1/segments/overlap", params={"segments": "prospect,new-active"})).json()
    assert [one["customers"] for one in overlap] == [1, 1, 0]
    assert (await client.get("/v1/segments/prospect")).json()["segment"] == "prospect"
    listed = {one["segment"]: one for one in (await client.get("/v1/segments")).json()}
    assert {one["kind"] for one in listed.values()} >= {"grid"}
    assert listed["prospect"]["customers"] == 1
    why = (await client.get("/v1/customers/ann%2Fb/why", params={"segment": "new-active"})).json()
    assert (why["customer_id"], why["holds"]) == ("ann/b", True)


async def test_an_own_segment_is_asked_about_like_any_other(client: httpx.AsyncClient) -> None:
    rule = {"count": "visit", "op": "gte", "value": 1}
    made = await client.post("/v1/segments", json={"segment": "lookers", "names": {"en": "Lookers"}, "in": rule})
    assert made.status_code == 201, made.text
    listed = {one["segment"]: one for one in (await client.get("/v1/segments")).json()}
    assert listed["lookers"] == {"segment": "lookers", "name": "Lookers", "customers": 0, "kind": "own"}
    why = (await client.get("/v1/customers/ann/why", params={"segment": "lookers"})).json()
    assert (why["holds"], why["told"]) == (True, None)  # the back-fill has yet to come by
    for path in ("members", "counts"):
        assert (await client.get(f"/v1/segments/lookers/{path}")).json()["items"] == []


async def test_who_is_about_to_leave(pool: asyncpg.Pool, client: httpx.AsyncClient) -> None:
    """By the default preset: silent for twice its usual gap, which is 50 points."""
    day, price = timedelta(days=1), Money(129_00, "CNY")
    bought = [event(n, "eve", OrderPaid(f"o{n}", price), NOON + n * 30 * day) for n in range(4)]
    await tell(service(BOOKS), pool, *bought)
    assert (await client.get("/v1/churn")).json() == {"items": [], "next": None}
    await tell(service(BOOKS), pool, event(9, "eve", Visit(), NOON + 151 * day))
    (eve,) = (await client.get("/v1/churn")).json()["items"]
    warned_at = "2026-09-28T12:00:00Z"  # 60 days after the last purchase
    assert eve.items() >= {"customer_id": "eve", "since": warned_at, "score": 50, "reasons": ["silence"]}.items()
    assert eve.items() >= {"warned_at": warned_at, "outcome": "pending", "offers": []}.items()
    told = (await client.get("/v1/customers/eve/timeline")).json()["items"]
    assert [one["at"] for one in told if one["type"] == "churn.warned"] == [warned_at]
    await tell(service(BOOKS), pool, event(10, "eve", OrderPaid("o10", price), NOON + 160 * day))
    assert (await client.get("/v1/churn")).json()["items"] == []
    (eve,) = (await client.get("/v1/churn", params={"outcome": "kept"})).json()["items"]
    assert eve.items() >= {"warned_at": warned_at, "score": 20, "reasons": ["frequency"]}.items()
    # Silent again, and warned of once more; thirty days later nothing was bought.
    await tell(service(BOOKS), pool, event(11, "eve", Visit(), NOON + 260 * day))
    (eve,) = (await client.get("/v1/churn", params={"outcome": "lost"})).json()["items"]
    assert (eve["outcome"], eve["warned_at"]) == ("lost", "2026-11-22T12:00:00Z")  # a gap and a half after day 160
    told = (await client.get("/v1/customers/eve/timeline")).json()["items"]
    assert len([one for one in told if one["type"] == "churn.warned"]) == 2


async def test_models_as_the_preset_has_them(pool: asyncpg.Pool, client: httpx.AsyncClient) -> None:
    """With the scale of RFM that was published last."""
    models = {one["model"]: one for one in (await client.get("/v1/models")).json()["models"]}
    assert models["rfm"]["scale"] is None
    bounds = Scale(
        days=tuple(Fraction(n, 5) for n in (10, 52, 100, 200)),
        orders=tuple(Bound(n, "c") for n in (1, 1, 2, 4)),
        money=tuple(Fraction(n) for n in (100, 200, 300, 400)),
    )
    async with pool.acquire() as connection:
        await rfm_scales.add(connection, "shop", rfm_scales.Published(NOON, NOON, 1, 120, bounds))
    models = {one["model"]: one for one in (await client.get("/v1/models")).json()["models"]}
    assert models["rfm"]["scale"] == {
        "published_at": "2026-05-01T12:00:00Z",
        "buyers": 120,
        "days": [2.0, 10.4, 20.0, 40.0],
        "purchases": [1, 1, 2, 4],
        "money_minor": [100.0, 200.0, 300.0, 400.0],
    }
    for name, model in models.items():
        assert model["definition"], f"{name}: no part of the preset is called like it"
        assert set(model["spread"]) == set(model["facts"])
    assert models["lifecycle"]["spread"]["lifecycle"] == {
        "known": 2,
        "values": {"new": 1, "prospect": 1},
        "percentiles": None,
    }


async def test_every_example_is_one(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    schemas: Mapping[str, Any] = document["components"]["schemas"]
    given_by_all = 0
    for name, schema in schemas.items():
        for field, told in schema.get("properties", {}).items():
            for example in told.get("examples", ()):
                given_by_all += 1
                jsonschema.validate(
                    example,
                    told | {"components": document["components"]},
                    format_checker=jsonschema.FormatChecker(),
                    cls=jsonschema.Draft202012Validator,
                )
                assert field, name
    assert given_by_all > 50  # those of the customer alone are more than thirty
