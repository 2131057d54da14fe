"""What platforms pass on by law reaches whoever does it, before the platform is answered."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from common.bus.dead_letters import DeadLetter
from common.clock import FrozenClock
from common.settings import Settings
from common.shops import Shop
from common.web.limits import Limits
from ingest.classes.finding import Classes
from ingest.connectors.known import CONNECTORS
from ingest.connectors.port import Delivery
from ingest.deliveries import Raw
from ingest.domain.accept import Accepted, Identity
from ingest.domain.review_topics import NO_KEYWORDS
from ingest.flusher import Flusher
from ingest.health import Health
from ingest.hooks import Hooks
from ingest.privacy.requests import Privacy
from ingest.sources import Source, Sources
from ingest.store import EventKey
from ingest.vault import Vault
from tests.unit.ingest.connectors.deliveries import origin

NOW = datetime(2026, 3, 22, 12, 0, tzinfo=UTC)
SOURCE = Source("shop", CONNECTORS["shopify"], origin("shopify"), ())
VAULT = Vault(b"m" * 32)
REDACT = Delivery(
    json.dumps({"shop_id": 1, "customer": {"id": 7, "email": "ann@example.com", "phone": None}}).encode(),
    {"x-shopify-topic": "customers/redact", "x-shopify-event-id": "e1"},
)


class Written:
    """Stands for the flusher and the counts of sources: all of it is durable at once."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []
        self.counts: list[dict[str, int]] = []

    async def submit(
        self, _accepted: Sequence[Accepted], letters: Sequence[DeadLetter], _raws: Sequence[Raw] = ()
    ) -> set[EventKey]:
        self.letters += letters
        return set()

    def count(self, _source_id: str, _at: datetime, **counts: int) -> None:
        self.counts.append({name: count for name, count in counts.items() if count})


class Asked:
    """Somebody who does it."""

    def __init__(self, fails: bool = False) -> None:
        self.requests: list[tuple[Any, ...]] = []
        self._fails = fails

    async def request(
        self, shop_id: str, source_id: str, kind: str, names: Sequence[Identity], reference: str, at: datetime
    ) -> None:
        if self._fails:
            raise OSError("the database is away")
        self.requests.append((shop_id, source_id, kind, tuple(names), reference, at))


def hooks(written: Written, privacy: Asked) -> Hooks:
    shops = {"shop": Shop("shop", "Asia/Shanghai", "CNY", "zh-CN")}
    limits = Limits(Settings(_env_file=None))
    return Hooks(
        cast(Flusher, written),
        VAULT,
        cast(Sources, None),
        cast(Health, written),
        FrozenClock(NOW),
        shops,
        {"shop": NO_KEYWORDS},
        limits,
        cast(Privacy, privacy),
        keeps_raw=False,
        classes=Classes.of(shops),
    )


async def test_a_request_is_handed_on() -> None:
    written, asked = Written(), Asked()
    taken = await hooks(written, asked).take(SOURCE, REDACT)
    names = (Identity("buyer", "shopify:7"), Identity("email", "ann@example.com"))
    assert asked.requests == [("shop", "src_1", "erase", names, "customers/redact:e1", NOW)]
    assert (taken.rejections, written.letters) == ((), [])
    assert written.counts == [{}]  # neither an event nor a repeat


async def test_a_request_that_was_not_written_down_is_not_answered_as_a_success() -> None:
    with pytest.raises(OSError, match="away"):
        await hooks(Written(), Asked(fails=True)).take(SOURCE, REDACT)
