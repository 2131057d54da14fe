"""Random rules about customers at random instants: the service and an independent recompute never differ."""

import logging
import os
from random import Random

import pytest

from tests.segmentation.recomputed.rules.compare import Figures, compare
from tests.segmentation.recomputed.rules.real import SOURCES, happened, speaker
from tests.segmentation.recomputed.rules.shapes import Speaker, random_shop

# A sample here; `make nightly` asks 300 rules at 1,000 instants, of the random shops together and of each real one.
RULES = int(os.environ.get("REGULARS_RULES", "24"))
INSTANTS = int(os.environ.get("REGULARS_INSTANTS", "150"))
SEED = int(os.environ.get("REGULARS_SEED", "0"))
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Shanghai", "America/Sao_Paulo")
CUSTOMERS, EVENTS = 40, 60

log = logging.getLogger(__name__)


@pytest.mark.parametrize("number", range(len(ZONES)))
def test_no_answer_differs(number: int) -> None:
    dice = Random(f"{SEED}/{number}")
    asks = Speaker(dice, random_shop(dice, CUSTOMERS, EVENTS))
    _expect(compare(asks, ZONES[number], RULES // len(ZONES), INSTANTS))


@pytest.mark.parametrize("shop", SOURCES)
def test_no_answer_differs_about_a_real_shop(shop: str) -> None:
    source = SOURCES[shop]
    asks = speaker(happened(source), Random(f"{SEED}/{shop}"))
    _expect(compare(asks, source.zone, RULES, INSTANTS))


def _expect(figures: Figures) -> None:
    log.info("%s", figures._replace(differences=figures.differences[:1]))
    assert not figures.differences, (len(figures.differences), figures.differences[0])
    # That it is a test at all: rules that hold and rules that don't, and moments that turn the answer.
    assert 0.05 < figures.held / figures.answers < 0.95, figures
    assert figures.turning > 0, figures
