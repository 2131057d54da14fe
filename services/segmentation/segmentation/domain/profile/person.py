"""What rules and models are asked about: one customer at one instant, as a view of the profile."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from segmentation.domain.profile.cart import Cart, cart_of
from segmentation.domain.profile.catalogue import ATTRIBUTE, FIELDS, SERIES
from segmentation.domain.profile.orders import MADE_OF, series_of
from segmentation.domain.profile.records import NOTHING, Series
from segmentation.domain.profile.state import Kept, Profile


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


_TIMES = frozenset(name for name, kind in FIELDS.items() if kind is datetime)


class _Series(Mapping[str, Series]):
    """The series of a profile; those made of orders are made when they are asked for."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._made: dict[str, Series] = {}

    def __getitem__(self, kind: str) -> Series:
        if kind not in MADE_OF:
            return self._profile.series.get(kind, NOTHING)
        if kind not in self._made:
            self._made[kind] = series_of(self._profile, kind)
        return self._made[kind]

    def get(self, kind: str, default: Any = None) -> Any:
        """Asked all day: the inherited one takes longer."""
        return self[kind] if kind in MADE_OF else self._profile.series.get(kind, default)

    def __iter__(self) -> Iterator[str]:
        return iter(SERIES)

    def __len__(self) -> int:
        return len(SERIES)

    def __contains__(self, kind: object) -> bool:
        return kind in SERIES


class _Facts(Mapping[str, Any]):
    """The facts of a profile: of the person, of the cart, and what the models said."""

    def __init__(self, profile: Profile, answers: Mapping[str, Kept], models: Mapping[str, str]) -> None:
        self._profile, self._answers, self._models = profile, answers, models

    def get(self, name: str, default: Any = None) -> Any:
        if (model := self._models.get(name)) is not None:
            kept = self._answers.get(model)
            found: Any = kept.facts.get(name) if kept is not None else None
            if found is not None and name in _TIMES:
                found = datetime.fromisoformat(found)  # kept as text
        elif name.startswith(ATTRIBUTE):
            found = self._profile.attributes.get(name[len(ATTRIBUTE) :])
        elif (read := _READ.get(name)) is not None:
            found = read(self)
        else:
            found = None
        return default if found is None else found

    def __getitem__(self, name: str) -> Any:
        found = self.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        names = (*FIELDS, *(f"{ATTRIBUTE}{name}" for name in self._profile.attributes))
        return (name for name in names if self.get(name) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def profile(self) -> Profile:
        """Whose facts they are."""
        return self._profile

    @cached_property
    def cart(self) -> Cart:
        """Worked out once."""
        return cart_of(self._profile)

    def consents(self, *, refused: bool) -> tuple[str, ...]:
        """What was refused, or allowed."""
        return tuple(name for name, consent in self._profile.consents.items() if consent.refused is refused)


# The lists are always there, be they empty.
_READ: Mapping[str, Callable[[_Facts], Any]] = {
    "locale": lambda facts: facts.profile.locale,
    "country": lambda facts: facts.profile.country,
    "city": lambda facts: facts.profile.city,
    "tier": lambda facts: facts.profile.tier,
    "points": lambda facts: facts.profile.points,
    "tags": lambda facts: facts.profile.tags,
    "refused": lambda facts: facts.consents(refused=True),
    "allowed": lambda facts: facts.consents(refused=False),
    "cart.pieces": lambda facts: facts.cart.pieces,
    "cart.value": lambda facts: facts.cart.value_minor,
    "cart.items": lambda facts: facts.cart.items,
    "cart.categories": lambda facts: facts.cart.categories,
    "cart.changed_at": lambda facts: facts.cart.changed_at,
    "first_seen_at": lambda facts: facts.profile.first_seen_at,
    "last_seen_at": lambda facts: facts.profile.last_seen_at,
}


def person_of(
    shop_id: str,
    customer_id: str,
    zone: ZoneInfo,
    profile: Profile,
    answers: Mapping[str, Kept],
    models: Mapping[str, str],
    *,
    ends: Mapping[str, datetime] | None = None,
) -> Person:
    """The customer with this profile. `answers` are the models', looked at when asked; `models` names the model that
    says a fact."""
    facts = _Facts(profile, answers, models)
    return Person(shop_id, customer_id, zone, facts, _Series(profile), ends or {}, frozenset(profile.lists))
