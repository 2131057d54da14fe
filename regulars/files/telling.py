"""What rows tell: the events of one row or one group, each checked as the door will check it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from common.contracts.envelope import Rejection
from common.ids import derived_id
from ingest.domain.accept import Accepted, accept
from regulars.files.mapping import EventRule, FileMapping
from regulars.files.records import Rows
from regulars.files.unfit import Unfit
from regulars.history.lines import as_sent

CONTACT = ("phone", "email")


class Told(Struct, frozen=True):
    """One event: as it is sent, and as the door takes it. `person` is a short name of the names in `whose`."""

    body: bytes
    taken: Accepted
    person: str
    whose: Mapping[str, Any]


class Teller:
    """Tells events of rows, for a shop. `historic`: at their own times, as an import."""

    def __init__(self, mapping: FileMapping, shop_id: str, now: datetime, historic: bool) -> None:
        self._mapping, self._shop_id, self._now, self._historic = mapping, shop_id, now, historic

    def tell(self, rows: Rows) -> list[Told]:
        """All or nothing: raises Unfit where one of them is faulty."""
        told: list[Told] = []
        for number, rule in enumerate(self._mapping.rules):
            time = rows.value(rule.time)
            if time is None or (rule.where is not None and not rule.where(rows)):
                continue  # what has no time has not happened
            assert isinstance(time, datetime)
            told.append(self._event(f"$.events[{number}]", rule, rows, time, first=not told))
        return told

    def taken(self, body: bytes) -> Accepted | Rejection:
        """As the door will take it."""
        return accept(body, self._shop_id, self._mapping.currency or "", self._now, self._historic)

    def _event(self, path: str, rule: EventRule, rows: Rows, time: datetime, first: bool) -> Told:
        event_id = rule.id(rows)
        if event_id is None:
            raise Unfit(f"{path}.id", "a column it is made of is missing")
        whose = self._whose(path, rule, rows)
        named = {"subject": whose["subject"]} if "subject" in whose else whose
        # Contact data is told once per row where something else says whose the others are.
        sent = whose if first or named == {"personal": whose.get("personal")} else _without_personal(whose)
        body = as_sent(event_id, self._mapping.source, rule.type, time, rule.data(rows) or {}, sent)
        taken = self.taken(body)
        if isinstance(taken, Rejection):
            raise Unfit(path + taken.path[1:], taken.reason)
        return Told(body, taken, _person(named), named)

    def _whose(self, path: str, rule: EventRule, rows: Rows) -> Mapping[str, Any]:
        names = {"subject": rule.subject(rows), "identities": rule.identities(rows), "personal": rule.personal(rows)}
        whose = {part: value for part, value in names.items() if value}
        if self._historic and not _is_named(whose):
            raise Unfit(f"{path}.person", "nobody is named; `keep` can leave such rows out")
        return whose


def person_of(taken: Accepted) -> str:
    """An id for somebody without one: of the names, or of contact data where there is nothing else."""
    names = {identity.kind: identity.value for identity in taken.identities if identity.kind != "order"}
    lasting = {kind: value for kind, value in names.items() if kind not in CONTACT}
    return derived_id(*(word for item in sorted((lasting or names).items()) for word in item))


def _is_named(whose: Mapping[str, Any]) -> bool:
    personal = whose.get("personal", {})
    return "subject" in whose or "identities" in whose or "phone" in personal or "email" in personal


def _without_personal(whose: Mapping[str, Any]) -> Mapping[str, Any]:
    return {part: value for part, value in whose.items() if part != "personal"}


def _person(named: Mapping[str, Any]) -> str:
    """The same names, the same person: a digest, since they may be contact data."""
    parts = [("subject", named["subject"])] if "subject" in named else []
    parts += [item for part in ("identities", "personal") for item in sorted(named.get(part, {}).items())]
    return derived_id(*(word for part in parts for word in part))
