"""Frequency, recency and T out of profiles, against the package `lifetimes` on the raw files of four real shops."""

import os
import random
import warnings
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.segmentation.recomputed.purchases.lived import WHOLE, Lives, book, by_customer, some
from tests.segmentation.recomputed.purchases.recompute import Shop
from tests.segmentation.recomputed.purchases.shops import KINDS, Kind

SEED = 6
CUSTOMERS = 150
DAY = timedelta(days=1)
# Of Olist, whose files take long to read and where hardly anybody comes again, in `make nightly`.
LEFT_OUT = {"taobao_userbehavior"} if os.environ.get(WHOLE) else {"taobao_userbehavior", "olist"}
KINDS_ASKED = [kind for kind in KINDS if kind.name not in LEFT_OUT]


def of_lifetimes(bought: list[tuple[str, datetime]], zone: ZoneInfo, end: datetime) -> dict[str, tuple[int, int, int]]:
    """Of each customer, in days of the shop's clock."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a pandas that it was not written for
        pandas: Any = pytest.importorskip("pandas")
        utils: Any = pytest.importorskip("lifetimes.utils", reason="NOT CHECKED AGAINST lifetimes: it is not installed")
        local = [at.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None) for _, at in bought]
        frame = pandas.DataFrame({"customer": [name for name, _ in bought], "at": local})
        found = utils.summary_data_from_transaction_data(frame, "customer", "at", observation_period_end=end, freq="D")
    rows = zip(found.index, found["frequency"], found["recency"], found["T"], strict=True)
    return {name: (int(frequency), int(recency), int(t)) for name, frequency, recency, t in rows}


@pytest.mark.parametrize("kind", KINDS_ASKED, ids=lambda kind: kind.name)
def test_frequency_recency_and_t(kind: Kind, tmp_path: Path) -> None:
    zone = ZoneInfo(kind.zone)
    histories = some(by_customer(kind.events(tmp_path)), CUSTOMERS, random.Random(SEED))
    shop = Shop(kind.name)
    shop.called({name: kind.called(name) for name in shop.customers() if kind.called(name) in histories})
    bought = shop.purchases()
    at = max(history[-1].received_at for history in histories.values()) + DAY
    end = at.astimezone(zone).date()
    wanted = of_lifetimes(bought, zone, datetime.combine(end, time()))
    lives = Lives(book("s", kind.currency, kind.zone), histories)
    found, bounded = {}, set()
    for name in histories:
        profile = lives.at(name, at)
        if (of := profile.purchases) is None:
            continue
        first, last = (each.astimezone(zone).date() for each in (of.first_at, of.last_at))
        found[name] = (len(lives.days(name, at)) - 1, (last - first).days, (end - first).days)
        if profile.dropped:  # more orders than are known one by one: fewer days are
            bounded.add(name)
            assert found[name][0] < wanted[name][0]
            found[name] = (wanted[name][0], *found[name][1:])
    assert found == wanted
    assert len(bounded) * 100 <= len(found), "one in a hundred at most"
    assert sum(frequency > 0 for frequency, _, _ in found.values()) > 3, "some came again"
