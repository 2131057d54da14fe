"""Classes made of personal data, as a running ingest tells them: once, to one person, beside what brought them."""

from typing import Any

from common.contracts.ingest import CustomerUpdated
from common.settings import Settings
from tests.ingest.conftest import Keys, is_of_classes, open_ingest, rows_of

PERSONAL = {"phone": "+8613800138000", "email": "wang@zju.edu.cn", "address": "杭州市西湖区浙江大学 3 舍"}
CLASSES = {
    "phone_type": "mobile",
    "phone_carrier": "china_mobile",
    "email_class": "school",
    "email_provider": None,
    "occupation": "student",
}


def order(id_: str, **more: Any) -> dict[str, Any]:
    amount = {"amount_minor": 100, "currency": "CNY"}
    return {"id": id_, "type": "order.placed", "data": {"order_id": f"o-{id_}", "amount": amount}} | more


async def test_told_once_however_often_it_comes(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as ingest:
        event = order("e1", identities={"anonymous": "b1"}, personal=PERSONAL)
        for status in ("accepted", "duplicate", "duplicate"):
            answer = await ingest.client.post("/v1/events", json=event, headers=keys["sender"])
            assert answer.json() == {"id": "e1", "status": status}
        placed, beside = (row.event for row in await rows_of(ingest.pool, classes=True))
        assert beside.data == CustomerUpdated(attributes=CLASSES)
        assert (beside.customer_id, beside.causation_id) == (placed.customer_id, "e1")
        assert (beside.occurred_at, beside.received_at) == (placed.occurred_at, placed.received_at)


async def test_who_is_called_by_a_name_stays_one(settings: Settings, keys: Keys) -> None:
    async with open_ingest(settings) as ingest:
        masked = {"phone": "139****5678", "email": "guest@shop.cn", "address": PERSONAL["address"]}
        nobody = {"id": "e1", "type": "visit", "personal": masked}
        events = [nobody, order("e2", personal=masked), order("e3", personal=PERSONAL)]
        answer = await ingest.client.post("/v1/events", json=events, headers=keys["sender"])
        assert answer.json()["accepted"] == 3
        told = [row.event for row in await rows_of(ingest.pool, classes=True)]
        by = {event.causation_id: event.customer_id for event in told if is_of_classes(event)}
        assert by == {event.id: event.customer_id for event in told if event.id in ("e2", "e3")}
        assert len({event.customer_id for event in told}) == 3
