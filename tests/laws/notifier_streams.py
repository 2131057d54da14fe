"""Events that notifier hears, as strategies: requests, reports of what became of them, and others."""

from hypothesis import strategies as st

from common.contracts.envelope import Data
from common.contracts.journeys import JourneyEntered, MessageRequested
from common.contracts.notifier import DeliveryAttempted

KEYS = st.integers(1, 5).map(lambda n: f"k{n}")  # few, so that requests and reports of one key meet
REQUESTS = st.builds(
    MessageRequested,
    message_key=KEYS,
    journey=st.just("j"),
    step=st.just("s"),
    channel=st.sampled_from(["sms", "email", "in_app", "social"]),
    purpose=st.sampled_from(["transactional", "marketing"]),
    template=st.sampled_from(["t", "t", "gone"]),
    params=st.just({"order_id": "o1"}),
)
REPORTS = st.builds(
    DeliveryAttempted, KEYS, st.sampled_from(["sent", "failed", "suppressed"]), st.sampled_from([None, "because"])
)
EVENTS: st.SearchStrategy[Data] = st.one_of(
    REQUESTS, REQUESTS, REPORTS, st.builds(JourneyEntered, st.just("j"), st.just("o1"))
)
