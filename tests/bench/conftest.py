"""A benchmark goes on without Kafka; a test of it must not think so."""

import pytest

from regulars.kafka_broker import KafkaUnavailable, provide
from tests.kafka_fixture import cannot_start


@pytest.fixture
def kafka() -> None:
    """Skips where no broker can be had, or fails where that is an error."""
    try:
        provide()
    except KafkaUnavailable as fault:
        cannot_start(str(fault))
