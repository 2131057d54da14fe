"""Random rules about random customers at random instants: the service and an independent recompute never differ."""

import os
from collections.abc import Callable

import pytest

from tests.rules.compare import Instant, compare, random_shop
from tests.rules.shapes import instant, tree

# A sample here; `make nightly` asks 300 rules at 1,000 instants.
RULES = int(os.environ.get("REGULARS_RULES", "40"))
INSTANTS = int(os.environ.get("REGULARS_INSTANTS", "150"))
SHOPS = ((1, "Europe/Berlin"), (2, "America/New_York"), (3, "Asia/Shanghai"), (4, "America/Sao_Paulo"))
CUSTOMERS, EVENTS = 40, 60


@pytest.mark.parametrize(("seed", "zone"), SHOPS)
def test_no_answer_differs(seed: int, zone: str, record_property: Callable[[str, object], None]) -> None:
    shop, segments, dice = random_shop(seed, CUSTOMERS, EVENTS)
    probes: list[Instant] = [(dice.choice(shop.customers), instant(dice)) for _ in range(INSTANTS)]
    trees = [tree(dice, tuple(segments)) for _ in range(RULES // len(SHOPS))]
    figures = compare(shop, zone, trees, probes, segments)
    assert not figures.differences, figures.differences[0]
    # That it is a test at all: rules that hold and rules that don't, and moments that are said to turn the answer.
    assert 0.1 < figures.held / figures.answers < 0.9, figures
    assert 0 < figures.turning < figures.untils, figures
    record_property("figures", str(figures))
