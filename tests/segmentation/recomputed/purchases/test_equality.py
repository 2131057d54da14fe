"""Models of purchases against set queries over the raw files of real shops: each customer at instants drawn at random
and right at the edges of the models' days, as the running decision has it by then."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from common.contracts.envelope import Data, Event
from common.decision import AN_INSTANT
from segmentation.domain.models.rfm_scale import quintiles
from tests.segmentation.recomputed.purchases.lived import Lives, book, by_customer, by_scale, purchasers, some, told
from tests.segmentation.recomputed.purchases.recompute import Edges, Shop, naive
from tests.segmentation.recomputed.purchases.shops import KINDS, Kind

SEED = 6
CUSTOMERS = 150
INSTANTS = 3  # of each
EDGES = [timedelta(days=days) for days in (0, 1, 2, 4, 15, 60, 120, 180, 365)]
AFTER = timedelta(days=400)  # of the last purchase, when everything has changed that changes by itself
PUBLISHED_AT = 0.7  # of the history
FIELDS = ("lifecycle", "activity", "rfm_fixed.r", "rfm_fixed.f", "rfm_fixed.m", "value_grade", "stage", "product_cycle")
SCORES = ("rfm.r", "rfm.f", "rfm.m")
PRESET = "  default_days: 60 #"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_models_say_what_the_files_say(kind: Kind, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    histories = some(by_customer(kind.events(tmp_path)), CUSTOMERS, chance)
    shop = Shop(kind.name)
    ids = {kind.called(name): name for name in shop.customers()}
    shop.called({name: called for called, name in ids.items() if called in histories})
    edit = {PRESET: PRESET.replace("60", str(kind.bounds.cycle_days))}
    of = book("s", kind.currency, kind.zone, edit=edit)

    times = [event.received_at for history in histories.values() for event in history]
    published_at = min(times) + PUBLISHED_AT * (max(times) - min(times))
    lives = Lives(of, histories)
    scale = quintiles(purchasers(lives.person(name, lives.at(name, published_at)) for name in histories), published_at)
    edges = shop.edges(naive(published_at))
    assert edges == Edges(
        [float(bound) for bound in scale.days],
        [float(bound) for bound in scale.money],
        [(bound.orders, bound.customer_id) for bound in scale.orders],
    )

    lives = Lives(by_scale(of, scale), histories)
    known = sorted(set(histories) & set(shop.customers()))
    asked = [(name, at) for name in known for at in drawn(chance, histories[name])]
    rows = shop.ask([(name, naive(at)) for name, at in asked], kind.bounds)
    seen = set()
    for name, at in asked:
        row, said = rows[name, naive(at)], told(lives.at(name, at))
        wanted = {field: row[field] for field in FIELDS} | (edges.scores(row) if row["n"] else dict.fromkeys(SCORES))
        assert {field: said.get(field) for field in wanted} == wanted, (name, at)
        seen.add((said["lifecycle"], said.get("activity"), said["stage"], said["value_grade"]))
    assert len(asked) == INSTANTS * len(known)
    assert len(seen) > 4, "not always the same"


def drawn(chance: random.Random, history: list[Event[Data]]) -> Iterator[datetime]:
    """Instants from the first event on: anywhere, and at an edge or just before it."""
    first, last = history[0].received_at, history[-1].received_at
    for _ in range(INSTANTS - 1):
        edge = chance.choice(history).received_at + chance.choice(EDGES) - chance.choice([0, 1]) * AN_INSTANT
        yield max(first, edge)
    yield first + timedelta(seconds=chance.randrange(int((last + AFTER - first).total_seconds())))
