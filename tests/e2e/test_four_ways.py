"""A real shop's history four ways (PostgreSQL; Kafka and five processes; simulation; recompute): nobody differs."""

from pathlib import Path

import pytest

from tests.e2e.conftest import ORDERS
from tests.kafka_fixture import StartKafka
from tests.olist.check import check

# By orders asked for; of other numbers of them only the differences are looked at.
THERE_ARE = {2_500: "2,431 customers, 14,796 events", 10_000: "9,667 customers, 59,232 events"}


@pytest.mark.timeout(900)  # three minutes on two cores; other tests take their share
async def test_no_customer_differs_between_four_ways(
    olist: Path, start_kafka: StartKafka, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a broker of its own: the topics' names are fixed, and what other tests wrote there would be taken for ours."""
    cluster = await start_kafka()
    status = await check(olist, ORDERS, cluster.bootstrap)
    said = capsys.readouterr().out
    assert status == 0, said
    assert f"0 differences between four ways, {THERE_ARE.get(ORDERS, '')}" in said
