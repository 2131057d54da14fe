"""The comparison finds a lost, a doubled and a changed row: a harness that cannot fail proves nothing."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.compare import Row, compare, stream
from tests.chaos.mail import Mailed, judge

KEYS = st.tuples(st.sampled_from(["a", "b", "é"]), st.sampled_from(["1", "2", "10"]))
ROWS = st.lists(st.builds(Row, KEYS, st.sampled_from(["x", "y"])), max_size=12)


async def counts(got: list[Row], wanted: list[Row]) -> tuple[int, int, int]:
    found = await compare("table", stream(got), stream(wanted))
    assert found.none == (sorted(got) == sorted(wanted))
    return found.lost, found.doubled, found.different


ONE, TWO, THREE = (Row(("shop", f"c{number}"), "as it was") for number in (1, 2, 3))


async def test_lost() -> None:
    assert await counts([ONE, THREE], [ONE, TWO, THREE]) == (1, 0, 0)
    assert await counts([], [ONE, TWO]) == (2, 0, 0)


async def test_doubled() -> None:
    assert await counts([ONE, TWO, TWO], [ONE, TWO]) == (0, 1, 0)
    assert await counts([ONE, TWO, THREE], [ONE, TWO]) == (0, 1, 0)
    assert await counts([ONE, ONE, TWO], [ONE, TWO, THREE]) == (1, 1, 0)


async def test_different() -> None:
    assert await counts([ONE, Row(TWO.key, "another")], [ONE, TWO]) == (0, 0, 1)


async def test_examples_name_the_customer() -> None:
    found = await compare("points", stream([Row(("shop", "c1"), "7")]), stream([Row(("shop", "c1"), "5")]))
    assert found.examples == ["points: different: shop/c1: 7\n    instead of 5"]


@given(ROWS, ROWS)
async def test_nothing_else_passes(got: list[Row], wanted: list[Row]) -> None:
    lost, doubled, different = await counts(got, wanted)
    assert len(got) - len(wanted) == doubled - lost
    missing = Counter(row.key for row in wanted) - Counter(row.key for row in got)
    assert lost == missing.total()
    assert different == 0 or sorted(got) != sorted(wanted)


def mailed(status: str, guarantee: str = "at most once", reason: str = "") -> Mailed:
    return Mailed("shop", "c1", "key", guarantee, status, reason)


@pytest.mark.parametrize(
    ("message", "times", "wanted"),
    [
        (mailed("sent"), 1, (0, 0, 0)),
        (mailed("sent"), 0, (1, 0, 0)),
        (mailed("sent"), 2, (0, 1, 0)),
        (mailed("sent", "at least once"), 2, (0, 0, 0)),
        (mailed("sent", "at least once"), 0, (1, 0, 0)),
        (mailed("failed", reason="SMTP 550"), 1, (0, 0, 1)),
        (mailed("failed", reason="in doubt: it hung up"), 1, (0, 0, 0)),
        (mailed("failed", reason="in doubt: it hung up"), 2, (0, 1, 0)),
        (mailed("suppressed"), 0, (0, 0, 0)),
    ],
)
def test_mail(message: Mailed, times: int, wanted: tuple[int, int, int]) -> None:
    found, _ = judge([message], {message.message_id: times})
    assert (found.lost, found.doubled, found.different) == wanted


def test_mail_that_nobody_sent() -> None:
    found, _ = judge([], {"<unknown@localhost>": 1})
    assert found.doubled == 1
