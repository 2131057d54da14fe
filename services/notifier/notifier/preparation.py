"""From a claimed message to one that can leave: the address asked of the vault, the words in the shop's language."""

from collections.abc import Mapping, Sequence

import structlog

from common.clock import Clock
from common.shops import Shop
from notifier.channels.port import Away, Outgoing, Refused, Sent
from notifier.contacts import FIELDS, NOBODY, Contact, Contacts, VaultAway
from notifier.domain.render import Text, Unrenderable, sms_text
from notifier.outages import VAULT, Outages
from notifier.settlement import Attempt, Unaddressed
from notifier.store import Claimed, Key
from notifier.wording import Wording

log = structlog.get_logger()


class Preparation:
    """With `mail_leaves`, e-mails may name the person; all that is only kept to look at names nobody."""

    def __init__(
        self,
        contacts: Contacts,
        outages: Outages,
        wording: Wording,
        shops: Mapping[str, Shop],
        signature: str,
        mail_leaves: bool,
        clock: Clock,
    ) -> None:
        self._contacts, self._outages, self._wording, self._shops = contacts, outages, wording, shops
        self._signature, self._mail_leaves, self._clock = signature, mail_leaves, clock

    async def of(self, claimed: Sequence[Claimed]) -> tuple[list[Outgoing], dict[Key, Attempt]]:
        """The messages ready to leave, and what became of all others."""
        outgoing: list[Outgoing] = []
        attempts: dict[Key, Attempt] = {}
        contacts = await self._ask_vault(claimed)
        for message in claimed:
            known = contacts[message.shop_id]
            if isinstance(known, Away):
                attempts[message.key] = known
                continue
            try:
                ready = self._render(message, known.get(message.customer_id, NOBODY))
            except Exception as error:  # noqa: BLE001 - of this message alone; its text may hold a name
                log.warning("a message cannot be rendered", template=message.template, error=type(error).__name__)
                ready = Refused(f"it cannot be rendered: {type(error).__name__}")
            if isinstance(ready, Outgoing):
                outgoing.append(ready)
            else:
                attempts[message.key] = ready
        return outgoing, attempts

    async def _ask_vault(self, claimed: Sequence[Claimed]) -> dict[str, Mapping[str, Contact] | Away]:
        found: dict[str, Mapping[str, Contact] | Away] = {}
        for shop_id in {message.shop_id for message in claimed}:
            customers = list({message.customer_id for message in claimed if message.shop_id == shop_id})
            try:
                found[shop_id] = await self._contacts.of(shop_id, customers, FIELDS)
            except VaultAway as error:
                found[shop_id] = Away(str(error))
        self._outages.learn(VAULT, [known if isinstance(known, Away) else Sent() for known in found.values()])
        return found

    def _render(self, message: Claimed, contact: Contact) -> Outgoing | Attempt:
        shop = self._shops.get(message.shop_id)
        if shop is None:
            return Refused("the shop is not among those of this system")
        field = "email" if message.channel == "email" else "phone"
        to, name = contact.get(field, "").strip(), contact.get("name", "").strip()
        if not to:
            return Unaddressed(f"no {field}")
        try:
            kept = self._wording.render(shop.locale, message.template, message.params, self._signature)
            text = kept
            if message.channel == "email":
                if not kept.subject:
                    return Refused(f"template {message.template!r} has no subject, an e-mail needs one")
                if self._mail_leaves and name:
                    text = self._wording.render(shop.locale, message.template, message.params, self._signature, name)
            else:
                kept = text = Text(None, sms_text(kept, self._signature))
        except Unrenderable as error:
            return Refused(str(error))
        return Outgoing(
            shop_id=message.shop_id,
            customer_id=message.customer_id,
            message_key=message.message_key,
            channel=message.channel,
            to=to,
            name=name,
            text=text,
            kept=kept,
            locale=shop.locale,
            at=self._clock.now(),
        )
