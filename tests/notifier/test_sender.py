"""The sender when things go wrong between the claim and the outcome."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from common.contracts.notifier import DeliveryAttempted, MessageFailed, MessageSent
from notifier import store
from notifier.channels.port import Away, Deferred, Outcome, Outgoing, Refused, Sent
from notifier.domain.render import Params, Text
from notifier.sender import LONG_AGO, Sender
from notifier.settlement import TRIES
from notifier.wording import Wording
from tests.notifier.conftest import NOON, Notifier, gift, sms

THE_LEASE_IS_OVER = "UPDATE messages SET claimed_at = claimed_at - interval '121 seconds' WHERE status = 'sending'"
THE_PAUSE_IS_OVER = "UPDATE messages SET due_at = now() WHERE status = 'pending'"


WAITING = 300  # messages, so many that each sender goes several rounds
FOR_EVER_S = 3_600.0  # longer than any pause of a way


def later(sender: Sender, monotonic_s: float) -> None:
    """Lets the pause of a closed way pass."""
    sender._outages._monotonic = lambda: time.monotonic() + monotonic_s


@dataclass
class Fake:
    """A channel that does as it is told."""

    outcome: Outcome | Exception = field(default_factory=Sent)
    got: list[Outgoing] = field(default_factory=list)

    async def send(self, messages: Sequence[Outgoing]) -> Sequence[Outcome]:
        self.got += messages
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return [self.outcome] * len(messages)


async def crash_after_claim(notifier: Notifier) -> None:
    async with notifier.pool.acquire() as connection:
        assert await store.claim(connection, 10, LONG_AGO)


async def test_a_claim_is_not_taken_before_its_lease_is_over(notifier: Notifier) -> None:
    await notifier.ask(sms("k1"), gift("k2"))
    await notifier.waiting(2)
    await crash_after_claim(notifier)
    assert await notifier.sender().round() == 0
    assert await notifier.rows("status") == [("sending",), ("sending",)]


async def test_after_a_crash_marketing_is_in_doubt_and_the_rest_is_sent_again(notifier: Notifier) -> None:
    await notifier.ask(sms("k1"), gift("k2"))
    await notifier.waiting(2)
    await crash_after_claim(notifier)
    await notifier.pool.execute(THE_LEASE_IS_OVER)
    facts = await notifier.told(2, notifier.sender().run)
    assert set(facts) == {
        MessageSent("k1", "sms", "payment_reminder", "1h"),
        MessageFailed("k2", "email", "gift_30d", "gift", "in doubt: its sender did not come back"),
    }
    assert await notifier.rows("message_key, status, tries") == [("k1", "sent", 2), ("k2", "failed", 1)]
    assert [row[0] for row in await notifier.rows("message_key", "mailbox")] == ["k1"]


async def test_a_crash_after_the_mailbox_leaves_one_letter(notifier: Notifier) -> None:
    await notifier.ask(sms("k1"))
    await notifier.waiting(1)
    sender = notifier.sender()
    async with notifier.pool.acquire() as connection:
        claimed = await store.claim(connection, 10, LONG_AGO)
    outgoing, others = await sender._preparation.of(claimed)
    assert (await sender._mailbox.send(outgoing), others) == ([Sent()], {})
    await notifier.pool.execute(THE_LEASE_IS_OVER)
    assert await notifier.told(1, notifier.sender().run) == [MessageSent("k1", "sms", "payment_reminder", "1h")]
    assert await notifier.rows("status, tries") == [("sent", 2)]
    assert len(await notifier.rows("id", "mailbox")) == 1
    # The first sender comes back after all: its claim is another's by now, so it reports nothing.
    await sender._settle(claimed, {claimed[0].key: Sent()})
    assert len(await notifier.reports()) == 1


async def test_who_took_too_long_reports_nothing_while_another_sends(notifier: Notifier) -> None:
    await notifier.ask(sms("k1"))
    await notifier.waiting(1)
    slow = notifier.sender()
    async with notifier.pool.acquire() as connection:
        claimed = await store.claim(connection, 10, LONG_AGO)
    await notifier.pool.execute(THE_LEASE_IS_OVER)
    await notifier.sender()._recover()
    await crash_after_claim(notifier)  # another has it now
    await slow._settle(claimed, {claimed[0].key: Refused("too late")})
    assert await notifier.rows("status, tries") == [("sending", 2)]
    assert await notifier.reports() == []


async def test_a_claim_does_not_wait_for_another(notifier: Notifier) -> None:
    await notifier.ask(sms("k1"), sms("k2"), sms("k3"))
    await notifier.waiting(3)
    async with notifier.pool.acquire() as one, notifier.pool.acquire() as two, one.transaction():
        first = await store.claim(one, 2, LONG_AGO)
        async with asyncio.timeout(5):
            second = await store.claim(two, 10, LONG_AGO)
    assert (len(first), len(second)) == (2, 1)
    assert sorted(message.message_key for message in first + second) == ["k1", "k2", "k3"]


async def test_a_message_that_kills_its_sender_each_time_is_given_up(notifier: Notifier) -> None:
    await notifier.ask(sms("k1"))
    await notifier.waiting(1)
    for _ in range(TRIES.max_tries):
        await crash_after_claim(notifier)
        await notifier.pool.execute(THE_LEASE_IS_OVER)
        await notifier.sender()._recover()
    assert await notifier.rows("status, tries, reason") == [("failed", 10, "in doubt: its sender did not come back")]
    assert len(await notifier.reports()) == 1


async def test_what_a_channel_raises_leaves_the_claim_to_its_lease(notifier: Notifier) -> None:
    await notifier.ask(gift("k1"))
    await notifier.waiting(1)
    sender = notifier.sender(mailbox=Fake(RuntimeError("bug")))
    assert await sender._tried_round() == 0
    assert sender.ready() == "sender: RuntimeError"
    assert await notifier.rows("status") == [("sending",)]
    assert await sender._tried_round() == 0
    assert sender.ready() is None


async def test_a_vault_that_is_away_costs_a_pause_and_no_try(notifier: Notifier) -> None:
    await notifier.ask(gift("k1"), sms("k2"))
    await notifier.waiting(2)
    notifier.vault.away = True
    sender = notifier.sender()
    for number in range(1, TRIES.max_tries + 2):
        later(sender, FOR_EVER_S * number)
        await notifier.pool.execute(THE_PAUSE_IS_OVER)
        assert await sender.round() == 2
        assert (
            await notifier.rows("status, claims, tries, reason, due_at > now()")
            == [("pending", number, 0, "the vault answered 503", True)] * 2
        )
        await notifier.pool.execute(THE_PAUSE_IS_OVER)
        assert await sender.round() == 0  # the way is closed, so nothing is claimed
    assert sender.ready() == "sender: vault: the vault answered 503"
    notifier.vault.away = False
    later(sender, FOR_EVER_S * (TRIES.max_tries + 2))
    assert await sender.round() == 2
    assert await notifier.rows("status, tries, reason") == [("sent", 1, None)] * 2
    assert sender.ready() is None
    assert len(await notifier.reports()) == 2


async def test_an_outage_of_one_channel_is_not_another_s(notifier: Notifier) -> None:
    await notifier.ask(gift("k1"), sms("k2"))
    await notifier.waiting(2)
    smtp = Fake(Away("the mail server cannot be reached: SMTP 535"))
    sender = notifier.sender(smtp=smtp)
    assert await sender.round() == 2
    await notifier.pool.execute(THE_PAUSE_IS_OVER)
    await notifier.ask(sms("k3"))
    await notifier.waiting(2)
    assert await sender.round() == 1
    assert await notifier.rows("message_key, status, claims, tries") == [
        ("k1", "pending", 1, 0),
        ("k2", "sent", 1, 1),
        ("k3", "sent", 1, 1),
    ]
    assert sender.ready() == "sender: email: the mail server cannot be reached: SMTP 535"
    smtp.outcome = Sent()
    later(sender, FOR_EVER_S)
    assert await sender.round() == 1
    assert await notifier.rows("status, claims, tries") == [("sent", 2, 1), ("sent", 1, 1), ("sent", 1, 1)]
    assert sender.ready() is None


async def test_who_gave_a_claim_back_cannot_settle_the_next_one(notifier: Notifier) -> None:
    await notifier.ask(sms("k1"))
    await notifier.waiting(1)
    sender = notifier.sender()
    async with notifier.pool.acquire() as connection:
        claimed = await store.claim(connection, 10, LONG_AGO)
    await sender._settle(claimed, {claimed[0].key: Away("closed")})
    await notifier.pool.execute(THE_PAUSE_IS_OVER)
    await crash_after_claim(notifier)  # another has it now, and its first try
    await sender._settle(claimed, {claimed[0].key: Sent()})
    assert await notifier.rows("status, claims, tries") == [("sending", 2, 1)]
    assert await notifier.reports() == []


async def test_one_message_that_cannot_be_rendered_takes_no_other_along(
    notifier: Notifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    await notifier.ask(gift("k1"), gift("k2", params={"order_id": "bug"}), sms("k3"))
    await notifier.waiting(3)
    render = Wording.render

    def render_or_not(self: Wording, locale: str, template: str, params: Params, shop: str, name: str = "") -> Text:
        if params["order_id"] == "bug":
            raise ZeroDivisionError("安")
        return render(self, locale, template, params, shop, name)

    monkeypatch.setattr(Wording, "render", render_or_not)
    await notifier.sender().round()
    assert await notifier.rows("status, reason") == [
        ("sent", None),
        ("failed", "it cannot be rendered: ZeroDivisionError"),
        ("sent", None),
    ]


async def test_what_left_by_mail_is_sent_even_if_its_copy_cannot_be_kept(notifier: Notifier) -> None:
    await notifier.ask(gift("k1"), sms("k2"))
    await notifier.waiting(2)
    sender = notifier.sender(smtp=Fake(), mailbox=Fake(RuntimeError("bug")))
    assert await sender._tried_round() == 0
    assert sender.ready() == "sender: RuntimeError"
    assert await notifier.rows("message_key, status") == [("k1", "sent"), ("k2", "sending")]


async def test_tries_are_bounded(notifier: Notifier) -> None:
    await notifier.ask(gift("k1"))
    await notifier.waiting(1)
    sender = notifier.sender(smtp=Fake(Deferred("SMTP 451")))
    for _ in range(10):
        assert await sender.round() == 1
        await notifier.pool.execute(THE_PAUSE_IS_OVER)
    assert await sender.round() == 0
    assert await notifier.rows("status, tries, reason") == [("failed", 10, "SMTP 451 (given up after 10 tries)")]
    (report,) = await notifier.reports()
    assert report.data == DeliveryAttempted("k1", "failed", "SMTP 451 (given up after 10 tries)")
    assert (report.occurred_at, report.received_at) == (NOON, NOON)


async def test_doubt_ends_a_marketing_message_and_repeats_a_transactional_one(notifier: Notifier) -> None:
    await notifier.ask(gift("k1"), gift("k2", purpose="transactional"))
    await notifier.waiting(2)
    smtp = Fake(Deferred("no answer", in_doubt=True))
    await notifier.sender(smtp=smtp).round()
    assert await notifier.rows("message_key, status, reason") == [
        ("k1", "failed", "in doubt: no answer"),
        ("k2", "pending", "in doubt: no answer"),
    ]
    assert await notifier.rows("id", "mailbox") == []


async def test_a_refusal_is_for_good(notifier: Notifier) -> None:
    await notifier.ask(gift("k1"))
    await notifier.waiting(1)
    await notifier.sender(smtp=Fake(Refused("SMTP 550"))).round()
    assert await notifier.rows("status, reason") == [("failed", "SMTP 550")]


async def test_a_name_leaves_by_mail_but_is_not_kept(notifier: Notifier) -> None:
    await notifier.ask(gift("k1"))
    await notifier.waiting(1)
    smtp = Fake()
    await notifier.sender(smtp=smtp).round()
    (letter,) = smtp.got
    assert letter.text.body.startswith("安，您好！")
    assert (letter.to, letter.name, letter.message_key) == ("ann@example.com", "安", "k1")
    ((body, to_masked),) = await notifier.rows("body, to_masked", "mailbox")
    assert body.startswith("您好！")
    assert to_masked == "a***@example.com"


async def test_the_vault_is_asked_once_for_a_batch(notifier: Notifier) -> None:
    await notifier.ask(sms("k1"), sms("k2"), gift("k3"))
    await notifier.waiting(3)
    await notifier.sender().round()
    assert notifier.vault.asked == [{"shop_id": "shop", "customer_ids": ["ann"], "fields": ["phone", "email", "name"]}]


async def test_two_senders_share_the_work(notifier: Notifier) -> None:
    notifier.vault.people = {f"c{n}": {"phone": "13800131234"} for n in range(WAITING)}
    for number in range(WAITING):
        await notifier.ask(sms("k"), customer=f"c{number}")
    await notifier.waiting(WAITING)
    one, two = Fake(), Fake()
    await asyncio.gather(*(notifier.sender(mailbox=fake).round() for fake in (one, two) * 4))
    sent = [message.customer_id for message in one.got + two.got]
    assert len(sent) == len(set(sent)) == WAITING
    assert set(await notifier.rows("status")) == {("sent",)}
    assert len(await notifier.reports()) == WAITING


@dataclass
class Slow(Fake):
    """A channel that sends when it is let go."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, messages: Sequence[Outgoing]) -> Sequence[Outcome]:
        self.reached.set()
        await self.let_go.wait()
        return await super().send(messages)


async def test_told_to_stop_it_settles_what_it_has_claimed(notifier: Notifier) -> None:
    """A marketing message above all: left to its lease it would be in doubt, though nothing went wrong."""
    await notifier.ask(gift("k1"))
    await notifier.waiting(1)
    channel = Slow()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(notifier.sender(mailbox=channel).run())
        await channel.reached.wait()
        running.cancel()
        channel.let_go.set()
    assert await notifier.rows("status, tries") == [("sent", 1)]
    assert len(await notifier.reports()) == 1


async def test_told_to_stop_it_does_not_wait_for_ever(notifier: Notifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notifier.sender.STOP_S", 0.01)
    await notifier.ask(gift("k1"))
    await notifier.waiting(1)
    channel = Slow()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(notifier.sender(mailbox=channel).run())
        await channel.reached.wait()
        running.cancel()
    assert await notifier.rows("status") == [("sending",)]
