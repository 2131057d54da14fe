"""One customer, on a real database: found, merged and told once, whoever brings the names and however often."""

import asyncio
import random
from typing import Any

import asyncpg
import pytest

from common.contracts.ingest import CustomerMerged, CustomerSplit
from common.settings import Settings
from ingest.domain.accept import Accepted, Identity
from ingest.people import store as people_store
from tests.ingest.conftest import Ingest, Keys, Row, assert_problem, open_ingest, rows_of, visit
from tests.ingest.flushing import accepted, flushing, until_blocked

PEOPLE = "SELECT customer_id, parent, into_id FROM ingest.people WHERE into_id IS NOT NULL ORDER BY 1"
NAMES = "SELECT kind, value, customer_id, shared FROM ingest.identities ORDER BY 1, 2"
NOT_FLAT = """
SELECT count(*) FROM ingest.people p JOIN ingest.people q ON (q.shop_id, q.customer_id) = (p.shop_id, p.into_id)
WHERE q.into_id IS NOT NULL
"""
PHONE, EMAIL = "+8613912345678", "wang.fang@gmail.com"


def parcel(id_: str, order_id: str) -> dict[str, Any]:
    return {"id": id_, "type": "shipment.dispatched", "data": {"order_id": order_id, "shipment_id": id_}}


def by(id_: str, subject: str | None = None, personal: dict[str, str] | None = None, **names: str) -> dict[str, Any]:
    told = visit(id_, subject) if subject else {"id": id_, "type": "visit"}
    return told | ({"personal": personal} if personal else {}) | ({"identities": names} if names else {})


async def send(ingest: Ingest, keys: Keys, *events: dict[str, Any]) -> None:
    answer = await ingest.client.post("/v1/events", json=list(events), headers=keys["operator"])
    assert answer.status_code == 202, answer.text
    assert answer.json()["rejected"] == 0, answer.text


async def told(pool: asyncpg.Pool | asyncpg.Connection) -> list[tuple[str, ...]]:
    return [_short(row) for row in await rows_of(pool)]


def _short(row: Row) -> tuple[str, ...]:
    match row.event.data:
        case CustomerMerged(into=into):
            return (row.event.customer_id, "into", into)
        case CustomerSplit(out_of=out_of):
            return (row.event.customer_id, "out of", out_of)
        case _:
            return (row.event.id, row.event.customer_id)


async def test_plain_events_write_nothing(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as ingest:
        await send(ingest, keys, visit("e1"), visit("e2", "bob"))
        assert await told(ingest.pool) == [("e1", "ann"), ("e2", "bob")]
        assert await ingest.pool.fetch(NAMES) == await ingest.pool.fetch(PEOPLE) == []


async def test_a_visitor_a_buyer_and_an_account_become_one(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as ingest:
        await send(ingest, keys, by("e1", anonymous="browser"))
        await send(ingest, keys, by("e2", buyer="shopify:1", personal={"phone": "139 1234 5678"}))
        await send(ingest, keys, by("e3", "u1", {"phone": PHONE}, anonymous="browser"))
        await send(ingest, keys, by("e4", anonymous="browser"), by("e5", buyer="shopify:1"), by("e6", "shopify:1"))
        assert await told(ingest.pool) == [
            ("e1", "browser"),
            ("e2", "shopify:1"),
            ("shopify:1", "into", "u1"),
            ("browser", "into", "u1"),
            ("e3", "u1"),
            ("e4", "u1"),
            ("e5", "u1"),
            ("e6", "u1"),
        ]
        rows = await rows_of(ingest.pool)
        cause = rows[4].event
        for row in rows[
            2:4
        ]:  # in the partition of who goes, in the same transaction, before what brought them together
            assert (row.xid, row.event.causation_id, row.event.received_at) == (rows[4].xid, "e3", cause.received_at)
            assert row.event.source == "edge"
        assert rows[2].part != rows[4].part
        assert await ingest.pool.fetchval(NOT_FLAT) == 0


async def test_no_contact_data_stands_in_any_table(settings: Settings, keys: Keys, admin: asyncpg.Connection) -> None:
    async with open_ingest(settings) as ingest:
        await send(ingest, keys, by("e1", None, {"phone": PHONE, "email": EMAIL}, card="13912345678"))
        await send(ingest, keys, by("e2", "u1", {"email": EMAIL}))
    for table in ("identities", "people", "kept_apart", "belongings", "outbox"):
        for row in await admin.fetch(f"SELECT * FROM ingest.{table}"):
            for cell in row.values():
                seen = cell if isinstance(cell, bytes) else str(cell).encode()
                assert not [value for value in (b"13912345678", b"wang") if value in seen]


async def test_a_chain_stays_flat_over_many_flushes(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as ingest:
        for number in range(4):
            await send(ingest, keys, by(f"e{number}", f"u{number}", card=f"c{number}"))
        for number in (2, 1, 0):
            await send(ingest, keys, by(f"l{number}", f"u{number}", card=f"c{number + 1}"))
        assert [tuple(row) for row in await ingest.pool.fetch(PEOPLE)] == [
            ("u1", "u0", "u0"),
            ("u2", "u1", "u0"),
            ("u3", "u2", "u0"),
        ]
        await send(ingest, keys, by("last", card="c3"))
        assert (await told(ingest.pool))[-1] == ("last", "u0")


async def test_orders_find_their_people(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as ingest:
        await send(ingest, keys, parcel("parcel", "o1"))
        data = {"order_id": "o1", "amount": {"amount_minor": 100, "currency": "CNY"}}
        placed = {"id": "e1", "type": "order.placed", "data": data, "identities": {"buyer": "taobao:7"}}
        await send(ingest, keys, placed, parcel("parcel2", "o1"))
        early, merged, first, second = await told(ingest.pool)
    assert early[1].startswith("order:")
    assert merged == (early[1], "into", "taobao:7")
    assert [first, second] == [("e1", "taobao:7"), ("parcel2", "taobao:7")]


async def test_nobody_is_named_by_what_is_masked(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as ingest:
        masked = {"phone": "139****5678", "email": "guest@shop.cn"}
        await send(ingest, keys, by("e1", None, masked), by("e2", None, masked), by("e3", "u1", masked))
        people = [who for _, who in await told(ingest.pool)]
        assert len(set(people)) == 3
        assert people[2] == "u1"
        assert await ingest.pool.fetch(NAMES) == []


async def test_an_import_merges_in_its_own_time(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as ingest:
        events = [by(f"e{n}", f"u{n}", {"phone": PHONE}) | {"time": f"2020-01-0{n}T00:00:00Z"} for n in (1, 2)]
        answer = await ingest.client.post("/v1/events?historic=true", json=events, headers=keys["operator"])
        assert answer.json()["accepted"] == 2, answer.text
        (merged,) = [row.event for row in await rows_of(ingest.pool) if isinstance(row.event.data, CustomerMerged)]
    assert (merged.historic, merged.received_at.isoformat()) == (True, "2020-01-02T00:00:00+00:00")


async def test_what_was_told_follows_who_lives_on_and_comes_back(settings: Settings, keys: Keys) -> None:
    wanted = {"shop_id": "shop", "fields": ["phone", "email", "name", "address"]}
    async with open_ingest(settings) as ingest:

        async def known(*people: str) -> dict[str, dict[str, str]]:
            asked = wanted | {"customer_ids": people}
            answer = await ingest.client.post("/internal/vault/contacts", json=asked, headers=keys["house"])
            found: dict[str, dict[str, str]] = answer.json()
            return found

        await send(ingest, keys, by("e1", "u1", {"phone": PHONE, "name": "Fang"}))
        await send(ingest, keys, by("e2", "u2", {"email": EMAIL, "name": "Wang Fang", "address": "West Lake 1"}))
        await send(ingest, keys, by("e3", "u2", {"phone": PHONE}))
        whole = {"phone": PHONE, "email": EMAIL, "name": "Fang", "address": "West Lake 1"}
        assert (await known("u1"))["u1"] == whole
        await send(ingest, keys, by("e4", "u1", {"address": "East Lake 2"}))  # newer than what came along
        said = await ingest.client.post("/v1/customers/u2/split", json={"reason": "brothers"}, headers=keys["operator"])
        assert said.status_code == 200, said.text
        assert await known("u1", "u2") == {
            "u1": {"phone": PHONE, "name": "Fang", "address": "East Lake 2"},
            "u2": {"email": EMAIL, "name": "Wang Fang", "address": "West Lake 1"},
        }


async def test_the_same_event_over_three_connections_merges_once(settings: Settings, keys: Keys) -> None:
    events = [by(f"e{n}", f"u{n % 3}", {"phone": f"+86139000000{n % 5:02d}"}, anonymous=f"a{n % 4}") for n in range(24)]
    async with open_ingest(settings) as one, open_ingest(settings) as two:

        async def sender(seed: int) -> None:
            dice = random.Random(seed)
            for event in dice.sample(events, len(events)):
                await send(dice.choice((one, two)), keys, event)

        await asyncio.gather(*(sender(seed) for seed in range(3)))
        rows = await told(one.pool)
        merged = [row for row in rows if len(row) == 3]
        assert sorted(row[0] for row in rows if len(row) == 2) == sorted(event["id"] for event in events)
        assert len(merged) == len({gone for gone, _, _ in merged})
        assert await one.pool.fetchval(NOT_FLAT) == 0
        people = {(await lookup(one, keys, "id", f"u{n}")) for n in range(3)}
        assert people == {await lookup(one, keys, "phone", f"+86139000000{n:02d}") for n in range(5)}
        assert len(people) == 1


async def lookup(ingest: Ingest, keys: Keys, kind: str, value: str) -> str | None:
    asked = {"kind": kind, "value": value}
    answer = await ingest.client.post("/v1/customers/lookup", json=asked, headers=keys["reader"])
    return str(answer.json()["customer_id"]) if answer.status_code == 200 else None


@pytest.mark.parametrize("seed", range(3))
async def test_two_flushers_at_once_agree(pool: asyncpg.Pool, settings: Settings, seed: int) -> None:
    """Random people whose names overlap, the same in both, in different orders: one partition, each merge told once."""
    dice = random.Random(seed)

    def event(number: int) -> Accepted:
        subject = dice.choice(["", "", "u1", "u2", "u3", "u4"])
        kinds = dice.sample(["card", "buyer", "open_id"], dice.randint(1, 2))
        names = [Identity(kind, f"{kind}{dice.randrange(4)}") for kind in kinds]
        whole = accepted(f"e{number}", subject)
        return Accepted(whole.event, None, True, tuple(names))

    events = [event(number) for number in range(40)]
    async with flushing(pool, settings) as one, flushing(pool, settings) as two, asyncio.TaskGroup() as tasks:
        for flusher in (one, two):
            for each in dice.sample(events, len(events)):
                tasks.create_task(flusher.submit([each], []))
    rows = await told(pool)
    merged = [row[0] for row in rows if len(row) == 3]
    assert len(merged) == len(set(merged))
    assert await pool.fetchval(NOT_FLAT) == 0
    into = {row["customer_id"]: row["into_id"] for row in await pool.fetch(PEOPLE)}
    assert set(merged) == set(into)
    owners = {(r["kind"], r["value"]): into.get(r["customer_id"], r["customer_id"]) for r in await pool.fetch(NAMES)}
    shared = {(r["kind"], r["value"]) for r in await pool.fetch(NAMES) if r["shared"]}
    for each in events:
        names = [(name.kind, name.value) for name in each.identities]
        names += [("id", each.event.customer_id)] if each.event.customer_id else []
        assert shared or len({owners[name] for name in names}) == 1, names


async def test_two_who_meet_at_once_are_merged_once(settings: Settings, keys: Keys, admin: asyncpg.Connection) -> None:
    """Two processes hear at the same time that the same two people are one; both have read, neither has written."""
    async with open_ingest(settings) as one, open_ingest(settings) as two:
        await send(one, keys, by("e1", "u1", card="c1"), by("e2", "u2", card="c2"))
        async with asyncio.TaskGroup() as tasks, admin.transaction():
            await admin.execute("LOCK TABLE ingest.people IN EXCLUSIVE MODE")  # who reads goes on, who writes waits
            tasks.create_task(send(one, keys, by("e3", "u1", card="c2")))
            tasks.create_task(send(two, keys, by("e4", "u2", card="c1")))
            await until_blocked(admin, 2)
        rows = await told(one.pool)
    assert [row for row in rows if len(row) == 3] == [("u2", "into", "u1")]
    assert {row[0]: row[1] for row in rows[2:] if len(row) == 2} == {"e3": "u1", "e4": "u1"}


async def test_a_merge_that_comes_between_two_looks_is_no_conflict(
    pool: asyncpg.Pool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One has read whose the names are; before it counts them, another has merged the two. Counted twice, they would be
    too many, and the phone number would be taken for a locker's."""

    def names(id_: str, subject: str, *phones: int) -> list[Accepted]:
        events = [accepted(f"{id_}-{number}", subject) for number in phones]
        of = [(Identity("phone", f"+861391234000{number}"),) for number in phones]
        return [Accepted(event.event, None, True, each) for event, each in zip(events, of, strict=True)]

    async with flushing(pool, settings) as one, flushing(pool, settings) as two:
        await one.submit([*names("a", "u1", 1, 2), *names("b", "u2", 3, 4)], [])
        counted = people_store.people
        overtakers = iter([names("c", "u1", 3)])

        async def people(*args: Any) -> Any:
            for overtaker in overtakers:
                await two.submit(overtaker, [])
            return await counted(*args)

        monkeypatch.setattr(people_store, "people", people)
        await one.submit(names("d", "u2", 1), [])
    assert [row for row in await told(pool) if len(row) == 3] == [("u2", "into", "u1")]
    assert not [row["value"] for row in await pool.fetch(NAMES) if row["shared"]]


async def test_it_is_found_explained_split_and_merged_by_hand(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as ingest:

        async def ask(path: str, **body: str) -> Any:
            method = "POST" if body else "GET"
            answer = await ingest.client.request(
                method, f"/v1/{path}", json=body or None, headers=keys["operator" if body else "admin"]
            )
            assert answer.status_code == 200, answer.text
            return answer.json()

        await send(ingest, keys, by("e1", "u1", {"phone": PHONE}, card="c1"))
        await send(ingest, keys, by("e2", None, {"email": EMAIL}, buyer="taobao:7"))
        await send(ingest, keys, by("e3", "u2", {"email": EMAIL}), by("e4", "u2", {"phone": "139 1234 5678"}))
        for kind, value in (("id", "u2"), ("phone", "13912345678"), ("email", EMAIL.upper()), ("buyer", "taobao:7")):
            assert await lookup(ingest, keys, kind, value) == "u1"
        assert await lookup(ingest, keys, "id", "nobody yet") == "nobody yet"
        assert await lookup(ingest, keys, "phone", "+8613900000000") is None

        first, second = (await ask("customers/u2/identities?limit=5")), None
        second = await ask(f"customers/u2/identities?limit=5&cursor={first['next']}")
        names = {name["kind"] + ":" + name["value"]: name["customer_id"] for name in first["items"] + second["items"]}
        assert names == {
            "buyer:taobao:7": "taobao:7", "card:c1": "u1", "email:w***@gmail.com": "taobao:7", "id:u1": "u1",
            "id:u2": "u2", "phone:+86139****5678": "u1",
        }  # fmt: skip
        assert (len(first["items"]), second["next"]) == (5, None)

        for each in ("u1", "u2", "taobao:7"):
            assert await ask(f"customers/{each}/ids") == {"customer_id": "u1", "merged": ["taobao:7", "u2"]}
        assert await ask("customers/nobody yet/ids") == {"customer_id": "nobody yet", "merged": []}

        why = await ask("customers/taobao:7/same-as/u1")
        assert (why["same"], why["customer_id"]) == (True, "u1")
        steps = [(s["customer_id"], s["into"], s["by"], s["event_id"], s["first_event_id"]) for s in why["chain"]]
        assert steps == [("taobao:7", "u2", "email", "e3", "e2"), ("u2", "u1", "phone", "e4", "e1")]
        assert await ask("customers/u1/same-as/u1") == {
            "same": True, "customer_id": "u1", "chain": [], "kept_apart": None
        }  # fmt: skip

        # A wrong merge is undone: what was merged into it goes along, and they never meet again by themselves.
        assert await ask("customers/u2/split", reason="mother and son") == {"customer_id": "u2", "out_of": "u1"}
        assert [await lookup(ingest, keys, *name) for name in (("buyer", "taobao:7"), ("email", EMAIL))] == ["u2", "u2"]
        assert await lookup(ingest, keys, "phone", PHONE) == "u1"
        await send(ingest, keys, by("e5", "u2", {"phone": PHONE}), by("e6", "u1", {"email": EMAIL}), by("e7", "u2"))
        assert (await told(ingest.pool))[-4:] == [("u2", "out of", "u1"), ("e5", "u2"), ("e6", "u1"), ("e7", "u2")]
        why = await ask("customers/taobao:7/same-as/u1")
        assert (why["same"], why["kept_apart"]["reason"]) == (False, "mother and son")
        again = await ingest.client.post("/v1/customers/u2/split", json={"reason": "x"}, headers=keys["operator"])
        assert_problem(again, 409, "Conflict")

        # And a wrong split by hand.
        assert await ask("customers/taobao:7/merge", into="u1") == {"customer_id": "u2", "into": "u1"}
        assert (await told(ingest.pool))[-1] == ("u2", "into", "u1")
        assert (await ask("customers/u1/same-as/u2"))["chain"][0]["by"] == "operator"
        again = await ingest.client.post("/v1/customers/u2/merge", json={"into": "taobao:7"}, headers=keys["operator"])
        assert_problem(again, 409, "Conflict", "$.into")


async def test_a_lockers_number_is_listed(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as ingest:
        for number in range(7):
            await send(ingest, keys, by(f"e{number}", f"u{number}", {"phone": PHONE}))
        assert [await lookup(ingest, keys, "id", f"u{n}") for n in range(7)] == ["u0"] * 5 + ["u5", "u6"]
        assert await lookup(ingest, keys, "phone", PHONE) is None
        answer = await ingest.client.get("/v1/identities/shared", headers=keys["operator"])
        (listed,) = answer.json()["items"]
        assert (listed["kind"], listed["value"], listed["links"]) == ("phone", "+86139****5678", 4)


async def test_who_may_ask_what(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as ingest:
        post, get = ingest.client.post, ingest.client.get
        for path, body in (("customers/u1/split", {"reason": "x"}), ("customers/u1/merge", {"into": "u2"})):
            assert_problem(await post(f"/v1/{path}", json=body, headers=keys["reader"]), 403, "Forbidden")
        assert_problem(await get("/v1/identities/shared", headers=keys["reader"]), 403, "Forbidden")
        assert_problem(await get("/v1/customers/u1/identities", headers=keys["sender"]), 403, "Forbidden")
        asked = {"kind": "phone", "value": "139****5678"}
        masked = await post("/v1/customers/lookup", json=asked, headers=keys["reader"])
        assert_problem(masked, 422, "Invalid request", "$.value")
        await send(ingest, keys, by("e1", "u1", {"phone": PHONE}))
        theirs = await get("/v1/identities/shared", headers=keys["other"])
        assert theirs.json() == {"items": [], "next": None}


async def test_a_buyers_number_is_as_good_as_an_id(settings: Settings, keys: Keys) -> None:
    """Who had an id of the shop's keeps it; the number that came along leads there all the same."""
    async with open_ingest(settings) as ingest:
        await send(ingest, keys, by("e1", "u1", {"email": EMAIL}))
        await send(ingest, keys, by("e2", None, {"email": EMAIL}, buyer="taobao:7"))
        get, post, headers = ingest.client.get, ingest.client.post, keys["admin"]
        names = (await get("/v1/customers/taobao:7/identities", headers=headers)).json()["items"]
        assert {"id", "email", "buyer"} == {each["kind"] for each in names}
        why = (await get("/v1/customers/taobao:7/same-as/u1", headers=headers)).json()
        assert (why["same"], why["customer_id"]) == (True, "u1")
        nobody = (await get("/v1/customers/taobao:8/same-as/u1", headers=headers)).json()
        assert nobody["same"] is False
        again = await post("/v1/customers/taobao:7/split", json={"reason": "x"}, headers=headers)
        assert_problem(again, 409, "Conflict")
        merged = await post("/v1/customers/taobao:7/merge", json={"into": "g2"}, headers=headers)
        assert merged.json() == {"customer_id": "u1", "into": "g2"}


async def test_a_cart_is_called_by_its_buyer_once_there_is_one(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as ingest:
        await send(ingest, keys, by("e1", anonymous="cart:1"))
        await send(ingest, keys, by("e2", anonymous="cart:1", buyer="taobao:7"))
        assert await told(ingest.pool) == [("e1", "cart:1"), ("cart:1", "into", "taobao:7"), ("e2", "taobao:7")]
