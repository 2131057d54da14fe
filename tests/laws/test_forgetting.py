"""The laws of who was erased: nothing that a list says of the past brings anybody back."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from common.contracts.envelope import Data
from common.contracts.ingest import CustomerErased, CustomerMerged, CustomerSplit, OrderPaid
from common.contracts.segmentation import ListChanged, SegmentRecheck
from common.money import Money
from segmentation.app import service
from segmentation.domain.profile.state import Profile
from segmentation.domain.rules.rule import InList, Segment
from tests.books import book
from tests.laws.merging import A, B, World
from tests.laws.streams import CURRENCY, SHOP, START, event
from tests.laws.test_segmentation import THRESHOLDS

ERASED_AT = START + timedelta(days=1)
VIP = Segment("chosen", InList("$", "vip"), frozenset({"list:vip"}))
SERVICE = service({SHOP: book(SHOP, THRESHOLDS, [VIP], revision=3)})
BEFORE = ERASED_AT - timedelta(hours=1)
OF_THE_PAST: st.SearchStrategy[Data] = st.one_of(
    st.builds(ListChanged, st.sampled_from(["vip", "staff"]), st.just(value=False), st.just(4)),
    st.builds(ListChanged, st.sampled_from(["vip", "staff"]), st.booleans(), st.just(2), st.just(BEFORE)),
    st.builds(SegmentRecheck, st.integers(0, 5), st.none() | st.just(BEFORE)),
)


def erased() -> World[Profile]:
    world = World(SERVICE)
    world.tell(event(1, A, OrderPaid("o", Money(100, CURRENCY)), START))
    world.tell(event(2, A, ListChanged("vip", is_in=True), START))
    assert world.state(A).places["chosen"].inside
    world.tell(event(3, A, CustomerErased(), ERASED_AT))
    return world


@given(st.lists(OF_THE_PAST, min_size=1, max_size=5))
def test_what_lists_said_before_raises_nobody(told: list[Data]) -> None:
    world = erased()
    before = world.state(A)
    for number, data in enumerate(told):
        world.tell(event(10 + number, A, data, ERASED_AT + timedelta(hours=number + 1)))
    assert world.state(A) == replace(before, edition=world.state(A).edition)
    assert before.resting
    assert len(world.customers[A].facts) == len(erased().customers[A].facts)


def test_a_shop_that_puts_the_id_on_a_list_anew_knows_somebody_again() -> None:
    world = erased()
    later = ERASED_AT + timedelta(days=1)
    world.tell(event(10, A, ListChanged("vip", is_in=True, revision=4, at=later), later))
    profile = world.state(A)
    assert (profile.resting, profile.lists, profile.places["chosen"].inside) == (False, ("vip",), True)


def test_a_split_leaves_the_list_that_both_stood_on() -> None:
    world = World(SERVICE)
    for number, (name, list_) in enumerate([(A, "vip"), (B, "vip"), (A, "staff")]):
        world.tell(event(number, name, ListChanged(list_, is_in=True), START))
    world.tell(event(10, A, CustomerMerged(B), START))
    assert world.state(B).lists == ("staff", "vip")
    world.tell(event(11, A, CustomerSplit(B), START))
    assert (world.state(A).lists, world.state(B).lists) == (("staff", "vip"), ("vip",))
