"""A folder for each test's installation; and a real order history."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data_sets import file_of
from tests.memory import temporary

# Of the real history, which takes a second for every 400 of them on each of its roads; more in `make nightly`.
ORDERS = int(os.environ.get("REGULARS_ORDERS", "2500"))


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In place of pytest's."""
    with temporary() as folder:
        yield folder


@pytest.fixture(scope="session")
def olist() -> Path:
    """The folder with the Olist files."""
    return file_of("olist", "olist_orders_dataset.csv").parent
