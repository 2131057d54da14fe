"""What people ask of their data: erased whole and once, by whom it may be asked, after a crash too; and requests."""

import asyncio
import hmac
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest
from cryptography.exceptions import InvalidTag

from common.bus.bell import Bell
from common.clock import RealClock
from common.settings import Settings
from ingest.domain.accept import Identity
from ingest.people import rules as identity_rules
from ingest.people.naming import Naming
from ingest.people.whose import Whose
from ingest.privacy import requests
from ingest.privacy.erasure import Erased, Eraser
from ingest.privacy.requests import Privacy
from ingest.vault import Vault
from tests.contract.waiting import until
from tests.ingest.conftest import MASTER_KEY, SHOPS, Ingest, Keys, assert_problem, open_ingest, rows_of, visit
from tests.ingest.test_hooks import SECRET, call, source
from tests.ingest.test_reprocess import order

ANN = {"phone": "+8613905718888", "email": "ann@example.com", "name": "王小芳", "address": "文三路九十号"}
BOB = {"phone": "+8613905719999", "email": "bob@example.com", "name": "李雷"}


@pytest.fixture
async def here(settings: Settings) -> AsyncIterator[Ingest]:
    async with open_ingest(settings) as opened:
        yield opened


async def tell(here: Ingest, keys: Keys, *events: Mapping[str, Any], status: int = 202) -> None:
    for event in events:
        answer = await here.client.post("/v1/events", json=event, headers=keys["sender"])
        assert answer.status_code == status, answer.text


async def live(here: Ingest, keys: Keys) -> None:
    """Ann and Bob do what leaves traces everywhere."""
    consent = {"channel": "sms", "purpose": "marketing", "granted": True}
    for name, personal in (("ann", ANN), ("bob", BOB)):
        await tell(
            here,
            keys,
            visit(f"{name}1", name, personal=personal),
            visit(f"{name}2", name, type="review.submitted", data={"rating": 5}, personal={"review_text": "很好"}),
            visit(f"{name}3", name, type="consent.changed", data=consent, personal={"consent_proof": "ticked"}),
        )
        refused = visit(f"{name}4", "somebody", personal={"phone": personal["phone"].removeprefix("+86")}, typo=1)
        await tell(here, keys, refused, status=422)


async def erase(here: Ingest, keys: Keys, customer_id: str = "ann") -> dict[str, Any]:
    answer = await here.client.post(f"/v1/customers/{customer_id}/erase", headers=keys["admin"])
    assert answer.status_code == 200, answer.text
    counts: dict[str, Any] = answer.json()
    return counts


async def erased(here: Ingest) -> list[str]:
    return [row.event.customer_id for row in await rows_of(here.pool) if row.event.type == "customer.erased"]


async def asking(here: Ingest) -> Privacy:
    """Another process's."""
    vault = Vault(MASTER_KEY)
    async with here.pool.acquire() as connection:
        await vault.check(connection)
    whose = Whose(Naming(vault, identity_rules.load(), SHOPS))
    return Privacy(here.pool, vault, whose, Eraser(here.pool, vault, whose, RealClock(), Bell()), RealClock())


NOTHING = {"told": [], "keys": 0, "values": 0, "names": 0, "statements": 0, "deliveries": 0, "dead_letters": 0}


async def test_one_is_erased_and_nobody_else(here: Ingest, keys: Keys) -> None:
    await live(here, keys)
    woo = await source(here, keys, "woocommerce")
    # By the shop's number for her, with her phone: she is it.
    await call(here, woo, "woocommerce", order(1, billing={"phone": "139-0571-8888"}))
    await call(here, woo, "woocommerce", {"id": "x", "billing": {"email": "ANN@example.com"}})  # refused, and kept
    await call(here, woo, "woocommerce", {"id": "x", "billing": {"email": "bob@example.com"}})
    counts = await erase(here, keys)
    ids = counts.pop("customer_ids")
    assert (ids[0], counts.pop("told")) == ("ann", ids)
    assert counts == {
        "keys": 1,
        "values": 6,
        "names": 4,
        "statements": 1,
        "deliveries": 2,
        "dead_letters": 2,
    }
    assert await erased(here) == ids
    assert await here.pool.fetchval("SELECT count(*) FROM belongings") == 0
    kept = await here.pool.fetch("SELECT DISTINCT customer_id FROM vault_keys ORDER BY 1")
    assert [row["customer_id"] for row in kept] == ["bob"]
    assert await here.pool.fetchval("SELECT count(*) FROM dead_letters") == 2
    assert await here.pool.fetchval("SELECT count(*) FROM consents") == 1
    consents = await here.client.get("/v1/customers/ann/consents", headers=keys["reader"])
    assert consents.json() == {"customer_id": "ann", "current": [], "history": []}
    assert await erase(here, keys, ids[-1]) == NOTHING | {"customer_ids": ids}
    assert await erased(here) == ids
    # She comes back, is known anew, and may be erased again.
    await tell(here, keys, visit("ann9", "ann", personal={"email": "new@example.com"}))
    assert (await erase(here, keys))["told"] == ["ann"]
    assert await erased(here) == [*ids, "ann"]


async def test_what_is_kept_opens_nothing_of_the_erased(here: Ingest, keys: Keys) -> None:
    await live(here, keys)
    sealed = await here.pool.fetchval("SELECT sealed FROM vault WHERE (customer_id, field) = ('ann', 'phone')")
    await erase(here, keys)
    await tell(here, keys, visit("ann9", "ann", personal={"name": "Ann"}))
    await here.pool.execute("INSERT INTO vault VALUES ('shop', 'ann', 'phone', $1)", sealed)  # out of a backup
    vault = Vault(MASTER_KEY)
    async with here.pool.acquire() as connection:
        with pytest.raises(InvalidTag):
            await vault.get(connection, "shop", ["ann"], ["phone"])


async def test_who_was_never_heard_of_is_told_to_nobody(here: Ingest, keys: Keys) -> None:
    assert await erase(here, keys, "nobody") == NOTHING | {"customer_ids": ["nobody"]}
    assert await erased(here) == []
    assert (await here.client.post("/v1/customers/ann/erase", headers=keys["operator"])).status_code == 403
    assert (await here.client.get("/v1/customers/ann/personal-data", headers=keys["operator"])).status_code == 403
    assert (await here.client.get("/v1/privacy/requests", headers=keys["reader"])).status_code == 403


async def test_cut_off_it_is_done_by_the_next_process(
    settings: Settings, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_ingest(settings) as here:
        await live(here, keys)
        with monkeypatch.context() as dying:

            async def die(*_: object) -> None:
                raise OSError("the machine is gone")

            dying.setattr(Eraser, "_finish", die)
            answer = await here.client.post("/v1/customers/ann/erase", headers=keys["admin"])
            assert answer.status_code == 503
        assert await here.pool.fetchval("SELECT count(*) FROM privacy_requests WHERE done_at IS NULL") == 1
        assert await erased(here) == []
    async with open_ingest(settings) as here:

        async def is_done() -> bool:
            return await erased(here) == ["ann"]

        await until(is_done, "the erasure that was begun")
        assert await here.pool.fetchval("SELECT count(*) FROM vault WHERE customer_id = 'ann'") == 0


async def test_asked_twice_at_once_it_is_told_once(here: Ingest, keys: Keys) -> None:
    await live(here, keys)
    counts = await asyncio.gather(*(erase(here, keys) for _ in range(5)))
    assert sorted(len(count["told"]) for count in counts) == [0, 0, 0, 0, 1]
    assert await erased(here) == ["ann"]


async def test_while_she_is_erased_she_goes_on_sending(here: Ingest, keys: Keys) -> None:
    """Every request is answered, and what is left is either whole or gone."""
    async with asyncio.TaskGroup() as tasks:
        for number in range(30):
            event = visit(f"e{number}", "ann", personal={"phone": f"+861390571{number:04}", "name": "Ann Smith"})
            tasks.create_task(tell(here, keys, event))
            if number % 6 == 0:
                tasks.create_task(erase(here, keys))
    left = await here.client.get("/v1/customers/ann/personal-data", headers=keys["admin"])
    assert left.status_code == 200
    await erase(here, keys)
    assert await here.pool.fetchval("SELECT count(*) FROM vault_keys") == 0


async def test_requests_of_a_platform(here: Ingest, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "LOOK_EVERY_S", 0.05)
    await live(here, keys)
    asked = await asking(here)
    names = (Identity("id", "ann"), Identity("email", "ann@example.com"))
    now = RealClock().now()
    for _ in range(3):  # platforms repeat themselves
        await asked.request("shop", "src_1", "export", names, "r1", now)
    sealed = await here.pool.fetchval("SELECT names FROM privacy_requests")
    assert b"ann" not in sealed
    listed = (await here.client.get("/v1/privacy/requests", headers=keys["operator"])).json()["items"]
    (one,) = listed
    assert (one["kind"], one["reference"], one["done_at"]) == ("export", "r1", None)
    assert (one["due_at"][:10] > one["asked_at"][:10]) is True
    people = await here.client.get(f"/v1/privacy/requests/{one['id']}/customers", headers=keys["admin"])
    assert people.json() == {"customer_ids": ["ann"]}
    data = (await here.client.get("/v1/customers/ann/personal-data", headers=keys["admin"])).json()
    assert data["contact"] == {"ann": ANN}
    assert data["reviews"] == [{"source": "api", "event_id": "ann2", "text": "很好"}]
    assert [one["proof"] for one in data["consents"]["history"]] == ["ticked"]
    assert [event["type"] for event in data["events"]] == [
        "visit",
        "customer.updated",
        "review.submitted",
        "consent.changed",
    ]
    fetched = f"/v1/privacy/requests/{one['id']}/fetched"
    assert (await here.client.post(fetched, headers=keys["admin"])).status_code == 204
    assert_problem(await here.client.post(fetched, headers=keys["admin"]), 404, "Not Found")

    await asked.request("shop", "src_1", "erase", names, "r2", now)
    await asked.run_open()

    assert await erased(here) == ["ann"]
    every = await here.client.get("/v1/privacy/requests?everything=true", headers=keys["operator"])
    done = every.json()["items"][1]
    assert (done["kind"], done["outcome"]["values"], done["outcome"]["dead_letters"]) == ("erase", 6, 1)
    assert await here.pool.fetchval("SELECT count(*) FROM privacy_requests WHERE names IS NOT NULL") == 0
    assert (await here.client.get("/v1/privacy/requests", headers=keys["operator"])).json()["items"] == []
    assert (await here.client.get("/v1/privacy/requests", headers=keys["other"])).json()["items"] == []


async def test_shopify_asks_for_somebody(here: Ingest, keys: Keys) -> None:
    """The webhook that its terms ask for: what it says is done, and it itself is not left behind."""
    await live(here, keys)
    shopify = await source(here, keys, "shopify")
    customer = {"id": 7, "email": "ANN@example.com", "phone": "+8613905718888"}
    told = {"shop_id": 1, "shop_domain": "a.myshopify.com", "customer": customer, "orders_to_redact": []}
    body = json.dumps(told).encode()
    mac = b64encode(hmac.digest(SECRET.encode(), body, sha256)).decode()
    headers = {"X-Shopify-Hmac-Sha256": mac, "X-Shopify-Topic": "customers/redact", "X-Shopify-Event-Id": "w1"}
    for _ in range(2):
        answer = await here.client.post(f"/v1/hooks/{shopify}", content=body, headers=headers)
        assert answer.status_code == 200, answer.text

    async def is_done() -> bool:
        return bool(await here.pool.fetchval("SELECT count(*) FROM privacy_requests WHERE done_at IS NOT NULL"))

    await until(is_done, "the erasure")
    assert await erased(here) == ["ann"]
    assert await here.pool.fetchval("SELECT count(*) FROM privacy_requests") == 1
    assert await here.pool.fetchval("SELECT count(*) FROM vault WHERE customer_id = 'ann'") == 0


async def test_whom_nobody_knows_is_looked_for_all_the_same(here: Ingest, keys: Keys) -> None:
    """A guest of whom only a refused delivery tells."""
    await live(here, keys)
    await tell(here, keys, visit("e9", personal={"phone": "137-0571-0000"}, typo=1), status=422)
    asked = await asking(here)
    await asked.request("shop", "src_1", "erase", (Identity("phone", "13705710000"),), "r1", RealClock().now())
    await asked.run_open()
    assert await here.pool.fetchval("SELECT count(*) FROM dead_letters") == 2
    assert await erased(here) == []


async def test_a_whole_shop_goes_with_its_platform(
    here: Ingest, keys: Keys, monkeypatch: pytest.MonkeyPatch, admin: asyncpg.Connection
) -> None:
    """Only who is known by that source alone; what is kept is not opened for each of them."""
    monkeypatch.setattr(requests, "PEOPLE_AT_ONCE", 3)
    monkeypatch.setattr(requests, "LOOK_EVERY_S", 1e6)  # nobody else's
    at_once: list[int] = []
    erase_people = Eraser.erase

    async def counted(self: Eraser, shop_id: str, ids: Sequence[str], *more: Any) -> Erased:
        at_once.append(len(ids))
        return await erase_people(self, shop_id, ids, *more)

    monkeypatch.setattr(Eraser, "erase", counted)
    woo = await source(here, keys, "woocommerce")
    for number in range(1, 6):
        await call(here, woo, "woocommerce", order(number))
    await live(here, keys)
    await tell(here, keys, visit("e2", "woocommerce:2"))  # and by another
    asked = await asking(here)
    await asked.request("shop", woo, "erase_shop", (), "r1", RealClock().now())
    await asked.run_open()
    assert sorted(await erased(here)) == [f"woocommerce:{number}" for number in (1, 3, 4, 5)]
    kept = await here.pool.fetch("SELECT customer_id FROM vault_keys ORDER BY 1")
    assert [row["customer_id"] for row in kept] == ["ann", "bob", "woocommerce:2"]
    assert at_once == [3, 1]
    noted = await admin.fetch("SELECT who, target FROM access.audit WHERE action = 'person.erased'")
    assert [tuple(row) for row in noted] == [(f"platform:{woo}", "request/1")]


async def test_an_id_may_hold_slashes(here: Ingest, keys: Keys) -> None:
    person = "a/b:c%2F?"
    await tell(here, keys, visit("e1", person, personal=ANN), visit("e2", "c/d", personal=BOB))
    path = f"/v1/customers/{quote(person, safe='')}"
    data = (await here.client.get(f"{path}/personal-data", headers=keys["admin"])).json()
    assert data["contact"] == {person: ANN}
    consents = await here.client.get(f"{path}/consents", headers=keys["reader"])
    assert consents.json()["customer_id"] == person
    assert (await here.client.get(f"{path}/identities", headers=keys["reader"])).json()["items"]
    merged = await here.client.post("/v1/customers/c%2Fd/merge", json={"into": person}, headers=keys["operator"])
    assert merged.json() == {"customer_id": "c/d", "into": person}
    same = await here.client.get(f"{path}/same-as/c%2Fd", headers=keys["reader"])
    assert same.json()["same"] is True
    split = await here.client.post("/v1/customers/c%2Fd/split", json={"reason": "x"}, headers=keys["operator"])
    assert split.json() == {"customer_id": "c/d", "out_of": person}
    assert (await erase(here, keys, quote(person, safe="")))["told"] == [person]
    assert await erased(here) == [person]
