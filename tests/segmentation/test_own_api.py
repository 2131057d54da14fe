"""Own segments and lists over HTTP: what is made, what is refused and in which words."""

import json
from collections.abc import AsyncIterator, Mapping

import asyncpg
import httpx
import pytest

from common.contracts.ingest import OrderPaid, Visit
from common.money import Money
from common.web.app import create_app
from common.web.auth import KeyRing, create_key
from segmentation.app import own_routes
from tests.laws.streams import CURRENCY, SHOP
from tests.segmentation.own_stage import SHOPS, Stage, open_stage

RULE = {"count": "purchase", "op": "gte", "value": 1}
Keys = Mapping[str, dict[str, str]]


@pytest.fixture
async def stage(fresh_database: str) -> AsyncIterator[Stage]:
    async with open_stage(fresh_database) as stage:
        yield stage


@pytest.fixture
async def client(stage: Stage) -> AsyncIterator[httpx.AsyncClient]:
    one = stage.one
    app = create_app("test", own_routes(stage.pool, SHOPS, one.rulebooks, one.editing, stage.clock), {}, 1_000_000)
    app.state.key_ring = KeyRing(stage.pool)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        yield client


@pytest.fixture
async def keys(fresh_database: str, stage: Stage) -> Keys:
    admin = await asyncpg.connect(fresh_database)
    try:
        made = {scope: await create_key(admin, SHOP, [scope]) for scope in ("read", "operate")}
        made["both"] = await create_key(admin, SHOP, ["read", "operate"])
    finally:
        await admin.close()
    return {name: {"Authorization": f"Bearer {key}"} for name, key in made.items()}


async def test_a_segment_is_made_edited_archived_and_brought_back(client: httpx.AsyncClient, keys: Keys) -> None:
    body = {"segment": "buyers", "names": {"en": "Buyers"}, "in": RULE}
    made = await client.post("/v1/segments", headers=keys["both"], json=body)
    assert made.status_code == 201
    told = made.json()
    assert (told["version"], told["state"], told["preset"], told["in"]) == (1, "live", False, RULE)
    assert told["backfill"]["ended"] is False
    again = await client.post("/v1/segments", headers=keys["both"], json=body)
    assert again.status_code == 409
    assert again.json()["detail"].startswith("the segment 'buyers' is there already: edit changes it")

    other = {"names": {"en": "Buyers"}, "in": RULE | {"value": 2}, "version": 1}
    edited = (await client.put("/v1/segments/buyers", headers=keys["both"], json=other)).json()
    assert [(each["version"], each["in"]["value"]) for each in edited["versions"]] == [(2, 2), (1, 1)]
    stale = await client.put("/v1/segments/buyers", headers=keys["both"], json=other)
    assert (stale.status_code, "at version 2" in stale.json()["detail"]) == (409, True)

    archived = await client.post("/v1/segments/buyers/archive", headers=keys["both"])
    assert (archived.json()["state"], archived.json()["version"]) == ("archived", 3)
    back = await client.put("/v1/segments/buyers", headers=keys["both"], json={"in": RULE})
    assert (back.json()["state"], back.json()["version"]) == ("live", 4)
    assert (await client.get("/v1/segments/nobody", headers=keys["read"])).status_code == 404


async def test_every_fault_is_told_with_its_path(client: httpx.AsyncClient, keys: Keys) -> None:
    rule = {"all": [{"count": "purchse", "op": "gte", "value": 1}, {"field": "lifecycle", "op": "gt", "value": "new"}]}
    for method, path in (("POST", "/v1/segments"), ("POST", "/v1/segments/preview")):
        body = {"in": rule} if path.endswith("preview") else {"segment": "bad", "in": rule}
        refused = await client.request(method, path, headers=keys["both"], json=body)
        assert refused.status_code == 422
        assert refused.headers["content-type"] == "application/problem+json"
        paths = [error["path"] for error in refused.json()["errors"]]
        assert {path.rpartition(".")[0] for path in paths} == {"$.in.all[0]", "$.in.all[1]"}


@pytest.mark.parametrize("name", ["Bad Name", "preview", "new-active", True, None])
async def test_a_bad_name_hides_no_other_fault(client: httpx.AsyncClient, keys: Keys, name: object) -> None:
    for names, under in (({"fr": "x"}, "$.names.fr"), ("x", "$.names")):
        for rule, path in (({"all": [RULE, {"count": "purchse"}]}, "$.in.all[1].count"), (None, "$.in")):
            body = {"segment": name, "names": names, "in": rule}
            told = (await client.post("/v1/segments", headers=keys["both"], json=body)).json()
            assert [error["path"] for error in told["errors"]][:3] == ["$.segment", under, path]
            assert ("quotes" in told["detail"]) is (name is True)


async def test_a_preview_takes_what_makes_a_segment(client: httpx.AsyncClient, keys: Keys) -> None:
    body = {"segment": "buyers", "names": {"en": "Buyers"}, "version": 1, "in": RULE}
    asked = await client.post("/v1/segments/preview", headers=keys["read"], json=body)
    assert (asked.status_code, asked.json()["of"]) == (200, 0)
    misspelt = await client.post("/v1/segments/preview", headers=keys["read"], json=body | {"name": "x"})
    assert (misspelt.status_code, misspelt.json()["path"]) == (422, "$.name")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"segment": "Bad Name", "in": RULE}, "$.segment"),
        ({"segment": "preview", "in": RULE}, "$.segment"),
        ({"segment": "overlap", "in": RULE}, "$.segment"),
        ({"segment": "new-active", "in": RULE}, "$.segment"),
        ({"segment": "s"}, "$.in"),
        ({"segment": "s", "in": RULE, "copy_of": "prospect"}, "$.in"),
        ({"segment": "s", "in": {"list": "nowhere"}}, "$.in.list"),
        ({"segment": "s", "in": RULE, "names": {"fr": "x"}}, "$.names.fr"),
        ({"segment": "s", "in": {"field": "city", "op": "eq", "value": "\ud800"}}, "$"),
    ],
)
async def test_what_is_refused(client: httpx.AsyncClient, keys: Keys, body: dict[str, object], path: str) -> None:
    content = json.dumps(body)
    headers = keys["both"] | {"Content-Type": "application/json"}
    refused = await client.post("/v1/segments", headers=headers, content=content)
    assert (refused.status_code, refused.json()["path"]) == (422, path)


async def test_a_preset_is_not_edited_but_copied(stage: Stage, client: httpx.AsyncClient, keys: Keys) -> None:
    preset = next(iter(stage.one.rulebooks.presets[SHOP].by_id))
    for answer in (
        await client.put(f"/v1/segments/{preset}", headers=keys["both"], json={"in": RULE}),
        await client.post(f"/v1/segments/{preset}/archive", headers=keys["both"]),
    ):
        assert answer.status_code == 409
        assert "make a copy of it" in answer.json()["detail"]
    shown = (await client.get(f"/v1/segments/{preset}", headers=keys["read"])).json()
    copy = await client.post("/v1/segments", headers=keys["both"], json={"segment": "mine", "copy_of": preset})
    assert (copy.status_code, copy.json()["in"]) == (201, shown["in"])
    book = stage.one.rulebooks[SHOP]
    assert book.by_id["mine"].reads == book.by_id[preset].reads


async def test_a_preview_cannot_ask_about_itself(client: httpx.AsyncClient, keys: Keys) -> None:
    refused = await client.post("/v1/segments/preview", headers=keys["read"], json={"in": {"segment": "preview"}})
    assert refused.json()["path"] == "$.in.segment"
    assert refused.json()["detail"].startswith("$.in.segment: is unknown: ")
    near = await client.post("/v1/segments/preview", headers=keys["read"], json={"in": {"segment": "previews"}})
    assert "preview," not in near.json()["detail"]


async def test_who_may_only_read_edits_nothing(client: httpx.AsyncClient, keys: Keys) -> None:
    for method, path, body in (
        ("POST", "/v1/segments", {"segment": "s", "in": RULE}),
        ("PUT", "/v1/segments/s", {"in": RULE}),
        ("POST", "/v1/segments/s/archive", None),
        ("PUT", "/v1/lists/l", ["c1"]),
    ):
        assert (await client.request(method, path, headers=keys["read"], json=body)).status_code == 403
        assert (await client.request(method, path, json=body)).status_code == 401
    assert (await client.post("/v1/segments/preview", headers=keys["operate"], json={"in": RULE})).status_code == 403


async def test_acts_are_noted(stage: Stage, client: httpx.AsyncClient, keys: Keys) -> None:
    await client.post("/v1/segments", headers=keys["both"], json={"segment": "s", "in": RULE})
    await client.put("/v1/segments/s", headers=keys["both"], json={"in": RULE})
    await client.post("/v1/segments/s/archive", headers=keys["both"])
    await client.put("/v1/lists/l", headers=keys["both"], json=["c1"])
    noted = await stage.admin.fetch("SELECT action, target FROM access.audit ORDER BY id")
    assert [tuple(row) for row in noted] == [
        ("segment.created", "s"),
        ("segment.edited", "s"),
        ("segment.archived", "s"),
        ("list.put", "l"),
    ]


async def test_a_preview_says_why(stage: Stage, client: httpx.AsyncClient, keys: Keys) -> None:
    async with stage.one.running():
        await stage.publish(
            stage.event("ann", OrderPaid("a", Money(100, CURRENCY))),
            stage.event("bob", Visit()),
            stage.event("c", Visit()),
        )
        await stage.decided()
    told = (await client.post("/v1/segments/preview", headers=keys["read"], json={"in": RULE})).json()
    assert (told["customers"], told["exact"], told["error"], told["of"]) == (1, True, 0, 3)
    (found,) = told["sample"]
    why = found["why"]
    assert (found["customer_id"], why["holds"], why["found"], why["until"]) == ("ann", True, 1, None)
    assert [event["name"] for event in why["events"]] == ["a"]


async def test_a_static_list_by_file(stage: Stage, client: httpx.AsyncClient, keys: Keys) -> None:
    async with stage.one.running():
        await stage.publish(*(stage.event(name, Visit()) for name in ("ann", "bob", "cid")))
        await stage.decided()
        headers = keys["both"] | {"Content-Type": "text/csv"}
        put = await client.put("/v1/lists/fair", headers=headers, content="name,customer_id\nx,ann\ny,newcomer\n")
        assert put.json() == {"list": "fair", "put_on": 2, "taken_off": 0}
        body = {"segment": "at_the_fair", "in": {"list": "fair"}}
        assert (await client.post("/v1/segments", headers=keys["both"], json=body)).status_code == 201
        await stage.filled()
        assert await stage.inside("at_the_fair") == ["ann", "newcomer"]

        headers = keys["both"] | {"Content-Type": "application/x-ndjson"}
        put = await client.put("/v1/lists/fair", headers=headers, content='"bob"\n{"customer_id": "ann"}\n')
        assert put.json() == {"list": "fair", "put_on": 1, "taken_off": 1}
        await stage.filled()
        assert await stage.inside("at_the_fair") == ["ann", "bob"]

        shown = (await client.get("/v1/lists/fair", headers=keys["read"])).json()
        assert (shown["customers"], shown["backfill"]["ended"]) == (2, True)
        members = (await client.get("/v1/lists/fair/members?limit=1", headers=keys["read"])).json()
        assert members["items"] == [{"customer_id": "ann"}]
        assert members["next"] is not None

        refused = await client.delete("/v1/lists/fair", headers=keys["both"])
        assert (refused.status_code, "at_the_fair" in refused.json()["detail"]) == (409, True)
        assert (await client.delete("/v1/lists/fair", headers=keys["read"])).status_code == 403
        assert (await client.delete("/v1/lists/none", headers=keys["both"])).status_code == 404
        await client.post("/v1/segments/at_the_fair/archive", headers=keys["both"])
        gone = await client.delete("/v1/lists/fair", headers=keys["both"])
        assert gone.json() == {"list": "fair", "put_on": 0, "taken_off": 2}
        assert (await client.get("/v1/lists/fair", headers=keys["read"])).status_code == 404


@pytest.mark.parametrize(("kind", "content"), [("text/csv", "customer_id\n"), ("application/json", "[]")])
async def test_a_list_is_emptied_only_if_that_is_asked_for(
    client: httpx.AsyncClient, keys: Keys, kind: str, content: str
) -> None:
    await client.put("/v1/lists/fair", headers=keys["both"], json=["ann", "bob"])
    headers = keys["both"] | {"Content-Type": kind}
    refused = await client.put("/v1/lists/fair", headers=headers, content=content)
    assert (refused.status_code, "empty=true" in refused.json()["detail"]) == (422, True)
    assert (await client.get("/v1/lists/fair", headers=keys["read"])).json()["customers"] == 2
    emptied = await client.put("/v1/lists/fair?empty=true", headers=headers, content=content)
    assert emptied.json() == {"list": "fair", "put_on": 0, "taken_off": 2}


@pytest.mark.parametrize(
    ("kind", "content", "path"),
    [
        ("application/json", '["c1", 2]', "$[1]"),
        ("application/json", '{"customers": ["a b"]}', "$.customers[0]"),
        ("application/json", "{}", "$"),
        ("application/json", "[", "$"),
        ("text/csv", "customer_id\nc1\n\n+8613800138000\n", "line 4.customer_id"),
        ("application/x-ndjson", '{"customer_id": "lilei@example.com"}\n', "line 1.customer_id"),
        ("application/x-ndjson", '{"id": "c1"}\n', "line 1.customer_id"),
        ("text/plain", "c1", "$"),
    ],
)
async def test_a_faulty_list_changes_nothing(
    client: httpx.AsyncClient, keys: Keys, kind: str, content: str, path: str
) -> None:
    headers = keys["both"] | {"Content-Type": kind}
    refused = await client.put("/v1/lists/l", headers=headers, content=content)
    assert (refused.status_code, refused.json()["path"]) == (422, path)
    assert "8613800138000" not in refused.text
    assert "lilei" not in refused.text
    assert (await client.get("/v1/lists/l", headers=keys["read"])).status_code == 404
