"""What the models of purchases are made of: all purchases of a customer in four figures."""

from segmentation.domain.profile.orders import PURCHASE
from segmentation.domain.profile.person import Person
from segmentation.domain.profile.records import NOTHING, Series
from segmentation.domain.profile.state import Purchases

AMOUNT = "amount"  # of one, in minor units


def purchases_of(person: Person) -> Series:
    """The purchases that are known one by one, and the sums of those before."""
    return person.series.get(PURCHASE, NOTHING)


def bought(person: Person) -> Purchases | None:
    """All purchases together, exact however many there were: of those not known one by one there are the sums. None for
    who never bought."""
    series = purchases_of(person)
    records, before = series.records, series.before
    amount = sum([record.about.get(AMOUNT, 0) for record in records])
    if before is None:
        return Purchases(len(records), records[0].at, records[-1].at, amount) if records else None
    first_at = min(before.first_at, records[0].at) if records else before.first_at
    last_at = max(before.last_at, records[-1].at) if records else before.last_at
    return Purchases(len(records) + before.count, first_at, last_at, amount + before.totals.get(AMOUNT, 0))
