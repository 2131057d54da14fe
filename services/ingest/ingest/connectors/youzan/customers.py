"""Youzan's customers: the names they go by, and what a message tells of one."""

from typing import Any

from msgspec import Struct

from common.contracts import ingest
from common.contracts.envelope import Data, Rejection
from ingest.connectors.chinese import Key, beijing_if_any, key
from ingest.connectors.port import NO_CUSTOMER, Converted, Fault, Ignored, Origin, event
from ingest.connectors.values import label
from ingest.domain.accept import Identities, Personal

EVENT, CARD = "SCRM_CUSTOMER_EVENT", "SCRM_CUSTOMER_CARD"
CUSTOMERS = (EVENT, CARD)
CARDS_GOT = ("CUSTOMER_CARD_TAKEN", "CUSTOMER_CARD_GIVEN")


class Buyer(Struct, frozen=True):
    """Who ordered. A number of 0 is nobody's."""

    buyer_id: Key = None
    yz_open_id: Key = None
    fans_id: Key = None
    buyer_phone: str | None = None


class Customer(Struct, frozen=True):
    """What `msg` holds of a customer or of a member card."""

    account_id: Key = None
    account_type: str | None = None
    yz_open_id: Key = None
    fans_id: Key = None
    name: str | None = None
    mobile: str | None = None
    card_no: Key = None
    event_time: str | None = None
    is_log_off: bool | int | str | None = None


def known_as(buyer: Buyer | None) -> Identities | None:
    """The names of a buyer; a follower's number only where there is no account."""
    if buyer is None:
        return None
    account, open_id, fan = key(buyer.buyer_id), key(buyer.yz_open_id), key(buyer.fans_id)
    name = account or (f"fans:{fan}" if fan and not open_id else None)
    return _names(name, open_id)


def of_customer(
    origin: Origin[Any], kind: str, status: str | None, said: Customer, version: str | None
) -> Converted | Ignored:
    """A customer that was registered or changed, or has got a member card. Raises Fault."""
    names, phone = _who(said)
    if kind == CARD:
        return _card(origin, status, said, names, phone)
    if said.is_log_off in (True, 1, "true", "1"):
        return Ignored("a customer that closed the account")
    if names is None and phone is None:
        raise Fault(Rejection("$.msg.account_id", f"{NO_CUSTOMER} in a way that is known here"))
    account = key(said.account_id) or key(said.yz_open_id) or phone or ""
    who = origin.pseudonym(account) if account == phone else account  # ids travel, phone numbers do not
    cause: tuple[str, ...]
    data: Data
    match status:
        case "CUSTOMER_CREATED":
            cause, data = ("customer", who, "registered"), ingest.CustomerRegistered()
        case "CUSTOMER_UPDATED":
            cause, data = ("customer", who, "updated", version or ""), ingest.CustomerUpdated()
        case _:
            return Ignored("a state that leads to no event")
    personal = Personal(phone=phone, name=label(said.name))
    told = personal if personal != Personal() else None
    return Converted((event(origin, cause, None, None, data, told, names),))


def _card(
    origin: Origin[Any], status: str | None, said: Customer, names: Identities | None, phone: str | None
) -> Converted | Ignored:
    """The card is one more name of the person."""
    number = key(said.card_no)
    if status not in CARDS_GOT or number is None:
        return Ignored("a card that nobody has got")
    if names is None and phone is None:
        return Ignored("a card without anybody who has it")
    buyer, open_id = (names.buyer, names.open_id) if names is not None else (None, None)
    named = Identities(buyer=buyer, open_id=open_id, card=f"youzan:{number}")
    at = beijing_if_any(said.event_time, "$.msg.event_time")
    personal = Personal(phone=phone) if phone is not None else None
    return Converted((event(origin, ("card", number), None, at, ingest.CustomerUpdated(), personal, named),))


def _who(said: Customer) -> tuple[Identities | None, str | None]:
    """By the account, of whatever type; a phone number is an account's id too."""
    account, open_id, fan = key(said.account_id), key(said.yz_open_id), key(said.fans_id)
    phone, name = label(said.mobile), None
    match said.account_type:
        case "YouZanAccount":
            name = account
        case "Mobile":
            phone = phone or label(account)
        case "FansID":
            fan = account or fan
        case "OpenUserId":
            open_id = open_id or account
        case _:
            pass
    if name is None and open_id is None and fan is not None:
        name = f"fans:{fan}"
    return _names(name, open_id), phone


def _names(name: str | None, open_id: str | None) -> Identities | None:
    if name is None and open_id is None:
        return None
    return Identities(buyer=f"youzan:{name}" if name else None, open_id=f"youzan:{open_id}" if open_id else None)
