"""What rules and models are asked about: one customer at one instant, as a view of the profile."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from segmentation.domain.records import Series


class Person(Struct, frozen=True):
    """`facts` are by the names of catalogue.FIELDS; an absent one is not there. `ends` says of those facts that change
    by themselves when they next do. `lists` are the static lists that hold the customer."""

    shop_id: str
    customer_id: str
    zone: ZoneInfo
    facts: Mapping[str, Any] = {}
    series: Mapping[str, Series] = {}
    ends: Mapping[str, datetime] = {}
    lists: frozenset[str] = frozenset()
