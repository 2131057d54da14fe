"""Token buckets: what is let in at which rate, what a batch costs afterwards, and how little is remembered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.settings import Settings
from common.web.limits import HELD_MAX, Bucket, Limits
from common.web.problems import Problem


class Stopwatch:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def is_let_in(bucket: Bucket, name: str = "a", amount: int = 1) -> bool:
    try:
        bucket.check(name)
    except Problem:
        return False
    bucket.charge(name, amount)
    return True


def test_the_burst_and_then_the_rate() -> None:
    watch = Stopwatch()
    bucket = Bucket("key", 10, 5, watch)
    assert [is_let_in(bucket) for _ in range(6)] == [True] * 5 + [False]
    watch.now_s += 0.11
    assert [is_let_in(bucket) for _ in range(2)] == [True, False]
    watch.now_s += 1_000
    assert sum(is_let_in(bucket) for _ in range(100)) == 5


def test_one_name_costs_another_nothing() -> None:
    bucket = Bucket("key", 1, 1, Stopwatch())
    assert [is_let_in(bucket, name) for name in ("a", "a", "b")] == [True, False, True]


def test_a_batch_larger_than_the_burst_passes_and_what_follows_waits() -> None:
    watch = Stopwatch()
    bucket = Bucket("key", 10, 5, watch)
    assert is_let_in(bucket, amount=100)
    with pytest.raises(Problem) as refused:
        bucket.check("a")
    assert (refused.value.status, refused.value.headers) == (
        429,
        {"Retry-After": "10"},
    )  # 95 owed, and one to be let in
    watch.now_s += 9.5
    assert not is_let_in(bucket)
    watch.now_s += 0.2
    assert is_let_in(bucket)


def test_without_a_rate_there_is_no_limit_and_nothing_is_remembered() -> None:
    bucket = Bucket("key", 0, 1)
    assert all(is_let_in(bucket) for _ in range(1_000))
    assert not bucket._full_at_s


def test_memory_is_bounded() -> None:
    watch = Stopwatch()
    bucket = Bucket("address", 1, 10, watch)
    for number in range(HELD_MAX + 10):
        bucket.charge(str(number), 100)
    assert len(bucket._full_at_s) == HELD_MAX
    assert is_let_in(bucket, "0")
    assert not is_let_in(bucket, str(HELD_MAX))
    watch.now_s += 1_000
    bucket.charge("one more")
    assert set(bucket._full_at_s) == {"one more"}


@given(
    rate=st.integers(1, 50),
    burst=st.integers(1, 50),
    steps=st.lists(st.tuples(st.floats(0, 3), st.integers(1, 20)), max_size=60),
)
def test_never_more_than_the_burst_and_the_rate_and_one_batch(
    rate: int, burst: int, steps: list[tuple[float, int]]
) -> None:
    watch = Stopwatch()
    bucket, began_s = Bucket("source", rate, burst, watch), watch.now_s
    taken = largest = 0
    for pause_s, amount in steps:
        watch.now_s += pause_s
        largest = max(largest, amount)
        if is_let_in(bucket, amount=amount):
            taken += amount
        assert taken <= burst + rate * (watch.now_s - began_s) + largest + 1e-6


def test_the_defaults_never_meet_a_sender_whose_key_is_right() -> None:
    limits = Limits(Settings(_env_file=None))
    for bucket in (limits.keys, limits.sources):
        assert all(is_let_in(bucket, amount=10_000) for _ in range(1_000))
    assert sum(is_let_in(limits.addresses) for _ in range(1_000)) < 600
