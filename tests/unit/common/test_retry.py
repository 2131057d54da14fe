"""Retry policies: how pauses grow, where they end, how they spread."""

from hypothesis import given
from hypothesis import strategies as st

from common.retry import FOREVER, Retry


def test_pauses_grow_by_the_factor_up_to_the_maximum_and_end_with_the_tries() -> None:
    policy = Retry(first_ms=100, factor=3, max_ms=2_000, max_tries=6)
    assert [policy.next(attempt) for attempt in range(1, 8)] == [0.1, 0.3, 0.9, 2.0, 2.0, None, None]


def test_one_try_means_no_second_one() -> None:
    assert Retry(first_ms=100, factor=2, max_ms=100, max_tries=1).next(1) is None


def test_a_late_attempt_of_a_patient_policy_does_not_overflow() -> None:
    assert Retry(first_ms=1, factor=2, max_ms=30_000, max_tries=FOREVER).next(1_000_000) == 30.0


def test_jitter_spreads_keys_and_is_the_same_each_time() -> None:
    policy = Retry(first_ms=1_000, factor=1, max_ms=1_000, max_tries=3, jitter=0.5)
    pauses = [policy.next(1, f"customer-{number}") for number in range(50)]
    assert len(set(pauses)) == 50
    assert pauses == [policy.next(1, f"customer-{number}") for number in range(50)]


@given(
    attempt=st.integers(1, 99), key=st.text(), jitter=st.floats(0, 1), factor=st.floats(1, 10), max_ms=st.integers(50)
)
def test_a_pause_is_never_negative_and_never_above_the_maximum(
    attempt: int, key: str, jitter: float, factor: float, max_ms: int
) -> None:
    pause = Retry(first_ms=50, factor=factor, max_ms=max_ms, max_tries=100, jitter=jitter).next(attempt, key)
    assert pause is not None
    assert 0 <= pause <= max_ms / 1000
